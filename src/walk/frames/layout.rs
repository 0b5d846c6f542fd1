//! What a kernel's table of frames says (`arch/x86/include/asm/orc_types.h`): bits of an entry → how a frame is left for its caller's.

use crate::walk::little_endian;

/// Where the kernel keeps what, taken from its types, and what its numbers mean. Offsets and sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramesLayout {
    /// What a task that gave up the CPU left on its stack.
    pub saved: SavedLayout,
    /// The registers that an interrupt or exception leaves on the stack.
    pub registers: RegistersLayout,
    /// An entry of the table.
    pub entry: EntryLayout,
    /// Numbers of kinds of frames.
    pub kinds: FrameKinds,
    /// Numbers of registers, as kernels number them.
    pub numbers: Vec<RegisterNumbers>,
}

/// `struct inactive_task_frame`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedLayout {
    /// Bytes of it.
    pub size: u64,
    /// The frame pointer in it.
    pub frame_pointer: u64,
    /// The return address in it.
    pub return_address: u64,
}

/// `struct pt_regs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistersLayout {
    /// The address of the next instruction; where only part of the registers is saved, that part begins here.
    pub instruction_pointer: u64,
    /// The stack pointer.
    pub stack_pointer: u64,
    /// The frame pointer.
    pub frame_pointer: u64,
    /// The code segment.
    pub selector: u64,
    /// Bits of the code segment that say that a program ran, not the kernel.
    pub user: u64,
}

/// Some bits of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The byte in which they begin.
    pub offset: u64,
    /// The lowest of them in it.
    pub bit: u32,
    /// How many there are, 1 to 32.
    pub bits: u32,
}

impl Field {
    /// The number that the bits are; bits beyond the entry's end are 0.
    fn unsigned(self, entry: &[u8]) -> u64 {
        let rest = usize::try_from(self.offset).ok();
        let rest = rest.and_then(|at| entry.get(at..)).unwrap_or(&[]);
        let word = little_endian(&rest[..rest.len().min(8)]);
        word.checked_shr(self.bit).unwrap_or(0) & ((1 << self.bits.min(32)) - 1)
    }

    /// The number that the bits are as a two's complement.
    fn signed(self, entry: &[u8]) -> i64 {
        let unused = 64 - self.bits.clamp(1, 32);
        (self.unsigned(entry) << unused) as i64 >> unused
    }
}

/// `struct orc_entry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryLayout {
    /// Bytes of an entry.
    pub size: u64,
    /// What is added to the register that the caller's stack pointer comes from.
    pub stack_offset: Field,
    /// Which register that is.
    pub stack_register: Field,
    /// What is added to the register that the caller's frame pointer is found by.
    pub frame_offset: Field,
    /// Which register that is.
    pub frame_register: Field,
    /// The kind of frame.
    pub kind: Field,
    /// Whether the caller was interrupted, so that its address is no return address; where there is none, the kind tells it.
    pub signal: Option<Field>,
    /// Whether there is no caller; where there is none, the kind tells it.
    pub end: Option<Field>,
}

/// Numbers of kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKinds {
    /// Code of which nothing is known.
    pub undefined: Option<u64>,
    /// Code that nothing called.
    pub end: Option<u64>,
    /// A call's: the return address lies below the caller's stack pointer.
    pub call: u64,
    /// All registers lie there.
    pub registers: u64,
    /// The last registers lie there: what the processor itself saves.
    pub partial_registers: u64,
}

/// Numbers of registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterNumbers {
    /// None.
    pub undefined: u64,
    /// The caller's stack pointer.
    pub previous_stack_pointer: u64,
    /// The stack pointer.
    pub stack_pointer: u64,
    /// The frame pointer.
    pub frame_pointer: u64,
    /// What lies where the stack pointer points; the offset is added to that.
    pub stack_pointer_indirect: u64,
    /// What lies where the frame pointer and the offset point.
    pub frame_pointer_indirect: u64,
    /// Others, with their places in the registers that an interrupt leaves.
    pub saved: Vec<(u64, u64)>,
}

/// What the caller's stack pointer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    StackPointer,
    FramePointer,
    /// The word that the stack pointer points to.
    AtStackPointer,
    /// The word that the frame pointer and the offset point to.
    AtFramePointer,
    /// A register that an interrupt left, at this offset in what it left.
    Saved(u64),
}

