//! Frames of a stack: rules of all kinds, tables of all kinds, and stacks and tables that lie.

use super::*;

/// The stack, its bytes, and what its task left on it.
const STACK: u64 = 0x1_0000;
const SIZE: u64 = 0x4000;
const SAVED: u64 = STACK + 0x3800;
/// Tables.
const ADDRESSES: u64 = 0x2_0000;
const ENTRIES: u64 = 0x2_8000;
const BLOCKS: u64 = 0x3_0000;
const MODULE_ADDRESSES: u64 = 0x3_8000;
const MODULE_ENTRIES: u64 = 0x3_9000;
/// Code, which nothing reads, near the tables: the kernel's, what it gives away, a module's, a program of BPF's.
const CODE: u64 = DIRECT + 0x1000_0000;
const INITIAL_CODE: u64 = CODE + 0x10_0000;
const MODULE: u64 = DIRECT + 0x2000_0000;
const PROGRAM: u64 = DIRECT + 0x3000_0000;
const FUNCTION: u64 = CODE + 0x80;
const UNSTARTED: u64 = CODE + 0x400;

const CALL: u64 = 2;
const REGISTERS: u64 = 3;
const PARTIAL: u64 = 4;
const END: u64 = 1;

/// Registers of the second numbering.
const PREVIOUS: u64 = 8;
const STACK_POINTER: u64 = 3;
const FRAME_POINTER: u64 = 4;
const AT_STACK_POINTER: u64 = 9;
const AT_FRAME_POINTER: u64 = 10;
const R10: u64 = 6;

/// Offsets of `struct pt_regs`.
const REGISTERS_SIZE: u64 = 168;
const SAVED_R10: u64 = 56;
const SAVED_FRAME_POINTER: u64 = 32;
const SAVED_CODE: u64 = 128;

fn numbering(stack_pointer: u64, previous_stack_pointer: u64) -> RegisterNumbers {
    RegisterNumbers {
        undefined: 0,
        previous_stack_pointer,
        stack_pointer,
        frame_pointer: FRAME_POINTER,
        stack_pointer_indirect: AT_STACK_POINTER,
        frame_pointer_indirect: AT_FRAME_POINTER,
        saved: vec![(R10, SAVED_R10)],
    }
}

pub(super) fn layout() -> FramesLayout {
    let field = |offset, bit, bits| Field { offset, bit, bits };
    FramesLayout {
        saved: SavedLayout {
            size: 56,
            frame_pointer: 40,
            return_address: 48,
        },
        registers: RegistersLayout {
            instruction_pointer: SAVED_CODE,
            stack_pointer: SAVED_CODE + 24,
            frame_pointer: SAVED_FRAME_POINTER,
            selector: SAVED_CODE + 8,
            user: 3,
        },
        entry: EntryLayout {
            size: 6,
            stack_offset: field(0, 0, 16),
            frame_offset: field(2, 0, 16),
            stack_register: field(4, 0, 4),
            frame_register: field(4, 4, 4),
            kind: field(5, 0, 3),
            signal: Some(field(5, 3, 1)),
            end: None,
        },
        kinds: FrameKinds {
            undefined: Some(0),
            end: Some(END),
            call: CALL,
            registers: REGISTERS,
            partial_registers: PARTIAL,
        },
        numbers: vec![numbering(5, 1), numbering(STACK_POINTER, PREVIOUS)],
    }
}

/// From where on an entry holds, and what it says: register and offset of the stack pointer, of the frame pointer, kind, signal.
type Entry = (u64, (u64, i64), (u64, i64), u64, bool);

fn plain(code: u64, offset: i64) -> Entry {
    (code, (STACK_POINTER, offset), (0, 0), CALL, false)
}

/// A table of entries by address, with room between what is put.
fn put_table(memory: &mut SparseMemory, addresses: u64, entries: u64, all: &[Entry]) {
    for (number, (code, stack, frame, kind, signal)) in (0..).zip(all) {
        let place = addresses + number * 4;
        let distance = code.wrapping_sub(DIRECT + place) as u32;
        memory.insert(PhysAddr::new(place), &distance.to_le_bytes());
        let flags = stack.0 | frame.0 << 4 | kind << 8 | u64::from(*signal) << 11;
        let words = [stack.1 as u16, frame.1 as u16, flags as u16];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.insert(PhysAddr::new(entries + number * 6), &bytes);
    }
}

