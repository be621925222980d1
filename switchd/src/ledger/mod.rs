//! What the hardware made of every object in the kernel, whoever put it there, and when we last saw it.
//!
//! The kernel says with flags what a driver took. For routes it notifies ([`crate::daemon`] switches that on); for FDB
//! entries, neighbours and nexthops it changes the flag in silence. So what should be in hardware and is not gets looked
//! at again, soon and then less and less often (`schedule.rs`); and what is in hardware gets looked at now and then,
//! because a driver may drop it in silence as well.
//!
//! **When the hardware's table is full**, what is in it stays; what came later stays in software, where the kernel
//! forwards it. Nexthops and flood lists are written before single MACs, and so get their place first. Entries left out
//! are tried again one after the other, as soon as an entry leaves the hardware, and now and then without that. Only entries of our own are tried again: that takes a delete and an add, which nobody may do to another's.
//!
//! Where there is no ASIC, this module remembers nothing and costs nothing.

mod backing;
mod capacity;
mod expect;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry;
use platform::asic::{Capabilities, Prediction, Profile, Violation};
use platform::kernel::{FdbTable, Ifindex, KernelError, Key, Link, Model, Object, Verdict};

use backing::Backing;
pub use capacity::{Capacity, Fill};
use expect::Expectation;
use schedule::{LAST_LOOK, LeftOut, Looks};

/// Keys per read: some milliseconds of the writer's time.
const READ: usize = 1024;

/// Every so often, so many entries are looked at although nothing is known to have happened to them.
const AUDIT_EVERY: Duration = Duration::from_secs(5);
const AUDIT: usize = 512;

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

#[derive(Debug)]
struct Hardware {
    profile: Profile,
    /// Of the profile.
    can: Capabilities,
    backing: Backing,
    /// Links changed since `backing` was found.
    backing_is_stale: bool,
    /// What `Seen::at` counts from.
    epoch: Instant,
    seen: IndexMap<Key, Seen, RandomState>,
    looks: Looks,
    left_out: LeftOut,
    /// To be made again.
    retries: Vec<Key>,
    audit_at: Instant,
    /// Where in `seen` the next audit begins.
    audit_from: usize,
    reading: bool,
}

/// 8 bytes per object.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// When the kernel last told us of it; tenths of a second since the epoch.
    at: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing more is expected of the hardware: it has the object, or need not have it.
    Settled,
    /// Should be in hardware and is not yet; the number of looks so far.
    Waiting(u8),
    /// Should be in hardware, and the driver had its time.
    LeftOut,
    /// Was left out, and is to be looked at once more before it is made again.
    Retrying,
    /// Is being made again.
    Remaking,
}

/// Where one object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not in hardware; the driver's words where there are any. Empty when it is.
    pub reason: String,
    /// The row of `docs/offload-constraints.md` that it breaks.
    pub constraint: Option<&'static str>,
    /// The command that mends it. May be empty.
    pub remedy: String,
    /// Whether the hardware should have it. What it need not have is no cause for concern.
    pub expected: bool,
    /// How long ago the kernel last told us of it. `None`: there is no ASIC, so nothing can change.
    pub seen: Option<Duration>,
}

impl Ledger {
    /// Which ASIC there is; `None`: there is none. Everything is judged anew.
    pub fn handle_profile(&mut self, profile: Option<Profile>, model: &Model, now: Instant) {
        let backing = if self.had_asic { Backing::default() } else { Backing::of(model) };
        self.had_asic |= profile.is_some();
        self.hardware = profile.map(|profile| Hardware {
            can: profile.capabilities(),
            profile,
            backing,
            backing_is_stale: false,
            epoch: now,
            seen: IndexMap::default(),
            looks: Looks::default(),
            left_out: LeftOut::default(),
            retries: Vec::new(),
            audit_at: now + AUDIT_EVERY,
            audit_from: 0,
            reading: false,
        });
        if let Some(hardware) = &mut self.hardware {
            // First as if nothing were in doubt: what is not known cannot be made again.
            let backing = std::mem::replace(&mut hardware.backing, Backing::of(model));
            hardware.backing_is_stale = false;
            model.objects().for_each(|object| hardware.track(object.key(), &object, model, now));
            hardware.backing = backing;
            hardware.find_backing(model);
        }
    }

    /// All that the kernel told of in one go has been handed over.
    pub fn settle(&mut self, model: &Model) {
        if let Some(hardware) = &mut self.hardware
            && std::mem::take(&mut hardware.backing_is_stale)
        {
            hardware.find_backing(model);
        }
    }

