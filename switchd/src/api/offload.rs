//! `offload`: every object in the kernel, as iproute2 writes it, and what the hardware made of it.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use platform::asic::{self, Prediction};
use platform::kernel::{
    FdbEntry, FdbState, FilterPlace, Ifindex, Key, LinkKind, Model, Nexthop, NexthopKind, Object,
    PROTOCOL_BGP, Route, RouteKind, TABLE_LOCAL, TABLE_MAIN, Verdict, Via,
};

use super::proto::{Asic, Hardware, OffloadCount, OffloadEntry, Resource, Violation};
use crate::core::Core;
use crate::ledger::Standing;

/// The switch ASIC, its tables, and how many entries stand where.
pub(super) fn hardware(core: &Core, now: Instant) -> Hardware {
    Hardware {
        asic: core.ledger().profile().map(|profile| Asic {
            driver: profile.driver.to_string(),
            profile: profile.to_string(),
            ports: core.ledger().ports(core.model()).into_iter().map(|port| port.name).collect(),
        }),
        counts: counts(core, now)
            .into_iter()
            .map(|((kind, verdict), entries)| OffloadCount {
                kind: kind.to_owned(),
                verdict: verdict.to_owned(),
                entries,
            })
            .collect(),
        resources: core
            .capacity()
            .fills()
            .iter()
            .map(|fill| Resource {
                path: fill.path.clone(),
                size: fill.size,
                occupied: fill.occupied,
                unit: fill.unit.clone(),
            })
            .collect(),
    }
}

/// How many objects of each kind have each verdict.
pub(crate) fn counts(core: &Core, now: Instant) -> BTreeMap<(&'static str, &'static str), u64> {
    let mut counts: BTreeMap<_, u64> = BTreeMap::new();
    let vteps = vteps(core.model());
    if core.ledger().profile().is_none() {
        // All of it is software: a million routes need not be looked at one by one for that.
        let model = core.model();
        let floods = model.fdb().filter(|entry| entry.is_flood()).count();
        for (kind, objects) in [
            ("link", model.links().count()),
            ("bridge-vlan", model.bridge_vlans().count()),
            ("flood", floods),
            ("fdb", model.fdb().count() - floods),
            ("neighbor", model.neighbors().count()),
            ("nexthop", model.nexthops().count()),
            ("route", model.routes().count()),
            ("filter", model.filters().count()),
        ] {
            counts.insert((kind, verdict(&Verdict::Software)), objects as u64);
        }
        for object in core.missing() {
            let standing = core.standing(&object, &Prediction::default(), now);
            let verdict = verdict(&standing.verdict);
            *counts.entry((kind(&object, &vteps), verdict)).or_default() += 1;
        }
        return counts;
    }
    let prediction = core.ledger().predict(core.model());
    for object in objects(core) {
        let verdict = verdict(&core.standing(&object, &prediction, now).verdict);
        *counts.entry((kind(&object, &vteps), verdict)).or_default() += 1;
    }
    counts
}

/// Every entry, or those that should be in hardware and are not, in the order of their keys.
pub(super) fn entries(core: &Core, all: bool, now: Instant) -> Vec<OffloadEntry> {
    let prediction = core.ledger().predict(core.model());
    let vteps = vteps(core.model());
    let mut listed: Vec<(Key, OffloadEntry)> = objects(core)
        .map(|object| (core.standing(&object, &prediction, now), object))
        .filter(|(standing, _)| all || is_news(standing))
        .map(|(standing, object)| (object.key(), view(core, &object, standing, &vteps)))
        .collect();
    listed.sort_by_key(|(key, _)| *key);
    listed.into_iter().map(|(_, entry)| entry).collect()
}

/// How many entries are refused, by kind, reason, constraint and remedy.
pub(super) fn refusals(core: &Core, now: Instant) -> BTreeMap<Refused, (u64, String)> {
    let prediction = core.ledger().predict(core.model());
    let vteps = vteps(core.model());
    let mut refused: BTreeMap<Refused, (u64, String)> = BTreeMap::new();
    for object in objects(core) {
        let standing = core.standing(&object, &prediction, now);
        if matches!(standing.verdict, Verdict::Refused { .. }) {
            let key = Refused {
                kind: kind(&object, &vteps),
                reason: standing.reason,
                constraint: standing.constraint,
                remedy: standing.remedy,
            };
            refused.entry(key).or_insert_with(|| (0, text(&object, core.model()))).0 += 1;
        }
    }
    refused
}

/// What refused entries have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refused {
    pub(super) kind: &'static str,
    pub(super) reason: String,
    pub(super) constraint: Option<&'static str>,
    pub(super) remedy: String,
}

