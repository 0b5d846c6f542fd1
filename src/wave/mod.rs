//! Asynchronous reads merged into waves: the executor, the block cache, translation, dependent-round counting.
