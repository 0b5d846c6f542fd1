//! `describe`: types, walks, functions and symbols as text; forms of printed values; hexdumps.

use std::fmt::Write;
use std::sync::Arc;

use crate::addr::{PhysAddr, VirtAddr};
use crate::exec::Target;
use crate::lang::ast::{MemberPath, Name, Subject};
use crate::lang::check::{check_member, check_type};
use crate::lang::function;
use crate::paging::AddressSpace;
use crate::profile::{Aggregate, Enumeration, Symbol, Type};
use crate::report::{Report, SourceText, nearest};
use crate::value::{Reason, Value};
use crate::wave::{Reader, Unreadable};

use super::Session;
use super::output::{Output, Status};

impl Session {
    pub(super) fn describe(
        &mut self,
        source: &Arc<SourceText>,
        subject: &Subject,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let text = match subject {
            Subject::Name { name, path } => match (path, self.type_called(&name.text)) {
                (Some(_), Some(ty)) => self
                    .member_described(source, &ty, path.as_ref())
                    .map_err(|reports| super::wrong(&reports, output))?,
                (Some(_), None) => None,
                (None, _) => self.describe_name(&name.text),
            },
            Subject::Type { name, path } => {
                let described = check_type(&self.catalog, &self.definitions, source, name)
                    .and_then(|ty| self.member_described(source, &ty, path.as_ref()));
                match described {
                    Ok(text) => text,
                    Err(reports) => return Err(super::wrong(&reports, output)),
                }
            }
            Subject::Symbol(name) => self
                .catalog
                .profile
                .symbol(&name.text)
                .ok()
                .flatten()
                .map(|symbol| describe_symbol(&symbol)),
        };
        match text {
            Some(text) => {
                output.text(&text);
                Ok(Status::Complete)
            }
            None => {
                output.report(&self.nothing_called(source, subject));
                Err(Status::Wrong)
            }
        }
    }

    fn nothing_called(&self, source: &Arc<SourceText>, subject: &Subject) -> Report {
        let name = match subject {
            Subject::Name { name, .. } | Subject::Symbol(name) => name.clone(),
            Subject::Type { name, .. } => Name {
                text: String::new(),
                span: name.span,
            },
        };
        let known = self.names();
        let near = nearest(&name.text, known.iter().map(String::as_str));
        let label = near
            .map(|near| format!("did you mean `{near}`?"))
            .unwrap_or_default();
        Report::error(format!("nothing is called `{}`", name.text))
            .at(source, name.span.into(), label)
            .with_hint(
                "`show walks`, `show functions` and `show types like 'task%'` list what there is",
            )
    }

    /// The type with members that is called so.
    pub(super) fn type_called(&self, name: &str) -> Option<Type> {
        let mut types = [
            Type::Struct(name.into()),
            Type::Union(name.into()),
            Type::Typedef(name.into()),
        ]
        .into_iter();
        types.find(|ty| matches!(self.catalog.aggregate(ty), Ok(Some(_))))
    }

    /// A type, or a member of it: where it lies, and what it is.
    pub(super) fn member_described(
        &self,
        source: &Arc<SourceText>,
        ty: &Type,
        path: Option<&MemberPath>,
    ) -> Result<Option<String>, Vec<Report>> {
        let Some(path) = path else {
            return Ok(self.describe_type(ty));
        };
        let (offset, member) = check_member(&self.catalog, &self.definitions, source, ty, path)?;
        let written = source.text.get(path.span.start..path.span.end);
        let mut text = format!(
            "{ty}.{}: {member}, at {offset:#x}\n",
            written.unwrap_or_default()
        );
        let shown = match &member {
            Type::Pointer(target) => target,
            other => other,
        };
        text.push_str(&self.describe_type(shown).unwrap_or_default());
        Ok(Some(text))
    }

    /// A walk, a function, a type or a symbol, in this order.
    fn describe_name(&self, name: &str) -> Option<String> {
        if self.catalog.library.walks.contains_key(name) {
            return Some(self.describe_walk(name));
        }
        if let Some(entry) = function::find(name) {
            return Some(format!(
                "{}\n  {}\n  for example: {}\n",
                entry.signature(),
                entry.doc,
                entry.example
            ));
        }
        if let Some(function) = self.catalog.library.functions.get(name) {
            let parameters: Vec<_> = function
                .parameters
                .iter()
                .map(|(name, ty)| format!("{name}: {ty}"))
                .collect();
            let definition = &function.definition;
            return Some(format!(
                "{name}({})\n  {}\n  defined in {}\n",
                parameters.join(", "),
                definition.doc,
                definition.file
            ));
        }
        let profile = &self.catalog.profile;
        for ty in [
            Type::Struct(name.into()),
            Type::Union(name.into()),
            Type::Enum(name.into()),
            Type::Typedef(name.into()),
        ] {
            if let Some(text) = self.describe_type(&ty) {
                return Some(text);
            }
        }
        profile
            .symbol(name)
            .ok()
            .flatten()
            .map(|symbol| describe_symbol(&symbol))
    }

