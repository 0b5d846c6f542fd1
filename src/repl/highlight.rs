//! What is typed → the same with colours.

use std::borrow::Cow;

use super::token::{Kind, is_keyword, tokens};

/// Select Graphic Rendition parameters (ECMA-48, 8.3.117): keywords cyan, texts green, numbers yellow, comments dim.
fn color(kind: Kind, text: &str) -> Option<&'static str> {
    match kind {
        Kind::Word if is_keyword(text) => Some("36"),
        Kind::Text => Some("32"),
        Kind::Number => Some("33"),
        Kind::Comment => Some("2"),
        Kind::Word | Kind::Sign => None,
    }
}

/// The line with colours.
pub(super) fn highlight(line: &str) -> Cow<'_, str> {
    let mut shown = String::with_capacity(line.len() * 2);
    let mut position = 0;
    for token in tokens(line) {
        let text = token.text(line);
        let Some(color) = color(token.kind, text) else {
            continue;
        };
        shown.push_str(line.get(position..token.span.start).unwrap_or(""));
        shown.push_str(&format!("\x1b[{color}m{text}\x1b[0m"));
        position = token.span.end;
    }
    if position == 0 {
        return Cow::Borrowed(line);
    }
    shown.push_str(line.get(position..).unwrap_or(""));
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_texts_and_numbers_are_coloured() {
        assert_eq!(
            highlight("WALK tasks where pid > 10"),
            "\x1b[36mWALK\x1b[0m tasks \x1b[36mwhere\x1b[0m pid > \x1b[33m10\x1b[0m"
        );
        assert_eq!(highlight("pid"), "pid");
    }
}
