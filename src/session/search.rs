//! `search`: where in memory something is.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use crate::lang::ast::{Expression, Pattern, Search, SearchPlace, Span};
use crate::report::{Report, SourceText};
use crate::row::{Row, Rows, Schema};
use crate::value::{Value, ValueType};

use super::Session;
use super::attach::Found;
use super::output::{Output, Status};
use super::stretch::{Bytes, Part, physical_parts};

/// Finds after which a search ends that names no limit.
const MOST: u64 = 100_000;

/// Longest find of a regular expression, in bytes: what may lie across two pieces of memory.
const LONGEST: usize = 4096;

/// Bytes that are searched at a time.
const SOME: usize = 256 * 1024;

/// Bytes of a find that are shown.
const SHOWN: usize = 64;

/// Bytes that look like what is searched for.
struct Needle {
    regex: Regex,
    /// The most bytes of a find.
    longest: usize,
    is_text: bool,
}

/// The needle for bytes of which some may be anything.
fn bytes_needle(bytes: &[Option<u8>], is_text: bool) -> Option<Needle> {
    let pattern: String = bytes
        .iter()
        .map(|byte| match byte {
            Some(byte) => format!("\\x{byte:02x}"),
            None => ".".to_owned(),
        })
        .collect();
    Some(Needle {
        regex: built(&pattern).ok().filter(|_| !bytes.is_empty())?,
        longest: bytes.len(),
        is_text,
    })
}

fn built(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .build()
}

/// The needle for a regular expression; what is wrong with it otherwise.
fn regex_needle(text: &str) -> Result<Needle, String> {
    let regex = RegexBuilder::new(text).unicode(false).build();
    let regex = regex.map_err(|error| error.to_string())?;
    if regex.is_match(b"") {
        return Err("it matches where nothing is".to_owned());
    }
    Ok(Needle {
        regex,
        longest: LONGEST,
        is_text: true,
    })
}

/// What is wrong with a pattern that is no expression.
pub(super) fn check_pattern(
    source: &Arc<SourceText>,
    pattern: &Pattern,
    span: Span,
) -> Result<(), Report> {
    match pattern {
        Pattern::Regex(text) => regex_needle(&text.text).map(|_| ()).map_err(|why| {
            Report::error("this regular expression cannot be searched for")
                .at(source, text.span.into(), "")
                .with_note(why)
        }),
        Pattern::Bytes(bytes) if bytes.iter().all(Option::is_none) => Err(Report::error(
            "a search needs at least one byte that is known",
        )
        .at(source, span.into(), "")),
        Pattern::Bytes(_) | Pattern::Value(_) => Ok(()),
    }
}

/// The bytes of a value as they stand in memory: numbers little-endian, in 4 bytes where they fit into those, addresses in 8.
fn bytes_of(value: &Value) -> Option<(Vec<u8>, bool)> {
    let number = |number: i128| match u32::try_from(number) {
        Ok(small) => small.to_le_bytes().to_vec(),
        Err(_) => (number as u64).to_le_bytes().to_vec(),
    };
    Some(match value {
        Value::Text(bytes) => (bytes.to_vec(), true),
        Value::Bytes(bytes) => (bytes.to_vec(), false),
        Value::Address(address) => (address.to_le_bytes().to_vec(), false),
        Value::Place(place) => (place.address.get().to_le_bytes().to_vec(), false),
        Value::Integer(integer) | Value::Enumerator(integer, _) => (number(*integer), false),
        _ => return None,
    })
}

/// Bytes that follow one another in memory, as far as they have been read and not searched.
struct Hay<'n> {
    needle: &'n Needle,
    /// Address of the first byte in `bytes`.
    start: u64,
    bytes: Vec<u8>,
    finds: Vec<(u64, Vec<u8>)>,
    most: usize,
    /// Bytes that could not be had.
    missing: u64,
}

