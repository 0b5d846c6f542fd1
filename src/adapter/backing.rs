//! What an adapter serves.

use crate::addr::PhysAddr;
use crate::memory::{PhysicalMemory, ReadFailure, ReadRequest, WritableImage};

/// The memory behind an adapter.
#[derive(Debug)]
pub enum Backing {
    /// Any memory; writes are counted and ignored.
    ReadOnly(Box<dyn PhysicalMemory + Send>),
    /// A raw image that takes writes.
    Writable(WritableImage),
}

impl<M: PhysicalMemory + Send + 'static> From<M> for Backing {
    fn from(memory: M) -> Self {
        Self::ReadOnly(Box::new(memory))
    }
}

impl Backing {
    /// Fills `into` from `address` on, in reads as long as the memory takes.
    pub(super) fn read(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
        match self {
            Self::ReadOnly(memory) => read_whole(memory.as_mut(), address, into),
            Self::Writable(image) => read_whole(image.memory(), address, into),
        }
    }

    /// Writes `bytes` from `address` on; whether that could be done.
    pub(super) fn write(&mut self, address: PhysAddr, bytes: &[u8]) -> bool {
        match self {
            Self::ReadOnly(_) => false,
            Self::Writable(image) => image.write(address, bytes).is_ok(),
        }
    }
}

fn read_whole(
    memory: &mut dyn PhysicalMemory,
    address: PhysAddr,
    into: &mut [u8],
) -> Result<(), ReadFailure> {
    let longest = memory.limits().max_read.max(1);
    let mut missing = 0_usize;
    let length = u32::try_from(into.len()).map_err(|_| ReadFailure::NotIssued)?;
    for start in (0..length).step_by(longest as usize) {
        memory.submit(ReadRequest {
            id: u64::from(start),
            address: address
                .checked_add(u64::from(start))
                .ok_or(ReadFailure::NotInImage)?,
            length: longest.min(length - start),
        });
        missing += 1;
    }
    let mut outcome = Ok(());
    while missing > 0 {
        let before = missing;
        memory.complete(&mut |id, piece| {
            missing = missing.saturating_sub(1);
            let start = usize::try_from(id).unwrap_or(usize::MAX);
            match piece {
                Ok(bytes) => {
                    if let Some(place) = into.get_mut(start..start + bytes.len()) {
                        place.copy_from_slice(bytes);
                    }
                }
                Err(failure) => outcome = Err(failure),
            }
        });
        if missing == before {
            return Err(ReadFailure::Transport);
        }
    }
    outcome
}
