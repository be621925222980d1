//! What Spectrum's driver demands of bridges, VLANs, bonds and of what may stand on a port (table B).

use std::net::IpAddr;

use super::broken;
use super::constraint::{Constraint, Effect, Remedy, Scope, Violation};
use super::profile::KernelVersion;
use super::topology::{Topology, is_macvlan};
use super::vxlan::constraint;
use crate::kernel::{Address, Bridge, Ifindex, Link, LinkKind, VlanProtocol};

const ENSLAVE: Effect = Effect::Refused { at: "ip link set PORT master BRIDGE" };
const VXLAN: Effect = Effect::Refused {
    at: "ip link set VXLAN master BRIDGE, or the first port's, whichever comes last",
};
const UPPER: Effect =
    Effect::Refused { at: "ip link add link LOWER ..., or ip link set ... master" };
const BOND: Effect = Effect::Refused { at: "ip link set PORT master BOND" };
const FLAG: Effect = Effect::Refused { at: "bridge link set dev PORT ..." };

constraint!(
    B1,
    "B1",
    ENSLAVE,
    Scope::SPECTRUM,
    "one bridge with VLANs per switch",
    ["Only one VLAN-aware bridge is supported"]
);
constraint!(
    B2,
    "B2",
    VXLAN,
    Scope::SPECTRUM,
    "no multicast snooping in a bridge with a VXLAN device (the kernel's default is on)",
    ["Multicast can not be enabled on a bridge with a VxLAN device"]
);
constraint!(
    B3,
    "B3",
    VXLAN,
    Scope::SPECTRUM,
    "one VXLAN device in a bridge without VLANs",
    ["Multiple VxLAN devices are not supported in a VLAN-unaware bridge"]
);
constraint!(
    B4,
    "B4",
    Effect::Refused { at: "bridge vlan add dev VXLAN vid VLAN pvid untagged" },
    Scope::SPECTRUM,
    "one VNI per VLAN and one VLAN per VNI: the VLAN is the VXLAN device's PVID, and untagged. Without one, all is accepted and nothing forwarded in hardware",
    [
        "VLAN already mapped to a different VNI",
        "Multiple VxLAN devices cannot have the same VLAN as PVID and egress untagged",
    ]
);
constraint!(
    B5,
    "B5",
    UPPER,
    Scope::SPECTRUM,
    "nothing stands on a bridge with 802.1ad, nor on its ports, and it has no address",
    [
        "Upper devices are not supported on top of an 802.1ad bridge",
        "VLAN uppers are not supported on a port enslaved to an 802.1ad bridge",
        "Enslaving a port that already has a VLAN upper to an 802.1ad bridge is not supported",
        "Adding an IP address to 802.1ad bridge is not supported",
    ]
);
constraint!(
    B6,
    "B6",
    UPPER,
    Scope::SPECTRUM,
    "VLAN devices are of 802.1Q",
    ["VLAN uppers are only supported with 802.1q VLAN protocol"]
);
constraint!(
    B7,
    "B7",
    ENSLAVE,
    Scope::SPECTRUM,
    "no VLAN device as port of a bridge with VLANs, and one of each port in one without",
    [
        "Can not enslave a VLAN device to a VLAN-aware bridge",
        "Can not bridge VLAN uppers of the same port",
    ]
);
constraint!(
    B8,
    "B8",
    Effect::Refused { at: "ip link set PORT master MASTER" },
    Scope::spectrum_before(6, 6),
    "what a port joins has nothing above it yet: ports into the bond, then the bond into the bridge; ports into the bridge, then SVIs on it",
    ["Enslaving a port to a device that already has an upper device is not supported"]
);
constraint!(
    B9,
    "B9",
    BOND,
    Scope::SPECTRUM,
    "bonds choose by hash: 802.3ad or balance-xor",
    ["LAG device using unsupported Tx type",]
);
constraint!(
    B10,
    "B10",
    BOND,
    Scope::SPECTRUM,
    "no VLAN devices on members of a bond, but on the bond",
    [
        "Master device is a LAG master and this device has a VLAN",
        "Can not put a VLAN on a LAG port",
    ]
);
constraint!(
    B11,
    "B11",
    UPPER,
    Scope::SPECTRUM,
    "on ports stand VLANs, bonds, bridges, macvlans and VRFs, nothing else (no ipvlan, macsec, vxlan with `dev`)",
    ["Unknown upper device type"]
);
pub(super) static B12: Constraint = Constraint {
    id: "B12",
    rule: "of a port's bridge flags, learning, flood and mcast_flood only (locked from Linux 6.2 on)",
    words: &["bridge: bridge flag offload is not supported"],
    effect: FLAG,
    scope: Scope::SPECTRUM,
};
constraint!(
    B13,
    "B13",
    Effect::Refused { at: "ip link set PORT netns NAMESPACE" },
    Scope::SPECTRUM,
    "ports stay in the network namespace of their switch",
    []
);

