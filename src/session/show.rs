//! `show`: catalogues as rows.

use std::sync::Arc;

use crate::lang::ast::Show;
use crate::lang::check::check_walk;
use crate::lang::function::{AGGREGATES, FUNCTIONS};
use crate::report::{Report, SourceText, nearest};
use crate::row::{Row, Rows, Schema};
use crate::value::{Value, ValueType};

use super::Session;
use super::output::{Output, Status};

/// What can be shown, with its columns.
static CATALOGUES: [(&str, &[&str]); 9] = [
    ("walks", &["name", "of", "element", "available", "doc"]),
    (
        "checks",
        &["name", "in_force", "available", "doc", "finding"],
    ),
    ("columns", &["of", "name", "doc"]),
    ("functions", &["name", "signature", "doc", "example"]),
    ("types", &["name"]),
    ("symbols", &["name"]),
    ("settings", &["name", "value", "doc"]),
    ("target", &["fact", "value"]),
    ("profile", &["fact", "value"]),
];

/// What `show` shows: each catalogue's name with its columns.
pub fn catalogues() -> &'static [(&'static str, &'static [&'static str])] {
    &CATALOGUES
}

/// Names of catalogues.
pub(super) fn catalogue_names() -> impl Iterator<Item = &'static str> {
    CATALOGUES.iter().map(|(name, _)| *name)
}

impl Session {
    pub(super) fn check_show(&self, source: &Arc<SourceText>, show: &Show) -> Result<(), Report> {
        let known: Vec<_> = catalogue_names().collect();
        if known.contains(&show.catalogue.text.as_str()) {
            return Ok(());
        }
        let near = nearest(&show.catalogue.text, known.iter().copied());
        let label = near
            .map(|near| format!("did you mean `{near}`?"))
            .unwrap_or_default();
        let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        Err(
            Report::error(format!("there is no catalogue `{}`", show.catalogue.text))
                .at(source, show.catalogue.span.into(), label)
                .with_hint(format!("`show` knows {names}")),
        )
    }

    pub(super) fn show(&mut self, show: &Show, output: &mut dyn Output) -> Result<Status, Status> {
        let catalogue = show.catalogue.text.as_str();
        let Some((_, columns)) = CATALOGUES.iter().find(|(name, _)| *name == catalogue) else {
            return Err(Status::Wrong);
        };
        let entries = match catalogue {
            "walks" => self.walks(),
            "checks" => self.checks(),
            "columns" => self.columns(),
            "functions" => self.functions(),
            "types" => names(
                self.catalog
                    .profile
                    .type_names()
                    .map(|names| names.map(|name| name.into_owned()).collect()),
            ),
            "symbols" => names(
                self.catalog
                    .profile
                    .symbol_names()
                    .map(|names| names.map(|name| name.into_owned()).collect()),
            ),
            "settings" => {
                let settings = self.settings.list();
                settings
                    .into_iter()
                    .map(|(name, value, doc)| vec![name.to_owned(), value, doc.to_owned()])
                    .collect()
            }
            "target" => self.target_facts(output)?,
            _ => self.profile_facts(),
        };
        let pattern = show.pattern.as_ref().map(|pattern| pattern.text.as_str());
        let schema = Schema::new(
            columns
                .iter()
                .map(|name| ((*name).to_owned(), ValueType::Text)),
        );
        let wanted = entries.into_iter().filter(|entry| {
            pattern.is_none_or(|pattern| entry.first().is_some_and(|name| like(name, pattern)))
        });
        let rows = wanted
            .map(|entry| Row {
                cells: entry.into_iter().map(Value::text).collect(),
            })
            .collect();
        output.rows(
            &Rows {
                schema,
                rows,
                incomplete: Vec::new(),
            },
            &self.settings,
        );
        Ok(Status::Complete)
    }

    fn walks(&self) -> Vec<Vec<String>> {
        let walks = self.catalog.library.walks.iter().map(|(name, walk)| {
            let available = match check_walk(&self.catalog, name) {
                Ok(()) => "yes".to_owned(),
                Err(reports) => reports
                    .iter()
                    .map(Report::summary)
                    .collect::<Vec<_>>()
                    .join("; "),
            };
            vec![
                name.clone(),
                walk.of.clone().unwrap_or_default(),
                self.catalog.element_of(walk).to_owned(),
                available,
                walk.doc.clone(),
            ]
        });
        let own = self.definitions.walks.keys().map(|name| {
            vec![
                name.clone(),
                String::new(),
                String::new(),
                "yes".to_owned(),
                "defined in this session".to_owned(),
            ]
        });
        walks.chain(own).collect()
    }

