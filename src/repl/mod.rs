//! The prompt: statements typed → a session's answers.
//!
//! Enter runs what was typed when it is complete and asks for another line when it is not; an empty line runs it in any case. Ctrl-C
//! discards what is typed, or stops the query that runs; Ctrl-D on an empty line ends. What was typed is kept between sessions where
//! there is a place to keep it. This room knows no streams: answers go where the session's go.

mod command;
mod complete;
mod helper;
mod highlight;
mod history;
mod place;
mod token;

use std::cell::RefCell;
use std::sync::Arc;

use rustyline::config::{BellStyle, ColorMode};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use crate::report::{Report, SourceText};
use crate::session::{Output, Session, Status};

use command::Command;
use helper::PromptHelper;
use history::History;

/// What the prompt shows itself as.
const PROMPT: &str = "nq> ";

/// Statements that are kept.
const KEPT: usize = 10_000;

/// How the prompt behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether keywords, texts and hints are coloured.
    pub color: bool,
}

/// Where a prompt's answers go: an output that can be told that a statement is over.
pub trait Screen: Output {
    /// Shows what was held back.
    fn end_statement(&mut self);
}

/// Asks until the user ends it.
///
/// Errors: a terminal that cannot be used.
pub fn run(
    session: &mut Session,
    screen: &mut dyn Screen,
    options: &Options,
) -> Result<(), Report> {
    greet(session, screen);
    let history = History::find();
    let shared = RefCell::new(session);
    let mut editor = editor(options).map_err(|error| no_terminal(&error))?;
    editor.set_helper(Some(PromptHelper::new(&shared, options.color)));
    history.load(&mut editor);
    loop {
        let typed = match editor.readline(PROMPT) {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(no_terminal(&error)),
        };
        if typed.trim().is_empty() {
            continue;
        }
        history.keep(&mut editor, &typed);
        match Command::parse(&typed) {
            Some(Command::Quit) => break,
            Some(Command::Help(topic)) => help(&shared, topic.as_deref(), screen),
            None => {
                // What went wrong has been told; a prompt has no exit status.
                run_text(&shared, &typed, screen);
            }
        }
        screen.end_statement();
        if screen.is_closed() {
            break;
        }
    }
    Ok(())
}

fn editor<'s>(
    options: &Options,
) -> rustyline::Result<Editor<PromptHelper<'s, &'s mut Session>, FileHistory>> {
    let color = if options.color {
        ColorMode::Enabled
    } else {
        ColorMode::Disabled
    };
    let config = Config::builder()
        .max_history_size(KEPT)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .bell_style(BellStyle::None)
        .color_mode(color)
        .auto_add_history(false)
        .build();
    Editor::with_config(config)
}

/// Says whom the user speaks to. A target that does not answer is told, and the prompt comes all the same: types can be described
/// without it.
fn greet(session: &mut Session, screen: &mut dyn Screen) {
    let kernel = match session.kernel(screen) {
        Ok(banner) => format!(", {}", release(&banner)),
        Err(_) => String::new(),
    };
    let version = env!("CARGO_PKG_VERSION");
    screen.text(&format!(
        "nettlp-q {version}: {}{kernel}\n`help` says what can be asked; Tab completes, Ctrl-C stops a query, Ctrl-D ends.\n",
        session.target_name()
    ));
    screen.end_statement();
}

/// `Linux 6.1.0-27-amd64` of a kernel's banner.
fn release(banner: &str) -> String {
    let mut words = banner.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(system), Some("version"), Some(release)) => format!("{system} {release}"),
        _ => banner.to_owned(),
    }
}

fn run_text(session: &RefCell<&mut Session>, typed: &str, screen: &mut dyn Screen) -> Status {
    let source = Arc::new(SourceText {
        name: "<prompt>".to_owned(),
        text: typed.to_owned(),
    });
    session.borrow_mut().run(&source, screen)
}

fn help(session: &RefCell<&mut Session>, topic: Option<&str>, screen: &mut dyn Screen) {
    match topic {
        None => screen.text(command::HELP),
        Some(topic) => match command::help_of(topic) {
            Some(text) => screen.text(text),
            None => {
                run_text(session, &format!("describe {topic}"), screen);
            }
        },
    }
}

fn no_terminal(error: &ReadlineError) -> Report {
    Report::error("the terminal cannot be used for a prompt")
        .with_note(error.to_string())
        .with_hint("run statements with -e or -f, or pass them on standard input")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_is_told_by_its_release() {
        assert_eq!(
            release("Linux version 6.1.0-27-amd64 (debian) (gcc) #1 SMP"),
            "Linux 6.1.0-27-amd64"
        );
        assert_eq!(release("odd"), "odd");
    }
}
