//! Definitions of the walk library: derived columns, functions and loops, checked when they are first used.

use std::rc::Rc;
use std::sync::Arc;

use crate::lang::ast::{Expression, Name, Span};
use crate::lang::catalog::CheckedFunction;
use crate::lang::parse_expression;
use crate::lang::typed::{FunctionBody, LibraryFunction, Node, Typed};
use crate::profile::{Definition, Iterate, Type};
use crate::report::{Report, SourceText};
use crate::value::ValueType;

use super::Checker;
use super::composed::element_scope;
use super::scope::{Scope, ScopeSource, typed};

impl Checker<'_> {
    /// A call of a function that the walk library defines.
    pub(super) fn call_library(
        &mut self,
        name: &Name,
        arguments: &[Expression],
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let checked = self.library_function(&name.text, span)?;
        self.check_count(
            &name.text,
            checked.parameters.len(),
            checked.parameters.len(),
            arguments,
            span,
        )?;
        let mut values = Vec::new();
        for (argument, kind) in arguments.iter().zip(&checked.parameters) {
            let argument = self.expression(argument, scope)?;
            values.push(self.fit(argument, kind)?);
        }
        Some(typed(
            Node::Apply(checked.function, values),
            checked.result,
            span,
        ))
    }

    /// A derived column of a type, of the element at `place`.
    pub(super) fn column_of(
        &mut self,
        ty: &Type,
        place: Typed,
        name: &Name,
        span: Span,
    ) -> Option<Typed> {
        let spelled = ty.to_string();
        let definition = self
            .catalog
            .library
            .columns
            .get(&spelled)
            .and_then(|columns| columns.get(&name.text))?;
        let key = format!("{spelled}.{}", name.text);
        let checked = self.checked_once(&key, span, |this| {
            this.expression_function(
                &key,
                definition,
                &[("self".to_owned(), ValueType::Kernel(ty.clone()))],
            )
        })?;
        Some(typed(
            Node::Apply(checked.function, vec![place]),
            checked.result,
            span,
        ))
    }

    /// A library function by name, checked when it is first used.
    pub(super) fn library_function(&mut self, name: &str, span: Span) -> Option<CheckedFunction> {
        let function = self.catalog.library.functions.get(name)?;
        let key = format!("{name}()");
        self.checked_once(&key, span, |this| {
            let mut parameters = Vec::new();
            for (parameter, ty) in &function.parameters {
                let parsed = this.catalog.profile.parse_type(ty);
                let kind = match ty.as_str() {
                    "text" => ValueType::Text,
                    "integer" => ValueType::Integer,
                    _ => ValueType::Kernel(this.profile(Span::default(), parsed)?),
                };
                parameters.push((parameter.clone(), kind));
            }
            match &function.iterate {
                Some(iterate) => {
                    this.loop_function(name, &function.definition, iterate, &parameters)
                }
                None => this.expression_function(name, &function.definition, &parameters),
            }
        })
    }

    /// Checks a library definition once a kernel; what was found wrong is told wherever it is used.
    pub(super) fn checked_once(
        &mut self,
        key: &str,
        span: Span,
        check: impl FnOnce(&mut Checker<'_>) -> Option<CheckedFunction>,
    ) -> Option<CheckedFunction> {
        let known = self.catalog.functions.borrow().get(key).cloned();
        let outcome = match known {
            Some(outcome) => outcome,
            None => {
                if !self.catalog.in_progress.borrow_mut().insert(key.to_owned()) {
                    self.error(
                        span,
                        format!("`{key}` of the walk library is defined by itself"),
                        "used here",
                    );
                    return None;
                }
                let definitions = crate::lang::catalog::Definitions::default();
                let mut checker = Checker::new(self.catalog, &definitions, &self.source);
                checker.nesting = self.nesting + 1;
                let checked = check(&mut checker);
                let outcome = match checked {
                    Some(function) if checker.errors.is_empty() => Ok(function),
                    _ => Err(checker.errors),
                };
                self.catalog.in_progress.borrow_mut().remove(key);
                self.catalog
                    .functions
                    .borrow_mut()
                    .insert(key.to_owned(), outcome.clone());
                outcome
            }
        };
        match outcome {
            Ok(function) => Some(function),
            Err(reasons) => {
                let lacks = reasons.iter().all(|reason| reason.lacks);
                let mut report = Report::error(match lacks {
                    true => format!("`{key}` cannot be had on this kernel"),
                    false => format!("`{key}` of the walk library is mistaken"),
                });
                report.lacks = lacks;
                report = report.at(&self.source, span.into(), "used here");
                report
                    .notes
                    .extend(reasons.iter().map(|reason| reason.message.clone()));
                self.errors.push(report);
                None
            }
        }
    }

    /// The text of the first variant whose needs the kernel meets.
    pub(super) fn variant(&mut self, key: &str, definition: &Definition) -> Option<String> {
        let mut missing = Vec::new();
        for variant in &definition.variants {
            let unmet = self.catalog.unmet(&variant.needs);
            let unmet = self.profile(Span::default(), unmet)?;
            if unmet.is_empty() {
                return Some(variant.expr.clone());
            }
            missing.extend(unmet.into_iter().map(|need| format!("`{need}`")));
        }
        self.errors.push(Report::error(format!(
            "`{key}` needs {}, which this kernel has not",
            missing.join(" or ")
        )));
        self.last_lacks();
        None
    }

    /// Checks a library expression over named parameters; `self` is the parameter of that name.
    pub(super) fn expression_function(
        &mut self,
        key: &str,
        definition: &Definition,
        parameters: &[(String, ValueType)],
    ) -> Option<CheckedFunction> {
        let text = self.variant(key, definition)?;
        let scope = parameter_scope(parameters);
        let body =
            self.library_expression(&format!("{}: {key}", definition.file), &text, &scope)?;
        let result = body.kind.clone();
        let body = FunctionBody::Expression(body);
        Some(checked_function(key, parameters, body, result))
    }

    /// Checks a library loop.
    pub(super) fn loop_function(
        &mut self,
        key: &str,
        definition: &Definition,
        iterate: &Iterate,
        parameters: &[(String, ValueType)],
    ) -> Option<CheckedFunction> {
        self.variant(key, definition)?;
        let place = format!("{}: {key}", definition.file);
        let mut scope = parameter_scope(parameters);
        let mut start = Vec::new();
        let mut names = Vec::new();
        for (name, text) in iterate.start.iter().flatten() {
            let value = self.library_expression(&format!("{place}: {name}"), text, &scope)?;
            let local = Node::Local(parameters.len() + start.len());
            scope.names.push((
                name.clone(),
                typed(local, value.kind.clone(), Span::default()),
            ));
            names.push(name);
            start.push(value);
        }
        let condition =
            self.library_expression(&format!("{place}: while"), &iterate.condition, &scope)?;
        let mut next = Vec::new();
        for name in names {
            let text = iterate.next.get(name).unwrap_or(name);
            next.push(self.library_expression(&format!("{place}: next {name}"), text, &scope)?);
        }
        let result =
            self.library_expression(&format!("{place}: result"), &iterate.result, &scope)?;
        let kind = result.kind.clone();
        let body = FunctionBody::Loop {
            start,
            condition,
            next,
            result,
            limit: iterate.limit,
        };
        Some(checked_function(key, parameters, body, kind))
    }

    /// Parses and checks an expression of the library; scalars and text are read, structs stay places.
    pub(super) fn library_expression(
        &mut self,
        place: &str,
        text: &str,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let unread = self.library_place(place, text, scope)?;
        self.read(unread)
    }

    /// As [`Checker::library_expression`], with members and symbols staying places.
    pub(super) fn library_place(
        &mut self,
        place: &str,
        text: &str,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let source = Arc::new(SourceText {
            name: place.to_owned(),
            text: text.to_owned(),
        });
        let parsed = match parse_expression(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.errors.push(error.report(&source, 0));
                return None;
            }
        };
        self.nested(&source, Span::default(), true, |this| {
            this.expression(&parsed, scope)
        })
    }

    /// A column that only one walk has: checked where it is used, since it may name the walk's owner and index.
    pub(super) fn walk_column(
        &mut self,
        source: &ScopeSource,
        name: &Name,
        scope: &Scope<'_>,
    ) -> Option<Option<Typed>> {
        let Some(walk) = self.catalog.library.walks.get(&source.source.walk) else {
            return Some(None);
        };
        let Some(definition) = walk.columns.get(&name.text) else {
            return Some(None);
        };
        if scope.groups.is_some_and(|groups| groups.of_group) {
            // The name's own lookup makes the report.
            self.element(source, name.span, scope)?;
        }
        let key = format!("{}.{}", source.source.walk, name.text);
        let Some(text) = self.variant(&key, definition) else {
            self.relabel(name.span);
            return None;
        };
        let walked = &source.source;
        let owner = source.owner.as_ref();
        let inner = element_scope(
            walked.id,
            &walked.element,
            &walked.traversal,
            owner,
            name.span,
        );
        let place = format!("{}: {key}", definition.file);
        let value = self.library_expression(&place, &text, &inner)?;
        Some(Some(Typed {
            span: name.span,
            ..value
        }))
    }

    /// Points the last report, which has no place, at `span`.
    pub(super) fn relabel(&mut self, span: Span) {
        if let Some(report) = self.errors.pop() {
            self.errors.push(if report.labels.is_empty() {
                report.at(&self.source, span.into(), "")
            } else {
                report
            });
        }
    }
}

fn parameter_scope(parameters: &[(String, ValueType)]) -> Scope<'static> {
    let mut scope = Scope::default();
    for (number, (name, kind)) in parameters.iter().enumerate() {
        let local = typed(Node::Local(number), kind.clone(), Span::default());
        if name == "self" {
            scope.self_place = Some(local);
        } else {
            scope.names.push((name.clone(), local));
        }
    }
    scope
}

fn checked_function(
    name: &str,
    parameters: &[(String, ValueType)],
    body: FunctionBody,
    result: ValueType,
) -> CheckedFunction {
    let function = LibraryFunction {
        name: name.to_owned(),
        parameters: parameters.len(),
        loops: match &body {
            FunctionBody::Expression(body) => body.loops(),
            FunctionBody::Loop { .. } => true,
        },
        body,
    };
    CheckedFunction {
        function: Rc::new(function),
        parameters: parameters.iter().map(|(_, kind)| kind.clone()).collect(),
        result,
    }
}