    /// The ports of ASICs, by which it is found out which ASIC there is.
    pub fn ports(&self, model: &Model) -> Vec<Link> {
        self.ports.iter().filter_map(|index| model.link(*index)).cloned().collect()
    }

    /// The ASIC, if there is one.
    pub fn profile(&self) -> Option<&Profile> {
        self.hardware.as_ref().map(|hardware| &hardware.profile)
    }

    /// The kernel's object under `key` appeared, changed or vanished. Returns whether an ASIC's port came or went, so that
    /// [`Self::handle_profile`] should be told which ASIC there is now.
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
        self.judge(key, object, model, now);
        ports_changed
    }

    fn judge(&mut self, key: &Key, object: Option<&Object>, model: &Model, now: Instant) {
        let Some(hardware) = &mut self.hardware else { return };
        hardware.backing_is_stale |= matches!(key, Key::Link(_));
        match object {
            Some(object) => hardware.track(*key, object, model, now),
            None => hardware.forget(key, now),
        }
    }

    /// A table of the ASIC has more room than before.
    pub fn handle_room(&mut self, now: Instant) {
        if let Some(hardware) = &mut self.hardware {
            hardware.left_out.room(now);
        }
    }

    /// Keys to read anew from the kernel, unless a read is under way.
    pub fn poll_read(&mut self, now: Instant) -> Option<Vec<Key>> {
        let hardware = self.hardware.as_mut().filter(|hardware| !hardware.reading)?;
        let keys = hardware.take_due(now);
        hardware.reading = !keys.is_empty();
        hardware.reading.then_some(keys)
    }

    /// The keys of [`Self::poll_read`] were read, and the model holds what was found.
    pub fn handle_read(&mut self, asked: &[Key], model: &Model, now: Instant) {
        let Some(hardware) = &mut self.hardware else { return };
        hardware.reading = false;
        for key in asked {
            if let Some(object) = model.get(key) {
                hardware.look(*key, &object, model, now);
            }
        }
    }

    /// Entries of which the hardware should be asked once more by deleting and making them again; those that are not ours
    /// must be left alone.
    pub fn poll_retries(&mut self) -> Vec<Key> {
        self.hardware
            .as_mut()
            .map(|hardware| std::mem::take(&mut hardware.retries))
            .unwrap_or_default()
    }

    /// When [`Self::poll_read`] has something to say.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let hardware = self.hardware.as_ref().filter(|hardware| !hardware.reading)?;
        [hardware.looks.next(), hardware.left_out.next(), Some(hardware.audit_at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// How many entries of ours should be in hardware and are not, after the driver had its time.
    pub fn left_out(&self) -> usize {
        self.hardware.as_ref().map_or(0, |hardware| hardware.left_out.len())
    }

    /// What the driver will not take of what the kernel holds. Costs in proportion to all objects: made once for a report,
    /// not for each change.
    pub fn predict(&self, model: &Model) -> Prediction {
        let hardware = self.hardware.as_ref();
        hardware.map(|hardware| Prediction::new(model, &hardware.profile)).unwrap_or_default()
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
            None => Standing {
                verdict: Verdict::Software,
                reason: NO_ASIC.to_owned(),
                constraint: None,
                remedy: String::new(),
                expected: false,
                seen: None,
            },
        }
    }
}

impl Standing {
    /// Of what is wanted and not in the kernel: refused with these words, or not written yet.
    pub fn not_held(refusal: Option<&KernelError>) -> Self {
        let verdict = refusal.map_or(Verdict::Pending, |error| Verdict::Refused {
            errno: error.errno(),
            reason: error.reason().map(str::to_owned),
        });
        let reason =
            refusal.map(|error| error.reason().map_or_else(|| error.to_string(), str::to_owned));
        Self {
            verdict,
            reason: reason.unwrap_or_default(),
            constraint: None,
            remedy: String::new(),
            expected: true,
            seen: None,
        }
    }
}

const NO_ASIC: &str = "this machine has no switch ASIC";