/// A kernel of these entries, which must be by address, and all that stacks need.
struct Kernel {
    memory: SparseMemory,
    count: u64,
}

impl Kernel {
    fn new(entries: &[Entry]) -> Self {
        let pages = (STACK..STACK + SIZE).chain(ADDRESSES..MODULE_ENTRIES + 0x2000);
        let mut memory = blank(pages.step_by(4096));
        let mut all = vec![plain(CODE, 8), plain(FUNCTION, 8)];
        all.extend(entries);
        all.sort_unstable();
        put_table(&mut memory, ADDRESSES, ENTRIES, &all);
        for block in 0..=0x1000_u64 {
            let start = CODE + block * 0x100;
            let behind = all.partition_point(|entry| entry.0 <= start).max(1);
            let first = (behind - 1) as u32;
            memory.insert(PhysAddr::new(BLOCKS + block * 4), &first.to_le_bytes());
        }
        Self {
            memory,
            count: all.len() as u64,
        }
    }

    /// What the task left: where it goes on, and its frame pointer; above it these words.
    fn with_stack(mut self, code: u64, frame_pointer: u64, words: &[u64]) -> Self {
        put(&mut self.memory, SAVED + 40, frame_pointer);
        put(&mut self.memory, SAVED + 48, code);
        for (number, word) in (0..).zip(words) {
            put(&mut self.memory, SAVED + 56 + number * 8, *word);
        }
        self
    }

    fn frames(&self) -> Frames {
        Frames {
            lowest: direct(STACK),
            size: SIZE,
            saved: direct(SAVED),
            unstarted: VirtAddr::new(UNSTARTED),
            function: VirtAddr::new(FUNCTION),
            kernel: KernelTable {
                table: FrameTable {
                    addresses: direct(ADDRESSES),
                    entries: direct(ENTRIES),
                    count: self.count,
                },
                code: (VirtAddr::new(CODE), VirtAddr::new(INITIAL_CODE)),
                initial_code: (
                    VirtAddr::new(INITIAL_CODE),
                    VirtAddr::new(INITIAL_CODE + 0x10_0000),
                ),
                blocks: direct(BLOCKS),
                block_count: 0x1001,
                block_size: 0x100,
            },
            others: OtherTables {
                code: (VirtAddr::new(MODULE), VirtAddr::new(MODULE + 0x2000)),
                find: Rc::new(|_, address| {
                    let is_module = address.get() < MODULE + 0x1000;
                    Box::pin(async move {
                        is_module.then_some(FrameTable {
                            addresses: direct(MODULE_ADDRESSES),
                            entries: direct(MODULE_ENTRIES),
                            count: 600,
                        })
                    })
                }),
            },
            layout: Rc::new(layout()),
        }
    }

    fn walk(&self) -> Walked {
        walk(Container::Frames(self.frames()), &self.memory)
    }
}

/// The place of a word above what the task left, by its number.
fn word(number: u64) -> u64 {
    DIRECT + SAVED + 56 + number * 8
}

fn stopped(walked: &Walked) -> String {
    match &walked.end {
        End::Stopped(problem) => problem.to_string(),
        end => format!("{end:?}"),
    }
}

#[test]
fn calls_are_followed_to_where_nothing_called() {
    let kernel = Kernel::new(&[
        plain(CODE + 0x1000, 0x20),
        // Where the function has made its frame larger, and behind the call smaller again.
        plain(CODE + 0x1010, 0x28),
        plain(CODE + 0x1020, 0x20),
        (CODE + 0x2000, (0, 0), (0, 0), END, false),
    ])
    .with_stack(
        CODE + 0x1020,
        0,
        &[0, 0, 0, 0, CODE + 0x1005, 0, 0, 0, CODE + 0x2001],
    );
    let walked = kernel.walk();
    assert_eq!(walked.end, End::Complete);
    assert_eq!(walked.addresses(), [DIRECT + SAVED + 48, word(4), word(8)]);
    assert_eq!(walked.elements[2].index, 2);
    assert!(walked.doubtful().is_empty());
}

