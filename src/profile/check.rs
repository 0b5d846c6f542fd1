//! Checks of the walk library: queries whose rows are findings.

use serde::Deserialize;

use super::library::{LibraryError, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckFile {
    doc: String,
    finding: String,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    variants: Vec<CheckVariant>,
}

/// A spelling of a check's query for kernels that have what it needs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CheckVariant {
    /// What the kernel must have, as for an expression's variant.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The query.
    pub query: String,
}

/// A query whose rows are findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The file that defines it.
    pub file: String,
    /// What it looks for, for people.
    pub doc: String,
    /// What a row of it means, and what to look at next.
    pub finding: String,
    /// The first whose needs are met is used.
    pub variants: Vec<CheckVariant>,
}

pub(super) fn convert_check(
    file: &str,
    name: &str,
    check: CheckFile,
) -> Result<Check, LibraryError> {
    let mut variants = check.variants;
    if let Some(query) = check.query {
        variants.push(CheckVariant {
            needs: check.needs,
            query,
        });
    }
    if variants.is_empty() {
        let place = format!("checks.{name}");
        return Err(problem(file, &place, "has no `query` and no `variants`"));
    }
    Ok(Check {
        file: file.to_owned(),
        doc: check.doc,
        finding: check.finding,
        variants,
    })
}
