//! What is right but hardly meant: comparisons that cannot hold, sources of which nothing is used, sources that have nothing to do with
//! one another.

use std::collections::BTreeSet;

use crate::lang::ast::{BinaryOperator, Span};
use crate::lang::function::Builtin;
use crate::lang::typed::{
    CheckedBody, CheckedQuery, CheckedSource, CheckedTraversal, FunctionBody, Node, SourceId,
    Typed, WalkBody,
};
use crate::profile::{Encoding, Type};
use crate::report::{Report, nearest};
use crate::value::{Value, ValueType};

use super::Checker;

/// Functions in functions that are looked into for what text they give.
const MOST_FUNCTIONS: usize = 8;

/// Texts that are listed in a hint.
const MOST_LISTED: usize = 16;

/// What text an expression can give, where that is written out in it and in the functions that it calls.
#[derive(Debug, Default)]
struct Texts {
    written: BTreeSet<String>,
    /// Whether it can be a number too, in digits.
    numbers: bool,
}

impl Texts {
    /// Adds what `typed` can give; `None` if that can be any text.
    fn add(&mut self, typed: &Typed, functions: usize) -> Option<()> {
        match &typed.node {
            Node::Constant(Value::Text(text)) => {
                self.written
                    .insert(String::from_utf8_lossy(text).into_owned());
            }
            Node::Constant(Value::Null(_)) => {}
            Node::Conditional(_, one, other) => {
                self.add(one, functions)?;
                self.add(other, functions)?;
            }
            Node::Coalesce(parts) => {
                for part in parts {
                    self.add(part, functions)?;
                }
            }
            Node::Call(Builtin::Hex, _) => self.numbers = true,
            Node::Call(Builtin::Format, parts) => {
                let Node::Constant(Value::Text(template)) = &parts.first()?.node else {
                    return None;
                };
                if !matches!(&**template, b"%d" | b"%x" | b"%#x" | b"0x%x") {
                    return None;
                }
                self.numbers = true;
            }
            Node::Apply(function, _) if functions > 0 => {
                let FunctionBody::Expression(body) = &function.body else {
                    return None;
                };
                self.add(body, functions - 1)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether it can be this text.
    fn holds(&self, text: &str) -> bool {
        let is_number = text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
        self.written.contains(text) || self.numbers && is_number
    }
}

impl Checker<'_> {
    /// Warns of a comparison that cannot hold, or always does: with `=`, `!=` or one of order.
    pub(super) fn doubt(&mut self, operator: BinaryOperator, left: &Typed, right: &Typed) {
        if self.in_library {
            return;
        }
        let is_equality = matches!(operator, BinaryOperator::Equal | BinaryOperator::NotEqual);
        let ways = [(left, right), (right, left)];
        for (value, written) in ways.into_iter().take(if is_equality { 2 } else { 1 }) {
            match &written.node {
                Node::Constant(Value::Text(text)) if is_equality => {
                    let text = String::from_utf8_lossy(text).into_owned();
                    self.doubt_text(value, written, &text);
                }
                Node::Constant(Value::Integer(number)) => {
                    self.doubt_number(operator, value, *number, written);
                }
                _ => {}
            }
        }
    }

    fn doubt_text(&mut self, value: &Typed, written: &Typed, text: &str) {
        let mut texts = Texts::default();
        if texts.add(value, MOST_FUNCTIONS).is_none()
            || texts.written.is_empty()
            || texts.holds(text)
        {
            return;
        }
        let listed: Vec<_> = texts.written.iter().take(MOST_LISTED).collect();
        let more = if texts.written.len() > MOST_LISTED {
            " and others"
        } else {
            ""
        };
        let near = nearest(text, texts.written.iter().map(String::as_str))
            .map(|near| format!("did you mean `{near}`?"));
        let listed = listed
            .iter()
            .map(|text| format!("'{text}'"))
            .collect::<Vec<_>>()
            .join(", ");
        let report = Report::warning(format!("this is never '{text}'"))
            .at(&self.source, written.span.into(), near.unwrap_or_default())
            .with_hint(format!("it is one of {listed}{more}"));
        self.warnings.push(report);
    }

    fn doubt_number(
        &mut self,
        operator: BinaryOperator,
        value: &Typed,
        number: i128,
        written: &Typed,
    ) {
        let Some((least, most)) = range(value) else {
            return;
        };
        let (never, always) = match operator {
            BinaryOperator::Equal => (number < least || number > most, false),
            BinaryOperator::NotEqual => (false, number < least || number > most),
            BinaryOperator::Less => (number <= least, number > most),
            BinaryOperator::LessEqual => (number < least, number >= most),
            BinaryOperator::Greater => (number >= most, number < least),
            BinaryOperator::GreaterEqual => (number > most, number <= least),
            _ => (false, false),
        };
        let what = match (never, always) {
            (true, _) => "never holds",
            (_, true) => "always holds",
            _ => return,
        };
        let report = Report::warning(format!("this comparison {what}"))
            .at(&self.source, written.span.into(), "")
            .with_note(format!("`{}` is {least} to {most}", value.kind));
        self.warnings.push(report);
    }

    /// Warns of sources that are used by nothing, and of those that nothing connects with the ones before.
    pub(super) fn doubt_sources(&mut self, body: &WalkBody, spans: &[Span]) {
        if self.in_library || body.sources.len() != spans.len() {
            return;
        }
        for (number, (source, span)) in body.sources.iter().zip(spans).enumerate() {
            let is_one = body.sources.len() == 1;
            // What counts rows, or asks whether there is one, uses every source.
            let counts = body.distinct || body.grouping.is_some();
            if !is_one && !counts && !is_used(body, number) {
                let report = Report::warning(format!("nothing of `{}` is used", source.name))
                    .at(&self.source, (*span).into(), "only how many there are")
                    .with_hint("each row comes once for each of them; leave it out, or count them");
                self.warnings.push(report);
            } else if number > 0 && !is_single(source) && !is_connected(body, number) {
                let before: Vec<_> = body.sources[..number]
                    .iter()
                    .filter(|source| !is_single(source))
                    .map(|source| format!("`{}`", source.name))
                    .collect();
                if before.is_empty() {
                    continue;
                }
                let report = Report::warning(format!(
                    "nothing connects `{}` with {}",
                    source.name,
                    before.join(" and ")
                ))
                .at(
                    &self.source,
                    (*span).into(),
                    "every one comes with every one",
                )
                .with_hint("say in `where` which belong together, or walk it `of` something");
                self.warnings.push(report);
            }
        }
    }
}

/// The least and the most that an integer of the target's can be, where its type says.
fn range(value: &Typed) -> Option<(i128, i128)> {
    let Node::Load {
        ty: Type::Base(base),
        bits: None,
        size,
        ..
    } = &value.node
    else {
        return None;
    };
    if !matches!(value.kind, ValueType::Kernel(Type::Base(_))) {
        return None;
    }
    let bits = u32::try_from(size.checked_mul(8)?)
        .ok()
        .filter(|bits| (1..=64).contains(bits))?;
    let whole = 1_i128 << bits;
    match base.encoding {
        Encoding::Unsigned => Some((0, whole - 1)),
        Encoding::Signed => Some((-(whole / 2), whole / 2 - 1)),
        _ => None,
    }
}

/// Whether a walk has one element at most.
fn is_single(source: &CheckedSource) -> bool {
    match &source.traversal {
        CheckedTraversal::Follow(_) => true,
        CheckedTraversal::Array { count, .. } => {
            matches!(&count.node, Node::Constant(Value::Integer(count)) if *count <= 1)
        }
        CheckedTraversal::Query(query) => query.limit == Some(1),
        _ => false,
    }
}

/// Whether anything looks at a source's elements.
fn is_used(body: &WalkBody, number: usize) -> bool {
    let source = &body.sources[number];
    let looks = |typed: &Typed| mentions(typed, source);
    let outputs = body.outputs.iter().chain(body.filters.iter().flatten());
    let later = body.sources.iter().skip(number + 1);
    outputs.into_iter().any(looks) || later.into_iter().any(|later| depends(later, source))
}

/// Whether a source comes from one before it, or a condition speaks of both.
fn is_connected(body: &WalkBody, number: usize) -> bool {
    let source = &body.sources[number];
    let before = &body.sources[..number];
    let conditions = body.filters.iter().flatten();
    before.iter().any(|earlier| depends(source, earlier))
        || conditions.into_iter().any(|condition| {
            mentions(condition, source) && before.iter().any(|earlier| mentions(condition, earlier))
        })
}

/// Whether where a source begins, or what it is made of, depends on another one's element.
fn depends(source: &CheckedSource, on: &CheckedSource) -> bool {
    let expressions = source.expressions();
    expressions.into_iter().any(|typed| mentions(typed, on))
        || matches!(&source.traversal, CheckedTraversal::Query(query) if query_mentions(query, on))
}

/// Whether an expression looks at a source's element.
fn mentions(typed: &Typed, source: &CheckedSource) -> bool {
    let is_it = |id: SourceId| source.binds(id);
    match &typed.node {
        Node::Element(id) | Node::Property(id, _) | Node::Cell(id, _) if is_it(*id) => return true,
        _ => {}
    }
    let children = typed.children();
    children.into_iter().any(|child| mentions(child, source))
        || matches!(&typed.node, Node::Query(query) | Node::Exists(query) | Node::InQuery(_, query)
            if query_mentions(query, source))
}

fn query_mentions(query: &CheckedQuery, source: &CheckedSource) -> bool {
    match &query.body {
        CheckedBody::Set { left, right, .. } => {
            query_mentions(left, source) || query_mentions(right, source)
        }
        CheckedBody::Walk(body) => {
            let grouping = body.grouping.iter();
            let grouped = grouping.flat_map(|grouping| {
                let arguments = grouping.aggregates.iter();
                let arguments = arguments.filter_map(|(_, argument)| argument.as_ref());
                grouping.keys.iter().chain(arguments)
            });
            let conditions = body.filters.iter().flatten();
            let own = conditions.chain(&body.outputs).chain(grouped);
            own.into_iter().any(|typed| mentions(typed, source))
                || body.sources.iter().any(|inner| depends(inner, source))
        }
    }
}
