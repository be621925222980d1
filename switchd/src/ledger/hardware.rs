//! The state of every object that hardware may have, on a machine with an ASIC.

use std::collections::{BTreeSet, HashMap};
use std::mem::{Discriminant, discriminant, take};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry;
use platform::asic::{Capabilities, Prediction, Profile};
use platform::kernel::{
    FdbTable, Ifindex, Key, Link, LinkKind, Model, NexthopKind, Object, Verdict,
};

use super::backing::Backing;
use super::expect::{self, Expectation};
use super::schedule::{LAST_LOOK, LeftOut, Looks};
use super::standing::{self, Standing};

/// Single entries per read: some milliseconds of the writer's time.
const READ: usize = 1024;

/// Flood lists of devices with more entries than this are read at most this often: it may take a dump of the device, which
/// costs in proportion to the square of its entries.
const LARGE: usize = 8192;
const LARGE_EVERY: Duration = Duration::from_secs(60);

/// Every so often, so many entries are looked at although nothing is known to have happened to them.
const AUDIT_EVERY: Duration = Duration::from_secs(5);
const AUDIT: usize = 512;
/// So many entries are passed over at most to find them: routes, of which the kernel tells by itself.
const AUDIT_PASSES: usize = 65_536;

#[derive(Debug)]
pub(super) struct Hardware {
    profile: Profile,
    /// Of the profile.
    can: Capabilities,
    backing: Backing,
    /// What of each link the backing depends on.
    shapes: HashMap<Ifindex, Shape, RandomState>,
    /// A shape changed since `backing` was found.
    backing_is_stale: bool,
    /// Changed, and to be judged when there is time.
    unjudged: Vec<Key>,
    /// The nexthop object of each gateway.
    gateways: HashMap<(Ifindex, IpAddr), u32, RandomState>,
    /// When something was last told.
    now: Instant,
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
    /// When a large device was last dumped.
    dumped: HashMap<Ifindex, Instant>,
    reading: bool,
}

/// 8 bytes.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// When the kernel last told us of it; tenths of a second since the epoch.
    at: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The hardware need not have it.
    Settled,
    /// The hardware has it.
    Taken,
    /// It has the flag, and the flag is older than the driver.
    Doubted,
    /// Should be in hardware and is not yet; the number of looks so far.
    Waiting(u8),
    /// Should be in hardware, and the driver had its time.
    LeftOut,
    /// Was left out, and is to be looked at once more before it is made again.
    Retrying,
    /// Is being made again.
    Remaking,
}

/// What the backing depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    master: Option<Ifindex>,
    lower: Option<Ifindex>,
    lower_is_here: bool,
    is_port: bool,
    kind: Discriminant<LinkKind>,
}

impl Shape {
    fn of(link: &Link) -> Self {
        Self {
            master: link.master,
            lower: link.lower,
            lower_is_here: link.lower_namespace.is_none(),
            is_port: link.is_switch_port(),
            kind: discriminant(&link.kind),
        }
    }
}

