//! Calls: built-in functions, functions and derived columns of the walk library, the user's definitions.

use std::sync::Arc;

use crate::lang::ast::{Expression, Name, Span};
use crate::lang::function::{
    Builtin, Entry, FUNCTIONS, Parameter, ResultKind, find, find_aggregate,
};
use crate::lang::typed::{Node, Typed};
use crate::profile::Type;
use crate::report::{SourceText, nearest};
use crate::value::{Value, ValueType};

use super::scope::{Scope, typed};
use super::stand_in::unknown;
use super::{Checker, MOST_ENTERED, MOST_NESTING};

/// Functions of other languages, and how NQ says it.
const FOREIGN: &[(&[&str], &str)] = &[
    (
        &["concat"],
        "texts are joined by `+`, and formatted by `format('%s %d', comm, pid)`",
    ),
    (
        &["coalesce", "ifnull", "nvl", "isnull"],
        "the first that is not null is `a ?? b`",
    ),
    (
        &["if", "iif", "case", "nullif"],
        "one of two values is `condition ? a : b`",
    ),
    (
        &["length", "strlen", "char_length"],
        "`len(x)` counts bytes or entries",
    ),
    (
        &["printf", "sprintf", "to_char"],
        "`format('%d %s', pid, comm)` makes text of values",
    ),
    (
        &["group_concat", "string_agg", "array_agg"],
        "`collect(x)` makes a list of a group's values, `join(collect(x), ',')` text",
    ),
    (&["mean", "average"], "the mean is `avg(x)`"),
];

/// The column of the library that leads from a task to the pointer to its page table.
const PAGE_TABLE: &str = "page_table";

