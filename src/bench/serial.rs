//! The process list as LibTLP's `process-list` reads it: one field at a time, each read after the answer to the one before.
//!
//! Written from what its reads look like on the wire: of every task its `children` (16 bytes), `sibling` (16) and `real_parent` (8), then
//! what is printed: `pid` (4), `comm` (16) and the state (8); depth first, a task before its children before its next sibling; the
//! root's links are read once more at the start. That is 6n + 3 reads for n tasks, each of which waits for the one before it. There
//! is no cache, no reading ahead and no merging; addresses are those of the direct map and of the kernel image, by arithmetic.
//!
//! Two things differ, so that it ends on any memory: it is a loop and not a recursion, and it visits no task twice.

use std::collections::HashSet;

use crate::addr::{PhysAddr, VirtAddr};
use crate::locate::Kernel;
use crate::paging::LinearMap;
use crate::profile::{Aggregate, LayoutProfile};

use super::BenchError;
use super::single_tag::OneByOne;

/// Tasks that it visits at most: the largest `pid_max` of Linux.
const MOST_TASKS: usize = 4_194_304;

/// A task as both ways of reading it must see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Task {
    /// Where its `task_struct` is.
    pub physical: PhysAddr,
    /// Its process id.
    pub pid: i32,
    /// The low 32 bits of its state, as the kernel has it.
    pub state: u32,
    /// Its name, up to the first zero byte.
    pub comm: Vec<u8>,
}

/// What the list needs to know of a kernel.
#[derive(Debug)]
pub(super) struct ProcessList {
    members: Members,
    linear: Vec<LinearMap>,
    root: VirtAddr,
}

/// Distances in a `task_struct`.
#[derive(Debug)]
struct Members {
    children: u64,
    sibling: u64,
    real_parent: u64,
    pid: u64,
    comm: u64,
    state: u64,
}

impl Members {
    fn new(task: &Aggregate) -> Result<Self, BenchError> {
        let find = |member: &str| task.member(member).map(|found| found.offset);
        let offset = |member: &'static str| find(member).ok_or(BenchError::NoMember { member });
        Ok(Self {
            children: offset("children")?,
            sibling: offset("sibling")?,
            real_parent: offset("real_parent")?,
            pid: offset("pid")?,
            comm: offset("comm")?,
            state: find(STATE).map_or_else(|| offset(OLD_STATE), Ok)?,
        })
    }
}

/// The member that holds the state.
pub(super) const STATE: &str = "__state";
/// Its name before Linux 5.14.
pub(super) const OLD_STATE: &str = "state";

/// Links of a task, as read.
struct Links {
    first_child: VirtAddr,
    next_sibling: VirtAddr,
    parent: VirtAddr,
}

impl ProcessList {
    /// The list of the kernel that was found. Errors: the profile lacks the task or one of its members.
    pub(super) fn new(profile: &LayoutProfile, kernel: &Kernel) -> Result<Self, BenchError> {
        let task = profile.structure("task_struct")?;
        let task = task.ok_or(BenchError::NoMember { member: "pid" })?;
        let root = profile.symbol("init_task")?.ok_or(BenchError::NoRoot)?;
        Ok(Self {
            members: Members::new(&task)?,
            linear: kernel.space.linear_maps().to_vec(),
            root: kernel.symbol_address(root.address),
        })
    }

    /// Reads the list, depth first. A link that leads nowhere ends its branch, as a task that was visited before does.
    pub(super) fn read(&self, memory: &mut dyn OneByOne) -> Result<Vec<Task>, BenchError> {
        let root = self.physical(self.root).ok_or(BenchError::NoRoot)?;
        self.links(root, memory)?;
        let mut tasks = Vec::new();
        let mut visited = HashSet::new();
        let mut pending = vec![self.root];
        while let Some(task) = pending.pop() {
            let Some(physical) = self.physical(task) else {
                continue;
            };
            if tasks.len() >= MOST_TASKS || !visited.insert(task) {
                continue;
            }
            let links = self.links(physical, memory)?;
            tasks.push(self.task(physical, memory)?);
            // The last in is the first out: all that is below the first child comes before the sibling.
            let end_of_siblings = at(links.parent, self.members.children);
            if task != self.root && links.next_sibling != end_of_siblings {
                pending.push(container(links.next_sibling, self.members.sibling));
            }
            if links.first_child != at(task, self.members.children) {
                pending.push(container(links.first_child, self.members.sibling));
            }
        }
        Ok(tasks)
    }

    /// Three reads.
    fn links(&self, task: PhysAddr, memory: &mut dyn OneByOne) -> Result<Links, BenchError> {
        let (mut children, mut sibling, mut parent) = ([0; 16], [0; 16], [0; 8]);
        memory.read(field(task, self.members.children), &mut children)?;
        memory.read(field(task, self.members.sibling), &mut sibling)?;
        memory.read(field(task, self.members.real_parent), &mut parent)?;
        Ok(Links {
            first_child: pointer(&children),
            next_sibling: pointer(&sibling),
            parent: pointer(&parent),
        })
    }

    /// Three reads more.
    fn task(&self, task: PhysAddr, memory: &mut dyn OneByOne) -> Result<Task, BenchError> {
        let (mut pid, mut comm, mut state) = ([0; 4], [0; 16], [0; 8]);
        memory.read(field(task, self.members.pid), &mut pid)?;
        memory.read(field(task, self.members.comm), &mut comm)?;
        memory.read(field(task, self.members.state), &mut state)?;
        let name = comm.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Task {
            physical: task,
            pid: i32::from_le_bytes(pid),
            // The low half of the long that LibTLP reads.
            state: u64::from_le_bytes(state) as u32,
            comm: name.to_vec(),
        })
    }

    fn physical(&self, address: VirtAddr) -> Option<PhysAddr> {
        let mut maps = self.linear.iter();
        maps.find_map(|map| map.lookup(address))
            .map(|(physical, _)| physical)
    }
}