impl Hardware {
    /// Judges all that the kernel holds. `flags_are_old`: another ASIC, or the same one before its driver was reloaded, may
    /// have set them.
    pub(super) fn new(profile: Profile, model: &Model, flags_are_old: bool, now: Instant) -> Self {
        let mut hardware = Self {
            can: profile.capabilities(),
            profile,
            backing: Backing::of(model),
            shapes: model.links().map(|link| (link.index, Shape::of(link))).collect(),
            backing_is_stale: false,
            unjudged: Vec::new(),
            gateways: HashMap::default(),
            now,
            epoch: now,
            seen: IndexMap::default(),
            looks: Looks::default(),
            left_out: LeftOut::default(),
            retries: Vec::new(),
            audit_at: now + AUDIT_EVERY,
            audit_from: 0,
            dumped: HashMap::new(),
            reading: false,
        };
        model.objects().for_each(|object| hardware.track(object.key(), &object, model));
        if flags_are_old {
            let tunnels = model.links().filter(|link| link.vxlan().is_some());
            let backed: Vec<Ifindex> = tunnels
                .map(|link| link.index)
                .filter(|index| hardware.backing.has(*index))
                .collect();
            backed.into_iter().for_each(|vxlan| hardware.doubt(vxlan, model));
        }
        hardware
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    pub(super) fn handle_object(
        &mut self,
        key: &Key,
        object: Option<&Object>,
        model: &Model,
        now: Instant,
    ) {
        self.now = now;
        match (*key, object) {
            (Key::Link(index), Some(Object::Link(link))) => {
                let shape = Shape::of(link);
                self.backing_is_stale |= self.shapes.insert(index, shape) != Some(shape);
            }
            (Key::Link(index), _) => {
                self.backing_is_stale |= self.shapes.remove(&index).is_some();
                self.dumped.remove(&index);
            }
            // Hardware routes on links that have an address.
            (Key::Address { ifindex, .. }, _) => self.judge_again(ifindex, model),
            (Key::Neighbor { ifindex, address }, _) => {
                let nexthop = self.gateways.get(&(ifindex, address));
                self.unjudged.extend(nexthop.map(|id| Key::Nexthop(*id)));
            }
            (Key::Nexthop(id), object) => self.note_gateway(id, object),
            _ => {}
        }
        match object {
            Some(_) => self.unjudged.push(*key),
            None => self.forget(key),
        }
    }

    /// How much waits for [`Self::settle`] and [`Self::poll_retries`].
    pub(super) fn backlog(&self) -> usize {
        self.unjudged.len() + self.retries.len() + usize::from(self.backing_is_stale)
    }

    pub(super) fn settle(&mut self, model: &Model) {
        if take(&mut self.backing_is_stale) {
            self.find_backing(model);
        }
        for key in take(&mut self.unjudged) {
            if let Some(object) = model.get(&key) {
                self.track(key, &object, model);
            }
        }
    }

    pub(super) fn handle_room(&mut self, now: Instant) {
        self.left_out.room(now);
    }

    pub(super) fn poll_read(&mut self, model: &Model, now: Instant) -> Option<Vec<Key>> {
        if self.reading {
            return None;
        }
        self.now = now;
        let keys = self.due(model);
        self.reading = !keys.is_empty();
        self.reading.then_some(keys)
    }

    pub(super) fn handle_read(
        &mut self,
        asked: &[Key],
        found: &[Key],
        model: &Model,
        now: Instant,
    ) {
        self.now = now;
        self.reading = false;
        let found: BTreeSet<&Key> = found.iter().collect();
        for key in asked {
            match model.get(key) {
                Some(object) if found.contains(key) => self.look(*key, &object, model),
                Some(_) => self.look_later(*key),
                None => {}
            }
        }
    }

    pub(super) fn handle_snapshot(&mut self, now: Instant) {
        self.now = now;
        let at = self.tenths();
        self.seen.values_mut().for_each(|seen| seen.at = at);
    }

    pub(super) fn poll_retries(&mut self) -> Vec<Key> {
        take(&mut self.retries)
    }

    pub(super) fn give_up(&mut self, key: &Key) {
        self.left_out.gone(key);
        if let Some(seen) = self.seen.get_mut(key) {
            seen.stage = Stage::Doubted;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.reading {
            return None;
        }
        [self.looks.next(), self.left_out.next(), Some(self.audit_at)].into_iter().flatten().min()
    }

    fn track(&mut self, key: Key, object: &Object, model: &Model) {
        let (now, at) = (self.now, self.tenths());
        let stage = self.stage_by_flags(object, model);
        // What is new is the common case: it costs one look-up.
        let before = match self.seen.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Seen { at, stage });
                None
            }
            Entry::Occupied(mut known) => {
                let before = known.get().stage;
                let stays = match before {
                    Stage::Waiting(_) => matches!(stage, Stage::Waiting(_)),
                    Stage::Doubted => stage == Stage::Taken,
                    _ => false,
                };
                known.insert(Seen { at, stage: if stays { before } else { stage } });
                Some(before)
            }
        };
        match stage {
            Stage::Settled | Stage::Taken => self.settled(&key, before, model),
            _ if is_failed(object) => {
                // The kernel says so, and a second look would not hear anything else.
                self.leave_out(key, object);
                self.seen.insert(key, Seen { at, stage: Stage::LeftOut });
            }
            _ if matches!(before, Some(Stage::Waiting(_))) => {}
            _ => self.looks.add(key, 0, now),
        }
    }

    /// `key` was read for the sake of looking.
    fn look(&mut self, key: Key, object: &Object, model: &Model) {
        let at = self.tenths();
        let Some(Seen { stage, .. }) = self.seen.get(&key).copied() else { return };
        let stage = match (self.stage_by_flags(object, model), stage) {
            (Stage::Taken, Stage::Doubted) => Stage::Doubted,
            (now @ (Stage::Settled | Stage::Taken), before) => {
                self.settled(&key, Some(before), model);
                now
            }
            (_, Stage::Waiting(look)) if look + 1 < LAST_LOOK => {
                self.looks.add(key, look + 1, self.now);
                Stage::Waiting(look + 1)
            }
            (_, Stage::Waiting(_) | Stage::LeftOut | Stage::Remaking) => {
                self.leave_out(key, object);
                Stage::LeftOut
            }
            // It was in hardware, and the driver dropped it without a word; or the hardware should have it only now.
            (_, Stage::Settled | Stage::Taken | Stage::Doubted) => {
                self.looks.add(key, 0, self.now);
                Stage::Waiting(0)
            }
            (_, Stage::Retrying) => {
                self.retries.push(key);
                Stage::Remaking
            }
        };
        self.seen.insert(key, Seen { at, stage });
    }

    /// The kernel did not show it this time. That is no word of the driver's.
    fn look_later(&mut self, key: Key) {
        match self.seen.get(&key).map(|seen| seen.stage) {
            Some(Stage::Waiting(look)) => self.looks.add(key, look, self.now),
            Some(Stage::Retrying) => {
                self.seen.entry(key).and_modify(|seen| seen.stage = Stage::LeftOut);
            }
            _ => {}
        }
    }

    /// Nothing more is expected of the hardware, after whatever `before` was.
    fn settled(&mut self, key: &Key, before: Option<Stage>, model: &Model) {
        self.left_out.taken(key, self.now);
        if before.is_none_or(|before| matches!(before, Stage::Settled | Stage::Taken)) {
            return;
        }
        // The driver takes both halves of a remote MAC in one step.
        for twin in bridge_halves(key, model) {
            if let Some(seen) = self.seen.get_mut(&twin)
                && seen.stage == Stage::LeftOut
            {
                seen.stage = Stage::Waiting(0);
                self.looks.add(twin, 0, self.now);
            }
        }
    }

    /// The hardware did not take it. What helps is to make it again: not of another's entry; of a remote MAC, the VXLAN
    /// device's half; and of no nexthop, which would take its routes along, and which the driver looks at by itself when its
    /// gateway changes.
    fn leave_out(&mut self, key: Key, object: &Object) {
        let helps = !matches!(key, Key::Fdb { table: FdbTable::Bridge, .. } | Key::Nexthop(_));
        if object.is_ours() && helps {
            self.left_out.add(key, self.now);
        }
    }

    fn forget(&mut self, key: &Key) {
        let Some(seen) = self.seen.get(key).copied() else { return };
        match seen.stage {
            // It is back in a moment, and keeps its place until then.
            Stage::Remaking => return,
            Stage::Taken => self.left_out.room(self.now),
            _ => self.left_out.gone(key),
        }
        self.seen.swap_remove(key);
    }

    fn due(&mut self, model: &Model) -> Vec<Key> {
        let now = self.now;
        let mut keys = Vec::new();
        for (key, look) in self.looks.take_due(READ, now) {
            // Older ones are left over from before it was made again.
            if self.seen.get(&key).is_some_and(|seen| seen.stage == Stage::Waiting(look)) {
                keys.push(key);
            }
        }
        // One that came, went and came again stands there more than once.
        keys.sort_unstable();
        keys.dedup();
        for key in self.left_out.take_due(now) {
            match self.seen.get_mut(&key) {
                Some(seen) if model.get(&key).is_some() => {
                    seen.stage = Stage::Retrying;
                    keys.push(key);
                }
                // It was to be made again, and nobody wanted it any more.
                _ => {
                    self.left_out.gone(&key);
                    self.seen.swap_remove(&key);
                }
            }
        }
        if keys.is_empty() && self.audit_at <= now {
            self.audit_at = now + AUDIT_EVERY;
            keys = self.audit();
        }
        self.limit_dumps(keys, model)
    }

    /// The next entries of which the kernel would not tell if a driver dropped them.
    fn audit(&mut self) -> Vec<Key> {
        let mut keys = Vec::new();
        for _ in 0..AUDIT_PASSES.min(self.seen.len()) {
            if self.audit_from >= self.seen.len() {
                self.audit_from = 0;
            }
            if let Some((key, seen)) = self.seen.get_index(self.audit_from)
                && is_silent(key)
                && !matches!(seen.stage, Stage::Waiting(_) | Stage::Retrying)
            {
                keys.push(*key);
            }
            self.audit_from += 1;
            if keys.len() == AUDIT {
                break;
            }
        }
        keys
    }

    /// Keeps the keys whose reading costs little; the others are looked at later.
    fn limit_dumps(&mut self, keys: Vec<Key>, model: &Model) -> Vec<Key> {
        let mut large: BTreeSet<Ifindex> = BTreeSet::new();
        let mut kept = Vec::with_capacity(keys.len());
        for key in keys {
            let Key::Fdb { ifindex, destination: Some(_), .. } = key else {
                kept.push(key);
                continue;
            };
            if large.contains(&ifindex) || self.may_dump(ifindex, model) {
                large.insert(ifindex);
                kept.push(key);
            } else {
                self.look_later(key);
            }
        }
        kept
    }

    fn may_dump(&mut self, index: Ifindex, model: &Model) -> bool {
        if model.fdb_count(index) <= LARGE {
            return true;
        }
        let now = self.now;
        let last = self.dumped.get(&index);
        let may = last.is_none_or(|last| *last + LARGE_EVERY <= now);
        if may {
            self.dumped.insert(index, now);
        }
        may
    }

    /// What the object's flags and what is to be expected of it come to.
    fn stage_by_flags(&self, object: &Object, model: &Model) -> Stage {
        match object {
            // They have no flags: their verdicts are derived when somebody asks.
            Object::Link(_) | Object::Address(_) | Object::BridgeVlan(_) | Object::Rule(_) => {
                Stage::Settled
            }
            _ if matches!(object.verdict(), Verdict::InHardware | Verdict::Trapped) => Stage::Taken,
            _ => match self.expectation(object, model) {
                Expectation::Hardware => Stage::Waiting(0),
                _ => Stage::Settled,
            },
        }
    }

    /// Finds out anew which links lead to the ASIC. What is on links that do so only now is judged again. Tunnels that get
    /// a port of the ASIC back are offered to the driver anew: of what it had before, for instance before it was reloaded,
    /// the kernel may have kept the flags.
    fn find_backing(&mut self, model: &Model) {
        let before = std::mem::replace(&mut self.backing, Backing::of(model));
        let now_backed: Vec<Ifindex> =
            self.backing.links().filter(|index| !before.has(*index)).collect();
        for index in now_backed {
            self.judge_again(index, model);
            if model.link(index).is_some_and(|link| link.vxlan().is_some()) {
                self.doubt(index, model);
            }
        }
    }

    fn judge_again(&mut self, ifindex: Ifindex, model: &Model) {
        self.unjudged.extend(model.fdb_of(ifindex).map(|entry| entry.key()));
        self.unjudged.extend(model.neighbors_of(ifindex).map(|neighbor| neighbor.key()));
        let of_link = self.gateways.iter().filter(|((on, _), _)| *on == ifindex);
        self.unjudged.extend(of_link.map(|(_, id)| Key::Nexthop(*id)));
    }

    /// Flags of the entries of this tunnel may be older than the driver. Ours are made again, which shows the truth.
    fn doubt(&mut self, vxlan: Ifindex, model: &Model) {
        for entry in model.fdb_of(vxlan).filter(|entry| entry.offload.offloaded) {
            let key = entry.key();
            let Some(seen) = self.seen.get_mut(&key) else { continue };
            if entry.is_ours() {
                seen.stage = Stage::Remaking;
                self.retries.push(key);
            } else {
                seen.stage = Stage::Doubted;
            }
        }
    }

    fn note_gateway(&mut self, id: u32, object: Option<&Object>) {
        match object {
            Some(Object::Nexthop(nexthop)) => {
                if let NexthopKind::Gateway { address, ifindex, .. } = nexthop.kind {
                    self.gateways.insert((ifindex, address), id);
                }
            }
            _ => self.gateways.retain(|_, known| *known != id),
        }
    }

    fn expectation(&self, object: &Object, model: &Model) -> Expectation {
        expect::expectation(object, model, &self.backing, &self.profile, self.can)
    }

    pub(super) fn standing(
        &self,
        object: &Object,
        model: &Model,
        prediction: &Prediction,
        now: Instant,
    ) -> Standing {
        let key = object.key();
        let seen = self.seen.get(&key);
        let stage = seen.map(|seen| seen.stage);
        let standing = Standing {
            seen: seen.map(|seen| self.age(seen.at, now)),
            ..Standing::new(object.verdict())
        };
        let why_not = || prediction.of(model, object);
        match (object.verdict(), self.expectation(object, model)) {
            // Whatever the flag says, and such a driver sets it in silence.
            (Verdict::InHardware | Verdict::Software, Expectation::Cpu(why)) => {
                Standing { verdict: Verdict::Trapped, reason: why.to_owned(), ..standing }
            }
            (_, Expectation::Gone(why)) => standing.software(why),
            (Verdict::InHardware, _) if stage == Some(Stage::Doubted) => {
                standing.refused(standing::DOUBTED)
            }
            (Verdict::InHardware | Verdict::Trapped, _) => standing,
            (_, Expectation::InHardware) => {
                Standing { verdict: Verdict::InHardware, ..standing }.because_of(why_not())
            }
            (_, Expectation::NotTaken(why)) => standing.refused(why).because_of(why_not()),
            (Verdict::Refused { .. }, Expectation::Hardware) => {
                standing.refused(standing::FAILED).because_of(why_not())
            }
            (_, Expectation::Software(why) | Expectation::Cpu(why)) => standing.software(why),
            (_, Expectation::Hardware) => {
                let is_retried = self.left_out.has(&key);
                if is_retried || stage == Some(Stage::LeftOut) {
                    let why = standing::left_out(object, is_retried);
                    standing.refused(why).because_of(why_not())
                } else {
                    let pending = Standing { verdict: Verdict::Pending, ..standing };
                    pending.because_of(why_not())
                }
            }
        }
    }

    fn tenths(&self) -> u32 {
        let since = self.now.saturating_duration_since(self.epoch);
        let tenths = since.as_secs() * 10 + u64::from(since.subsec_millis() / 100);
        u32::try_from(tenths).unwrap_or(u32::MAX)
    }

    fn age(&self, at: u32, now: Instant) -> Duration {
        let at = self.epoch + Duration::from_millis(u64::from(at) * 100);
        now.saturating_duration_since(at)
    }
}

fn is_failed(object: &Object) -> bool {
    matches!(object.verdict(), Verdict::Refused { .. })
}

/// Whether the kernel changes its flag without a word.
fn is_silent(key: &Key) -> bool {
    matches!(key, Key::Fdb { .. } | Key::Neighbor { .. } | Key::Nexthop(_) | Key::Filter(_))
}

/// The bridge's half of a remote MAC, by the VXLAN device's: in the VLAN that the device carries, where the bridge has VLANs.
fn bridge_halves(key: &Key, model: &Model) -> Vec<Key> {
    let Key::Fdb { ifindex, mac, table: FdbTable::Vxlan, vni, destination: None, .. } = *key else {
        return Vec::new();
    };
    let vlans = model.vlans_of(ifindex).iter().filter(|vlan| vlan.pvid);
    let vlans = vlans.map(|vlan| Some(vlan.vlan)).chain([None]);
    let half =
        |vlan| Key::Fdb { ifindex, mac, vlan, table: FdbTable::Bridge, vni, destination: None };
    vlans.map(half).collect()
}
