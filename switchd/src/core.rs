//! The daemon's state and every decision it takes: kernel facts and BGP events in; kernel changes, BGP routes and views
//! out. Pure: no socket, no clock, so that any story can be replayed in a test. [`crate::daemon`] moves the data.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bgp::discovery::{Interface, Sighting};
use bgp::speaker::{BestPath, Event, FibReport, PathSource, Route, RouteKey};
use bgp::types::{AfiSafi, Asn, RouterId};
use ipnet::IpNet;
use platform::asic::{Prediction, Profile};
use platform::kernel::{
    Change, Ifindex, KernelError, Key, Model, NEXTHOP_IDS, Notification, Object, PROTOCOL_BGP,
    TABLE_MAIN,
};
use vtep::{Gateway, GatewayConfig};

use crate::config::{Bgp, Config, Peer};
use crate::desired::aggregates::Aggregates;
use crate::desired::fib::{self, Bandwidth, Fib, NexthopStyle, Outlook, STAND_IN, ScopedAddress};
use crate::desired::forwarding::Forwarding;
use crate::desired::networks::{NetworkChange, Networks, Origination};
use crate::ledger::{Capacity, Fill, Ledger, Standing};
use crate::metrics::KernelTotals;
use crate::reconcile::Reconciler;
use crate::unnumbered::{self, Unnumbered};

/// While there is something to write, flags are read at most this often: programming comes first.
const READ_WHILE_WRITING: Duration = Duration::from_secs(1);

/// Families that we speak.
pub const FAMILIES: [AfiSafi; 3] =
    [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST, AfiSafi::L2VPN_EVPN];

const UNICAST_FAMILIES: [AfiSafi; 2] = [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST];

/// What the BGP speaker is to originate from now on, or no longer.
#[derive(Debug, Default)]
pub struct Originations {
    /// Announce these, or announce them anew.
    pub announce: Vec<Route>,
    /// Withdraw these.
    pub withdraw: Vec<RouteKey>,
}

/// So many changed objects may wait for the ledger while there is something to write.
const BACKLOG: usize = 262_144;

/// So long nothing may be written before the ledger judges what changed.
const QUIET: Duration = Duration::from_millis(50);

/// Everything that switchd knows, and what follows from it.
#[derive(Debug)]
pub struct Core {
    model: Model,
    gateway: Gateway,
    networks: Networks,
    aggregates: Aggregates,
    fib: Option<Fib>,
    /// What the link bandwidth of paths does to their shares of the load.
    bandwidth: Bandwidth,
    unnumbered: Unnumbered,
    /// With `suppress-fib-pending`.
    forwarding: Option<Forwarding>,
    reconciler: Reconciler,
    ledger: Ledger,
    capacity: Capacity,
    totals: KernelTotals,
    last_read: Instant,
    last_write: Instant,
    /// The latest word on each route, so that no order between two words can be lost.
    originations: BTreeMap<RouteKey, Option<Route>>,
    /// Families whose best paths have consequences here, and of which BGP has not been asked to tell them.
    wanted: BTreeSet<AfiSafi>,
    /// The kernel has had a VXLAN device: EVPN routes have been asked for.
    has_vxlan: bool,
    /// Families whose best paths are not decided yet after the start. Leftovers are swept when it is empty.
    undecided: HashSet<AfiSafi>,
    /// Families of which everything that follows from their best paths is in `originations`, or was.
    converged: Vec<AfiSafi>,
    snapshot_due: bool,
    /// Ports of an ASIC came or went: which ASIC there is must be found out anew.
    profile_due: bool,
}