#[test]
fn frame_pointers_are_kept_and_used() {
    let by = |code, stack, frame| (code, stack, frame, CALL, false);
    let words = [
        0,
        word(7),
        CODE + 0x2001,
        0,
        0,
        0,
        0,
        word(10),
        CODE + 0x3001,
        0,
        word(13),
        0,
        CODE + 0x4001,
        word(16),
        0,
        CODE + 0x5001,
    ];
    let kernel = Kernel::new(&[
        // The caller's frame pointer lies below its stack pointer, at it, and where a word says.
        by(CODE + 0x1000, (STACK_POINTER, 0x18), (PREVIOUS, -0x10)),
        by(CODE + 0x2000, (FRAME_POINTER, 0x10), (FRAME_POINTER, 0)),
        by(CODE + 0x3000, (AT_FRAME_POINTER, 0), (0, 0)),
        by(CODE + 0x4000, (AT_STACK_POINTER, 0), (0, 0)),
        (CODE + 0x5000, (0, 0), (0, 0), END, false),
    ])
    .with_stack(CODE + 0x1001, 0, &words);
    let walked = kernel.walk();
    assert_eq!(walked.end, End::Complete);
    let places = [2, 8, 12, 15].map(word);
    assert_eq!(walked.addresses()[1..], places);
}

/// What an interrupt left: the code it came at, its segment, the stack pointer, the frame pointer and r10.
fn interrupted(code: u64, selector: u64, stack: u64, frame: u64, r10: u64) -> Vec<u64> {
    let mut words = vec![0; (REGISTERS_SIZE / 8) as usize];
    words[(SAVED_CODE / 8) as usize] = code;
    words[(SAVED_CODE / 8) as usize + 1] = selector;
    words[(SAVED_CODE / 8) as usize + 3] = stack;
    words[(SAVED_FRAME_POINTER / 8) as usize] = frame;
    words[(SAVED_R10 / 8) as usize] = r10;
    words
}

#[test]
fn what_an_interrupt_came_to_goes_on_with_its_registers() {
    let registers = |kind| {
        Kernel::new(&[
            (CODE + 0x1000, (STACK_POINTER, 8), (0, 0), kind, true),
            // By r10, at the very instruction; one before is other code.
            (CODE + 0x1ff0, (0, 0), (0, 0), 0, false),
            (CODE + 0x2000, (R10, 0), (0, 0), CALL, false),
            (CODE + 0x3000, (FRAME_POINTER, 0x10), (0, 0), CALL, false),
            (CODE + 0x4000, (0, 0), (0, 0), END, false),
        ])
    };
    let behind = 1 + REGISTERS_SIZE / 8;
    let mut words = vec![0];
    words.extend(interrupted(
        CODE + 0x2000,
        0x10,
        word(behind),
        word(behind + 3),
        word(behind + 2),
    ));
    words.extend([0, CODE + 0x3001, 0, 0, CODE + 0x4001]);
    let walked = registers(REGISTERS)
        .with_stack(CODE + 0x1001, 0, &words)
        .walk();
    assert_eq!(walked.end, End::Complete);
    let code = word(1) + SAVED_CODE;
    let places = [code, word(behind + 1), word(behind + 4)];
    assert_eq!(walked.addresses()[1..], places);
    let depths: Vec<_> = walked.elements.iter().map(|one| one.depth).collect();
    assert_eq!(depths, [0, 1, 0, 0]);
    // Where a program ran, the kernel's frames end.
    words[1 + (SAVED_CODE / 8) as usize + 1] = 0x33;
    let walked = registers(REGISTERS)
        .with_stack(CODE + 0x1001, 0, &words)
        .walk();
    assert_eq!((walked.end, walked.elements.len()), (End::Complete, 1));
    // Of what the processor alone saved r10 is not known.
    let partial = [0, CODE + 0x2000, 0x10, 0, word(8), 0];
    let walked = registers(PARTIAL)
        .with_stack(CODE + 0x1001, 0, &partial)
        .walk();
    assert_eq!(walked.addresses()[1..], [word(1)]);
    assert!(stopped(&walked).contains("a register that is not known"));
}

