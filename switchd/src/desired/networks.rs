//! The unicast prefixes that we announce ourselves: configured networks, and what is redistributed from the kernel.
//!
//! Of a prefix, the kernel's best route counts, as for packets: a subnet of an interface that is up before any other, then
//! the lowest metric. BGP's own routes are not looked at: what we learned by BGP is not ours to begin. Only prefixes about
//! which the kernel told something are looked at, so a change costs the same whatever the size of the tables.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bgp::policy::RouteRef;
use bgp::speaker::{Route, RouteKey};
use bgp::types::Asn;
use bgp::wire::{AttributeSet, EvpnPayload, NextHop, Origin};
use ipnet::IpNet;
use platform::kernel::{Ifindex, Key, Object, PROTOCOL_BGP, RouteKind};

use crate::config::{Bgp, Redistribute, RouteSource};

/// What to announce, in words of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Origination {
    /// These prefixes.
    pub networks: HashSet<IpNet>,
    /// Networks only while the kernel has a route to exactly that prefix, by whomever but BGP.
    pub import_check: bool,
    /// And what the kernel has from these.
    pub redistribute: Redistribute,
}

impl From<&Bgp> for Origination {
    fn from(bgp: &Bgp) -> Self {
        Self {
            networks: bgp.networks.iter().copied().collect(),
            import_check: bgp.import_check,
            redistribute: bgp.redistribute.clone(),
        }
    }
}

/// Which prefixes to announce, and which of them changed.
#[derive(Debug)]
pub struct Networks {
    origination: Origination,
    asn: Asn,
    /// The routing table that routes are redistributed from.
    table: u32,
    links_up: HashSet<Ifindex>,
    /// With host bits: two addresses of a link may be in one prefix.
    addresses: HashMap<Ifindex, HashSet<IpNet>>,
    /// Addresses of links that are up, by the prefix that they are in.
    connected: HashMap<IpNet, usize>,
    /// The kernel's routes by metric.
    routes: HashMap<IpNet, BTreeMap<u32, Maker>>,
    announced: HashMap<IpNet, Announced>,
    /// To be looked at.
    dirty: BTreeSet<IpNet>,
}

/// Why a prefix is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// It is configured.
    Network,
    /// The kernel has it from there, with this metric.
    Redistributed { source: RouteSource, metric: u32 },
    /// As another policy said.
    Outdated,
}

/// A prefix that is to be announced from now on, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkChange {
    /// Announce it.
    Announce(Box<Route>),
    /// Withdraw it.
    Withdraw(RouteKey),
}

impl Networks {
    /// With the routes of this table of the kernel. `asn` is ours, for policies that say it.
    pub fn new(origination: Origination, asn: Asn, table: u32) -> Self {
        Self {
            dirty: origination.networks.iter().copied().collect(),
            origination,
            asn,
            table,
            links_up: HashSet::new(),
            addresses: HashMap::new(),
            connected: HashMap::new(),
            routes: HashMap::new(),
            announced: HashMap::new(),
        }
    }

    /// Other words of the configuration, and all that the kernel holds. What is announced and stays is not announced anew.
    pub fn reconfigure(&mut self, origination: Origination, kernel: impl Iterator<Item = Object>) {
        let mut announced = std::mem::take(&mut self.announced);
        for why in announced.values_mut() {
            if let Announced::Redistributed { source, .. } = why
                && self.origination.redistribute.get(source) != origination.redistribute.get(source)
            {
                *why = Announced::Outdated;
            }
        }
        *self = Self::new(origination, self.asn, self.table);
        self.dirty.extend(announced.keys());
        self.announced = announced;
        for object in kernel {
            self.handle_object(&object.key(), Some(&object));
        }
    }

    /// A link, an address or a route appeared, changed or vanished.
    pub fn handle_object(&mut self, key: &Key, object: Option<&Object>) {
        match (key, object) {
            (Key::Link(index), Some(Object::Link(link))) => {
                self.set_link(*index, link.up && link.running);
            }
            (Key::Link(index), _) => self.set_link(*index, false),
            (Key::Address { ifindex, prefix }, object) => {
                self.set_address(*ifindex, *prefix, object.is_some());
            }
            (Key::Route { table, prefix, metric }, object) if *table == self.table => {
                self.set_route(*prefix, *metric, object);
            }
            _ => {}
        }
    }

