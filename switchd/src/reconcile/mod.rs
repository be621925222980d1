//! Makes the kernel hold what is desired: no more than that of ours, and nothing of others' touched.
//!
//! Pure: what is desired and what the kernel reports come in as dirty keys, batches of changes go out, and outcomes come
//! back. What is installed is what the kernel says ([`Model`]), never what we remember having sent.

mod desired;
mod diff;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use platform::kernel::{Change, KernelError, Key, Model, Object, Retry};

use desired::Desired;
use diff::difference;

type Map<K, V> = HashMap<K, V, RandomState>;
type Set<K> = HashSet<K, RandomState>;

/// Changes per batch: long enough to keep the kernel busy, short enough that an urgent change does not wait long.
const BATCH: usize = 2048;

/// Batches that the writer has: one that it works on, and one so that it need not wait for us.
const BATCHES_IN_FLIGHT: usize = 2;

/// How long the kernel may take to report what it acknowledged, before we look for ourselves.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

/// Waits before a refused change is tried again: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// The kernel's no to one object.
#[derive(Debug, Clone)]
struct Refusal {
    error: KernelError,
    attempts: u32,
    /// When to try again by time alone. A change of the object, in the kernel or in what is desired, tries at once.
    retry_at: Instant,
    /// It is being tried again.
    trying: bool,
}

/// The kernel reports a delete and the create after it one by one. In between it seems to lack the entry, and making it once
/// more would be refused: it is there.
#[derive(Debug, Clone, Copy)]
struct Remade {
    /// The delete was reported.
    is_gone: bool,
    /// Then we look for ourselves.
    until: Instant,
}

/// The difference between desire and kernel, worked off in batches.
#[derive(Debug, Default)]
pub struct Reconciler {
    desired: Desired,
    /// Keys to look at. Ordered, so that the two halves of a remote MAC are neighbours in a batch.
    dirty: BTreeSet<Key>,
    /// What others stand on, looked at first: nexthops, which are made before the routes that use them and deleted after,
    /// and flood lists, which must not be left out when the single MACs fill the hardware's table.
    dirty_groundwork: BTreeSet<Key>,
    /// To be deleted and made again although the kernel holds it as desired: a driver that had no room looks at it again
    /// only then.
    recreate: Set<Key>,
    /// Deleted and made again, and not yet reported back.
    remade: Map<Key, Remade>,
    /// Desired in this run and no longer: may be deleted before the sweep.
    withdrawn: Set<Key>,
    refused: Map<Key, Refusal>,
    /// No longer refused, without a change in the kernel, since the last [`Self::poll_accepted`].
    accepted: Vec<Key>,
    /// Acknowledged and not yet reported back, with the latest time for that.
    unconfirmed: Map<Key, Instant>,
    /// Reported as desired while under way.
    early: Set<Key>,
    /// No retry and no confirmation is due before. May be too early, never too late.
    wake_at: Option<Instant>,
    /// Batches given out and not answered for.
    in_flight: usize,
    /// Their keys. None is looked at before the answer: what became of it is not known.
    under_way: Set<Key>,
    /// Dirty keys that wait for that.
    postponed: Set<Key>,
    /// There is groundwork among what is under way: what stands on it waits for the answer.
    groundwork_under_way: bool,
    /// Leftovers of a former run are deleted: all sources have said what they want.
    sweeping: bool,
}

impl Reconciler {
    /// `object` is what should exist under `key`; `None`: nothing of ours should.
    pub fn desire(&mut self, key: Key, object: Option<Object>) {
        match object {
            Some(object) => {
                self.withdrawn.remove(&key);
                self.desired.insert(key, object);
            }
            None => {
                if self.desired.remove(&key) {
                    self.withdrawn.insert(key);
                }
            }
        }
        self.refused.remove(&key);
        self.mark(key);
    }

    /// Deletes the entry and makes it again. `false`: it is not desired, or a nexthop, which would take its routes along.
    pub fn recreate(&mut self, key: Key) -> bool {
        let may = self.desired.contains(&key) && !matches!(key, Key::Nexthop(_));
        if may {
            self.recreate.insert(key);
            self.mark(key);
        }
        may
    }

    /// What is desired under a key.
    pub fn desired(&self, key: &Key) -> Option<Object> {
        self.desired.get(key)
    }

    /// Whether anything is desired under a key.
    pub fn is_desired(&self, key: &Key) -> bool {
        self.desired.contains(key)
    }

    /// The kernel's no to a key, if it said no the last time.
    pub fn refusal(&self, key: &Key) -> Option<&KernelError> {
        self.refused.get(key).map(|refusal| &refusal.error)
    }