pub(super) static ALL: [&Constraint; 13] =
    [&B1, &B2, &B3, &B4, &B5, &B6, &B7, &B8, &B9, &B10, &B11, &B12, &B13];

/// The bridge that has the switch's one place for a bridge with VLANs: the oldest, as far as numbers tell.
pub(super) fn first_with_vlans(topology: &Topology<'_>) -> Option<Ifindex> {
    topology
        .model
        .links()
        .filter(|link| has_vlans(link) && topology.is_on_ports(link))
        .map(|link| link.index)
        .min()
}

pub(super) fn check_link(
    topology: &Topology<'_>,
    first_with_vlans: Option<Ifindex>,
    link: &Link,
    found: &mut Vec<Violation>,
) {
    let before = found.len();
    if let Some(bridge) = link.bridge().filter(|_| topology.is_on_ports(link)) {
        check_bridge(topology, first_with_vlans, link, bridge, found);
    }
    if link.vxlan().is_some() {
        check_mapping(topology, link, found);
    }
    if topology.is_on_ports(link) || stands_on_port(topology, link) {
        check_uppers(topology, link, found);
        check_bond(topology, link, found);
        check_vlan_device(topology, link, found);
        check_flags(topology, link, found);
    }
    let mut index = 0;
    found.retain(|violation| {
        index += 1;
        index <= before || violation.constraint.scope.covers(topology.profile)
    });
}

fn check_bridge(
    topology: &Topology<'_>,
    first_with_vlans: Option<Ifindex>,
    link: &Link,
    bridge: &Bridge,
    found: &mut Vec<Violation>,
) {
    let name = &link.name;
    let mut add = |constraint, words, remedy| {
        found.push(broken(constraint, words, link.key(), format!("bridge {name}"), remedy));
    };
    if bridge.vlan_filtering && first_with_vlans != Some(link.index) {
        let first = first_with_vlans.map(|first| topology.name(first)).unwrap_or_default();
        let mut commands: Vec<String> = topology
            .members_of(link.index)
            .filter(|member| topology.is_on_ports(member))
            .map(|member| format!("ip link set {} master {first}", member.name))
            .collect();
        commands.push(format!("ip link del {name}"));
        add(
            &B1,
            0,
            Remedy::commands(commands).lines(
                "one stanza with bridge-vlan-aware yes",
                "[Bridge] VLANFiltering=yes in one .netdev",
            ),
        );
    }
    let vxlans: Vec<&Link> =
        topology.members_of(link.index).filter(|member| member.vxlan().is_some()).collect();
    if !vxlans.is_empty() && bridge.multicast_snooping {
        let remedy = Remedy::command(format!("ip link set {name} type bridge mcast_snooping 0"));
        add(&B2, 0, remedy.lines("bridge-mcsnoop 0", "[Bridge] MulticastSnooping=no"));
    }
    if !bridge.vlan_filtering && vxlans.len() > 1 {
        let mut commands = vec![format!(
            "ip link set {name} type bridge vlan_filtering 1 vlan_default_pvid 0  # before it has ports"
        )];
        commands.extend(
            vxlans
                .iter()
                .map(|vxlan| format!("bridge vlan add dev {} vid VLAN pvid untagged", vxlan.name)),
        );
        add(
            &B3,
            0,
            Remedy::commands(commands).lines("bridge-vlan-aware yes", "[Bridge] VLANFiltering=yes"),
        );
    }
}

