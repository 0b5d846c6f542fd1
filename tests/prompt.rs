//! The prompt on a terminal, as a person meets it. The terminal is that of `script` (util-linux); where there is none these tests
//! say so and end.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, one that cannot begin says so"
)]

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program on a terminal of its own, which ends after a minute at the latest.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Terminal {
    /// Starts the prompt on the demo; `None` where there is no `script`.
    fn open(home: &str) -> Option<Self> {
        let known = Command::new("script").arg("--version").output();
        if !known.is_ok_and(|output| output.status.success()) {
            eprintln!("there is no `script` here: the prompt is not tested");
            return None;
        }
        // A shell that stays between would get Ctrl-C as well and end with its status.
        let program = format!("exec {} --demo", env!("CARGO_BIN_EXE_nettlp-q"));
        let mut child = Command::new("timeout")
            .args(["60", "script", "-qec", &program, "/dev/null"])
            .env("HOME", home)
            .env_remove("XDG_STATE_HOME")
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let screen = child.stdout.take().unwrap();
        let mut terminal = Self {
            child,
            keys,
            screen,
            seen: String::new(),
        };
        terminal.wait_for("nq> ");
        Some(terminal)
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until the text is on the screen and gives what came before it.
    fn wait_for(&mut self, text: &str) -> String {
        let mut bytes = [0; 1024];
        loop {
            if let Some(position) = self.seen.find(text) {
                let rest = self.seen.split_off(position + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let count = self.screen.read(&mut bytes).unwrap();
            assert!(
                count > 0,
                "`{text}` did not come; on the screen: {}",
                self.seen
            );
            self.seen
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// Waits for the end and gives the exit status.
    fn end(mut self) -> Option<i32> {
        let mut rest = Vec::new();
        self.screen.read_to_end(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

#[test]
fn questions_are_answered_and_remembered() {
    let home = tempfile::tempdir().unwrap();
    let Some(mut terminal) = Terminal::open(home.path().to_str().unwrap()) else {
        return;
    };
    terminal.press("print 6 * 7\r");
    terminal.wait_for("6 * 7 = 42");
    // Two lines, the second of which completes the first, and a word that Tab completes.
    terminal.press("walk tasks\rsel\tpid, comm limit 1\r");
    terminal.wait_for("swapper/0");
    terminal.wait_for("1 row in ");
    // What is wrong is told, and the prompt comes back.
    terminal.press("walk tasks select nonsense\r");
    terminal.wait_for("error: ");
    // Ctrl-C discards what is typed.
    terminal.wait_for("nq> ");
    terminal.press("print 1 / \x03");
    terminal.wait_for("nq> ");
    terminal.press("help\r");
    terminal.wait_for("walk tasks select pid, comm, state");
    terminal.wait_for("nq> ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), Some(0));
    let history = home.path().join(".local/state/nettlp-q/history");
    let history = std::fs::read_to_string(history).unwrap();
    assert!(history.contains("print 6 * 7"), "{history}");
    assert!(history.contains("select pid, comm limit 1"), "{history}");
}

#[test]
fn nothing_needs_to_be_remembered() {
    let Some(mut terminal) = Terminal::open("/proc/nowhere") else {
        return;
    };
    terminal.press("print 6 * 7\r");
    terminal.wait_for("6 * 7 = 42");
    terminal.press("quit\r");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn an_interrupt_stops_the_query_and_not_the_program() {
    let Some(mut terminal) = Terminal::open("/proc/nowhere") else {
        return;
    };
    // The query runs for minutes. The answer before it shows that the terminal is out of the line editor's hands.
    terminal.press(
        "print 5 * 5; walk tasks as a, tasks as b, tasks as c, tasks as d select count(*)\r",
    );
    terminal.wait_for("5 * 5 = 25");
    terminal.press("\x03");
    terminal.wait_for("cancelled");
    terminal.press("print 6 * 7\r");
    terminal.wait_for("6 * 7 = 42");
    terminal.press("exit\r");
    assert_eq!(terminal.end(), Some(0));
}
