//! BGP's best unicast paths as kernel routes over nexthop objects.
//!
//! A nexthop object is one gateway on one link, shared by all routes that resolve to it: a million routes with ten next
//! hops write ten nexthops. A next hop that is not on a link is resolved through the routes we install (RFC 4271
//! §5.1.3), to a limited depth.
//!
//! Where the switch's driver refuses nexthop objects (rocker), the gateway stands in each route. Such a driver refuses an
//! IPv6 gateway in an IPv4 route as well (RFC 8950), so that one is written as [`STAND_IN`], with a neighbour entry that
//! gives it the gateway's MAC: what the packet carries is the same.

mod scoped_address;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use platform::kernel::{
    Hop, Ifindex, Key, MacAddr, NEXTHOP_IDS, Neighbor, Nexthop, NexthopKind, Object, Route, Via,
};

pub use scoped_address::ScopedAddress;

/// FRR's administrative distance of eBGP, which it writes as the metric: other tools know BGP's routes by it.
const METRIC: u32 = 20;

/// How many BGP routes a next hop may be resolved through before we call it unreachable.
const MAX_RECURSION: usize = 4;

/// The IPv4 address that stands for an IPv6 gateway where a driver takes no other; FRR and Cumulus use the same.
pub const STAND_IN: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);

/// The key of the kernel's route for BGP's best path to `prefix`.
pub fn route_key(prefix: IpNet) -> Key {
    Route::new(prefix, METRIC, Via::Hops(Vec::new())).key()
}

/// How a route says which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NexthopStyle {
    /// By a nexthop object.
    #[default]
    Object,
    /// By a gateway in the route itself.
    Inline,
}

/// Where packets leave: a gateway on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Egress {
    gateway: IpAddr,
    ifindex: Ifindex,
}

#[derive(Debug)]
struct NexthopUse {
    id: u32,
    routes: usize,
}

/// A BGP next hop, resolved once for all routes that have it.
#[derive(Debug)]
struct NextHop {
    egress: Option<Egress>,
    /// It is on a link: routes that come and go do not change where it leads.
    direct: bool,
    routes: usize,
}

#[derive(Debug)]
struct Installed {
    next_hop: ScopedAddress,
    /// What the kernel's route uses; `None` while there is none.
    egress: Option<Egress>,
}

/// The routes that BGP wants in the kernel.
#[derive(Debug, Default)]
pub struct Fib {
    style: NexthopStyle,
    routes: HashMap<IpNet, Installed>,
    next_hops: HashMap<ScopedAddress, NextHop>,
    nexthops: HashMap<Egress, NexthopUse>,
    /// What a former run left in the kernel, so that its ids are used again and nothing is rewritten.
    adopted: BTreeMap<u32, Egress>,
    links_up: HashSet<Ifindex>,
    addresses: HashSet<(Ifindex, IpNet)>,
    /// MACs of IPv6 neighbours, for [`STAND_IN`].
    macs: HashMap<(Ifindex, Ipv6Addr), MacAddr>,
    routes_changed: bool,
    subnets_changed: bool,
    changes: Vec<(Key, Option<Object>)>,
}

impl Fib {
    /// How routes say which way they go from now on.
    pub fn set_style(&mut self, style: NexthopStyle) {
        if self.style == style {
            return;
        }
        let routes: Vec<(IpNet, ScopedAddress)> =
            self.routes.iter().map(|(prefix, installed)| (*prefix, installed.next_hop)).collect();
        routes.iter().for_each(|(prefix, _)| self.uninstall(*prefix));
        self.style = style;
        routes.into_iter().for_each(|(prefix, next_hop)| self.install(prefix, next_hop));
    }

    /// A link, an address, a neighbour or a nexthop appeared, changed or vanished.
    pub fn handle_object(&mut self, key: &Key, object: Option<&Object>) {
        if let Key::Neighbor { ifindex, address: IpAddr::V6(address) } = *key {
            self.handle_neighbor(ifindex, address, object);
            return;
        }
        if let (Key::Link(index), None) = (key, object) {
            self.macs.retain(|(ifindex, _), _| ifindex != index);
        }
        self.subnets_changed |= match (key, object) {
            (Key::Link(index), Some(Object::Link(link))) if link.up && link.running => {
                self.links_up.insert(*index)
            }
            (Key::Link(index), _) => self.links_up.remove(index),
            (Key::Address { ifindex, prefix }, Some(_)) => {
                self.addresses.insert((*ifindex, *prefix))
            }
            (Key::Address { ifindex, prefix }, None) => self.addresses.remove(&(*ifindex, *prefix)),
            (Key::Nexthop(id), Some(Object::Nexthop(nexthop))) if nexthop.is_ours() => {
                self.adopt(*id, &nexthop.kind);
                false
            }
            _ => false,
        };
    }