    /// What changed since the last call.
    pub fn poll_changes(&mut self) -> Vec<NetworkChange> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().filter_map(|prefix| self.change(prefix)).collect()
    }

    fn change(&mut self, prefix: IpNet) -> Option<NetworkChange> {
        let wanted = self.wanted(prefix);
        let route = wanted.and_then(|why| Some((why, self.route(prefix, why)?)));
        let why = route.as_ref().map(|(why, _)| *why);
        let known = match why {
            Some(why) => self.announced.insert(prefix, why),
            None => self.announced.remove(&prefix),
        };
        match route {
            _ if why == known => None,
            Some((_, route)) => Some(NetworkChange::Announce(Box::new(route))),
            None => Some(NetworkChange::Withdraw(route_key(prefix))),
        }
    }

    /// Configured prefixes have origin IGP, redistributed ones incomplete and the kernel's metric as MED, as in FRR. The next
    /// hop is ourselves. `None`: the policy denies it.
    fn route(&self, prefix: IpNet, why: Announced) -> Option<Route> {
        let mut attributes = AttributeSet::builder(own_next_hop(prefix));
        let policy = match why {
            Announced::Network => {
                attributes.set_origin(Origin::Igp);
                None
            }
            Announced::Redistributed { source, metric } => {
                attributes.set_origin(Origin::Incomplete).set_med(metric);
                self.origination.redistribute.get(&source)?.as_ref()
            }
            Announced::Outdated => return None,
        };
        let attributes = Arc::new(attributes.build());
        let attributes = match policy {
            Some(map) => map.apply(route_ref(prefix), &attributes, self.asn)?,
            None => attributes,
        };
        let attributes = Arc::unwrap_or_clone(attributes);
        Some(Route { key: route_key(prefix), payload: EvpnPayload::default(), attributes })
    }

    fn wanted(&self, prefix: IpNet) -> Option<Announced> {
        let held = self.held(prefix);
        if self.origination.networks.contains(&prefix)
            && (held.is_some() || !self.origination.import_check)
        {
            return Some(Announced::Network);
        }
        let Some((metric, Maker::Source(source))) = held else { return None };
        (self.redistributes(source) && is_announceable(prefix))
            .then_some(Announced::Redistributed { source, metric })
    }

    /// The kernel's best route to a prefix: its metric, and who made it. Subnets of interfaces have metric 0, as in FRR.
    fn held(&self, prefix: IpNet) -> Option<(u32, Maker)> {
        if self.connected.contains_key(&prefix) {
            return Some((0, Maker::Source(RouteSource::Connected)));
        }
        let (metric, maker) = self.routes.get(&prefix)?.first_key_value()?;
        Some((*metric, *maker))
    }

    fn redistributes(&self, source: RouteSource) -> bool {
        self.origination.redistribute.contains_key(&source)
    }

    fn set_link(&mut self, index: Ifindex, up: bool) {
        let changed = if up { self.links_up.insert(index) } else { self.links_up.remove(&index) };
        if !changed {
            return;
        }
        for prefix in self.addresses.get(&index).into_iter().flatten() {
            count(&mut self.connected, prefix.trunc(), up);
            self.dirty.insert(prefix.trunc());
        }
    }

    fn set_address(&mut self, ifindex: Ifindex, prefix: IpNet, exists: bool) {
        let addresses = self.addresses.entry(ifindex).or_default();
        let changed = if exists { addresses.insert(prefix) } else { addresses.remove(&prefix) };
        if addresses.is_empty() {
            self.addresses.remove(&ifindex);
        }
        if changed && self.links_up.contains(&ifindex) {
            count(&mut self.connected, prefix.trunc(), exists);
            self.dirty.insert(prefix.trunc());
        }
    }

    fn set_route(&mut self, prefix: IpNet, metric: u32, object: Option<&Object>) {
        let wants_routes = self.origination.import_check
            || self.redistributes(RouteSource::Static)
            || self.redistributes(RouteSource::Kernel);
        if !wants_routes {
            return;
        }
        let maker = match object {
            Some(Object::Route(route)) if leads_somewhere(route.kind) => maker(route.protocol),
            _ => None,
        };
        let known = match maker {
            Some(maker) => self.routes.entry(prefix).or_default().insert(metric, maker),
            None => self.forget_route(prefix, metric),
        };
        if known != maker {
            self.dirty.insert(prefix);
        }
    }

    fn forget_route(&mut self, prefix: IpNet, metric: u32) -> Option<Maker> {
        let routes = self.routes.get_mut(&prefix)?;
        let known = routes.remove(&metric);
        if routes.is_empty() {
            self.routes.remove(&prefix);
        }
        known
    }
}