    fn columns(&self) -> Vec<Vec<String>> {
        let library = &self.catalog.library;
        let of_walks = library
            .walks
            .iter()
            .map(|(name, walk)| (name.clone(), &walk.columns));
        let of_types = library
            .columns
            .iter()
            .map(|(ty, columns)| (ty.clone(), columns));
        of_walks
            .chain(of_types)
            .flat_map(|(of, columns)| {
                columns
                    .iter()
                    .map(move |(name, column)| vec![of.clone(), name.clone(), column.doc.clone()])
            })
            .collect()
    }

    fn functions(&self) -> Vec<Vec<String>> {
        let built_in = FUNCTIONS.iter().map(|entry| {
            vec![
                entry.name.to_owned(),
                entry.signature(),
                entry.doc.to_owned(),
                entry.example.to_owned(),
            ]
        });
        let aggregates = AGGREGATES.iter().map(|(name, _, doc)| {
            vec![
                (*name).to_owned(),
                format!("{name}(x)"),
                (*doc).to_owned(),
                format!("walk tasks select {name}(pid)"),
            ]
        });
        let library = self
            .catalog
            .library
            .functions
            .iter()
            .map(|(name, function)| {
                let parameters: Vec<_> = function
                    .parameters
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect();
                let signature = format!("{name}({})", parameters.join(", "));
                vec![
                    name.clone(),
                    signature,
                    function.definition.doc.clone(),
                    function.example.clone(),
                ]
            });
        built_in.chain(aggregates).chain(library).collect()
    }

    fn target_facts(&mut self, output: &mut dyn Output) -> Result<Vec<Vec<String>>, Status> {
        let kernel = self.attached.found(&self.catalog, output)?.kernel;
        let mut facts = vec![
            ("target", self.target_name.clone()),
            ("banner", kernel.banner.clone()),
            ("build id", kernel.build_id.clone().unwrap_or_default()),
            ("image at", format!("{} (physical)", kernel.image_physical)),
            ("virtual slide", format!("{:#x}", kernel.virtual_slide)),
            ("direct map at", kernel.page_offset_base.to_string()),
            ("page table levels", kernel.levels.to_string()),
        ];
        for check in &kernel.checks {
            facts.push((check.name, format!("{:?}: {}", check.outcome, check.detail)));
        }
        Ok(facts
            .into_iter()
            .map(|(fact, value)| vec![fact.to_owned(), value])
            .collect())
    }

    fn profile_facts(&self) -> Vec<Vec<String>> {
        let header = self.catalog.profile.header();
        let facts = [
            ("name", self.catalog.profile.name().to_owned()),
            ("release", header.release.clone()),
            ("banner", header.version.trim_end().to_owned()),
            ("build id", header.build_id.clone().unwrap_or_default()),
            ("made by", header.made_by.clone()),
        ];
        facts
            .into_iter()
            .map(|(fact, value)| vec![fact.to_owned(), value])
            .collect()
    }
}

fn names<E>(names: Result<Vec<String>, E>) -> Vec<Vec<String>> {
    names
        .unwrap_or_default()
        .into_iter()
        .map(|name| vec![name])
        .collect()
}

/// SQL's `like` over names: `%` any text, `_` any character.
pub(super) fn like(name: &str, pattern: &str) -> bool {
    fn matches(name: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('%', rest)) => (0..=name.len()).any(|start| matches(&name[start..], rest)),
            Some((wanted, rest)) => name.split_first().is_some_and(|(first, after)| {
                (*wanted == '_' || wanted == first) && matches(after, rest)
            }),
        }
    }
    // Several `%` in a row mean one, and would cost time for nothing.
    let mut wanted: Vec<char> = pattern.chars().collect();
    wanted.dedup_by(|one, other| *one == '%' && *other == '%');
    matches(&name.chars().collect::<Vec<_>>(), &wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        assert!(like("task_struct", "task%"));
        assert!(like("task_struct", "%str_ct"));
        assert!(!like("task_struct", "struct"));
    }
}
