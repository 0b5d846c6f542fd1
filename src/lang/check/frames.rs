//! Frames of a stack: what the library says of a kernel's tables → what has to be computed, and where the kernel keeps its parts.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::lang::ast::Span;
use crate::lang::frames::{CheckedFrames, CheckedTable};
use crate::lang::typed::{CheckedTraversal, Node, Typed};
use crate::profile::{
    FrameEntry, FramesTraversal, KindNumbers, RegisterNumbering, SavedFrame, SavedRegisters,
};
use crate::value::ValueType;
use crate::walk::{
    EntryLayout, Field, FrameKinds, FramesLayout, RegisterNumbers, RegistersLayout, SavedLayout,
};

use super::Checker;
use super::scope::{Scope, typed};

/// What a library's expressions call the address of code whose table they give.
const ADDRESS: &str = "address";

impl Checker<'_> {
    /// The frames of the stack of what is `self` in `scope`; `place` is the walk's in the library.
    pub(super) fn frames(
        &mut self,
        frames: &FramesTraversal,
        place: &str,
        scope: &Scope<'_>,
        span: Span,
    ) -> Option<CheckedTraversal> {
        let FramesTraversal { table, others, .. } = frames;
        let mut part = |name: &str, text: &str| {
            self.library_expression(&format!("{place}.frames.{name}"), text, scope)
        };
        let lowest = part("lowest", &frames.lowest)?;
        let size = part("size", &frames.size)?;
        let saved = part("saved.at", &frames.saved.at)?;
        let unstarted = part("saved.unstarted", &frames.saved.unstarted)?;
        let function = part("table.function", &table.function)?;
        let kernel = CheckedTable {
            addresses: part("table.addresses", &table.addresses)?,
            entries: part("table.entries", &table.entries)?,
            count: part("table.count", &table.count)?,
        };
        let blocks = part("table.blocks", &table.blocks)?;
        let block_count = part("table.block_count", &table.block_count)?;
        let mut both = |name: &str, [first, behind]: &[String; 2]| {
            Some([part(name, first)?, part(name, behind)?])
        };
        let code = both("table.code", &table.code)?;
        let initial_code = both("table.initial_code", &table.initial_code)?;
        let other_code = both("others.code", &others.code)?;
        let texts = [&others.addresses, &others.entries, &others.count];
        let others = self.other_tables(texts, place, span)?;
        Some(CheckedTraversal::Frames(Rc::new(CheckedFrames {
            lowest,
            size,
            saved,
            unstarted,
            function,
            table: kernel,
            code,
            initial_code,
            blocks,
            block_count,
            block_size: table.block_size,
            other_code,
            others: Rc::new(others),
            layout: Rc::new(self.frames_layout(frames, span)?),
        })))
    }

    /// The table for an address of code, which is the first local.
    fn other_tables(
        &mut self,
        texts: [&String; 3],
        place: &str,
        span: Span,
    ) -> Option<CheckedTable> {
        let address = ValueType::Kernel(self.library_type("unsigned long", span)?);
        let scope = Scope {
            names: vec![(ADDRESS.to_owned(), typed(Node::Local(0), address, span))],
            ..Scope::default()
        };
        let [addresses, entries, count] = texts.map(|text| -> Option<Typed> {
            self.library_expression(&format!("{place}.frames.others"), text, &scope)
        });
        Some(CheckedTable {
            addresses: addresses?,
            entries: entries?,
            count: count?,
        })
    }

    fn frames_layout(&mut self, frames: &FramesTraversal, span: Span) -> Option<FramesLayout> {
        let saved = &frames.registers.ty;
        let mut numbers = Vec::new();
        for numbering in &frames.numbers {
            let others = self.saved_registers(saved, &numbering.saved, span)?;
            numbers.push(register_numbers(numbering, others));
        }
        Some(FramesLayout {
            saved: self.saved_layout(&frames.saved, span)?,
            registers: self.registers_layout(&frames.registers, span)?,
            entry: self.entry_layout(&frames.entry, span)?,
            kinds: frame_kinds(frames.kinds),
            numbers,
        })
    }

    /// Numbers of registers with their places in what an interrupt leaves; those that the kernel's type has not are left out.
    fn saved_registers(
        &mut self,
        ty: &str,
        named: &BTreeMap<String, u64>,
        span: Span,
    ) -> Option<Vec<(u64, u64)>> {
        let mut registers = Vec::new();
        for (member, number) in named {
            let member = self.layout_member(ty, member, span)?;
            registers.push((*number, member.offset));
        }
        Some(registers)
    }

    fn saved_layout(&mut self, saved: &SavedFrame, span: Span) -> Option<SavedLayout> {
        let ty = self.library_type(&saved.ty, span)?;
        let mut offset = |member: &str| Some(self.layout_member(&saved.ty, member, span)?.offset);
        Some(SavedLayout {
            frame_pointer: offset(&saved.frame_pointer)?,
            return_address: offset(&saved.return_address)?,
            size: self.size_of(span, &ty)?,
        })
    }

    fn registers_layout(
        &mut self,
        registers: &SavedRegisters,
        span: Span,
    ) -> Option<RegistersLayout> {
        let ty = &registers.ty;
        let mut offset = |member: &str| Some(self.layout_member(ty, member, span)?.offset);
        Some(RegistersLayout {
            instruction_pointer: offset(&registers.instruction_pointer)?,
            stack_pointer: offset(&registers.stack_pointer)?,
            frame_pointer: offset(&registers.frame_pointer)?,
            selector: offset(&registers.selector)?,
            user: registers.user,
        })
    }

    fn entry_layout(&mut self, entry: &FrameEntry, span: Span) -> Option<EntryLayout> {
        let ty = self.library_type(&entry.ty, span)?;
        let size = self.size_of(span, &ty)?;
        let mut field = |member: &str| self.field(&entry.ty, member, span);
        let mut optional = |member: &Option<String>| match member {
            Some(member) => field(member).map(Some),
            None => Some(None),
        };
        Some(EntryLayout {
            size,
            signal: optional(&entry.signal)?,
            end: optional(&entry.end)?,
            stack_offset: field(&entry.stack_offset)?,
            stack_register: field(&entry.stack_register)?,
            frame_offset: field(&entry.frame_offset)?,
            frame_register: field(&entry.frame_register)?,
            kind: field(&entry.kind)?,
        })
    }

    /// The bits that a member is.
    fn field(&mut self, ty: &str, member: &str, span: Span) -> Option<Field> {
        let member = self.layout_member(ty, member, span)?;
        let (bit, bits) = match member.bits {
            Some(bits) => (bits.offset, bits.size),
            None => {
                let size = self.size_of(span, &member.ty)?;
                (0, u32::try_from(size.min(4) * 8).unwrap_or(32))
            }
        };
        Some(Field {
            offset: member.offset,
            bit,
            bits,
        })
    }
}

fn frame_kinds(kinds: KindNumbers) -> FrameKinds {
    FrameKinds {
        undefined: kinds.undefined,
        end: kinds.end,
        call: kinds.call,
        registers: kinds.registers,
        partial_registers: kinds.partial_registers,
    }
}

fn register_numbers(numbering: &RegisterNumbering, saved: Vec<(u64, u64)>) -> RegisterNumbers {
    RegisterNumbers {
        undefined: numbering.undefined,
        previous_stack_pointer: numbering.previous_stack_pointer,
        stack_pointer: numbering.stack_pointer,
        frame_pointer: numbering.frame_pointer,
        stack_pointer_indirect: numbering.stack_pointer_indirect,
        frame_pointer_indirect: numbering.frame_pointer_indirect,
        saved,
    }
}
