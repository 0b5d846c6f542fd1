//! The text of a profile → where each of its YAML documents is, by the key on its first line; nothing is parsed.

use std::ops::Range;

use memchr::memmem;

/// One document of a profile.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// Where its key is, without quotes and colon.
    key: Range<usize>,
    /// Where all of it is, from the first byte after its `---` line to the `\n` before the next.
    pub(super) body: Range<usize>,
}

/// Where the documents are.
#[derive(Debug)]
pub(super) struct DocumentIndex {
    /// The first document.
    pub(super) header: Range<usize>,
    /// The others, by key.
    sorted: Vec<Document>,
}

/// Two documents with one key.
#[derive(Debug)]
pub(super) struct DuplicateKey {
    /// Where the key is the second time.
    pub(super) at: usize,
    pub(super) key: String,
}

impl DocumentIndex {
    pub(super) fn new(text: &str) -> Result<Self, DuplicateKey> {
        let mut bodies = bodies(text).into_iter();
        let header = bodies.next().unwrap_or(0..0);
        let mut sorted: Vec<Document> = bodies
            .filter_map(|body| {
                let key = key(text, body.clone())?;
                Some(Document { key, body })
            })
            .collect();
        sorted.sort_by(|a, b| text[a.key.clone()].cmp(&text[b.key.clone()]));
        for pair in sorted.windows(2) {
            if text[pair[0].key.clone()] == text[pair[1].key.clone()] {
                return Err(DuplicateKey {
                    at: pair[1].key.start,
                    key: text[pair[1].key.clone()].to_owned(),
                });
            }
        }
        Ok(Self { header, sorted })
    }

    /// The document of a key, for example `struct task_struct`.
    pub(super) fn find(&self, text: &str, key: &str) -> Option<Range<usize>> {
        let found = self
            .sorted
            .binary_search_by(|document| text[document.key.clone()].cmp(key));
        let document = self.sorted.get(found.ok()?)?;
        Some(document.body.clone())
    }

    /// All keys but the header's, sorted.
    pub(super) fn keys<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.sorted
            .iter()
            .map(|document| &text[document.key.clone()])
    }

    /// The documents whose key starts with `prefix`, by key.
    pub(super) fn with_prefix<'a>(
        &'a self,
        text: &'a str,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        let start = self
            .sorted
            .partition_point(|document| &text[document.key.clone()] < prefix);
        let rest = self.sorted.get(start..).unwrap_or(&[]);
        rest.iter()
            .map(|document| (&text[document.key.clone()], document.body.clone()))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }
}

/// Splits at lines that are `---`, or `---` and white space.
fn bodies(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut start = match bytes {
        [b'-', b'-', b'-', b'\n', ..] => 4,
        _ => 0,
    };
    for separator in memmem::find_iter(bytes, "\n---") {
        let after = separator + 4;
        if !matches!(bytes.get(after), None | Some(b'\n' | b'\r' | b' ' | b'\t')) {
            continue;
        }
        // A document that is empty has its separator start before it does.
        found.push(start..separator.max(start));
        let line_end = memchr::memchr(b'\n', bytes.get(after..).unwrap_or(&[]));
        start = line_end.map_or(bytes.len(), |length| after + length + 1);
    }
    found.push(start..bytes.len().max(start));
    found
}

/// The key of the first line that is neither empty nor a comment; `None` in a document without one.
fn key(text: &str, body: Range<usize>) -> Option<Range<usize>> {
    let mut at = body.start;
    while at < body.end {
        let rest = text.get(at..body.end)?;
        let line = rest.split('\n').next().unwrap_or("");
        let trimmed = line.trim_end();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            let key = trimmed.strip_suffix(':').unwrap_or(trimmed);
            let bare = key.trim_matches(['"', '\'']);
            let quote = key.len() - key.trim_start_matches(['"', '\'']).len();
            return Some(at + quote..at + quote + bare.len());
        }
        at += line.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_by_key() {
        let text = "---\nformat: x\n---\n# about\n\nstruct b:\n  size: 1\n---\n---\n\"struct a\":\n  size: 2\n";
        let index = DocumentIndex::new(text).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(&text[index.header.clone()], "format: x");
        let keys: Vec<_> = index.keys(text).collect();
        assert_eq!(keys, ["struct a", "struct b"]);
        let body = index.find(text, "struct a").map(|body| &text[body]);
        assert_eq!(body, Some("\"struct a\":\n  size: 2\n"));
        assert_eq!(index.find(text, "struct c"), None);
        let found: Vec<_> = index
            .with_prefix(text, "struct ")
            .map(|(key, _)| key)
            .collect();
        assert_eq!(found, ["struct a", "struct b"]);
    }

    #[test]
    fn a_key_twice_is_an_error() {
        let error = DocumentIndex::new("f: 1\n---\na:\n---\nb:\n---\na:\n");
        assert!(matches!(error, Err(DuplicateKey { at: 23, .. })));
    }

    #[test]
    fn dashes_inside_a_document_do_not_split_it() {
        assert_eq!(bodies("a: x\n----\nb: ---\n").len(), 1);
        assert_eq!(bodies("").len(), 1);
        assert_eq!(bodies("a\n---").len(), 2);
    }
}
