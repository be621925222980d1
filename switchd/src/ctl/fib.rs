//! `show ip route bgp` and `show ipv6 route bgp`: what became of BGP's best paths in the kernel.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Client, CtlError, Output, collect, table};
use crate::api::proto::{FibNexthop, FibRoute, ListFibRequest};

pub(super) async fn routes(
    client: &mut Client,
    output: Output,
    v6: bool,
    prefix: Option<String>,
) -> Result<String, CtlError> {
    let request = ListFibRequest { v6, prefix: prefix.unwrap_or_default() };
    let routes = collect(client.list_fib(request).await?.into_inner()).await?;
    Ok(output.render(|| json(&routes), || text(&routes)))
}

fn json(routes: &[FibRoute]) -> Value {
    let by_prefix: Map<String, Value> =
        routes.iter().map(|route| (route.prefix.clone(), json!([route_json(route)]))).collect();
    by_prefix.into()
}

/// FRR's keys, and `reason` where something is not as it should be.
fn route_json(route: &FibRoute) -> Value {
    let length = route.prefix.rsplit_once('/').and_then(|(_, length)| length.parse::<u8>().ok());
    let mut value = json!({
        "prefix": route.prefix,
        "prefixLen": length,
        "protocol": "bgp",
        "vrfId": 0,
        "vrfName": "default",
        "distance": 20,
        "metric": 0,
        "table": route.table,
        "nexthops": route.nexthops.iter().map(nexthop_json).collect::<Vec<_>>(),
    });
    // As in FRR, these are there only if true.
    for (key, holds) in [
        ("selected", route.selected),
        ("destSelected", route.selected),
        ("installed", route.installed),
        ("offloaded", route.offloaded),
        ("trapped", route.trapped),
    ] {
        if holds {
            value[key] = true.into();
        }
    }
    if route.nexthop_id != 0 {
        value["installedNexthopGroupId"] = route.nexthop_id.into();
    }
    if route.blackhole {
        value["nexthops"] = json!([{ "blackhole": true, "active": true, "fib": true }]);
    }
    if !route.reason.is_empty() {
        value["reason"] = route.reason.clone().into();
    }
    value
}

fn nexthop_json(nexthop: &FibNexthop) -> Value {
    let mut value = json!({
        "fib": true,
        "active": true,
        "interfaceIndex": nexthop.ifindex,
        "interfaceName": nexthop.interface,
        "weight": nexthop.weight,
    });
    if nexthop.ip.is_empty() {
        value["directlyConnected"] = true.into();
    } else {
        value["ip"] = nexthop.ip.clone().into();
        value["afi"] = if nexthop.ip.contains(':') { "ipv6" } else { "ipv4" }.into();
    }
    value
}

fn text(routes: &[FibRoute]) -> String {
    let rows: Vec<Vec<String>> = routes
        .iter()
        .map(|route| {
            let status = [
                ('B', true),
                ('>', route.selected),
                ('*', route.installed),
                ('o', route.offloaded),
                ('t', route.trapped),
            ];
            let status = status.iter().filter(|(_, holds)| *holds).map(|(letter, _)| *letter);
            vec![status.collect(), route.prefix.clone(), ways(route), route.reason.clone()]
        })
        .collect();
    let mut text = String::from(
        "Codes: B - BGP, > - selected route, * - FIB route, o - in hardware, t - trapped\n\n",
    );
    text.push_str(&table::render(&["", "Network", "Via", "Reason"], &rows));
    let installed = routes.iter().filter(|route| route.installed).count();
    let _ = writeln!(text, "\n{installed} of {} routes are in the kernel", routes.len());
    text
}

fn ways(route: &FibRoute) -> String {
    if route.blackhole {
        return "blackhole".to_owned();
    }
    let way = |hop: &FibNexthop| match (hop.ip.as_str(), hop.weight) {
        ("", _) => hop.interface.clone(),
        (ip, 0 | 1) => format!("{ip}, {}", hop.interface),
        (ip, weight) => format!("{ip}, {}, weight {weight}", hop.interface),
    };
    route.nexthops.iter().map(way).collect::<Vec<_>>().join("; ")
}
