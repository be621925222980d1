//! A set of small dense numbers: one bit each, with a summary that makes finding the next one cheap in a sparse set.

use crate::rib::table::DestinationId;

const BITS: usize = u64::BITS as usize;

/// Destinations in some condition: sent to a neighbour, waiting to be sent, changed. Its size follows the table,
/// however often a destination goes in and out.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdSet {
    words: Vec<u64>,
    /// One bit per word that is not zero.
    summary: Vec<u64>,
    len: usize,
}

impl IdSet {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn contains(&self, id: DestinationId) -> bool {
        let (word, bit) = split(id as usize);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Returns whether it was not in the set before.
    #[inline]
    pub(crate) fn insert(&mut self, id: DestinationId) -> bool {
        let (index, bit) = split(id as usize);
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
            self.summary.resize(index / BITS + 1, 0);
        }
        let word = &mut self.words[index];
        let fresh = *word & bit == 0;
        if fresh {
            *word |= bit;
            let (summary, bit) = split(index);
            self.summary[summary] |= bit;
            self.len += 1;
        }
        fresh
    }

    /// Returns whether it was in the set.
    #[inline]
    pub(crate) fn remove(&mut self, id: DestinationId) -> bool {
        let (index, bit) = split(id as usize);
        let Some(word) = self.words.get_mut(index) else { return false };
        let present = *word & bit != 0;
        if present {
            *word &= !bit;
            if *word == 0 {
                let (summary, bit) = split(index);
                self.summary[summary] &= !bit;
            }
            self.len -= 1;
        }
        present
    }

    /// The first member that is not below `from`.
    pub(crate) fn next_from(&self, from: DestinationId) -> Option<DestinationId> {
        let (index, bit) = split(from as usize);
        let here = self.words.get(index)? & !(bit - 1);
        if here != 0 {
            return id_of(index, here);
        }
        let (mut at, bit) = split(index);
        // Words after this one, within its summary word.
        let mut candidates = self.summary.get(at)? & !(bit - 1) & !bit;
        while candidates == 0 {
            at += 1;
            candidates = *self.summary.get(at)?;
        }
        let index = at * BITS + candidates.trailing_zeros() as usize;
        id_of(index, *self.words.get(index)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = DestinationId> {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let found = self.next_from(from?)?;
            from = found.checked_add(1);
            Some(found)
        })
    }
}

#[inline]
fn split(index: usize) -> (usize, u64) {
    (index / BITS, 1 << (index % BITS))
}

fn id_of(word: usize, bits: u64) -> Option<DestinationId> {
    DestinationId::try_from(word * BITS + bits.trailing_zeros() as usize).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_behaves_like_a_sorted_set() {
        let mut ours = IdSet::default();
        let mut reference = BTreeSet::new();
        let mut number = 1u32;
        for step in 0..20_000u32 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = (number >> 8) % 50_000;
            if step % 3 == 0 {
                assert_eq!(ours.remove(id), reference.remove(&id));
            } else {
                assert_eq!(ours.insert(id), reference.insert(id));
            }
            assert_eq!(ours.next_from(id), reference.range(id..).next().copied());
        }
        assert_eq!(ours.len(), reference.len());
        assert!(ours.iter().eq(reference.iter().copied()));
    }
}
