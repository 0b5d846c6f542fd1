//! Walks of tables of the kernel's image that are read whole and taken apart: its own symbols, its configuration.

use std::ops::Range;

use crate::lang::ast::{Name, Source};
use crate::lang::typed::{CheckedTraversal, SourceId};
use crate::profile::{ImageTable, ImageTraversal, ProfileError, Type};
use crate::value::ValueType;

use super::Checker;
use super::kernel_text::source_of_rows;
use super::scope::ScopeSource;

impl Checker<'_> {
    /// A walk over rows of a table of the kernel's image.
    pub(super) fn image_source(
        &mut self,
        id: SourceId,
        name: &Name,
        image: &ImageTraversal,
        source: &Source,
    ) -> Option<ScopeSource> {
        self.refuse_owner(name, source)?;
        let range = self.image_range(image);
        let Some(range) = self.profile(name.span, range)? else {
            let wanted = image.between.join("`, `");
            let message = format!("this kernel has none of the symbols `{wanted}`");
            self.error(name.span, message, "needed for this walk");
            self.last_lacks();
            return None;
        };
        let table = image.holds;
        let traversal = CheckedTraversal::Image { table, range };
        Some(source_of_rows(id, name, source, traversal, columns(table)))
    }

    /// The link addresses from the lowest symbol to the highest and what is behind it; `None` where the kernel has none of them.
    fn image_range(&self, image: &ImageTraversal) -> Result<Option<Range<u64>>, ProfileError> {
        let mut range: Option<Range<u64>> = None;
        for name in &image.between {
            let Some(symbol) = self.catalog.profile.symbol(name)? else {
                continue;
            };
            let (start, end) = (symbol.address, symbol.address.saturating_add(image.behind));
            range = Some(match range {
                Some(range) => range.start.min(start)..range.end.max(end),
                None => start..end,
            });
        }
        Ok(range)
    }
}

/// The columns of the rows, as `exec` fills them.
fn columns(table: ImageTable) -> Vec<(String, ValueType)> {
    let address = ValueType::Kernel(Type::Void.pointer_to());
    let columns = match table {
        ImageTable::Symbols => vec![
            ("name", ValueType::Text),
            ("address", address),
            ("type", ValueType::Text),
            ("in_profile", ValueType::Boolean),
        ],
        ImageTable::Configuration => vec![("name", ValueType::Text), ("value", ValueType::Text)],
    };
    let named = columns.into_iter();
    named.map(|(name, kind)| (name.to_owned(), kind)).collect()
}
