//! The kernel's netdevsim: resources, traps, health, and failures on demand. It moves no packets, and its routes are never
//! more than trapped: what it is for is the answers.

use std::time::Duration;

use lab::{
    Hardware, Lab, Machine, Node, PATIENCE, Result, ensure, ensure_eq, eventually,
    kernel_view::{self, Route},
};
use serde_json::Value;

const DEVICE: &str = "netdevsim/netdevsim10";
const DEBUGFS: &str = "/sys/kernel/debug/netdevsim/netdevsim10";

#[test]
fn a_route_that_the_hardware_refuses_is_accepted_flagged_and_taken_after_delete_and_add() -> Result
{
    Lab::run(|lab| {
        let machine = switch(lab)?;
        let node = machine.switch();
        node.run("ip route add 10.1.0.0/16 via 192.0.2.2")?;
        flagged(&node, "10.1.0.0/16", "rt_trap")?;
        machine.shell(&format!("echo 1 >{DEBUGFS}/fib/fail_route_offload"))?;
        node.run("ip route add 10.2.0.0/16 via 192.0.2.2")?;
        flagged(&node, "10.2.0.0/16", "rt_offload_failed")?;
        machine.shell(&format!("echo 0 >{DEBUGFS}/fib/fail_route_offload"))?;
        node.run("ip route replace 10.2.0.0/16 via 192.0.2.2")?;
        flagged(&node, "10.2.0.0/16", "rt_offload_failed")?;
        machine.shell("ip route del 10.2.0.0/16; ip route add 10.2.0.0/16 via 192.0.2.2")?;
        flagged(&node, "10.2.0.0/16", "rt_trap")?;
        flagged(&node, "10.1.0.0/16", "rt_trap")
    })
}

#[test]
fn a_route_beyond_a_resource_is_refused_with_a_reason() -> Result {
    Lab::run(|lab| {
        let machine = switch(lab)?;
        let used = resource(&machine, "IPv4", "fib")?["occ"].as_u64().unwrap_or_default();
        ensure!(used > 0, "connected routes take no room");
        // The reload takes away the ports and all routes; the new ones have room for one route more.
        machine.shell(&format!(
            "devlink resource set {DEVICE} path IPv4/fib size {}\ndevlink dev reload {DEVICE}",
            used + 1
        ))?;
        machine.name_ports()?;
        machine.shell(ADDRESSES)?;
        let node = machine.switch();
        node.run("ip route add 10.1.0.0/16 via 192.0.2.2")?;
        let beyond = node.output(&["ip", "route", "add", "10.2.0.0/16", "via", "192.0.2.2"])?;
        let said = String::from_utf8_lossy(&beyond.stderr).into_owned();
        ensure!(said.contains("Exceeded number of supported fib entries"), "{said:?}");
        let fib = resource(&machine, "IPv4", "fib")?;
        ensure_eq!(fib["occ"].as_u64(), Some(used + 1), "occupancy");
        flagged(&node, "10.1.0.0/16", "rt_trap")
    })
}

#[test]
fn nexthops_fail_when_asked_to_and_buckets_in_silence() -> Result {
    Lab::run(|lab| {
        let machine = switch(lab)?;
        let node = machine.switch();
        machine.shell(
            "ip nexthop add id 1 via 192.0.2.2 dev port1; ip nexthop add id 2 via 192.0.2.3 dev port1",
        )?;
        node.run("ip nexthop add id 10 group 1/2 type resilient buckets 4")?;
        let buckets = || node.run("ip nexthop bucket show id 10");
        ensure_eq!(buckets()?.matches("trap").count(), 4, "buckets in hardware");
        machine.shell(&format!("echo 1 >{DEBUGFS}/fib/fail_res_nexthop_group_replace"))?;
        let refused = node.run("ip nexthop replace id 10 group 1 type resilient buckets 4");
        let said = refused.err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(said.contains("Failed to replace a resilient nexthop group"), "{said:?}");
        machine.shell(&format!("echo 0 >{DEBUGFS}/fib/fail_res_nexthop_group_replace"))?;
        ensure_eq!(buckets()?.matches("trap").count(), 4, "buckets in hardware after the refusal");
        // Whoever looks only at the answer of the command learns nothing of this.
        machine.shell(&format!("echo 1 >{DEBUGFS}/fib/fail_nexthop_bucket_replace"))?;
        node.run("ip nexthop replace id 10 group 1 type resilient buckets 4")?;
        eventually(PATIENCE, || {
            let now = buckets()?;
            ensure!(now.matches("trap").count() < 4, "all buckets have moved in hardware: {now}");
            Ok(())
        })
    })
}

