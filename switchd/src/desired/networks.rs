//! The unicast prefixes that we announce ourselves: configured networks and the prefixes of our interfaces.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use bgp::speaker::{Route, RouteKey};
use bgp::wire::{AttributeSet, EvpnPayload, NextHop, Origin};
use ipnet::IpNet;
use platform::kernel::{Ifindex, Key, Object};

/// Which prefixes to announce, and which of them changed.
#[derive(Debug, Default)]
pub struct Networks {
    configured: HashSet<IpNet>,
    redistribute_connected: bool,
    links_up: HashSet<Ifindex>,
    /// With host bits: two addresses of a link may be in one prefix.
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
            (Key::Address { ifindex, prefix }, Some(_)) => {
                self.addresses.entry(*ifindex).or_default().insert(*prefix);
            }
            (Key::Address { ifindex, prefix }, None) => {
                if let Some(addresses) = self.addresses.get_mut(ifindex) {
                    addresses.remove(prefix);
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
            .flat_map(|(_, addresses)| addresses.iter().map(IpNet::trunc))
            .filter(|prefix| is_announceable(*prefix))
    }
}

fn route_key(prefix: IpNet) -> RouteKey {
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
mod tests {
    use platform::kernel::{Address, Link, LinkKind};

    use super::*;

    fn link(index: Ifindex, up: bool) -> Object {
        Object::Link(Link {
            index,
            name: format!("swp{index}"),
            kind: LinkKind::Veth,
            master: None,
            up,
            running: up,
            mac: None,
            mtu: 1500,
            port: None,
            alias: None,
            lower: None,
            lower_namespace: None,
            hardware: None,
        })
    }

    fn address(ifindex: Ifindex, prefix: &str) -> Object {
        Object::Address(Address::new(ifindex, prefix.parse().unwrap()))
    }

    fn tell(networks: &mut Networks, object: &Object) {
        networks.handle_object(&object.key(), Some(object));
    }

    /// `+10.0.0.0/24` announced, `-10.0.0.0/24` withdrawn.
    fn changes(networks: &mut Networks) -> Vec<String> {
        networks
            .poll_changes()
            .iter()
            .map(|change| match change {
                NetworkChange::Announce(route) => format!("+{}", route.key),
                NetworkChange::Withdraw(key) => format!("-{key}"),
            })
            .collect()
    }

    #[test]
    fn a_prefix_is_announced_while_a_link_that_is_up_has_an_address_in_it() {
        let mut networks = Networks::new(&[], true);
        tell(&mut networks, &address(2, "10.0.0.1/24"));
        assert_eq!(changes(&mut networks), [""; 0]);
        tell(&mut networks, &link(2, true));
        assert_eq!(changes(&mut networks), ["+10.0.0.0/24"]);
        tell(&mut networks, &address(2, "10.0.0.2/24"));
        assert_eq!(changes(&mut networks), [""; 0]);
        networks.handle_object(&address(2, "10.0.0.1/24").key(), None);
        assert_eq!(changes(&mut networks), [""; 0], "another address of the link is in the prefix");
        tell(&mut networks, &link(2, false));
        assert_eq!(changes(&mut networks), ["-10.0.0.0/24"]);
    }

    #[test]
    fn loopback_and_link_local_prefixes_stay_at_home() {
        let mut networks = Networks::new(&[], true);
        tell(&mut networks, &link(1, true));
        for prefix in ["127.0.0.1/8", "::1/128", "fe80::1/64", "169.254.1.1/16", "192.0.2.1/32"] {
            tell(&mut networks, &address(1, prefix));
        }
        assert_eq!(changes(&mut networks), ["+192.0.2.1/32"]);
    }

    #[test]
    fn configured_prefixes_are_announced_whatever_the_interfaces_say() {
        let mut networks = Networks::new(&["198.51.100.0/24".parse().unwrap()], false);
        tell(&mut networks, &link(2, true));
        tell(&mut networks, &address(2, "10.0.0.1/24"));
        assert_eq!(changes(&mut networks), ["+198.51.100.0/24"]);
    }
}
