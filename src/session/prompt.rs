//! What a prompt asks a session besides statements: which kernel it speaks to, and which names go where.

use std::sync::Arc;

use crate::lang::ast::StatementKind;
use crate::lang::check::{check_expression, check_query};
use crate::lang::function::{AGGREGATES, FUNCTIONS};
use crate::lang::parse_statements;
use crate::profile::Type;
use crate::report::SourceText;
use crate::value::ValueType;

use super::output::{Output, Status};
use super::{Session, show};

impl Session {
    /// Finds the kernel, if that has not been done, and gives its banner.
    pub fn kernel(&mut self, output: &mut dyn Output) -> Result<String, Status> {
        let found = self.attached.found(&self.catalog, output)?;
        Ok(found.kernel.banner.trim_end().to_owned())
    }

    /// What the target is, for people.
    pub fn target_name(&self) -> &str {
        &self.target_name
    }

    /// Names of walks.
    pub fn walk_names(&self) -> Vec<String> {
        let own = self.definitions.walks.keys();
        self.catalog
            .library
            .walks
            .keys()
            .chain(own)
            .cloned()
            .collect()
    }

    /// Names of a walk's columns; none for a walk that is not known.
    pub fn column_names(&self, walk: &str) -> Vec<String> {
        let library = &self.catalog.library;
        let Some(walk) = library.walks.get(walk) else {
            return Vec::new();
        };
        let of_type = library
            .columns
            .get(self.catalog.element_of(walk))
            .into_iter()
            .flat_map(|columns| columns.keys());
        walk.columns.keys().chain(of_type).cloned().collect()
    }

    /// Names that expressions may use wherever they stand: functions, aggregates, definitions.
    pub fn function_names(&self) -> Vec<String> {
        let built_in = FUNCTIONS.iter().map(|entry| entry.name.to_owned());
        let aggregates = AGGREGATES.iter().map(|(name, ..)| (*name).to_owned());
        let library = self.catalog.library.functions.keys().cloned();
        let own = self
            .definitions
            .functions
            .keys()
            .chain(self.definitions.values.keys());
        built_in
            .chain(aggregates)
            .chain(library)
            .chain(own.cloned())
            .collect()
    }

    /// What `show` shows.
    pub fn catalogue_names(&self) -> Vec<String> {
        show::catalogue_names().map(str::to_owned).collect()
    }

    /// Names of structs, unions, enums and typedefs that begin so.
    pub fn type_names(&self, prefix: &str) -> Vec<String> {
        let names = self.catalog.profile.type_names();
        names.map_or_else(
            |_| Vec::new(),
            |names| {
                names
                    .map(|name| bare(&name).to_owned())
                    .filter(|name| name.starts_with(prefix))
                    .collect()
            },
        )
    }

    /// Names of the kernel's symbols that begin so.
    pub fn symbol_names(&self, prefix: &str) -> Vec<String> {
        let names = self.catalog.profile.symbol_names();
        names.map_or_else(
            |_| Vec::new(),
            |names| {
                names
                    .filter(|name| name.starts_with(prefix))
                    .map(|name| name.into_owned())
                    .collect()
            },
        )
    }

    /// Members of what an expression gives, a struct or a pointer to one. `sources` is the query's beginning (`walk tasks`), or empty
    /// where the expression stands alone. None where the expression is not understood.
    pub fn member_names(&self, sources: &str, expression: &str) -> Vec<String> {
        let kind = if sources.is_empty() {
            self.kind_of(&format!("print {expression}"))
        } else {
            // A source's name means its element, even where a member has the same name.
            self.kind_of(&format!("{sources} select {expression}.self"))
                .or_else(|| self.kind_of(&format!("{sources} select {expression}")))
        };
        match kind {
            Some(ValueType::Kernel(ty)) => self.members_of(&ty),
            _ => Vec::new(),
        }
    }

    /// Members of a named struct or union.
    pub fn type_member_names(&self, name: &str) -> Vec<String> {
        let types = [Type::Struct(name.into()), Type::Union(name.into())];
        types.iter().flat_map(|ty| self.members_of(ty)).collect()
    }

    /// The type of the first thing that a `print` or a query gives.
    fn kind_of(&self, text: &str) -> Option<ValueType> {
        let source = Arc::new(SourceText {
            name: "<completion>".to_owned(),
            text: text.to_owned(),
        });
        let statement = parse_statements(text).into_iter().next()?.ok()?;
        match &statement.kind {
            StatementKind::Print(print) => {
                let checked = check_expression(
                    &self.catalog,
                    &self.definitions,
                    &source,
                    print.values.first()?,
                );
                checked.ok().map(|checked| checked.tree.kind)
            }
            StatementKind::Query(query) => {
                let checked = check_query(&self.catalog, &self.definitions, &source, query).ok()?;
                checked
                    .tree
                    .columns
                    .into_iter()
                    .next()
                    .map(|(_, kind)| kind)
            }
            _ => None,
        }
    }

    fn members_of(&self, ty: &Type) -> Vec<String> {
        let profile = &self.catalog.profile;
        let behind_pointer = match profile.strip(ty) {
            Ok(Type::Pointer(target)) => (*target).clone(),
            Ok(other) => other,
            Err(_) => return Vec::new(),
        };
        let aggregate = profile
            .strip(&behind_pointer)
            .and_then(|ty| profile.aggregate(&ty));
        match aggregate {
            Ok(Some(aggregate)) => aggregate
                .members
                .iter()
                .map(|member| member.name.to_string())
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// A type's name without `struct`, `union` or `enum`.
fn bare(name: &str) -> &str {
    name.rsplit(' ').next().unwrap_or(name)
}
