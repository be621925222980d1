//! What of this machine goes into the scratch namespace, and in which order: stand-ins for all devices of drivers, copies
//! of all software links, who belongs to whom, VLANs, addresses, rules and nexthops. Not: forwarding entries, neighbours
//! and routes, which commands do not build upon.

use std::collections::BTreeMap;
use std::net::IpAddr;

use platform::asic::{Ports, Profile};
use platform::kernel::{
    Address, BridgeVlan, Ifindex, Link, LinkKind, LinkSettings, MacAddr, Model, NewLink, Nexthop,
    NexthopKind, PortSettings, Rule, RuleAction,
};

/// What goes into the scratch namespace. Numbers of links are this machine's.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In this order, each with the number that it has here.
    pub(super) links: Vec<(Ifindex, NewLink)>,
    /// Which of them are ports.
    pub(super) ports: Vec<Ifindex>,
    /// Who belongs to whom, members of bonds first.
    pub(super) members: Vec<(Ifindex, Ifindex)>,
    pub(super) port_settings: Vec<(Ifindex, PortSettings)>,
    pub(super) vlans: Vec<BridgeVlan>,
    /// VLANs that ports get by themselves and do not have here.
    pub(super) surplus_vlans: Vec<BridgeVlan>,
    pub(super) up: Vec<Ifindex>,
    pub(super) addresses: Vec<Address>,
    pub(super) rules: Vec<Rule>,
    pub(super) nexthops: Vec<Nexthop>,
}

pub(super) fn plan(model: &Model, profile: &Profile) -> Plan {
    let mut plan = Plan::default();
    let links: BTreeMap<Ifindex, &Link> = model
        .links()
        .filter(|link| link.kind != LinkKind::Loopback)
        .map(|link| (link.index, link))
        .collect();
    plan.add_links(model, &links);
    plan.ports
        .extend(links.values().filter(|link| profile.ports.contains(link)).map(|it| it.index));
    plan.add_missing_ports(profile, &links);
    let is_bond =
        |master: &Ifindex| matches!(links.get(master).map(|it| &it.kind), Some(LinkKind::Bond(_)));
    let members = || links.values().filter_map(|it| Some((it.index, it.master?)));
    plan.members.extend(members().filter(|(_, master)| is_bond(master)));
    plan.members.extend(members().filter(|(_, master)| !is_bond(master)));
    for link in links.values() {
        plan.add_port(model, link);
    }
    // What stands on a link can only come up after it.
    let is_up = |index: &Ifindex| model.link(*index).is_some_and(|link| link.up);
    let made = plan.links.iter().map(|(index, _)| *index);
    plan.up = made.filter(is_up).collect();
    plan.addresses.extend(model.addresses().filter(|address| !is_automatic(address)).cloned());
    let made = |rule: &&Rule| !rule.is_default() && rule.action != RuleAction::Vrf;
    plan.rules.extend(model.rules().filter(made).cloned());
    plan.nexthops.extend(model.nexthops().filter(|it| !it.encapsulates).cloned());
    plan.nexthops.sort_by_key(|nexthop| (!nexthop.kind.members().is_empty(), nexthop.id));
    plan
}

impl Plan {
    /// What others stand on comes first.
    fn add_links(&mut self, model: &Model, links: &BTreeMap<Ifindex, &Link>) {
        let mut rest: Vec<&Link> = links.values().copied().collect();
        while !rest.is_empty() {
            let (now, later): (Vec<&Link>, Vec<&Link>) = rest.iter().partition(|link| {
                below(link).is_none_or(|below| {
                    !links.contains_key(&below) || self.links.iter().any(|(made, _)| *made == below)
                })
            });
            if now.is_empty() {
                return;
            }
            self.links.extend(now.iter().map(|link| (link.index, copy_of(model, link))));
            rest = later;
        }
    }

