//! What switchd says of the hardware, compared with what iproute2 says, entry by entry.

use std::collections::BTreeMap;

use lab::{LabError, Node, PATIENCE, Result, ensure, ensure_eq, eventually, switch};
use serde_json::Value;

/// One line of `switchctl offload --all`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Verdict {
    pub(crate) kind: String,
    pub(crate) entry: String,
    pub(crate) verdict: String,
    pub(crate) reason: String,
    /// Whether the hardware should have it.
    pub(crate) expected: bool,
}

/// All of them.
pub(crate) fn verdicts(switch: &Node) -> Result<Vec<Verdict>> {
    let offload = ctl(switch, "offload --all")?;
    Ok(rows(&offload["entries"])
        .map(|row| Verdict {
            kind: text(row, "kind"),
            entry: text(row, "entry"),
            verdict: text(row, "verdict"),
            reason: text(row, "reason"),
            expected: row["expected"] == true,
        })
        .collect())
}

/// Those whose entry begins with `entry`: a prefix, an address, a MAC.
pub(crate) fn verdicts_on(switch: &Node, entry: &str) -> Result<Vec<Verdict>> {
    let mut all = verdicts(switch)?;
    all.retain(|line| line.entry.split_whitespace().any(|word| word == entry));
    Ok(all)
}

/// Waits until the only verdict on `entry` is this, and returns it.
pub(crate) fn wait_for(switch: &Node, entry: &str, verdict: &str) -> Result<Verdict> {
    eventually(PATIENCE, || {
        let found = verdicts_on(switch, entry)?;
        match found.as_slice() {
            [one] if one.verdict == verdict => Ok(one.clone()),
            other => Err(LabError::Unexpected(format!("{entry} is not {verdict}: {other:?}"))),
        }
    })
}

/// Waits until every route, nexthop and FDB entry of iproute2 is known to switchd, and no other, each with the verdict that its flags
/// mean, and nothing is pending. Returns how many there are.
pub(crate) fn agree_with_iproute2(switch: &Node) -> Result<usize> {
    agree(switch, false)
}

/// As [`agree_with_iproute2`], on a chip whose driver says `offload` of what in truth goes to the CPU: all but routes by a
/// gateway on one of the ports.
pub(crate) fn agree_but_for_lies(switch: &Node) -> Result<usize> {
    agree(switch, true)
}

/// As [`agree_with_iproute2`], with one more that is not in the kernel.
pub(crate) fn agree_on_all_but(switch: &Node, refused: &str) -> Result {
    eventually(PATIENCE, || {
        let (seen, mut told) = (witnessed(switch, false)?, told(switch)?);
        let extra = told.keys().find(|entry| entry.starts_with(refused)).cloned();
        ensure!(extra.and_then(|entry| told.remove(&entry)).is_some(), "{refused} is not listed");
        ensure_eq!(told, seen, "switchd and iproute2 differ");
        Ok(())
    })
}

fn agree(switch: &Node, driver_lies: bool) -> Result<usize> {
    eventually(PATIENCE, || {
        // The table may change between two looks at it.
        let before = witnessed(switch, driver_lies)?;
        let told = told(switch)?;
        ensure_eq!(
            witnessed(switch, driver_lies)?,
            before,
            "the kernel's tables do not hold still"
        );
        let differences: Vec<String> = before
            .iter()
            .filter(|(entry, seen)| told.get(*entry) != Some(seen))
            .map(|(entry, seen)| {
                format!("{entry}: iproute2 {seen:?}, switchd {:?}", told.get(entry))
            })
            .chain(
                told.iter()
                    .filter(|(entry, _)| !before.contains_key(*entry))
                    .map(|(entry, told)| format!("{entry}: iproute2 has none, switchd {told:?}")),
            )
            .collect();
        ensure!(differences.is_empty(), "switchd and iproute2 differ:\n{}", differences.join("\n"));
        Ok(before.len())
    })
}

/// What switchd says of them. An entry may be there twice, with different metrics.
fn told(switch: &Node) -> Result<BTreeMap<String, Vec<String>>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in verdicts(switch)? {
        if !matches!(line.kind.as_str(), "route" | "decap" | "nexthop" | "fdb" | "flood") {
            continue;
        }
        // For iproute2, what is in software has no flag, whatever the reason.
        let verdict = if line.verdict == "software" { "no flag".into() } else { line.verdict };
        all.entry(line.entry).or_default().push(verdict);
    }
    all.values_mut().for_each(|verdicts| verdicts.sort());
    Ok(all)
}

