//! Bytes that were read from a target's memory: kallsyms tables, BTF and banner of a kernel that may be hostile.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nettlp_q::generate::{LiveImage, Options};

fuzz_target!(|data: &[u8]| {
    let image = LiveImage {
        name: "fuzz",
        bytes: data,
    };
    let _ = image.profile(&Options::default());
});
