//! What a kernel looks like, as data: types and symbols (layout profiles), walks, columns and functions (the walk library).
