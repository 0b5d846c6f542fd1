//! `nettlp-profile show`: types as C declares them, each member with its offset in hexadecimal and decimal and its size in bytes.

use crate::profile::{
    BitField, Enumeration, LayoutProfile, Outline, ProfileError, Row, Summary, outline,
};
use crate::report::Report;

use super::paper::{counted, print};
use super::{ShowArguments, damaged, no_such_type, open, type_names};

/// Column at which comments begin, tabs counted as 8.
const COMMENTS: usize = 56;

pub(super) fn run(arguments: &ShowArguments) -> Result<u8, Report> {
    let profile = open(&arguments.profile)?;
    let mut names = Vec::new();
    for wanted in &arguments.types {
        let found = type_names(&profile, wanted).map_err(|error| damaged(&error))?;
        if found.is_empty() {
            return Err(no_such_type(&profile, wanted));
        }
        names.extend(found);
    }
    let mut pieces = Vec::new();
    for name in names {
        let piece = show(&profile, &name, arguments.expand);
        pieces.push(piece.map_err(|error| damaged(&error))?);
    }
    print(&pieces.join("\n"))?;
    Ok(0)
}

/// A type by the name that the profile has for it.
fn show(profile: &LayoutProfile, name: &str, expand: bool) -> Result<String, ProfileError> {
    let aggregate = match name.split_once(' ') {
        Some(("struct", bare)) => profile.structure(bare)?,
        Some(("union", bare)) => profile.union(bare)?,
        Some((_, bare)) => {
            let found = profile.enumeration(bare)?;
            return Ok(found.map_or_else(String::new, |found| enumeration(&found)));
        }
        None => {
            let Some(target) = profile.typedef(name)? else {
                return Ok(String::new());
            };
            let line = format!("typedef {};\n", target.declare(name));
            let content = match target.to_string() {
                inner if inner.contains(' ') && !inner.contains(['*', '[']) => {
                    show(profile, &inner, expand)?
                }
                _ => String::new(),
            };
            return Ok(match content.is_empty() {
                true => line,
                false => format!("{line}\n{content}"),
            });
        }
    };
    match aggregate {
        Some(aggregate) => Ok(layout(&outline(profile, &aggregate, expand)?)),
        None => Ok(String::new()),
    }
}

fn enumeration(found: &Enumeration) -> String {
    let mut text = format!("enum {} {{\n", found.name);
    for (name, value) in &found.values {
        text.push_str(&format!("\t{name} = {value},\n"));
    }
    let signed = if found.signed { "signed" } else { "unsigned" };
    let count = counted(found.values.len(), "enumerator");
    text.push_str(&format!(
        "\n\t/* size: {}, {signed}, {count} */{}\n}};\n",
        found.size,
        from(found.from.as_deref())
    ));
    text
}

/// Where a type comes from whose name is not its alone.
fn from(file: Option<&str>) -> String {
    file.map_or_else(String::new, |file| format!("\n\t/* of {file} */"))
}

fn layout(outline: &Outline) -> String {
    let mut text = format!("{} {{\n", outline.name);
    let title = "/* offset hex, decimal; size */";
    text.push_str(&format!("{:COMMENTS$}{title}\n", ""));
    for row in &outline.rows {
        line(row, &mut text);
    }
    if outline.cut {
        text.push_str("\t/* and more: the rest is left out */\n");
    }
    text.push_str(&summary(&outline.summary));
    text.push_str(&from(outline.from.as_deref()));
    text.push_str("\n};\n");
    text
}

fn line(row: &Row, text: &mut String) {
    match row {
        Row::Member {
            depth,
            declaration,
            offset,
            bits,
            size,
            remark,
        } => {
            let width = bits.map_or_else(String::new, |bits| format!(":{}", bits.size));
            let place = place(*offset, *bits, *size);
            let remark = remark.as_ref();
            let remark = remark.map_or_else(String::new, |remark| format!(" /* {remark} */"));
            let code = format!("{declaration}{width};");
            commented(*depth, &code, &format!("{place}{remark}"), text);
        }
        Row::Open { depth, ty } => indented(*depth, &format!("{ty} {{"), text),
        Row::Close {
            depth,
            declarator,
            offset,
            size,
        } => {
            let code = format!("}} {declarator};");
            commented(*depth, &code, &place(*offset, None, *size), text);
        }
        Row::Shared { depth, start, end } => {
            let note = format!(
                "/* {start:#x} to {end:#x}: an anonymous union's members share these bytes */"
            );
            indented(*depth, &note, text);
        }
        Row::EndShared { depth } => indented(*depth, "/* end of the union's members */", text),
        Row::Hole { depth, bytes, bits } => {
            text.push('\n');
            indented(
                *depth,
                &format!("/* hole of {} */", amount(*bytes, *bits)),
                text,
            );
            text.push('\n');
        }
        Row::CacheLine { depth, number, ago } => {
            let boundary = number.saturating_mul(64);
            let ago = match ago {
                0 => String::new(),
                _ => format!(" was {ago} bytes ago"),
            };
            let note =
                format!("/* --- cache line {number} boundary ({boundary} bytes){ago} --- */");
            indented(*depth, &note, text);
        }
    }
}

/// `/*   0x8a0  2208    16 */`; of a bit field the lowest bit and how many: `/*   0x924:4  2340:4    1 bit */`.
fn place(offset: u64, bits: Option<BitField>, size: Option<u64>) -> String {
    match bits {
        Some(bits) => {
            let hexadecimal = format!("{offset:#x}:{}", bits.offset);
            let decimal = format!("{offset}:{}", bits.offset);
            let count = counted(usize::try_from(bits.size).unwrap_or(0), "bit");
            format!("/* {hexadecimal:>8} {decimal:>7} {count:>6} */")
        }
        None => {
            let size = size.map_or_else(|| "?".to_owned(), |size| size.to_string());
            format!("/* {offset:>#8x} {offset:>7} {size:>6} */")
        }
    }
}

fn indented(depth: usize, code: &str, text: &mut String) {
    text.push_str(&"\t".repeat(depth));
    text.push_str(code);
    text.push('\n');
}

fn commented(depth: usize, code: &str, comment: &str, text: &mut String) {
    let column = COMMENTS.saturating_sub(depth * 8);
    indented(depth, &format!("{code:<column$}{comment}"), text);
}

/// Bytes and bits in words.
fn amount(bytes: u64, bits: u64) -> String {
    let count = |number: u64, noun| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
    match (bytes, bits) {
        (bytes, 0) => count(bytes, "byte"),
        (0, bits) => count(bits, "bit"),
        (bytes, bits) => format!("{} and {}", count(bytes, "byte"), count(bits, "bit")),
    }
}

fn summary(summary: &Summary) -> String {
    let mut lines = vec![format!(
        "size: {} ({:#x}), cache lines: {}, members: {}",
        summary.size, summary.size, summary.cache_lines, summary.members
    )];
    if summary.holes > 0 {
        let sum = amount(summary.hole_bytes, summary.hole_bits);
        lines.push(format!("holes: {}, of {sum} in all", summary.holes));
    }
    if summary.padding > 0 || summary.padding_bits > 0 {
        let padding = amount(summary.padding, summary.padding_bits);
        lines.push(format!("padding: {padding}"));
    }
    if !summary.size.is_multiple_of(64) {
        lines.push(format!("last cache line: {} bytes", summary.size % 64));
    }
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!("\n\t/* {line} */"))
        .collect();
    lines.concat()
}