impl Core {
    /// With what the kernel holds at the start, and the ASIC that is there.
    pub fn new(config: &Config, model: Model, profile: Option<Profile>, now: Instant) -> Self {
        let bgp = config.bgp.as_ref();
        let mut core = Self {
            model: Model::default(),
            gateway: Gateway::new(GatewayConfig {
                asn: bgp.map_or(Asn(0), |bgp| bgp.asn),
                router_id: bgp.map_or(RouterId(Ipv4Addr::UNSPECIFIED), |bgp| bgp.router_id),
                advertise_all_vni: bgp.is_some() && config.evpn.advertise_all_vni,
            }),
            networks: Networks::new(
                bgp.map_or_else(Origination::default, Origination::from),
                bgp.map_or(Asn(0), |bgp| bgp.asn),
                TABLE_MAIN,
            ),
            aggregates: Aggregates::new(
                bgp.iter().flat_map(|bgp| &bgp.aggregates).map(|aggregate| aggregate.prefix),
                bgp.map_or(Asn(0), |bgp| bgp.asn),
                bgp.map_or(RouterId(Ipv4Addr::UNSPECIFIED), |bgp| bgp.router_id),
            ),
            unnumbered: Unnumbered::new(bgp.into_iter().flat_map(unnumbered_interfaces)),
            fib: bgp.filter(|bgp| bgp.fib).map(|_| Fib::default()),
            bandwidth: bgp.map_or_else(Bandwidth::default, |bgp| bgp.bestpath_bandwidth),
            forwarding: bgp.filter(|bgp| bgp.suppress_fib_pending).map(|_| Forwarding::default()),
            reconciler: Reconciler::default(),
            ledger: Ledger::default(),
            capacity: Capacity::default(),
            totals: KernelTotals::default(),
            last_read: now,
            last_write: now,
            originations: BTreeMap::new(),
            wanted: bgp
                .filter(|bgp| bgp.fib || !bgp.aggregates.is_empty())
                .map_or_else(BTreeSet::new, |_| UNICAST_FAMILIES.into()),
            has_vxlan: false,
            undecided: bgp.map_or_else(HashSet::new, |_| FAMILIES.into()),
            converged: Vec::new(),
            snapshot_due: false,
            profile_due: false,
        };
        core.handle_profile(profile, now);
        core.handle_snapshot(model, now);
        core.profile_due = false;
        core
    }

    /// The kernel told of changes, in this order.
    pub fn handle_notifications(&mut self, notifications: Vec<Notification>, now: Instant) {
        for notification in notifications {
            for key in self.model.apply(notification) {
                self.handle_changed(key, now);
            }
        }
        self.settle();
    }

    /// The kernel dropped notifications: what we know is stale.
    pub fn handle_overrun(&mut self) {
        self.snapshot_due = true;
    }