    /// The kernel's object under `key` appeared, changed or vanished; it holds `held` now.
    pub fn handle_kernel_change(&mut self, key: Key, held: Option<&Object>, now: Instant) {
        if let Some(remade) = self.remade.get_mut(&key) {
            match held {
                None => remade.is_gone = true,
                Some(_) if remade.is_gone => drop(self.remade.remove(&key)),
                Some(_) => {}
            }
        }
        if let Key::Link(_) = key {
            // A link may be what refused entries were waiting for.
            let waiting: Vec<Key> = self.refused.keys().copied().collect();
            for key in waiting {
                self.retry(key, now);
            }
        }
        if !self.confirms(&key, held) {
            self.mark(key);
        }
    }

    /// Whether the kernel reports what it acknowledged, and it is what is desired: nothing is left to be looked at. Most
    /// reports while a table is written are of this kind.
    fn confirms(&mut self, key: &Key, held: Option<&Object>) -> bool {
        let Some(held) = held else { return false };
        let as_desired = self.desired.get(key).is_some_and(|desired| desired.is_satisfied_by(held));
        if !as_desired
            || self.refused.contains_key(key)
            || self.recreate.contains(key)
            || self.remade.contains_key(key)
        {
            return false;
        }
        if self.unconfirmed.remove(key).is_some() {
            return true;
        }
        let early = self.under_way.contains(key);
        if early {
            self.early.insert(*key);
        }
        early
    }

    /// From now on, whatever carries our mark, is `managed` and not desired is deleted. Call when all sources are ready.
    pub fn start_sweep(&mut self, model: &Model, managed: impl Fn(&Key) -> bool) {
        self.sweeping = true;
        let leftovers: Vec<Key> = model
            .objects()
            .filter(Object::is_ours)
            .map(|object| object.key())
            .filter(|key| !self.desired.contains(key) && managed(key))
            .collect();
        leftovers.into_iter().for_each(|key| self.mark(key));
    }

    /// Whether leftovers are deleted yet.
    pub fn is_sweeping(&self) -> bool {
        self.sweeping
    }

    /// The next changes to apply, in an order that the kernel accepts; `None` while the writer has enough, or when there is
    /// nothing to do. Batches are to be applied and answered for one after the other. `managed` tells which
    /// objects with our mark are ours to delete.
    pub fn poll_batch(
        &mut self,
        model: &Model,
        managed: impl Fn(&Key) -> bool,
        now: Instant,
    ) -> Option<Vec<Change>> {
        let has_groundwork = self.groundwork_under_way || !self.dirty_groundwork.is_empty();
        let at_most = if has_groundwork { 1 } else { BATCHES_IN_FLIGHT };
        if self.in_flight >= at_most {
            return None;
        }
        let mut batch = Vec::new();
        let mut spent_nexthops = Vec::new();
        while batch.len() < BATCH
            && let Some(key) = self.dirty_groundwork.pop_first()
        {
            for change in self.changes(&key, model, &managed, now).into_iter().flatten() {
                match change {
                    Change::Delete(object @ Object::Nexthop(_)) if !self.desired.contains(&key) => {
                        spent_nexthops.push(Change::Delete(object));
                    }
                    change => batch.push(change),
                }
            }
        }
        while batch.len() < BATCH
            && let Some(key) = self.dirty.pop_first()
        {
            if self.under_way.contains(&key) {
                self.postponed.insert(key);
                continue;
            }
            batch.extend(self.changes(&key, model, &managed, now).into_iter().flatten());
        }
        // What a delete frees may be needed by a create.
        batch.sort_by_key(|change| !matches!(change, Change::Delete(_)));
        if self.dirty.is_empty() && self.dirty_groundwork.is_empty() && self.postponed.is_empty() {
            // Users before what they use: the kernel takes the routes along with their nexthop, and groups, which have the
            // higher numbers, with their members.
            batch.extend(spent_nexthops.into_iter().rev());
        } else {
            self.dirty_groundwork.extend(spent_nexthops.iter().map(Change::key));
        }
        if batch.is_empty() {
            return None;
        }
        self.in_flight += 1;
        self.groundwork_under_way = batch.iter().any(|change| is_groundwork(&change.key()));
        self.under_way.extend(batch.iter().map(Change::key));
        Some(batch)
    }

    /// What became of the batch that [`Self::poll_batch`] gave out: one result for each change, in order.
    pub fn handle_outcome(
        &mut self,
        batch: &[Change],
        results: Vec<Result<(), KernelError>>,
        now: Instant,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.groundwork_under_way = false;
        for (change, result) in batch.iter().zip(results) {
            let key = change.key();
            self.under_way.remove(&key);
            if self.postponed.remove(&key) {
                self.mark(key);
            }
            match result {
                Ok(()) if self.early.remove(&key) => drop(self.refused.remove(&key)),
                Ok(()) => {
                    self.refused.remove(&key);
                    self.unconfirmed.insert(key, now + CONFIRM_WITHIN);
                    self.wake_by(now + CONFIRM_WITHIN);
                }
                Err(error) => {
                    self.early.remove(&key);
                    self.refuse(key, error, now);
                }
            }
        }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wake_at
    }

