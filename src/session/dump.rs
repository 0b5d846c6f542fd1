//! `dump`: memory to files.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::addr::PhysAddr;
use crate::lang::ast::{AddressSpace, Dump, Dumped, Expression, Quoted, Span, Stretch};
use crate::report::{Report, SourceText};
use crate::value::Value;

use super::Session;
use super::attach::Found;
use super::execute::text_at;
use super::output::{Output, Status};
use super::stretch::{Bytes, Part, physical_parts};

/// What was written to a file.
#[derive(Default)]
struct Written {
    bytes: u64,
    /// Bytes that could not be had; the file has zeros there.
    missing: u64,
    /// Where the first of them is, and why.
    first: Option<(u64, String)>,
    failure: Option<io::Error>,
}

impl Session {
    pub(super) fn dump(
        &mut self,
        source: &Arc<SourceText>,
        dump: &Dump,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let path = PathBuf::from(&dump.file.text);
        match &dump.what {
            Dumped::Stretch(stretch) => {
                let (found, parts) = self.stretch_parts(source, stretch, output)?;
                let file = create(source, &dump.file, &path, dump.force, output)?;
                self.dump_parts(&found, &parts, &path, file, output)
            }
            Dumped::Code(task) => {
                let (start, end) = self.code_of(source, task, output)?;
                let (found, space) = self.space(source, Some(task), output)?;
                let parts = self.parts(&found, &space, start, end - start, output)?;
                let file = create(source, &dump.file, &path, dump.force, output)?;
                self.dump_parts(&found, &parts, &path, file, output)
            }
            Dumped::Maps(task) => self.dump_maps(source, task, dump, &path, output),
            Dumped::Cache(file) => {
                let parts = self.cached_parts(source, file, output)?;
                let (found, _) = self.space(source, None, output)?;
                let target = create(source, &dump.file, &path, dump.force, output)?;
                self.dump_parts(&found, &parts, &path, target, output)
            }
        }
    }

    /// Where the parts of a stretch are that a statement names.
    pub(super) fn stretch_parts(
        &mut self,
        source: &Arc<SourceText>,
        stretch: &Stretch,
        output: &mut dyn Output,
    ) -> Result<(Found, Vec<Part>), Status> {
        let start = self.number(source, &stretch.address, output)?;
        let length = self.number(source, &stretch.length, output)?;
        if start.checked_add(length).is_none() {
            let report = Report::error("this goes beyond the last address");
            let span = stretch.address.span.to(stretch.length.span);
            output.report(&report.at(source, span.into(), ""));
            return Err(Status::Failed);
        }
        let (found, space) = self.space(source, stretch.owner.as_ref(), output)?;
        let parts = if stretch.space == Some(AddressSpace::Physical) {
            physical_parts(start, length)
        } else {
            self.parts(&found, &space, start, length, output)?
        };
        Ok((found, parts))
    }

    /// Where a process's program has its instructions.
    fn code_of(
        &mut self,
        source: &Arc<SourceText>,
        task: &Expression,
        output: &mut dyn Output,
    ) -> Result<(u64, u64), Status> {
        let text = text_at(source, task);
        let mut bound = |member: &str| {
            let value = self.computed(&format!("({text}).mm.{member}"), output)?;
            Ok(value
                .as_integer()
                .and_then(|number| u64::try_from(number).ok()))
        };
        match (bound("start_code")?, bound("end_code")?) {
            (Some(start), Some(end)) if start < end => Ok((start, end)),
            _ => {
                let report = Report::error("this process has no code of its own");
                output.report(
                    &report
                        .at(source, task.span.into(), "")
                        .with_hint("kernel threads run the kernel's; `disassemble` shows it"),
                );
                Err(Status::Failed)
            }
        }
    }

