//! Text about addresses, as people give it on the command line: RAM maps and image maps.
//!
//! Numbers are hexadecimal, with or without `0x` and with `_` wherever it helps the eye. Ranges are half-open: the second
//! number is the first address that does not belong any more (`/proc/iomem` prints the last that does: add one).

use crate::addr::{PhysAddr, PhysRange};

/// Which bytes of a raw image belong to a range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedRange {
    /// The addresses.
    pub range: PhysRange,
    /// Where in the file the byte of the first address is.
    pub offset: u64,
}

/// Where the bytes of a raw image belong in the physical address space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ImageMap {
    /// One range from address 0, or whatever the file itself says if it is of a kind that does.
    #[default]
    Identity,
    /// A guest of one of QEMU's machines: RAM below 4 GiB up to the machine's limit, the rest from 4 GiB on.
    Machine(&'static Machine),
    /// Ranges one by one.
    Ranges(Vec<MappedRange>),
}

/// How a machine of QEMU splits its RAM around the hole below 4 GiB.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine {
    /// QEMU's name for it.
    pub name: &'static str,
    /// RAM of at least this many bytes is split.
    pub split_from: u64,
    /// Bytes below 4 GiB when it is split.
    pub low: u64,
}

/// QEMU's `hw/i386/pc_piix.c` and `pc_q35.c`, for machine types since 2.0 without `max-ram-below-4g`.
static MACHINES: [Machine; 2] = [
    Machine {
        name: "pc",
        split_from: 0xe000_0000,
        low: 0xc000_0000,
    },
    Machine {
        name: "q35",
        split_from: 0xb000_0000,
        low: 0x8000_0000,
    },
];

/// Where RAM continues that found no place below the hole.
const ABOVE_HOLE: u64 = 0x1_0000_0000;

impl ImageMap {
    /// The ranges of a file of `length` bytes.
    pub fn ranges(&self, length: u64) -> Vec<MappedRange> {
        let whole = |range: &mut Vec<MappedRange>, at: u64, bytes: u64, offset: u64| {
            range.push(MappedRange {
                range: PhysRange::new(PhysAddr::new(at), PhysAddr::new(at.saturating_add(bytes))),
                offset,
            });
        };
        let mut ranges = Vec::new();
        match self {
            Self::Ranges(given) => ranges.clone_from(given),
            Self::Machine(machine) if length >= machine.split_from => {
                whole(&mut ranges, 0, machine.low, 0);
                whole(&mut ranges, ABOVE_HOLE, length - machine.low, machine.low);
            }
            Self::Identity | Self::Machine(_) => whole(&mut ranges, 0, length, 0),
        }
        ranges
    }
}

/// Why a text is not a list of ranges.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Not a number in hexadecimal.
    #[error("`{0}` is not a hexadecimal number")]
    NotANumber(String),
    /// More than 64 bits.
    #[error("`{0}` does not fit in 64 bits")]
    TooLarge(String),
    /// No `-` between two numbers.
    #[error("`{0}` is not a range START-END")]
    NotARange(String),
    /// Ends at or before its start.
    #[error("`{0}` is empty: the end must lie above the start")]
    Empty(String),
    /// Starts inside another one.
    #[error("{first} and {second} overlap")]
    Overlap {
        /// The lower one.
        first: PhysRange,
        /// The one that starts inside it.
        second: PhysRange,
    },
    /// A part of an image map without `@OFFSET`.
    #[error("`{0}` does not say where in the file its bytes are: START-END@OFFSET")]
    NoOffset(String),
    /// Nothing at all.
    #[error("there are no ranges in it")]
    Nothing,
}

/// Reads a RAM map such as `1000-9fc00,100000-bffe0000`: sorted and disjoint when it comes out.
pub fn parse_ranges(text: &str) -> Result<Vec<PhysRange>, RangeError> {
    let mut ranges = parts(text)?
        .map(parse_range)
        .collect::<Result<Vec<PhysRange>, RangeError>>()?;
    ranges.sort_by_key(|range| range.start);
    check_disjoint(ranges.iter().copied())?;
    Ok(ranges)
}

/// Reads an image map: `pc` or `q35` for a guest of that QEMU machine, or ranges such as
/// `0-c0000000@0,100000000-140000000@c0000000`.
pub fn parse_image_map(text: &str) -> Result<ImageMap, RangeError> {
    if let Some(machine) = MACHINES.iter().find(|machine| machine.name == text.trim()) {
        return Ok(ImageMap::Machine(machine));
    }
    let mut ranges = parts(text)?
        .map(parse_mapped)
        .collect::<Result<Vec<MappedRange>, RangeError>>()?;
    ranges.sort_by_key(|mapped| mapped.range.start);
    check_disjoint(ranges.iter().map(|mapped| mapped.range))?;
    Ok(ImageMap::Ranges(ranges))
}

