//! What Spectrum's driver demands of rules, nexthops, routes and router interfaces (table R).

use std::collections::BTreeMap;

use super::bridge::{has_vlans, is_automatic};
use super::broken;
use super::constraint::{Constraint, Effect, Remedy, Scope, Violation};
use super::profile::Driver;
use super::topology::{Topology, is_macvlan};
use super::vxlan::constraint;
use crate::kernel::{
    Address, Link, LinkKind, MacAddr, Nexthop, NexthopKind, Route, RouteKind, Rule, RuleAction, Via,
};

const NEXTHOP: Effect = Effect::Refused { at: "ip nexthop add" };
const ROUTE: Effect = Effect::Refused { at: "ip route add" };
const ADDRESS: Effect = Effect::Refused { at: "ip address add" };

constraint!(
    V15,
    "V15",
    NEXTHOP,
    Scope::SPECTRUM,
    "no nexthop objects for FDB entries (`fdb`), hence no multihomed remote MACs in hardware",
    ["FDB nexthops are not supported", "FDB nexthop groups are not supported",]
);
constraint!(
    R1,
    "R1",
    Effect::Refused { at: "ip rule add" },
    Scope::SPECTRUM,
    "no rules but the kernel's own, those of VRFs, and `iif lo`",
    ["FIB rules not supported"]
);
constraint!(
    R2,
    "R2",
    ROUTE,
    Scope::SPECTRUM,
    "no IPv6 gateway written into an IPv4 route; a nexthop object with the same gateway is taken",
    ["IPv6 gateway with IPv4 route is not supported"]
);
constraint!(
    R3,
    "R3",
    NEXTHOP,
    Scope::SPECTRUM,
    "nexthop objects do not encapsulate",
    ["Encapsulating nexthops are not supported"]
);
constraint!(
    R4,
    "R4",
    NEXTHOP,
    Scope::SPECTRUM,
    "every member of a nexthop group has a gateway",
    ["Nexthop group entry does not have a gateway"]
);
constraint!(
    R5,
    "R5",
    NEXTHOP,
    Scope::SPECTRUM,
    "resilient groups have 32, 512 (Spectrum-1), or 32 to 128, 256, 512, 1024, 2048, 4096 buckets",
    [
        "Minimum number of buckets is 32",
        "Invalid number of buckets",
        "Number of buckets does not fit allocation size of any KVDL partition",
    ]
);
constraint!(
    R7,
    "R7",
    ADDRESS,
    Scope::SPECTRUM,
    "few groups of MACs on router interfaces: one on Spectrum-1 (all share their first 38 bits), `rif_mac_profiles` of devlink on others (36 bits)",
    ["Exceeded number of supported router interface MAC profiles"]
);
constraint!(
    R8,
    "R8",
    Effect::Refused { at: "ip link add link LOWER ... type macvlan" },
    Scope::spectrum_before(6, 6),
    "a macvlan's lower link has an address, or is in a VRF, before the macvlan is made",
    ["macvlan is only supported on top of router interfaces"]
);
constraint!(
    R9,
    "R9",
    ADDRESS,
    Scope::spectrum_before(6, 6),
    "a bridge with VLANs that has an address has a PVID itself",
    ["Couldn't determine bridge PVID"]
);

pub(super) static ALL: [&Constraint; 9] = [&V15, &R1, &R2, &R3, &R4, &R5, &R7, &R8, &R9];

pub(super) fn check_rule(topology: &Topology<'_>, rule: &Rule, found: &mut Vec<Violation>) {
    let harmless = rule.is_default()
        || rule.action == RuleAction::Vrf
        || rule.selector.input.as_deref() == Some("lo");
    if harmless || !R1.scope.covers(topology.profile) {
        return;
    }
    let family = if rule.v6 { "ip -6" } else { "ip" };
    let remedy = Remedy::command(format!("{family} rule del priority {}", rule.priority));
    found.push(broken(&R1, 0, rule.key(), format!("rule of priority {}", rule.priority), remedy));
}

pub(super) fn check_route(topology: &Topology<'_>, route: &Route, found: &mut Vec<Violation>) {
    let Via::Hops(hops) = &route.via else { return };
    let v6_hop = hops.iter().find(|hop| hop.gateway.is_some_and(|gateway| gateway.is_ipv6()));
    let (Some(hop), true) = (v6_hop, route.prefix.addr().is_ipv4()) else { return };
    if route.kind != RouteKind::Unicast || !R2.scope.covers(topology.profile) {
        return;
    }
    let gateway = hop.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
    let metric =
        if route.metric == 0 { String::new() } else { format!(" metric {}", route.metric) };
    let remedy = Remedy::commands(vec![
        format!("ip nexthop add id ID via {gateway} dev {}", topology.name(hop.ifindex)),
        format!("ip route replace {} nhid ID{metric}", route.prefix),
    ]);
    found.push(broken(&R2, 0, route.key(), format!("route {}", route.prefix), remedy));
}

