//! A place → the names that may be written there.

use crate::render::Format;
use crate::session::Session;

use super::command::Command;
use super::place::{Place, place};
use super::token::{CLAUSE_WORDS, STATEMENT_WORDS};

/// Names are looked up among all symbols or types from so many letters on; there are a hundred thousand.
const LEAST: usize = 2;

/// Where names come from.
pub(super) trait Vocabulary {
    fn walks(&self) -> Vec<String>;
    fn columns(&self, walk: &str) -> Vec<String>;
    fn functions(&self) -> Vec<String>;
    fn catalogues(&self) -> Vec<String>;
    fn settings(&self) -> Vec<String>;
    fn types(&self, prefix: &str) -> Vec<String>;
    fn symbols(&self, prefix: &str) -> Vec<String>;
    fn members(&self, sources: &str, expression: &str) -> Vec<String>;
    fn type_members(&self, name: &str) -> Vec<String>;
}

impl Vocabulary for &mut Session {
    fn walks(&self) -> Vec<String> {
        self.walk_names()
    }

    fn columns(&self, walk: &str) -> Vec<String> {
        self.column_names(walk)
    }

    fn functions(&self) -> Vec<String> {
        self.function_names()
    }

    fn catalogues(&self) -> Vec<String> {
        self.catalogue_names()
    }

    fn settings(&self) -> Vec<String> {
        let settings = Session::settings(self).list();
        settings
            .into_iter()
            .map(|(name, ..)| name.to_owned())
            .collect()
    }

    fn types(&self, prefix: &str) -> Vec<String> {
        self.type_names(prefix)
    }

    fn symbols(&self, prefix: &str) -> Vec<String> {
        self.symbol_names(prefix)
    }

    fn members(&self, sources: &str, expression: &str) -> Vec<String> {
        self.member_names(sources, expression)
    }

    fn type_members(&self, name: &str) -> Vec<String> {
        self.type_member_names(name)
    }
}

/// Where the begun word starts, and every way to go on, in order and each once.
pub(super) fn complete(before: &str, vocabulary: &impl Vocabulary) -> (usize, Vec<String>) {
    let (place, word) = place(before);
    let begun = before.get(word.clone()).unwrap_or("");
    let mut names = names(&place, begun, vocabulary);
    names.retain(|name| matches(name, begun) && name != begun);
    names.sort();
    names.dedup();
    (word.start, names)
}

/// Keywords may be typed in any case, names not; a name that is typed in the wrong case is offered in the right one.
fn matches(name: &str, begun: &str) -> bool {
    name.get(..begun.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(begun))
}

fn names(place: &Place, begun: &str, vocabulary: &impl Vocabulary) -> Vec<String> {
    match place {
        Place::Start => words(STATEMENT_WORDS, begun)
            .chain(words(&Command::words(), begun))
            .collect(),
        Place::Query => words(&["walk", "analyze"], begun).collect(),
        Place::Walk => vocabulary.walks(),
        Place::Clause => words(CLAUSE_WORDS, begun).collect(),
        Place::Column(walks) => {
            let mut names: Vec<String> = walks
                .iter()
                .flat_map(|walk| vocabulary.columns(walk))
                .collect();
            // Before a letter is typed, columns are what one wants to see.
            if !begun.is_empty() {
                names.extend(vocabulary.functions());
                names.extend(words(CLAUSE_WORDS, begun));
            }
            names
        }
        Place::Expression => {
            let mut names = vocabulary.functions();
            names.extend(symbols(begun, vocabulary));
            names.extend(words(CLAUSE_WORDS, begun).filter(|_| !begun.is_empty()));
            names
        }
        Place::Member {
            sources,
            expression,
        } => {
            let mut names = vocabulary.members(sources, expression);
            names.extend(vocabulary.columns(&named(sources, expression)));
            names
        }
        Place::TypeMember(name) => vocabulary.type_members(name),
        Place::Symbol => symbols(begun, vocabulary),
        Place::Type => types(begun, vocabulary),
        Place::Subject => {
            let mut names = vocabulary.walks();
            names.extend(vocabulary.functions());
            names.extend(types(begun, vocabulary));
            names.extend(symbols(begun, vocabulary));
            names
        }
        Place::Catalogue => vocabulary.catalogues(),
        Place::Setting => vocabulary.settings(),
        Place::Format => Format::names().map(str::to_owned).collect(),
        Place::Nothing => Vec::new(),
    }
}

