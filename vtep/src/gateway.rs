//! The gateway: what came in, what follows from it, and what the reader has not seen of that yet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bgp::types::{Asn, MacAddr, RouteDistinguisher, RouterId};
use bgp::wire::{AttributeSet, EvpnKey, EvpnPayload};
use platform::kernel::{Ifindex, Key, Object, Vni};

use crate::domain::{Distinguishers, Domain};
use crate::facts::{Facts, Place, Touched};
use crate::merge::{IpOwner, Location};
use crate::remote::{Routes, Subject};

/// What the gateway is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Our AS: the first half of the route targets.
    pub asn: Asn,
    /// Our BGP identifier: the first half of the route distinguishers.
    pub router_id: RouterId,
    /// Whether every VNI found in the kernel takes part. None does otherwise.
    pub advertise_all_vni: bool,
}

/// Kernel facts and received routes in; kernel entries and routes to originate out.
///
/// Facts may come in any order. What follows from them is worked out when it is asked for (`poll_*`), so that a burst of
/// changes to one key counts once. `handle_*` and `poll_*` cost the same however many entries there are; a domain that
/// appears, changes or vanishes costs in proportion to its own entries.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub(crate) config: GatewayConfig,
    pub(crate) facts: Facts,
    pub(crate) routes: Routes,
    pub(crate) domains: BTreeMap<Vni, Served>,
    pub(crate) by_bridge: BTreeMap<(Ifindex, Option<u16>), Vni>,
    pub(crate) by_svi: BTreeMap<Ifindex, Vni>,
    /// By the VXLAN device as a port of the bridge, and the VLAN there.
    pub(crate) by_port: BTreeMap<(Ifindex, Option<u16>), Vni>,
    /// By the VXLAN device, and the VNI as its entries name it, if they do.
    pub(crate) by_vxlan: BTreeMap<(Ifindex, Option<Vni>), Vni>,
    pub(crate) distinguishers: Distinguishers,
    /// Where each MAC of a domain in service is.
    pub(crate) macs: BTreeMap<(Vni, MacAddr), Location>,
    /// Which MAC each IP address of a domain in service has.
    pub(crate) hosts: BTreeMap<(Vni, IpAddr), IpOwner>,
    pub(crate) pending: Pending,
    pub(crate) dirty_entries: BTreeSet<Key>,
    pub(crate) dirty_routes: BTreeSet<EvpnKey>,
}

/// A domain and the name that its routes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) domain: Domain,
    pub(crate) rd: RouteDistinguisher,
}

impl Served {
    /// Under which names its entries are in the kernel.
    pub(crate) fn place(&self) -> (Ifindex, Option<u16>, Option<Vni>) {
        (self.domain.vxlan, self.domain.vlan, self.domain.entry_vni())
    }
}

/// Facts whose consequences are not worked out yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending {
    pub(crate) domains: BTreeSet<Vni>,
    /// With whether the bridge saw the MAC there just now.
    pub(crate) stations: BTreeMap<Place, bool>,
    pub(crate) hosts: BTreeSet<(Ifindex, IpAddr)>,
}

impl Gateway {
    /// A gateway that knows nothing yet.
    pub fn new(config: GatewayConfig) -> Self {
        Self {
            config,
            facts: Facts::default(),
            routes: Routes::default(),
            domains: BTreeMap::new(),
            by_bridge: BTreeMap::new(),
            by_svi: BTreeMap::new(),
            by_port: BTreeMap::new(),
            by_vxlan: BTreeMap::new(),
            distinguishers: Distinguishers::default(),
            macs: BTreeMap::new(),
            hosts: BTreeMap::new(),
            pending: Pending::default(),
            dirty_entries: BTreeSet::new(),
            dirty_routes: BTreeSet::new(),
        }
    }

    /// Takes in what the kernel has for a key now: link, address, FDB entry or neighbour. Other kinds are ignored.
    pub fn handle_object(&mut self, key: &Key, object: Option<&Object>) {
        for touched in self.facts.handle_object(key, object) {
            match touched {
                Touched::Vni(vni) => {
                    self.pending.domains.insert(vni);
                }
                Touched::Station { place, learned } => {
                    *self.pending.stations.entry(place).or_default() |= learned;
                }
                Touched::Host(ifindex, address) => {
                    self.pending.hosts.insert((ifindex, address));
                }
            }
        }
    }

    /// Takes in the best route of an EVPN key, as received from a neighbour; `None` when there is none any more.
    pub fn handle_route(&mut self, key: &EvpnKey, best: Option<(&EvpnPayload, &AttributeSet)>) {
        // Whether a MAC was seen here before or after its route came decides who has it.
        self.settle();
        for subject in self.routes.handle_route(key, best) {
            match subject {
                Subject::Mac(vni, mac) => self.settle_mac(vni, mac, false),
                Subject::Host(vni, ip) => self.settle_host(vni, ip),
                Subject::Flood(vni, vtep) => self.mark_flood(vni, vtep),
            }
        }
    }

    /// A kernel entry that should be different from what was last said of it: the object, or `None` if it should not be.
    /// An entry that changed and changed back may be repeated.
    pub fn poll_entry(&mut self) -> Option<(Key, Option<Object>)> {
        self.settle();
        let key = self.dirty_entries.pop_first()?;
        Some((key, self.desired_entry(&key)))
    }

    /// A route to originate, or to withdraw (`None`), that is different from what was last said of it.
    /// A route that changed and changed back may be repeated.
    pub fn poll_route(&mut self) -> Option<(EvpnKey, Option<(EvpnPayload, AttributeSet)>)> {
        self.settle();
        let key = self.dirty_routes.pop_first()?;
        let route = self.desired_route(&key);
        Some((key, route))
    }

    /// Works everything out again from the facts. Finds nothing to say unless something was missed: a safety net.
    pub fn reconsider(&mut self) {
        self.pending.domains.extend(self.facts.vnis());
        self.pending.domains.extend(self.domains.keys());
        self.settle();
        for served in self.domains.values().copied().collect::<Vec<_>>() {
            if served.domain.vtep().is_some() {
                self.settle_all_of(&served.domain);
            }
        }
    }

    /// Whether VNIs found in the kernel are wanted, from now on.
    pub fn set_advertise_all_vni(&mut self, on: bool) {
        self.config.advertise_all_vni = on;
        self.reconsider();
    }

    /// Whether the key is on a device that belongs to a domain, so that an entry there that carries our mark is ours:
    /// made by us or by a former run. When no VNI is wanted it is of another control plane, and not ours to sweep.
    pub fn manages(&self, key: &Key) -> bool {
        if !self.config.advertise_all_vni {
            return false;
        }
        match key {
            Key::Fdb { ifindex, .. } => {
                let next = self.by_vxlan.range((*ifindex, None)..).next();
                next.is_some_and(|((vxlan, _), _)| vxlan == ifindex)
            }
            Key::Neighbor { ifindex, .. } => self.by_svi.contains_key(ifindex),
            _ => false,
        }
    }
}
