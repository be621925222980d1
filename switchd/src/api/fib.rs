//! What became of BGP's best unicast paths in the kernel, and in hardware: `show ip route bgp`.

use std::time::Instant;

use ipnet::IpNet;
use platform::asic::Prediction;
use platform::kernel::{Key, NexthopKind, Object, Route, RouteKind, TABLE_MAIN, Verdict, Via};

use super::proto::{FibNexthop, FibRoute};
use crate::core::Core;
use crate::desired::fib::{self, Outlook};

/// Prefixes to which BGP has a path, or that we aggregate, in no order.
pub(super) fn prefixes(core: &Core, v6: bool) -> Vec<IpNet> {
    core.fib_prefixes().filter(|prefix| prefix.addr().is_ipv6() == v6).collect()
}

/// What became of these, without those that BGP has no path to any more.
pub(super) fn routes(core: &Core, prefixes: &[IpNet], now: Instant) -> Vec<FibRoute> {
    prefixes.iter().filter_map(|prefix| route(core, *prefix, now)).collect()
}

fn route(core: &Core, prefix: IpNet, now: Instant) -> Option<FibRoute> {
    let outlook = core.fib_outlook(prefix)?;
    let key = fib::route_key(prefix);
    let held = match core.model().get(&key) {
        Some(Object::Route(held)) => Some(held),
        _ => None,
    };
    let standing = core.desired(&key).map(|wanted| {
        let is_ours = held.as_ref().is_some_and(Route::is_ours);
        (core.standing(&wanted, &Prediction::default(), now), is_ours)
    });
    let verdict = standing.as_ref().map(|(standing, _)| &standing.verdict);
    let installed =
        matches!(verdict, Some(Verdict::InHardware | Verdict::Trapped | Verdict::Software))
            || held.as_ref().is_some_and(|held| held.is_ours() && verdict.is_some());
    let reason = match (&outlook, &standing, &held) {
        (Outlook::Connected, ..) => "the kernel's own route to this subnet is better".to_owned(),
        (Outlook::Unreachable(next_hops), ..) => {
            let names: Vec<String> = next_hops.iter().map(ToString::to_string).collect();
            format!("nothing leads to next hop {}", names.join(", "))
        }
        (Outlook::Wanted, Some((_, false)), Some(held)) => format!(
            "another's route stands in its place (protocol {}, metric {})",
            held.protocol, held.metric
        ),
        // That hardware need not have it is no news.
        (Outlook::Wanted, Some((standing, _)), _)
            if !standing.reason.is_empty() && (standing.expected || !installed) =>
        {
            standing.reason.clone()
        }
        (Outlook::Wanted, ..) if !installed => "not written yet".to_owned(),
        (Outlook::Wanted, ..) => String::new(),
    };
    let metric = fib::METRIC;
    let is_better =
        |metric: u32| core.model().get(&Key::Route { table: TABLE_MAIN, prefix, metric });
    let selected = installed && (0..metric).all(|metric| is_better(metric).is_none());
    Some(FibRoute {
        prefix: prefix.to_string(),
        table: TABLE_MAIN,
        metric,
        installed,
        selected,
        offloaded: verdict == Some(&Verdict::InHardware),
        trapped: verdict == Some(&Verdict::Trapped),
        blackhole: held.as_ref().is_some_and(|held| held.kind == RouteKind::Blackhole),
        reason,
        nexthop_id: match held.as_ref().map(|held| &held.via) {
            Some(Via::Nexthop(id)) if installed => *id,
            _ => 0,
        },
        nexthops: held.filter(|_| installed).map(|held| hops(core, &held)).unwrap_or_default(),
    })
}

/// Where the kernel's route leads, with its nexthop object taken apart.
fn hops(core: &Core, route: &Route) -> Vec<FibNexthop> {
    let model = core.model();
    let hop = |gateway: Option<std::net::IpAddr>, ifindex: u32, weight: u32| FibNexthop {
        ip: gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
        ifindex,
        interface: model.link(ifindex).map(|link| link.name.clone()).unwrap_or_default(),
        weight,
    };
    let single = |id: u32, weight: u32| match model.nexthop(id)?.kind {
        NexthopKind::Gateway { address, ifindex, .. } => Some(hop(Some(address), ifindex, weight)),
        NexthopKind::Device { ifindex, .. } => Some(hop(None, ifindex, weight)),
        _ => None,
    };
    match &route.via {
        Via::Hops(hops) => {
            hops.iter().map(|part| hop(part.gateway, part.ifindex, part.weight.into())).collect()
        }
        Via::Nexthop(id) => match model.nexthop(*id).map(|nexthop| nexthop.kind.members()) {
            Some(members @ [_, ..]) => {
                members.iter().filter_map(|member| single(member.id, member.weight)).collect()
            }
            _ => single(*id, 1).into_iter().collect(),
        },
    }
}
