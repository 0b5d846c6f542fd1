use proptest::prelude::*;

use super::*;

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
}

#[test]
fn blocks_read_back_as_one_and_gaps_fail() {
    let mut memory = SparseMemory::new();
    memory.insert(PhysAddr::new(0x1ffe), &[1, 2, 3, 4]);
    memory.insert(PhysAddr::new(0x2002), &[5]);
    memory.insert(PhysAddr::new(0x1fff), &[9]);
    let mut into = [0; 5];
    memory.copy(PhysAddr::new(0x1ffe), &mut into).unwrap();
    assert_eq!(into, [1, 9, 3, 4, 5]);
    assert_eq!(
        memory.copy(PhysAddr::new(0x2000), &mut into),
        Err(ReadFailure::NotInImage)
    );
    assert_eq!(
        memory.runs(0).collect::<Vec<_>>(),
        [(PhysAddr::new(0x1ffe), Run::Bytes(vec![1, 9, 3, 4, 5]))]
    );
}

#[test]
fn failures_are_kept_but_never_hide_bytes() {
    let mut memory = SparseMemory::failing_with(ReadFailure::NotRecorded);
    memory.insert_failure(range(0x1000, 0x3000), ReadFailure::UnsupportedRequest);
    memory.insert(PhysAddr::new(0x1800), &[7; 8]);
    memory.insert_failure(range(0x1804, 0x1900), ReadFailure::TimedOut);
    let read = |address, length| {
        let mut into = vec![0; length];
        memory
            .copy(PhysAddr::new(address), &mut into)
            .map(|()| into)
    };
    assert_eq!(read(0x1800, 8), Ok(vec![7; 8]));
    assert_eq!(read(0x1800, 9), Err(ReadFailure::TimedOut));
    assert_eq!(read(0x17ff, 9), Err(ReadFailure::UnsupportedRequest));
    assert_eq!(read(0x3000, 1), Err(ReadFailure::NotRecorded));
}

#[test]
fn the_end_of_the_address_space_is_an_end() {
    let mut memory = SparseMemory::new();
    memory.insert(PhysAddr::new(u64::MAX), &[1, 2]);
    let mut into = [0; 2];
    assert_eq!(
        memory.copy(PhysAddr::new(u64::MAX), &mut into),
        Err(ReadFailure::NotInImage)
    );
    assert_eq!(memory.copy(PhysAddr::new(u64::MAX), &mut into[..1]), Ok(()));
    assert_eq!(into[0], 1);
    assert_eq!(memory.runs(0).count(), 1);
}

proptest! {
    #[test]
    fn any_blocks_in_any_order_agree_with_an_array(
        blocks in proptest::collection::vec((0usize..12_000, proptest::collection::vec(any::<u8>(), 1..600), any::<bool>()), 1..12),
        reads in proptest::collection::vec((0usize..12_500, 1usize..400), 20)
    ) {
        let mut memory = SparseMemory::new();
        let mut oracle: Vec<Option<Result<u8, ReadFailure>>> = vec![None; 13_000];
        for (start, bytes, failed) in &blocks {
            let place = &mut oracle[*start..start + bytes.len()];
            if *failed {
                memory.insert_failure(range(*start as u64, (start + bytes.len()) as u64), ReadFailure::TimedOut);
                for cell in place.iter_mut().filter(|cell| !matches!(cell, Some(Ok(_)))) {
                    *cell = Some(Err(ReadFailure::TimedOut));
                }
            } else {
                memory.insert(PhysAddr::new(*start as u64), bytes);
                for (cell, byte) in place.iter_mut().zip(bytes) {
                    *cell = Some(Ok(*byte));
                }
            }
        }
        for (start, length) in reads {
            let mut into = vec![0; length];
            let found = memory.copy(PhysAddr::new(start as u64), &mut into).map(|()| into);
            let expected: Result<Vec<u8>, ReadFailure> =
                oracle[start..start + length].iter().map(|cell| cell.unwrap_or(Err(ReadFailure::NotInImage))).collect();
            prop_assert_eq!(found, expected);
        }
        let mut rebuilt = vec![None; 13_000];
        let mut end = None;
        for (start, run) in memory.runs(0) {
            prop_assert!(end <= Some(start));
            let at = start.get() as usize;
            match run {
                Run::Bytes(bytes) => {
                    end = start.checked_add(bytes.len() as u64);
                    for (cell, byte) in rebuilt[at..].iter_mut().zip(bytes) {
                        *cell = Some(Ok(byte));
                    }
                }
                Run::Failed(length, failure) => {
                    end = start.checked_add(length);
                    rebuilt[at..at + length as usize].fill(Some(Err(failure)));
                }
            }
        }
        prop_assert_eq!(rebuilt, oracle);
    }
}
