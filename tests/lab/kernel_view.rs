//! What the kernel holds, as iproute2 prints it: the witness that no daemon can talk to.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Node, Process, Result};

/// One line of `bridge fdb`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FdbEntry {
    /// The station; all zero for a flood entry.
    pub mac: String,
    /// The device.
    pub device: String,
    /// The remote VTEP.
    pub destination: Option<String>,
    /// The VLAN, in a bridge that filters by it.
    pub vlan: Option<u64>,
    /// Whether the bridge holds it (`master`) rather than the device (`self`).
    pub bridge: bool,
    /// `permanent`, `static`, or empty.
    pub state: String,
    /// `self`, `extern_learn`, `sticky`, `offload`.
    pub flags: BTreeSet<String>,
}

/// One line of `ip neigh`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbor {
    /// The IP address.
    pub address: String,
    /// Its MAC, when known.
    pub mac: Option<String>,
    /// The device.
    pub device: String,
    /// `NOARP`, `REACHABLE`, ...
    pub state: Vec<String>,
    /// Whether a control plane wrote it.
    pub extern_learn: bool,
}

/// One line of `ip route`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The prefix; without length for a host route, as iproute2 prints it.
    pub prefix: String,
    /// Next hop addresses.
    pub gateways: Vec<String>,
    /// Who made it: `bgp`, `kernel`, `static`.
    pub protocol: String,
    /// What became of it in hardware (`rt_offload`, `rt_trap`, `rt_offload_failed`), and of its next hops (`offload`).
    pub flags: BTreeSet<String>,
}

/// All FDB entries of a device, the bridge's and its own.
///
/// # Errors
/// `bridge` failed, for instance because there is no such device.
pub fn fdb(node: &Node, device: &str) -> Result<BTreeSet<FdbEntry>> {
    let entries = node.json(&format!("bridge -j fdb show dev {device}"))?;
    Ok(rows(&entries)
        .map(|row| FdbEntry {
            mac: text(row, "mac"),
            device: device.into(),
            destination: optional(row, "dst"),
            vlan: row.get("vlan").and_then(Value::as_u64),
            bridge: row.get("master").is_some(),
            state: text(row, "state"),
            flags: strings(row, "flags").into_iter().collect(),
        })
        .collect())
}

/// What a control plane wrote into the FDB of a VXLAN device: everything but the device's own address.
///
/// # Errors
/// `bridge` failed.
pub fn remote_fdb(node: &Node, vxlan: &str) -> Result<BTreeSet<FdbEntry>> {
    let own = |entry: &FdbEntry| entry.bridge && entry.state == "permanent";
    Ok(fdb(node, vxlan)?.into_iter().filter(|entry| !own(entry)).collect())
}

/// All neighbour entries of a namespace.
///
/// # Errors
/// `ip` failed.
pub fn neighbors(node: &Node) -> Result<BTreeSet<Neighbor>> {
    let entries = node.json("ip -j neigh show")?;
    Ok(rows(&entries)
        .map(|row| Neighbor {
            address: text(row, "dst"),
            mac: optional(row, "lladdr"),
            device: text(row, "dev"),
            state: strings(row, "state"),
            extern_learn: row.get("extern_learn").is_some(),
        })
        .collect())
}

/// The neighbour entries that a control plane wrote.
///
/// # Errors
/// `ip` failed.
pub fn remote_neighbors(node: &Node) -> Result<BTreeSet<Neighbor>> {
    Ok(neighbors(node)?.into_iter().filter(|neighbor| neighbor.extern_learn).collect())
}

/// The main table; `family` is 4 or 6.
///
/// # Errors
/// `ip` failed.
pub fn routes(node: &Node, family: u8) -> Result<BTreeSet<Route>> {
    routes_of(node, family, "main")
}

/// Any table, by name or number; `family` is 4 or 6.
///
/// # Errors
/// `ip` failed.
pub fn routes_of(node: &Node, family: u8, table: &str) -> Result<BTreeSet<Route>> {
    let entries = node.json(&format!("ip -{family} -j route show table {table}"))?;
    Ok(rows(&entries)
        .map(|row| {
            let hops =
                row.get("nexthops").map(|hops| rows(hops).collect::<Vec<_>>()).unwrap_or_default();
            let all = || hops.iter().chain([&row]);
            Route {
                prefix: text(row, "dst"),
                gateways: all().filter_map(|hop| gateway(hop)).collect(),
                protocol: text(row, "protocol"),
                flags: all().flat_map(|hop| strings(hop, "flags")).collect(),
            }
        })
        .collect())
}

/// The routes that a BGP daemon wrote.
///
/// # Errors
/// `ip` failed.
pub fn bgp_routes(node: &Node, family: u8) -> Result<BTreeSet<Route>> {
    Ok(routes(node, family)?.into_iter().filter(|route| route.protocol == "bgp").collect())
}

/// Listens for changes of forwarding entries, to prove that there were none.
#[derive(Debug)]
pub struct Monitor {
    process: Process,
}

impl Monitor {
    /// Listens to the FDB of a namespace.
    ///
    /// # Errors
    /// `bridge monitor` could not be started.
    pub fn fdb(node: &Node) -> Result<Self> {
        Ok(Self { process: Process::start(node, "bridge-monitor", &["bridge", "monitor", "fdb"])? })
    }

    /// Listens to the routes of a namespace.
    ///
    /// # Errors
    /// `ip monitor` could not be started.
    pub fn routes(node: &Node) -> Result<Self> {
        Ok(Self { process: Process::start(node, "ip-monitor", &["ip", "monitor", "route"])? })
    }

    /// The changes seen so far whose line contains `pattern`.
    ///
    /// # Errors
    /// The monitor's output cannot be read.
    pub fn changes(&self, pattern: &str) -> Result<Vec<String>> {
        Ok(self
            .process
            .output()?
            .lines()
            .filter(|line| line.contains(pattern))
            .map(String::from)
            .collect())
    }
}

fn gateway(hop: &Value) -> Option<String> {
    optional(hop, "gateway").or_else(|| hop.get("via").and_then(|via| optional(via, "host")))
}

/// iproute2 prints `[{}]` or nothing for an empty table.
fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| row.as_object().is_some_and(|row| !row.is_empty()))
}

fn text(row: &Value, key: &str) -> String {
    optional(row, key).unwrap_or_default()
}

fn optional(row: &Value, key: &str) -> Option<String> {
    row.get(key).and_then(Value::as_str).map(String::from)
}

fn strings(row: &Value, key: &str) -> Vec<String> {
    row.get(key)
        .map(|list| list.as_array().into_iter().flatten())
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(String::from)
        .collect()
}
