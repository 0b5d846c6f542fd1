//! Frames of a stack that nobody runs on (`arch/x86/kernel/unwind_orc.c`, `unwind_next_frame`): from where a task gave up the CPU to
//! where it came into the kernel, by the kernel's own tables of how each instruction finds its caller.
//!
//! An element is the word on the stack that holds a frame's address of code: a return address, or, where an interrupt or exception
//! came, the instruction that it came at; then the element's depth is 1. Every step goes up the stack and none leaves it, so the walk
//! ends on any memory.

mod layout;
mod tables;

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader};

use super::{Element, End, Pace, Problem, Sink, little_endian};

use layout::{BY_FRAME_POINTER, Base, FrameBase, Kind, Rule};

pub use layout::{
    EntryLayout, Field, FrameKinds, FramesLayout, RegisterNumbers, RegistersLayout, SavedLayout,
};
use tables::holds;

pub use tables::{FrameTable, KernelTable};

/// A future that gives the table for an address of others' code, where there is one.
pub type TableFound = Pin<Box<dyn Future<Output = Option<FrameTable>>>>;

/// Who finds the table for an address of others' code.
pub type TableFinder = Rc<dyn Fn(Reader, VirtAddr) -> TableFound>;

/// The tables of others than the kernel: of modules.
#[derive(Clone)]
pub struct OtherTables {
    /// The first byte of their code, and the byte behind the last.
    pub code: (VirtAddr, VirtAddr),
    /// Who finds them.
    pub find: TableFinder,
}

impl std::fmt::Debug for OtherTables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OtherTables")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// The stack of a task that does not run.
#[derive(Clone, Debug)]
pub struct Frames {
    /// Its lowest byte.
    pub lowest: VirtAddr,
    /// Its bytes.
    pub size: u64,
    /// What the task left on it when it gave up the CPU.
    pub saved: VirtAddr,
    /// The first instruction of a task that has not run yet.
    pub unstarted: VirtAddr,
    /// The first instruction of any function: there the caller's stack pointer comes from the stack pointer, which tells how registers
    /// are numbered.
    pub function: VirtAddr,
    /// The kernel's own table.
    pub kernel: KernelTable,
    /// Those of others.
    pub others: OtherTables,
    /// Where the kernel keeps what.
    pub layout: Rc<FramesLayout>,
}

/// More bytes than any kernel's stack has.
const LARGEST_STACK: u64 = 1 << 20;

/// Larger than any entry of a table.
const LARGEST_ENTRY: u64 = 64;

/// Bytes of the stack that are read at first where a few frames may do.
const FEW_BYTES: u64 = 512;

/// Bytes of an address.
const WORD: u64 = 8;

/// A frame: the registers as far as they are known.
#[derive(Clone, Debug)]
struct State {
    /// The address of code, and the word that holds it.
    code: VirtAddr,
    place: VirtAddr,
    stack_pointer: VirtAddr,
    frame_pointer: VirtAddr,
    /// Whether that very instruction is next, and not one behind a call.
    is_signal: bool,
    /// Whether an interrupt or exception came at it.
    is_interrupted: bool,
    /// All registers, as an interrupt left them.
    registers: Option<VirtAddr>,
    doubt: Option<String>,
}

/// What a walk reads by.
#[derive(Clone, Copy)]
struct Through<'a> {
    reader: &'a Reader,
    space: &'a AddressSpace,
}