/// The trimmed parts between commas; at least one.
fn parts(text: &str) -> Result<impl Iterator<Item = &str>, RangeError> {
    if text.trim().is_empty() {
        return Err(RangeError::Nothing);
    }
    Ok(text.split(',').map(str::trim))
}

fn parse_mapped(text: &str) -> Result<MappedRange, RangeError> {
    let (range, offset) = text
        .split_once('@')
        .ok_or_else(|| RangeError::NoOffset(text.to_owned()))?;
    Ok(MappedRange {
        range: parse_range(range)?,
        offset: parse_number(offset)?,
    })
}

fn parse_range(text: &str) -> Result<PhysRange, RangeError> {
    let (start, end) = text
        .split_once('-')
        .ok_or_else(|| RangeError::NotARange(text.to_owned()))?;
    let range = PhysRange::new(
        PhysAddr::new(parse_number(start)?),
        PhysAddr::new(parse_number(end)?),
    );
    if range.is_empty() {
        return Err(RangeError::Empty(text.to_owned()));
    }
    Ok(range)
}

fn parse_number(text: &str) -> Result<u64, RangeError> {
    let text = text.trim();
    let bare = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let digits = bare.unwrap_or(text).replace('_', "");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(RangeError::NotANumber(text.to_owned()));
    }
    u64::from_str_radix(&digits, 16).map_err(|_| RangeError::TooLarge(text.to_owned()))
}

fn check_disjoint(sorted: impl Iterator<Item = PhysRange>) -> Result<(), RangeError> {
    let mut previous: Option<PhysRange> = None;
    for range in sorted {
        match previous {
            Some(first) if range.start < first.end => {
                return Err(RangeError::Overlap {
                    first,
                    second: range,
                });
            }
            _ => previous = Some(range),
        }
    }
    Ok(())
}

/// The text that [`parse_ranges`] reads back.
pub(super) fn print_ranges(ranges: &[PhysRange]) -> String {
    let parts: Vec<String> = ranges
        .iter()
        .map(|range| format!("{:x}-{:x}", range.start.get(), range.end.get()))
        .collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
    }

    #[test]
    fn ram_maps_are_hexadecimal_sorted_and_half_open() {
        assert_eq!(
            parse_ranges("0x10_0000-bffe0000, 1000-9fc00"),
            Ok(vec![range(0x1000, 0x9_fc00), range(0x10_0000, 0xbffe_0000)])
        );
        assert_eq!(parse_ranges("0-1000,1000-2000").map(|all| all.len()), Ok(2));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let problem = |text: &str| parse_ranges(text).unwrap_err().to_string();
        assert_eq!(problem(""), "there are no ranges in it");
        assert_eq!(problem("1000"), "`1000` is not a range START-END");
        assert_eq!(problem("10-1g"), "`1g` is not a hexadecimal number");
        assert_eq!(problem("-1000"), "`` is not a hexadecimal number");
        assert_eq!(problem("0-0x"), "`0x` is not a hexadecimal number");
        assert_eq!(problem("0-+5"), "`+5` is not a hexadecimal number");
        assert_eq!(
            problem("0-10000000000000000"),
            "`10000000000000000` does not fit in 64 bits"
        );
        assert_eq!(
            problem("2000-1000"),
            "`2000-1000` is empty: the end must lie above the start"
        );
        assert_eq!(
            problem("0-2000,1fff-3000"),
            "0x0-0x2000 and 0x1fff-0x3000 overlap"
        );
        assert_eq!(
            parse_image_map("0-1000").unwrap_err().to_string(),
            "`0-1000` does not say where in the file its bytes are: START-END@OFFSET"
        );
    }

    #[test]
    fn image_maps_name_a_machine_or_say_it_themselves() {
        let ranges = parse_image_map("100000000-140000000@c0000000,0-c0000000@0").unwrap();
        let pc = parse_image_map("pc").unwrap();
        assert_eq!(ranges.ranges(1), pc.ranges(0x1_0000_0000));
        assert_eq!(pc.ranges(0x1000)[0].range, range(0, 0x1000));
        let q35 = parse_image_map(" q35 ").unwrap().ranges(0xb000_0000);
        assert_eq!(
            (q35[0].range, q35[1].range, q35[1].offset),
            (
                range(0, 0x8000_0000),
                range(0x1_0000_0000, 0x1_3000_0000),
                0x8000_0000
            )
        );
        assert_eq!(ImageMap::Identity.ranges(0x2_0000_0000).len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_ranges_or_an_error(text in "[0-9a-fx@, _-]{0,40}|.{0,20}") {
            if let Ok(ranges) = parse_ranges(&text) {
                prop_assert_eq!(parse_ranges(&print_ranges(&ranges)), Ok(ranges));
            }
            let _ = parse_image_map(&text);
        }
    }
}