#[test]
fn a_task_that_has_not_run_yet_begins_at_its_first_instruction() {
    let kernel = Kernel::new(&[
        (UNSTARTED - 0x10, (0, 0), (0, 0), 0, false),
        (UNSTARTED, (0, 0), (0, 0), END, false),
    ])
    .with_stack(UNSTARTED, 0, &[]);
    let walked = kernel.walk();
    assert_eq!((walked.end, walked.elements.len()), (End::Complete, 1));
}

#[test]
fn modules_have_tables_of_their_own() {
    let entries: Vec<_> = (0..600)
        .map(|number| plain(MODULE + number * 4, 8 + (number % 3 * 8) as i64))
        .collect();
    // Calls from all over the module, each with a frame of its own size.
    let calls: Vec<_> = (0..20).map(|number| number * 29 + 5).collect();
    let mut words = Vec::new();
    let mut places = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        words.extend(vec![0; (*call % 3) as usize]);
        places.push(word(words.len() as u64));
        let next = calls.get(number + 1);
        words.push(next.map_or(CODE + 0x1001, |next| MODULE + next * 4 + 2));
    }
    let end = (CODE + 0x1000, (0, 0), (0, 0), END, false);
    let mut kernel = Kernel::new(&[end]).with_stack(MODULE + calls[0] * 4 + 2, 0, &words);
    put_table(
        &mut kernel.memory,
        MODULE_ADDRESSES,
        MODULE_ENTRIES,
        &entries,
    );
    let walked = kernel.walk();
    assert_eq!(walked.end, End::Complete);
    assert_eq!(walked.addresses()[1..], places);
    assert!(walked.cost.rounds <= 4, "{:?}", walked.cost);
}

#[test]
fn code_of_which_no_table_knows_is_left_by_its_frame_pointer_and_doubted() {
    let end = (CODE + 0x1000, (0, 0), (0, 0), END, false);
    for code in [PROGRAM, MODULE + 0x1800] {
        let words = [0, 0, word(6), CODE + 0x1001];
        let kernel = Kernel::new(&[end]).with_stack(code, word(2), &words);
        let walked = kernel.walk();
        assert_eq!(walked.end, End::Complete);
        assert_eq!(walked.addresses()[1..], [word(3)]);
        assert_eq!(walked.doubtful(), [1]);
    }
}

#[test]
fn a_large_table_without_blocks_is_narrowed_down() {
    let mut entries: Vec<_> = (0..2000)
        .map(|number| plain(INITIAL_CODE + number * 0x10, 8))
        .collect();
    entries[1234] = plain(INITIAL_CODE + 1234 * 0x10, 0x18);
    entries[77] = (INITIAL_CODE + 77 * 0x10, (0, 0), (0, 0), END, false);
    let kernel = Kernel::new(&entries).with_stack(
        INITIAL_CODE + 1234 * 0x10 + 1,
        0,
        &[0, 0, INITIAL_CODE + 77 * 0x10 + 0x10],
    );
    let walked = kernel.walk();
    assert_eq!(walked.end, End::Complete);
    assert_eq!(walked.addresses()[1..], [word(2)]);
}

#[test]
fn a_deep_stack_takes_as_many_rounds_as_a_flat_one() {
    let mut entries: Vec<_> = (0..60)
        .map(|number| plain(CODE + 0x1000 + number * 0x1000, 8))
        .collect();
    entries[59] = (CODE + 0x1000 + 59 * 0x1000, (0, 0), (0, 0), END, false);
    let words: Vec<_> = (1..60)
        .map(|number| CODE + 0x1000 + number * 0x1000 + 1)
        .collect();
    let kernel = Kernel::new(&entries).with_stack(CODE + 0x1001, 0, &words);
    let walked = kernel.walk();
    assert_eq!((walked.end, walked.elements.len()), (End::Complete, 60));
    assert!(walked.cost.rounds <= 3, "{:?}", walked.cost);
    // One that wants a few reads no more than those.
    let few = walk_few(Container::Frames(kernel.frames()), &kernel.memory, 2);
    assert!(few.cost.reads < walked.cost.reads / 3, "{:?}", few.cost);
}

