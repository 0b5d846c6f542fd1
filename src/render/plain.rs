//! Columns whose cells all stand on one line, without colours → padded text.
//!
//! What a table looks like in a pipe or a file, and on a terminal that is wide enough. It is what comfy-table draws of the same
//! columns (a property says so), without a copy of every cell: the table of a hundred thousand rows costs no more than its text.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::table::Column;

/// Writes a heading, a rule and `rows` lines.
pub(super) fn write(columns: &[Column], rows: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for column in columns {
        put(&mut line, &column.heading, column);
    }
    finish(&mut line, out)?;
    for (number, column) in columns.iter().enumerate() {
        let padding = usize::from(number + 1 < columns.len());
        line.extend(std::iter::repeat_n('─', column.widest + padding));
        line.push(' ');
    }
    finish(&mut line, out)?;
    for row in 0..rows {
        for column in columns {
            put(&mut line, column.cells.get(row), column);
        }
        finish(&mut line, out)?;
    }
    Ok(())
}

/// Appends a cell and the space between columns.
fn put(line: &mut String, text: &str, column: &Column) {
    let padding = column.widest.saturating_sub(text.width());
    if column.right {
        line.extend(std::iter::repeat_n(' ', padding));
        line.push_str(text);
    } else {
        line.push_str(text);
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.push_str("  ");
}

fn finish(line: &mut String, out: &mut dyn Write) -> io::Result<()> {
    let kept = line.trim_end().len();
    line.truncate(kept);
    line.push('\n');
    out.write_all(line.as_bytes())?;
    line.clear();
    Ok(())
}