    /// Each mapping of a process to a file `START-END` in a folder.
    fn dump_maps(
        &mut self,
        source: &Arc<SourceText>,
        task: &Expression,
        dump: &Dump,
        folder: &Path,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let mappings = self.mappings(source, task, output)?;
        let (found, space) = self.space(source, Some(task), output)?;
        if let Err(error) = std::fs::create_dir_all(folder) {
            output.report(&not_written(source, dump.file.span, folder, &error));
            return Err(Status::Failed);
        }
        let mut worst = Status::Complete;
        for (start, end) in mappings {
            let path = folder.join(format!("{start:012x}-{end:012x}"));
            let parts = self.parts(&found, &space, start, end - start, output)?;
            let file = create(source, &dump.file, &path, dump.force, output)?;
            worst = worst.max(self.dump_parts(&found, &parts, &path, file, output)?);
            if self.cancel.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(Status::Failed);
            }
        }
        Ok(worst)
    }

    /// Where a process has mapped something.
    pub(super) fn mappings(
        &mut self,
        source: &Arc<SourceText>,
        task: &Expression,
        output: &mut dyn Output,
    ) -> Result<Vec<(u64, u64)>, Status> {
        let text = format!("walk vmas of ({}) select start, end", text_at(source, task));
        let rows = self.rows_of(&text, output)?;
        let number = |value: Option<&Value>| {
            let number = value?.as_integer()?;
            u64::try_from(number).ok()
        };
        let bounds = rows.iter().filter_map(|row| {
            let (start, end) = (number(row.cells.first())?, number(row.cells.get(1))?);
            (start < end).then_some((start, end))
        });
        Ok(bounds.collect())
    }

    /// Where what is cached of a file is, by its place in the file, and the stretches between that are not.
    fn cached_parts(
        &mut self,
        source: &Arc<SourceText>,
        file: &Expression,
        output: &mut dyn Output,
    ) -> Result<Vec<Part>, Status> {
        let text = format!(
            "walk cached_pages of ({}) as p select p.offset, p.size, phys(p.data), p.mapping.host.i_size order by p.offset",
            text_at(source, file)
        );
        let rows = self.rows_of(&text, output)?;
        let mut parts = Vec::new();
        let (mut at, mut end) = (0, 0);
        for row in &rows {
            let number = |cell: usize| {
                let number = row.cells.get(cell).and_then(Value::as_integer)?;
                u64::try_from(number).ok()
            };
            let (Some(offset), Some(length), Some(physical), Some(size)) =
                (number(0), number(1), number(2), number(3))
            else {
                continue;
            };
            let length = length.min(size.saturating_sub(offset));
            // A page of a tree that changed while it was read may be there twice.
            if offset < at || length == 0 {
                continue;
            }
            parts.extend(not_cached(at, offset));
            parts.push(Part {
                address: offset,
                length,
                physical: Some(PhysAddr::new(physical)),
            });
            (at, end) = (offset + length, size);
        }
        if parts.is_empty() {
            let report = Report::error("nothing of this file is in memory")
                .at(source, file.span.into(), "")
                .with_hint("`walk cached_pages of FILE select offset, size` shows what is");
            output.report(&report);
            return Err(Status::Failed);
        }
        parts.extend(not_cached(at, end));
        Ok(parts)
    }

    fn dump_parts(
        &self,
        found: &Found,
        parts: &[Part],
        path: &Path,
        file: File,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let start = parts.first().map_or(0, |part| part.address);
        let total = parts.iter().map(|part| part.length).sum();
        let mut written = Written::default();
        let whole = self.stream(found, parts, &mut |address, bytes| {
            written.take(&file, address, start, bytes)
        });
        if let Some(error) = written.failure.or_else(|| file.set_len(total).err()) {
            output.report(
                &Report::error(format!("{} could not be written", path.display()))
                    .with_note(error.to_string()),
            );
            return Err(Status::Failed);
        }
        output.text(&format!(
            "{} of {total} bytes in {}\n",
            written.bytes,
            path.display()
        ));
        if !whole {
            output.report(&Report::warning("cancelled: the file is not whole"));
            return Err(Status::Failed);
        }
        let Some((first, why)) = written.first else {
            return Ok(Status::Complete);
        };
        output.report(
            &Report::warning(format!(
                "{} bytes could not be had and are zeros in the file",
                written.missing
            ))
            .with_note(format!("the first of them at {first:#x}: {why}")),
        );
        Ok(Status::Incomplete)
    }
}

impl Written {
    /// Writes bytes where they belong: as far from the file's start as they are from the stretch's.
    fn take(&mut self, file: &File, address: u64, start: u64, bytes: Bytes<'_>) -> ControlFlow<()> {
        let (missing, why) = match bytes {
            Bytes::Here(bytes) => {
                self.bytes += bytes.len() as u64;
                return match file.write_all_at(bytes, address - start) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        self.failure = Some(error);
                        ControlFlow::Break(())
                    }
                };
            }
            Bytes::NotMapped(length) => (length, "not in memory".to_owned()),
            Bytes::Failed(length, failure) => (length, failure.to_string()),
        };
        self.missing += missing;
        self.first.get_or_insert((address, why));
        ControlFlow::Continue(())
    }
}

/// The part of a file from one place to another of which nothing is in memory, if there is any.
fn not_cached(from: u64, to: u64) -> Option<Part> {
    let length = to.checked_sub(from).filter(|length| *length > 0)?;
    Some(Part {
        address: from,
        length,
        physical: None,
    })
}

/// A new file; one that exists is written over only if that is said.
pub(super) fn create(
    source: &Arc<SourceText>,
    named: &Quoted,
    path: &Path,
    force: bool,
    output: &mut dyn Output,
) -> Result<File, Status> {
    let mut options = OpenOptions::new();
    options.write(true);
    let opened = if force {
        options.create(true).truncate(true).open(path)
    } else {
        options.create_new(true).open(path)
    };
    opened.map_err(|error| {
        output.report(&not_written(source, named.span, path, &error));
        Status::Failed
    })
}

fn not_written(source: &Arc<SourceText>, span: Span, path: &Path, error: &io::Error) -> Report {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Report::error(format!("{} exists", path.display()))
            .at(source, span.into(), "")
            .with_hint("`force` after the name writes over it");
    }
    Report::error(format!("{} cannot be written", path.display()))
        .at(source, span.into(), "")
        .with_note(error.to_string())
}
