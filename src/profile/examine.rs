//! A layout profile → what is wrong with it: everything is parsed, and what must agree is compared.
//!
//! A *problem* makes answers wrong; a *remark* is what real profiles have too and what is worth knowing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::error::ProfileError;
use super::layout::LayoutProfile;
use super::outline::{Span, cluster, spans};
use super::types::{Aggregate, AggregateKind, Symbol, SymbolKind, Type};

/// Findings that are kept; a file that is wrong throughout needs no list of everything.
const MOST_FINDINGS: usize = 200;
/// Longest type that is believed, in bytes: Linux maps no more for its whole image.
const LONGEST_TYPE: u64 = 1 << 30;

/// Pointers, arrays and typedefs in a type that are followed.
const DEEPEST: usize = 256;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// Answers can be wrong.
    Problem,
    /// Worth knowing.
    Remark,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub gravity: Gravity,
    /// What is concerned: `struct task_struct.comm`, `symbol init_task`, or empty for the profile as a whole.
    pub place: String,
    /// What is the matter, one clause.
    pub what: String,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// Types, typedefs and base types included.
    pub types: usize,
    /// Members of all types.
    pub members: usize,
    /// Symbols.
    pub symbols: usize,
    /// In the order of the file; at most 200.
    pub findings: Vec<Finding>,
    /// Whether there were more, and the examination ended there.
    pub stopped: bool,
}

impl Examination {
    /// Whether there is anything that makes answers wrong.
    pub fn has_problems(&self) -> bool {
        let problems = self.findings.iter();
        self.stopped || problems.into_iter().any(|f| f.gravity == Gravity::Problem)
    }
}

/// Examines a profile. It takes time in proportion to the profile's length, whatever is in it.
pub fn examine(profile: &LayoutProfile) -> Examination {
    let mut examiner = Examiner {
        profile,
        result: Examination::default(),
        named_only: BTreeSet::new(),
        inside: HashMap::new(),
    };
    examiner.header();
    examiner.documents();
    examiner.typedefs();
    examiner.nesting();
    examiner.symbols();
    examiner.conclude();
    examiner.result
}

struct Examiner<'a> {
    profile: &'a LayoutProfile,
    result: Examination,
    /// Types that are pointed to and not in the profile.
    named_only: BTreeSet<String>,
    /// Structs and unions by the types that hold them.
    inside: HashMap<String, Vec<String>>,
}

