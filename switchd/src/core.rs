//! The daemon's state and every decision it takes: kernel facts and BGP events in; kernel changes, BGP routes and views
//! out. Pure: no socket, no clock, so that any story can be replayed in a test. [`crate::daemon`] moves the data.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use bgp::speaker::{BestPath, Event, PathSource, Route, RouteKey};
use bgp::types::{AfiSafi, Asn, RouterId};
use bgp::wire::AttributeSet;
use ipnet::IpNet;
use platform::kernel::{
    Change, KernelError, Key, Model, NEXTHOP_IDS, Notification, PROTOCOL_BGP, TABLE_MAIN,
};
use vtep::{Gateway, GatewayConfig};

use crate::config::Config;
use crate::desired::fib::Fib;
use crate::desired::networks::{NetworkChange, Networks};
use crate::reconcile::{LedgerEntry, Reconciler};

/// Families whose best paths have consequences here.
pub const FAMILIES: [AfiSafi; 3] =
    [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST, AfiSafi::L2VPN_EVPN];

/// What the BGP speaker is to originate from now on, or no longer.
#[derive(Debug, Default)]
pub struct Originations {
    /// Announce these, or announce them anew.
    pub announce: Vec<Route>,
    /// Withdraw these.
    pub withdraw: Vec<RouteKey>,
}

/// Everything that switchd knows, and what follows from it.
#[derive(Debug)]
pub struct Core {
    model: Model,
    gateway: Gateway,
    networks: Networks,
    fib: Option<Fib>,
    reconciler: Reconciler,
    /// The latest word on each route, so that no order between two words can be lost.
    originations: BTreeMap<RouteKey, Option<Route>>,
    /// Families whose best paths are not decided yet after the start. Leftovers are swept when it is empty.
    undecided: HashSet<AfiSafi>,
    snapshot_due: bool,
}

impl Core {
    /// With what the kernel holds at the start.
    pub fn new(config: &Config, model: Model, now: Instant) -> Self {
        let bgp = config.bgp.as_ref();
        let mut core = Self {
            model: Model::default(),
            gateway: Gateway::new(GatewayConfig {
                asn: bgp.map_or(Asn(0), |bgp| bgp.asn),
                router_id: bgp.map_or(RouterId(Ipv4Addr::UNSPECIFIED), |bgp| bgp.router_id),
                advertise_all_vni: bgp.is_some() && config.evpn.advertise_all_vni,
            }),
            networks: bgp.map_or_else(Networks::default, |bgp| {
                Networks::new(&bgp.networks, bgp.redistribute_connected)
            }),
            fib: bgp.filter(|bgp| bgp.fib).map(|_| Fib::default()),
            reconciler: Reconciler::default(),
            originations: BTreeMap::new(),
            undecided: bgp.map_or_else(HashSet::new, |_| FAMILIES.into()),
            snapshot_due: false,
        };
        core.handle_snapshot(model, now);
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
        for key in changed {
            self.handle_changed(key, now);
        }
        self.settle();
    }

    /// BGP told of sessions and best paths.
    pub fn handle_bgp(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::BestPath(best) => self.handle_best_path(best),
                Event::Converged { family } => {
                    self.undecided.remove(&family);
                }
                // The engine has logged these; nothing here follows from them.
                Event::SessionUp { .. } | Event::SessionDown { .. } | Event::EndOfRib { .. } => {}
            }
        }
        self.settle();
    }

    /// What became of a batch of [`Self::poll_batch`].
    pub fn handle_outcome(
        &mut self,
        batch: &[Change],
        results: Vec<Result<(), KernelError>>,
        now: Instant,
    ) {
        self.reconciler.handle_outcome(batch, results, now);
    }

    /// A deadline of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.snapshot_due |= self.reconciler.handle_timeout(now);
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.reconciler.poll_timeout()
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

    /// Whether the kernel must be read anew. Asking answers: the next call says no.
    pub fn poll_snapshot_due(&mut self) -> bool {
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

    /// Desired entries and how far each came.
    pub fn ledger(&self) -> impl Iterator<Item = LedgerEntry<'_>> {
        self.reconciler.ledger(&self.model)
    }

    /// Next hops that nothing reaches, with the number of routes that wait for each.
    pub fn unreachable_next_hops(&self) -> impl Iterator<Item = (IpAddr, usize)> {
        self.fib.iter().flat_map(Fib::unreachable)
    }

    fn handle_changed(&mut self, key: Key, now: Instant) {
        let object = self.model.get(&key);
        self.gateway.handle_object(&key, object.as_ref());
        self.networks.handle_object(&key, object.as_ref());
        if let Some(fib) = &mut self.fib {
            fib.handle_object(&key, object.as_ref());
        }
        self.reconciler.handle_kernel_change(key, now);
    }

    fn handle_best_path(&mut self, best: BestPath) {
        let received = best.best.filter(|_| best.source != Some(PathSource::Local));
        match best.key {
            RouteKey::Evpn(key) => {
                self.gateway.handle_route(
                    &key,
                    received.as_deref().map(|attributes| (&best.payload, attributes)),
                );
            }
            RouteKey::Ipv4(prefix) => self.install(IpNet::V4(prefix), received.as_deref()),
            RouteKey::Ipv6(prefix) => self.install(IpNet::V6(prefix), received.as_deref()),
        }
    }

    fn install(&mut self, prefix: IpNet, best: Option<&AttributeSet>) {
        if let Some(fib) = &mut self.fib {
            fib.handle_best_path(prefix, best.map(|attributes| attributes.next_hop().address()));
        }
    }

    /// Carries consequences to where they act, until nothing is left to carry.
    fn settle(&mut self) {
        while let Some((key, object)) = self.gateway.poll_entry() {
            self.reconciler.desire(key, object);
        }
        for (key, object) in self.fib.iter_mut().flat_map(Fib::poll_changes) {
            self.reconciler.desire(key, object);
        }
        while let Some((key, route)) = self.gateway.poll_route() {
            let key = RouteKey::Evpn(key);
            let route =
                route.map(|(payload, attributes)| Route { key: key.clone(), payload, attributes });
            self.originations.insert(key, route);
        }
        for change in self.networks.poll_changes() {
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

/// Which keys are ours to delete when an object under them carries our mark.
fn managed(gateway: &Gateway, installs_routes: bool) -> impl Fn(&Key) -> bool + '_ {
    move |key| match key {
        Key::Route { table, .. } => installs_routes && *table == TABLE_MAIN,
        Key::Nexthop(id) => installs_routes && NEXTHOP_IDS.contains(id),
        Key::Fdb { .. } | Key::Neighbor { .. } => gateway.manages(key),
        _ => false,
    }
}

/// Whether a former run left entries in the kernel: then forwarding goes on, and peers may be told so (RFC 4724's F bit).
pub fn has_leftovers(model: &Model) -> bool {
    model.routes().any(|route| route.protocol == PROTOCOL_BGP && route.table == TABLE_MAIN)
        || model.fdb().any(platform::kernel::FdbEntry::is_ours)
}