/// The VLAN of a VXLAN device in a bridge with VLANs.
fn check_mapping(topology: &Topology<'_>, link: &Link, found: &mut Vec<Violation>) {
    let bridge = topology.bridge_of(link).filter(|it| has_vlans(it) && topology.is_on_ports(it));
    let (Some(bridge), Some(vxlan)) = (bridge, link.vxlan()) else { return };
    if vxlan.external {
        return;
    }
    let object = format!("vxlan device {}", link.name);
    match topology.mapped_vlan(link) {
        None => {
            let vlan = match topology.model.vlans_of(link.index) {
                [only] => only.vlan.to_string(),
                _ => "VLAN".to_owned(),
            };
            let command = format!("bridge vlan add dev {} vid {vlan} pvid untagged", link.name);
            let remedy = Remedy::command(command)
                .lines("bridge-access VLAN", "[BridgeVLAN] PVID=VLAN EgressUntagged=VLAN");
            let violation = broken(&B4, 0, link.key(), object, remedy);
            found.push(Violation { words: None, effect: Effect::Silent, ..violation });
        }
        Some(vlan) => {
            let first = topology
                .members_of(bridge.index)
                .find(|other| other.vxlan().is_some() && topology.mapped_vlan(other) == Some(vlan));
            if first.is_some_and(|first| first.index != link.index) {
                let remedy = Remedy::commands(vec![
                    format!("bridge vlan del dev {} vid {vlan}", link.name),
                    format!("bridge vlan add dev {} vid OTHER pvid untagged", link.name),
                ]);
                let remedy = match bridge.bridge() {
                    Some(Bridge { default_pvid, .. }) if *default_pvid == vlan => {
                        remedy.lines("bridge-pvid 0", "[Bridge] DefaultPVID=none")
                    }
                    _ => remedy.lines(
                        "bridge-access OTHER",
                        "[BridgeVLAN] PVID=OTHER EgressUntagged=OTHER",
                    ),
                };
                found.push(broken(&B4, 0, link.key(), object, remedy));
            }
        }
    }
}

fn stands_on_port(topology: &Topology<'_>, link: &Link) -> bool {
    link.vxlan()
        .and_then(|vxlan| topology.model.link(vxlan.underlay?))
        .is_some_and(|underlay| topology.is_on_ports(underlay))
}

/// What stands on what: `link` on those below it.
fn check_uppers(topology: &Topology<'_>, link: &Link, found: &mut Vec<Violation>) {
    let key = link.key();
    let remove = |text: &str| Remedy::command(format!("ip link del {}  # {text}", link.name));
    for lower in lowers(topology, link).into_iter().filter(|lower| topology.is_on_ports(lower)) {
        let object = format!("{} on {}", describe(link), lower.name);
        if !may_stand_on(topology, link, lower) {
            found.push(broken(&B11, 0, key, object, remove("no such device on a port")));
            continue;
        }
        let dot1ad = lower.bridge().is_some_and(is_dot1ad);
        if dot1ad {
            found.push(broken(&B5, 0, key, object, remove("use a bridge with 802.1Q")));
            continue;
        }
        if let LinkKind::Vlan { protocol, id } = &link.kind {
            if *protocol != VlanProtocol::Dot1q {
                let remedy = Remedy::commands(vec![
                    format!("ip link del {}", link.name),
                    format!("ip link add link {} name {} type vlan id {id}", lower.name, link.name),
                ]);
                let remedy = remedy.lines("vlan-protocol 802.1q", "[VLAN] Protocol=802.1q");
                found.push(broken(&B6, 0, key, object, remedy));
            } else if topology.bridge_of(lower).and_then(Link::bridge).is_some_and(is_dot1ad) {
                found.push(broken(&B5, 1, key, object, remove("use a bridge with 802.1Q")));
            }
        }
    }
}

