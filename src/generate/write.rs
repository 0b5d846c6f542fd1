//! Header, types and symbols → the text of a profile.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use rayon::prelude::*;

use crate::profile::text::{is_safe_inside, push_numbered, push_quoted, push_scalar};
use crate::profile::{ByteOrder, Header, Kind, Origin};

use super::catalogue::{Catalogue, Item};
use super::definition::{Body, MemberDefinition, Space};
use super::symbols::SymbolLine;

/// Types or symbols that one thread writes at a time.
const CHUNK: usize = 256;

/// The text of a profile, in pieces.
#[derive(Debug)]
pub struct ProfileText {
    pieces: Vec<String>,
    /// How many types it has: structs, unions, enumerations, typedefs and base types.
    pub types: usize,
    /// How many symbols it has.
    pub symbols: usize,
}

impl ProfileText {
    /// Renders everything; the same input gives the same bytes.
    pub(super) fn new(
        header: &Header,
        catalogue: &Catalogue<'_>,
        symbols: &[SymbolLine<'_>],
    ) -> Self {
        let mut pieces = vec![header_document(header)];
        for (key, space) in [("base", Space::Base), ("typedefs", Space::Typedef)] {
            let items: Vec<_> = catalogue
                .items
                .iter()
                .filter(|item| item.definition.space == space)
                .collect();
            pieces.push(format!(
                "---\n{key}:{}\n",
                if items.is_empty() { " {}" } else { "" }
            ));
            pieces.extend(in_chunks(&items, |item, out| {
                push_line_item(out, item, catalogue)
            }));
        }
        let is_document =
            |item: &&Item<'_>| !matches!(item.definition.space, Space::Base | Space::Typedef);
        let documents: Vec<_> = catalogue.items.iter().filter(is_document).collect();
        pieces.extend(in_chunks(&documents, |item, out| {
            push_document(out, item, catalogue)
        }));
        pieces.push(format!(
            "---\nsymbols:{}\n",
            if symbols.is_empty() { " {}" } else { "" }
        ));
        pieces.extend(in_chunks(symbols, |symbol, out| {
            push_symbol(out, symbol, catalogue)
        }));
        Self {
            pieces,
            types: catalogue.items.len(),
            symbols: symbols.len(),
        }
    }

    /// Writes all of it.
    pub fn write_to(&self, out: &mut (impl io::Write + ?Sized)) -> io::Result<()> {
        self.pieces
            .iter()
            .try_for_each(|piece| out.write_all(piece.as_bytes()))
    }

    /// All of it as one string.
    pub fn to_text(&self) -> String {
        self.pieces.concat()
    }
}

/// Renders items in order, chunks of them in parallel.
fn in_chunks<T: Sync>(items: &[T], push: impl Fn(&T, &mut String) + Sync) -> Vec<String> {
    let chunks = items.par_chunks(CHUNK).map(|chunk| {
        let mut out = String::new();
        chunk.iter().for_each(|item| push(item, &mut out));
        out
    });
    chunks.collect()
}

/// Writing to a String does not fail.
macro_rules! push {
    ($out:expr, $($argument:tt)*) => {
        let _ = write!($out, $($argument)*);
    };
}

fn header_document(header: &Header) -> String {
    let mut out = String::new();
    push!(out, "format: {}\n", header.format);
    match header.kind {
        Kind::Layout => out.push_str("kind: layout\n"),
    }
    push!(out, "arch: {}\nrelease: ", header.arch.name());
    push_scalar(&mut out, &header.release);
    out.push_str("\nversion: ");
    push_quoted(&mut out, &header.version);
    if let Some(build_id) = &header.build_id {
        out.push_str("\nbuild_id: ");
        push_quoted(&mut out, build_id);
    }
    let order = match header.byte_order {
        ByteOrder::Little => "little",
    };
    let origin = match header.made_from {
        Origin::Dwarf => "dwarf",
        Origin::Btf => "btf",
        Origin::Hand => "hand",
    };
    push!(
        out,
        "\npointer_size: {}\nbyte_order: {order}\nmade_by: ",
        header.pointer_size
    );
    push_scalar(&mut out, &header.made_by);
    push!(out, "\nmade_from: {origin}\n");
    let constants = &header.constants;
    let numbers = [
        ("text_link_address", constants.text_link_address),
        ("text_physical_address", constants.text_physical_address),
        ("thread_size", constants.thread_size),
    ];
    let mut lines = String::new();
    for (name, number) in numbers {
        if let Some(number) = number {
            push!(lines, "  {name}: {number:#x}\n");
        }
    }
    if let Some(percpu) = constants.percpu {
        push!(lines, "  percpu: {}\n", percpu.name());
    }
    if !lines.is_empty() {
        out.push_str("constants:\n");
        out.push_str(&lines);
    }
    out
}

/// A base type or a typedef: one line.
fn push_line_item(out: &mut String, item: &Item<'_>, catalogue: &Catalogue<'_>) {
    out.push_str("  ");
    push_scalar(out, &item.name());
    out.push_str(": ");
    match &item.definition.body {
        Body::Base { size, encoding } => {
            push!(out, "{size} {}", encoding.name());
        }
        Body::Typedef(target) => push_scalar(out, &catalogue.resolve(target).to_string()),
        // The spaces of these bodies have documents.
        Body::Enumeration { .. } | Body::Aggregate { .. } => {}
    }
    if let Some(from) = item.from() {
        out.push_str(" # ");
        out.push_str(&one_line(from));
    }
    out.push('\n');
}

fn push_document(out: &mut String, item: &Item<'_>, catalogue: &Catalogue<'_>) {
    let keyword = match item.definition.space {
        Space::Enum => "enum",
        Space::Union => "union",
        _ => "struct",
    };
    out.push_str("---\n");
    push_scalar(out, &format!("{keyword} {}", item.name()));
    out.push_str(":\n");
    match &item.definition.body {
        Body::Enumeration {
            size,
            signed,
            values,
        } => {
            push!(out, "  size: {size}\n");
            if *signed {
                out.push_str("  signed: true\n");
            }
            push_from(out, item);
            out.push_str(if values.is_empty() {
                "  values: {}\n"
            } else {
                "  values:\n"
            });
            for (name, value) in values {
                out.push_str("    ");
                push_scalar(out, name);
                push!(out, ": {value}\n");
            }
        }
        Body::Aggregate { size, members } => {
            push!(out, "  size: {size:#x}\n");
            push_from(out, item);
            out.push_str(if members.is_empty() {
                "  members: {}\n"
            } else {
                "  members:\n"
            });
            for member in members {
                push_member(out, member, catalogue);
            }
        }
        Body::Base { .. } | Body::Typedef(_) => {}
    }
}

fn push_from(out: &mut String, item: &Item<'_>) {
    if let Some(from) = item.from() {
        out.push_str("  from: ");
        push_scalar(out, from);
        out.push('\n');
    }
}

fn push_member(out: &mut String, member: &MemberDefinition<'_>, catalogue: &Catalogue<'_>) {
    out.push_str("    ");
    push_scalar(out, &member.name);
    out.push_str(": ");
    let place = match member.bits {
        Some(bits) => format!("{:#x}:{}:{}", member.offset, bits.offset, bits.size),
        None => format!("{:#x}", member.offset),
    };
    push_numbered(out, &place, &catalogue.resolve(&member.ty).to_string());
    out.push('\n');
}

fn push_symbol(out: &mut String, symbol: &SymbolLine<'_>, catalogue: &Catalogue<'_>) {
    out.push_str("  ");
    push_scalar(out, &symbol.name);
    push!(
        out,
        ": {:#x} {} {}",
        symbol.address,
        symbol.kind.name(),
        symbol.size
    );
    let ty = symbol.ty.map(|ty| catalogue.resolve(ty).to_string());
    // Symbols are searched as text: a type that would need quotes is left out.
    if let Some(ty) = ty.filter(|ty| is_safe_inside(ty)) {
        out.push(' ');
        out.push_str(&ty);
    }
    out.push('\n');
}

fn one_line(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => Cow::Owned(text.replace(char::is_control, "?")),
        false => Cow::Borrowed(text),
    }
}
