//! Per-CPU variables: one copy for each possible CPU, at the variable's address plus that CPU's offset (`include/linux/percpu-defs.h`).

use std::ops::ControlFlow;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::Reader;

use super::{Element, End, Problem, Sink};

/// A per-CPU variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerCpu {
    /// The variable's symbol value, as the running kernel has it.
    pub symbol: VirtAddr,
    /// `__per_cpu_offset`.
    pub offsets: VirtAddr,
    /// The mask of possible CPUs.
    pub mask: VirtAddr,
    /// Bits of the mask that count.
    pub count: u64,
}

/// `NR_CPUS` of the largest configuration (`arch/x86/Kconfig`, MAXSMP).
const MOST_CPUS: u64 = 8192;

impl PerCpu {
    /// Hands over the variable's copies by CPU number.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        let count = self.count.min(MOST_CPUS);
        let mut mask = vec![0; count.div_ceil(8) as usize];
        reader.prefetch(space, self.offsets, count * 8);
        if let Err(unreadable) = reader.read(space, self.mask, &mut mask).await {
            return End::Stopped(unreadable.into());
        }
        for cpu in (0..count).filter(|cpu| mask[(cpu / 8) as usize] & (1 << (cpu % 8)) != 0) {
            let entry = VirtAddr::new(self.offsets.get().wrapping_add(cpu * 8));
            let offset = match reader.unsigned(space, entry, 8).await {
                Ok(offset) => offset,
                Err(unreadable) => return End::Stopped(unreadable.into()),
            };
            let address = VirtAddr::new(self.symbol.get().wrapping_add(offset));
            if let ControlFlow::Break(()) = sink(Element::new(address, cpu)).await {
                return End::Enough;
            }
        }
        if self.count > MOST_CPUS {
            return End::Stopped(Problem::TooMany(MOST_CPUS as usize));
        }
        End::Complete
    }
}
