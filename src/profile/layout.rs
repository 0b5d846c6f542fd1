//! A layout profile, loaded: questions about types and symbols, each answered from the one document that it concerns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use memchr::memmem;

use super::declarator;
use super::document::DocumentIndex;
use super::error::ProfileError;
use super::header::{FORMAT, Header};
use super::lines::{BadLine, SortedLines, unquoted};
use super::numbers::NumberWords;
use super::schema::{self, AggregateBody, EnumerationBody};
use super::symbols::{self, AddressIndex};
use super::types::{
    Aggregate, AggregateKind, BaseType, Enumeration, FunctionType, Member, Symbol, Type,
};

/// Typedefs of typedefs that are followed.
const MAX_TYPEDEFS: usize = 64;

/// What one kernel build looks like. Opening it costs a scan of the file; a question costs parsing what it asks for, once.
///
/// Answers are `Ok(None)` where the kernel has no such thing and an error, with file, line and column, where the profile is damaged.
#[derive(Debug)]
pub struct LayoutProfile {
    /// What errors call it.
    name: String,
    text: Cow<'static, str>,
    documents: DocumentIndex,
    header: Header,
    base: Vec<Arc<BaseType>>,
    typedef_lines: SortedLines,
    symbol_lines: SortedLines,
    addresses: OnceLock<AddressIndex>,
    aggregates: Mutex<HashMap<String, Arc<Aggregate>>>,
    enumerations: Mutex<HashMap<String, Arc<Enumeration>>>,
}

