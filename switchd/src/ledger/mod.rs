//! What the hardware made of every object in the kernel, whoever put it there, and when we last saw it.
//!
//! The kernel says with flags what a driver took. For routes it notifies ([`crate::hardware`] switches that on); for FDB
//! entries, neighbours and nexthops it changes the flag in silence. So what should be in hardware and is not gets looked
//! at again, soon and then less and less often (`schedule.rs`); and what is in hardware gets looked at now and then,
//! because a driver may drop it in silence as well.
//!
//! **When the hardware's table is full**, what is in it stays; what came later stays in software, where the kernel
//! forwards it. Nexthops and flood lists are written before single MACs, and so get their place first. Entries left out
//! are tried again in turn, as soon as an entry leaves the hardware, and now and then without that. Only entries of our
//! own are: that takes a delete and an add, which nobody may do to another's.
//!
//! Where there is no ASIC, this module remembers nothing and costs nothing.

mod backing;
mod capacity;
mod expect;
mod hardware;
mod schedule;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Instant;

use platform::asic::{Prediction, Profile};
use platform::kernel::{Ifindex, Key, Link, Model, Object};

pub use capacity::{Capacity, Fill};
use hardware::Hardware;
pub use standing::Standing;

/// The verdicts on all objects.
#[derive(Debug, Default)]
pub struct Ledger {
    /// `None`: there is no ASIC.
    hardware: Option<Hardware>,
    /// The ports of ASICs.
    ports: BTreeSet<Ifindex>,
    /// An ASIC was here before: flags may be older than the one that is here now.
    had_asic: bool,
}

impl Ledger {
    /// Which ASIC there is; `None`: there is none. Everything is judged anew, unless it is the one that was there.
    pub fn handle_profile(&mut self, profile: Option<Profile>, model: &Model, now: Instant) {
        if self.profile() == profile.as_ref() {
            return;
        }
        let flags_are_old = self.had_asic;
        self.had_asic |= profile.is_some();
        self.hardware = profile.map(|profile| Hardware::new(profile, model, flags_are_old, now));
    }

    /// The ports of ASICs, by which it is found out which ASIC there is.
    pub fn ports(&self, model: &Model) -> Vec<Link> {
        self.ports.iter().filter_map(|index| model.link(*index)).cloned().collect()
    }

    /// The ASIC, if there is one.
    pub fn profile(&self) -> Option<&Profile> {
        self.hardware.as_ref().map(Hardware::profile)
    }

    /// The kernel's object under `key` appeared, changed or vanished. Returns whether an ASIC's port came or went, so that
    /// [`Self::handle_profile`] should be told which ASIC there is now. [`Self::settle`] is due by and by.
    pub fn handle_object(
        &mut self,
        key: &Key,
        object: Option<&Object>,
        model: &Model,
        now: Instant,
    ) -> bool {
        let ports_changed = match (key, object) {
            (Key::Link(index), Some(Object::Link(link))) if link.is_switch_port() => {
                self.ports.insert(*index)
            }
            (Key::Link(index), _) => self.ports.remove(index),
            _ => false,
        };
        if let Some(hardware) = &mut self.hardware {
            hardware.handle_object(key, object, model, now);
        }
        ports_changed
    }

    /// How much waits for [`Self::settle`] and [`Self::poll_retries`].
    pub fn backlog(&self) -> usize {
        self.hardware.as_ref().map_or(0, Hardware::backlog)
    }

    /// Judges what was handed over. Until then it counts as pending; so it may wait for a burst of writing to end.
    pub fn settle(&mut self, model: &Model) {
        if let Some(hardware) = &mut self.hardware {
            hardware.settle(model);
        }
    }

    /// A table of the ASIC has more room than before.
    pub fn handle_room(&mut self, now: Instant) {
        if let Some(hardware) = &mut self.hardware {
            hardware.handle_room(now);
        }
    }

    /// Keys to read anew from the kernel, unless a read is under way.
    pub fn poll_read(&mut self, model: &Model, now: Instant) -> Option<Vec<Key>> {
        self.hardware.as_mut()?.poll_read(model, now)
    }

    /// The keys of [`Self::poll_read`] were asked for; those of `found` were answered, and the model holds the answers.
    pub fn handle_read(&mut self, asked: &[Key], found: &[Key], model: &Model, now: Instant) {
        if let Some(hardware) = &mut self.hardware {
            hardware.handle_read(asked, found, model, now);
        }
    }

    /// The kernel was read as a whole: what is unchanged has been seen as well.
    pub fn handle_snapshot(&mut self, now: Instant) {
        if let Some(hardware) = &mut self.hardware {
            hardware.handle_snapshot(now);
        }
    }

    /// Entries of which the hardware should be asked once more by deleting and making them again. Those that are not to be
    /// made again by us come back by [`Self::give_up`].
    pub fn poll_retries(&mut self) -> Vec<Key> {
        self.hardware.as_mut().map(Hardware::poll_retries).unwrap_or_default()
    }

    /// The entry is not ours to make again.
    pub fn give_up(&mut self, key: &Key) {
        if let Some(hardware) = &mut self.hardware {
            hardware.give_up(key);
        }
    }

    /// When [`Self::poll_read`] has something to say.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.hardware.as_ref()?.poll_timeout()
    }

    /// What the driver will not take of what the kernel holds. Costs in proportion to all objects: made once for a report,
    /// not for each change.
    pub fn predict(&self, model: &Model) -> Prediction {
        self.profile().map(|profile| Prediction::new(model, profile)).unwrap_or_default()
    }

    /// Where an object that the kernel holds stands. `prediction` gives reasons to what is not in hardware, and may be empty.
    pub fn standing(
        &self,
        object: &Object,
        model: &Model,
        prediction: &Prediction,
        now: Instant,
    ) -> Standing {
        match &self.hardware {
            Some(hardware) => hardware.standing(object, model, prediction, now),
            None => Standing::no_asic(),
        }
    }
}
