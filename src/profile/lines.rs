//! A document that is one long map of short lines, sorted by name → a value by name, without parsing the others.
//!
//! `typedefs:` and `symbols:` are such documents: `name: value` a line, indented, names strictly ascending by their bytes. A name is found
//! by halving the text. Only when one is not found is the order of all lines checked, once, so that what is there is always found.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::OnceLock;

/// The lines of a sorted map. A line is named by where its entry starts: bytes from the start of the profile to its name's first byte, or to
/// the quote before it.
#[derive(Debug)]
pub(super) struct SortedLines {
    /// The document, its key line included.
    body: Range<usize>,
    /// All lines, once their order has been checked.
    starts: OnceLock<Vec<u32>>,
}

/// A line that is not `name: value`, or out of order.
#[derive(Debug)]
pub(super) struct BadLine {
    /// Bytes from the start of the profile.
    pub(super) at: usize,
    pub(super) problem: String,
}

impl SortedLines {
    /// The lines of the document at `body`; the first line is the document's key.
    pub(super) fn new(body: Range<usize>) -> Self {
        Self {
            body,
            starts: OnceLock::new(),
        }
    }

    /// All lines, in order.
    pub(super) fn starts(&self, text: &str) -> Result<&[u32], BadLine> {
        match self.starts.get() {
            Some(starts) => Ok(starts),
            None => {
                let starts = check(text, self.body.clone())?;
                Ok(self.starts.get_or_init(|| starts))
            }
        }
    }

    /// The line of a name.
    pub(super) fn find(&self, text: &str, name: &str) -> Result<Option<usize>, BadLine> {
        let found = self.search(text, name);
        if found.is_none() {
            self.starts(text)?;
        }
        Ok(found)
    }

    /// Halves the text until the name's line is left. Finds nothing, or too little, where lines are out of order or damaged.
    fn search(&self, text: &str, name: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let key_line = memchr::memchr(b'\n', bytes.get(self.body.clone())?)?;
        let (mut low, mut high) = (self.body.start + key_line + 1, self.body.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let newline = memchr::memrchr(b'\n', bytes.get(low..middle)?);
            let line = newline.map_or(low, |newline| low + newline + 1);
            let Some(start) = first_entry(text, line..high) else {
                high = line;
                continue;
            };
            match name_at(text.get(start..high)?)?.as_ref().cmp(name) {
                Ordering::Equal => return Some(start),
                Ordering::Greater => high = line,
                Ordering::Less => {
                    let length = memchr::memchr(b'\n', bytes.get(start..high)?);
                    low = length.map_or(high, |length| start + length + 1);
                }
            }
        }
        None
    }

    /// The name and the value of a line, and where the value starts.
    pub(super) fn entry<'a>(
        &self,
        text: &'a str,
        start: usize,
    ) -> Option<(Cow<'a, str>, &'a str, usize)> {
        let rest = text.get(start..self.body.end)?;
        let length = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        let line = rest.get(..length)?;
        let (name, value) = split(line)?;
        let offset = line.len() - value.len();
        Some((name, without_comment(value), start + offset))
    }

    /// All names and values, in order.
    pub(super) fn entries<'a>(
        &self,
        text: &'a str,
    ) -> Result<Vec<(Cow<'a, str>, &'a str)>, BadLine> {
        let starts = self.starts(text)?.iter();
        let entries = starts.filter_map(|start| self.entry(text, *start as usize));
        Ok(entries.map(|(name, value, _)| (name, value)).collect())
    }

    /// All names, in order.
    pub(super) fn names<'a>(
        &'a self,
        text: &'a str,
    ) -> Result<impl Iterator<Item = Cow<'a, str>>, BadLine> {
        let starts = self.starts(text)?.iter();
        Ok(starts.map(move |start| {
            let rest = text.get(*start as usize..self.body.end).unwrap_or("");
            name_at(rest).unwrap_or_default()
        }))
    }
}

/// Finds all lines and checks their order. As a kernel has some 200 000 symbols, this looks at bytes and copies only quoted names.
fn check(text: &str, body: Range<usize>) -> Result<Vec<u32>, BadLine> {
    let bytes = text.as_bytes().get(..body.end).unwrap_or_default();
    let newlines = memchr::memchr_iter(b'\n', bytes.get(body.start..).unwrap_or_default());
    let ends = newlines.map(|newline| body.start + newline);
    let mut starts = Vec::new();
    let mut previous: Cow<'_, [u8]> = Cow::Borrowed(b"");
    let mut at = body.start;
    let mut in_map = false;
    for end in ends.chain([bytes.len()]) {
        let line = bytes.get(at..end).unwrap_or_default();
        let indent = line.iter().take_while(|byte| **byte == b' ').count();
        let entry = line.get(indent..).unwrap_or_default();
        if !matches!(entry, [] | [b'#', ..]) {
            let start = at + indent;
            if in_map {
                let name = checked_name(entry, indent, &previous, start)?;
                let offset = u32::try_from(start);
                starts.push(offset.map_err(|_| bad(at, "profile of 4 GiB or more"))?);
                previous = name;
            } else if indent > 0 {
                return Err(bad(at, "indented before any key"));
            }
            in_map = true;
        }
        at = end + 1;
    }
    Ok(starts)
}

/// Where the first entry is in a range that starts with a line.
fn first_entry(text: &str, lines: Range<usize>) -> Option<usize> {
    let mut at = lines.start;
    for line in text.get(lines)?.split('\n') {
        let entry = line.trim_start_matches(' ');
        if is_entry(entry) {
            return Some(at + line.len() - entry.len());
        }
        at += line.len() + 1;
    }
    None
}

