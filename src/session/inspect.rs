//! `read` and `translate`: memory and page tables as they are.

use std::sync::Arc;

use crate::lang::ast::{Expression, Read, StatementKind, Translate};
use crate::paging::{AddressSpace, Step};
use crate::report::{Report, SourceText};
use crate::row::Row;
use crate::value::Value;

use super::Session;
use super::attach::Found;
use super::execute::tell_stalled;
use super::execute::text_at;
use super::output::{Output, Status};

impl Session {
    /// The address space that a statement means: the kernel's, or that of a task.
    pub(super) fn space(
        &mut self,
        source: &Arc<SourceText>,
        owner: Option<&Expression>,
        output: &mut dyn Output,
    ) -> Result<(Found, AddressSpace), Status> {
        let found = self.attached.found(&self.catalog, output)?;
        let Some(owner) = owner else {
            let space = (*found.target.space).clone();
            return Ok((found, space));
        };
        let text = format!("({}).mm.pgd", text_at(source, owner));
        let table = self.computed(&text, output)?;
        let Some(table) = table
            .as_integer()
            .and_then(|table| u64::try_from(table).ok())
        else {
            let report = Report::error("this has no address space of its own").at(
                source,
                owner.span.into(),
                "",
            );
            output.report(
                &report.with_hint("kernel threads have none; `of TASK` wants a task with an `mm`"),
            );
            return Err(Status::Failed);
        };
        let kernel = (*found.target.space).clone();
        let translated = found.engine.run(self.budget(), {
            let kernel = kernel.clone();
            move |reader| async move {
                reader
                    .translate(&kernel, crate::addr::VirtAddr::new(table))
                    .await
            }
        });
        match translated {
            Ok((Ok(translation), _)) => {
                let space = kernel.user(translation.physical);
                Ok((found, space))
            }
            _ => {
                output.report(
                    &Report::error("the page tables of this task cannot be found").at(
                        source,
                        owner.span.into(),
                        "",
                    ),
                );
                Err(Status::Failed)
            }
        }
    }

    /// The value of an expression in a text of our own.
    pub(super) fn computed(
        &mut self,
        text: &str,
        output: &mut dyn Output,
    ) -> Result<Value, Status> {
        let source = Arc::new(SourceText {
            name: "<computed>".to_owned(),
            text: text.to_owned(),
        });
        let expression = crate::lang::parse_expression(text).map_err(|error| {
            output.report(&error.report(&source, 0));
            Status::Wrong
        })?;
        let mut values = self.values(&source, std::slice::from_ref(&expression), output)?;
        Ok(values.pop().map_or(
            Value::Null(crate::value::Reason::Absent),
            |(_, _, value)| value,
        ))
    }

    /// The rows of a query in a text of our own.
    pub(super) fn rows_of(
        &mut self,
        text: &str,
        output: &mut dyn Output,
    ) -> Result<Vec<Row>, Status> {
        let source = Arc::new(SourceText {
            name: "<computed>".to_owned(),
            text: text.to_owned(),
        });
        let statements = crate::lang::parse_program(&source).map_err(|reports| {
            for report in &reports {
                output.report(report);
            }
            Status::Wrong
        })?;
        let Some(StatementKind::Query(query)) = statements.first().map(|first| &first.kind) else {
            return Ok(Vec::new());
        };
        Ok(self.rows(&source, query, output)?.0.rows)
    }

    /// One number that a statement needs.
    pub(super) fn number(
        &mut self,
        source: &Arc<SourceText>,
        expression: &Expression,
        output: &mut dyn Output,
    ) -> Result<u64, Status> {
        let values = self.values(source, std::slice::from_ref(expression), output)?;
        let number = values
            .first()
            .and_then(|(_, _, value)| value.as_integer())
            .and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| {
            output.report(&Report::error("a number is wanted here").at(
                source,
                expression.span.into(),
                "",
            ));
            Status::Failed
        })
    }

    pub(super) fn read(
        &mut self,
        source: &Arc<SourceText>,
        read: &Read,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        /// Most bytes that one statement shows.
        const MOST: u64 = 1024 * 1024;
        let address = self.number(source, &read.address, output)?;
        let length = match &read.length {
            Some(length) => self.number(source, length, output)?.min(MOST),
            None => 256,
        };
        let (found, space) = self.space(source, read.owner.as_ref(), output)?;
        let physical = read.space == crate::lang::ast::AddressSpace::Physical;
        let dump = found.engine.run(self.budget(), move |reader| async move {
            super::describe::hexdump(&reader, &space, physical, address, length).await
        });
        match dump {
            Ok(((text, failed), _)) => {
                output.text(&text);
                Ok(if failed {
                    Status::Incomplete
                } else {
                    Status::Complete
                })
            }
            Err(stalled) => Err(tell_stalled(&stalled, output)),
        }
    }

    pub(super) fn translate(
        &mut self,
        source: &Arc<SourceText>,
        translate: &Translate,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let address = self.number(source, &translate.address, output)?;
        let (found, space) = self.space(source, translate.owner.as_ref(), output)?;
        let walked = found.engine.run(self.budget(), move |reader| async move {
            let mut walk = space.translate_by_tables(crate::addr::VirtAddr::new(address));
            let mut unreadable = None;
            while let Step::Read(entry) = walk.step() {
                let mut bytes = [0; 8];
                if let Err(error) = reader.physical(entry, &mut bytes).await {
                    unreadable = Some(error);
                    break;
                }
                walk.supply(u64::from_le_bytes(bytes));
            }
            (walk, unreadable)
        });
        let ((walk, unreadable), _) = walked.map_err(|stalled| tell_stalled(&stalled, output))?;
        let mut text = String::new();
        for visited in walk.trace() {
            text.push_str(&format!("{visited}\n"));
        }
        let status = match (walk.step(), unreadable) {
            (Step::Done(translation), _) => {
                text.push_str(&format!(
                    "physical {} in a page of {} bytes\n",
                    translation.physical, translation.page_size
                ));
                Status::Complete
            }
            (Step::Fault(failure), _) => {
                text.push_str(&format!("not translated: {failure}\n"));
                Status::Complete
            }
            (Step::Read(_), unreadable) => {
                let why = unreadable.map_or_else(String::new, |error| error.to_string());
                text.push_str(&format!("not translated: {why}\n"));
                Status::Incomplete
            }
        };
        output.text(&text);
        Ok(status)
    }
}
