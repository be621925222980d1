//! One shared attribute set for all routes that have the same attributes.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::canonical::{self, Parts};
use super::next_hop::NextHop;
use super::set::{AttributeSet, LocalAttributes};
use crate::wire::update::UpdateView;

/// Finds or makes the shared set. Looking up attributes that are known costs neither decoding nor memory: the received
/// bytes are hashed and compared as they are, or rewritten into a buffer that stays if they are not canonical.
#[derive(Debug, Default)]
pub struct AttributeInterner {
    /// With their hashes, so that growing the table does not hash them again.
    sets: HashTable<(u64, Arc<AttributeSet>)>,
    hasher: RandomState,
    rewritten: Vec<u8>,
}

impl AttributeInterner {
    /// The set of an UPDATE's attributes with this next hop. Not for an UPDATE whose routes count as withdrawn.
    pub fn intern(&mut self, view: &UpdateView<'_>, next_hop: NextHop) -> Arc<AttributeSet> {
        if let Some(parts) = view.canonical {
            return self.intern_parts(parts, next_hop);
        }
        let mut rewritten = std::mem::take(&mut self.rewritten);
        rewritten.clear();
        canonical::rewrite(view.attributes, &view.discarded, view.four_octet_as, &mut rewritten);
        let set = self.intern_parts(canonical::parts(&rewritten), next_hop);
        self.rewritten = rewritten;
        set
    }

    /// The shared one of a set that was made here.
    pub fn intern_set(&mut self, set: AttributeSet) -> Arc<AttributeSet> {
        let hash = self.hash(canonical::parts(set.block()), set.next_hop());
        match self.sets.find(hash, |(_, other)| **other == set) {
            Some((_, shared)) => Arc::clone(shared),
            None => self.insert(hash, set),
        }
    }

    /// Drops the sets that no one uses any more.
    pub fn sweep(&mut self) {
        self.sets.retain(|(_, set)| Arc::strong_count(set) > 1);
        if self.sets.len() < self.sets.capacity() / 4 {
            self.sets.shrink_to_fit(|(hash, _)| *hash);
        }
    }

    /// Sets held.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether no set is held.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    fn intern_parts(&mut self, parts: Parts<'_>, next_hop: NextHop) -> Arc<AttributeSet> {
        let hash = self.hash(parts, next_hop);
        let known = self.sets.find(hash, |(other, set)| {
            *other == hash
                && set.next_hop() == next_hop
                && set.local() == LocalAttributes::default()
                && set.has_block(parts)
        });
        match known {
            Some((_, set)) => Arc::clone(set),
            None => self.insert(
                hash,
                AttributeSet::from_block(parts.concat().into_boxed_slice(), next_hop),
            ),
        }
    }

    fn insert(&mut self, hash: u64, set: AttributeSet) -> Arc<AttributeSet> {
        let set = Arc::new(set);
        self.sets.insert_unique(hash, (hash, Arc::clone(&set)), |(hash, _)| *hash);
        set
    }

    fn hash(&self, parts: Parts<'_>, next_hop: NextHop) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for part in parts {
            hasher.write(part);
        }
        next_hop.hash(&mut hasher);
        hasher.finish()
    }
}