    /// Ports that were named and are not here: the command is meant for another machine.
    fn add_missing_ports(&mut self, profile: &Profile, links: &BTreeMap<Ifindex, &Link>) {
        let Ports::Named(names) = &profile.ports else { return };
        let mut index = links.keys().next_back().copied().unwrap_or(1);
        for name in names {
            if links.values().any(|link| link.name == *name) {
                continue;
            }
            index += 1;
            let [.., high, low] = index.to_be_bytes();
            let mac = Some(MacAddr::new(2, 0, 0, 0, high, low));
            let settings = LinkSettings { mac, ..LinkSettings::default() };
            self.links.push((index, NewLink::new(name, LinkKind::Dummy).with(settings)));
            self.ports.push(index);
        }
    }

    fn add_port(&mut self, model: &Model, link: &Link) {
        let Some(bridge) = link
            .bridge()
            .or_else(|| link.master.and_then(|master| model.link(master)).and_then(Link::bridge))
        else {
            return;
        };
        if let Some(port) = link.port {
            let settings = PortSettings {
                learning: Some(port.learning),
                neigh_suppress: Some(port.neigh_suppress),
                flood: Some(port.flood),
                multicast_flood: Some(port.multicast_flood),
                broadcast_flood: Some(port.broadcast_flood),
                isolated: Some(port.isolated),
                locked: Some(port.locked),
            };
            self.port_settings.push((link.index, settings));
        }
        self.vlans.extend(model.vlans_of(link.index));
        if bridge.default_pvid != 0 && model.vlan(link.index, bridge.default_pvid).is_none() {
            let of_bridge = link.bridge().is_some();
            let surplus = BridgeVlan::tagged(link.index, bridge.default_pvid);
            self.surplus_vlans.push(BridgeVlan { of_bridge, ..surplus });
        }
    }
}

fn below(link: &Link) -> Option<Ifindex> {
    match &link.kind {
        LinkKind::Vxlan(vxlan) => vxlan.underlay,
        kind if kind.is_upper() => link.lower,
        _ => None,
    }
}

fn copy_of(model: &Model, link: &Link) -> NewLink {
    let kind = match &link.kind {
        // A driver's, or of a kind that cannot be copied: something stands in for it.
        LinkKind::Physical
        | LinkKind::Veth
        | LinkKind::Dummy
        | LinkKind::Loopback
        | LinkKind::Other(_) => LinkKind::Dummy,
        kind => kind.clone(),
    };
    let inherits = matches!(kind, LinkKind::Bridge(_) | LinkKind::Bond(_) | LinkKind::Vlan { .. });
    let is_inherited = inherits
        && (model.members(link.index).any(|member| member.mac == link.mac)
            || below(link)
                .and_then(|below| model.link(below))
                .is_some_and(|it| it.mac == link.mac));
    let settings = LinkSettings {
        mac: link.mac.filter(|_| !is_inherited),
        mtu: Some(link.mtu).filter(|mtu| *mtu != 0),
        ..LinkSettings::default()
    };
    NewLink { lower: below(link), ..NewLink::new(&link.name, kind).with(settings) }
}

