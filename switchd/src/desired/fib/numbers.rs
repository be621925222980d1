//! Numbers of kernel objects: none is taken twice, and what the kernel holds already keeps its own.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::ops::RangeInclusive;

/// The numbers of one kind of object, each of which has one content.
#[derive(Debug)]
pub(super) struct Numbers<C> {
    range: RangeInclusive<u32>,
    /// Where the search for a free one goes on. In circles: a number that was just given back is still in the kernel.
    next: u32,
    taken: HashSet<u32>,
    /// What the kernel holds; `None` where that is of another kind.
    held: HashMap<u32, Option<C>>,
    by_content: HashMap<C, u32>,
}

impl<C: Clone + Eq + Hash> Numbers<C> {
    pub(super) fn new(range: RangeInclusive<u32>) -> Self {
        Self {
            next: *range.start(),
            range,
            taken: HashSet::new(),
            held: HashMap::new(),
            by_content: HashMap::new(),
        }
    }

    /// The kernel holds this under a number of ours.
    pub(super) fn note(&mut self, number: u32, content: Option<C>) {
        self.forget(number);
        if self.range.contains(&number) {
            if let Some(content) = &content {
                self.by_content.insert(content.clone(), number);
            }
            self.held.insert(number, content);
        }
    }

    /// The kernel holds nothing under a number any more.
    pub(super) fn forget(&mut self, number: u32) {
        if let Some(Some(content)) = self.held.remove(&number)
            && self.by_content.get(&content) == Some(&number)
        {
            self.by_content.remove(&content);
        }
    }

    /// The number under which the kernel holds this, else one that nobody uses; `None` if all are in use.
    pub(super) fn take(&mut self, content: &C) -> Option<u32> {
        let known = self.by_content.get(content).filter(|number| !self.taken.contains(number));
        let number = match known {
            Some(number) => *number,
            None => {
                let (first, last) = (*self.range.start(), *self.range.end());
                let mut around = (self.next..=last).chain(first..self.next);
                let is_free =
                    |number: &u32| !self.taken.contains(number) && !self.held.contains_key(number);
                let number = around.find(is_free)?;
                self.next = if number == last { first } else { number + 1 };
                number
            }
        };
        self.taken.insert(number);
        Some(number)
    }

    pub(super) fn give_back(&mut self, number: u32) {
        self.taken.remove(&number);
    }
}