impl Hardware {
    fn track(&mut self, key: Key, object: &Object, model: &Model, now: Instant) {
        let at = self.tenths(now);
        let is_settled = self.is_where_it_should_be(object, model);
        let stage = if is_settled { Stage::Settled } else { Stage::Waiting(0) };
        // What is new is the common case: it costs one look-up.
        let before = match self.seen.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Seen { at, stage });
                None
            }
            Entry::Occupied(mut known) => {
                let before = known.get().stage;
                let goes_on_waiting = !is_settled && matches!(before, Stage::Waiting(_));
                known.insert(Seen { at, stage: if goes_on_waiting { before } else { stage } });
                Some(before)
            }
        };
        if is_settled {
            self.settle(&key, before, now);
        } else if is_failed(object) {
            // The kernel says so, and a second look would not hear anything else.
            self.leave_out(key, object, now);
            self.seen.insert(key, Seen { at, stage: Stage::LeftOut });
        } else if !matches!(before, Some(Stage::Waiting(_))) {
            self.looks.add(key, 0, now);
        }
    }

    /// `key` was read for the sake of looking.
    fn look(&mut self, key: Key, object: &Object, model: &Model, now: Instant) {
        let at = self.tenths(now);
        let Some(Seen { stage, .. }) = self.seen.get(&key).copied() else { return };
        let stage = match (self.is_where_it_should_be(object, model), stage) {
            (true, _) => {
                self.settle(&key, Some(stage), now);
                Stage::Settled
            }
            (false, Stage::Waiting(look)) if look + 1 < LAST_LOOK => {
                self.looks.add(key, look + 1, now);
                Stage::Waiting(look + 1)
            }
            (false, Stage::Waiting(_) | Stage::LeftOut | Stage::Remaking) => {
                self.leave_out(key, object, now);
                Stage::LeftOut
            }
            // It was in hardware, and the driver dropped it without a word.
            (false, Stage::Settled) => {
                self.looks.add(key, 0, now);
                Stage::Waiting(0)
            }
            (false, Stage::Retrying) => {
                self.retries.push(key);
                Stage::Remaking
            }
        };
        self.seen.insert(key, Seen { at, stage });
    }

    /// The hardware has it, after whatever `before` was.
    fn settle(&mut self, key: &Key, before: Option<Stage>, now: Instant) {
        let Some(before) = before else { return };
        self.left_out.taken(key, now);
        // The driver takes both halves of a remote MAC in one step.
        if let Some(twin) = other_half(key).filter(|_| before != Stage::Settled)
            && let Some(seen) = self.seen.get_mut(&twin)
            && seen.stage == Stage::LeftOut
        {
            seen.stage = Stage::Waiting(0);
            self.looks.add(twin, 0, now);
        }
    }

    /// The hardware did not take it. Of a remote MAC, the VXLAN device's half is what is made again; of another's entry,
    /// nothing.
    fn leave_out(&mut self, key: Key, object: &Object, now: Instant) {
        if object.is_ours() && !matches!(key, Key::Fdb { table: FdbTable::Bridge, .. }) {
            self.left_out.add(key, now);
        }
    }

    fn forget(&mut self, key: &Key, now: Instant) {
        let Some(seen) = self.seen.swap_remove(key) else { return };
        match seen.stage {
            Stage::Settled => self.left_out.room(now),
            // It is back in a moment, and keeps its place until then.
            Stage::Remaking => {}
            Stage::LeftOut | Stage::Waiting(_) | Stage::Retrying => self.left_out.gone(key),
        }
    }

    fn take_due(&mut self, now: Instant) -> Vec<Key> {
        let mut keys = self.looks.take_due(READ, now);
        for key in self.left_out.take_due(now) {
            match self.seen.get_mut(&key) {
                Some(seen) => {
                    seen.stage = Stage::Retrying;
                    keys.push(key);
                }
                // It was to be made again, and nobody wanted it any more.
                None => self.left_out.gone(&key),
            }
        }
        if keys.is_empty() && self.audit_at <= now {
            self.audit_at = now + AUDIT_EVERY;
            if self.audit_from >= self.seen.len() {
                self.audit_from = 0;
            }
            let until = (self.audit_from + AUDIT).min(self.seen.len());
            let some = self.seen.get_range(self.audit_from..until);
            keys.extend(some.into_iter().flat_map(|some| some.keys()).filter(|key| is_silent(key)));
            self.audit_from = until;
        }
        keys
    }

    /// Whether nothing more is to be expected of the hardware.
    fn is_where_it_should_be(&mut self, object: &Object, model: &Model) -> bool {
        if std::mem::take(&mut self.backing_is_stale) {
            self.find_backing(model);
        }
        matches!(object.verdict(), Verdict::InHardware | Verdict::Trapped)
            || !matches!(self.expectation(object, model), Expectation::Hardware)
    }

    /// Tunnels whose bridge gets a port of the ASIC (back) are offered to the driver anew. Of what it had before, for
    /// instance before it was reloaded, the kernel may have kept the flags, and only making an entry again shows the truth.
    fn find_backing(&mut self, model: &Model) {
        let before = std::mem::replace(&mut self.backing, Backing::of(model));
        for vxlan in model.links().filter(|link| link.vxlan().is_some()) {
            if !self.backing.has(vxlan.index) || before.has(vxlan.index) {
                continue;
            }
            for entry in model.fdb_of(vxlan.index) {
                let key = entry.key();
                if entry.offload.offloaded
                    && entry.is_ours()
                    && let Some(seen) = self.seen.get_mut(&key)
                {
                    seen.stage = Stage::Remaking;
                    self.retries.push(key);
                }
            }
        }
    }

    fn expectation(&self, object: &Object, model: &Model) -> Expectation {
        expect::expectation(object, model, &self.backing, self.can)
    }

    fn standing(
        &self,
        object: &Object,
        model: &Model,
        prediction: &Prediction,
        now: Instant,
    ) -> Standing {
        let seen = self.seen.get(&object.key());
        let mut standing = Standing {
            verdict: object.verdict(),
            reason: String::new(),
            constraint: None,
            remedy: String::new(),
            expected: true,
            seen: seen.map(|seen| self.age(seen.at, now)),
        };
        let expectation = self.expectation(object, model);
        match (&standing.verdict, expectation) {
            // Whatever the flag says, and such a driver sets it in silence.
            (Verdict::InHardware | Verdict::Software, Expectation::Cpu(why)) => {
                standing.verdict = Verdict::Trapped;
                standing.reason = why.to_owned();
            }
            (_, Expectation::Gone(why)) => {
                standing.verdict = Verdict::Software;
                standing.reason = why.to_owned();
                standing.expected = false;
            }
            (Verdict::InHardware | Verdict::Trapped, _) => {}
            (_, Expectation::Derived(verdict, why)) => {
                standing.verdict = verdict;
                standing.reason = why.to_owned();
            }
            (Verdict::Refused { .. }, _) => standing.reason = FAILED.to_owned(),
            (_, Expectation::Software(why) | Expectation::Cpu(why)) => {
                standing.verdict = Verdict::Software;
                standing.reason = why.to_owned();
                standing.expected = false;
            }
            (_, Expectation::Hardware) => {
                let is_left_out = seen.is_some_and(|seen| seen.stage == Stage::LeftOut)
                    || self.left_out.has(&object.key());
                if is_left_out {
                    standing.verdict = Verdict::Refused { errno: None, reason: None };
                    standing.reason = SILENT_REFUSAL.to_owned();
                } else {
                    standing.verdict = Verdict::Pending;
                }
            }
        }
        if standing.expected && !matches!(standing.verdict, Verdict::InHardware | Verdict::Trapped)
        {
            explain(&mut standing, prediction.of(model, object));
        }
        standing
    }

    fn tenths(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.epoch);
        let tenths = since.as_secs() * 10 + u64::from(since.subsec_millis() / 100);
        u32::try_from(tenths).unwrap_or(u32::MAX)
    }

    fn age(&self, at: u32, now: Instant) -> Duration {
        let at = self.epoch + Duration::from_millis(u64::from(at) * 100);
        now.saturating_duration_since(at)
    }
}