    /// BGP's best path to `prefix` goes by `next_hop`; `None`: there is none any more, or it is our own.
    pub fn handle_best_path(&mut self, prefix: IpNet, next_hop: Option<ScopedAddress>) {
        self.routes_changed = true;
        self.uninstall(prefix);
        if let Some(next_hop) = next_hop {
            self.install(prefix, next_hop);
        }
    }

    /// What should change in the kernel since the last call: keys with what should exist under them.
    pub fn poll_changes(&mut self) -> Vec<(Key, Option<Object>)> {
        if self.subnets_changed
            || (self.routes_changed && self.next_hops.values().any(|next_hop| !next_hop.direct))
        {
            self.resolve_again();
        }
        self.routes_changed = false;
        self.subnets_changed = false;
        std::mem::take(&mut self.changes)
    }

    /// Next hops that nothing reaches, with the number of routes that wait for each.
    pub fn unreachable(&self) -> impl Iterator<Item = (ScopedAddress, usize)> {
        self.next_hops
            .iter()
            .filter(|(_, next_hop)| next_hop.egress.is_none())
            .map(|(address, next_hop)| (*address, next_hop.routes))
    }

    fn adopt(&mut self, id: u32, kind: &NexthopKind) {
        if let NexthopKind::Gateway { address, ifindex, .. } = kind {
            self.adopted.insert(id, Egress { gateway: *address, ifindex: *ifindex });
        }
    }

    fn install(&mut self, prefix: IpNet, next_hop: ScopedAddress) {
        if !self.next_hops.contains_key(&next_hop) {
            let (egress, direct) = self.resolve(next_hop);
            self.next_hops.insert(next_hop, NextHop { egress, direct, routes: 0 });
        }
        let egress = self.next_hops.get_mut(&next_hop).and_then(|used| {
            used.routes += 1;
            used.egress
        });
        // The kernel's own route to a connected prefix is better than any that we could add.
        let egress = egress.filter(|_| !self.is_connected(prefix));
        if let Some(egress) = egress {
            let via = self.via(prefix, egress);
            let route = Route::new(prefix, METRIC, via);
            self.changes.push((route.key(), Some(Object::Route(route))));
        }
        self.routes.insert(prefix, Installed { next_hop, egress });
    }

    fn uninstall(&mut self, prefix: IpNet) {
        let Some(installed) = self.routes.remove(&prefix) else { return };
        if let Some(used) = self.next_hops.get_mut(&installed.next_hop) {
            used.routes -= 1;
            if used.routes == 0 {
                self.next_hops.remove(&installed.next_hop);
            }
        }
        if let Some(egress) = installed.egress {
            self.changes.push((route_key(prefix), None));
            self.release_nexthop(egress);
        }
    }

    /// What the route says; makes what it needs. Every route counts as a user of its egress in either style.
    fn via(&mut self, prefix: IpNet, egress: Egress) -> Via {
        let id = self.use_nexthop(egress);
        match (self.style, prefix, egress.gateway) {
            (NexthopStyle::Object, ..) => Via::Nexthop(id),
            (NexthopStyle::Inline, IpNet::V4(_), IpAddr::V6(gateway)) => {
                self.stand_in(egress.ifindex, gateway);
                let hop = Hop::gateway(STAND_IN.into(), egress.ifindex);
                Via::Hops(vec![Hop { onlink: true, ..hop }])
            }
            (NexthopStyle::Inline, ..) => {
                Via::Hops(vec![Hop::gateway(egress.gateway, egress.ifindex)])
            }
        }
    }

    /// Gives [`STAND_IN`] the gateway's MAC, once it is known.
    fn stand_in(&mut self, ifindex: Ifindex, gateway: Ipv6Addr) {
        let mac = self.macs.get(&(ifindex, gateway)).copied();
        let neighbor = mac.map(|mac| Neighbor::remote(ifindex, STAND_IN.into(), mac));
        let key = Key::Neighbor { ifindex, address: STAND_IN.into() };
        self.changes.push((key, neighbor.map(Object::Neighbor)));
    }

    fn handle_neighbor(&mut self, ifindex: Ifindex, address: Ipv6Addr, object: Option<&Object>) {
        // A gateway that is silent for a while keeps its MAC: without it, nothing could reach it again.
        let Some(Object::Neighbor(Neighbor { mac: Some(mac), state, .. })) = object else { return };
        if !state.is_valid() {
            return;
        }
        let known = self.macs.insert((ifindex, address), *mac);
        let egress = Egress { gateway: address.into(), ifindex };
        if self.style == NexthopStyle::Inline
            && known != Some(*mac)
            && self.nexthops.contains_key(&egress)
        {
            self.stand_in(ifindex, address);
        }
    }