pub(super) fn check_nexthop(
    topology: &Topology<'_>,
    nexthop: &Nexthop,
    found: &mut Vec<Violation>,
) {
    if !R3.scope.covers(topology.profile) {
        return;
    }
    let object = format!("nexthop {}", nexthop.id);
    let mut add = |constraint, words, remedy| {
        found.push(broken(constraint, words, nexthop.key(), object.clone(), remedy));
    };
    let delete = || Remedy::command(format!("ip nexthop del id {}", nexthop.id));
    match &nexthop.kind {
        NexthopKind::Fdb { .. } => add(&V15, 0, delete()),
        NexthopKind::FdbGroup(_) => add(&V15, 1, delete()),
        _ if nexthop.encapsulates => add(&R3, 0, delete()),
        _ => {}
    }
    if matches!(nexthop.kind, NexthopKind::Group(_) | NexthopKind::ResilientGroup { .. }) {
        let bare = nexthop.kind.members().iter().find(|member| {
            let device = topology.model.nexthop(member.id).map(|member| &member.kind);
            matches!(device, Some(NexthopKind::Device { ifindex, .. }) if !is_tunnel(topology, *ifindex))
        });
        if let Some(bare) = bare {
            let members: Vec<String> = nexthop
                .kind
                .members()
                .iter()
                .filter(|member| member.id != bare.id)
                .map(|member| member.id.to_string())
                .collect();
            let command = if members.is_empty() {
                format!("ip nexthop del id {}", nexthop.id)
            } else {
                format!("ip nexthop replace id {} group {}", nexthop.id, members.join("/"))
            };
            add(&R4, 0, Remedy::command(command));
        }
    }
    if let NexthopKind::ResilientGroup { members, buckets } = &nexthop.kind
        && let Some(words) = bad_buckets(topology.profile.driver, *buckets)
    {
        let members: Vec<String> = members.iter().map(|member| member.id.to_string()).collect();
        let buckets = if *buckets < 32 { 32 } else { 512 };
        add(
            &R5,
            words,
            Remedy::commands(vec![
                format!("ip nexthop del id {}", nexthop.id),
                format!(
                    "ip nexthop add id {} group {} type resilient buckets {buckets}",
                    nexthop.id,
                    members.join("/")
                ),
            ]),
        );
    }
}

/// Spectrum encapsulates by itself through devices of these kinds.
fn is_tunnel(topology: &Topology<'_>, ifindex: u32) -> bool {
    topology.model.link(ifindex).is_some_and(|link| {
        matches!(&link.kind, LinkKind::Other(kind) if matches!(kind.as_str(), "gre" | "ip6gre"))
    })
}

/// Which of the driver's words a number of buckets earns; `None` if it fits.
fn bad_buckets(driver: Driver, buckets: u16) -> Option<usize> {
    let first = driver == Driver::MlxswSpectrum { generation: 1 };
    match buckets {
        0..32 => Some(0),
        32 | 512 => None,
        33..=64 if first => Some(2),
        1024 | 2048 | 4096 if first => Some(2),
        33..=128 | 256 | 1024 | 2048 | 4096 if !first => None,
        _ => Some(1),
    }
}

/// The groups of MACs on router interfaces, the most common first.
#[derive(Default)]
pub(super) struct MacProfiles(Vec<[u8; 6]>);

impl MacProfiles {
    pub(super) fn of(topology: &Topology<'_>) -> Self {
        let mut groups: BTreeMap<[u8; 6], (usize, bool)> = BTreeMap::new();
        for link in topology.model.links() {
            // Ports that route nothing count for who was there first: their MACs come with the machine.
            let routes = is_router_interface(topology, link);
            if (routes || topology.is_port(link))
                && let Some(group) = mac_group(topology, link)
            {
                let (count, is_used) = groups.entry(group).or_default();
                *count += 1;
                *is_used |= routes;
            }
        }
        let mut groups: Vec<_> = groups.into_iter().filter(|(_, (_, is_used))| *is_used).collect();
        groups.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        Self(groups.into_iter().map(|(group, _)| group).collect())
    }
}

/// Of a bridge, the MAC is only certain once someone has set it: otherwise it is the lowest of its ports'.
fn mac_group(topology: &Topology<'_>, link: &Link) -> Option<[u8; 6]> {
    let mac = link.mac?;
    let bridge = match &link.kind {
        LinkKind::Bridge(_) => Some(link.index),
        LinkKind::Vlan { .. } => link.lower,
        _ => None,
    };
    let inherited = bridge.is_some_and(|bridge| {
        topology
            .members_of(bridge)
            .any(|member| member.mac == Some(mac) && !topology.is_port(member))
    });
    (!inherited).then(|| masked(topology.profile.driver, mac))
}