/// What is below a link: its members or what it stands on.
fn lowers<'a>(topology: &Topology<'a>, link: &Link) -> Vec<&'a Link> {
    let below = match &link.kind {
        LinkKind::Vxlan(vxlan) => vxlan.underlay,
        _ => link.lower.filter(|_| link.lower_namespace.is_none()),
    };
    let below = below
        .and_then(|below| topology.model.link(below))
        .filter(|below| topology.uppers_of(below.index).any(|upper| upper.index == link.index));
    topology.members_of(link.index).chain(below).collect()
}

/// The driver's lists of what may stand on a port or bond, on a VLAN of one, on a bridge, on a bridge's VLAN, on a macvlan.
fn may_stand_on(topology: &Topology<'_>, upper: &Link, lower: &Link) -> bool {
    let is_vrf = matches!(upper.kind, LinkKind::Vrf { .. });
    let is_vlan = matches!(upper.kind, LinkKind::Vlan { .. });
    let macvlan_or_vrf = is_macvlan(upper) || is_vrf;
    match &lower.kind {
        LinkKind::Bridge(_) => is_vlan || macvlan_or_vrf,
        LinkKind::Vlan { .. } => {
            let on_bridge = lower
                .lower
                .and_then(|below| topology.model.link(below))
                .is_some_and(|below| below.bridge().is_some());
            macvlan_or_vrf || (upper.bridge().is_some() && !on_bridge)
        }
        _ if is_macvlan(lower) => is_vrf,
        LinkKind::Bond(_) => {
            is_vlan || macvlan_or_vrf || upper.bridge().is_some() || is_aggregate(upper)
        }
        _ if topology.is_port(lower) => {
            is_vlan || macvlan_or_vrf || upper.bridge().is_some() || is_aggregate(upper)
        }
        // Nothing is known of what the driver would say.
        _ => true,
    }
}

fn is_aggregate(link: &Link) -> bool {
    match &link.kind {
        LinkKind::Bond(_) => true,
        LinkKind::Other(kind) => kind == "team" || kind == "openvswitch",
        _ => false,
    }
}

fn check_bond(topology: &Topology<'_>, link: &Link, found: &mut Vec<Violation>) {
    let LinkKind::Bond(bond) = &link.kind else { return };
    if !bond.mode.hashes() {
        let members: Vec<&Link> = topology.members_of(link.index).collect();
        let each = |word: &str| -> Vec<String> {
            members.iter().map(|member| format!("ip link set {} {word}", member.name)).collect()
        };
        let mut commands = each("nomaster");
        commands.push(format!("ip link set {} down", link.name));
        commands.push(format!("ip link set {} type bond mode 802.3ad", link.name));
        commands.extend(each("down"));
        commands.extend(each(&format!("master {}", link.name)));
        let remedy = Remedy::commands(commands).lines("bond-mode 802.3ad", "[Bond] Mode=802.3ad");
        let object = format!("bond {} of mode {}", link.name, bond.mode.name());
        found.push(broken(&B9, 0, link.key(), object, remedy));
    }
}

