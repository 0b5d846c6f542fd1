//! Schema and rows: the only thing that leaves exec.

use crate::value::{Value, ValueType};

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name, unique in its schema.
    pub name: String,
    /// The type of its cells, null aside.
    pub kind: ValueType,
}

/// The columns of a result, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// In order.
    pub columns: Vec<Column>,
}

impl Schema {
    /// The columns with these names and types; a second column of a name gets `_2` and so on.
    pub fn new(columns: impl IntoIterator<Item = (String, ValueType)>) -> Self {
        let mut schema = Self::default();
        for (wanted, kind) in columns {
            let mut name = wanted.clone();
            let mut number = 2;
            while schema.columns.iter().any(|column| column.name == name) {
                name = format!("{wanted}_{number}");
                number += 1;
            }
            schema.columns.push(Column { name, kind });
        }
        schema
    }
}

/// One row: a value for each column of its schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// In the schema's order.
    pub cells: Vec<Value>,
}

/// How far an answer can be trusted to be whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Which walk stopped, in the query's words.
    pub walk: String,
    /// Why, with addresses.
    pub why: String,
}

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The columns.
    pub schema: Schema,
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// Walks that had to stop before their end; empty for a complete answer.
    pub incomplete: Vec<Incomplete>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_columns_of_a_name_are_numbered() {
        let names = ["pid", "comm", "pid", "pid"];
        let schema = Schema::new(names.map(|name| (name.to_owned(), ValueType::Integer)));
        let named: Vec<_> = schema
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(named, ["pid", "comm", "pid_2", "pid_3"]);
    }
}
