use proptest::prelude::*;

use super::*;
use crate::memory::Source;

fn sample() -> Recording {
    let mut recording = Recording::new();
    recording.label("banner", "Linux version 6.1.0");
    recording.label_ram(&[PhysRange::new(PhysAddr::new(0x1000), PhysAddr::new(0x9000))]);
    recording.insert(PhysAddr::new(0x1000), &[1, 2, 3, 4]);
    recording.insert(PhysAddr::new(0x8ff0), &[0xaa; 16]);
    for (index, (_, failure)) in FAILURES.iter().enumerate() {
        let start = PhysAddr::new(0x1_0000 + 0x40 * index as u64);
        recording.insert_failure(PhysRange::of_length(start, 8).unwrap(), *failure);
    }
    recording
}

fn read(memory: &SparseMemory, address: u64, length: usize) -> Result<Vec<u8>, ReadFailure> {
    let mut into = vec![0; length];
    memory
        .copy(PhysAddr::new(address), &mut into)
        .map(|()| into)
}

#[test]
fn what_was_recorded_comes_back() {
    let bytes = sample().to_bytes();
    assert!(is_recording(&bytes));
    let recording = Recording::from_bytes(&bytes).unwrap();
    assert!(recording.is_complete());
    assert_eq!(recording.labels(), sample().labels());
    let memory = recording.into_memory();
    assert_eq!(read(&memory, 0x1001, 2), Ok(vec![2, 3]));
    assert_eq!(read(&memory, 0x1003, 2), Err(ReadFailure::NotRecorded));
    for (index, (_, failure)) in FAILURES.iter().enumerate() {
        assert_eq!(
            read(&memory, 0x1_0000 + 0x40 * index as u64, 8),
            Err(*failure)
        );
    }
    assert_eq!(
        memory.ram(),
        Some(vec![PhysRange::new(
            PhysAddr::new(0x1000),
            PhysAddr::new(0x9000)
        )])
    );
    assert_eq!(memory.notes()["banner"], "Linux version 6.1.0");
}

#[test]
fn every_failure_has_a_number_of_its_own() {
    for (index, (number, failure)) in FAILURES.iter().enumerate() {
        assert!(*number != 0);
        assert!(
            FAILURES[..index]
                .iter()
                .all(|(other, known)| other != number && known != failure)
        );
    }
}

#[test]
fn order_and_size_of_blocks_do_not_change_the_file() {
    let mut parts = Recording::new();
    parts.insert(PhysAddr::new(0x1002), &[3, 4]);
    parts.insert(PhysAddr::new(0x0fff), &[0]);
    parts.insert(PhysAddr::new(0x1000), &[9]);
    parts.insert(PhysAddr::new(0x1000), &[1, 2]);
    let mut whole = Recording::new();
    whole.insert(PhysAddr::new(0x0fff), &[0, 1, 2, 3, 4]);
    assert_eq!(parts.to_bytes(), whole.to_bytes());
}

#[test]
fn a_recording_cut_off_anywhere_is_read_up_to_there() {
    let mut bytes = head();
    let first = bytes.len() + {
        let frames = sample().quick_frames();
        bytes.extend_from_slice(&frames);
        frames.len()
    };
    let mut second = Recording::new();
    second.insert(PhysAddr::new(0x2000), &[7]);
    bytes.extend(second.quick_frames());
    for length in MAGIC.len()..bytes.len() {
        let recording = Recording::from_bytes(&bytes[..length]).unwrap();
        assert!(!recording.is_complete());
        let found = read(&recording.into_memory(), 0x1000, 4);
        assert_eq!(found.is_ok(), length >= first, "{length}");
    }
    bytes.extend(end_frame());
    let whole = Recording::from_bytes(&bytes).unwrap();
    assert!(whole.is_complete());
    assert_eq!(read(&whole.into_memory(), 0x2000, 1), Ok(vec![7]));
}

#[test]
fn long_recordings_take_many_frames() {
    let mut recording = Recording::new();
    let mut state = 1_u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(LONGEST_FRAME + 12_345)
    .collect();
    recording.insert(PhysAddr::new(0x1234), &bytes);
    let file = recording.to_bytes();
    let memory = Recording::from_bytes(&file).unwrap().into_memory();
    assert_eq!(read(&memory, 0x1234, bytes.len()), Ok(bytes));
}