impl Hay<'_> {
    fn take(&mut self, address: u64, bytes: Bytes<'_>) -> ControlFlow<()> {
        match bytes {
            Bytes::Here(bytes) => {
                if self.start + self.bytes.len() as u64 != address {
                    self.end()?;
                    self.start = address;
                }
                self.bytes.extend_from_slice(bytes);
                if self.bytes.len() >= SOME {
                    self.search(self.needle.longest)?;
                }
                ControlFlow::Continue(())
            }
            Bytes::NotMapped(_) => self.end(),
            Bytes::Failed(length, _) => {
                self.missing += length;
                self.end()
            }
        }
    }

    /// Searches all that is left: nothing follows it.
    fn end(&mut self) -> ControlFlow<()> {
        self.search(0)?;
        self.bytes.clear();
        ControlFlow::Continue(())
    }

    /// Searches for finds that begin before the last `kept` bytes, which stay for the next time.
    fn search(&mut self, kept: usize) -> ControlFlow<()> {
        let end = self.bytes.len().saturating_sub(kept);
        let mut from = 0;
        while let Some(find) = self.needle.regex.find_at(&self.bytes, from) {
            if find.start() >= end {
                break;
            }
            let shown = find.end().min(find.start() + SHOWN);
            let bytes = self.bytes[find.start()..shown].to_vec();
            self.finds.push((self.start + find.start() as u64, bytes));
            if self.finds.len() >= self.most {
                return ControlFlow::Break(());
            }
            from = find.end();
        }
        let done = from.max(end).min(self.bytes.len());
        self.bytes.drain(..done);
        self.start += done as u64;
        ControlFlow::Continue(())
    }
}

impl Session {
    pub(super) fn search(
        &mut self,
        source: &Arc<SourceText>,
        search: &Search,
        span: Span,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let needle = self.needle(source, &search.pattern, span, output)?;
        let most = match &search.limit {
            Some(limit) => self.number(source, limit, output)?,
            None => MOST,
        };
        let (found, parts) = self.parts_of(source, &search.place, span, output)?;
        let mut hay = Hay {
            needle: &needle,
            start: 0,
            bytes: Vec::new(),
            finds: Vec::new(),
            most: usize::try_from(most.clamp(1, MOST)).unwrap_or(usize::MAX),
            missing: 0,
        };
        let whole = self.stream(&found, &parts, &mut |address, bytes| {
            hay.take(address, bytes)
        });
        let is_enough = hay.finds.len() >= hay.most || hay.end().is_break();
        output.rows(&finds(&hay, &found), &self.settings);
        if !whole && !is_enough {
            output.report(&Report::warning("cancelled: not all was searched"));
            return Err(Status::Failed);
        }
        if is_enough && search.limit.is_none() {
            output.report(&Report::note(format!(
                "the search ended after {MOST} finds (`limit N` sets another end)"
            )));
        }
        if hay.missing > 0 {
            output.report(&Report::warning(format!(
                "{} bytes could not be read",
                hay.missing
            )));
            return Ok(Status::Incomplete);
        }
        Ok(Status::Complete)
    }

    fn needle(
        &mut self,
        source: &Arc<SourceText>,
        pattern: &Pattern,
        span: Span,
        output: &mut dyn Output,
    ) -> Result<Needle, Status> {
        let (needle, span) = match pattern {
            Pattern::Regex(text) => (regex_needle(&text.text).ok(), text.span),
            Pattern::Bytes(bytes) => (bytes_needle(bytes, false), span),
            Pattern::Value(expression) => {
                let values = self.values(source, std::slice::from_ref(expression), output)?;
                let bytes = values.first().and_then(|(_, _, value)| bytes_of(value));
                let needle = bytes.and_then(|(bytes, is_text)| {
                    let known: Vec<_> = bytes.into_iter().map(Some).collect();
                    bytes_needle(&known, is_text)
                });
                (needle, expression.span)
            }
        };
        needle.ok_or_else(|| {
            output.report(
                &Report::error("this cannot be searched for")
                    .at(source, span.into(), "")
                    .with_hint("text, bytes (`h'de ad ?? ef'`), numbers, addresses and `matches 'REGEX'` can"),
            );
            Status::Failed
        })
    }

    /// The parts of memory that are searched.
    fn parts_of(
        &mut self,
        source: &Arc<SourceText>,
        place: &SearchPlace,
        span: Span,
        output: &mut dyn Output,
    ) -> Result<(Found, Vec<Part>), Status> {
        match place {
            SearchPlace::Stretch(stretch) => self.stretch_parts(source, stretch, output),
            SearchPlace::Task(task) => self.parts_of_task(source, task, output),
            SearchPlace::Kernel => {
                let found = self.attached.found(&self.catalog, output)?;
                let space = (*found.target.space).clone();
                let Some((start, end)) = self.image(&found) else {
                    let report = Report::error("the profile does not say where the kernel's image ends")
                        .at(source, span.into(), "")
                        .with_hint("it lacks the symbols `_text` and `_end`; name the stretch: `search … in ADDRESS, LENGTH`");
                    output.report(&report);
                    return Err(Status::Failed);
                };
                let parts = self.parts(&found, &space, start, end - start, output)?;
                Ok((found, parts))
            }
            SearchPlace::Physical => {
                let found = self.attached.found(&self.catalog, output)?;
                let ram = found.engine.with_memory(|memory| memory.ram());
                let Some(ram) = ram else {
                    let report = Report::error("where this target has RAM is not known")
                        .at(source, span.into(), "")
                        .with_hint("say it with --ram, or name the stretch: `search … in phys ADDRESS, LENGTH`");
                    output.report(&report);
                    return Err(Status::Failed);
                };
                let parts = ram
                    .iter()
                    .flat_map(|range| physical_parts(range.start.get(), range.length()));
                Ok((found, parts.collect()))
            }
        }
    }