/// The walk that an alias stands for: `files` of `walk tasks as t, files of t as f` for `f`; else the name itself.
fn named(sources: &str, alias: &str) -> String {
    let walk = sources.split(',').find_map(|source| {
        let mut words = source
            .split_whitespace()
            .filter(|word| !word.eq_ignore_ascii_case("walk"));
        let walk = words.next()?;
        words.find(|word| word.eq_ignore_ascii_case("as"))?;
        (words.next() == Some(alias)).then_some(walk)
    });
    walk.unwrap_or(alias).to_owned()
}

/// Keywords, in capitals where the begun word is.
fn words<'w>(words: &'w [&'static str], begun: &str) -> impl Iterator<Item = String> + use<'w> {
    let capitals = !begun.is_empty()
        && begun
            .chars()
            .all(|character| character.is_ascii_uppercase());
    words.iter().map(move |word| {
        if capitals {
            word.to_ascii_uppercase()
        } else {
            (*word).to_owned()
        }
    })
}

fn symbols(begun: &str, vocabulary: &impl Vocabulary) -> Vec<String> {
    if begun.len() < LEAST {
        Vec::new()
    } else {
        vocabulary.symbols(begun)
    }
}

fn types(begun: &str, vocabulary: &impl Vocabulary) -> Vec<String> {
    if begun.len() < LEAST {
        Vec::new()
    } else {
        vocabulary.types(begun)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A small kernel.
    #[derive(Debug)]
    pub(in super::super) struct Small;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    impl Vocabulary for Small {
        fn walks(&self) -> Vec<String> {
            owned(&["tasks", "threads", "files"])
        }

        fn columns(&self, walk: &str) -> Vec<String> {
            match walk {
                "tasks" => owned(&["pid", "comm", "state"]),
                "files" => owned(&["fd", "path"]),
                _ => Vec::new(),
            }
        }

        fn functions(&self) -> Vec<String> {
            owned(&["count", "phys"])
        }

        fn catalogues(&self) -> Vec<String> {
            owned(&["walks", "types"])
        }

        fn settings(&self) -> Vec<String> {
            owned(&["format", "timeout"])
        }

        fn types(&self, _: &str) -> Vec<String> {
            owned(&["task_struct"])
        }

        fn symbols(&self, prefix: &str) -> Vec<String> {
            assert!(prefix.len() >= LEAST);
            owned(&["init_task", "init_mm", "jiffies"])
        }

        fn members(&self, sources: &str, expression: &str) -> Vec<String> {
            vec![
                format!("{}_member", expression.replace('.', "_")),
                format!("of_{}", sources.len()),
            ]
        }

        fn type_members(&self, _: &str) -> Vec<String> {
            owned(&["__state", "pid"])
        }
    }

    fn offered(before: &str) -> Vec<String> {
        complete(before, &Small).1
    }

    #[test]
    fn names_of_the_place_are_offered() {
        assert_eq!(offered("wal"), ["walk"]);
        assert_eq!(offered("wa"), ["walk", "watch"]);
        assert_eq!(offered("WAL"), ["WALK"]);
        assert_eq!(offered("he"), ["help"]);
        assert_eq!(offered("walk t"), ["tasks", "threads"]);
        assert_eq!(offered("walk tasks w"), ["where"]);
        assert_eq!(offered("walk tasks select "), ["comm", "pid", "state"]);
        assert_eq!(
            offered("walk tasks, files select p"),
            ["path", "phys", "pid"]
        );
        assert_eq!(offered("walk tasks select pid wh"), ["where"]);
        assert_eq!(offered("print init_"), ["init_mm", "init_task"]);
        assert_eq!(offered("print @j"), Vec::<String>::new());
        assert_eq!(offered("print @ji"), ["jiffies"]);
        assert_eq!(offered("show "), ["types", "walks"]);
        assert_eq!(offered("set f"), ["format"]);
        assert_eq!(
            offered("set format "),
            ["arrow", "csv", "json", "ndjson", "parquet", "table"]
        );
        assert_eq!(offered("describe struct ta"), ["task_struct"]);
        assert_eq!(offered("describe task_struct.__"), ["__state"]);
    }

    #[test]
    fn an_alias_offers_its_walk() {
        assert_eq!(offered("walk tasks as t select t.p"), ["pid"]);
        assert_eq!(
            offered("walk tasks as t, files of t as f select f.p"),
            ["path"]
        );
        assert_eq!(offered("print init_task.i"), ["init_task_member"]);
    }

    #[test]
    fn the_word_is_replaced_from_its_start() {
        assert_eq!(complete("walk ta", &Small), (5, owned(&["tasks"])));
        assert_eq!(
            complete("walk tasks select pid, Co", &Small),
            (23, owned(&["comm", "count"]))
        );
    }
}