impl Frames {
    /// Hands over the frames from the innermost on, counted from 0. Those behind code that no table knows are suspect: they were found
    /// by its frame pointer, which it need not keep.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        self.walk_at(Pace::All, reader, space, sink).await
    }

    /// As [`Frames::walk`], at another pace.
    pub async fn walk_at(
        &self,
        pace: Pace,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
    ) -> End {
        let through = Through { reader, space };
        match self.go(pace, through, sink).await {
            Ok(end) => end,
            Err(problem) => End::Stopped(problem),
        }
    }

    async fn go(
        &self,
        pace: Pace,
        through: Through<'_>,
        sink: &mut impl Sink,
    ) -> Result<End, Problem> {
        if self.size > LARGEST_STACK || !self.is_inside(self.saved, self.layout.saved.size) {
            return wrong(
                self.saved,
                "a stack pointer that is not in the task's stack",
            );
        }
        if !(1..=LARGEST_ENTRY).contains(&self.layout.entry.size) {
            return wrong(
                self.kernel.table.entries,
                "a table of frames whose entries have no sensible size",
            );
        }
        self.read_ahead(pace, through);
        let numbers = self.numbers(through);
        let mut state = self.start(through).await?;
        let mut index = 0;
        if hand_over(&state, index, sink).await.is_break() {
            return Ok(End::Enough);
        }
        let numbers = numbers.join(through.reader).await?;
        while let Some(caller) = self.caller(&state, &numbers, through).await? {
            if caller.stack_pointer <= state.stack_pointer {
                return wrong(caller.place, "a frame that does not go up the stack");
            }
            state = caller;
            index += 1;
            if hand_over(&state, index, sink).await.is_break() {
                return Ok(End::Enough);
            }
        }
        Ok(End::Complete)
    }

    /// The byte behind the stack's last.
    fn top(&self) -> u64 {
        self.lowest.get().saturating_add(self.size)
    }

    /// Whether `length` bytes lie in the part of the stack that is in use.
    fn is_inside(&self, at: VirtAddr, length: u64) -> bool {
        let end = at.get().checked_add(length);
        at >= self.saved.max(self.lowest) && end.is_some_and(|end| end <= self.top())
    }

    /// Asks for the part of the stack that is in use, and for what the tables say of all that lies there and may be a return address.
    fn read_ahead(&self, pace: Pace, through: Through<'_>) {
        let Through { reader, space } = through;
        let used = self.top() - self.saved.get();
        if pace == Pace::AsWanted {
            reader.prefetch(space, self.saved, used.min(FEW_BYTES));
            return;
        }
        reader.prefetch(space, self.saved, used);
        let (frames, space) = (self.clone(), space.clone());
        reader.predict(move |reader| async move {
            let mut words = Vec::new();
            let mut at = frames.saved.get();
            while at < frames.top() {
                let here = (PAGE_SIZE - at % PAGE_SIZE).min(frames.top() - at);
                let mut bytes = vec![0; here as usize];
                let place = VirtAddr::new(at);
                if reader.read(&space, place, &mut bytes).await.is_ok() {
                    words.extend(bytes.chunks_exact(WORD as usize).map(little_endian));
                }
                at += here;
            }
            // A return address is looked up by the call before it.
            let code = words
                .into_iter()
                .map(|word: u64| VirtAddr::new(word.wrapping_sub(1)));
            for other in code.clone().filter(|code| holds(frames.others.code, *code)) {
                frames.foresee_other(other, &reader, &space);
            }
            let size = frames.layout.entry.size;
            frames.kernel.foresee(code, size, &reader, &space).await;
        });
    }

    /// Reads ahead what the table of others says of their code.
    fn foresee_other(&self, code: VirtAddr, reader: &Reader, space: &AddressSpace) {
        let (frames, space) = (self.clone(), space.clone());
        reader.predict(move |reader| async move {
            if let Some(table) = (frames.others.find)(reader.clone(), code).await {
                let size = frames.layout.entry.size;
                let _ = table.find(code, size, &reader, &space).await;
            }
        });
    }

    /// Starts to find out how registers are numbered.
    fn numbers(&self, through: Through<'_>) -> JoinHandle<Result<RegisterNumbers, Problem>> {
        let (frames, space) = (self.clone(), through.space.clone());
        through.reader.spawn(move |reader| async move {
            let through = Through {
                reader: &reader,
                space: &space,
            };
            let entry = frames.entry(frames.function, through).await?;
            let numbers = entry.and_then(|entry| frames.layout.numbering(&entry).cloned());
            numbers.ok_or(Problem::BadNode {
                at: frames.function,
                what: "a table of frames whose numbers of registers are not known",
            })
        })
    }

    /// The bytes of the entry for an address of code.
    async fn entry(
        &self,
        code: VirtAddr,
        through: Through<'_>,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let Through { reader, space } = through;
        let size = self.layout.entry.size;
        if let Some(entry) = self.kernel.find(code, size, reader, space).await? {
            return Ok(Some(entry));
        }
        if !holds(self.others.code, code) {
            return Ok(None);
        }
        match (self.others.find)(reader.clone(), code).await {
            Some(table) => table.find(code, size, reader, space).await,
            None => Ok(None),
        }
    }

    /// The innermost frame: where the task gave up the CPU.
    async fn start(&self, through: Through<'_>) -> Result<State, Problem> {
        let layout = &self.layout.saved;
        let place = offset(self.saved, layout.return_address);
        let frame_pointer = offset(self.saved, layout.frame_pointer);
        let code = self.word(place, through).await?;
        Ok(State {
            code,
            place,
            stack_pointer: offset(self.saved, layout.size),
            frame_pointer: self.word(frame_pointer, through).await?,
            is_signal: code == self.unstarted,
            is_interrupted: false,
            registers: None,
            doubt: None,
        })
    }

    /// A frame's caller's; `None` where nothing in the kernel called it.
    async fn caller(
        &self,
        state: &State,
        numbers: &RegisterNumbers,
        through: Through<'_>,
    ) -> Result<Option<State>, Problem> {
        // Behind a call there may be other code than the caller's, so that the call itself is looked up.
        let before = i64::from(!state.is_signal);
        let code = state.code.wrapping_offset(-before);
        let mut state = state.clone();
        let rule = match self.entry(code, through).await? {
            Some(entry) => match self.layout.rule(numbers, &entry) {
                Ok(Some(rule)) => rule,
                Ok(None) => return Ok(None),
                Err(what) => return wrong(state.code, what),
            },
            None => {
                let doubt = || format!("no table of frames has {}", state.code);
                state.doubt.get_or_insert_with(doubt);
                BY_FRAME_POINTER
            }
        };
        let base = self.base(&state, &rule, through).await?;
        let Some(next) = self.left(state, &rule, base, through).await? else {
            return Ok(None);
        };
        let frame_pointer = self.frame_pointer(&next, &rule, base, through).await?;
        Ok(Some(State {
            frame_pointer,
            is_signal: rule.is_signal,
            ..next
        }))
    }

    /// Where the caller's frame begins, or the registers that an interrupt left.
    async fn base(
        &self,
        state: &State,
        rule: &Rule,
        through: Through<'_>,
    ) -> Result<VirtAddr, Problem> {
        let beside = |pointer: VirtAddr| pointer.wrapping_offset(rule.offset);
        let base = match rule.base {
            Base::StackPointer => beside(state.stack_pointer),
            Base::FramePointer => beside(state.frame_pointer),
            Base::AtStackPointer => beside(self.word(state.stack_pointer, through).await?),
            Base::AtFramePointer => self.word(beside(state.frame_pointer), through).await?,
            Base::Saved(register) => match state.registers {
                Some(registers) => self.word(offset(registers, register), through).await?,
                None => return wrong(state.code, "a frame by a register that is not known"),
            },
        };
        if base.get().is_multiple_of(WORD) {
            Ok(base)
        } else {
            wrong(base, "a frame that does not begin at a word")
        }
    }

    /// The caller's address of code and stack pointer; `None` where that is a program.
    async fn left(
        &self,
        state: State,
        rule: &Rule,
        base: VirtAddr,
        through: Through<'_>,
    ) -> Result<Option<State>, Problem> {
        let layout = &self.layout.registers;
        let (place, registers) = match rule.kind {
            Kind::Call => (base.wrapping_offset(-(WORD as i64)), None),
            Kind::Registers => (offset(base, layout.instruction_pointer), Some(base)),
            Kind::PartialRegisters => (base, state.registers),
        };
        let code = self.word(place, through).await?;
        let is_interrupted = rule.kind != Kind::Call;
        let mut stack_pointer = base;
        if is_interrupted {
            let start = VirtAddr::new(place.get().wrapping_sub(layout.instruction_pointer));
            let selector = self.word(offset(start, layout.selector), through).await?;
            if selector.get() & layout.user != 0 {
                return Ok(None);
            }
            stack_pointer = self
                .word(offset(start, layout.stack_pointer), through)
                .await?;
        }
        if code.get() >> 56 != 0xff {
            return wrong(place, "an address of code that is not the kernel's");
        }
        Ok(Some(State {
            code,
            place,
            stack_pointer,
            registers,
            is_interrupted,
            ..state
        }))
    }

    /// The caller's frame pointer.
    async fn frame_pointer(
        &self,
        next: &State,
        rule: &Rule,
        base: VirtAddr,
        through: Through<'_>,
    ) -> Result<VirtAddr, Problem> {
        let saved = self.layout.registers.frame_pointer;
        let place = match (rule.frame, next.registers) {
            (FrameBase::Unchanged, None) => return Ok(next.frame_pointer),
            (FrameBase::Unchanged, Some(registers)) => offset(registers, saved),
            (FrameBase::PreviousStackPointer, _) => base.wrapping_offset(rule.frame_offset),
            (FrameBase::FramePointer, _) => next.frame_pointer.wrapping_offset(rule.frame_offset),
        };
        self.word(place, through).await
    }

    /// A word of the stack.
    async fn word(&self, at: VirtAddr, through: Through<'_>) -> Result<VirtAddr, Problem> {
        if !self.is_inside(at, WORD) {
            return wrong(at, "a frame that is not in the task's stack");
        }
        Ok(through.reader.pointer(through.space, at).await?)
    }
}

async fn hand_over(state: &State, index: u64, sink: &mut impl Sink) -> ControlFlow<()> {
    let element = Element {
        depth: u32::from(state.is_interrupted),
        ..Element::new(state.place, index)
    };
    if let Some(doubt) = &state.doubt {
        element.quality.suspect(doubt.clone());
    }
    sink(element).await
}

fn wrong<T>(at: VirtAddr, what: &'static str) -> Result<T, Problem> {
    Err(Problem::BadNode { at, what })
}

fn offset(at: VirtAddr, bytes: u64) -> VirtAddr {
    VirtAddr::new(at.get().wrapping_add(bytes))
}
