//! Where in this memory is this kernel: image, slides, page-table root, direct map, verified.