/// Whether a line, its indentation removed, is neither empty nor a comment.
fn is_entry(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn bad(at: usize, problem: impl Into<String>) -> BadLine {
    BadLine {
        at,
        problem: problem.into(),
    }
}

/// The name of an entry that starts at `at`, which must be behind the previous one.
fn checked_name<'a>(
    entry: &'a [u8],
    indent: usize,
    previous: &[u8],
    at: usize,
) -> Result<Cow<'a, [u8]>, BadLine> {
    if indent == 0 {
        return Err(bad(at, "expected an indented line `name: value`"));
    }
    let name = name_of(entry).ok_or_else(|| bad(at, "expected `name: value`"))?;
    if !previous.is_empty() && *previous >= *name {
        let problem = format!(
            "`{}` must not come after `{}`: names are sorted and occur once",
            String::from_utf8_lossy(&name),
            String::from_utf8_lossy(previous)
        );
        return Err(bad(at, problem));
    }
    Ok(name)
}

/// The name of a line `name: value`.
fn name_of(entry: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let [b'"' | b'\'', ..] = entry {
        let (name, _) = split(std::str::from_utf8(entry).ok()?)?;
        return Some(Cow::Owned(name.into_owned().into_bytes()));
    }
    let colon = memchr::memchr(b':', entry)?;
    let value = entry.get(colon + 1..)?;
    value.first().filter(|space| **space == b' ')?;
    entry.get(..colon).map(Cow::Borrowed)
}

/// `name: value` taken apart; a quoted name is unquoted.
pub(super) fn split(line: &str) -> Option<(Cow<'_, str>, &str)> {
    if line.starts_with(['"', '\'']) {
        let name_end = quoted_length(line)?;
        let name = unquoted(line.get(..name_end)?)?;
        let value = line.get(name_end..)?.strip_prefix(':')?;
        return Some((Cow::Owned(name), value.strip_prefix(' ')?.trim()));
    }
    let colon = memchr::memchr(b':', line.as_bytes())?;
    let value = line.get(colon + 1..)?.strip_prefix(' ')?;
    Some((Cow::Borrowed(line.get(..colon)?), value.trim_ascii()))
}

/// The name that the text starts with.
fn name_at(text: &str) -> Option<Cow<'_, str>> {
    if text.starts_with(['"', '\'']) {
        return unquoted(text.get(..quoted_length(text)?)?).map(Cow::Owned);
    }
    let colon = memchr::memchr(b':', text.as_bytes())?;
    text.get(..colon).map(Cow::Borrowed)
}

/// Bytes of the quoted scalar that the text starts with, quotes included.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (position, character) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' && quote == '"' {
            escaped = true;
        } else if character == quote {
            return Some(position + 1);
        } else if character == '\n' {
            return None;
        }
    }
    None
}

/// A quoted scalar's value.
pub(super) fn unquoted(text: &str) -> Option<String> {
    serde_yaml::from_str(text).ok()
}

/// A comment starts with a `#` after a space; `name#2` has none.
fn without_comment(value: &str) -> &str {
    for hash in memchr::memchr_iter(b'#', value.as_bytes()) {
        let before = value.get(..hash).unwrap_or(value);
        if before.ends_with(' ') {
            return before.trim_ascii_end();
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() -> Result<(), BadLine> {
        let text = "symbols:\n  # all of them\n  .odd: 1 x # why\n\n  _text: 2\n  foo#2: 3\n  \"y\": 4\n  # end\n  zoo: 5\n\n";
        let lines = SortedLines::new(0..text.len());
        let value = |name| {
            let start = lines.find(text, name)?;
            let entry = start.and_then(|start| lines.entry(text, start));
            Ok::<_, BadLine>(entry.map(|(_, value, _)| value))
        };
        for (name, expected) in [
            (".odd", Some("1 x")),
            ("_text", Some("2")),
            ("foo#2", Some("3")),
            ("y", Some("4")),
            ("zoo", Some("5")),
            ("zo", None),
            ("zzz", None),
            ("", None),
            ("symbols", None),
        ] {
            assert_eq!(value(name)?, expected, "{name}");
        }
        let names: Vec<_> = lines.names(text)?.collect();
        assert_eq!(names.join(" "), ".odd _text foo#2 y zoo");
        Ok(())
    }

    #[test]
    fn every_name_of_many_is_found() -> Result<(), BadLine> {
        let mut text = String::from("symbols:\n");
        for number in 1000..1500 {
            text.push_str(&format!("  name{number}: {number}\n"));
        }
        let lines = SortedLines::new(0..text.len());
        for number in 1000..1500 {
            let start = lines.find(&text, &format!("name{number}"))?;
            let entry = start.and_then(|start| lines.entry(&text, start));
            assert_eq!(entry.map(|(_, value, _)| value), Some(&*number.to_string()));
        }
        Ok(())
    }

    #[test]
    fn disorder_is_refused_with_its_place() {
        for (text, at) in [
            ("s:\n  b: 1\n  a: 2\n", 12),
            ("s:\n  a: 1\n  a: 2\n", 12),
            ("s:\n  a\n", 5),
            ("s:\n  a: 1\nb: 2\n", 10),
            ("  a: 1\n", 0),
            ("s:\n  \"a: 2\n", 5),
        ] {
            let lines = SortedLines::new(0..text.len());
            let missing = lines.find(text, "none").map_err(|bad| bad.at);
            assert_eq!(missing.err(), Some(at), "{text}");
        }
    }
}
