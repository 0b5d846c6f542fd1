//! What can be typed besides statements: help and a way out.

/// Words that end the prompt, and those that ask for help; those of other programs' prompts too.
const QUIT: &[&str] = &["quit", "exit", "q", "\\q", ".quit", ".exit", ":q"];
const HELP_WORDS: &[&str] = &["help", "?", "\\?", ".help", ":help"];

/// Something typed that is no statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// End.
    Quit,
    /// Help, on a topic or in general.
    Help(Option<String>),
}

impl Command {
    /// The command that was typed, if it is one.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        let typed = typed.trim().trim_end_matches([';', '(', ')']).trim_end();
        let (word, rest) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
        let is_one_of = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        if is_one_of(QUIT) && rest.is_empty() {
            return Some(Self::Quit);
        }
        if is_one_of(HELP_WORDS) {
            let topic = rest.trim();
            return Some(Self::Help((!topic.is_empty()).then(|| topic.to_owned())));
        }
        None
    }

    /// The words that completion offers.
    pub(super) fn words() -> [&'static str; 3] {
        ["help", "quit", "exit"]
    }
}

/// `help`
pub(super) const HELP: &str = "\
Type a question; Enter runs it. What is not complete goes on on the next line;
an empty line runs it in any case.

  walk tasks select pid, comm, state       the processes
  walk tasks where comm like 'ssh%' select pid, comm, exe
  walk tasks, files select pid, comm, fd, path
  walk tasks select state, count(*) group by state order by count(*) desc

  show walks              what can be walked; also: show columns, functions,
                          types, symbols, settings, target, profile
  describe tasks          the columns of a walk; also: a type, symbol, function
  print init_task.comm    a value; a struct is printed whole; print/x in hex
  read virt &init_task, 64    bytes; translate &init_task tells where they are
  explain walk tasks select *     how a query would be answered
  use 'integrity'; check   signs of tampering, each with a verdict

  let, def, use           names for values, functions, walks; files of them
  set format json         how rows are printed: table, json, ndjson, csv
                          (also: set max_rows, max_reads, timeout)

  help select             about a clause; help NAME: a walk, function or type
  quit                    ends, as Ctrl-D does; Ctrl-C stops a query
";

/// Help on words that are not names of the library.
const TOPICS: &[(&[&str], &str)] = &[
    (
        &[
            "walk",
            "select",
            "where",
            "query",
            "queries",
            "group",
            "order",
            "limit",
            "from",
            "of",
            "union",
            "except",
            "intersect",
        ],
        "\
walk SOURCE [, SOURCE]…     `tasks`, `files of t`, `tasks from init_task`, or
                            `list(struct module.list) from modules`
[where CONDITION]           C's operators; and, or, not, in (…), like 'pat%',
                            matches 'regex', between A and B, is null
select [distinct] COLUMN [as NAME], …
                            columns, members (`mm.pgd`; pointers are
                            followed), any expression; or *
[group by …] [having …]     with count(*), sum, min, max, avg, collect, first
[order by COLUMN [desc], …] [limit N [offset N]]

union, intersect and except join queries that have the same columns:
  walk threads select pid except walk tasks select pid
",
    ),
    (
        &["print"],
        "\
print EXPRESSION, …     values; structs are printed whole
print/x                 x hexadecimal, d decimal, u unsigned, o octal,
                        t binary, c character, s text, a address with symbol,
                        z hexadecimal with zeros
",
    ),
    (
        &["set"],
        "\
set format table        or json, ndjson, csv
set max_rows 100        the most rows that are shown
set max_reads 100000    the most reads that a query may take
set timeout 5s          the most time that it may take
`show settings` lists them with their values.
",
    ),
    (
        &["null", "nulls"],
        "\
A cell is null when it could not be read or does not exist; `reason(x)` says
why. Comparing with null is neither true nor false: `where x is null` finds
nulls, `x ?? 0` replaces them.
",
    ),
];

/// Help on a topic of the language; `None` for names that the session knows better.
pub(super) fn help_of(topic: &str) -> Option<&'static str> {
    TOPICS
        .iter()
        .find(|(words, _)| words.iter().any(|word| word.eq_ignore_ascii_case(topic)))
        .map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse_statements;

    #[test]
    fn ways_out_and_calls_for_help() {
        for typed in ["quit", "exit;", " QUIT ", "\\q", "exit()", ".quit"] {
            assert_eq!(Command::parse(typed), Some(Command::Quit), "{typed}");
        }
        assert_eq!(Command::parse("help"), Some(Command::Help(None)));
        assert_eq!(
            Command::parse("help  tasks ;"),
            Some(Command::Help(Some("tasks".to_owned())))
        );
        for typed in ["walk tasks select *", "quit now", "helpful", "print quit"] {
            assert_eq!(Command::parse(typed), None, "{typed}");
        }
    }

    #[test]
    fn what_help_shows_can_be_typed() {
        let statements = HELP.lines().filter(|line| {
            [
                "  walk",
                "  print",
                "  read",
                "  explain",
                "  set",
                "  describe",
            ]
            .iter()
            .any(|word| line.starts_with(word))
        });
        let mut tried = 0;
        for line in statements {
            let statement = line.trim().split("  ").next().unwrap();
            let parsed = parse_statements(statement);
            assert!(parsed.iter().all(Result::is_ok), "{statement}: {parsed:?}");
            tried += 1;
        }
        assert_eq!(tried, 9);
        let texts = TOPICS.iter().map(|(_, text)| *text).chain([HELP]);
        let lines = texts.flat_map(str::lines);
        for line in lines {
            assert!(line.chars().count() < 80, "{line}");
        }
    }

    #[test]
    fn topics_are_found_in_any_case() {
        assert!(help_of("SELECT").is_some_and(|text| text.contains("walk SOURCE")));
        assert_eq!(help_of("tasks"), None);
    }
}
