//! Two layout profiles → what is different between their kernels: types, members, enumerators and symbols.
//!
//! Documents with the same text are the same and are not parsed. Addresses and sizes of symbols are not compared: they differ between any
//! two builds.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::error::ProfileError;
use super::layout::LayoutProfile;
use super::types::{Aggregate, BitField, Enumeration, Member};

/// What is different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Types that both have and that are the same.
    pub types_same: usize,
    /// The others, by name.
    pub types: Vec<TypeChange>,
    /// Symbols that both have.
    pub symbols_same: usize,
    /// Names of symbols that only the second has, sorted.
    pub symbols_added: Vec<String>,
    /// Names of symbols that only the first has, sorted.
    pub symbols_removed: Vec<String>,
    /// Symbols that both have with another type, where both profiles tell one.
    pub symbols_retyped: Vec<SymbolRetyped>,
}

/// A type that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeChange {
    /// `struct task_struct`, `pid_t`.
    pub name: String,
    /// How.
    pub change: Change,
}

/// How a type is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it.
    Changed(Vec<Difference>),
}

/// One difference of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Its size in bytes.
    Size {
        /// In the first.
        from: u64,
        /// In the second.
        to: u64,
    },
    /// What a typedef stands for, how a base type is read, whether an enumeration is signed.
    Meaning {
        /// In the first.
        from: String,
        /// In the second.
        to: String,
    },
    /// A member that only the second has.
    MemberAdded {
        /// Its name.
        name: String,
        /// Where it is.
        at: Place,
        /// Its type.
        ty: String,
    },
    /// A member that only the first has.
    MemberRemoved {
        /// Its name.
        name: String,
        /// Where it was.
        at: Place,
        /// Its type.
        ty: String,
    },
    /// A member at another place.
    MemberMoved {
        /// Its name.
        name: String,
        /// In the first.
        from: Place,
        /// In the second.
        to: Place,
    },
    /// A member with another type.
    MemberRetyped {
        /// Its name.
        name: String,
        /// In the first.
        from: String,
        /// In the second.
        to: String,
    },
    /// An enumerator that only the second has.
    EnumeratorAdded {
        /// Its name.
        name: String,
        /// Its value.
        value: i128,
    },
    /// An enumerator that only the first has.
    EnumeratorRemoved {
        /// Its name.
        name: String,
        /// Its value.
        value: i128,
    },
    /// An enumerator with another value.
    EnumeratorChanged {
        /// Its name.
        name: String,
        /// In the first.
        from: i128,
        /// In the second.
        to: i128,
    },
}

/// Where a member is: bytes from the start of its type and, of a bit field, which bits. Displayed as profiles write it: `0x18:3:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes.
    pub offset: u64,
    /// Set for a bit field.
    pub bits: Option<BitField>,
}

impl Place {
    fn of(member: &Member) -> Self {
        Self {
            offset: member.offset,
            bits: member.bits,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.offset)?;
        match self.bits {
            Some(bits) => write!(formatter, ":{}:{}", bits.offset, bits.size),
            None => Ok(()),
        }
    }
}

/// A symbol with another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolRetyped {
    /// Its name.
    pub name: String,
    /// In the first.
    pub from: String,
    /// In the second.
    pub to: String,
}

/// Compares everything. Errors: one of the profiles is damaged where they differ.
pub fn compare(first: &LayoutProfile, second: &LayoutProfile) -> Result<Comparison, ProfileError> {
    let mut comparison = Comparison::default();
    compare_documents(first, second, &mut comparison)?;
    compare_base(first, second, &mut comparison);
    let (from, to) = (first.typedef_lines()?, second.typedef_lines()?);
    for (name, values) in merged(&from, &to) {
        let change = match values {
            Sides::First(_) => Some(Change::Removed),
            Sides::Second(_) => Some(Change::Added),
            Sides::Both(from, to) => meaning(from, to),
        };
        comparison.note(name, change);
    }
    comparison.types.sort_by(|a, b| a.name.cmp(&b.name));
    compare_symbols(first, second, &mut comparison)?;
    Ok(comparison)
}

