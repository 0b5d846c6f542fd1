//! A struct or union → its layout as rows: members, the holes between them, the cache lines they begin.
//!
//! A profile has the members of anonymous structs and unions as members of the type around them. What shares its bytes with another
//! member is therefore of an anonymous union; such stretches are marked, as how they were nested is not known any more.

use std::sync::Arc;

use super::error::ProfileError;
use super::layout::LayoutProfile;
use super::types::{Aggregate, AggregateKind, BitField, Member, Type};

/// Bytes of a cache line.
const CACHE_LINE: u64 = 64;
/// Types inside types that are shown.
const DEEPEST: usize = 64;
/// Rows that are made; a type that holds others twice, which hold others twice, has no end in sight.
const MOST_ROWS: usize = 100_000;

/// The layout of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// `struct task_struct`.
    pub name: String,
    /// As [`Aggregate::from`].
    pub from: Option<String>,
    /// What is in it, by offset.
    pub rows: Vec<Row>,
    /// What it comes to.
    pub summary: Summary,
    /// Whether there would be more rows than anybody reads, and the rest was left out.
    pub cut: bool,
}

/// One line of a layout. Offsets are bytes from the start of the outermost type; `depth` is 1 in that type itself, one more in each that
/// is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A member.
    Member {
        /// How deep.
        depth: usize,
        /// As C declares it: `struct list_head *next`.
        declaration: String,
        /// Where.
        offset: u64,
        /// Which bits, of a bit field.
        bits: Option<BitField>,
        /// Bytes, where its type tells.
        size: Option<u64>,
        /// Why what is in it is not shown, where it should be.
        remark: Option<String>,
    },
    /// A member whose content follows.
    Open {
        /// How deep.
        depth: usize,
        /// `struct list_head`.
        ty: String,
    },
    /// The end of that content.
    Close {
        /// How deep.
        depth: usize,
        /// The member's name, with what follows it in C: `tasks`, `pids[4]`.
        declarator: String,
        /// Where the member is.
        offset: u64,
        /// Bytes of the member.
        size: Option<u64>,
    },
    /// Members of an anonymous union begin, which share bytes.
    Shared {
        /// How deep.
        depth: usize,
        /// Where their bytes begin.
        start: u64,
        /// One past the last of them.
        end: u64,
    },
    /// The end of those members.
    EndShared {
        /// How deep.
        depth: usize,
    },
    /// Bytes and bits that no member has.
    Hole {
        /// How deep.
        depth: usize,
        /// Whole bytes.
        bytes: u64,
        /// Bits beside them, fewer than 8.
        bits: u64,
    },
    /// A cache line begins.
    CacheLine {
        /// How deep.
        depth: usize,
        /// Its number; the type begins in line 0.
        number: u64,
        /// Bytes from its beginning to the member that follows.
        ago: u64,
    },
}

/// What a layout comes to. Holes are those between the members of the outermost type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes.
    pub size: u64,
    /// Members, those of anonymous types inside included.
    pub members: usize,
    /// Cache lines that it reaches into, if it begins with one.
    pub cache_lines: u64,
    /// Stretches of bytes or bits without a member.
    pub holes: usize,
    /// Whole bytes in them.
    pub hole_bytes: u64,
    /// Bits in them beside the whole bytes.
    pub hole_bits: u64,
    /// Whole bytes after the last member.
    pub padding: u64,
    /// Bits after the last member, fewer than 8.
    pub padding_bits: u64,
}

/// The layout of a struct or union; with `expand`, of the structs and unions inside it too (not of what it points to).
///
/// Errors: a type in it is damaged in the profile.
pub fn outline(
    profile: &LayoutProfile,
    aggregate: &Aggregate,
    expand: bool,
) -> Result<Outline, ProfileError> {
    let name = aggregate.as_type().to_string();
    let mut painter = Painter {
        profile,
        expand,
        rows: Vec::new(),
        around: vec![name.clone()],
        cache_line: 0,
        cut: false,
    };
    let mut summary = painter.members(aggregate, 0, 1)?;
    summary.size = aggregate.size;
    summary.members = aggregate.members.len();
    summary.cache_lines = aggregate.size.div_ceil(CACHE_LINE);
    Ok(Outline {
        name,
        from: aggregate.from.clone(),
        rows: painter.rows,
        summary,
        cut: painter.cut,
    })
}

/// A member with the bits that it takes, counted from the start of its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) member: &'a Member,
    pub(super) start: u128,
    /// One past its last bit; as `start` for what takes none.
    pub(super) end: u128,
    /// Bytes; 0 for an array of unknown length at the end; `None` where its type does not tell.
    pub(super) size: Option<u64>,
}

/// The members with their bits, by where they begin.
pub(super) fn spans<'a>(
    profile: &LayoutProfile,
    aggregate: &'a Aggregate,
) -> Result<Vec<Span<'a>>, ProfileError> {
    let mut spans = Vec::with_capacity(aggregate.members.len());
    for member in &aggregate.members {
        let size = match profile.size_of(&member.ty)? {
            None => flexible(profile, &member.ty)?.then_some(0),
            size => size,
        };
        let start = u128::from(member.offset) * 8;
        let bits = member.bits;
        let start = start + bits.map_or(0, |bits| u128::from(bits.offset));
        let length = match bits {
            Some(bits) => u128::from(bits.size),
            None => u128::from(size.unwrap_or(0)) * 8,
        };
        spans.push(Span {
            member,
            start,
            end: start + length,
            size,
        });
    }
    spans.sort_by_key(|span| span.start);
    Ok(spans)
}

