//! What the line editor asks while a line is typed.

use std::borrow::Cow;
use std::cell::RefCell;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use crate::lang::{Completeness, is_complete};

use super::command::Command;
use super::complete::{Vocabulary, complete};
use super::highlight::highlight;

/// Completion, hints, colours, and whether Enter runs what is typed.
pub(super) struct PromptHelper<'s, V> {
    vocabulary: &'s RefCell<V>,
    history: HistoryHinter,
    color: bool,
}

impl<'s, V: Vocabulary> PromptHelper<'s, V> {
    pub(super) fn new(vocabulary: &'s RefCell<V>, color: bool) -> Self {
        Self {
            vocabulary,
            history: HistoryHinter::new(),
            color,
        }
    }
}

impl<V: Vocabulary> Helper for PromptHelper<'_, V> {}

impl<V: Vocabulary> Completer for PromptHelper<'_, V> {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..position).unwrap_or(line);
        let (start, names) = complete(before, &*self.vocabulary.borrow());
        let alone = names.len() == 1 && position == line.len();
        let pairs = names.into_iter().map(|name| Pair {
            // A word that could be nothing else is done.
            replacement: if alone && is_word_of_grammar(&name) {
                format!("{name} ")
            } else {
                name.clone()
            },
            display: name,
        });
        Ok((start, pairs.collect()))
    }
}

/// Whether a space follows the word in any case.
fn is_word_of_grammar(name: &str) -> bool {
    super::token::is_keyword(name)
}

/// Something dim behind the cursor.
#[derive(Debug)]
pub(super) enum PromptHint {
    /// How a line of the history goes on; it can be taken over.
    Past(String),
    /// A remark.
    Remark(&'static str),
}

impl Hint for PromptHint {
    fn display(&self) -> &str {
        match self {
            Self::Past(text) => text,
            Self::Remark(text) => text,
        }
    }

    fn completion(&self) -> Option<&str> {
        match self {
            Self::Past(text) => Some(text),
            Self::Remark(_) => None,
        }
    }
}

/// Behind the start of a line that continues a statement.
const GOES_ON: &str = "  (goes on here; an empty line runs it)";

impl<V: Vocabulary> Hinter for PromptHelper<'_, V> {
    type Hint = PromptHint;

    fn hint(&self, line: &str, position: usize, context: &Context<'_>) -> Option<PromptHint> {
        // A hint that looks like what was typed would be taken for it.
        if !self.color || line.trim().is_empty() {
            return None;
        }
        if line.ends_with('\n') && position == line.len() {
            return Some(PromptHint::Remark(GOES_ON));
        }
        let past = self.history.hint(line, position, context);
        past.map(PromptHint::Past)
    }
}

impl<V: Vocabulary> Highlighter for PromptHelper<'_, V> {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.color {
            highlight(line)
        } else {
            Cow::Borrowed(line)
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.color {
            Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m"))
        } else {
            Cow::Borrowed(prompt)
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.color
    }
}

impl<V: Vocabulary> Validator for PromptHelper<'_, V> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_ready(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

/// Whether Enter runs this.
fn is_ready(typed: &str) -> bool {
    let ends_with_empty_line = typed
        .rsplit_once('\n')
        .is_some_and(|(_, last)| last.trim().is_empty());
    ends_with_empty_line
        || Command::parse(typed).is_some()
        || is_complete(typed) == Completeness::Complete
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_runs_what_is_complete() {
        for typed in [
            "walk tasks select pid",
            "help",
            "quit",
            "",
            "print 1 +\n",
            "walk tasks select )",
        ] {
            assert!(is_ready(typed), "{typed:?}");
        }
        for typed in [
            "walk tasks",
            "print (1",
            "print 1 +",
            "walk tasks\nselect pid,",
        ] {
            assert!(!is_ready(typed), "{typed:?}");
        }
    }
}
