//! One shared attribute set for all routes that have the same attributes.

use std::sync::Arc;

use super::next_hop::NextHop;
use super::set::AttributeSet;
use crate::wire::update::UpdateView;

/// Finds or makes the shared set. Looking up attributes that are known costs neither decoding nor memory.
#[derive(Debug, Default)]
pub struct AttributeInterner {
    sets: hashbrown::HashTable<(u64, Arc<AttributeSet>)>,
}

impl AttributeInterner {
    /// The set of an UPDATE's attributes with this next hop.
    pub fn intern(&mut self, _view: &UpdateView<'_>, _next_hop: NextHop) -> Arc<AttributeSet> {
        todo!()
    }

    /// The shared one of a set that was made here.
    pub fn intern_set(&mut self, _set: AttributeSet) -> Arc<AttributeSet> {
        todo!()
    }

    /// Drops the sets that no one uses any more.
    pub fn sweep(&mut self) {
        self.sets.retain(|(_, set)| Arc::strong_count(set) > 1);
    }

    /// Sets held.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether no set is held.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}