/// Whether a type is an array of unknown length.
fn flexible(profile: &LayoutProfile, ty: &Type) -> Result<bool, ProfileError> {
    let (_, counts) = profile.peel(ty)?;
    Ok(counts.first() == Some(&None))
}

/// The number of members from the first on that share bytes with one another, at least 1, and the end of the last of them.
pub(super) fn cluster(spans: &[Span<'_>]) -> (usize, u128) {
    let mut end = spans.first().map_or(0, |span| span.end);
    let mut count = 1;
    for span in spans.get(1..).unwrap_or(&[]) {
        if span.start >= end {
            break;
        }
        end = end.max(span.end);
        count += 1;
    }
    (count, end)
}

struct Painter<'a> {
    profile: &'a LayoutProfile,
    expand: bool,
    rows: Vec<Row>,
    /// The types that what is being shown is inside of.
    around: Vec<String>,
    /// The cache line of the last member.
    cache_line: u64,
    cut: bool,
}

impl Painter<'_> {
    fn push(&mut self, row: Row) {
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
        } else {
            self.cut = true;
        }
    }

    fn members(
        &mut self,
        aggregate: &Aggregate,
        base: u64,
        depth: usize,
    ) -> Result<Summary, ProfileError> {
        let spans = spans(self.profile, aggregate)?;
        if aggregate.kind == AggregateKind::Union {
            for span in &spans {
                self.member(span, base, depth)?;
            }
            return Ok(Summary::default());
        }
        let mut summary = Summary::default();
        let mut reached = 0;
        let mut rest = spans.as_slice();
        while let Some(first) = rest.first() {
            let (count, end) = cluster(rest);
            let (members, after) = rest.split_at(count);
            if let Some((bytes, bits)) = gap(reached, first.start) {
                summary.holes += 1;
                summary.hole_bytes += bytes;
                summary.hole_bits += bits;
                self.push(Row::Hole { depth, bytes, bits });
            }
            self.together(members, end, base, depth)?;
            reached = reached.max(end);
            // After what is of unknown length nothing is known to be a hole.
            if members.iter().any(|span| span.size.is_none()) {
                reached = after.first().map_or(u128::MAX, |next| next.start);
            }
            rest = after;
            if self.cut {
                break;
            }
        }
        let end = u128::from(aggregate.size) * 8;
        (summary.padding, summary.padding_bits) = gap(reached, end).unwrap_or_default();
        Ok(summary)
    }

    /// Members that share bytes, or a single one.
    fn together(
        &mut self,
        members: &[Span<'_>],
        end: u128,
        base: u64,
        depth: usize,
    ) -> Result<(), ProfileError> {
        let shared = members.iter().filter(|span| span.end > span.start).count() > 1;
        if let (true, Some(first)) = (shared, members.first()) {
            let start = base.saturating_add(first.member.offset);
            let end = u64::try_from(end.div_ceil(8)).unwrap_or(u64::MAX);
            self.push(Row::Shared {
                depth,
                start,
                end: base.saturating_add(end),
            });
        }
        for span in members {
            self.member(span, base, depth)?;
        }
        if shared {
            self.push(Row::EndShared { depth });
        }
        Ok(())
    }

    fn member(&mut self, span: &Span<'_>, base: u64, depth: usize) -> Result<(), ProfileError> {
        if self.cut {
            return Ok(());
        }
        let member = span.member;
        let offset = base.saturating_add(member.offset);
        let line = offset / CACHE_LINE;
        if line > self.cache_line {
            self.cache_line = line;
            self.push(Row::CacheLine {
                depth,
                number: line,
                ago: offset % CACHE_LINE,
            });
        }
        let mut remark = None;
        if self.expand
            && member.bits.is_none()
            && let Some((inner, dimensions)) = self.content(&member.ty)?
        {
            let ty = inner.as_type().to_string();
            if self.around.contains(&ty) {
                remark = Some(format!("{ty} is inside itself"));
            } else if depth >= DEEPEST {
                remark = Some(format!("nested more than {DEEPEST} deep"));
            } else {
                self.push(Row::Open {
                    depth,
                    ty: ty.clone(),
                });
                self.around.push(ty);
                self.members(&inner, offset, depth + 1)?;
                self.around.pop();
                self.push(Row::Close {
                    depth,
                    declarator: format!("{}{dimensions}", member.name),
                    offset,
                    size: span.size,
                });
                return Ok(());
            }
        }
        self.push(Row::Member {
            depth,
            declaration: member.ty.declare(&member.name),
            offset,
            bits: member.bits,
            size: span.size,
            remark,
        });
        Ok(())
    }

    /// The struct or union that a type is, or is an array of, and the dimensions of the array as C writes them.
    fn content(&self, ty: &Type) -> Result<Option<(Arc<Aggregate>, String)>, ProfileError> {
        let (ty, counts) = self.profile.peel(ty)?;
        let mut dimensions = String::new();
        for count in counts {
            let count = count.map_or_else(String::new, |count| count.to_string());
            dimensions.push_str(&format!("[{count}]"));
        }
        let found = self.profile.aggregate(&ty)?;
        Ok(found.map(|found| (found, dimensions)))
    }
}

/// Whole bytes and single bits between two bits; `None` where there is nothing between them.
fn gap(from: u128, to: u128) -> Option<(u64, u64)> {
    let bits = to.checked_sub(from).filter(|bits| *bits > 0)?;
    let bytes = u64::try_from(bits / 8).unwrap_or(u64::MAX);
    Some((bytes, u64::try_from(bits % 8).unwrap_or(0)))
}
