//! `disassemble`: instructions with the kernel's symbols.

use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use iced_x86::{
    Decoder, DecoderOptions, Formatter, GasFormatter, Instruction, SymbolResolver, SymbolResult,
};

use crate::addr::VirtAddr;
use crate::lang::ast::Disassemble;
use crate::lang::catalog::Catalog;
use crate::report::{Report, SourceText};
use crate::row::{Row, Rows, Schema};
use crate::value::{Reason, Value, ValueType};

use super::Session;
use super::output::{Output, Status};
use super::stretch::Bytes;

/// Instructions where it is not said how many.
const SOME: u64 = 16;

/// The most instructions of one statement.
const MOST: u64 = 10_000;

/// The longest instruction, in bytes (Intel SDM volume 2, section 2.3.11).
const LONGEST: u64 = 15;

/// What lies at link-time addresses, `slide` bytes below where the kernel runs.
struct Symbols {
    catalog: Rc<Catalog>,
    slide: u64,
}

impl Symbols {
    /// The symbol that an address is in, with the distance from it.
    fn at(&self, address: u64) -> Option<(Arc<str>, u64)> {
        let symbol = self
            .catalog
            .profile
            .symbol_at(address.wrapping_sub(self.slide));
        let (symbol, offset) = symbol.ok().flatten()?;
        Some((symbol.name, offset))
    }

    fn text(&self, address: u64) -> Option<String> {
        let (name, offset) = self.at(address)?;
        Some(match offset {
            0 => name.to_string(),
            _ => format!("{name}+{offset:#x}"),
        })
    }
}

impl SymbolResolver for Symbols {
    fn symbol(
        &mut self,
        _: &Instruction,
        _: u32,
        _: Option<u32>,
        address: u64,
        size: u32,
    ) -> Option<SymbolResult<'_>> {
        // Small numbers are not addresses, whatever symbols (per-CPU ones) are there.
        let text = self
            .text(address)
            .filter(|_| size == 8 && address >> 63 == 1)?;
        Some(SymbolResult::with_string(address, text))
    }
}

impl Session {
    pub(super) fn disassemble(
        &mut self,
        source: &Arc<SourceText>,
        disassemble: &Disassemble,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let address = self.number(source, &disassemble.address, output)?;
        let count = match &disassemble.count {
            Some(count) => self.number(source, count, output)?.clamp(1, MOST),
            None => SOME,
        };
        let (found, space) = self.space(source, disassemble.owner.as_ref(), output)?;
        let length = (count * LONGEST).min(u64::MAX - address);
        let parts = self.parts(&found, &space, address, length, output)?;
        let mut code = Vec::new();
        let mut gap = None;
        self.stream(&found, &parts, &mut |at, bytes| match bytes {
            Bytes::Here(bytes) => {
                code.extend_from_slice(bytes);
                std::ops::ControlFlow::Continue(())
            }
            Bytes::NotMapped(_) => {
                gap = Some(format!("{} is not mapped", VirtAddr::new(at)));
                std::ops::ControlFlow::Break(())
            }
            Bytes::Failed(_, failure) => {
                gap = Some(format!("{failure} at {}", VirtAddr::new(at)));
                std::ops::ControlFlow::Break(())
            }
        });
        let symbols = Symbols {
            catalog: Rc::clone(&self.catalog),
            slide: found.target.slide,
        };
        let rows = instructions(&code, address, count, symbols);
        let whole = rows.rows.len() as u64 == count;
        output.rows(&rows, &self.settings);
        match gap.filter(|_| !whole) {
            Some(gap) => {
                output.report(
                    &Report::warning("the code could not be read to its end").with_note(gap),
                );
                Ok(Status::Incomplete)
            }
            None => Ok(Status::Complete),
        }
    }
}

/// The instructions in `code`, whose first byte is at `address`: `count` of them, or as many as there are.
fn instructions(code: &[u8], address: u64, count: u64, symbols: Symbols) -> Rows {
    let names = Symbols {
        catalog: Rc::clone(&symbols.catalog),
        slide: symbols.slide,
    };
    let mut formatter = GasFormatter::with_options(Some(Box::new(symbols)), None);
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(false);
    options.set_rip_relative_addresses(false);
    options.set_first_operand_char_index(8);
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut rows = Vec::new();
    while decoder.can_decode() && (rows.len() as u64) < count {
        let start = decoder.position();
        let instruction = decoder.decode();
        if instruction.is_invalid() && code.len() - start < LONGEST as usize {
            break;
        }
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        let mut bytes = String::new();
        for byte in &code[start..decoder.position()] {
            let _ = write!(bytes, "{byte:02x} ");
        }
        let place = names.text(instruction.ip());
        rows.push(Row {
            cells: vec![
                Value::Address(instruction.ip()),
                place.map_or(Value::Null(Reason::Absent), Value::text),
                Value::text(bytes.trim_end()),
                Value::text(text),
            ],
        });
    }
    let columns = ["address", "symbol", "bytes", "instruction"];
    Rows {
        schema: Schema::new(columns.map(|name| (name.to_owned(), ValueType::Any))),
        rows,
        incomplete: Vec::new(),
    }
}