fn field(task: PhysAddr, offset: u64) -> PhysAddr {
    PhysAddr::new(task.get().wrapping_add(offset))
}

fn at(task: VirtAddr, offset: u64) -> VirtAddr {
    VirtAddr::new(task.get().wrapping_add(offset))
}

fn container(link: VirtAddr, offset: u64) -> VirtAddr {
    VirtAddr::new(link.get().wrapping_sub(offset))
}

/// The pointer at the start of what was read.
fn pointer(bytes: &[u8]) -> VirtAddr {
    let mut first = [0; 8];
    first
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    VirtAddr::new(u64::from_le_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::PhysRange;
    use crate::memory::{Immediate, SparseMemory, read_batch};
    use crate::wave::fake::DIRECT;

    const MEMBERS: Members = Members {
        children: 0x10,
        sibling: 0x20,
        real_parent: 0x30,
        pid: 0x38,
        comm: 0x40,
        state: 0x50,
    };

    /// Reads pages and remembers the lengths that were asked for.
    struct Told {
        memory: Immediate<SparseMemory>,
        lengths: Vec<usize>,
    }

    impl OneByOne for Told {
        fn read(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), BenchError> {
            self.lengths.push(into.len());
            let range = PhysRange::of_length(address, into.len() as u64).unwrap();
            let bytes = read_batch(&mut self.memory, &[range]).remove(0);
            into.copy_from_slice(&bytes.map_err(|_| BenchError::NoAnswer { address })?);
            Ok(())
        }
    }

    fn task_at(number: u64) -> u64 {
        0x1000 * (number + 1)
    }

    /// Tasks by number, each with its parent; siblings are in the order in which they come here.
    fn machine(parents: &[u64]) -> SparseMemory {
        let mut memory = SparseMemory::new();
        let mut put = |physical: u64, bytes: &[u8]| memory.insert(PhysAddr::new(physical), bytes);
        for (number, parent) in (0..).zip(parents) {
            let task = task_at(number);
            let children: Vec<u64> = (1..parents.len() as u64)
                .filter(|&child| parents[child as usize] == number)
                .collect();
            let links = children
                .iter()
                .map(|&child| task_at(child) + MEMBERS.sibling);
            let mut ring: Vec<u64> = links.collect();
            ring.insert(0, task + MEMBERS.children);
            for (link, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                put(*link, &(DIRECT + next).to_le_bytes());
                put(*link + 8, &[0; 8]);
            }
            put(
                task + MEMBERS.real_parent,
                &(DIRECT + task_at(*parent)).to_le_bytes(),
            );
            put(task + MEMBERS.pid, &(number as u32).to_le_bytes());
            put(
                task + MEMBERS.comm,
                format!("task {number}\0\0\0\0\0\0\0\0\0\0")
                    .get(..16)
                    .unwrap()
                    .as_bytes(),
            );
            put(
                task + MEMBERS.state,
                &(0xffff_ffff_0000_0000 | number).to_le_bytes(),
            );
        }
        // The root is in no list: its link leads to itself.
        put(
            task_at(0) + MEMBERS.sibling,
            &(DIRECT + task_at(0) + MEMBERS.sibling).to_le_bytes(),
        );
        put(task_at(0) + MEMBERS.sibling + 8, &[0; 8]);
        memory
    }

    fn list() -> ProcessList {
        let linear = crate::wave::fake::space().linear_maps().to_vec();
        ProcessList {
            members: MEMBERS,
            linear,
            root: VirtAddr::new(DIRECT + task_at(0)),
        }
    }

    fn read(memory: SparseMemory) -> (Vec<Task>, Vec<usize>) {
        let mut told = Told {
            memory: Immediate::new(memory),
            lengths: Vec::new(),
        };
        let tasks = list().read(&mut told).unwrap();
        (tasks, told.lengths)
    }

    #[test]
    fn depth_first_in_six_reads_a_task_and_three() {
        // 0 has 1, 4 and 5; 1 has 2 and 3; 5 has 6.
        let (tasks, lengths) = read(machine(&[0, 0, 1, 1, 0, 0, 5]));
        let pids: Vec<i32> = tasks.iter().map(|task| task.pid).collect();
        assert_eq!(pids, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(lengths.len(), 6 * 7 + 3);
        assert_eq!(lengths[..9], [16, 16, 8, 16, 16, 8, 4, 16, 8]);
        let expected = Task {
            physical: PhysAddr::new(task_at(6)),
            pid: 6,
            state: 6,
            comm: b"task 6".to_vec(),
        };
        assert_eq!(tasks[6], expected);
    }

    #[test]
    fn a_ring_of_siblings_that_does_not_come_back_to_the_parent_ends() {
        let mut memory = machine(&[0, 0, 0, 0]);
        let wrong = DIRECT + task_at(1) + MEMBERS.sibling;
        memory.insert(
            PhysAddr::new(task_at(3) + MEMBERS.sibling),
            &wrong.to_le_bytes(),
        );
        let (tasks, lengths) = read(memory);
        assert_eq!((tasks.len(), lengths.len()), (4, 6 * 4 + 3));
    }

    #[test]
    fn a_link_out_of_the_linear_maps_ends_its_branch() {
        let mut memory = machine(&[0, 0, 0, 2]);
        memory.insert(
            PhysAddr::new(task_at(2) + MEMBERS.children),
            &0x7fff_u64.to_le_bytes(),
        );
        let (tasks, _) = read(memory);
        let pids: Vec<i32> = tasks.iter().map(|task| task.pid).collect();
        assert_eq!(pids, [0, 1, 2]);
    }
}