    /// All that the kernel holds, read anew. Only what differs from what we knew has consequences.
    pub fn handle_snapshot(&mut self, model: Model, now: Instant) {
        let known = std::mem::replace(&mut self.model, model);
        let changed: Vec<Key> = known
            .objects()
            .map(|object| object.key())
            .chain(self.model.objects().map(|object| object.key()))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|key| known.get(key) != self.model.get(key))
            .collect();
        self.ledger.handle_snapshot(now);
        for key in changed {
            self.handle_changed(key, now);
        }
        self.settle();
    }

    /// Which ASIC there is; `None`: there is none.
    pub fn handle_profile(&mut self, profile: Option<Profile>, now: Instant) {
        if let Some(fib) = &mut self.fib {
            let refuses_objects = profile.as_ref().is_some_and(|profile| {
                let can = profile.capabilities();
                can.ipv4_routes && !can.nexthop_objects
            });
            fib.set_style(if refuses_objects {
                NexthopStyle::Inline
            } else {
                NexthopStyle::Object
            });
        }
        self.ledger.handle_profile(profile, &self.model, now);
        if let Some(forwarding) = &mut self.forwarding {
            forwarding.handle_change_of_all();
        }
        self.settle();
    }

    /// How full the tables of the ASIC are.
    pub fn handle_fills(&mut self, fills: Vec<Fill>, now: Instant) {
        if self.capacity.handle_fills(fills) {
            self.ledger.handle_room(now);
        }
    }

    /// The keys of [`Self::poll_read`] were read anew, and this was found.
    pub fn handle_read(&mut self, asked: &[Key], found: Vec<Object>, now: Instant) {
        self.last_read = now;
        let found_keys: Vec<Key> = found.iter().map(Object::key).collect();
        for object in found {
            // A read may be older than a notification that came before it: only the flags, of which there are no
            // notifications, are taken from it, and only if all else is as we know it.
            let known = self.model.get(&object.key());
            let Some(seen) = known.and_then(|known| known.with_hardware_of(&object)) else {
                continue;
            };
            for key in self.model.apply(Notification::New(seen)) {
                self.handle_changed(key, now);
            }
        }
        self.ledger.handle_read(asked, &found_keys, &self.model, now);
        self.may_stand_elsewhere(asked.iter().copied());
        self.settle();
    }

    /// The configuration is another one, as far as [`crate::config::reload`] lets it change: nothing that stays is touched.
    pub fn handle_config(&mut self, config: &Config) {
        let Some(bgp) = &config.bgp else { return };
        let kernel = self.model.objects();
        self.networks.reconfigure(Origination::from(bgp), kernel);
        self.gateway.set_advertise_all_vni(config.evpn.advertise_all_vni);
        self.settle();
    }

    /// BGP told of sessions and best paths.
    pub fn handle_bgp(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::BestPath(best) => self.handle_best_path(best),
                Event::Converged { family } => {
                    self.undecided.remove(&family);
                    self.converged.push(family);
                }
                // The engine has logged these; nothing here follows from them.
                Event::SessionUp { .. }
                | Event::SessionDown { .. }
                | Event::Bfd { .. }
                | Event::EndOfRib { .. } => {}
            }
        }
        self.settle();
    }

    /// Other interfaces may have an unnumbered neighbour from now on.
    pub fn handle_unnumbered(&mut self, config: &Config) {
        self.unnumbered.set_names(config.bgp.iter().flat_map(unnumbered_interfaces));
    }

    /// BGP's discovery knows something else of an interface.
    pub fn handle_sighting(&mut self, sighting: Sighting) {
        self.unnumbered.handle_sighting(sighting);
    }

    /// What became of a batch of [`Self::poll_batch`].
    pub fn handle_outcome(
        &mut self,
        batch: &[Change],
        results: Vec<Result<(), KernelError>>,
        now: Instant,
    ) {
        self.last_write = now;
        self.totals.batches += 1;
        self.totals.changes += batch.len() as u64;
        self.totals.refusals += results.iter().filter(|result| result.is_err()).count() as u64;
        self.reconciler.handle_outcome(batch, results, now);
        self.may_stand_elsewhere(batch.iter().map(Change::key));
    }

    /// A deadline of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.snapshot_due |= self.reconciler.handle_timeout(now);
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let read = self.ledger.poll_timeout().map(|at| at.max(self.may_read_at()));
        let settle = self.ledger_may_settle_at();
        self.reconciler.poll_timeout().into_iter().chain(read).chain(settle).min()
    }

    /// Keys that the kernel should be asked for anew, unless that is under way: their flags may have changed in silence.
    pub fn poll_read(&mut self, now: Instant) -> Option<Vec<Key>> {
        if self.ledger_may_settle_at().is_some_and(|at| at <= now) {
            self.settle_ledger();
        }
        if now < self.may_read_at() {
            return None;
        }
        self.ledger.poll_read(&self.model, now)
    }

    /// Whether the ASIC must be looked for anew. Asking answers: the next call says no.
    pub fn poll_profile_due(&mut self) -> bool {
        std::mem::take(&mut self.profile_due)
    }

    /// The next batch of kernel changes, unless one is under way.
    pub fn poll_batch(&mut self, now: Instant) -> Option<Vec<Change>> {
        let managed = managed(&self.gateway, self.fib.is_some());
        self.reconciler.poll_batch(&self.model, managed, now)
    }

    /// What BGP is to originate, if that changed.
    pub fn poll_originations(&mut self) -> Option<Originations> {
        if self.originations.is_empty() {
            return None;
        }
        let mut originations = Originations::default();
        for (key, route) in std::mem::take(&mut self.originations) {
            match route {
                Some(route) => originations.announce.push(route),
                None => originations.withdraw.push(key),
            }
        }
        Some(originations)
    }

    /// Families whose best paths BGP is to tell from now on. Where nothing follows from them they cost nothing: a spine
    /// without VXLAN devices, a route reflector that installs no routes.
    pub fn poll_wanted(&mut self) -> BTreeSet<AfiSafi> {
        std::mem::take(&mut self.wanted)
    }

    /// Families of which [`Self::poll_originations`] has given out all that we announce at the start, aggregates of what
    /// others told us included: only now may peers be told the end of it.
    pub fn poll_ready_families(&mut self) -> Vec<AfiSafi> {
        std::mem::take(&mut self.converged)
    }

    /// What BGP is to know of its best paths: which of them forward.
    pub fn poll_fib_reports(&mut self, now: Instant) -> Vec<FibReport> {
        let accepted = self.reconciler.poll_accepted();
        self.may_stand_elsewhere(accepted);
        let Some(mut forwarding) = self.forwarding.take() else { return Vec::new() };
        let unexplained = Prediction::default();
        let standing = |key: &Key| {
            let desired = self.reconciler.desired(key);
            desired.map(|desired| self.standing(&desired, &unexplained, now))
        };
        let reports = forwarding.poll_reports(standing);
        self.forwarding = Some(forwarding);
        reports
    }

    /// Interfaces with an unnumbered neighbour of which discovery has to know something else.
    pub fn poll_interfaces(&mut self) -> Vec<(String, Option<Interface>)> {
        self.unnumbered.poll_changes(&self.model)
    }

    /// Whether the kernel must be read anew. Asking answers: the next call says no.
    pub fn poll_snapshot_due(&mut self) -> bool {
        self.totals.resyncs += u64::from(self.snapshot_due);
        std::mem::take(&mut self.snapshot_due)
    }

    /// The gateway, for views of it.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// What the kernel holds, for names in views.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the hardware made of the kernel's objects.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What became of our changes, since the start.
    pub fn totals(&self) -> KernelTotals {
        self.totals
    }

    /// How full the tables of the ASIC are.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// Where an object stands, whether the kernel holds it or not. `prediction`: see [`Ledger::standing`].
    pub fn standing(&self, object: &Object, prediction: &Prediction, now: Instant) -> Standing {
        let key = object.key();
        let held = self.model.get(&key);
        let is_held = |held: &Object| {
            self.reconciler.desired(&key).is_none_or(|desired| desired.is_satisfied_by(held))
        };
        match (held.filter(is_held), self.reconciler.refusal(&key)) {
            (Some(held), None) => self.ledger.standing(&held, &self.model, prediction, now),
            (_, refusal) => Standing::not_held(refusal),
        }
    }

    /// What is desired and the kernel does not hold, or not as desired.
    pub fn missing(&self) -> impl Iterator<Item = Object> {
        self.reconciler.missing(&self.model)
    }

    /// Whether an object is there because we want it.
    pub fn is_desired(&self, key: &Key) -> bool {
        self.reconciler.is_desired(key)
    }

    /// What should exist under a key.
    pub fn desired(&self, key: &Key) -> Option<Object> {
        self.reconciler.desired(key)
    }

    /// Prefixes that BGP wants something in the kernel for, in no order.
    pub fn fib_prefixes(&self) -> impl Iterator<Item = IpNet> {
        let routes = self.fib.iter().flat_map(Fib::prefixes);
        let discards = self.aggregates.discarded().filter(|_| self.fib.is_some());
        routes.chain(discards)
    }

    /// What BGP wants in the kernel for a prefix.
    pub fn fib_outlook(&self, prefix: IpNet) -> Option<Outlook> {
        let fib = self.fib.as_ref()?;
        let discarded = || self.aggregates.discarded().any(|aggregate| aggregate == prefix);
        fib.outlook(&prefix).or_else(|| discarded().then_some(Outlook::Wanted))
    }

    /// Whether something of ours is yet to be written, or not yet reported back by the kernel.
    pub fn is_writing(&self) -> bool {
        self.reconciler.is_busy() || self.reconciler.is_waiting()
    }

    /// What is wrong with unnumbered neighbours.
    pub fn unnumbered_problems(&self) -> impl Iterator<Item = unnumbered::Problem> {
        self.unnumbered.problems(&self.model)
    }

    /// Next hops that nothing reaches, with the number of routes that wait for each.
    pub fn unreachable_next_hops(&self) -> impl Iterator<Item = (ScopedAddress, usize)> {
        self.fib.iter().flat_map(Fib::unreachable)
    }

    fn may_read_at(&self) -> Instant {
        match self.reconciler.is_busy() {
            true => self.last_read + READ_WHILE_WRITING,
            false => self.last_read,
        }
    }

    fn handle_changed(&mut self, key: Key, now: Instant) {
        let object = self.model.get(&key);
        if !self.has_vxlan
            && let Some(Object::Link(link)) = &object
            && link.vxlan().is_some()
        {
            self.has_vxlan = true;
            self.wanted.insert(AfiSafi::L2VPN_EVPN);
        }
        self.profile_due |= self.ledger.handle_object(&key, object.as_ref(), &self.model, now);
        self.gateway.handle_object(&key, object.as_ref());
        self.networks.handle_object(&key, object.as_ref());
        self.unnumbered.handle_changed(&key);
        if let Some(fib) = &mut self.fib {
            fib.handle_object(&key, object.as_ref());
        }
        self.reconciler.handle_kernel_change(key, object.as_ref(), now);
        if let Some(forwarding) = &mut self.forwarding {
            forwarding.handle_change(key);
        }
    }

    /// Where these stand may have changed without a change in the kernel.
    fn may_stand_elsewhere(&mut self, keys: impl IntoIterator<Item = Key>) {
        if let Some(forwarding) = &mut self.forwarding {
            keys.into_iter().for_each(|key| forwarding.handle_change(key));
        }
    }

    fn handle_best_path(&mut self, best: BestPath) {
        if let Some(prefix) = best.key.prefix() {
            let is_local = best.source == Some(PathSource::Local);
            let origin = best.best.as_ref().map(|attributes| (attributes.origin(), is_local));
            self.aggregates.handle_best_path(prefix, origin);
        }
        let received = best.best.as_deref().filter(|_| best.source != Some(PathSource::Local));
        match &best.key {
            RouteKey::Evpn(key) => {
                let route = received.map(|attributes| (&best.payload, attributes));
                self.gateway.handle_route(key, route);
            }
            RouteKey::Ipv4(prefix) => self.install(IpNet::V4(*prefix), &best),
            RouteKey::Ipv6(prefix) => self.install(IpNet::V6(*prefix), &best),
        }
    }

    fn install(&mut self, prefix: IpNet, best: &BestPath) {
        if let Some(forwarding) = &mut self.forwarding {
            forwarding.ask(fib::route_key(prefix), best.key.clone(), best.fib);
        }
        let Some(fib) = &mut self.fib else { return };
        match (&best.best, &best.source) {
            (Some(attributes), Some(source @ PathSource::Neighbor { .. })) => {
                if best.equal.is_empty() {
                    fib.handle_best_path(prefix, &[fib::next_hop(attributes, source).into()]);
                } else {
                    fib.handle_best_path(prefix, &fib::next_hops(best, self.bandwidth));
                }
            }
            _ => fib.handle_best_path(prefix, &[]),
        }
    }

    /// Programming comes first: what changed is judged when nothing has been written for a moment, or too much waits.
    fn ledger_may_settle_at(&self) -> Option<Instant> {
        match self.ledger.backlog() {
            0 => None,
            1..=BACKLOG => Some(self.last_write + QUIET),
            _ => Some(self.last_write),
        }
    }

    fn settle_ledger(&mut self) {
        self.ledger.settle(&self.model);
        for key in self.ledger.poll_retries() {
            if !self.reconciler.recreate(key) {
                self.ledger.give_up(&key);
            }
        }
    }

    /// Carries consequences to where they act, until nothing is left to carry.
    fn settle(&mut self) {
        while let Some((key, object)) = self.gateway.poll_entry() {
            self.reconciler.desire(key, object);
        }
        let discards = self.aggregates.poll_discards();
        discards.gone.into_iter().for_each(|key| self.reconciler.desire(key, None));
        for (key, object) in self.fib.iter_mut().flat_map(Fib::poll_changes) {
            self.reconciler.desire(key, object);
        }
        for discard in discards.wanted.into_iter().filter(|_| self.fib.is_some()) {
            self.reconciler.desire(discard.key(), Some(discard));
        }
        while let Some((key, route)) = self.gateway.poll_route() {
            let key = RouteKey::Evpn(key);
            let route =
                route.map(|(payload, attributes)| Route { key: key.clone(), payload, attributes });
            self.originations.insert(key, route);
        }
        for change in self.networks.poll_changes().into_iter().chain(self.aggregates.poll_changes())
        {
            match change {
                NetworkChange::Announce(route) => {
                    self.originations.insert(route.key.clone(), Some(*route));
                }
                NetworkChange::Withdraw(key) => {
                    self.originations.insert(key, None);
                }
            }
        }
        if self.undecided.is_empty() && !self.reconciler.is_sweeping() {
            self.reconciler.start_sweep(&self.model, managed(&self.gateway, self.fib.is_some()));
        }
    }
}

