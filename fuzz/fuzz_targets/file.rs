//! Any file that is given as a kernel: ELF with DWARF or BTF, raw BTF, vmlinuz, compressed files, packages.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use nettlp_q::generate::{Options, from_file};

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(data).expect("room for it");
    let _ = from_file(file.path(), &Options::default());
});