/// VLAN devices of a port that belongs to something itself.
fn check_vlan_device(topology: &Topology<'_>, link: &Link, found: &mut Vec<Violation>) {
    let LinkKind::Vlan { id, .. } = link.kind else { return };
    let Some(lower) = link.lower.and_then(|lower| topology.model.link(lower)) else { return };
    let object = format!("VLAN device {}", link.name);
    if topology.is_port(lower)
        && let Some(bond) = topology.master_of(lower).filter(|master| is_aggregate(master))
    {
        let remedy = Remedy::commands(vec![
            format!("ip link del {}", link.name),
            format!("ip link set {} down", lower.name),
            format!("ip link set {} master {}", lower.name, bond.name),
            format!("ip link add link {} name {}.{id} type vlan id {id}", bond.name, bond.name),
        ]);
        found.push(broken(&B10, 0, link.key(), object.clone(), remedy));
    }
    let Some(bridge) = topology.bridge_of(link) else { return };
    if has_vlans(bridge) {
        let remedy = Remedy::commands(vec![
            format!("ip link del {}", link.name),
            format!("ip link set {} master {}", lower.name, bridge.name),
            format!("bridge vlan add dev {} vid {id}", lower.name),
        ]);
        let remedy = remedy.lines("bridge-ports PORT, bridge-vids VLAN", "[BridgeVLAN] VLAN=VLAN");
        found.push(broken(&B7, 0, link.key(), object, remedy));
        return;
    }
    let first = topology.members_of(bridge.index).find(|member| {
        member.index == lower.index
            || topology.vlan_uppers_of(lower.index).any(|it| it.index == member.index)
    });
    if first.is_some_and(|first| first.index != link.index) {
        let remedy = Remedy::command(format!("ip link set {} nomaster", link.name));
        found.push(broken(&B7, 1, link.key(), object, remedy));
    }
}

fn check_flags(topology: &Topology<'_>, link: &Link, found: &mut Vec<Violation>) {
    let (Some(port), Some(_)) = (link.port, topology.bridge_of(link)) else { return };
    let knows_locked = topology.profile.kernel >= KernelVersion::new(6, 2);
    let back: Vec<&str> = [
        (!port.broadcast_flood, "bcast_flood on"),
        (port.isolated, "isolated off"),
        (port.hairpin, "hairpin off"),
        (port.multicast_to_unicast, "mcast_to_unicast off"),
        (port.locked && !knows_locked, "locked off"),
    ]
    .into_iter()
    .filter_map(|(is_set, words)| is_set.then_some(words))
    .collect();
    if !back.is_empty() {
        let remedy =
            Remedy::command(format!("bridge link set dev {} {}", link.name, back.join(" ")));
        found.push(broken(&B12, 0, link.key(), format!("bridge port {}", link.name), remedy));
    }
}

/// A port that is no longer in the namespace of its switch.
pub fn port_left(port: &Link) -> Violation {
    broken(&B13, 0, port.key(), format!("port {}", port.name), Remedy::default())
}

/// An address on a bridge with 802.1ad.
pub(super) fn check_address(
    topology: &Topology<'_>,
    address: &Address,
    found: &mut Vec<Violation>,
) {
    let Some(link) = topology.model.link(address.ifindex) else { return };
    let concerns = topology.is_on_ports(link)
        && link.bridge().is_some_and(is_dot1ad)
        && !is_automatic(address)
        && B5.scope.covers(topology.profile);
    if concerns {
        let text = format!("{} dev {}", address.prefix, link.name);
        let remedy = Remedy::command(format!("ip address del {text}"));
        found.push(broken(&B5, 3, address.key(), format!("address {text}"), remedy));
    }
}

/// The kernel gives every link one by itself, and does without where the driver refuses.
pub(super) fn is_automatic(address: &Address) -> bool {
    matches!(address.prefix.addr(), IpAddr::V6(address) if address.is_unicast_link_local())
}

pub(super) fn has_vlans(link: &Link) -> bool {
    link.bridge().is_some_and(|bridge| bridge.vlan_filtering)
}

fn is_dot1ad(bridge: &Bridge) -> bool {
    bridge.vlan_filtering && bridge.vlan_protocol == VlanProtocol::Dot1ad
}

fn describe(link: &Link) -> String {
    let kind = match &link.kind {
        LinkKind::Bridge(_) => "bridge",
        LinkKind::Vxlan(_) => "vxlan device",
        LinkKind::Vlan { .. } => "VLAN device",
        LinkKind::Vrf { .. } => "VRF",
        LinkKind::Bond(_) => "bond",
        LinkKind::Macvlan => "macvlan device",
        LinkKind::Other(kind) => return format!("{kind} device {}", link.name),
        LinkKind::Veth | LinkKind::Dummy | LinkKind::Loopback | LinkKind::Physical => "link",
    };
    format!("{kind} {}", link.name)
}