impl Examiner<'_> {
    fn found(&mut self, gravity: Gravity, place: impl Into<String>, what: impl Into<String>) {
        if self.result.findings.len() >= MOST_FINDINGS {
            self.result.stopped = true;
            return;
        }
        self.result.findings.push(Finding {
            gravity,
            place: place.into(),
            what: what.into(),
        });
    }

    fn problem(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.found(Gravity::Problem, place, what);
    }

    /// A part of the profile that cannot be read; the error has its line and column.
    fn damaged(&mut self, error: &ProfileError) {
        self.problem("", error.to_string());
    }

    fn header(&mut self) {
        let header = self.profile.header();
        let banner = header.version.strip_prefix("Linux version ");
        let release = banner.and_then(|rest| rest.split(' ').next());
        match release {
            None => self.problem("header", "`version` is no banner of a Linux kernel"),
            Some(release) if release != header.release => {
                let what = format!(
                    "release `{}` is not the banner's, `{release}`",
                    header.release
                );
                self.problem("header", what);
            }
            Some(_) => {}
        }
        match &header.build_id {
            None => self.found(
                Gravity::Remark,
                "header",
                "no build ID: the kernel is told by its banner alone",
            ),
            Some(id) if id.len() < 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                self.problem("header", format!("build ID `{id}` is none"));
            }
            Some(_) => {}
        }
    }

    fn documents(&mut self) {
        let keys: Vec<&str> = self.profile.keys().collect();
        self.result.types += self.profile.base_types().len();
        for key in keys {
            if self.result.stopped {
                return;
            }
            let outcome = match key.split_once(' ') {
                Some(("struct", name)) => self.aggregate(key, self.profile.structure(name)),
                Some(("union", name)) => self.aggregate(key, self.profile.union(name)),
                Some(("enum", name)) => self.enumeration(key, name),
                None if ["base", "typedefs", "symbols"].contains(&key) => Ok(()),
                _ => {
                    self.problem(key, "a document that no profile has");
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                self.damaged(&error);
            }
        }
    }

    fn enumeration(&mut self, key: &str, name: &str) -> Result<(), ProfileError> {
        let Some(found) = self.profile.enumeration(name)? else {
            return Ok(());
        };
        self.result.types += 1;
        if !matches!(found.size, 1 | 2 | 4 | 8) {
            self.problem(key, format!("an enumeration of {} bytes", found.size));
            return Ok(());
        }
        let bits = u32::try_from(found.size * 8).unwrap_or(64);
        let (low, high) = match found.signed {
            true => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
            false => (0, (1_i128 << bits) - 1),
        };
        for (enumerator, value) in &found.values {
            if *value < low || *value > high {
                let what = format!("{value} does not fit into {} bytes", found.size);
                self.problem(format!("{key}.{enumerator}"), what);
            }
        }
        Ok(())
    }

    fn aggregate(
        &mut self,
        key: &str,
        found: Result<Option<Arc<Aggregate>>, ProfileError>,
    ) -> Result<(), ProfileError> {
        let Some(found) = found? else {
            return Ok(());
        };
        self.result.types += 1;
        self.result.members += found.members.len();
        if found.size > LONGEST_TYPE {
            self.problem(
                key,
                format!("{:#x} bytes are more than any kernel has", found.size),
            );
        }
        let spans = spans(self.profile, &found)?;
        for span in &spans {
            self.member(key, &found, span)?;
        }
        if found.kind == AggregateKind::Struct {
            self.overlaps(key, &spans);
        }
        Ok(())
    }

    fn member(
        &mut self,
        key: &str,
        aggregate: &Aggregate,
        span: &Span<'_>,
    ) -> Result<(), ProfileError> {
        let member = span.member;
        let place = || format!("{key}.{}", member.name);
        if span.end > u128::from(aggregate.size) * 8 {
            let what = format!(
                "ends at {:#x}, and the {} is {:#x} bytes long",
                span.end.div_ceil(8),
                aggregate.kind.keyword(),
                aggregate.size
            );
            self.problem(place(), what);
        }
        self.refer(&place(), &member.ty)?;
        if let Some(bits) = member.bits
            && let Some(size) = span.size
            && u64::from(bits.size) > size.saturating_mul(8)
        {
            let what = format!("{} bits of a type of {size} bytes", bits.size);
            self.problem(place(), what);
        }
        if let Some(name) = held(self.profile, &member.ty)? {
            self.inside.entry(key.to_owned()).or_default().push(name);
        }
        Ok(())
    }

    /// What a type refers to must be in the profile if its size counts, and may be a mere name behind a pointer.
    fn refer(&mut self, place: &str, ty: &Type) -> Result<(), ProfileError> {
        let mut ty = ty.clone();
        let mut by_pointer = false;
        for _ in 0..DEEPEST {
            ty = match self.profile.strip(&ty)? {
                Type::Pointer(target) => {
                    by_pointer = true;
                    Arc::unwrap_or_clone(target)
                }
                Type::Array { element, .. } => Arc::unwrap_or_clone(element),
                Type::Function(function) => {
                    by_pointer = true;
                    function.result.clone()
                }
                Type::Void | Type::Base(_) => return Ok(()),
                Type::Typedef(name) if by_pointer => {
                    self.named_only.insert(name.to_string());
                    return Ok(());
                }
                Type::Typedef(name) => {
                    self.problem(place, format!("its type `{name}` is not in the profile"));
                    return Ok(());
                }
                named => {
                    let known = match &named {
                        Type::Enum(name) => self.profile.enumeration(name)?.is_some(),
                        _ => self.profile.aggregate(&named)?.is_some(),
                    };
                    match (known, by_pointer) {
                        (true, _) => {}
                        (false, true) => {
                            self.named_only.insert(named.to_string());
                        }
                        (false, false) => {
                            self.problem(
                                place,
                                format!("its type `{named}` is not in the profile"),
                            );
                        }
                    }
                    return Ok(());
                }
            };
        }
        self.problem(place, "its type has no end: a typedef is defined by itself");
        Ok(())
    }

    /// Members that share bytes are of an anonymous union. All its alternatives begin where it does: a stretch of shared bytes with
    /// only one member at its start, and another that begins inside that one, is something else. (C would allow it where an alternative
    /// begins with padding; no type of Linux 5.10 to 7.3 does.)
    fn overlaps(&mut self, key: &str, spans: &[Span<'_>]) {
        let taking = spans.iter().filter(|span| span.end > span.start);
        let owned: Vec<Span<'_>> = taking.copied().collect();
        let mut rest = owned.as_slice();
        while let [first, others @ ..] = rest {
            let (count, _) = cluster(rest);
            if let Some(second) = others.first()
                && count > 1
                && second.start > first.start
            {
                let what = format!(
                    "begins at {:#x}, inside `{}`, which no union explains",
                    second.member.offset, first.member.name
                );
                self.problem(format!("{key}.{}", second.member.name), what);
            }
            rest = rest.get(count..).unwrap_or(&[]);
        }
    }

    fn typedefs(&mut self) {
        let names: Vec<String> = match self.profile.typedef_lines() {
            Ok(lines) => lines
                .into_iter()
                .map(|(name, _)| name.into_owned())
                .collect(),
            Err(error) => return self.damaged(&error),
        };
        self.result.types += names.len();
        for name in names {
            if self.result.stopped {
                return;
            }
            let target = match self.profile.typedef(&name) {
                Ok(Some(target)) => target,
                Ok(None) => continue,
                Err(error) => {
                    self.damaged(&error);
                    continue;
                }
            };
            match self.profile.strip(&target) {
                // A typedef of a struct that is only declared is a mere name too.
                Ok(_) => {
                    let pointer = target.pointer_to();
                    if let Err(error) = self.refer(&name, &pointer) {
                        self.damaged(&error);
                    }
                }
                Err(error) => self.damaged(&error),
            }
        }
    }

    /// No type can hold itself.
    fn nesting(&mut self) {
        // Types whose content is known to end.
        let mut ends: BTreeSet<&str> = BTreeSet::new();
        let inside = std::mem::take(&mut self.inside);
        let mut circles = BTreeSet::new();
        let mut starts: Vec<&String> = inside.keys().collect();
        starts.sort();
        for start in starts {
            let mut path: Vec<(&str, usize)> = vec![(start, 0)];
            let mut on_path: BTreeSet<&str> = BTreeSet::from([start.as_str()]);
            while let Some((name, next)) = path.last_mut() {
                let child = inside.get(*name).and_then(|held| held.get(*next));
                *next += 1;
                match child {
                    Some(child) if ends.contains(child.as_str()) => {}
                    Some(child) if on_path.contains(child.as_str()) => {
                        circles.insert((*name).to_owned());
                    }
                    Some(child) => {
                        on_path.insert(child);
                        path.push((child, 0));
                    }
                    None => {
                        let name = *name;
                        path.pop();
                        on_path.remove(name);
                        ends.insert(name);
                    }
                }
            }
        }
        for name in circles {
            self.problem(name, "holds itself");
        }
    }

    fn symbols(&mut self) {
        let names: Vec<String> = match self.profile.symbol_lines() {
            Ok(lines) => lines
                .into_iter()
                .map(|(name, _)| name.into_owned())
                .collect(),
            Err(error) => return self.damaged(&error),
        };
        self.result.symbols = names.len();
        if names.is_empty() {
            self.problem(
                "",
                "no symbols: the file is cut short, or was made without them",
            );
        }
        let address = |name| self.profile.symbol(name).ok().flatten().map(|s| s.address);
        let image = address("_text").zip(address("_end"));
        for name in names {
            if self.result.stopped {
                return;
            }
            match self.profile.symbol(&name) {
                Ok(Some(symbol)) => self.symbol(&symbol, image),
                Ok(None) => {}
                Err(error) => self.damaged(&error),
            }
        }
    }

    fn symbol(&mut self, symbol: &Symbol, image: Option<(u64, u64)>) {
        let place = || format!("symbol {}", symbol.name);
        if let Some((text, end)) = image
            && symbol.kind == SymbolKind::Text
            && !(text..=end).contains(&symbol.address)
        {
            let what = format!(
                "{:#x} is outside the image, {text:#x} to {end:#x}",
                symbol.address
            );
            self.problem(place(), what);
        }
        let Some(ty) = &symbol.ty else {
            return;
        };
        match self.profile.size_of(ty) {
            Ok(Some(size)) if symbol.size != 0 && size > symbol.size => {
                let what = format!("{} bytes, and its type `{ty}` has {size}", symbol.size);
                self.found(Gravity::Remark, place(), what);
            }
            Ok(_) => {}
            Err(error) => self.damaged(&error),
        }
    }

    fn conclude(&mut self) {
        if let Some(example) = self.named_only.first() {
            let what = match self.named_only.len() {
                1 => format!("`{example}` is pointed to and not in the profile"),
                count => format!(
                    "{count} types are pointed to and not in the profile, for example `{example}`"
                ),
            };
            self.found(Gravity::Remark, "", what);
        }
    }
}

/// The key of the struct or union that a value of the type holds.
fn held(profile: &LayoutProfile, ty: &Type) -> Result<Option<String>, ProfileError> {
    let (ty, _) = profile.peel(ty)?;
    Ok(match ty {
        Type::Struct(_) | Type::Union(_) => Some(ty.to_string()),
        _ => None,
    })
}