/// Where the caller's frame pointer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameBase {
    /// As it is, or where an interrupt left it.
    Unchanged,
    /// Beside what the caller's stack pointer is computed to be.
    PreviousStackPointer,
    /// Beside the frame pointer.
    FramePointer,
}

/// What lies between a frame and its caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Registers,
    PartialRegisters,
}

/// How a frame is left for its caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) base: Base,
    pub(super) offset: i64,
    pub(super) kind: Kind,
    pub(super) frame: FrameBase,
    pub(super) frame_offset: i64,
    /// Whether the caller goes on with the very instruction at its address, and not behind a call.
    pub(super) is_signal: bool,
}

/// Code without an entry is taken to keep a frame pointer, as the kernel takes it: programs of BPF do. The caller's frame pointer and
/// the return address lie where it points, in this order.
pub(super) const BY_FRAME_POINTER: Rule = Rule {
    base: Base::FramePointer,
    offset: 16,
    kind: Kind::Call,
    frame: FrameBase::PreviousStackPointer,
    frame_offset: -16,
    is_signal: false,
};

impl FramesLayout {
    /// What an entry says; `Ok(None)` where nothing called the code.
    pub(super) fn rule(
        &self,
        numbers: &RegisterNumbers,
        entry: &[u8],
    ) -> Result<Option<Rule>, &'static str> {
        let fields = &self.entry;
        let kind = fields.kind.unsigned(entry);
        let register = fields.stack_register.unsigned(entry);
        if self.kinds.end == Some(kind) {
            return Ok(None);
        }
        let is_end = |field: Field| register == numbers.undefined && field.unsigned(entry) != 0;
        if fields.end.is_some_and(is_end) {
            return Ok(None);
        }
        if self.kinds.undefined == Some(kind) || register == numbers.undefined {
            return Err("the kernel's table of frames knows nothing of the code there");
        }
        let kind = self.kind(kind)?;
        Ok(Some(Rule {
            base: numbers.base(register)?,
            offset: fields.stack_offset.signed(entry),
            kind,
            frame: numbers.frame_base(fields.frame_register.unsigned(entry))?,
            frame_offset: fields.frame_offset.signed(entry),
            is_signal: match fields.signal {
                Some(signal) => signal.unsigned(entry) != 0,
                None => kind != Kind::Call,
            },
        }))
    }

    fn kind(&self, number: u64) -> Result<Kind, &'static str> {
        let kinds = &self.kinds;
        match number {
            _ if number == kinds.call => Ok(Kind::Call),
            _ if number == kinds.registers => Ok(Kind::Registers),
            _ if number == kinds.partial_registers => Ok(Kind::PartialRegisters),
            _ => Err("the kernel's table of frames has a kind of frame there that is not known"),
        }
    }

    /// The numbering in which the entry of a function's first instruction finds the caller's stack pointer by the stack pointer.
    pub(super) fn numbering(&self, first_instruction: &[u8]) -> Option<&RegisterNumbers> {
        let register = self.entry.stack_register.unsigned(first_instruction);
        self.numbers
            .iter()
            .find(|numbers| numbers.stack_pointer == register)
    }
}

impl RegisterNumbers {
    fn base(&self, number: u64) -> Result<Base, &'static str> {
        let saved = self.saved.iter().find(|(known, _)| *known == number);
        match number {
            _ if number == self.stack_pointer => Ok(Base::StackPointer),
            _ if number == self.frame_pointer => Ok(Base::FramePointer),
            _ if number == self.stack_pointer_indirect => Ok(Base::AtStackPointer),
            _ if number == self.frame_pointer_indirect => Ok(Base::AtFramePointer),
            _ => saved
                .map(|(_, offset)| Base::Saved(*offset))
                .ok_or("the kernel's table of frames names a register there that is not known"),
        }
    }

    fn frame_base(&self, number: u64) -> Result<FrameBase, &'static str> {
        match number {
            _ if number == self.undefined => Ok(FrameBase::Unchanged),
            _ if number == self.previous_stack_pointer => Ok(FrameBase::PreviousStackPointer),
            _ if number == self.frame_pointer => Ok(FrameBase::FramePointer),
            _ => Err("the kernel's table of frames names a register there that is not known"),
        }
    }
}
