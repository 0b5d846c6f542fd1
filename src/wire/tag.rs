//! Transaction tags and sets of them.

use std::fmt;

/// A transaction tag: 8 bits, because NetTLP's ports carry no more (PCIe allows 10 and 14).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u8);

impl Tag {
    /// The tag with this number.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The tag as a number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "tag {}", self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// A set of tags, as 256 bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TagSet([u64; 4]);

impl TagSet {
    /// No tag.
    pub const EMPTY: Self = Self([0; 4]);

    /// Whether `tag` is in the set.
    pub const fn contains(&self, tag: Tag) -> bool {
        self.0[(tag.0 >> 6) as usize] & Self::bit(tag) != 0
    }

    /// Puts `tag` in.
    pub const fn insert(&mut self, tag: Tag) {
        self.0[(tag.0 >> 6) as usize] |= Self::bit(tag);
    }

    /// Takes `tag` out.
    pub const fn remove(&mut self, tag: Tag) {
        self.0[(tag.0 >> 6) as usize] &= !Self::bit(tag);
    }

    /// Whether no tag is in the set.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Tags in the set.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The tags of either set.
    pub fn union(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// The tags, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Tag> + use<> {
        let words = self.0;
        (0..4_u8).flat_map(move |word| {
            let mut bits = words[usize::from(word)];
            std::iter::from_fn(move || {
                if bits == 0 {
                    return None;
                }
                let bit = bits.trailing_zeros() as u8;
                bits &= bits - 1;
                Some(Tag(word << 6 | bit))
            })
        })
    }

    const fn bit(tag: Tag) -> u64 {
        1 << (tag.0 & 63)
    }
}

impl fmt::Debug for TagSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_set()
            .entries(self.iter().map(Tag::get))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = TagSet::EMPTY;
        for number in [0, 63, 64, 200, 255] {
            set.insert(Tag::new(number));
        }
        set.remove(Tag::new(64));
        let numbers: Vec<u8> = set.iter().map(Tag::get).collect();
        assert_eq!(numbers, [0, 63, 200, 255]);
        assert_eq!(set.len(), 4);
        assert!(set.contains(Tag::new(200)) && !set.contains(Tag::new(64)));
        assert!(!set.is_empty() && TagSet::EMPTY.is_empty());
    }
}
