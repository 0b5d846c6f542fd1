//! The bytes of a kernel image → its own table of symbols (`scripts/kallsyms.c`, `kernel/kallsyms_internal.h`).
//!
//! Nothing says where the tables are. The token table is found by the digits that every one has, proven by its index, and everything
//! else follows from it: names and their markers lie before, addresses before those (until Linux 6.3) or behind the index. A candidate
//! that does not fit together is passed over; only a table that does, all of it, is taken.

mod addresses;
mod names;
#[cfg(test)]
pub(super) mod tests;
mod tokens;

use memchr::memmem;

use super::listed::Listed;

pub(super) use addresses::AddressEncoding;

/// Why an image has no symbols of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KallsymsProblem {
    /// Nothing looks like a token table.
    #[error("no table of kallsyms tokens in {0:#x} bytes")]
    NoTokens(usize),
    /// A token table, but no names before it.
    #[error("a table of kallsyms tokens at {tokens:#x}, but no names that fit it before it")]
    NoNames {
        /// Where, in bytes from the start of the image.
        tokens: usize,
    },
    /// Names without addresses.
    #[error("{count} kallsyms names at {names:#x}, but no addresses that fit them")]
    NoAddresses {
        /// Where.
        names: usize,
        /// How many.
        count: usize,
    },
}

/// The table, decoded.
#[derive(Clone, Debug)]
pub(super) struct Kallsyms {
    /// In the order of the table.
    pub(super) symbols: Vec<Listed<'static>>,
    pub(super) encoding: AddressEncoding,
}

/// A symbol that a kernel tells of itself, as /proc/kallsyms shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSymbol {
    /// Its name.
    pub name: String,
    /// The letter of its kind, as nm(1) has it.
    pub letter: u8,
    /// Its address; of a per-CPU variable, where such addresses begin at 0, the offset.
    pub address: u64,
}

/// The symbols of a kernel's own table, in its order, from bytes of a running image that hold all parts of it; `address` is the virtual
/// address of the first byte, a multiple of 8.
pub fn own_symbols(bytes: &[u8], address: u64) -> Result<Vec<OwnSymbol>, KallsymsProblem> {
    let symbols = find(bytes, address)?.symbols.into_iter();
    let symbols = symbols.map(|symbol| OwnSymbol {
        name: symbol.name.into_owned(),
        letter: symbol.letter,
        address: symbol.address,
    });
    Ok(symbols.collect())
}

/// Finds and decodes the table of an image whose first byte has the virtual address `address`, which only matters to addresses that
/// are told relative to their place.
pub(super) fn find(bytes: &[u8], address: u64) -> Result<Kallsyms, KallsymsProblem> {
    let mut problem = KallsymsProblem::NoTokens(bytes.len());
    for digits in memmem::find_iter(bytes, tokens::DIGITS) {
        let Some(tokens) = tokens::Tokens::around(bytes, digits) else {
            continue;
        };
        let at = tokens.start;
        let Some(names) = names::Names::before(bytes, at) else {
            problem = KallsymsProblem::NoNames { tokens: at };
            continue;
        };
        let Some((encoding, addresses)) = addresses::find(bytes, address, &tokens, &names) else {
            problem = KallsymsProblem::NoAddresses {
                names: names.start,
                count: names.count,
            };
            continue;
        };
        let names = names.decode(bytes, &tokens);
        let symbols = names.into_iter().zip(addresses);
        return Ok(Kallsyms {
            symbols: symbols
                .map(|((letter, name), address)| Listed {
                    name: name.into(),
                    letter,
                    address,
                })
                .collect(),
            encoding,
        });
    }
    Err(problem)
}