#[test]
fn lies_are_told_and_end_the_walk() {
    let known = |code: u64, stack: (u64, i64)| {
        let end = (CODE + 0x9000, (0, 0), (0, 0), END, false);
        Kernel::new(&[(CODE + 0x1000, stack, (0, 0), code, false), end])
    };
    let goes = |kernel: Kernel, words: &[u64]| {
        let walked = kernel.with_stack(CODE + 0x1001, 0, words).walk();
        assert_eq!(walked.elements.len(), 1);
        stopped(&walked)
    };
    let down = known(CALL, (STACK_POINTER, 0));
    assert!(goes(down, &[]).contains("up the stack"));
    let out = known(CALL, (STACK_POINTER, 0x7000));
    assert!(goes(out, &[]).contains("not in the task's stack"));
    let odd = known(CALL, (STACK_POINTER, 3));
    assert!(goes(odd, &[]).contains("begin at a word"));
    let unknown = known(7, (STACK_POINTER, 8));
    assert!(goes(unknown, &[]).contains("kind of frame"));
    let undefined = known(0, (0, 0));
    assert!(goes(undefined, &[]).contains("knows nothing"));
    let register = known(CALL, (14, 8));
    assert!(goes(register, &[]).contains("names a register"));
    let user = known(CALL, (STACK_POINTER, 8));
    assert!(goes(user, &[0x7fff_0000_1234]).contains("not the kernel's"));
    let mut elsewhere = known(CALL, (STACK_POINTER, 8)).frames();
    elsewhere.saved = direct(STACK - 8);
    let walked = walk(Container::Frames(elsewhere), &known(CALL, (3, 8)).memory);
    assert!(stopped(&walked).contains("not in the task's stack"));
}

#[test]
fn numbers_that_fit_no_kernel_are_not_believed() {
    let mut kernel = Kernel::new(&[plain(FUNCTION + 1, 8)]).with_stack(CODE + 0x1001, 0, &[0]);
    let strange = (FUNCTION, (12, 8), (0, 0), CALL, false);
    put_table(
        &mut kernel.memory,
        ADDRESSES,
        ENTRIES,
        &[plain(CODE, 8), strange],
    );
    let walked = kernel.walk();
    assert!(stopped(&walked).contains("numbers of registers"));
}

#[test]
fn a_page_that_cannot_be_read_is_told() {
    let end = (CODE + 0x1000, (0, 0), (0, 0), END, false);
    let kernel = Kernel::new(&[end]).with_stack(CODE + 0x1001, 0, &[]);
    for line in [SAVED, BLOCKS, ADDRESSES, ENTRIES] {
        let walked = walk_without(Container::Frames(kernel.frames()), &kernel.memory, &[line]);
        assert!(stopped(&walked).contains("could not be read"), "{line:#x}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_stack_and_any_table_end(seed in any::<u64>(), order in orders()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let registers = [0, PREVIOUS, STACK_POINTER, FRAME_POINTER, AT_STACK_POINTER, AT_FRAME_POINTER, R10];
        let entries: Vec<Entry> = (1..40)
            .map(|number| (
                CODE + 0x1000 + number * 0x100,
                (random.choice(registers).unwrap(), random.i64(-8..32) * 8),
                (random.choice(registers).unwrap(), random.i64(-8..32) * 8),
                random.u64(..6),
                random.bool(),
            ))
            .collect();
        let mut word = || match random.u32(..8) {
            0..4 => CODE + 0x1000 + random.u64(..0x3000),
            4..7 => DIRECT + STACK + random.u64(..SIZE / 8 + 4) * 8,
            _ => random.u64(..0x20),
        };
        let (code, frame_pointer) = (word(), word());
        let words: Vec<_> = (0..(STACK + SIZE - SAVED - 56) / 8).map(|_| word()).collect();
        let kernel = Kernel::new(&entries).with_stack(code, frame_pointer, &words);
        let memory = FakeMemory::new(kernel.memory.clone(), order);
        let walked = walk_with(Container::Frames(kernel.frames()), memory, Budget::default(), usize::MAX);
        prop_assert!(walked.elements.len() as u64 <= 1 + SIZE / 8);
        prop_assert_eq!(walked.cost.stopped, None);
    }
}
