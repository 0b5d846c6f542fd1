//! Kernel containers in the kernel's words: list, tree by children, array, per-CPU, xarray, maple tree.
