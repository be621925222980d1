//! The unicast prefixes that we announce ourselves: configured networks and the prefixes of our interfaces.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use bgp::speaker::{Route, RouteKey};
use bgp::wire::{AttributeSet, EvpnPayload, NextHop, Origin};
use ipnet::IpNet;
use platform::kernel::{Address, Ifindex, Key, Object};

/// Which prefixes to announce, and which of them changed.
#[derive(Debug, Default)]
pub struct Networks {
    configured: HashSet<IpNet>,
    redistribute_connected: bool,
    links_up: HashSet<Ifindex>,
    addresses: HashMap<Ifindex, HashSet<IpNet>>,
    announced: BTreeSet<IpNet>,
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
    /// With these configured prefixes, and those of interfaces if wanted.
    pub fn new(configured: &[IpNet], redistribute_connected: bool) -> Self {
        Self {
            configured: configured.iter().copied().collect(),
            redistribute_connected,
            ..Self::default()
        }
    }

    /// A link or an address appeared, changed or vanished.
    pub fn handle_object(&mut self, key: &Key, object: Option<&Object>) {
        match (key, object) {
            (Key::Link(index), Some(Object::Link(link))) if link.up => {
                self.links_up.insert(*index);
            }
            (Key::Link(index), _) => {
                self.links_up.remove(index);
            }
            (Key::Address { ifindex, .. }, Some(Object::Address(address))) => {
                self.addresses.entry(*ifindex).or_default().insert(prefix_of(address));
            }
            (Key::Address { ifindex, prefix }, _) => {
                if let Some(prefixes) = self.addresses.get_mut(ifindex) {
                    prefixes.remove(&prefix.trunc());
                }
            }
            _ => {}
        }
    }

    /// What changed since the last call.
    pub fn poll_changes(&mut self) -> Vec<NetworkChange> {
        let wanted: BTreeSet<IpNet> =
            self.configured.iter().copied().chain(self.connected()).collect();
        let changes = self
            .announced
            .difference(&wanted)
            .map(|prefix| NetworkChange::Withdraw(route_key(*prefix)))
            .chain(
                wanted
                    .difference(&self.announced)
                    .map(|prefix| NetworkChange::Announce(Box::new(self.route(*prefix)))),
            )
            .collect();
        self.announced = wanted;
        changes
    }

    /// Configured prefixes have origin IGP, redistributed ones incomplete, as in FRR. The next hop is ourselves.
    fn route(&self, prefix: IpNet) -> Route {
        let next_hop = match prefix {
            IpNet::V4(_) => NextHop::V4(Ipv4Addr::UNSPECIFIED),
            IpNet::V6(_) => NextHop::V6 { global: Ipv6Addr::UNSPECIFIED, link_local: None },
        };
        let origin =
            if self.configured.contains(&prefix) { Origin::Igp } else { Origin::Incomplete };
        let attributes = AttributeSet::builder(next_hop).set_origin(origin).build();
        Route { key: route_key(prefix), payload: EvpnPayload::default(), attributes }
    }

    fn connected(&self) -> impl Iterator<Item = IpNet> {
        self.addresses
            .iter()
            .filter(|(ifindex, _)| self.redistribute_connected && self.links_up.contains(ifindex))
            .flat_map(|(_, prefixes)| prefixes.iter().copied())
            .filter(|prefix| is_announceable(*prefix))
    }
}

fn route_key(prefix: IpNet) -> RouteKey {
    match prefix {
        IpNet::V4(prefix) => RouteKey::Ipv4(prefix),
        IpNet::V6(prefix) => RouteKey::Ipv6(prefix),
    }
}

fn prefix_of(address: &Address) -> IpNet {
    address.prefix.trunc()
}

/// Loopback and link-local prefixes mean something else on every machine.
fn is_announceable(prefix: IpNet) -> bool {
    match prefix {
        IpNet::V4(prefix) => !prefix.addr().is_loopback() && !prefix.addr().is_link_local(),
        IpNet::V6(prefix) => !prefix.addr().is_loopback() && !prefix.addr().is_unicast_link_local(),
    }
}