impl LayoutProfile {
    /// Opens a profile file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ProfileError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ProfileError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::from_named_bytes(&path.display().to_string(), bytes)
    }

    /// Opens a profile that is in memory already.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, ProfileError> {
        Self::from_named_bytes("<profile>", bytes)
    }

    /// Opens a profile that is in memory already; errors call it `name`.
    pub fn from_named_bytes(
        name: &str,
        bytes: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, ProfileError> {
        let text = utf8(name, bytes.into())?;
        check_start(name, &text)?;
        let documents = DocumentIndex::new(&text).map_err(|duplicate| {
            let problem = format!("a second document `{}`", duplicate.key);
            malformed(name, &text, duplicate.at, problem)
        })?;
        let header = parse_header(name, &text, documents.header.clone())?;
        let base = match documents.find(&text, "base") {
            Some(body) => schema::base_types(text.get(body.clone()).unwrap_or(""))
                .map_err(|error| yaml_error(name, &text, body.start, &error))?,
            None => Vec::new(),
        };
        let lines = |key| SortedLines::new(documents.find(&text, key).unwrap_or(0..0));
        Ok(Self {
            name: name.to_owned(),
            header,
            base,
            typedef_lines: lines("typedefs"),
            symbol_lines: lines("symbols"),
            text,
            documents,
            addresses: OnceLock::new(),
            aggregates: Mutex::default(),
            enumerations: Mutex::default(),
        })
    }

    /// Which kernel it is and what its types cannot tell.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What errors call this profile: its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The content of a struct or union type, typedefs removed; `None` for other types and for types that are only declared.
    pub fn aggregate(&self, ty: &Type) -> Result<Option<Arc<Aggregate>>, ProfileError> {
        match self.strip(ty)? {
            Type::Struct(name) => self.structure(&name),
            Type::Union(name) => self.union(&name),
            _ => Ok(None),
        }
    }

    /// The struct of that name (without the keyword).
    pub fn structure(&self, name: &str) -> Result<Option<Arc<Aggregate>>, ProfileError> {
        self.aggregate_of_kind(AggregateKind::Struct, name)
    }

    /// The union of that name (without the keyword).
    pub fn union(&self, name: &str) -> Result<Option<Arc<Aggregate>>, ProfileError> {
        self.aggregate_of_kind(AggregateKind::Union, name)
    }

    /// What a typedef stands for, one step.
    pub fn typedef(&self, name: &str) -> Result<Option<Type>, ProfileError> {
        let lines = &self.typedef_lines;
        let found = lines
            .find(&self.text, name)
            .map_err(|bad| self.bad_line(bad))?;
        let Some((_, value, at)) = found.and_then(|start| lines.entry(&self.text, start)) else {
            return Ok(None);
        };
        let value = match value.starts_with(['"', '\'']) {
            true => Cow::Owned(unquoted(value).unwrap_or_default()),
            false => Cow::Borrowed(value),
        };
        let parsed = declarator::parse(&value);
        let ty =
            parsed.map_err(|error| malformed(&self.name, &self.text, at, error.to_string()))?;
        Ok(Some(self.resolve(ty)))
    }

    /// The base type that a name spells, in any order of words: `unsigned long` finds `long unsigned int`.
    pub fn base(&self, name: &str) -> Option<Arc<BaseType>> {
        let exact = self.base.iter().find(|base| &*base.name == name);
        let found = exact.or_else(|| {
            let words = NumberWords::of(name)?;
            self.base
                .iter()
                .find(|base| NumberWords::of(&base.name) == Some(words))
        });
        found.cloned()
    }

    /// The enumeration of that name (without the keyword).
    pub fn enumeration(&self, name: &str) -> Result<Option<Arc<Enumeration>>, ProfileError> {
        if let Some(known) = lock(&self.enumerations).get(name) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(body) = self.documents.find(&self.text, &format!("enum {name}")) else {
            return Ok(None);
        };
        let parsed: EnumerationBody = self.parse(body)?;
        let enumeration = Arc::new(Enumeration {
            name: Arc::from(name),
            size: parsed.size,
            signed: parsed.signed,
            values: parsed.values.0,
            from: parsed.from,
        });
        lock(&self.enumerations).insert(name.to_owned(), Arc::clone(&enumeration));
        Ok(Some(enumeration))
    }

    /// The enumeration that has an enumerator of that name (the first by name where several have), and its value.
    pub fn enumerator(&self, name: &str) -> Result<Option<(Arc<Enumeration>, i128)>, ProfileError> {
        let wanted = memmem::Finder::new(name.as_bytes());
        for (key, body) in self.documents.with_prefix(&self.text, "enum ") {
            let document = self.text.get(body).unwrap_or("");
            if !occurs_as_key(document, name, &wanted) {
                continue;
            }
            let Some(enumeration) = self.enumeration(key.trim_start_matches("enum "))? else {
                continue;
            };
            if let Some(value) = enumeration.value(name) {
                return Ok(Some((enumeration, value)));
            }
        }
        Ok(None)
    }

    /// The symbol of that name.
    pub fn symbol(&self, name: &str) -> Result<Option<Symbol>, ProfileError> {
        let found = self.symbol_lines.find(&self.text, name);
        match found.map_err(|bad| self.bad_line(bad))? {
            Some(start) => self.symbol_on(start),
            None => Ok(None),
        }
    }

    /// The symbol that holds a link address, and how far into it the address is: the nearest symbol at or below, if it is long enough
    /// or of unknown length. Absolute symbols and per-CPU offsets are not addresses and never found.
    pub fn symbol_at(&self, address: u64) -> Result<Option<(Symbol, u64)>, ProfileError> {
        let index = match self.addresses.get() {
            Some(index) => index,
            None => {
                let percpu = self.header.constants.percpu;
                let index = AddressIndex::new(&self.text, &self.symbol_lines, percpu);
                let index = index.map_err(|bad| self.bad_line(bad))?;
                self.addresses.get_or_init(|| index)
            }
        };
        let Some(start) = index.find(address) else {
            return Ok(None);
        };
        let found = self.symbol_on(start)?;
        Ok(found.map(|symbol| {
            let offset = address.wrapping_sub(symbol.address);
            (symbol, offset)
        }))
    }

    /// The type that a C abstract declarator spells, whether or not the profile has the names in it.
    pub fn parse_type(&self, text: &str) -> Result<Type, ProfileError> {
        Ok(self.resolve(declarator::parse(text)?))
    }

    /// The type without typedefs around it: `atomic_t` is `struct (atomic_t)`. A typedef that the profile lacks stays.
    pub fn strip(&self, ty: &Type) -> Result<Type, ProfileError> {
        let mut ty = ty.clone();
        for _ in 0..MAX_TYPEDEFS {
            let Type::Typedef(name) = &ty else {
                return Ok(ty);
            };
            match self.typedef(name)? {
                Some(target) => ty = target,
                None => return Ok(ty),
            }
        }
        Err(ProfileError::Cycle {
            profile: self.name.clone(),
            name: ty.to_string(),
        })
    }

    /// What a type is in the end, without typedefs and arrays around it, and how many elements the arrays have, outermost first.
    pub fn peel(&self, ty: &Type) -> Result<(Type, Vec<Option<u64>>), ProfileError> {
        let mut counts = Vec::new();
        let mut ty = self.strip(ty)?;
        while let Type::Array { element, count } = &ty {
            if counts.len() >= MAX_TYPEDEFS {
                return Err(ProfileError::Cycle {
                    profile: self.name.clone(),
                    name: element.to_string(),
                });
            }
            counts.push(*count);
            ty = self.strip(&Arc::clone(element))?;
        }
        Ok((ty, counts))
    }

    /// Bytes of a value of a type; `None` for `void`, functions, arrays of unknown length and types that the profile lacks.
    pub fn size_of(&self, ty: &Type) -> Result<Option<u64>, ProfileError> {
        let (ty, counts) = self.peel(ty)?;
        let mut elements: u64 = 1;
        for count in counts {
            let Some(product) = count.and_then(|count| elements.checked_mul(count)) else {
                return Ok(None);
            };
            elements = product;
        }
        let size = match &ty {
            Type::Base(base) => Some(base.size),
            Type::Pointer(_) => Some(self.header.pointer_size),
            Type::Struct(name) => self.structure(name)?.map(|found| found.size),
            Type::Union(name) => self.union(name)?.map(|found| found.size),
            Type::Enum(name) => self.enumeration(name)?.map(|found| found.size),
            _ => None,
        };
        Ok(size.and_then(|size| size.checked_mul(elements)))
    }

    /// Every type that has a name: `enum pid_type`, `struct task_struct`, `union thread_union`, then typedefs (`u32`).
    pub fn type_names(&self) -> Result<impl Iterator<Item = Cow<'_, str>>, ProfileError> {
        let keys = self
            .documents
            .keys(&self.text)
            .filter(|key| key.contains(' '));
        let typedefs = self.typedef_lines.names(&self.text);
        let typedefs = typedefs.map_err(|bad| self.bad_line(bad))?;
        Ok(keys.map(Cow::Borrowed).chain(typedefs))
    }

    /// How many types there are: those that have a name, and base types.
    pub fn type_count(&self) -> Result<usize, ProfileError> {
        Ok(self.type_names()?.count() + self.base.len())
    }

    /// Every symbol's name, sorted.
    pub fn symbol_names(&self) -> Result<impl Iterator<Item = Cow<'_, str>>, ProfileError> {
        let names = self.symbol_lines.names(&self.text);
        names.map_err(|bad| self.bad_line(bad))
    }

    /// The keys of all documents but the header's, sorted: `struct pid`, `base`, `symbols`.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.documents.keys(&self.text)
    }

    /// The text of the document of a key.
    pub(super) fn document(&self, key: &str) -> &str {
        let body = self.documents.find(&self.text, key);
        body.and_then(|body| self.text.get(body)).unwrap_or("")
    }

    /// Every base type, in the order of the file.
    pub(super) fn base_types(&self) -> &[Arc<BaseType>] {
        &self.base
    }

    /// Names and values of all typedefs, sorted, as they are written.
    pub(super) fn typedef_lines(&self) -> Result<Vec<(Cow<'_, str>, &str)>, ProfileError> {
        let lines = self.typedef_lines.entries(&self.text);
        lines.map_err(|bad| self.bad_line(bad))
    }

    /// Names and values of all symbols, sorted, as they are written.
    pub(super) fn symbol_lines(&self) -> Result<Vec<(Cow<'_, str>, &str)>, ProfileError> {
        let lines = self.symbol_lines.entries(&self.text);
        lines.map_err(|bad| self.bad_line(bad))
    }

    fn aggregate_of_kind(
        &self,
        kind: AggregateKind,
        name: &str,
    ) -> Result<Option<Arc<Aggregate>>, ProfileError> {
        let key = format!("{} {name}", kind.keyword());
        if let Some(known) = lock(&self.aggregates).get(&key) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(body) = self.documents.find(&self.text, &key) else {
            return Ok(None);
        };
        let parsed: AggregateBody = self.parse(body)?;
        let members = parsed.members.0.into_iter().map(|(name, member)| Member {
            name,
            offset: member.offset,
            bits: member.bits,
            ty: self.resolve(member.ty),
        });
        let aggregate = Arc::new(Aggregate {
            kind,
            name: Arc::from(name),
            size: parsed.size,
            members: members.collect(),
            from: parsed.from,
        });
        lock(&self.aggregates).insert(key, Arc::clone(&aggregate));
        Ok(Some(aggregate))
    }

    fn parse<'a, T: serde::Deserialize<'a>>(
        &'a self,
        body: Range<usize>,
    ) -> Result<T, ProfileError> {
        let document = self.text.get(body.clone()).unwrap_or("");
        schema::under_key(document)
            .map_err(|error| yaml_error(&self.name, &self.text, body.start, &error))
    }

    fn symbol_on(&self, start: usize) -> Result<Option<Symbol>, ProfileError> {
        let found = symbols::symbol_on(&self.text, &self.symbol_lines, start);
        let mut symbol = found.map_err(|bad| self.bad_line(bad))?;
        if let Some(symbol) = &mut symbol {
            symbol.ty = symbol.ty.take().map(|ty| self.resolve(ty));
        }
        Ok(symbol)
    }

    fn bad_line(&self, bad: BadLine) -> ProfileError {
        malformed(&self.name, &self.text, bad.at, bad.problem)
    }

    /// Replaces base types by those of this kernel: sizes come from the profile, and a name such as `_Float16` may be one.
    fn resolve(&self, ty: Type) -> Type {
        match ty {
            Type::Base(standard) => Type::Base(self.base(&standard.name).unwrap_or(standard)),
            Type::Typedef(name) => match self.base.iter().find(|base| base.name == name) {
                Some(base) => Type::Base(Arc::clone(base)),
                None => Type::Typedef(name),
            },
            Type::Pointer(target) => self.resolve(Arc::unwrap_or_clone(target)).pointer_to(),
            Type::Array { element, count } => {
                self.resolve(Arc::unwrap_or_clone(element)).array_of(count)
            }
            Type::Function(function) => {
                let function = Arc::unwrap_or_clone(function);
                let parameters = function.parameters.into_iter();
                Type::Function(Arc::new(FunctionType {
                    result: self.resolve(function.result),
                    parameters: parameters.map(|ty| self.resolve(ty)).collect(),
                    variadic: function.variadic,
                }))
            }
            named => named,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The caches are whole whatever happened to a thread that held them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn utf8(name: &str, bytes: Cow<'static, [u8]>) -> Result<Cow<'static, str>, ProfileError> {
    let not_text = |offset| ProfileError::NotText {
        profile: name.to_owned(),
        offset,
    };
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|error| not_text(error.valid_up_to())),
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .map(Cow::Owned)
            .map_err(|error| not_text(error.utf8_error().valid_up_to())),
    }
}

/// The header of a profile from the bytes of its first document.
pub(super) fn header_of(name: &str, bytes: Vec<u8>) -> Result<Header, ProfileError> {
    let text = utf8(name, Cow::Owned(bytes))?;
    check_start(name, &text)?;
    let start = match text.starts_with("---\n") {
        true => 4,
        false => 0,
    };
    parse_header(name, &text, start..text.len())
}

/// Refuses a text that does not start as a profile does.
fn check_start(name: &str, text: &str) -> Result<(), ProfileError> {
    let start = text
        .trim_start_matches("---\n")
        .trim_start_matches(|c: char| c.is_ascii_whitespace());
    match skip_comments(start).starts_with("format:") {
        true => Ok(()),
        false => Err(ProfileError::NotAProfile {
            profile: name.to_owned(),
        }),
    }
}

fn skip_comments(text: &str) -> &str {
    let mut rest = text;
    while rest.starts_with('#') || rest.starts_with('\n') {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

fn parse_header(name: &str, text: &str, body: Range<usize>) -> Result<Header, ProfileError> {
    let document = text.get(body.clone()).unwrap_or("");
    let parsed: Result<Header, _> = serde_yaml::from_str(document);
    let header = parsed.map_err(|error| yaml_error(name, text, body.start, &error))?;
    let problem = if header.format != FORMAT {
        format!(
            "format `{}` is not one that this program reads (`{FORMAT}`)",
            header.format
        )
    } else if !matches!(header.pointer_size, 4 | 8) {
        format!("pointers of {} bytes", header.pointer_size)
    } else {
        return Ok(header);
    };
    Err(malformed(name, text, body.start, problem))
}

/// Whether a line of the document is `name: …`, quoted or not.
fn occurs_as_key(document: &str, name: &str, wanted: &memmem::Finder<'_>) -> bool {
    let bytes = document.as_bytes();
    wanted.find_iter(bytes).any(|at| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let after = bytes.get(at + name.len());
        matches!(before, Some(b' ' | b'"' | b'\'')) && matches!(after, Some(b':' | b'"' | b'\''))
    })
}

/// An error at a byte of the profile.
fn malformed(name: &str, text: &str, at: usize, problem: String) -> ProfileError {
    let before = text.get(..at).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.get(line_start..).unwrap_or("");
    ProfileError::Malformed {
        profile: name.to_owned(),
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: line.chars().count() + 1,
        problem,
    }
}

/// What the YAML parser says about a document that starts at a byte of the profile.
fn yaml_error(name: &str, text: &str, start: usize, error: &serde_yaml::Error) -> ProfileError {
    let before = text.get(..start).unwrap_or("");
    let lines_before = before.bytes().filter(|byte| *byte == b'\n').count();
    let (line, column) = error
        .location()
        .map_or((1, 1), |location| (location.line(), location.column()));
    ProfileError::Malformed {
        profile: name.to_owned(),
        line: lines_before + line,
        column,
        problem: without_place(&error.to_string()),
    }
}

/// The YAML parser appends its own place, which counts from the start of the document.
fn without_place(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message.get(..end).unwrap_or(message).to_owned()
}