/// Compares some types, named as [`LayoutProfile::type_names`] has them; a type that neither has is the same.
pub fn compare_types(
    first: &LayoutProfile,
    second: &LayoutProfile,
    names: &[String],
) -> Result<Comparison, ProfileError> {
    let mut comparison = Comparison::default();
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    for name in names {
        let change = if name.contains(' ') {
            let sides = (first.document(name), second.document(name));
            document_change(first, second, name, sides)?
        } else {
            match (first.typedef(name)?, second.typedef(name)?) {
                (None, None) => None,
                (None, Some(_)) => Some(Change::Added),
                (Some(_), None) => Some(Change::Removed),
                (Some(from), Some(to)) => meaning(&from.to_string(), &to.to_string()),
            }
        };
        comparison.note(name, change);
    }
    Ok(comparison)
}

impl Comparison {
    fn note(&mut self, name: &str, change: Option<Change>) {
        match change {
            Some(change) => self.types.push(TypeChange {
                name: name.to_owned(),
                change,
            }),
            None => self.types_same += 1,
        }
    }
}

fn meaning(from: &str, to: &str) -> Option<Change> {
    (from != to).then(|| {
        Change::Changed(vec![Difference::Meaning {
            from: from.to_owned(),
            to: to.to_owned(),
        }])
    })
}

fn compare_documents(
    first: &LayoutProfile,
    second: &LayoutProfile,
    comparison: &mut Comparison,
) -> Result<(), ProfileError> {
    let is_type = |key: &&str| key.contains(' ');
    let from: Vec<_> = first.keys().filter(is_type).collect();
    let to: Vec<_> = second.keys().filter(is_type).collect();
    let keyed = |keys: &[&str], profile: &LayoutProfile| -> Vec<(String, String)> {
        let keyed = keys.iter();
        keyed
            .map(|key| ((*key).to_owned(), profile.document(key).to_owned()))
            .collect()
    };
    let (from, to) = (keyed(&from, first), keyed(&to, second));
    for (name, sides) in merged(&from, &to) {
        let sides = match sides {
            Sides::First(from) => (from, ""),
            Sides::Second(to) => ("", to),
            Sides::Both(from, to) => (from, to),
        };
        let change = document_change(first, second, name, sides)?;
        comparison.note(name, change);
    }
    Ok(())
}

