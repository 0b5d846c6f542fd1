//! Tables of symbols that are made here in every form that they have had, whole and damaged.

use super::*;

/// Where the image is.
pub(in crate::generate) const ADDRESS: u64 = 0xffff_ffff_8a20_0000;
/// What the symbols are relative to, and where the first is.
const BASE: u64 = ADDRESS;

/// The order of the parts in an image, and how addresses are told.
#[derive(Clone, Copy, Debug)]
pub(in crate::generate) enum Form {
    /// Until 4.5, or without `CONFIG_KALLSYMS_BASE_RELATIVE`.
    Absolute,
    /// Until 6.3, addresses first.
    Before(AddressEncoding),
    /// The same with the order of names between markers and tokens (6.2, and 6.1 of stable kernels).
    BeforeWithOrder,
    /// From 6.4 on, addresses behind the index.
    Behind(AddressEncoding),
}

pub(in crate::generate) const FORMS: [Form; 7] = [
    Form::Absolute,
    Form::Before(AddressEncoding::BaseRelative),
    Form::Before(AddressEncoding::AbsolutePerCpu),
    Form::BeforeWithOrder,
    Form::Behind(AddressEncoding::BaseRelative),
    Form::Behind(AddressEncoding::AbsolutePerCpu),
    Form::Behind(AddressEncoding::PlaceRelative),
];

/// 1000 symbols; one has a name of 300 bytes.
fn symbols() -> Vec<(String, u64)> {
    let mut symbols: Vec<(String, u64)> = (0..999)
        .map(|number| (format!("Tsymbol_{number}"), BASE + number * 64))
        .collect();
    symbols.push((format!("D{}", "long".repeat(75)), BASE + 999 * 64));
    symbols
}

fn push(image: &mut Vec<u8>, words: impl IntoIterator<Item = u32>) {
    for word in words {
        image.extend_from_slice(&word.to_le_bytes());
    }
}

fn align(image: &mut Vec<u8>, to: usize) {
    image.resize(image.len().next_multiple_of(to), 0);
}

fn push_addresses(image: &mut Vec<u8>, encoding: AddressEncoding, symbols: &[(String, u64)]) {
    let start = image.len() as u64;
    let offsets = symbols
        .iter()
        .zip(0_u64..)
        .map(|((_, address), index)| match encoding {
            AddressEncoding::AbsolutePerCpu => (BASE.wrapping_sub(1).wrapping_sub(*address)) as u32,
            AddressEncoding::PlaceRelative => {
                address.wrapping_sub(ADDRESS + start + index * 4) as u32
            }
            _ => (address - BASE) as u32,
        });
    push(image, offsets);
    align(image, 8);
    if encoding != AddressEncoding::PlaceRelative {
        image.extend_from_slice(&BASE.to_le_bytes());
    }
}

/// An image that holds the tables.
pub(in crate::generate) fn image(form: Form, symbols: &[(String, u64)]) -> Vec<u8> {
    // `sym` and `bol_` are tokens; everything else stands for itself.
    let tokens: Vec<Vec<u8>> = (0..=255_u8)
        .map(|byte| match byte {
            0x80 => b"sym".to_vec(),
            0x81 => b"bol_".to_vec(),
            // Bytes that no name has are no tokens.
            0 => Vec::new(),
            byte => vec![byte],
        })
        .collect();
    let mut image = vec![0xcc; 4096];
    match form {
        Form::Absolute => {
            for (_, address) in symbols {
                image.extend_from_slice(&address.to_le_bytes());
            }
        }
        Form::Before(encoding) => push_addresses(&mut image, encoding, symbols),
        Form::BeforeWithOrder => {
            push_addresses(&mut image, AddressEncoding::AbsolutePerCpu, symbols);
        }
        Form::Behind(_) => {}
    }
    push(&mut image, [symbols.len() as u32]);
    if !matches!(form, Form::Behind(AddressEncoding::PlaceRelative)) {
        align(&mut image, 8);
    }
    let names = image.len();
    let mut markers = Vec::new();
    for (index, (name, _)) in symbols.iter().enumerate() {
        if index % 256 == 0 {
            markers.push((image.len() - names) as u32);
        }
        let mut packed = Vec::new();
        let mut rest = name.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            let token = [(0x80, &b"sym"[..]), (0x81, b"bol_")];
            let found = token.iter().find(|(_, text)| rest.starts_with(text));
            packed.push(found.map_or(*first, |(token, _)| *token));
            rest = found.map_or(after, |(_, text)| &rest[text.len()..]);
        }
        if packed.len() < 0x80 {
            image.push(packed.len() as u8);
        } else {
            image.push((packed.len() & 0x7f | 0x80) as u8);
            image.push((packed.len() >> 7) as u8);
        }
        image.extend_from_slice(&packed);
    }
    align(&mut image, 4);
    push(&mut image, markers);
    align(&mut image, 8);
    if matches!(form, Form::BeforeWithOrder) {
        image.extend((0..symbols.len() * 3).map(|byte| (byte * 7) as u8));
        align(&mut image, 8);
    }
    let mut index = Vec::new();
    let table = image.len();
    for token in &tokens {
        index.extend_from_slice(&((image.len() - table) as u16).to_le_bytes());
        image.extend_from_slice(token);
        image.push(0);
    }
    align(&mut image, 8);
    image.extend_from_slice(&index);
    if let Form::Behind(encoding) = form {
        push_addresses(&mut image, encoding, symbols);
    }
    image.extend_from_slice(&[0xcc; 4096]);
    image
}