    fn describe_walk(&self, name: &str) -> String {
        let walk = &self.catalog.library.walks[name];
        let mut text = format!("walk {name}: {}\n", walk.doc);
        let owner = walk
            .of
            .as_ref()
            .map_or_else(String::new, |of| format!(", of a `{of}`"));
        let _ = writeln!(
            text,
            "  each is a `{}`{owner}; defined in {}",
            self.catalog.element_of(walk),
            walk.file
        );
        if let Err(reports) = crate::lang::check::check_walk(&self.catalog, name) {
            for report in reports {
                let _ = writeln!(text, "  not on this kernel: {}", report.message);
            }
        }
        let type_columns = self
            .catalog
            .library
            .columns
            .get(self.catalog.element_of(walk));
        let columns = walk
            .columns
            .iter()
            .chain(type_columns.into_iter().flatten());
        for (name, column) in columns {
            let _ = writeln!(text, "  {name:<14} {}", column.doc);
        }
        text
    }

    fn describe_type(&self, ty: &Type) -> Option<String> {
        let profile = &self.catalog.profile;
        match ty {
            Type::Struct(_) | Type::Union(_) => profile
                .aggregate(ty)
                .ok()
                .flatten()
                .map(|found| self.describe_aggregate(&found)),
            Type::Enum(name) => profile
                .enumeration(name)
                .ok()
                .flatten()
                .map(|found| describe_enum(&found)),
            Type::Typedef(name) => {
                let target = profile.typedef(name).ok().flatten()?;
                let inner = self.describe_type(&target).unwrap_or_default();
                Some(format!("typedef {name}: {target}\n{inner}"))
            }
            _ => None,
        }
    }

    fn describe_aggregate(&self, aggregate: &Aggregate) -> String {
        let ty = aggregate.as_type().to_string();
        let mut text = format!("{ty}, {} bytes\n", aggregate.size);
        for member in &aggregate.members {
            let bits = member.bits.map_or_else(String::new, |bits| {
                format!(" (bits {}-{})", bits.offset, bits.offset + bits.size - 1)
            });
            let _ = writeln!(
                text,
                "  {:>#6x}  {:<28} {}{bits}",
                member.offset, member.name, member.ty
            );
        }
        if let Some(columns) = self.catalog.library.columns.get(&ty) {
            let _ = writeln!(text, "columns");
            for (name, column) in columns {
                let _ = writeln!(text, "  {name:<14} {}", column.doc);
            }
        }
        text
    }
}

fn describe_enum(enumeration: &Enumeration) -> String {
    let mut text = format!("enum {}, {} bytes\n", enumeration.name, enumeration.size);
    for (name, value) in &enumeration.values {
        let _ = writeln!(text, "  {name} = {value}");
    }
    text
}

fn describe_symbol(symbol: &Symbol) -> String {
    let ty = symbol
        .ty
        .as_ref()
        .map_or_else(|| "of unknown type".to_owned(), ToString::to_string);
    format!(
        "symbol {}: {ty}, {} bytes at {:#x} (link address), {}\n",
        symbol.name,
        symbol.size,
        symbol.address,
        symbol.kind.name()
    )
}

/// A value in one of gdb's forms.
pub(super) fn formatted(letter: &str, value: Value, target: &Target) -> Value {
    let Some(number) = value.as_integer() else {
        return value;
    };
    let unsigned = number as u64;
    match letter {
        "x" => Value::text(format!("{unsigned:#x}")),
        "z" => Value::text(format!("{unsigned:#018x}")),
        "d" => Value::Integer(number),
        "u" => Value::Integer(i128::from(unsigned)),
        "o" => Value::text(format!("{unsigned:#o}")),
        "t" => Value::text(format!("{unsigned:#b}")),
        "c" => u8::try_from(unsigned)
            .map_or(Value::Null(Reason::OutOfRange), |byte| Value::text([byte])),
        "a" => match target
            .catalog
            .profile
            .symbol_at(unsigned.wrapping_sub(target.slide))
        {
            Ok(Some((symbol, 0))) => Value::text(format!("{unsigned:#x} <{}>", symbol.name)),
            Ok(Some((symbol, offset))) => {
                Value::text(format!("{unsigned:#x} <{}+{offset:#x}>", symbol.name))
            }
            _ => Value::text(format!("{unsigned:#x}")),
        },
        _ => value,
    }
}

/// Memory as lines of 16 bytes with a text column; lines that cannot be read say why. Also returns whether there were such lines.
pub(super) async fn hexdump(
    reader: &Reader,
    space: &AddressSpace,
    physical: bool,
    address: u64,
    length: u64,
) -> (String, bool) {
    let mut text = String::new();
    let mut failed = false;
    let mut at = address;
    let end = address.saturating_add(length);
    while at < end {
        let count = (16 - at % 16).min(end - at);
        let mut bytes = [0; 16];
        let line = &mut bytes[..usize::try_from(count).unwrap_or(16)];
        let outcome: Result<(), Unreadable> = if physical {
            reader.physical(PhysAddr::new(at), line).await
        } else {
            reader.read(space, VirtAddr::new(at), line).await
        };
        match outcome {
            Ok(()) => push_line(&mut text, at, line),
            Err(unreadable) => {
                failed = true;
                let _ = writeln!(text, "{at:016x}  {unreadable}");
            }
        }
        at += count;
    }
    (text, failed)
}

fn push_line(text: &mut String, at: u64, line: &[u8]) {
    let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown: String = line
        .iter()
        .map(|byte| {
            if (0x20..0x7f).contains(byte) {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect();
    let _ = writeln!(text, "{at:016x}  {:<47}  {shown}", hex.join(" "));
}