#[test]
fn damage_is_noticed() {
    let problem = |bytes: &[u8]| Recording::from_bytes(bytes).unwrap_err().to_string();
    let good = sample().to_bytes();
    assert_eq!(problem(b"NQ-RECORDER"), "it is not a recording");
    let mut version = good.clone();
    version[MAGIC.len()] = 9;
    assert_eq!(
        problem(&version),
        "it is a recording of format 9, and this program reads format 1"
    );
    let start = head().len();
    let mut flipped = good.clone();
    flipped[start + FRAME_HEADER + 10] ^= 0x20;
    assert!(problem(&flipped).contains("at offset 0x14 of the recording is damaged"));
    let raw = |kind, plain: &[u8]| [head(), frame(kind, plain, 1)].concat();
    assert!(problem(&raw(b'X', &[])).ends_with("its kind is unknown"));
    assert!(problem(&raw(b'N', &[1])).ends_with("a label is cut off"));
    assert!(problem(&raw(b'N', &[1, 0, 0, 0, 0xff, 0, 0, 0, 0])).ends_with("not UTF-8"));
    let block = |address: u64, length: u64, outcome: u8| {
        let mut plain = address.to_le_bytes().to_vec();
        plain.extend(length.to_le_bytes());
        plain.push(outcome);
        raw(b'B', &plain)
    };
    assert!(problem(&block(0, 1, 0)).ends_with("a block is cut off"));
    assert!(problem(&block(0, 1, 200)).ends_with("the kind of a failure is unknown"));
    assert!(problem(&block(u64::MAX, 2, 4)).ends_with("end of the address space"));
    assert!(problem(&block(0, u64::MAX, 4)).ends_with("more than 1 GiB"));
    let mut long = head();
    long.extend([b'B', 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0]);
    assert!(problem(&long).ends_with("longer than any frame is"));
}

#[test]
fn a_small_file_cannot_take_much_memory() {
    let mut plain = 0_u64.to_le_bytes().to_vec();
    plain.extend(MOST_DESCRIBED.to_le_bytes());
    plain.push(7);
    let file = [head(), frame(b'B', &plain, 1), frame(b'B', &[0; 17], 1)].concat();
    let memory = Recording::from_bytes(&file).unwrap().into_memory();
    assert_eq!(
        read(&memory, MOST_DESCRIBED - 8, 8),
        Err(ReadFailure::TimedOut)
    );
    let failed: Vec<(PhysAddr, Run)> = memory.runs(0).collect();
    assert_eq!(
        failed,
        [(
            PhysAddr::new(0),
            Run::Failed(MOST_DESCRIBED, ReadFailure::TimedOut)
        )]
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_recording_or_an_error(
        kind in prop_oneof![Just(b'N'), Just(b'B'), Just(b'E'), any::<u8>()],
        plain in proptest::collection::vec(any::<u8>(), 0..100),
        tail in proptest::collection::vec(any::<u8>(), 0..50)
    ) {
        // A failure may claim up to 1 GiB; keep the pages of this test few by clearing the upper length bytes.
        let mut plain = plain;
        for at in [10, 11, 12, 13, 14, 15] {
            if let Some(byte) = plain.get_mut(at) {
                *byte = 0;
            }
        }
        plain.truncate(17 + 16);
        let _ = Recording::from_bytes(&[head(), frame(kind, &plain, 1), tail.clone()].concat());
        let _ = Recording::from_bytes(&tail);
    }

    #[test]
    fn flipping_any_byte_never_panics(at in 0usize..300, byte in any::<u8>()) {
        let mut bytes = sample().to_bytes();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let _ = Recording::from_bytes(&bytes);
    }

    #[test]
    fn files_round_trip(blocks in proptest::collection::vec((0u64..100_000, proptest::collection::vec(any::<u8>(), 1..300)), 0..20)) {
        let mut recording = Recording::new();
        for (address, bytes) in &blocks {
            recording.insert(PhysAddr::new(*address), bytes);
        }
        let bytes = recording.to_bytes();
        prop_assert_eq!(Recording::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    }
}
