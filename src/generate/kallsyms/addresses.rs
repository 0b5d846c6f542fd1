//! `kallsyms_offsets` and `kallsyms_relative_base`, or `kallsyms_addresses`: the address of each name, in every encoding that there was.

use super::names::Names;
use super::tokens::Tokens;

/// How addresses are told (`kallsyms_sym_address`, kernel/kallsyms.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::generate) enum AddressEncoding {
    /// As they are (without `CONFIG_KALLSYMS_BASE_RELATIVE`).
    Absolute,
    /// From a base.
    BaseRelative,
    /// From a base if negative, as they are otherwise (x86-64 until Linux 6.14).
    AbsolutePerCpu,
    /// From where each is (Linux 7.0).
    PlaceRelative,
}

/// Addresses of a kernel are in the upper half of the address space.
const LOWEST_KERNEL_ADDRESS: u64 = 0xffff_0000_0000_0000;

/// Addresses that may be lower than the one before, of so many: symbols are sorted by address.
const MAX_DESCENTS_PER: usize = 64;

/// The addresses that belong to the names, in their order.
pub(super) fn find(
    bytes: &[u8],
    address: u64,
    tokens: &Tokens,
    names: &Names,
) -> Option<(AddressEncoding, Vec<u64>)> {
    let table = names.count.checked_mul(4)?;
    // Behind the token index since Linux 6.4, else before the number of symbols with the base between.
    let behind = [
        tokens.end.next_multiple_of(8),
        tokens.end.next_multiple_of(4),
    ];
    let before = names.count_at.checked_sub(8 + table).map(|at| at & !7);
    let with_base = behind
        .iter()
        .map(|at| (*at, (at + table).next_multiple_of(8)))
        .chain(before.map(|at| (at, names.count_at - 8)));
    for (at, base_at) in with_base {
        if let Some(base) = word(bytes, base_at).filter(|base| *base >= LOWEST_KERNEL_ADDRESS)
            && let Some(offsets) = offsets(bytes, at, names.count)
            && let Some(found) = from_base(&offsets, base)
        {
            return Some(found);
        }
    }
    if let Some(addresses) = absolute(bytes, names) {
        return Some((AddressEncoding::Absolute, addresses));
    }
    behind.iter().find_map(|at| {
        let addresses = place_relative(bytes, *at, address, names.count)?;
        Some((AddressEncoding::PlaceRelative, addresses))
    })
}

/// Addresses right before the number of symbols.
fn absolute(bytes: &[u8], names: &Names) -> Option<Vec<u64>> {
    let at = names.count_at.checked_sub(names.count.checked_mul(8)?)?;
    let (words, _) = bytes.get(at..names.count_at)?.as_chunks::<8>();
    let addresses: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let last = *addresses.last()?;
    (last >= LOWEST_KERNEL_ADDRESS && is_sorted(&addresses)).then_some(addresses)
}

/// Addresses from where each is told. Repeated bytes would be sorted too: most symbols are not 4 bytes from the next.
fn place_relative(bytes: &[u8], at: usize, address: u64, count: usize) -> Option<Vec<u64>> {
    let offsets = offsets(bytes, at, count)?;
    let pairs = offsets.iter().zip(offsets.iter().skip(1));
    let repeated = pairs.filter(|(one, next)| one == next).count();
    let here = address.wrapping_add(at as u64);
    let places = (0_u64..).map(|index| here.wrapping_add(index * 4));
    let addresses: Vec<u64> = offsets
        .iter()
        .zip(places)
        .map(|(offset, place)| place.wrapping_add_signed(i64::from(*offset)))
        .collect();
    (repeated <= count / 4 && is_sorted(&addresses)).then_some(addresses)
}

fn offsets(bytes: &[u8], at: usize, count: usize) -> Option<Vec<i32>> {
    let (words, _) = bytes
        .get(at..at.checked_add(count.checked_mul(4)?)?)?
        .as_chunks::<4>();
    Some(words.iter().map(|word| i32::from_le_bytes(*word)).collect())
}

fn from_base(offsets: &[i32], base: u64) -> Option<(AddressEncoding, Vec<u64>)> {
    let plain = offsets
        .iter()
        .map(|offset| base.wrapping_add(u64::from(offset.cast_unsigned())));
    let mixed = offsets.iter().map(|offset| match u64::try_from(*offset) {
        Ok(absolute) => absolute,
        Err(_) => base
            .wrapping_sub(1)
            .wrapping_add_signed(-i64::from(*offset)),
    });
    let plain: Vec<u64> = plain.collect();
    if is_sorted(&plain) {
        return Some((AddressEncoding::BaseRelative, plain));
    }
    let mixed: Vec<u64> = mixed.collect();
    is_sorted(&mixed).then_some((AddressEncoding::AbsolutePerCpu, mixed))
}

/// Whether addresses grow, but for a few; and are not all the same.
fn is_sorted(addresses: &[u64]) -> bool {
    let descents = addresses
        .iter()
        .zip(addresses.iter().skip(1))
        .filter(|(one, next)| one > next)
        .count();
    let differ = addresses.first() != addresses.last();
    differ && descents <= addresses.len() / MAX_DESCENTS_PER
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}