    fn parts_of_task(
        &mut self,
        source: &Arc<SourceText>,
        task: &Expression,
        output: &mut dyn Output,
    ) -> Result<(Found, Vec<Part>), Status> {
        let mappings = self.mappings(source, task, output)?;
        let (found, space) = self.space(source, Some(task), output)?;
        let mut parts = Vec::new();
        for (start, end) in mappings {
            parts.extend(self.parts(&found, &space, start, end - start, output)?);
        }
        Ok((found, parts))
    }

    /// Where the kernel's image begins and ends.
    fn image(&self, found: &Found) -> Option<(u64, u64)> {
        let at = |name| {
            let symbol = self.catalog.profile.symbol(name).ok().flatten()?;
            Some(symbol.address.wrapping_add(found.target.slide))
        };
        let (start, end) = (at("_text")?, at("_end")?);
        (start < end).then_some((start, end))
    }
}

/// Finds as rows; those in the kernel's image with the symbol that they are in.
fn finds(hay: &Hay<'_>, found: &Found) -> Rows {
    let columns = [
        ("address", ValueType::Any),
        ("symbol", ValueType::Text),
        ("bytes", ValueType::Any),
    ];
    let profile = &found.target.catalog.profile;
    let rows = hay.finds.iter().map(|(address, bytes)| {
        let symbol = profile.symbol_at(address.wrapping_sub(found.target.slide));
        let symbol = match symbol {
            Ok(Some((symbol, 0))) => Value::text(&*symbol.name),
            Ok(Some((symbol, offset))) => Value::text(format!("{}+{offset:#x}", symbol.name)),
            _ => Value::Null(crate::value::Reason::Absent),
        };
        let bytes = if hay.needle.is_text {
            Value::text(bytes)
        } else {
            Value::Bytes(Rc::from(bytes.as_slice()))
        };
        Row {
            cells: vec![Value::Address(*address), symbol, bytes],
        }
    });
    Rows {
        schema: Schema::new(columns.map(|(name, kind)| (name.to_owned(), kind))),
        rows: rows.collect(),
        incomplete: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(needle: &Needle, pieces: &[(u64, &[u8])]) -> Vec<u64> {
        let mut hay = Hay {
            needle,
            start: 0,
            bytes: Vec::new(),
            finds: Vec::new(),
            most: 100,
            missing: 0,
        };
        for (address, bytes) in pieces {
            assert!(hay.take(*address, Bytes::Here(bytes)).is_continue());
        }
        assert!(hay.end().is_continue());
        hay.finds.iter().map(|(address, _)| *address).collect()
    }

    #[test]
    fn finds_lie_across_pieces_and_not_across_gaps() {
        let needle = bytes_needle(&[Some(b'a'), None, Some(b'c')], false).unwrap();
        assert_eq!(found(&needle, &[(0x10, b"xxa"), (0x13, b"\nc")]), [0x12]);
        assert_eq!(found(&needle, &[(0x10, b"xxa"), (0x14, b"\nc")]), [0; 0]);
        let mut large = vec![0; SOME + 10];
        large[SOME - 1..SOME + 2].copy_from_slice(b"abc");
        assert_eq!(
            found(&needle, &[(0, &large), (SOME as u64 + 10, b"abc")]),
            [SOME as u64 - 1, SOME as u64 + 10]
        );
    }

    #[test]
    fn values_are_searched_for_as_they_stand_in_memory() {
        let bytes = |value: Value| bytes_of(&value).unwrap().0;
        assert_eq!(bytes(Value::Integer(0x1234)), [0x34, 0x12, 0, 0]);
        assert_eq!(bytes(Value::Integer(1 << 32)), [0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes(Value::Integer(-1)), [0xff; 8]);
        assert_eq!(bytes(Value::Address(1)), [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes_of(&Value::Boolean(true)), None);
    }

    #[test]
    fn regular_expressions_that_match_nothing_at_all_are_refused() {
        assert!(regex_needle("a*").is_err());
        assert!(regex_needle("(").is_err());
        assert_eq!(found(&regex_needle("a+b").unwrap(), &[(0, b"xaaab")]), [1]);
    }
}
