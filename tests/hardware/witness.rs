//! switchd's ledger beside what iproute2 says: the same entries, and hardware where the kernel has the flag.

use std::collections::BTreeMap;

use lab::{Node, Result, ensure, switch};
use serde_json::Value;

/// One row of `switchctl offload --all --json`.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) kind: String,
    pub(crate) entry: String,
    pub(crate) verdict: String,
    pub(crate) reason: String,
    pub(crate) constraint: String,
    pub(crate) remedy: String,
    /// Whether the hardware should have it.
    pub(crate) expected: bool,
}

/// What `switchctl offload` lists: what is not in hardware and should be; or everything.
pub(crate) fn offload(node: &Node, all: bool) -> Result<Vec<Standing>> {
    let value = switch::ask(node, if all { "offload --all" } else { "offload" })?;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| Standing {
        kind: text(row, "kind"),
        entry: text(row, "entry"),
        verdict: text(row, "verdict"),
        reason: text(row, "reason"),
        constraint: text(row, "constraint"),
        remedy: text(row, "remedy"),
        expected: row["expected"] == true,
    };
    Ok(value["entries"].as_array().into_iter().flatten().map(row).collect())
}

/// Compares every FDB entry, neighbour, nexthop and route of the ledger with iproute2's word on it, both ways.
pub(crate) fn ledger_agrees_with_iproute2(node: &Node) -> Result {
    agrees(&offload(node, true)?, node, &routes(node)?)
}

/// As [`ledger_agrees_with_iproute2`], but for entries that begin with this, of which the kernel has none.
pub(crate) fn ledger_agrees_but_for(node: &Node, lacking: &str) -> Result {
    let mut ledger = offload(node, true)?;
    ledger.retain(|row| !row.entry.starts_with(lacking));
    agrees(&ledger, node, &routes(node)?)
}

/// As [`ledger_agrees_with_iproute2`], on a chip whose driver flags what in truth goes to the CPU: all routes but those by a
/// gateway.
pub(crate) fn ledger_agrees_but_for_lies(node: &Node) -> Result {
    let mut routes = routes(node)?;
    let lies =
        |(route, flag): &(&String, &mut &str)| **flag == "offload" && !route.contains(" via ");
    routes.iter_mut().filter(lies).for_each(|(_, flag)| *flag = "trap");
    agrees(&offload(node, true)?, node, &routes)
}

fn agrees(ledger: &[Standing], node: &Node, routes: &Flags) -> Result {
    let of = |kinds: &[&str]| -> BTreeMap<String, String> {
        let rows = ledger.iter().filter(|row| kinds.contains(&row.kind.as_str()));
        rows.map(|row| (row.entry.clone(), row.verdict.clone())).collect()
    };
    compare("FDB", &of(&["fdb", "flood"]), &fdb(node)?)?;
    compare("neighbors", &of(&["neighbor"]), &neighbors(node)?)?;
    compare("nexthops", &of(&["nexthop"]), &nexthops(node)?)?;
    compare("routes", &of(&["route", "decap"]), routes)
}

/// The entry as the ledger writes it, and what the kernel's flags say.
type Flags = BTreeMap<String, &'static str>;

fn compare(what: &str, ledger: &BTreeMap<String, String>, kernel: &Flags) -> Result {
    for (entry, flag) in kernel {
        let verdict = ledger.get(entry).map(String::as_str);
        let agrees = match *flag {
            "offload" => verdict == Some("in-hardware"),
            "trap" => verdict == Some("trapped"),
            "failed" => verdict == Some("refused"),
            _ => verdict.is_some_and(|verdict| !["in-hardware", "trapped"].contains(&verdict)),
        };
        ensure!(agrees, "{what}: the kernel says {flag:?} of {entry}, the ledger {verdict:?}");
    }
    for entry in ledger.keys() {
        ensure!(kernel.contains_key(entry), "{what}: the ledger has {entry}, iproute2 has not");
    }
    Ok(())
}

fn fdb(node: &Node) -> Result<Flags> {
    let rows = node.json("bridge -j fdb show")?;
    let links = node.json("ip -j -d link show")?;
    // Cards list the addresses that they let in as well: no entries that anybody forwards by.
    let is_vxlan = |name: &str| {
        let link = rows_of(&links).find(|link| link["ifname"] == name);
        link.is_some_and(|link| link["linkinfo"]["info_kind"] == "vxlan")
    };
    let mut flags = Flags::new();
    for row in rows_of(&rows) {
        let device = text(row, "ifname");
        let is_self = strings(row, "flags").any(|flag| flag == "self");
        if is_self && !is_vxlan(device) {
            continue;
        }
        let vlan = row["vlan"].as_u64().map(|vlan| format!(" vlan {vlan}")).unwrap_or_default();
        let to = row["dst"].as_str().map(|to| format!(" dst {to}")).unwrap_or_default();
        let table = if is_self { "self" } else { "master" };
        let offload = strings(row, "flags").any(|flag| flag == "offload");
        flags.insert(
            format!("{} dev {device}{vlan}{to} {table}", text(row, "mac")),
            if offload { "offload" } else { "" },
        );
    }
    Ok(flags)
}