/// The same, from iproute2.
fn witnessed(switch: &Node, driver_lies: bool) -> Result<BTreeMap<String, Vec<String>>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let nexthops = switch.json("ip -j -d nexthop show")?;
    for row in rows(&nexthops) {
        let entry = format!("id {}{}", row["id"], way(row));
        all.entry(entry).or_default().push(flagged(row).into());
    }
    let links = switch.json("ip -j -d link show")?;
    let fdb = switch.json("bridge -j fdb show")?;
    for row in rows(&fdb).filter(|row| is_forwarded_by(row, &links)) {
        all.entry(fdb_entry(row)).or_default().push(flagged(row).into());
    }
    for family in [4, 6] {
        let routes = switch.json(&format!("ip -{family} -j -d route show table all"))?;
        // Every link has those to link-local and multicast prefixes: nobody routes by them, and switchd passes them over.
        let is_routed_by = |row: &&Value| {
            let prefix = text(row, "dst");
            !prefix.starts_with("fe80:") && !prefix.starts_with("ff00:")
        };
        for row in rows(&routes).filter(is_routed_by) {
            let by_gateway = row.get("gateway").is_some();
            let verdict = match flagged(row) {
                "in-hardware" if driver_lies && !by_gateway => "trapped",
                flag => flag,
            };
            all.entry(route(row, family, &nexthops)).or_default().push(verdict.into());
        }
    }
    all.values_mut().for_each(|verdicts| verdicts.sort());
    Ok(all)
}

/// The verdict that iproute2's flags mean.
fn flagged(row: &Value) -> &'static str {
    let hops = row["nexthops"].as_array().into_iter().flatten();
    let flags: Vec<&str> = std::iter::once(row)
        .chain(hops)
        .flat_map(|part| part["flags"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    match flags {
        flags if flags.contains(&"rt_offload_failed") => "refused",
        flags if flags.contains(&"rt_offload") || flags.contains(&"offload") => "in-hardware",
        flags if flags.contains(&"rt_trap") || flags.contains(&"trap") => "trapped",
        _ => "no flag",
    }
}

/// The addresses that a device listens to are in iproute2's list as well, `self`; only a VXLAN device forwards by those.
fn is_forwarded_by(row: &Value, links: &Value) -> bool {
    let device = rows(links).find(|link| link.get("ifname") == row.get("ifname"));
    let is_vxlan = device.is_some_and(|link| link["linkinfo"]["info_kind"] == "vxlan");
    is_vxlan || row.get("master").is_some()
}

/// An FDB entry as switchctl writes it.
fn fdb_entry(row: &Value) -> String {
    let vlan = row.get("vlan").map(|vlan| format!(" vlan {vlan}")).unwrap_or_default();
    let remote = row.get("dst").and_then(Value::as_str).map(|dst| format!(" dst {dst}"));
    let table = if row.get("master").is_some() { "master" } else { "self" };
    let (mac, device) = (text(row, "mac"), text(row, "ifname"));
    format!("{mac} dev {device}{vlan}{} {table}", remote.unwrap_or_default())
}

/// A route as switchctl writes it.
fn route(row: &Value, family: u8, nexthops: &Value) -> String {
    let kind = match text(row, "type") {
        kind if kind.is_empty() || kind == "unicast" => String::new(),
        kind => format!("{kind} "),
    };
    let prefix = match (text(row, "dst"), family) {
        (all, 4) if all == "default" => "0.0.0.0/0".to_owned(),
        (all, _) if all == "default" => "::/0".to_owned(),
        (prefix, _) if prefix.contains('/') => prefix,
        (address, 4) => format!("{address}/32"),
        (address, _) => format!("{address}/128"),
    };
    let by = match row.get("nhid") {
        Some(id) => {
            let nexthop = rows(nexthops).find(|nexthop| nexthop.get("id") == Some(id));
            format!(" nhid {id}{}", nexthop.map(way).unwrap_or_default())
        }
        None if row.get("nexthops").is_some() => rows(&row["nexthops"]).map(way).collect(),
        None => way(row),
    };
    let table = match text(row, "table") {
        table if table.is_empty() || table == "main" || table == "local" => String::new(),
        table => format!(" table {table}"),
    };
    format!("{kind}{prefix}{by}{table}")
}

fn way(row: &Value) -> String {
    if let Some(members) = row.get("group") {
        let members: Vec<String> = rows(members).map(|member| member["id"].to_string()).collect();
        return format!(" group {}", members.join("/"));
    }
    let gateway = row.get("gateway").or_else(|| row.get("via").and_then(|via| via.get("host")));
    let gateway = gateway.and_then(Value::as_str).map(|via| format!(" via {via}"));
    let device = row.get("dev").and_then(Value::as_str).map(|dev| format!(" dev {dev}"));
    gateway.unwrap_or_default() + &device.unwrap_or_default()
}

/// What `switchctl WORDS --json` prints.
pub(crate) fn ctl(switch: &Node, words: &str) -> Result<Value> {
    let words: Vec<&str> = words.split_whitespace().chain(["--json"]).collect();
    let output = switch::switchctl(switch, &words)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "switchctl {}: {complaint}", words.join(" "));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).map_err(|error| LabError::Json {
        what: words.join(" "),
        error,
        text: text.into_owned(),
    })
}

/// The names of the conditions that there are, with their messages.
pub(crate) fn conditions(switch: &Node) -> Result<Vec<(String, String)>> {
    let conditions = ctl(switch, "show conditions")?;
    Ok(rows(&conditions).map(|row| (text(row, "name"), text(row, "message"))).collect())
}

/// iproute2 prints `[{}]` or nothing for an empty table.
pub(crate) fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    let rows = value.as_array().into_iter().flatten();
    rows.filter(|row| row.as_object().is_some_and(|row| !row.is_empty()))
}

pub(crate) fn text(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