/// The kernel gives every link one by itself.
fn is_automatic(address: &Address) -> bool {
    match address.prefix.addr() {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}

/// The same object, with the numbers that links have in the scratch namespace. `None`: its link is not there.
pub(super) trait Renumber: Sized {
    fn renumber(self, to: impl Fn(Ifindex) -> Option<Ifindex>) -> Option<Self>;
}

impl Renumber for NewLink {
    fn renumber(mut self, to: impl Fn(Ifindex) -> Option<Ifindex>) -> Option<Self> {
        if let LinkKind::Vxlan(vxlan) = &mut self.kind {
            vxlan.underlay = vxlan.underlay.map(&to).unwrap_or_default();
            self.lower = None;
        }
        self.lower = match self.lower {
            Some(lower) => Some(to(lower)?),
            None => None,
        };
        Some(self)
    }
}

impl Renumber for BridgeVlan {
    fn renumber(self, to: impl Fn(Ifindex) -> Option<Ifindex>) -> Option<Self> {
        Some(Self { ifindex: to(self.ifindex)?, ..self })
    }
}

impl Renumber for Address {
    fn renumber(self, to: impl Fn(Ifindex) -> Option<Ifindex>) -> Option<Self> {
        Some(Self { ifindex: to(self.ifindex)?, ..self })
    }
}

impl Renumber for Nexthop {
    fn renumber(mut self, to: impl Fn(Ifindex) -> Option<Ifindex>) -> Option<Self> {
        if let NexthopKind::Gateway { ifindex, .. } | NexthopKind::Device { ifindex, .. } =
            &mut self.kind
        {
            *ifindex = to(*ifindex)?;
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use platform::asic::{Driver, KernelVersion};
    use platform::kernel::{Bond, Bridge, BridgePort, Object, VlanProtocol, Vni, Vxlan};

    use super::*;

    fn model() -> Model {
        let bridge = Bridge { vlan_filtering: true, ..Bridge::default() };
        let vlan = LinkKind::Vlan { id: 10, protocol: VlanProtocol::Dot1q };
        let vxlan = Vxlan::new(Vni::try_from(10).unwrap(), "192.0.2.1".parse().unwrap());
        let port = Some(BridgePort::default());
        [
            Link { lower: Some(9), ..Link::new(2, "vlan10", vlan) },
            Link { master: Some(8), ..Link::new(3, "swp1", LinkKind::Physical) },
            Link { master: Some(9), port, ..Link::new(4, "vx10", LinkKind::Vxlan(vxlan)) },
            Link {
                master: Some(9),
                port,
                ..Link::new(8, "bond0", LinkKind::Bond(Bond::default()))
            },
            Link::new(9, "br0", LinkKind::Bridge(bridge)),
            Link::new(1, "lo", LinkKind::Loopback),
        ]
        .map(Object::Link)
        .into_iter()
        .chain([Object::BridgeVlan(BridgeVlan::access(4, 10))])
        .collect()
    }

    fn profile(ports: &[&str]) -> Profile {
        let ports = Ports::Named(ports.iter().map(|name| (*name).to_owned()).collect());
        Profile::new(Driver::MlxswSpectrum { generation: 2 }, KernelVersion::new(6, 1))
            .with_ports(ports)
    }

    #[test]
    fn what_others_stand_on_is_made_first_and_bonds_are_filled_first() {
        let plan = plan(&model(), &profile(&["swp1"]));
        let order: Vec<&str> = plan.links.iter().map(|(_, link)| link.name.as_str()).collect();
        assert_eq!(order, ["swp1", "vx10", "bond0", "br0", "vlan10"]);
        assert_eq!(plan.members, [(3, 8), (4, 9), (8, 9)]);
        assert_eq!(plan.ports, [3]);
        assert_eq!(plan.links[0].1.kind, LinkKind::Dummy, "nobody can make a port");
        let surplus: Vec<_> = plan.surplus_vlans.iter().map(|vlan| vlan.ifindex).collect();
        assert_eq!(surplus, [4, 8, 9], "default PVID 1, which none of them has here");
    }

    #[test]
    fn ports_of_another_machine_are_made_up() {
        let plan = plan(&model(), &profile(&["swp1", "swp33"]));
        let (index, made) = plan.links.last().unwrap();
        assert_eq!((*index, made.name.as_str()), (10, "swp33"));
        assert_eq!(plan.ports, [3, 10]);
    }

    #[test]
    fn links_are_renumbered_or_left_out() {
        let to = |index: Ifindex| (index == 9).then_some(90);
        let vlan = copy_of(&model(), model().link(2).unwrap()).renumber(to).unwrap();
        assert_eq!(vlan.lower, Some(90));
        assert!(BridgeVlan::tagged(4, 1).renumber(to).is_none());
    }
}