fn neighbors(node: &Node) -> Result<Flags> {
    let rows = node.json("ip -j neigh show")?;
    let row = |row: &Value| {
        let mac = row["lladdr"].as_str().map(|mac| format!(" lladdr {mac}")).unwrap_or_default();
        let flag = if row.get("offload").is_some() { "offload" } else { "" };
        (format!("{} dev {}{mac}", text(row, "dst"), text(row, "dev")), flag)
    };
    Ok(rows_of(&rows).map(row).collect())
}

fn nexthops(node: &Node) -> Result<Flags> {
    let rows = node.json("ip -j -d nexthop show")?;
    let row = |row: &Value| {
        let way = match row["group"].as_array() {
            Some(members) => {
                let members: Vec<String> = members.iter().map(|it| it["id"].to_string()).collect();
                format!(" group {}", members.join("/"))
            }
            None => format!(" via {} dev {}", text(row, "gateway"), text(row, "dev")),
        };
        (format!("id {}{way}", row["id"]), flag(row))
    };
    Ok(rows_of(&rows).map(row).collect())
}

fn routes(node: &Node) -> Result<Flags> {
    let nexthops = node.json("ip -j nexthop show")?;
    let mut flags = Flags::new();
    for (family, longest) in [(4, 32), (6, 128)] {
        let rows = node.json(&format!("ip -j -d -{family} route show table all"))?;
        // The kernel makes these for every link, and nobody routes by them.
        let is_of_every_link = |row: &&Value| {
            ["fe80:", "ff00:"].iter().any(|start| text(row, "dst").starts_with(start))
        };
        let rows = rows_of(&rows).filter(|row| !is_of_every_link(row));
        flags.extend(rows.map(|row| (route(row, &nexthops, longest), route_flag(row))));
    }
    Ok(flags)
}

/// As the ledger writes it.
fn route(row: &Value, nexthops: &Value, longest: u8) -> String {
    let kind = match text(row, "type") {
        "unicast" | "" => String::new(),
        kind => format!("{kind} "),
    };
    let prefix = match text(row, "dst") {
        "default" if longest == 32 => "0.0.0.0/0".to_owned(),
        "default" => "::/0".to_owned(),
        address if address.contains('/') => address.to_owned(),
        address => format!("{address}/{longest}"),
    };
    let way = |hop: &Value| {
        if let Some(members) = hop["group"].as_array() {
            let members: Vec<String> = members.iter().map(|it| it["id"].to_string()).collect();
            return format!(" group {}", members.join("/"));
        }
        let gateway = hop["gateway"].as_str().or_else(|| hop["via"]["host"].as_str());
        let gateway = gateway.map(|via| format!(" via {via}")).unwrap_or_default();
        format!("{gateway} dev {}", text(hop, "dev"))
    };
    let by = match row["nhid"].as_u64() {
        Some(id) => {
            let nexthop = rows_of(nexthops).find(|nexthop| nexthop["id"] == id);
            format!(" nhid {id}{}", nexthop.map(way).unwrap_or_default())
        }
        None => match row["nexthops"].as_array() {
            Some(hops) => hops.iter().map(way).collect(),
            None if row.get("dev").is_some() => way(row),
            None => String::new(),
        },
    };
    let table = match text(row, "table") {
        "" | "main" | "local" => String::new(),
        table => format!(" table {table}"),
    };
    format!("{kind}{prefix}{by}{table}")
}

fn route_flag(row: &Value) -> &'static str {
    let has = |wanted: &str| strings(row, "flags").any(|flag| flag == wanted);
    match () {
        () if has("rt_offload_failed") => "failed",
        () if has("rt_trap") => "trap",
        () if has("rt_offload") => "offload",
        // Rocker flags the gateway and never the route; of a nexthop object, `nh_info` has the flags.
        () => flag(row),
    }
}

fn flag(row: &Value) -> &'static str {
    let has = |wanted: &str| strings(row, "flags").any(|flag| flag == wanted);
    match () {
        () if has("trap") => "trap",
        () if has("offload") => "offload",
        () => "",
    }
}

fn rows_of(value: &Value) -> impl Iterator<Item = &Value> {
    let rows = value.as_array().into_iter().flatten();
    rows.filter(|row| row.as_object().is_some_and(|row| !row.is_empty()))
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

fn strings<'a>(row: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    row[key].as_array().into_iter().flatten().filter_map(Value::as_str)
}