    /// Tries refused entries again whose time has come. Returns whether the kernel owes us a report for longer than it
    /// may: then notifications were lost, and a new snapshot is due.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.wake_at.is_none_or(|at| at > now) {
            return false;
        }
        let due: Vec<Key> = self
            .refused
            .iter()
            .filter(|(_, refusal)| refusal.retry_at <= now)
            .map(|(key, _)| *key)
            .collect();
        due.into_iter().for_each(|key| self.retry(key, now));

        let missing: Vec<Key> = self
            .unconfirmed
            .iter()
            .filter(|(_, deadline)| **deadline <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in &missing {
            tracing::warn!(%key, "the kernel acknowledged an entry and did not report it");
            self.unconfirmed.remove(key);
            self.mark(*key);
        }
        let retries = self.refused.values().map(|refusal| refusal.retry_at);
        self.wake_at = retries.chain(self.unconfirmed.values().copied()).min();
        !missing.is_empty()
    }

    /// What is desired and the kernel does not hold, or not as desired.
    pub fn missing<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = Object> + 'a {
        self.desired.iter().filter_map(|(key, desired)| {
            let is_there = model.get(key).is_some_and(|held| desired.is_satisfied_by(&held));
            (!is_there || self.refused.contains_key(key)).then_some(desired)
        })
    }

    /// Keys that are no longer refused although nothing changed in the kernel: it held them as desired all along.
    pub fn poll_accepted(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.accepted)
    }

    /// Whether there is something to write, or a write is under way.
    pub fn is_busy(&self) -> bool {
        self.in_flight > 0 || !self.dirty.is_empty() || !self.dirty_groundwork.is_empty()
    }

    /// Whether the kernel has yet to report what it acknowledged.
    pub fn is_waiting(&self) -> bool {
        !self.unconfirmed.is_empty()
    }

    fn mark(&mut self, key: Key) {
        let dirty = match is_groundwork(&key) {
            true => &mut self.dirty_groundwork,
            false => &mut self.dirty,
        };
        dirty.insert(key);
    }

    fn wake_by(&mut self, deadline: Instant) {
        self.wake_at = Some(self.wake_at.map_or(deadline, |at| at.min(deadline)));
    }

    fn retry(&mut self, key: Key, now: Instant) {
        if let Some(refusal) = self.refused.get_mut(&key) {
            refusal.retry_at = now + RETRY_LONGEST;
            refusal.trying = true;
            self.mark(key);
        }
    }

    fn refuse(&mut self, key: Key, error: KernelError, now: Instant) {
        self.remade.remove(&key);
        let attempts = self.refused.get(&key).map_or(0, |refusal| refusal.attempts) + 1;
        let wait = match error.retry() {
            Retry::Now => Duration::ZERO,
            Retry::Backoff | Retry::AfterChange => {
                (RETRY_FIRST * 2_u32.saturating_pow(attempts.min(16) - 1)).min(RETRY_LONGEST)
            }
        };
        if attempts == 1 {
            tracing::warn!(%key, %error, "the kernel refused an entry; trying again by and by");
        }
        self.wake_by(now + wait);
        self.refused.insert(key, Refusal { error, attempts, retry_at: now + wait, trying: false });
    }

    /// The change that `key` needs, if any; two where it is to be made again.
    fn changes(
        &mut self,
        key: &Key,
        model: &Model,
        managed: impl Fn(&Key) -> bool,
        now: Instant,
    ) -> [Option<Change>; 2] {
        if self.refused.get(key).is_some_and(|refusal| !refusal.trying && refusal.retry_at > now) {
            return [None, None];
        }
        let held = model.get(key);
        let may_delete = self.withdrawn.contains(key) || (self.sweeping && managed(key));
        let desired = self.desired.get(key);
        let change = difference(desired.as_ref(), held.as_ref(), may_delete);
        if self.remade.get(key).is_some_and(|remade| remade.until > now) {
            return [None, None];
        }
        if self.recreate.remove(key)
            && let (Some(desired), Some(held)) = (&desired, &held)
            && held.is_ours()
        {
            let changes = [Change::Delete(held.clone()), Change::Create(desired.clone())];
            self.remade.insert(*key, Remade { is_gone: false, until: now + CONFIRM_WITHIN });
            return changes.map(Some);
        }
        self.remade.remove(key);
        if change.is_none() {
            self.unconfirmed.remove(key);
            if self.refused.remove(key).is_some() {
                self.accepted.push(*key);
            }
            if held.is_none() {
                self.withdrawn.remove(key);
            }
        }
        [change, None]
    }
}

/// What others stand on: see [`Reconciler::dirty_groundwork`].
fn is_groundwork(key: &Key) -> bool {
    matches!(key, Key::Nexthop(_) | Key::Fdb { destination: Some(_), .. })
}