/// Whether an operator wants to hear of it unasked.
fn is_news(standing: &Standing) -> bool {
    match standing.verdict {
        Verdict::Refused { .. } | Verdict::Pending => true,
        Verdict::Software => standing.expected,
        Verdict::InHardware | Verdict::Trapped => false,
    }
}

/// The own addresses of VXLAN devices: packets by the local routes to them end a tunnel.
fn vteps(model: &Model) -> HashSet<IpAddr> {
    model.links().filter_map(|link| link.vxlan()?.local).collect()
}

/// What the kernel holds, and what it should hold.
fn objects(core: &Core) -> impl Iterator<Item = Object> {
    let model = core.model();
    let missing = core.missing().filter(|object| model.get(&object.key()).is_none());
    model.objects().filter(has_verdict).chain(missing)
}

/// Addresses and rules are never in hardware themselves: what follows from them is.
fn has_verdict(object: &Object) -> bool {
    !matches!(object, Object::Address(_) | Object::Rule(_))
}

/// One object.
pub(super) fn entry(
    core: &Core,
    object: &Object,
    prediction: &Prediction,
    now: Instant,
) -> OffloadEntry {
    view(core, object, core.standing(object, prediction, now), &vteps(core.model()))
}

fn view(core: &Core, object: &Object, standing: Standing, vteps: &HashSet<IpAddr>) -> OffloadEntry {
    OffloadEntry {
        kind: kind(object, vteps).to_owned(),
        entry: text(object, core.model()),
        verdict: verdict(&standing.verdict).to_owned(),
        reason: standing.reason,
        owner: owner(core, object),
        expected: standing.expected,
        constraint: standing.constraint.unwrap_or_default().to_owned(),
        remedy: standing.remedy,
        seen_ms_ago: standing.seen.map(|seen| u64::try_from(seen.as_millis()).unwrap_or(u64::MAX)),
    }
}

pub(super) fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::InHardware => "in-hardware",
        Verdict::Trapped => "trapped",
        Verdict::Software => "software",
        Verdict::Pending => "pending",
        Verdict::Refused { .. } => "refused",
    }
}

fn kind(object: &Object, vteps: &HashSet<IpAddr>) -> &'static str {
    match object {
        Object::Link(_) => "link",
        Object::Address(_) => "address",
        Object::BridgeVlan(_) => "bridge-vlan",
        Object::Fdb(entry) if entry.is_flood() => "flood",
        Object::Fdb(_) => "fdb",
        Object::Neighbor(_) => "neighbor",
        Object::Nexthop(_) => "nexthop",
        Object::Route(route) if is_decap(route, vteps) => "decap",
        Object::Route(_) => "route",
        Object::Rule(_) => "rule",
        Object::Filter(_) => "filter",
    }
}

fn is_decap(route: &Route, vteps: &HashSet<IpAddr>) -> bool {
    route.kind == RouteKind::Local
        && route.table == TABLE_LOCAL
        && vteps.contains(&route.prefix.addr())
}

/// An entry as iproute2 writes it.
pub(super) fn text(object: &Object, model: &Model) -> String {
    let name = |index| name(index, model);
    match object {
        Object::Link(link) => link.name.clone(),
        Object::Address(address) => format!("{} dev {}", address.prefix, name(address.ifindex)),
        Object::BridgeVlan(vlan) => {
            let pvid = if vlan.pvid { " pvid" } else { "" };
            let untagged = if vlan.untagged { " untagged" } else { "" };
            let own = if vlan.of_bridge { " self" } else { "" };
            format!("dev {} vid {}{pvid}{untagged}{own}", name(vlan.ifindex), vlan.vlan)
        }
        Object::Fdb(entry) => fdb(entry, model),
        Object::Neighbor(neighbor) => {
            let mac = neighbor.mac.map(|mac| format!(" lladdr {mac}")).unwrap_or_default();
            format!("{} dev {}{mac}", neighbor.address, name(neighbor.ifindex))
        }
        Object::Nexthop(nexthop) => format!("id {}{}", nexthop.id, way(nexthop, model)),
        Object::Route(route) => route_text(route, model),
        Object::Rule(rule) => format!("pref {}", rule.priority),
        Object::Filter(filter) => {
            let place = match filter.id.place {
                FilterPlace::Ingress(link) => format!("dev {} ingress", name(link)),
                FilterPlace::Egress(link) => format!("dev {} egress", name(link)),
                FilterPlace::Block(block) => format!("block {block}"),
            };
            let (priority, handle) = (filter.id.priority, filter.id.handle);
            format!("{place} pref {priority} handle {handle:#x} {}", filter.kind)
        }
    }
}

fn fdb(entry: &FdbEntry, model: &Model) -> String {
    let destination =
        entry.destination.map(|address| format!(" dst {address}")).unwrap_or_default();
    let vlan = entry.vlan.map(|vlan| format!(" vlan {vlan}")).unwrap_or_default();
    let nexthop = entry.nexthop.map(|id| format!(" nhid {id}")).unwrap_or_default();
    let link = name(entry.ifindex, model);
    format!("{} dev {link}{vlan}{destination}{nexthop} {}", entry.mac, entry.table)
}

