//! What Spectrum's driver demands of VXLAN devices and of what they forward by (table V).
//!
//! It looks at a device only once it counts: in a bridge with a port of the switch, up, and, where the bridge has VLANs,
//! mapped to one by an untagged PVID. Until then all is taken in silence; afterwards all devices share one tunnel
//! configuration.

use std::collections::HashMap;
use std::net::IpAddr;

use super::constraint::{Constraint, Effect, Remedy, Scope, Violation};
use super::topology::Topology;
use super::{Profile, broken};
use crate::kernel::{FdbDetour, FdbEntry, FdbTable, Ifindex, Link, VlanProtocol, Vxlan};

const JOIN: Effect = Effect::Refused {
    at: "bridge vlan add dev VXLAN vid VLAN pvid untagged, if the device is up; otherwise ip link set VXLAN up",
};
const FDB: Effect = Effect::Refused { at: "bridge fdb add, append or replace" };

macro_rules! constraint {
    ($name:ident, $id:literal, $effect:expr, $scope:expr, $rule:literal, [$($words:literal),* $(,)?]) => {
        pub(super) static $name: Constraint = Constraint {
            id: $id,
            rule: $rule,
            words: &[$(concat!("mlxsw_spectrum: ", $words)),*],
            effect: $effect,
            scope: $scope,
        };
    };
}
pub(super) use constraint;

constraint!(
    V1,
    "V1",
    JOIN,
    Scope::SPECTRUM,
    "no multicast group",
    ["VxLAN: Multicast destination IP is not supported"]
);
constraint!(
    V2,
    "V2",
    JOIN,
    Scope::SPECTRUM,
    "a source address (`local`)",
    ["VxLAN: Source address must be specified"]
);
constraint!(
    V3,
    "V3",
    JOIN,
    Scope::SPECTRUM,
    "no underlay device (`dev`), hence no underlay in a VRF",
    ["VxLAN: Local interface is not supported"]
);
constraint!(
    V4,
    "V4",
    JOIN,
    Scope::SPECTRUM,
    "no UDP source port range (`srcport`)",
    ["VxLAN: Only default UDP source port range is supported"]
);
constraint!(
    V5,
    "V5",
    JOIN,
    Scope::SPECTRUM,
    "the TOS of the inner header (`tos inherit`)",
    ["VxLAN: TOS must be configured to inherit"]
);
constraint!(
    V6,
    "V6",
    JOIN,
    Scope::SPECTRUM,
    "a TTL of its own: not inherited, not the kernel's choice",
    ["VxLAN: TTL must not be configured to inherit", "VxLAN: TTL must not be configured to 0",]
);
constraint!(
    V7,
    "V7",
    JOIN,
    Scope::SPECTRUM,
    "over IPv4, no UDP checksum (`noudpcsum`); the kernel's default is one",
    ["VxLAN: Zero UDP checksum must be allowed for TX"]
);
constraint!(
    V8,
    "V8",
    JOIN,
    Scope::SPECTRUM,
    "over IPv6, no UDP checksum sent nor wanted (`udp6zerocsumtx udp6zerocsumrx`)",
    [
        "VxLAN: Zero UDP checksum must be allowed for TX",
        "VxLAN: Zero UDP checksum must be allowed for RX",
    ]
);
constraint!(
    V9,
    "V9",
    JOIN,
    Scope::SPECTRUM,
    "one device per VNI (not `external`, not `vnifilter`), and none of `proxy`, `rsc`, `l2miss`, `l3miss`, `gbp`, `gpe`, remote checksums",
    ["VxLAN: Unsupported flag"]
);
constraint!(
    V10,
    "V10",
    JOIN,
    Scope::SPECTRUM,
    "over IPv6, no learning (`nolearning`)",
    ["VxLAN: Unsupported flag"]
);
constraint!(
    V11,
    "V11",
    JOIN,
    Scope::SPECTRUM,
    "flow label 0",
    ["VxLAN: Flow label must be configured to 0"]
);
constraint!(
    V12,
    "V12",
    JOIN,
    Scope::SPECTRUM_1,
    "no bridge with 802.1ad",
    ["VxLAN: 802.1ad bridge is not supported with VxLAN"]
);
constraint!(
    V13,
    "V13",
    JOIN,
    Scope::SPECTRUM,
    "the same TTL, source address, UDP port and learning as every other device",
    ["Conflicting NVE tunnels configuration"]
);
constraint!(
    V14,
    "V14",
    FDB,
    Scope::SPECTRUM,
    "FDB entries go by their device's UDP port and VNI, to one VTEP; no multicast MACs",
    [
        "VxLAN: FDB: Non-default remote port is not supported",
        "VxLAN: FDB: Non-default VNI is not supported",
        "VxLAN: FDB: Local interface is not supported",
        "VxLAN: FDB: Multicast MAC addresses not supported",
        "VxLAN: FDB: Multicast destination IP is not supported",
    ]
);
constraint!(
    V16,
    "V16",
    JOIN,
    Scope::spectrum_before(5, 17),
    "an IPv4 underlay",
    ["VxLAN: Only IPv4 underlay is supported"]
);

