//! The page tables of a process: the entries that map pages, by address (`paging` says what entries mean).

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::{AddressSpace, EntryKind, Level};
use crate::wave::{JoinHandle, Reader};

use super::visits::Visits;
use super::{Element, End, MOST_ELEMENTS, Problem, Sink, is_kernel_pointer, little_endian};

/// The tables of one address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageTables {
    /// The top table, by its address in the kernel (`mm_struct.pgd`).
    pub root: VirtAddr,
    /// Where the kernel sees physical address 0.
    pub direct_map: VirtAddr,
}

/// Bytes of an entry.
const ENTRY: u64 = 8;
/// Bits of an address within the smallest page: what an index counts.
const PAGE_BITS: u32 = 12;

/// What the concurrent walks of tables share.
struct Shared {
    tables: PageTables,
    space: AddressSpace,
    visits: Visits,
    /// Pages so far.
    pages: Cell<usize>,
}

/// A table: where it is, its depth below the top table, and the first address that it translates.
#[derive(Clone, Copy)]
struct Table {
    at: VirtAddr,
    depth: usize,
    start: u64,
}

/// What a table's entries lead to, in their order.
enum Slot {
    Page(Element),
    Table(JoinHandle<Vec<Self>>),
}

impl PageTables {
    /// Hands over the entries of the lower half of the addresses, the process's own, that are not empty and lead to no table, by address:
    /// those that map a page and those of pages that are elsewhere. An element's index is the number of its first page, its depth the
    /// number of levels below its entry and itself (1 for a page of 4 KiB, 2 for one of 2 MiB). All tables of a level are read at the
    /// same time.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        let shared = Rc::new(Shared {
            tables: *self,
            space: space.clone(),
            visits: Visits::default(),
            pages: Cell::default(),
        });
        let top = Table {
            at: self.root,
            depth: 0,
            start: 0,
        };
        let mut stack = vec![shared.start(reader, top)];
        while let Some(slot) = stack.pop() {
            match slot {
                Slot::Table(handle) => stack.extend(handle.join(reader).await.into_iter().rev()),
                Slot::Page(element) => {
                    if let ControlFlow::Break(()) = sink(element).await {
                        return shared.visits.enough();
                    }
                }
            }
        }
        shared.visits.end()
    }
}

impl Shared {
    fn start(self: &Rc<Self>, reader: &Reader, table: Table) -> Slot {
        let shared = Rc::clone(self);
        Slot::Table(reader.spawn(move |reader| async move {
            let mut slots = Vec::new();
            if let Err(problem) = shared.read(&reader, table, &mut slots).await {
                shared.visits.fail(problem);
            }
            slots
        }))
    }

    /// Reads a table and starts the tables that it leads to.
    async fn read(
        self: &Rc<Self>,
        reader: &Reader,
        table: Table,
        slots: &mut Vec<Slot>,
    ) -> Result<(), Problem> {
        let format = self.space.format();
        let Some(level) = format.levels.get(table.depth) else {
            return Ok(());
        };
        if self.visits.has_enough() {
            return Ok(());
        }
        if !is_kernel_pointer(table.at) {
            let (at, what) = (table.at, "not a kernel pointer");
            return Err(Problem::BadNode { at, what });
        }
        if !self.visits.is_first(table.at) {
            return Err(Problem::Cycle(table.at));
        }
        // The upper half of the top table is the kernel's.
        let entries = level.entries() >> u32::from(table.depth == 0);
        let mut bytes = vec![0; (entries * ENTRY) as usize];
        reader.read(&self.space, table.at, &mut bytes).await?;
        for (number, bytes) in (0u64..).zip(bytes.chunks_exact(ENTRY as usize)) {
            let at = VirtAddr::new(table.at.get().wrapping_add(number * ENTRY));
            let start = table.start + number * level.page_size();
            let entry = little_endian(bytes);
            match level.kind_of(entry, format, self.space.encryption_mask()) {
                EntryKind::Empty => {}
                EntryKind::Page => slots.push(self.page(at, start, table.depth)?),
                EntryKind::Table(below) => {
                    let map = self.tables.direct_map.get();
                    let below = Table {
                        at: VirtAddr::new(map.wrapping_add(below.get())),
                        depth: table.depth + 1,
                        start,
                    };
                    slots.push(self.start(reader, below));
                }
                EntryKind::Reserved(_) => self.visits.fail(Problem::BadNode {
                    at,
                    what: "a page-table entry with reserved bits",
                }),
            }
        }
        Ok(())
    }

    /// An entry that leads to no table.
    fn page(&self, at: VirtAddr, start: u64, depth: usize) -> Result<Slot, Problem> {
        let count = self.pages.get() + 1;
        self.pages.set(count);
        if count > MOST_ELEMENTS {
            return Err(Problem::TooMany(count));
        }
        let levels: &[Level] = self.space.format().levels;
        let depth = levels.len().saturating_sub(depth) as u32;
        Ok(Slot::Page(Element {
            depth,
            ..Element::new(at, start >> PAGE_BITS)
        }))
    }
}