fn way(nexthop: &Nexthop, model: &Model) -> String {
    match &nexthop.kind {
        NexthopKind::Gateway { address, ifindex, .. } => {
            format!(" via {address} dev {}", name(*ifindex, model))
        }
        NexthopKind::Device { ifindex, .. } => format!(" dev {}", name(*ifindex, model)),
        NexthopKind::Blackhole { .. } => " blackhole".to_owned(),
        NexthopKind::Fdb { address } => format!(" via {address} fdb"),
        NexthopKind::Group(_) | NexthopKind::FdbGroup(_) | NexthopKind::ResilientGroup { .. } => {
            let members: Vec<String> =
                nexthop.kind.members().iter().map(|member| member.id.to_string()).collect();
            format!(" group {}", members.join("/"))
        }
    }
}

fn route_text(route: &Route, model: &Model) -> String {
    let kind = match route.kind {
        RouteKind::Unicast => "",
        RouteKind::Local => "local ",
        RouteKind::Broadcast => "broadcast ",
        RouteKind::Anycast => "anycast ",
        RouteKind::Multicast => "multicast ",
        RouteKind::Blackhole => "blackhole ",
        RouteKind::Unreachable => "unreachable ",
        RouteKind::Prohibit => "prohibit ",
        RouteKind::Other(_) => "other ",
    };
    let by = match &route.via {
        Via::Nexthop(id) => match model.get(&Key::Nexthop(*id)) {
            Some(Object::Nexthop(nexthop)) => format!(" nhid {id}{}", way(&nexthop, model)),
            _ => format!(" nhid {id}"),
        },
        Via::Hops(hops) => hops
            .iter()
            .map(|hop| {
                let gateway = hop.gateway.map(|via| format!(" via {via}")).unwrap_or_default();
                format!("{gateway} dev {}", name(hop.ifindex, model))
            })
            .collect(),
    };
    let table = match route.table {
        TABLE_MAIN | TABLE_LOCAL => String::new(),
        table => format!(" table {table}"),
    };
    format!("{kind}{}{by}{table}", route.prefix)
}

/// A link's name for people.
pub(super) fn name(index: Ifindex, model: &Model) -> String {
    model.link(index).map_or_else(|| format!("if{index}"), |link| link.name.clone())
}

/// Who made an object, as far as the kernel tells.
fn owner(core: &Core, object: &Object) -> String {
    if core.is_desired(&object.key()) {
        return "switchd".to_owned();
    }
    match object {
        Object::Fdb(entry) => {
            let is_vxlan = core
                .model()
                .link(entry.ifindex)
                .is_some_and(|link| matches!(link.kind, LinkKind::Vxlan(_)));
            match (entry.extern_learn, entry.state) {
                (true, _) if !is_vxlan => "hardware",
                (true, _) => "control plane",
                (false, FdbState::Dynamic) => "kernel",
                (false, FdbState::Permanent | FdbState::Static) => "operator",
            }
            .to_owned()
        }
        Object::Neighbor(neighbor) => {
            if neighbor.extern_learn { "control plane" } else { "kernel" }.to_owned()
        }
        Object::Nexthop(nexthop) => protocol(nexthop.protocol),
        Object::Route(route) => protocol(route.protocol),
        _ => "operator".to_owned(),
    }
}

/// As /etc/iproute2/rt_protos names them.
fn protocol(number: u8) -> String {
    match number {
        2 => "kernel".to_owned(),
        3 => "boot".to_owned(),
        4 => "static".to_owned(),
        9 => "ra".to_owned(),
        11 => "zebra".to_owned(),
        12 => "bird".to_owned(),
        16 => "dhcp".to_owned(),
        PROTOCOL_BGP => "bgp".to_owned(),
        188 => "ospf".to_owned(),
        196 => "static".to_owned(),
        other => format!("protocol {other}"),
    }
}

/// What the ASIC's driver does not take of what is in the kernel now.
pub(super) fn violations(core: &Core) -> Vec<Violation> {
    let prediction = core.ledger().predict(core.model());
    let view = |violation: &asic::Violation| Violation {
        constraint: violation.constraint.id.to_owned(),
        object: violation.object.clone(),
        message: violation.words.unwrap_or(violation.constraint.rule).to_owned(),
        effect: violation.effect.to_string(),
        remedy: violation.remedy.commands.join("; "),
        config_line: violation
            .remedy
            .ifupdown2
            .or(violation.remedy.networkd)
            .unwrap_or_default()
            .to_owned(),
    };
    prediction.violations().iter().map(view).collect()
}
