//! Types as sources define them → types with one name each, in the order of a profile.
//!
//! Where several types have one name, the one that most units agree on keeps it; the others get `#2`, `#3` and so on, and say where
//! they come from. Nothing is merged: every reference leads to the type that its source meant.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::profile::{BaseType, FunctionType, Type};
use crate::report::nearest;

use super::definition::{Body, Definition, Space, Spelling};
use super::dwarf::Found;
use super::error::GenerateError;

/// A type with its final name.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// Which of those that share its name: 1 keeps it.
    number: u32,
    pub(super) definition: Definition<'a>,
    /// A source file that has it.
    source: Cow<'a, str>,
}

impl Item<'_> {
    /// The name that is written.
    pub(super) fn name(&self) -> Cow<'_, str> {
        numbered(&self.definition.name, self.number)
    }

    /// Where it comes from, for all but the one that keeps the name.
    pub(super) fn from(&self) -> Option<&str> {
        (self.number > 1).then_some(&*self.source)
    }
}

/// All types.
#[derive(Debug)]
pub(super) struct Catalogue<'a> {
    /// By space, then by written name.
    pub(super) items: Vec<Item<'a>>,
    /// The shapes of the names that several types share, and their numbers.
    shared: HashMap<Space, HashMap<String, HashMap<u64, u32>>>,
}

impl<'a> Catalogue<'a> {
    /// Numbers the types that share a name.
    pub(super) fn new(mut types: Vec<Found<'a>>) -> Self {
        types.sort_unstable_by(|a, b| {
            let key = |found: &Found<'_>| {
                (
                    found.definition.space,
                    std::cmp::Reverse(found.units),
                    found.first,
                )
            };
            let by_name = a
                .definition
                .space
                .cmp(&b.definition.space)
                .then_with(|| a.definition.name.cmp(&b.definition.name));
            by_name.then_with(|| key(a).cmp(&key(b)))
        });
        let mut shared: HashMap<Space, HashMap<String, HashMap<u64, u32>>> = HashMap::new();
        let mut items: Vec<Item<'a>> = Vec::with_capacity(types.len());
        let mut previous_shape = 0;
        for found in types {
            let number = match items.last() {
                Some(last) if same_name(&last.definition, &found.definition) => last.number + 1,
                _ => 1,
            };
            if number > 1 {
                let names = shared.entry(found.definition.space).or_default();
                let shapes = names
                    .entry(found.definition.name.to_string())
                    .or_insert_with(|| HashMap::from([(previous_shape, 1)]));
                shapes.entry(found.shape).or_insert(number);
            }
            previous_shape = found.shape;
            items.push(Item {
                number,
                definition: found.definition,
                source: found.source,
            });
        }
        items.sort_by(|a, b| {
            let by_space = a.definition.space.cmp(&b.definition.space);
            by_space.then_with(|| a.name().cmp(&b.name()))
        });
        Self { items, shared }
    }

    /// A reference with the final names.
    pub(super) fn resolve(&self, spelling: &Spelling<'_>) -> Type {
        match spelling {
            Spelling::Void => Type::Void,
            Spelling::Named { space, name, shape } => self.named(*space, name, *shape),
            Spelling::Pointer(target) => self.resolve(target).pointer_to(),
            Spelling::Array(element, count) => self.resolve(element).array_of(*count),
            Spelling::Function {
                result,
                parameters,
                variadic,
            } => Type::Function(Arc::new(FunctionType {
                result: self.resolve(result),
                parameters: parameters
                    .iter()
                    .map(|parameter| self.resolve(parameter))
                    .collect(),
                variadic: *variadic,
            })),
        }
    }

    fn named(&self, space: Space, name: &str, shape: u64) -> Type {
        let name: Arc<str> = numbered(name, self.number_of(space, name, shape)).into();
        match space {
            Space::Base => Type::Base(Arc::new(BaseType {
                name,
                size: 0,
                encoding: crate::profile::Encoding::Unsigned,
            })),
            Space::Typedef => Type::Typedef(name),
            Space::Enum => Type::Enum(name),
            Space::Struct => Type::Struct(name),
            Space::Union => Type::Union(name),
        }
    }

    fn number_of(&self, space: Space, name: &str, shape: u64) -> u32 {
        let shapes = self.shared.get(&space).and_then(|names| names.get(name));
        let number = shapes.and_then(|shapes| shapes.get(&shape));
        number.copied().unwrap_or(1)
    }

    /// The definition that keeps a name.
    pub(super) fn find(&self, space: Space, name: &str) -> Option<&Definition<'a>> {
        let found = self.items.iter().find(|item| {
            item.number == 1 && item.definition.space == space && item.definition.name == name
        });
        found.map(|item| &item.definition)
    }

    /// Drops every type that is not asked for and that none that is asked for has inside it, follows as typedef, or is made of.
    pub(super) fn keep_only(&mut self, names: &[String]) -> Result<(), GenerateError> {
        let mut index: BTreeMap<(Space, String), usize> = BTreeMap::new();
        for (position, item) in self.items.iter().enumerate() {
            index.insert((item.definition.space, item.name().into_owned()), position);
        }
        let mut wanted: Vec<usize> = Vec::new();
        for name in names {
            let before = wanted.len();
            wanted.extend(
                spaces_of(name)
                    .iter()
                    .filter_map(|(space, bare)| index.get(&(*space, (*bare).to_owned()))),
            );
            if wanted.len() == before {
                let known = index.keys().map(|(_, name)| name.as_str());
                let bare = name.rsplit(' ').next().unwrap_or(name);
                return Err(GenerateError::UnknownType {
                    name: name.clone(),
                    nearest: nearest(bare, known).map(str::to_owned),
                });
            }
        }
        let mut kept: BTreeSet<usize> = BTreeSet::new();
        while let Some(position) = wanted.pop() {
            if kept.insert(position)
                && let Some(item) = self.items.get(position)
            {
                for ty in self.parts(&item.definition) {
                    needed_by(&ty, true, &mut |space, name| {
                        wanted.extend(index.get(&(space, name.to_owned())));
                    });
                }
            }
        }
        let mut position = 0;
        self.items.retain(|item| {
            let keep = item.definition.space == Space::Base || kept.contains(&position);
            position += 1;
            keep
        });
        Ok(())
    }

    /// The types that a definition mentions.
    fn parts(&self, definition: &Definition<'_>) -> Vec<Type> {
        match &definition.body {
            Body::Typedef(target) => vec![self.resolve(target)],
            Body::Aggregate { members, .. } => members
                .iter()
                .map(|member| self.resolve(&member.ty))
                .collect(),
            Body::Base { .. } | Body::Enumeration { .. } => Vec::new(),
        }
    }
}

