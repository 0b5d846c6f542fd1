//! One YAML document of a profile → the value it describes, refusing what is not in the schema.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::declarator;
use super::types::{BaseType, BitField, Encoding, Type};

/// `struct foo:` and what follows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AggregateBody {
    pub(super) size: u64,
    #[serde(default)]
    pub(super) from: Option<String>,
    pub(super) members: Entries<MemberText>,
}

/// `enum foo:` and what follows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnumerationBody {
    pub(super) size: u64,
    #[serde(default)]
    pub(super) signed: bool,
    #[serde(default)]
    pub(super) from: Option<String>,
    pub(super) values: Entries<i128>,
}

/// A map in the order of the file, names occurring once.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(Arc<str>, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<(Arc<str>, T)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let name: Arc<str> = Arc::from(name);
            if !seen.insert(Arc::clone(&name)) {
                return Err(de::Error::custom(format_args!("`{name}` occurs twice")));
            }
            entries.push((name, map.next_value()?));
        }
        Ok(Entries(entries))
    }
}

/// `0x8a0 struct list_head`, or `0x5a0:3:1 unsigned int` for a bit field.
#[derive(Debug)]
pub(super) struct MemberText {
    pub(super) offset: u64,
    pub(super) bits: Option<BitField>,
    /// As [`declarator::parse`] gives it.
    pub(super) ty: Type,
}

impl FromStr for MemberText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("expected `offset type` or `offset:bit:bits type`, found `{text}`");
        let (place, ty) = text.split_once(' ').ok_or_else(form)?;
        let mut numbers = place.split(':');
        let offset = numbers.next().and_then(number).ok_or_else(form)?;
        let bits = match (numbers.next(), numbers.next(), numbers.next()) {
            (None, _, _) => None,
            (Some(bit), Some(bits), None) => Some(bit_field(bit, bits).ok_or_else(form)?),
            _ => return Err(form()),
        };
        let ty = declarator::parse(ty).map_err(|error| error.to_string())?;
        Ok(Self { offset, bits, ty })
    }
}

fn bit_field(offset: &str, size: &str) -> Option<BitField> {
    let offset = offset.parse().ok().filter(|offset| *offset < 8)?;
    let size = size.parse().ok().filter(|size| (1..=128).contains(size))?;
    Some(BitField { offset, size })
}

impl<'de> Deserialize<'de> for MemberText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText(PhantomData))
    }
}

/// `8 unsigned`: size and encoding of a base type.
#[derive(Debug)]
pub(super) struct BaseText {
    size: u64,
    encoding: Encoding,
}

impl FromStr for BaseText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(' ').and_then(|(size, encoding)| {
            Some(Self {
                size: number(size)?,
                encoding: Encoding::from_name(encoding)?,
            })
        });
        parsed.ok_or_else(|| format!("expected `size encoding`, found `{text}`"))
    }
}

impl<'de> Deserialize<'de> for BaseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText(PhantomData))
    }
}

/// Deserialises by [`FromStr`]; a visitor, so that errors get the place of the scalar.
struct FromText<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(de::Error::custom)
    }
}

/// A document of one key: what is under it.
pub(super) fn under_key<'de, T: Deserialize<'de>>(
    document: &'de str,
) -> Result<T, serde_yaml::Error> {
    let Entries(mut entries) = serde_yaml::from_str::<Entries<T>>(document)?;
    match (entries.pop(), entries.is_empty()) {
        (Some((_, value)), true) => Ok(value),
        _ => Err(de::Error::custom("expected a document with one key")),
    }
}

/// The base types that the `base:` document lists.
pub(super) fn base_types(document: &str) -> Result<Vec<Arc<BaseType>>, serde_yaml::Error> {
    let Entries(entries) = under_key::<Entries<BaseText>>(document)?;
    let types = entries
        .into_iter()
        .map(|(name, BaseText { size, encoding })| {
            Arc::new(BaseType {
                name,
                size,
                encoding,
            })
        });
    Ok(types.collect())
}

/// A number as profiles write it, hexadecimal or decimal.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
