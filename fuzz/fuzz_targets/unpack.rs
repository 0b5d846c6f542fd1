//! Compressed bytes of every kind, unpacked to at most a mebibyte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nettlp_q::generate::unpack;

fuzz_target!(|data: &[u8]| {
    if let Ok(bytes) = unpack(data, 1 << 20) {
        assert!(bytes.len() <= 1 << 20);
    }
});