impl Checker<'_> {
    /// `function(arguments)`.
    pub(super) fn call(
        &mut self,
        function: &Name,
        arguments: &[Expression],
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        if !self.in_library
            && let Some((source, definition)) =
                self.definitions.functions.get(&function.text).cloned()
        {
            return self.call_definition(&source, &definition, arguments, span, scope);
        }
        if let Some(entry) = find(&function.text) {
            return self.call_builtin(entry, arguments, span, scope);
        }
        if let Some(aggregate) = find_aggregate(&function.text) {
            return self.aggregate_call(aggregate, arguments, span, scope);
        }
        if self.catalog.library.functions.contains_key(&function.text) {
            return self.call_library(function, arguments, span, scope);
        }
        match arguments {
            // A column called like a function: `path(x)` is `x.path`.
            [argument] => self.call_column(function, argument, span, scope),
            _ => {
                self.unknown_function(function);
                None
            }
        }
    }

    pub(super) fn call_column(
        &mut self,
        function: &Name,
        argument: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        if !self
            .catalog
            .library
            .columns
            .values()
            .any(|columns| columns.contains_key(&function.text))
        {
            self.unknown_function(function);
            return None;
        }
        let object = self.expression(argument, scope)?;
        let kind = object.kind.to_string();
        if let Ok((place, aggregate)) = self.as_struct(object)? {
            let ty = aggregate.as_type();
            let columns = self.catalog.library.columns.get(&ty.to_string());
            if columns.is_some_and(|columns| columns.contains_key(&function.text)) {
                return self.column_of(&ty, place, function, span);
            }
        }
        let known = self.catalog.library.columns.iter();
        let types: Vec<String> = known
            .filter(|(_, columns)| columns.contains_key(&function.text))
            .map(|(ty, _)| format!("`{ty}`"))
            .collect();
        self.error(
            argument.span,
            format!("`{}` cannot be had of `{kind}`", function.text),
            format!("it is known for {}", types.join(", ")),
        );
        None
    }

    pub(super) fn unknown_function(&mut self, function: &Name) {
        let builtins = FUNCTIONS.iter().map(|entry| entry.name);
        let library = self.catalog.library.functions.keys().map(String::as_str);
        let own = self.definitions.functions.keys().map(String::as_str);
        let near = nearest(&function.text, builtins.chain(library).chain(own));
        let label = near
            .map(|name| format!("did you mean `{name}`?"))
            .unwrap_or_default();
        let lower = function.text.to_ascii_lowercase();
        let foreign = FOREIGN
            .iter()
            .find(|(names, _)| names.contains(&lower.as_str()));
        self.error_with_hint(
            function.span,
            format!("there is no function `{}`", function.text),
            if foreign.is_some() {
                String::new()
            } else {
                label
            },
            foreign.map_or("`show functions` lists them", |(_, hint)| hint),
        );
    }

    pub(super) fn call_definition(
        &mut self,
        source: &Arc<SourceText>,
        definition: &crate::lang::ast::DefineFunction,
        arguments: &[Expression],
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        self.check_count(
            &definition.name.text,
            definition.parameters.len(),
            definition.parameters.len(),
            arguments,
            span,
        )?;
        let mut inner = Scope::default();
        for (parameter, argument) in definition.parameters.iter().zip(arguments) {
            // Of an argument that is wrong, or not known, nothing is known inside either; other mistakes are.
            let value = self.expression(argument, scope);
            let value = value.unwrap_or_else(|| unknown(argument.span));
            inner.names.push((parameter.text.clone(), value));
        }
        let value = self.nested(source, span, false, |this| {
            this.expression(&definition.body, &inner)
        })?;
        Some(Typed { span, ..value })
    }

    /// Checks something of another text.
    pub(super) fn nested<T>(
        &mut self,
        source: &Arc<SourceText>,
        span: Span,
        in_library: bool,
        check: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        self.entered += 1;
        if self.nesting >= MOST_NESTING || self.entered > MOST_ENTERED {
            // Told once: a definition that uses itself twice would tell it 2^32 times.
            if self.entered <= MOST_ENTERED {
                self.entered = MOST_ENTERED;
                self.error(span, "definitions use each other without end", "used here");
            }
            return None;
        }
        let outer_source = std::mem::replace(&mut self.source, Arc::clone(source));
        let outer_mode = std::mem::replace(&mut self.in_library, in_library);
        self.nesting += 1;
        let outcome = check(self);
        self.nesting -= 1;
        self.source = outer_source;
        self.in_library = outer_mode;
        outcome
    }

    pub(super) fn check_count(
        &mut self,
        name: &str,
        least: usize,
        most: usize,
        arguments: &[Expression],
        span: Span,
    ) -> Option<()> {
        if (least..=most).contains(&arguments.len()) {
            return Some(());
        }
        let wanted = match (least, most) {
            (1, 1) => "1 argument".to_owned(),
            (1, usize::MAX) => "at least 1 argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, usize::MAX) => format!("at least {least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        let example = find(name)
            .map(|entry| format!("for example `{}`", entry.example))
            .unwrap_or_default();
        self.error(
            span,
            format!(
                "`{name}` takes {wanted}, and {}",
                given_count(arguments.len())
            ),
            example,
        );
        None
    }

    pub(super) fn call_builtin(
        &mut self,
        entry: &'static Entry,
        arguments: &[Expression],
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let most = if entry.repeats {
            usize::MAX
        } else {
            entry.parameters.len()
        };
        self.check_count(entry.name, entry.required, most, arguments, span)?;
        let mut checked = Vec::new();
        for (number, argument) in arguments.iter().enumerate() {
            let (_, parameter) = entry.parameters[number.min(entry.parameters.len() - 1)];
            let argument = self.expression(argument, scope);
            checked.push(argument.and_then(|argument| self.argument(entry, parameter, argument)));
        }
        let checked: Vec<Typed> = checked.into_iter().collect::<Option<_>>()?;
        let kind = match entry.result {
            ResultKind::Integer => ValueType::Integer,
            ResultKind::Address => ValueType::Kernel(Type::Void.pointer_to()),
            ResultKind::Text => ValueType::Text,
            ResultKind::Bytes => ValueType::Bytes,
            ResultKind::Duration => ValueType::Duration,
            ResultKind::Same => return self.per_cpu_copy(checked, span),
        };
        if entry.function == Builtin::Typeof {
            let spelled = checked
                .first()
                .map(|argument| argument.kind.to_string())
                .unwrap_or_default();
            return Some(typed(
                Node::Constant(Value::text(spelled)),
                ValueType::Text,
                span,
            ));
        }
        Some(typed(Node::Call(entry.function, checked), kind, span))
    }

    pub(super) fn argument(
        &mut self,
        entry: &Entry,
        parameter: Parameter,
        argument: Typed,
    ) -> Option<Typed> {
        let argument = match parameter {
            Parameter::PageTable => self.page_table(argument)?,
            _ => argument,
        };
        let array = matches!(
            argument.kind,
            ValueType::Kernel(Type::Array { .. } | Type::Struct(_) | Type::Union(_))
        );
        let argument = match parameter {
            Parameter::Address if argument.is_place() && array => self.address_of(argument)?,
            Parameter::Symbol => return Some(argument),
            Parameter::Octets if argument.is_place() && array => self.octets(argument)?,
            _ => self.read(argument)?,
        };
        let fits = match parameter {
            Parameter::Any | Parameter::Symbol => true,
            Parameter::Number | Parameter::Address => argument.kind.is_numeric(),
            Parameter::PageTable => matches!(
                argument.kind,
                ValueType::Any | ValueType::Kernel(Type::Pointer(_))
            ),
            Parameter::Text => argument.kind.is_text() || argument.kind == ValueType::Bytes,
            Parameter::Bytes => argument.kind.is_text() || argument.kind == ValueType::Bytes,
            Parameter::Octets => {
                argument.kind.is_numeric()
                    || argument.kind.is_text()
                    || argument.kind == ValueType::Bytes
            }
            Parameter::List => matches!(argument.kind, ValueType::List(_) | ValueType::Any),
        };
        if fits {
            return Some(argument);
        }
        let wanted = match parameter {
            Parameter::Number => "a number",
            Parameter::Address => "an address",
            Parameter::PageTable => "a task or a pointer to its page table",
            Parameter::Text => "text",
            Parameter::Bytes => "text or bytes",
            Parameter::Octets => "a network address, as a number, bytes, an array or a struct",
            Parameter::List => "a list",
            Parameter::Any | Parameter::Symbol => "a value",
        };
        self.error(
            argument.span,
            format!(
                "`{}` takes {wanted}, and this is `{}`",
                entry.name, argument.kind
            ),
            format!("for example `{}`", entry.example),
        );
        None
    }

    /// The pointer to the page table of what has the library's column [`PAGE_TABLE`]; other values as they are.
    fn page_table(&mut self, argument: Typed) -> Option<Typed> {
        let owner = match &argument.kind {
            ValueType::Kernel(ty) => match self.strip(argument.span, ty)? {
                Type::Pointer(target) => self.strip(argument.span, &target)?,
                other => other,
            },
            _ => return Some(argument),
        };
        let columns = self.catalog.library.columns.get(&owner.to_string());
        if !columns.is_some_and(|columns| columns.contains_key(PAGE_TABLE)) {
            return Some(argument);
        }
        let name = Name {
            text: PAGE_TABLE.to_owned(),
            span: argument.span,
        };
        let span = argument.span;
        self.member(argument, &name, true, span)
    }

    /// The bytes of an object, none of which is looked into.
    fn octets(&mut self, place: Typed) -> Option<Typed> {
        let span = place.span;
        let size = match &place.kind {
            ValueType::Kernel(ty) => self.size_of(span, &ty.clone())?,
            _ => return Some(place),
        };
        let address = self.address_of(place)?;
        let size = Node::Constant(Value::Integer(i128::from(size)));
        let arguments = vec![address, typed(size, ValueType::Integer, span)];
        Some(typed(
            Node::Call(Builtin::Bytes, arguments),
            ValueType::Bytes,
            span,
        ))
    }

    /// `percpu(variable, cpu)`: the place of that CPU's copy.
    pub(super) fn per_cpu_copy(&mut self, mut arguments: Vec<Typed>, span: Span) -> Option<Typed> {
        let cpu = arguments.pop()?;
        let cpu = self.read(cpu)?;
        let variable = arguments.pop()?;
        let (address, target) = match (&variable.kind, variable.is_place()) {
            (ValueType::Kernel(Type::Pointer(target)), _) => ((**target).clone(), None),
            (ValueType::Kernel(ty), true) => (ty.clone(), Some(())),
            _ => {
                self.error(
                    variable.span,
                    "a per-CPU variable or a pointer to one is wanted here",
                    "",
                );
                return None;
            }
        };
        let (kind, pointer) = match target {
            Some(()) if !matches!(variable.kind, ValueType::Kernel(Type::Pointer(_))) => {
                (address, self.address_of(variable)?)
            }
            _ => (address, self.read(variable)?),
        };
        let offsets = self.per_cpu_offsets(span)?;
        let entry = Node::Entry {
            base: Box::new(offsets),
            index: Box::new(cpu),
            size: 8,
            count: None,
        };
        let unsigned = ValueType::Integer;
        let entry = typed(entry, unsigned.clone(), span);
        let load = Node::Load {
            place: Box::new(entry),
            ty: Type::Void.pointer_to(),
            size: 8,
            bits: None,
            enumeration: None,
        };
        let offset = typed(load, unsigned, span);
        let sum = Node::PointerOffset {
            pointer: Box::new(pointer),
            index: Box::new(offset),
            size: 1,
        };
        let sum = typed(sum, ValueType::Kernel(kind.clone().pointer_to()), span);
        Some(typed(
            Node::Follow(Box::new(sum)),
            ValueType::Kernel(kind),
            span,
        ))
    }

    /// Makes an argument of what a parameter takes: structs are taken by place, pointers to them as well.
    pub(super) fn fit(&mut self, argument: Typed, kind: &ValueType) -> Option<Typed> {
        let span = argument.span;
        match kind {
            ValueType::Kernel(Type::Struct(_) | Type::Union(_)) => {
                match self.as_struct(argument)? {
                    Ok((place, aggregate)) if ValueType::Kernel(aggregate.as_type()) == *kind => {
                        Some(place)
                    }
                    Ok((place, _)) | Err(place) => {
                        self.error(
                            span,
                            format!("`{kind}` is wanted here, and this is `{}`", place.kind),
                            "",
                        );
                        None
                    }
                }
            }
            ValueType::Kernel(Type::Pointer(_)) if argument.is_place() => match &argument.kind {
                ValueType::Kernel(Type::Struct(_) | Type::Union(_) | Type::Array { .. }) => {
                    self.address_of(argument)
                }
                _ => self.read(argument),
            },
            _ => self.read(argument),
        }
    }
}

/// `1 is given`, `2 are given`.
pub(super) fn given_count(count: usize) -> String {
    match count {
        0 => "none is given".to_owned(),
        1 => "1 is given".to_owned(),
        _ => format!("{count} are given"),
    }
}
