//! Instructions of a file and instructions in memory → whether they do the same, when the kernel moved and relocated them
//! (arch/x86/kernel/alternative.c, apply_alternatives, apply_relocation).

use std::ops::RangeInclusive;

use iced_x86::{ConstantOffsets, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

use super::relocation::{Relocation, WIDTH};
use super::sites::Branches;

/// Instructions that do something, of a stretch of code.
#[derive(Debug)]
pub(super) struct Steps<'b> {
    /// Its link addresses.
    range: RangeInclusive<u64>,
    steps: Vec<Step<'b>>,
}

#[derive(Debug)]
struct Step<'b> {
    instruction: Instruction,
    bytes: &'b [u8],
    offsets: ConstantOffsets,
}

impl<'b> Steps<'b> {
    /// The instructions that `bytes` at a link address are made of, without those that do nothing and those that are not reached;
    /// `None` where they are not whole instructions.
    pub(super) fn of(bytes: &'b [u8], address: u64) -> Option<Self> {
        let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
        let mut all = Vec::new();
        while decoder.can_decode() {
            let start = decoder.position();
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                return None;
            }
            all.push(Step {
                instruction,
                bytes: bytes.get(start..decoder.position())?,
                offsets: decoder.get_constant_offsets(&instruction),
            });
        }
        Some(Self {
            range: address..=address.wrapping_add(bytes.len() as u64),
            steps: doing_something(all),
        })
    }

    /// Whether these instructions of the file, moved and relocated, are those that were found.
    ///
    /// A jump that becomes a return may have become one before it was moved, or a jump to other code of the kernel; a call that is led
    /// over a copy may be led so.
    pub(super) fn are(
        &self,
        found: &Self,
        relocation: &Relocation<'_>,
        branches: &Branches,
    ) -> bool {
        let mut pairs = self.steps.iter().zip(&found.steps);
        self.steps.len() == found.steps.len()
            && pairs.all(|(file, in_memory)| {
                let instruction = &file.instruction;
                match leads_directly(instruction) {
                    true if branches.is_return(instruction.ip()) => {
                        returns(in_memory, branches)
                            || self.leads_as(file, found, in_memory, branches)
                    }
                    true => self.leads_as(file, found, in_memory, branches),
                    false => is_same(file, in_memory, relocation),
                }
            })
    }

    /// Whether two jumps or calls lead to the same: inside of what was moved, or outside of it.
    fn leads_as(
        &self,
        file: &Step<'_>,
        found: &Self,
        in_memory: &Step<'_>,
        branches: &Branches,
    ) -> bool {
        let (was, is) = (&file.instruction, &in_memory.instruction);
        let (to, leads) = (was.near_branch_target(), is.near_branch_target());
        let moved_by = found.range.start().wrapping_sub(*self.range.start());
        let to = match self.range.contains(&to) {
            true => to.wrapping_add(moved_by),
            false => to,
        };
        let is_call = is.mnemonic() == Mnemonic::Call;
        let is_there = to == leads || is_call && branches.is_over_copy(is.ip(), leads, to);
        leads_directly(is) && was.mnemonic() == is.mnemonic() && is_there
    }
}

/// Whether an instruction in memory is what a jump that becomes a return may become.
fn returns(in_memory: &Step<'_>, branches: &Branches) -> bool {
    let instruction = &in_memory.instruction;
    let is_jump = instruction.mnemonic() == Mnemonic::Jmp && leads_directly(instruction);
    instruction.mnemonic() == Mnemonic::Ret
        || is_jump && branches.text.contains(&instruction.near_branch_target())
}

/// Leaves out what does nothing: no-ops, jumps over nothing else; and what fills the space behind a jump or return.
fn doing_something(all: Vec<Step<'_>>) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    // Looked at from the end: how far nothing goes on from here, and breakpoints in it, which are not reached if a jump comes before.
    let mut nothing_to = all.last().map_or(0, |step| step.instruction.next_ip());
    let mut breakpoints = Vec::new();
    for step in all.into_iter().rev() {
        let instruction = &step.instruction;
        let mnemonic = instruction.mnemonic();
        let is_jump = mnemonic == Mnemonic::Jmp && leads_directly(instruction);
        let skipped = instruction.next_ip()..=nothing_to;
        if mnemonic == Mnemonic::Nop {
            continue;
        } else if mnemonic == Mnemonic::Int3 {
            breakpoints.push(step);
            continue;
        } else if is_jump && skipped.contains(&instruction.near_branch_target()) {
            breakpoints.clear();
            continue;
        }
        if is_jump || mnemonic == Mnemonic::Ret {
            breakpoints.clear();
        }
        steps.append(&mut breakpoints);
        nothing_to = instruction.ip();
        steps.push(step);
    }
    steps.append(&mut breakpoints);
    steps.reverse();
    steps
}

/// Whether two instructions that lead nowhere directly do the same.
fn is_same(file: &Step<'_>, found: &Step<'_>, relocation: &Relocation<'_>) -> bool {
    let (was, is) = (&file.instruction, &found.instruction);
    if file.bytes.len() != found.bytes.len() {
        return false;
    }
    if was.is_ip_rel_memory_operand() && is.is_ip_rel_memory_operand() {
        let (to, leads) = (was.ip_rel_memory_address(), is.ip_rel_memory_address());
        let is_there = to == leads || relocation.moves_per_cpu(to, leads);
        let at = file.offsets.displacement_offset();
        let is_as_long = at == found.offsets.displacement_offset();
        return is_there && is_as_long && rest_is_same(file, found, at);
    }
    numbers_are_same(file, found, relocation)
}

fn leads_directly(instruction: &Instruction) -> bool {
    matches!(
        instruction.op0_kind(),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    )
}

/// Whether two instructions are the same but for the four bytes at `at`.
fn rest_is_same(file: &Step<'_>, found: &Step<'_>, at: usize) -> bool {
    let pairs = file.bytes.iter().zip(found.bytes).enumerate();
    let mut rest = pairs.filter(|(offset, _)| !(at..at + WIDTH).contains(offset));
    rest.all(|(_, (was, is))| was == is)
}

/// Whether two instructions of one length are the same, or their only number is relocated.
fn numbers_are_same(file: &Step<'_>, found: &Step<'_>, relocation: &Relocation<'_>) -> bool {
    if file.bytes == found.bytes {
        return true;
    }
    let number = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at.checked_add(WIDTH)?)?;
        <[u8; WIDTH]>::try_from(bytes).ok()
    };
    let address = file.instruction.ip();
    (0..file.bytes.len()).any(
        |at| match (number(file.bytes, at), number(found.bytes, at)) {
            (Some(was), Some(is)) => {
                let here = address.wrapping_add(at as u64);
                relocation.explains(here, was, is) && rest_is_same(file, found, at)
            }
            _ => false,
        },
    )
}