fn unnumbered_interfaces(config: &Bgp) -> impl Iterator<Item = String> + '_ {
    config.neighbors.iter().filter_map(|neighbor| match &neighbor.peer {
        Peer::Interface(name) => Some(name.clone()),
        Peer::Address(_) | Peer::Range { .. } => None,
    })
}

/// Which keys are ours to delete when an object under them carries our mark.
fn managed(gateway: &Gateway, installs_routes: bool) -> impl Fn(&Key) -> bool + '_ {
    move |key| match key {
        Key::Route { table, .. } => installs_routes && *table == TABLE_MAIN,
        Key::Nexthop(id) => installs_routes && NEXTHOP_IDS.contains(id),
        Key::Neighbor { address, .. } if *address == IpAddr::V4(STAND_IN) => installs_routes,
        Key::Fdb { .. } | Key::Neighbor { .. } => gateway.manages(key),
        _ => false,
    }
}

/// Whether a former run left entries in the kernel: then forwarding goes on, and peers may be told so (RFC 4724's F bit).
pub fn has_leftovers(model: &Model) -> bool {
    model.routes().any(|route| route.protocol == PROTOCOL_BGP && route.table == TABLE_MAIN)
        || model.fdb().any(|entry| entry.is_ours() && is_vxlan(model, entry.ifindex))
}

/// On other ports our mark is that of the hardware, which learns MACs there.
fn is_vxlan(model: &Model, ifindex: Ifindex) -> bool {
    model.link(ifindex).is_some_and(|link| link.vxlan().is_some())
}