#[test]
fn every_form_is_read() {
    let symbols = symbols();
    for form in FORMS {
        let found = find(&image(form, &symbols), ADDRESS);
        let found = found.unwrap_or_else(|problem| panic!("{form:?}: {problem}"));
        let expected = match form {
            Form::Absolute => AddressEncoding::Absolute,
            Form::BeforeWithOrder => AddressEncoding::AbsolutePerCpu,
            Form::Before(encoding) | Form::Behind(encoding) => encoding,
        };
        assert_eq!(found.encoding, expected, "{form:?}");
        assert_eq!(found.symbols.len(), symbols.len());
        for (found, (name, address)) in found.symbols.iter().zip(&symbols) {
            let (letter, name) = name.split_at(1);
            assert_eq!(found.letter, letter.as_bytes()[0]);
            assert_eq!((&*found.name, found.address), (name, *address), "{form:?}");
        }
    }
}

#[test]
fn per_cpu_symbols_are_told_as_they_are() {
    let mut symbols = symbols();
    let mut image = image(Form::Before(AddressEncoding::AbsolutePerCpu), &symbols);
    // The first hundred are offsets: positive numbers.
    for (index, symbol) in symbols.iter_mut().take(100).enumerate() {
        symbol.1 = index as u64 * 8;
        let at = 4096 + index * 4;
        image[at..at + 4].copy_from_slice(&(symbol.1 as u32).to_le_bytes());
    }
    let found = find(&image, ADDRESS).expect("found");
    let addresses: Vec<u64> = found.symbols.iter().map(|symbol| symbol.address).collect();
    let expected: Vec<u64> = symbols.iter().map(|(_, address)| *address).collect();
    assert_eq!(addresses, expected);
}

#[test]
fn what_is_missing_is_said() {
    let whole = image(Form::Behind(AddressEncoding::BaseRelative), &symbols());
    assert!(matches!(
        find(&whole[..5000], 0),
        Err(KallsymsProblem::NoTokens(5000))
    ));
    let tokens = memchr::memmem::find(&whole, tokens::DIGITS).expect("they are there");
    let mut no_names = whole.clone();
    no_names[4096..tokens - 100].fill(0xcc);
    assert!(matches!(
        find(&no_names, 0),
        Err(KallsymsProblem::NoNames { .. })
    ));
    let mut no_addresses = whole.clone();
    let length = no_addresses.len();
    no_addresses[length - 4096 - 2000..].fill(0xcc);
    assert!(matches!(
        find(&no_addresses, 0),
        Err(KallsymsProblem::NoAddresses { count: 1000, .. })
    ));
}

#[test]
fn tables_cut_anywhere_are_an_error_or_whole() {
    for form in FORMS {
        let whole = image(form, &symbols());
        for length in (0..whole.len()).step_by(61) {
            if let Ok(found) = find(&whole[..length], ADDRESS) {
                assert_eq!(found.symbols.len(), 1000);
            }
        }
    }
}

#[test]
fn flipped_bits_never_do_worse_than_an_error() {
    let mut random = fastrand::Rng::with_seed(3);
    for form in FORMS {
        let whole = image(form, &symbols());
        for _ in 0..200 {
            let mut flipped = whole.clone();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(4000..flipped.len() - 4000);
                flipped[at] ^= 1 << random.u32(0..8);
            }
            if let Ok(found) = find(&flipped, ADDRESS) {
                assert_eq!(found.symbols.len(), 1000);
            }
        }
    }
}

#[test]
fn images_full_of_what_looks_like_tables_end_soon() {
    let whole = image(Form::Behind(AddressEncoding::BaseRelative), &symbols());
    let tokens = memchr::memmem::find(&whole, tokens::DIGITS).expect("they are there");
    // Runs that grow as markers do, and no names that fit them, before a good token table; many times.
    let mut image = Vec::new();
    for _ in 0..2000 {
        push(&mut image, (0..8).map(|number| number * 2000));
    }
    let run = image.clone();
    for _ in 0..50 {
        image.extend_from_slice(&run);
    }
    image.extend_from_slice(&whole[tokens - 200..]);
    let started = std::time::Instant::now();
    assert!(find(&image, 0).is_err());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
