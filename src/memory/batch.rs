//! A batch of ranges in, an outcome per range out: the blocking way to use a memory, for code with nothing else to do.

use crate::addr::{PAGE_SIZE, PhysAddr, PhysRange};

use super::{PhysicalMemory, ReadFailure, ReadRequest};

/// Reads every range, all at once, splitting each at 4 KiB boundaries and at the memory's longest read. A range is returned
/// whole or with the first failure of its pieces (lowest address first). The memory must have no other reads in flight.
pub fn read_batch(
    memory: &mut dyn PhysicalMemory,
    ranges: &[PhysRange],
) -> Vec<Result<Vec<u8>, ReadFailure>> {
    let max_read = u64::from(memory.limits().max_read);
    let mut outcomes: Vec<Result<Vec<u8>, ReadFailure>> = ranges
        .iter()
        .map(|range| Ok(vec![0; usize::try_from(range.length()).unwrap_or(0)]))
        .collect();
    // The id of a piece is its index here: which range, and where in it.
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    for (index, range) in ranges.iter().enumerate() {
        let mut at = range.start;
        while at < range.end {
            let length = piece_length(at, range.end, max_read);
            let offset = usize::try_from(at.get() - range.start.get()).unwrap_or(usize::MAX);
            memory.submit(ReadRequest {
                id: pieces.len() as u64,
                address: at,
                length,
            });
            pieces.push((index, offset));
            at = at.wrapping_offset(i64::from(length));
        }
    }
    let mut failed_at: Vec<usize> = vec![usize::MAX; ranges.len()];
    let mut missing = pieces.len();
    while missing > 0 {
        let before = missing;
        memory.complete(&mut |id, outcome| {
            let Some(&(index, offset)) = usize::try_from(id).ok().and_then(|id| pieces.get(id))
            else {
                return;
            };
            missing -= 1;
            match outcome {
                Ok(bytes) => {
                    if let Ok(whole) = &mut outcomes[index] {
                        whole[offset..offset + bytes.len()].copy_from_slice(bytes);
                    }
                }
                Err(failure) if offset < failed_at[index] => {
                    failed_at[index] = offset;
                    outcomes[index] = Err(failure);
                }
                Err(_) => {}
            }
        });
        debug_assert!(
            missing < before,
            "a memory with reads in flight must complete one"
        );
    }
    outcomes
}

/// Bytes from `at` that one read may cover: up to `end`, the next 4 KiB boundary and `max_read`.
fn piece_length(at: PhysAddr, end: PhysAddr, max_read: u64) -> u32 {
    let to_page_end = PAGE_SIZE - at.page_offset();
    u32::try_from((end.get() - at.get()).min(to_page_end).min(max_read)).unwrap_or(u32::MAX)
}
