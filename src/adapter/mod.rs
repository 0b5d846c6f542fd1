//! The other end: a software NetTLP adapter that serves any memory as completions.