/// What is different between two documents of a type; an empty one is none.
fn document_change(
    first: &LayoutProfile,
    second: &LayoutProfile,
    key: &str,
    sides: (&str, &str),
) -> Result<Option<Change>, ProfileError> {
    match sides {
        (from, to) if from == to => return Ok(None),
        ("", _) => return Ok(Some(Change::Added)),
        (_, "") => return Ok(Some(Change::Removed)),
        _ => {}
    }
    let differences = match key.split_once(' ') {
        Some(("enum", name)) => match (first.enumeration(name)?, second.enumeration(name)?) {
            (Some(from), Some(to)) => enumeration_differences(&from, &to),
            _ => Vec::new(),
        },
        Some(("struct", name)) => match (first.structure(name)?, second.structure(name)?) {
            (Some(from), Some(to)) => aggregate_differences(&from, &to),
            _ => Vec::new(),
        },
        Some(("union", name)) => match (first.union(name)?, second.union(name)?) {
            (Some(from), Some(to)) => aggregate_differences(&from, &to),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    Ok((!differences.is_empty()).then_some(Change::Changed(differences)))
}

fn aggregate_differences(from: &Aggregate, to: &Aggregate) -> Vec<Difference> {
    let mut differences = Vec::new();
    if from.size != to.size {
        differences.push(Difference::Size {
            from: from.size,
            to: to.size,
        });
    }
    let new: HashMap<&str, &Member> = to.members.iter().map(|m| (&*m.name, m)).collect();
    let old: HashMap<&str, &Member> = from.members.iter().map(|m| (&*m.name, m)).collect();
    for member in &from.members {
        let name = member.name.to_string();
        let Some(now) = new.get(&*member.name) else {
            differences.push(Difference::MemberRemoved {
                name,
                at: Place::of(member),
                ty: member.ty.to_string(),
            });
            continue;
        };
        // Spellings, not types: in every `int` of a kernel its size is told, and it is one difference, not thousands.
        let (from, to) = (member.ty.to_string(), now.ty.to_string());
        if from != to {
            let name = name.clone();
            differences.push(Difference::MemberRetyped { name, from, to });
        }
        let (from, to) = (Place::of(member), Place::of(now));
        if from != to {
            differences.push(Difference::MemberMoved { name, from, to });
        }
    }
    let added = to.members.iter().filter(|m| !old.contains_key(&*m.name));
    differences.extend(added.map(|member| Difference::MemberAdded {
        name: member.name.to_string(),
        at: Place::of(member),
        ty: member.ty.to_string(),
    }));
    differences
}

fn enumeration_differences(from: &Enumeration, to: &Enumeration) -> Vec<Difference> {
    let mut differences = Vec::new();
    if from.size != to.size {
        differences.push(Difference::Size {
            from: from.size,
            to: to.size,
        });
    }
    if from.signed != to.signed {
        let word = |signed| if signed { "signed" } else { "unsigned" };
        differences.push(Difference::Meaning {
            from: word(from.signed).to_owned(),
            to: word(to.signed).to_owned(),
        });
    }
    let old: BTreeMap<&str, i128> = from.values.iter().map(|(n, v)| (&**n, *v)).collect();
    let new: BTreeMap<&str, i128> = to.values.iter().map(|(n, v)| (&**n, *v)).collect();
    for (name, value) in &from.values {
        match new.get(&**name) {
            None => differences.push(Difference::EnumeratorRemoved {
                name: name.to_string(),
                value: *value,
            }),
            Some(now) if now != value => differences.push(Difference::EnumeratorChanged {
                name: name.to_string(),
                from: *value,
                to: *now,
            }),
            Some(_) => {}
        }
    }
    let added = to.values.iter().filter(|(n, _)| !old.contains_key(&**n));
    differences.extend(added.map(|(name, value)| Difference::EnumeratorAdded {
        name: name.to_string(),
        value: *value,
    }));
    differences
}

fn compare_base(first: &LayoutProfile, second: &LayoutProfile, comparison: &mut Comparison) {
    let described = |profile: &LayoutProfile| -> Vec<(String, String)> {
        let types = profile.base_types().iter();
        let mut described: Vec<_> = types
            .map(|base| {
                let text = format!("{} {}", base.size, base.encoding.name());
                (base.name.to_string(), text)
            })
            .collect();
        described.sort();
        described
    };
    let (from, to) = (described(first), described(second));
    for (name, sides) in merged(&from, &to) {
        let change = match sides {
            Sides::First(_) => Some(Change::Removed),
            Sides::Second(_) => Some(Change::Added),
            Sides::Both(from, to) => meaning(from, to),
        };
        comparison.note(name, change);
    }
}

fn compare_symbols(
    first: &LayoutProfile,
    second: &LayoutProfile,
    comparison: &mut Comparison,
) -> Result<(), ProfileError> {
    let (from, to) = (first.symbol_lines()?, second.symbol_lines()?);
    for (name, sides) in merged(&from, &to) {
        match sides {
            Sides::First(_) => comparison.symbols_removed.push(name.to_owned()),
            Sides::Second(_) => comparison.symbols_added.push(name.to_owned()),
            Sides::Both(from, to) => {
                comparison.symbols_same += 1;
                if let (Some(from), Some(to)) = (type_of(from), type_of(to))
                    && from != to
                {
                    comparison.symbols_retyped.push(SymbolRetyped {
                        name: name.to_owned(),
                        from: from.to_owned(),
                        to: to.to_owned(),
                    });
                }
            }
        }
    }
    Ok(())
}

/// The type at the end of a symbol's line.
fn type_of(value: &str) -> Option<&str> {
    value.splitn(4, ' ').nth(3)
}

/// The values of a name in two sorted lists.
enum Sides<'a> {
    First(&'a str),
    Second(&'a str),
    Both(&'a str, &'a str),
}

/// Two sorted lists as one.
fn merged<'a, N, V>(
    first: &'a [(N, V)],
    second: &'a [(N, V)],
) -> impl Iterator<Item = (&'a str, Sides<'a>)>
where
    N: AsRef<str>,
    V: AsRef<str>,
{
    let (mut first, mut second) = (first.iter().peekable(), second.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (first.peek(), second.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((from, _)), Some((to, _))) => from.as_ref().cmp(to.as_ref()),
        };
        let from = first.next_if(|_| order != Ordering::Greater);
        let to = second.next_if(|_| order != Ordering::Less);
        match (from, to) {
            (Some((name, from)), Some((_, to))) => {
                Some((name.as_ref(), Sides::Both(from.as_ref(), to.as_ref())))
            }
            (Some((name, from)), None) => Some((name.as_ref(), Sides::First(from.as_ref()))),
            (None, Some((name, to))) => Some((name.as_ref(), Sides::Second(to.as_ref()))),
            (None, None) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = include_str!("../../tests/fixtures/profile/small.yaml");

    fn profile(text: String) -> LayoutProfile {
        LayoutProfile::from_bytes(text.into_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn changed(edits: &[(&str, &str)]) -> LayoutProfile {
        let mut text = SMALL.to_owned();
        for (from, to) in edits {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        profile(text)
    }

    fn told(change: &TypeChange) -> String {
        format!("{}: {:?}", change.name, change.change)
    }

    #[test]
    fn a_profile_is_the_same_as_itself() -> Result<(), ProfileError> {
        let same = compare(&changed(&[]), &changed(&[]))?;
        assert_eq!(same.types, []);
        assert!(same.types_same > 15, "{}", same.types_same);
        assert_eq!((same.symbols_same, same.symbols_added.len()), (10, 0));
        Ok(())
    }

    #[test]
    fn every_kind_of_difference_is_found() -> Result<(), ProfileError> {
        let second = changed(&[
            ("  int: 4 signed\n", "  int: 8 signed\n"),
            ("pid_t: __kernel_pid_t", "pid_t: int"),
            ("PIDTYPE_TGID: 1", "PIDTYPE_PGID: 1"),
            ("pid: 0x20 pid_t", "pid: 0x24 pid_t"),
            ("union thread_union:", "union thread_onion:"),
            ("  init_task#2:", "  init_taskier:"),
        ]);
        let found = compare(&changed(&[]), &second)?;
        let types: Vec<String> = found.types.iter().map(told).collect();
        assert_eq!(
            types,
            [
                "enum pid_type: Changed([EnumeratorRemoved { name: \"PIDTYPE_TGID\", value: 1 }, EnumeratorAdded { name: \"PIDTYPE_PGID\", value: 1 }])",
                "int: Changed([Meaning { from: \"4 signed\", to: \"8 signed\" }])",
                "pid_t: Changed([Meaning { from: \"__kernel_pid_t\", to: \"int\" }])",
                "struct task_struct: Changed([MemberMoved { name: \"pid\", from: Place { offset: 32, bits: None }, to: Place { offset: 36, bits: None } }])",
                "union thread_onion: Added",
                "union thread_union: Removed",
            ]
        );
        assert_eq!(found.symbols_added, ["init_taskier"]);
        assert_eq!(found.symbols_removed, ["init_task#2"]);
        Ok(())
    }

    #[test]
    fn only_what_is_asked_for_is_compared() -> Result<(), ProfileError> {
        let second = changed(&[
            ("pid: 0x20 pid_t", "pid: 0x20 long int"),
            ("union thread_union:", "union thread_onion:"),
        ]);
        let names = ["struct task_struct", "struct list_head", "pid_t", "nothing"];
        let found = compare_types(&changed(&[]), &second, &names.map(str::to_owned))?;
        assert_eq!((found.types.len(), found.types_same), (1, 3));
        Ok(())
    }
}