/// Who made a route of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// Somebody whose routes can be redistributed.
    Source(RouteSource),
    /// A routing daemon.
    Daemon,
}

/// By the numbers of linux/rtnetlink.h. `None`: BGP; what the kernel has by itself (its subnets are known by their
/// addresses); redirects and router advertisements, which are for this machine alone.
fn maker(protocol: u8) -> Option<Maker> {
    const REDIRECT: u8 = 1;
    const KERNEL: u8 = 2;
    const STATIC: u8 = 4;
    const ROUTER_ADVERTISEMENT: u8 = 9;
    /// FRR's staticd.
    const ZSTATIC: u8 = 196;
    match protocol {
        PROTOCOL_BGP | REDIRECT | KERNEL | ROUTER_ADVERTISEMENT => None,
        STATIC | ZSTATIC => Some(Maker::Source(RouteSource::Static)),
        // gated, mrt, zebra, BIRD, dnrouted, XORP, ntk; mrouted; babel; openr; IS-IS to srte.
        8 | 10..=15 | 17 | 42 | 99 | 187..=198 => Some(Maker::Daemon),
        // Boot (`ip route add` without a word on it), DHCP, keepalived, and numbers that nobody registered.
        _ => Some(Maker::Source(RouteSource::Kernel)),
    }
}

/// Routes for this machine itself, or for groups, are nobody else's.
fn leads_somewhere(kind: RouteKind) -> bool {
    kind == RouteKind::Unicast || kind.drops()
}

fn count(counts: &mut HashMap<IpNet, usize>, prefix: IpNet, one_more: bool) {
    let count = counts.entry(prefix).or_default();
    *count = if one_more { *count + 1 } else { count.saturating_sub(1) };
    if *count == 0 {
        counts.remove(&prefix);
    }
}

/// What stands for our own address on each session.
pub(super) fn own_next_hop(prefix: IpNet) -> NextHop {
    match prefix {
        IpNet::V4(_) => NextHop::V4(Ipv4Addr::UNSPECIFIED),
        IpNet::V6(_) => NextHop::V6 { global: Ipv6Addr::UNSPECIFIED, link_local: None },
    }
}

fn route_ref(prefix: IpNet) -> RouteRef<'static> {
    match prefix {
        IpNet::V4(prefix) => RouteRef::Ipv4(prefix),
        IpNet::V6(prefix) => RouteRef::Ipv6(prefix),
    }
}

/// BGP's name of a prefix.
pub fn route_key(prefix: IpNet) -> RouteKey {
    match prefix {
        IpNet::V4(prefix) => RouteKey::Ipv4(prefix),
        IpNet::V6(prefix) => RouteKey::Ipv6(prefix),
    }
}

/// Loopback and link-local prefixes mean something else on every machine.
fn is_announceable(prefix: IpNet) -> bool {
    match prefix {
        IpNet::V4(prefix) => !prefix.addr().is_loopback() && !prefix.addr().is_link_local(),
        IpNet::V6(prefix) => !prefix.addr().is_loopback() && !prefix.addr().is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests;