pub(super) static ALL: [&Constraint; 15] =
    [&V1, &V2, &V3, &V4, &V5, &V6, &V7, &V8, &V9, &V10, &V11, &V12, &V13, &V14, &V16];

/// What one configuration serves all devices.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Tunnel {
    ttl: u8,
    local: Option<IpAddr>,
    port: u16,
    learning: bool,
}

impl From<&Vxlan> for Tunnel {
    fn from(vxlan: &Vxlan) -> Self {
        let Vxlan { ttl, local, port, learning, .. } = *vxlan;
        Self { ttl, local, port, learning }
    }
}

/// What most devices agree on.
#[derive(Default)]
pub(super) struct CommonTunnel(Option<Tunnel>);

impl CommonTunnel {
    pub(super) fn of(topology: &Topology<'_>) -> Self {
        let mut devices: HashMap<Tunnel, (usize, Ifindex)> = HashMap::new();
        for link in topology.model.links() {
            let Some((vxlan, bridge)) = counts(topology, link) else { continue };
            if is_mapped(topology, link, bridge)
                && broken_by(vxlan, bridge, topology.profile).is_empty()
            {
                let (count, first) = devices.entry(vxlan.into()).or_insert((0, link.index));
                *count += 1;
                *first = (*first).min(link.index);
            }
        }
        let most =
            |(_, (count, first)): &(Tunnel, (usize, Ifindex))| (*count, std::cmp::Reverse(*first));
        Self(devices.into_iter().max_by_key(most).map(|(tunnel, _)| tunnel))
    }
}

/// The device and its bridge, if the driver will look at it.
fn counts<'a>(topology: &Topology<'a>, link: &'a Link) -> Option<(&'a Vxlan, &'a Link)> {
    let bridge = topology.bridge_of(link).filter(|bridge| topology.is_on_ports(bridge))?;
    Some((link.vxlan()?, bridge))
}

fn has_vlans(bridge: &Link) -> bool {
    bridge.bridge().is_some_and(|bridge| bridge.vlan_filtering)
}

fn is_mapped(topology: &Topology<'_>, link: &Link, bridge: &Link) -> bool {
    !has_vlans(bridge) || topology.mapped_vlan(link).is_some()
}

pub(super) fn check_link(
    topology: &Topology<'_>,
    common: &CommonTunnel,
    link: &Link,
    found: &mut Vec<Violation>,
) {
    let Some((vxlan, bridge)) = counts(topology, link) else { return };
    let reasons = broken_by(vxlan, bridge, topology.profile);
    let effect = if is_mapped(topology, link, bridge) { JOIN } else { Effect::Silent };
    let object = format!("vxlan device {}", link.name);
    for (constraint, words) in &reasons {
        let remedy = recreate(topology, link, vxlan, common);
        let mut violation =
            broken(constraint, *words, link.key(), object.clone(), lines(constraint, remedy));
        // Without a VLAN, the driver will not even look; a device for many VNIs never gets one.
        if vxlan.external && effect == Effect::Silent {
            violation.effect = Effect::Silent;
            violation.words = None;
        }
        found.push(violation);
    }
    if reasons.is_empty()
        && is_mapped(topology, link, bridge)
        && V13.scope.covers(topology.profile)
        && common.0.is_some_and(|common| common != Tunnel::from(vxlan))
    {
        let remedy = recreate(topology, link, vxlan, common);
        found.push(broken(&V13, 0, link.key(), object, remedy));
    }
}

