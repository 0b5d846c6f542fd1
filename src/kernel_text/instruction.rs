//! Bytes at a place that the kernel changes → whether they are what may stand there.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

use crate::profile::Holds;

use super::Table;
use super::relocation::Relocation;
use super::same::Steps;
use super::sites::{Branches, Replacement};

/// A place with what was found there.
#[derive(Debug)]
pub(super) struct Found<'f> {
    /// Its link address.
    pub(super) address: u64,
    /// What stands there.
    pub(super) bytes: &'f [u8],
    /// Where a jump may lead.
    pub(super) target: Option<u64>,
    /// What stands there in the file.
    pub(super) expected: &'f [u8],
    /// What the file has to put there.
    pub(super) replacement: Option<&'f Replacement>,
    pub(super) relocation: &'f Relocation<'f>,
    /// Jumps and calls that the kernel changes wherever they stand.
    pub(super) branches: &'f Branches,
}

/// Whether code is made of instructions that do nothing.
pub(super) fn is_empty(bytes: &[u8], address: u64) -> bool {
    let instructions = instructions(bytes, address);
    instructions.is_some_and(|instructions| instructions.iter().all(is_nothing))
}

/// The instructions that code is made of, if they fill it exactly.
fn instructions(bytes: &[u8], address: u64) -> Option<Vec<Instruction>> {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let mut instructions = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        instructions.push(instruction);
    }
    Some(instructions)
}

/// Bytes of the instruction at the beginning of `bytes`; `None` where there is none.
pub(super) fn length(bytes: &[u8], address: u64) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction.len() as u64)
}

impl Found<'_> {
    /// Whether its table allows what stands there.
    pub(super) fn is_allowed_by(&self, table: &Table) -> bool {
        let mut literals = table.literals.iter();
        literals.any(|literal| literal == self.bytes)
            || table.holds.iter().any(|rule| self.is(*rule))
    }

    fn is(&self, rule: Holds) -> bool {
        match rule {
            Holds::Number => return true,
            Holds::LockPrefix => return matches!(self.bytes, [0xf0 | 0x3e]),
            _ => {}
        }
        let Some(instructions) = self.instructions() else {
            return false;
        };
        let Some((first, rest)) = instructions.split_first() else {
            return false;
        };
        let target = first.near_branch_target();
        let is_call = is_direct(first) && first.mnemonic() == Mnemonic::Call;
        let is_jump = is_direct(first) && !is_call;
        let mut rest = rest.iter();
        match rule {
            Holds::NoOperation => is_nothing(first) && rest.all(is_nothing),
            Holds::JumpToTarget => {
                let is_always = first.mnemonic() == Mnemonic::Jmp;
                is_jump && is_always && self.target == Some(target) && rest.all(is_nothing)
            }
            Holds::Jump => is_jump && self.stays(first) && rest.all(is_not_reached),
            Holds::Call => is_call && self.stays(first) && rest.all(is_nothing),
            Holds::CallOfAnything => is_call && rest.all(is_nothing),
            Holds::Return => first.mnemonic() == Mnemonic::Ret && rest.all(is_not_reached),
            Holds::Replacement => self.is_replacement(),
            Holds::CallOfCopy => self.is_like(self.expected, self.address),
            Holds::Copy => self.is_copy(),
            Holds::Code => instructions
                .iter()
                .all(|instruction| self.stays(instruction)),
            Holds::Number | Holds::LockPrefix => false,
        }
    }

    /// Whether the replacement stands here, or what the file has here, with other instructions that do nothing.
    fn is_replacement(&self) -> bool {
        let replacement = self.replacement;
        let is_other = replacement.is_some_and(|other| self.is_like(&other.bytes, other.address));
        is_other || self.is_like(self.expected, self.address)
    }

    /// Whether what is copied stands here, and the file has nothing here.
    fn is_copy(&self) -> bool {
        let mut copies = self.branches.copies.iter();
        is_empty(self.expected, self.address)
            && copies.any(|copied| self.is_like(&copied.bytes, copied.address))
    }

    /// Whether instructions of the file, moved and relocated, stand here.
    fn is_like(&self, bytes: &[u8], address: u64) -> bool {
        let found = Steps::of(self.bytes, self.address);
        match (Steps::of(bytes, address), found) {
            (Some(file), Some(found)) => file.are(&found, self.relocation, self.branches),
            _ => false,
        }
    }

    /// The link address that the only instruction here leads to directly, where that is not the kernel's code.
    pub(super) fn leads_out(&self) -> Option<u64> {
        let leads_to = self.leads_directly(self.bytes)?;
        (!self.branches.text.contains(&leads_to)).then_some(leads_to)
    }

    /// The link address that the only instruction that the file has here leads to directly.
    pub(super) fn led_to(&self) -> Option<u64> {
        self.leads_directly(self.expected)
    }

    /// The link address that the only instruction of a stretch leads to directly.
    fn leads_directly(&self, bytes: &[u8]) -> Option<u64> {
        let instructions = instructions(bytes, self.address)?;
        let (first, rest) = instructions.split_first()?;
        let is_all = is_direct(first) && rest.iter().all(is_not_reached);
        is_all.then_some(first.near_branch_target())
    }

    /// The instructions that stand here, if they fill the place exactly.
    fn instructions(&self) -> Option<Vec<Instruction>> {
        instructions(self.bytes, self.address)
    }

    /// Whether an instruction that leads somewhere directly leads to the kernel's code.
    fn stays(&self, instruction: &Instruction) -> bool {
        let is_far = matches!(
            instruction.op0_kind(),
            OpKind::FarBranch16 | OpKind::FarBranch32
        );
        let leads_out = is_direct(instruction)
            && !self
                .branches
                .text
                .contains(&instruction.near_branch_target());
        !is_far && !leads_out
    }
}

/// A near jump, a conditional one too, or a near call, to an address that stands in it.
fn is_direct(instruction: &Instruction) -> bool {
    matches!(
        instruction.op0_kind(),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    )
}

fn is_nothing(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Nop
}

/// What stands behind a return or a jump.
fn is_not_reached(instruction: &Instruction) -> bool {
    is_nothing(instruction) || instruction.mnemonic() == Mnemonic::Int3
}