#[test]
fn traps_count_and_obey_and_a_broken_chip_says_so_and_recovers() -> Result {
    Lab::run(|lab| {
        let machine = switch(lab)?;
        let node = machine.switch();
        node.run("ip link set port2 up")?;
        let received = || -> Result<u64> {
            let command = format!("devlink -j -s trap show {DEVICE} trap fid_miss");
            let text = node.json(&command)?;
            Ok(find(&text, "packets").and_then(Value::as_u64).unwrap_or_default())
        };
        eventually(PATIENCE, || {
            ensure!(received()? > 0, "the trap counts nothing");
            Ok(())
        })?;
        let action = |trap: &str| -> Result<Option<String>> {
            let text = node.json(&format!("devlink -j trap show {DEVICE} trap {trap}"))?;
            Ok(find(&text, "action").and_then(Value::as_str).map(String::from))
        };
        // Only drops obey; for exceptions the answer is "yes", with a warning that it was not done.
        node.run(&format!("devlink trap set {DEVICE} trap fid_miss action drop"))?;
        ensure_eq!(action("fid_miss")?.as_deref(), Some("trap"), "an exception's action");
        ensure_eq!(action("ingress_vlan_filter")?.as_deref(), Some("drop"), "a drop's action");
        node.run(&format!("devlink trap set {DEVICE} trap ingress_vlan_filter action trap"))?;
        ensure_eq!(action("ingress_vlan_filter")?.as_deref(), Some("trap"), "a drop's new action");

        let health = || -> Result<(Option<String>, u64)> {
            let text = node.json(&format!("devlink -j health show {DEVICE} reporter dummy"))?;
            let state = find(&text, "state").and_then(Value::as_str).map(String::from);
            Ok((state, find(&text, "error").and_then(Value::as_u64).unwrap_or_default()))
        };
        ensure_eq!(health()?, (Some("healthy".into()), 0), "health at the start");
        node.run(&format!("devlink health set {DEVICE} reporter dummy auto_recover false"))?;
        machine.shell(&format!("echo overheated >{DEBUGFS}/health/break_health"))?;
        ensure_eq!(health()?, (Some("error".into()), 1), "health of a broken chip");
        let dump = node.run(&format!("devlink health dump show {DEVICE} reporter dummy"))?;
        ensure!(dump.contains("overheated"), "{dump}");
        node.run(&format!("devlink health recover {DEVICE} reporter dummy"))?;
        eventually(Duration::from_secs(5), || {
            ensure_eq!(health()?, (Some("healthy".into()), 1), "health after recovery");
            Ok(())
        })
    })
}

fn switch(lab: &Lab) -> Result<Machine> {
    let machine = lab.machine("switch", Hardware::netdevsim(&["port1", "port2"]))?;
    machine.shell(ADDRESSES)?;
    Ok(machine)
}

const ADDRESSES: &str =
    "set -e; ip link set port1 addrgenmode none up; ip address add 192.0.2.1/24 dev port1";

fn flagged(node: &Node, prefix: &str, flag: &str) -> Result {
    eventually(PATIENCE, || {
        let routes = kernel_view::routes(node, 4)?;
        let route: Option<&Route> = routes.iter().find(|route| route.prefix == prefix);
        let flagged = route.is_some_and(|route| route.flags.contains(flag));
        ensure!(flagged, "{prefix} is not {flag}: {route:?}");
        Ok(())
    })
}

/// A resource by its path, as devlink describes it.
fn resource(machine: &Machine, parent: &str, name: &str) -> Result<Value> {
    let all = machine.switch().json(&format!("devlink -j resource show {DEVICE}"))?;
    let named = |list: &Value, name: &str| {
        list.as_array().into_iter().flatten().find(|entry| entry["name"] == name).cloned()
    };
    let top = all["resources"].as_object().and_then(|devices| devices.values().next().cloned());
    let found = top
        .and_then(|list| named(&list, parent))
        .and_then(|parent| named(&parent["resources"], name));
    ensure!(found.is_some(), "no resource {parent}/{name} in {all}");
    Ok(found.unwrap_or_default())
}

/// The first value of this key, however deep: devlink nests by device.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => {
            map.get(key).or_else(|| map.values().find_map(|inner| find(inner, key)))
        }
        Value::Array(list) => list.iter().find_map(|inner| find(inner, key)),
        _ => None,
    }
}