/// Which constraints a device breaks by itself, in the order in which the driver looks; the first is what it says.
fn broken_by(vxlan: &Vxlan, bridge: &Link, profile: &Profile) -> Vec<(&'static Constraint, usize)> {
    let v6 = vxlan.local.is_some_and(|local| local.is_ipv6());
    let v4 = !v6;
    let dot1ad = bridge
        .bridge()
        .is_some_and(|it| it.vlan_filtering && it.vlan_protocol == VlanProtocol::Dot1ad);
    let rare = &vxlan.extensions;
    let flags = vxlan.external
        || vxlan.vni_filter
        || vxlan.proxy
        || rare.route_short_circuit
        || rare.l2miss
        || rare.l3miss
        || rare.group_policy
        || rare.generic_protocol
        || rare.remote_checksum_tx
        || rare.remote_checksum_rx;
    let all: [(bool, &'static Constraint, usize); 15] = [
        (dot1ad, &V12, 0),
        (v6, &V16, 0),
        (vxlan.group.is_some_and(|group| group.is_multicast()), &V1, 0),
        (vxlan.local.is_none(), &V2, 0),
        (vxlan.underlay.is_some(), &V3, 0),
        (vxlan.source_ports != (0, 0), &V4, 0),
        (vxlan.tos != TOS_INHERIT, &V5, 0),
        (vxlan.ttl_inherit, &V6, 0),
        (v4 && vxlan.local.is_some() && vxlan.udp_checksum, &V7, 0),
        (v6 && !vxlan.udp6_zero_checksum_tx, &V8, 0),
        (v6 && vxlan.udp6_zero_checksum_tx && !vxlan.udp6_zero_checksum_rx, &V8, 1),
        (flags, &V9, 0),
        (v6 && vxlan.learning, &V10, 0),
        (vxlan.ttl == 0 && !vxlan.ttl_inherit, &V6, 1),
        (vxlan.flow_label != 0, &V11, 0),
    ];
    all.into_iter()
        .filter(|(is_broken, constraint, _)| *is_broken && constraint.scope.covers(profile))
        .map(|(_, constraint, words)| (constraint, words))
        .collect()
}

const TOS_INHERIT: u8 = 1;

pub(super) fn check_fdb(topology: &Topology<'_>, entry: &FdbEntry, found: &mut Vec<Violation>) {
    if entry.table != FdbTable::Vxlan || !V14.scope.covers(topology.profile) {
        return;
    }
    let Some(link) = topology.model.link(entry.ifindex) else { return };
    let Some((vxlan, _)) = counts(topology, link) else { return };
    let words = match entry.detour {
        Some(FdbDetour::Port) => 0,
        _ if entry.vni.is_some() && entry.vni != vxlan.vni => 1,
        Some(FdbDetour::Vni) => 1,
        Some(FdbDetour::Link) => 2,
        None if entry.mac.is_multicast() => 3,
        None if entry.destination.is_some_and(|destination| destination.is_multicast()) => 4,
        None => return,
    };
    let destination =
        entry.destination.map(|address| format!(" dst {address}")).unwrap_or_default();
    let entry_text = format!("{}{destination} dev {}", entry.mac, link.name);
    let remedy = match words {
        0 | 2 => Remedy::commands(vec![
            format!("bridge fdb del {entry_text} self"),
            format!("bridge fdb append {entry_text} self"),
        ]),
        _ => Remedy::command(format!("bridge fdb del {entry_text} self")),
    };
    found.push(broken(&V14, words, entry.key(), format!("fdb entry {entry_text}"), remedy));
}

/// The lines of the two configuration systems that say what a constraint demands.
fn lines(constraint: &Constraint, remedy: Remedy) -> Remedy {
    match constraint.id {
        "V1" => remedy.lines("", "[VXLAN] without Group="),
        "V2" => remedy.lines("vxlan-local-tunnelip ADDRESS", "[VXLAN] Local=ADDRESS"),
        "V3" => remedy.lines("no vxlan-physdev", "[VXLAN] Independent=yes"),
        "V4" => remedy.lines("no vxlan-srcport", "[VXLAN] without PortRange="),
        "V5" => remedy.lines("vxlan-tos inherit (ifupdown2 newer than 3.0.0)", "[VXLAN] TOS=1"),
        "V6" => remedy.lines("vxlan-ttl 64", "[VXLAN] TTL=64"),
        "V7" => remedy
            .lines("vxlan-udp-csum off (ifupdown2 newer than 3.0.0)", "[VXLAN] UDPChecksum=no"),
        "V8" => remedy.lines("", "[VXLAN] UDP6ZeroChecksumTx=yes UDP6ZeroChecksumRx=yes"),
        "V10" => remedy.lines("vxlan-learning no", "[VXLAN] MacLearning=no"),
        "V11" => remedy.lines("", "[VXLAN] FlowLabel=0"),
        _ => remedy,
    }
}

/// The device as hardware can take it, in its place. Most of what is wrong cannot be changed on a device that exists.
fn recreate(topology: &Topology<'_>, link: &Link, vxlan: &Vxlan, common: &CommonTunnel) -> Remedy {
    let name = &link.name;
    let (local, common) = (vxlan.local.or_else(|| common.0?.local), common.0);
    let local_text = local.map_or_else(|| "ADDRESS".to_owned(), |local| local.to_string());
    let v6 = local.is_some_and(|local| local.is_ipv6());
    let learning = !v6 && common.map_or(vxlan.learning, |common| common.learning);
    let own_ttl = Some(vxlan.ttl).filter(|ttl| *ttl != 0 && !vxlan.ttl_inherit).unwrap_or(64);
    let ttl = common.map_or(own_ttl, |common| common.ttl);
    let port = common.map_or(vxlan.port, |common| common.port);
    let local_text = match common.and_then(|common| common.local) {
        Some(shared) if vxlan.local.is_some() && vxlan.local != Some(shared) => shared.to_string(),
        _ => local_text,
    };
    let add = |name: &str, vni: &str| {
        format!(
            "ip link add {name} type vxlan id {vni} local {local_text} dstport {port} {} ttl {ttl} tos inherit {}",
            if learning { "learning" } else { "nolearning" },
            if v6 { "udp6zerocsumtx udp6zerocsumrx" } else { "noudpcsum" },
        )
    };
    let bridge = link.master.map(|master| topology.name(master)).unwrap_or_default();
    let Some(vni) = vxlan.vni else {
        // One device for many VNIs: there is one to be made for each.
        return Remedy::commands(vec![
            format!("ip link del {name}"),
            add("vxVNI", "VNI"),
            format!("ip link set vxVNI master {bridge}"),
            "bridge vlan add dev vxVNI vid VLAN pvid untagged".to_owned(),
            "ip link set vxVNI up".to_owned(),
        ]);
    };
    let mut commands = vec![
        format!("ip link del {name}"),
        add(name, &vni.to_string()),
        format!("ip link set {name} master {bridge}"),
    ];
    let vlans = topology.model.vlans_of(link.index);
    commands.extend(vlans.iter().map(|vlan| {
        let flags = match (vlan.pvid, vlan.untagged) {
            (true, true) => " pvid untagged",
            (true, false) => " pvid",
            (false, true) => " untagged",
            (false, false) => "",
        };
        format!("bridge vlan add dev {name} vid {}{flags}", vlan.vlan)
    }));
    if let Some(port) = link.port {
        let mut settings = String::new();
        for (is_set, words) in
            [(!port.learning, " learning off"), (port.neigh_suppress, " neigh_suppress on")]
        {
            settings.push_str(if is_set { words } else { "" });
        }
        if !settings.is_empty() {
            commands.push(format!("bridge link set dev {name}{settings}"));
        }
    }
    commands.push(format!("ip link set {name} up"));
    Remedy::commands(commands)
}