    fn use_nexthop(&mut self, egress: Egress) -> u32 {
        if let Some(used) = self.nexthops.get_mut(&egress) {
            used.routes += 1;
            return used.id;
        }
        let id = self.free_id(egress);
        self.nexthops.insert(egress, NexthopUse { id, routes: 1 });
        let kind = NexthopKind::Gateway {
            address: egress.gateway,
            ifindex: egress.ifindex,
            onlink: false,
        };
        let nexthop = Nexthop::new(id, kind);
        if self.style == NexthopStyle::Object {
            self.changes.push((nexthop.key(), Some(Object::Nexthop(nexthop))));
        }
        id
    }

    fn release_nexthop(&mut self, egress: Egress) {
        let Some(used) = self.nexthops.get_mut(&egress) else { return };
        used.routes -= 1;
        if used.routes == 0 {
            let id = used.id;
            self.nexthops.remove(&egress);
            self.changes.push((Key::Nexthop(id), None));
            if let (NexthopStyle::Inline, IpAddr::V6(_)) = (self.style, egress.gateway) {
                let key = Key::Neighbor { ifindex: egress.ifindex, address: STAND_IN.into() };
                self.changes.push((key, None));
            }
        }
    }

    /// The id that a former run gave to the same gateway, else the lowest that nobody uses.
    fn free_id(&self, egress: Egress) -> u32 {
        let taken: HashSet<u32> = self.nexthops.values().map(|used| used.id).collect();
        let known = self
            .adopted
            .iter()
            .find(|(id, known)| **known == egress && !taken.contains(*id))
            .map(|(id, _)| *id);
        known
            .or_else(|| {
                NEXTHOP_IDS.clone().find(|id| !taken.contains(id) && !self.adopted.contains_key(id))
            })
            .unwrap_or(*NEXTHOP_IDS.end())
    }

    /// Where `next_hop` leads, and whether it is on a link itself.
    fn resolve(&self, next_hop: ScopedAddress) -> (Option<Egress>, bool) {
        let mut gateway = next_hop;
        for depth in 0..=MAX_RECURSION {
            if let Some(ifindex) = self.link_to(gateway) {
                return (Some(Egress { gateway: gateway.address, ifindex }), depth == 0);
            }
            match self.longest_match(gateway.address) {
                Some(via) => gateway = via,
                None => break,
            }
        }
        (None, false)
    }

    /// The address's own link, or the one whose subnet has it, if it is not the link's own address.
    fn link_to(&self, next_hop: ScopedAddress) -> Option<Ifindex> {
        if next_hop.link.is_some() || next_hop.is_ambiguous() {
            return next_hop.link.filter(|link| self.links_up.contains(link));
        }
        let address = next_hop.address;
        self.addresses
            .iter()
            .filter(|(ifindex, prefix)| {
                self.links_up.contains(ifindex)
                    && prefix.contains(&address)
                    && prefix.addr() != address
            })
            .max_by_key(|(_, prefix)| prefix.prefix_len())
            .map(|(ifindex, _)| *ifindex)
    }

    fn longest_match(&self, address: IpAddr) -> Option<ScopedAddress> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (1..=longest).rev().find_map(|length| {
            let prefix = IpNet::new(address, length).ok()?.trunc();
            self.routes.get(&prefix).map(|installed| installed.next_hop)
        })
    }

    fn is_connected(&self, prefix: IpNet) -> bool {
        self.addresses
            .iter()
            .any(|(ifindex, own)| self.links_up.contains(ifindex) && own.trunc() == prefix)
    }

    /// Resolves every next hop again and reinstalls the routes for which the outcome is another.
    fn resolve_again(&mut self) {
        let next_hops: Vec<ScopedAddress> = self.next_hops.keys().copied().collect();
        for next_hop in next_hops {
            let (egress, direct) = self.resolve(next_hop);
            if let Some(known) = self.next_hops.get_mut(&next_hop) {
                known.egress = egress;
                known.direct = direct;
            }
        }
        let stale: Vec<(IpNet, ScopedAddress)> = self
            .routes
            .iter()
            .filter(|(prefix, installed)| {
                let egress =
                    self.next_hops.get(&installed.next_hop).and_then(|next_hop| next_hop.egress);
                egress.filter(|_| !self.is_connected(**prefix)) != installed.egress
            })
            .map(|(prefix, installed)| (*prefix, installed.next_hop))
            .collect();
        for (prefix, next_hop) in stale {
            self.uninstall(prefix);
            self.install(prefix, next_hop);
        }
    }
}

#[cfg(test)]
mod tests;