/// A constraint of the driver that the object breaks is a better reason than silence, and final.
fn explain(standing: &mut Standing, violation: Option<&Violation>) {
    let Some(violation) = violation else { return };
    standing.verdict = Verdict::Refused { errno: None, reason: None };
    standing.reason = violation.words.unwrap_or(violation.constraint.rule).to_owned();
    standing.constraint = Some(violation.constraint.id);
    standing.remedy = violation.remedy.commands.join("; ");
}

/// What a flag without words means.
const FAILED: &str = "the driver could not put it into hardware (offload failed): the hardware forwards by a less specific route, or not at all; the kernel log has the driver's words";
const SILENT_REFUSAL: &str = "the driver did not take it and gave no reason: its table may be full; the kernel forwards it, and it is tried again when there is room";

fn is_failed(object: &Object) -> bool {
    matches!(object.verdict(), Verdict::Refused { .. })
}

/// Whether the kernel changes its flag without a word.
fn is_silent(key: &Key) -> bool {
    matches!(key, Key::Fdb { .. } | Key::Neighbor { .. } | Key::Nexthop(_) | Key::Filter(_))
}

/// The other half of a remote MAC.
fn other_half(key: &Key) -> Option<Key> {
    match *key {
        Key::Fdb { ifindex, mac, vlan, table, vni, destination: None } => {
            let table = match table {
                FdbTable::Bridge => FdbTable::Vxlan,
                FdbTable::Vxlan => FdbTable::Bridge,
            };
            Some(Key::Fdb { ifindex, mac, vlan, table, vni, destination: None })
        }
        _ => None,
    }
}
