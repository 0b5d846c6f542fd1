//! What a statement can speak of: the kernel's types and symbols, the walk library over them, the user's own definitions.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::generate::KernelFile;
use crate::kernel_text::Comparison;
use crate::profile::{
    Aggregate, LayoutProfile, Library, Member, ProfileError, Type, Walk, WalkVariant,
};
use crate::report::{Report, SourceText};
use crate::value::{Value, ValueType};

use super::ast;
use super::typed::LibraryFunction;

/// A library function that has been checked: itself, the types of its parameters, the type of its value.
#[derive(Clone, Debug)]
pub(super) struct CheckedFunction {
    pub(super) function: Rc<LibraryFunction>,
    pub(super) parameters: Vec<ValueType>,
    pub(super) result: ValueType,
}

/// The kernel's types and symbols and the walk library; made once a kernel.
#[derive(Debug)]
pub struct Catalog {
    /// Types and symbols.
    pub profile: Arc<LayoutProfile>,
    /// Walks, columns and functions.
    pub library: Library,
    /// The file that the kernel was booted from, where one is given (`--vmlinux`).
    pub kernel_file: Option<Rc<KernelFile>>,
    /// How its code is compared with that in memory, or why it cannot be.
    pub(super) comparison: OnceCell<Result<Rc<Comparison>, String>>,
    /// Checked columns and functions, or why they cannot be had on this kernel.
    pub(super) functions: RefCell<FxHashMap<String, Result<CheckedFunction, Vec<Report>>>>,
    /// Names of those being checked now: one that comes up again is defined by itself.
    pub(super) in_progress: RefCell<FxHashSet<String>>,
}

impl Catalog {
    /// A catalogue over a kernel's types and a walk library.
    pub fn new(profile: Arc<LayoutProfile>, library: Library) -> Self {
        Self {
            profile,
            library,
            kernel_file: None,
            comparison: OnceCell::new(),
            functions: RefCell::default(),
            in_progress: RefCell::default(),
        }
    }

    /// The same with the file that the kernel was booted from.
    #[must_use]
    pub fn with_kernel_file(self, kernel_file: Option<KernelFile>) -> Self {
        Self {
            kernel_file: kernel_file.map(Rc::new),
            ..self
        }
    }

    /// Whether the kernel has what a `needs` entry names: `struct.member`, `struct NAME`, `@symbol`, `!…` for the opposite.
    pub fn meets(&self, need: &str) -> Result<bool, ProfileError> {
        if let Some(opposite) = need.strip_prefix('!') {
            return Ok(!self.meets(opposite)?);
        }
        if let Some(symbol) = need.strip_prefix('@') {
            return Ok(self.profile.symbol(symbol)?.is_some());
        }
        if need.starts_with("struct ") || need.starts_with("union ") {
            return Ok(self
                .profile
                .aggregate(&self.profile.parse_type(need)?)?
                .is_some());
        }
        if let Some(name) = need.strip_prefix("enum ") {
            return Ok(self.profile.enumeration(name)?.is_some());
        }
        let Some((owner, path)) = need.split_once('.') else {
            return Ok(false);
        };
        let owner = Type::Struct(Arc::from(owner));
        Ok(self.find_path(&owner, path)?.is_some())
    }

    /// The needs that the kernel does not meet.
    pub fn unmet<'a>(&self, needs: &'a [String]) -> Result<Vec<&'a str>, ProfileError> {
        let mut unmet = Vec::new();
        for need in needs {
            if !self.meets(need)? {
                unmet.push(need.as_str());
            }
        }
        Ok(unmet)
    }

    /// The type of a walk's elements on this kernel, as C spells it: that of the first variant whose needs it meets, else the walk's own.
    pub fn element_of<'a>(&self, walk: &'a Walk) -> &'a str {
        let is_met = |variant: &&WalkVariant| {
            self.unmet(&variant.needs)
                .is_ok_and(|unmet| unmet.is_empty())
        };
        let variant = walk.variants.iter().find(is_met);
        variant.map_or(&walk.element, |variant| &variant.element)
    }

    /// The aggregate behind a type, typedefs stripped; `None` for other types.
    pub fn aggregate(&self, ty: &Type) -> Result<Option<Arc<Aggregate>>, ProfileError> {
        self.profile.aggregate(&self.profile.strip(ty)?)
    }

    /// A member by its dotted path (`list`, `pid_links[0]`, `d_u.d_child`), with its offset from the start of `ty` in its `offset`.
    pub fn find_path(&self, ty: &Type, path: &str) -> Result<Option<Member>, ProfileError> {
        let mut found: Option<Member> = None;
        for step in path.split('.') {
            let (name, index) = match step.split_once('[') {
                Some((name, index)) => (name, Some(index)),
                None => (step, None),
            };
            let start = found.as_ref().map_or(0, |member| member.offset);
            let Some(aggregate) = self.aggregate(found.as_ref().map_or(ty, |member| &member.ty))?
            else {
                return Ok(None);
            };
            let Some(member) = aggregate.member(name) else {
                return Ok(None);
            };
            let member = Member {
                offset: start.saturating_add(member.offset),
                ..member.clone()
            };
            found = match index {
                Some(index) => self.entry_of(member, index)?,
                None => Some(member),
            };
            if found.is_none() {
                return Ok(None);
            }
        }
        Ok(found)
    }

    /// The entry `NUMBER]` of a member that is an array; `None` where it has no such entry.
    fn entry_of(&self, member: Member, index: &str) -> Result<Option<Member>, ProfileError> {
        let number = index.strip_suffix(']').and_then(|index| index.parse().ok());
        let Type::Array { element, count } = self.profile.strip(&member.ty)? else {
            return Ok(None);
        };
        let Some(number) = number.filter(|number| count.is_none_or(|count| *number < count)) else {
            return Ok(None);
        };
        let size: u64 = self.profile.size_of(&element)?.unwrap_or(0);
        Ok(Some(Member {
            offset: member.offset.saturating_add(size.saturating_mul(number)),
            ty: (*element).clone(),
            ..member
        }))
    }
}

/// What users define in a session.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// `let`: values.
    pub values: BTreeMap<String, (ValueType, Value)>,
    /// `def NAME(…) = …`, each with the text it was written in.
    pub functions: BTreeMap<String, (Arc<SourceText>, Rc<ast::DefineFunction>)>,
    /// `def walk NAME(…) as …`, each with the text it was written in.
    pub walks: BTreeMap<String, (Arc<SourceText>, Rc<ast::DefineWalk>)>,
    /// Checks that are in force, by name.
    pub checks: BTreeMap<String, Rc<Check>>,
    /// `-D name=value`, read as `$name`.
    pub variables: BTreeMap<String, Value>,
}

/// A check in force: a query whose rows are findings. Where it can be had, a walk of its name has the same rows.
#[derive(Debug)]
pub struct Check {
    /// What it looks for; empty where nobody said.
    pub doc: String,
    /// What a row of it means; empty where nobody said.
    pub meaning: String,
    /// The query with the text it was written in, or what this kernel lacks for it.
    pub query: Result<(Arc<SourceText>, Box<ast::Query>), String>,
    /// Whether the walk library defines it: then a session's own definitions are not meant by its names.
    pub of_library: bool,
}
