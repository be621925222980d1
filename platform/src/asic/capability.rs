//! What other drivers than Spectrum's do not do at all (table 3.5 of the facts; rocker and netdevsim were run).

use super::broken;
use super::constraint::{Constraint, Effect, Remedy, Scope, Violation};
use super::topology::Topology;
use crate::kernel::{Ifindex, Link, LinkKind, Nexthop, NexthopMember, Route, RouteKind, Via};

macro_rules! lacking {
    ($name:ident, $id:literal, $rule:literal) => {
        static $name: Constraint = Constraint {
            id: $id,
            rule: $rule,
            words: &[],
            effect: Effect::Silent,
            scope: Scope::LACKING,
        };
    };
}

lacking!(C1, "C1", "this driver does not take VXLAN devices");
lacking!(C2, "C2", "this driver does not take IPv6 routes");
lacking!(C3, "C3", "this driver does not take bridges");
lacking!(C4, "C4", "this driver does not take bonds");
static C5: Constraint = Constraint {
    id: "C5",
    rule: "no IPv4 routes by nexthop objects; with the gateway written into the route it is taken",
    words: &["rocker: IPv4 route with nexthop objects is not supported"],
    effect: Effect::Refused { at: "ip route add" },
    scope: Scope::ROCKER,
};
static C6: Constraint = Constraint {
    id: "C6",
    rule: "no IPv6 gateways in IPv4 routes",
    words: &["rocker: IPv6 gateway with IPv4 route is not supported"],
    effect: Effect::Refused { at: "ip route add" },
    scope: Scope::ROCKER,
};
static C7: Constraint = Constraint {
    id: "C7",
    rule: "of a port's bridge flags, learning only",
    words: &["bridge: bridge flag offload is not supported"],
    effect: Effect::Refused { at: "bridge link set dev PORT ..." },
    scope: Scope::ROCKER,
};

pub(super) static ALL: [&Constraint; 7] = [&C1, &C2, &C3, &C4, &C5, &C6, &C7];

pub(super) fn check_link(topology: &Topology<'_>, link: &Link, found: &mut Vec<Violation>) {
    let can = topology.profile.capabilities();
    let mut add = |constraint: &'static Constraint, what: &str, remedy| {
        if constraint.scope.covers(topology.profile) {
            found.push(broken(constraint, 0, link.key(), format!("{what} {}", link.name), remedy));
        }
    };
    let bridged = topology.bridge_of(link).is_some_and(|bridge| topology.is_on_ports(bridge));
    match &link.kind {
        LinkKind::Vxlan(_) if bridged && !can.vxlan => add(&C1, "vxlan device", Remedy::default()),
        LinkKind::Bridge(_) if topology.is_on_ports(link) && !can.bridge => {
            add(&C3, "bridge", Remedy::default())
        }
        LinkKind::Bond(_) if topology.is_on_ports(link) && !can.bond => {
            add(&C4, "bond", Remedy::default())
        }
        _ => {}
    }
    let Some(port) = link.port.filter(|_| topology.is_on_ports(link)) else { return };
    let back: Vec<&str> = [
        (!port.flood, "flood on"),
        (!port.multicast_flood, "mcast_flood on"),
        (!port.broadcast_flood, "bcast_flood on"),
        (port.isolated, "isolated off"),
        (port.hairpin, "hairpin off"),
        (port.locked, "locked off"),
    ]
    .into_iter()
    .filter_map(|(is_set, words)| is_set.then_some(words))
    .collect();
    if !back.is_empty() {
        let command = format!("bridge link set dev {} {}", link.name, back.join(" "));
        add(&C7, "bridge port", Remedy::command(command));
    }
}

pub(super) fn check_route(topology: &Topology<'_>, route: &Route, found: &mut Vec<Violation>) {
    let by_port = |index| topology.model.link(index).is_some_and(|link| topology.is_on_ports(link));
    let nexthop = match &route.via {
        Via::Nexthop(id) => first_link(topology, *id),
        Via::Hops(hops) => hops.iter().map(|hop| hop.ifindex).find(|index| by_port(*index)),
    };
    if route.kind != RouteKind::Unicast || !nexthop.is_some_and(by_port) {
        return;
    }
    let can = topology.profile.capabilities();
    let mut add = |constraint: &'static Constraint, remedy| {
        if constraint.scope.covers(topology.profile) {
            let object = format!("route {}", route.prefix);
            found.push(broken(constraint, 0, route.key(), object, remedy));
        }
    };
    if route.prefix.addr().is_ipv6() {
        // netdevsim says of all routes that they go to the CPU, and that is what it does.
        if !can.ipv6_routes && can.ipv4_routes {
            add(&C2, Remedy::default());
        }
        return;
    }
    match &route.via {
        Via::Nexthop(id) => {
            let gateway = topology.model.nexthop(*id).and_then(Nexthop::gateway);
            let gateway = gateway.map_or_else(|| "GATEWAY".to_owned(), |it| it.to_string());
            let command = format!("ip route replace {} via {gateway}", route.prefix);
            add(&C5, Remedy::command(command));
        }
        Via::Hops(hops) if hops.iter().any(|hop| hop.gateway.is_some_and(|it| it.is_ipv6())) => {
            add(&C6, Remedy::default());
        }
        Via::Hops(_) => {}
    }
}

/// A link that a nexthop, or a member of a group, leads to.
fn first_link(topology: &Topology<'_>, id: u32) -> Option<Ifindex> {
    let nexthop = topology.model.nexthop(id)?;
    let member = |member: &NexthopMember| topology.model.nexthop(member.id).and_then(Nexthop::link);
    nexthop.link().or_else(|| nexthop.kind.members().iter().find_map(member))
}