fn masked(driver: Driver, mac: MacAddr) -> [u8; 6] {
    let first = driver == Driver::MlxswSpectrum { generation: 1 };
    let [a, b, c, d, e, _] = mac.octets();
    [a, b, c, d, e & if first { 0xfc } else { 0xf0 }, 0]
}

fn is_router_interface(topology: &Topology<'_>, link: &Link) -> bool {
    let routes =
        matches!(link.kind, LinkKind::Bridge(_) | LinkKind::Vlan { .. } | LinkKind::Bond(_))
            || topology.is_port(link);
    routes && topology.is_on_ports(link) && has_interface(topology, link)
}

/// Whether the driver has made a router interface of a link: it has an address or is in a VRF.
fn has_interface(topology: &Topology<'_>, link: &Link) -> bool {
    let in_vrf =
        topology.master_of(link).is_some_and(|master| matches!(master.kind, LinkKind::Vrf { .. }));
    let is_member = link.master.is_some() && !in_vrf;
    !is_member && (in_vrf || topology.model.addresses_of(link.index).next().is_some())
}

pub(super) fn check_link(
    topology: &Topology<'_>,
    profiles: &MacProfiles,
    link: &Link,
    found: &mut Vec<Violation>,
) {
    check_mac(topology, profiles, link, found);
    if is_macvlan(link) && R8.scope.covers(topology.profile) {
        let lower = link.lower.and_then(|lower| topology.model.link(lower));
        if let Some(lower) =
            lower.filter(|lower| topology.is_on_ports(lower) && !has_interface(topology, lower))
        {
            found.push(macvlan_without_interface(link, lower));
        }
    }
}

pub(super) fn macvlan_without_interface(link: &Link, lower: &Link) -> Violation {
    let mac = link.mac.map(|mac| format!(" address {mac}")).unwrap_or_default();
    let remedy = Remedy::commands(vec![
        format!("ip link del {}", link.name),
        format!("ip address add ADDRESS dev {}", lower.name),
        format!(
            "ip link add link {} name {}{mac} type macvlan mode private",
            lower.name, link.name
        ),
    ]);
    let remedy = remedy.lines("address ADDRESS before address-virtual", "");
    broken(&R8, 0, link.key(), format!("macvlan device {} on {}", link.name, lower.name), remedy)
}

fn check_mac(
    topology: &Topology<'_>,
    profiles: &MacProfiles,
    link: &Link,
    found: &mut Vec<Violation>,
) {
    let Some(limit) = topology.profile.mac_profiles.filter(|_| R7.scope.covers(topology.profile))
    else {
        return;
    };
    if !is_router_interface(topology, link) {
        return;
    }
    let Some(group) = mac_group(topology, link) else { return };
    let place = profiles.0.iter().position(|known| *known == group).unwrap_or_default();
    if place < usize::try_from(limit).unwrap_or(usize::MAX) {
        return;
    }
    let [a, b, c, d, e, _] = profiles.0.first().copied().unwrap_or_default();
    let own = link.mac.map(|mac| mac.octets()[5]).unwrap_or_default();
    let mac = MacAddr::new(a, b, c, d, e, own);
    let remedy = Remedy::command(format!("ip link set {} address {mac}", link.name))
        .lines("hwaddress MAC", "[Link] MACAddress=MAC");
    found.push(broken(&R7, 0, link.key(), format!("router interface {}", link.name), remedy));
}

pub(super) fn check_address(
    topology: &Topology<'_>,
    address: &Address,
    found: &mut Vec<Violation>,
) {
    let Some(link) = topology.model.link(address.ifindex) else { return };
    let concerns = topology.is_on_ports(link)
        && has_vlans(link)
        && !is_automatic(address)
        && R9.scope.covers(topology.profile);
    if concerns && !topology.model.vlans_of(link.index).iter().any(|vlan| vlan.pvid) {
        let text = format!("{} dev {}", address.prefix, link.name);
        let remedy = Remedy::commands(vec![
            format!("bridge vlan add dev {} vid VLAN pvid untagged self", link.name),
            format!("ip address add {text}"),
        ]);
        let remedy = remedy.lines(
            "an address on the VLAN's own interface (vlan-raw-device), not on the bridge",
            "[BridgeVLAN] PVID=VLAN of the bridge's own .network",
        );
        found.push(broken(&R9, 0, address.key(), format!("address {text}"), remedy));
    }
}