fn same_name(a: &Definition<'_>, b: &Definition<'_>) -> bool {
    a.space == b.space && a.name == b.name
}

fn numbered(name: &str, number: u32) -> Cow<'_, str> {
    match number {
        0 | 1 => Cow::Borrowed(name),
        number => Cow::Owned(format!("{name}#{number}")),
    }
}

/// What a name on the command line may mean: `struct foo` one thing, `foo` any.
fn spaces_of(name: &str) -> Vec<(Space, &str)> {
    const KEYWORDS: [(&str, Space); 3] = [
        ("struct ", Space::Struct),
        ("union ", Space::Union),
        ("enum ", Space::Enum),
    ];
    for (keyword, space) in KEYWORDS {
        if let Some(bare) = name.strip_prefix(keyword) {
            return vec![(space, bare)];
        }
    }
    let any = [Space::Typedef, Space::Enum, Space::Struct, Space::Union];
    any.map(|space| (space, name)).to_vec()
}

/// Calls `need` for the types that must be there for a value of `ty` to be read. What is behind a pointer is a name only, except that
/// typedefs are always followed: without them not even the kind of the target is known.
fn needed_by(ty: &Type, by_value: bool, need: &mut impl FnMut(Space, &str)) {
    match ty {
        Type::Void | Type::Base(_) => {}
        Type::Pointer(target) => needed_by(target, false, need),
        Type::Array { element, .. } => needed_by(element, by_value, need),
        Type::Function(function) => {
            needed_by(&function.result, false, need);
            for parameter in &function.parameters {
                needed_by(parameter, false, need);
            }
        }
        Type::Typedef(name) => need(Space::Typedef, name),
        Type::Enum(name) => need(Space::Enum, name),
        Type::Struct(name) if by_value => need(Space::Struct, name),
        Type::Union(name) if by_value => need(Space::Union, name),
        Type::Struct(_) | Type::Union(_) => {}
    }
}
