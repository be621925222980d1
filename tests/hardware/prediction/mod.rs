//! `switchd check` says beforehand what Spectrum's driver says afterwards, word for word.
//!
//! For each row of docs/offload-constraints.md that commands can break: what is set up, what is wrong. The check must name
//! the row and the words; then the commands are given to the driver, which must refuse the last of them with these words,
//! or accept it and leave it in software; then what the check said would mend it must do so.

mod bridge;
mod first_spectrum;
mod router;
mod vxlan;

use std::fmt::Write as _;

use lab::{Hardware, Lab, LabError, Machine, Result, ensure, machine::Chip, switch::switchd};
use serde_json::Value;

struct Row {
    id: &'static str,
    /// Said by the check and by the driver; empty: the driver says nothing.
    words: &'static str,
    setup: &'static str,
    /// The driver refuses the last line.
    wrong: &'static str,
    /// What must work after the remedy; empty: the remedy is to do without.
    then: &'static str,
}

const BRIDGE: &str = "ip address add 10.255.0.1/32 dev lo
ip -6 address add 2001:db8::1/128 dev lo
ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
ip link set br0 up
ip link set port1 master br0
ip link set port1 up
bridge vlan add dev port1 vid 10 pvid untagged
";

const V4: &str = "dstport 4789 nolearning noudpcsum tos inherit ttl 64";
const V6: &str = "dstport 4789 nolearning udp6zerocsumtx udp6zerocsumrx tos inherit ttl 64";

const UPLINK: &str = "ip link set up0 up
ip address add 192.0.2.1/24 dev up0
";

const CLEAN: &str =
    "for link in vx10 vx20 new gateway2 br0.10 port1.30 port2.30 port2.31 bond0 br1 br0; do
  ip link del $link 2>/dev/null
done
ip nexthop flush >/dev/null 2>&1
ip rule del priority 100 2>/dev/null
for port in port1 port2 port3 up0; do
  ip link set $port nomaster
  ip address flush dev $port
  ip link set $port down
done
ip address flush dev lo scope global
true";

#[test]
fn what_is_predicted_of_vxlan_devices_is_what_the_driver_says() -> Result {
    on_switch(Chip::Spectrum2, &vxlan::device_rows())
}

#[test]
fn what_is_predicted_of_tunnels_and_their_entries_is_what_the_driver_says() -> Result {
    on_switch(Chip::Spectrum2, &vxlan::tunnel_rows())
}

#[test]
fn what_is_predicted_of_bridges_is_what_the_driver_says() -> Result {
    on_switch(Chip::Spectrum2, &bridge::rows())
}

#[test]
fn what_is_predicted_of_bonds_and_ports_is_what_the_driver_says() -> Result {
    on_switch(Chip::Spectrum2, &bridge::port_rows())
}

#[test]
fn what_is_predicted_of_routing_is_what_the_driver_says() -> Result {
    on_switch(Chip::Spectrum2, &router::rows())
}

#[test]
fn the_first_spectrum_is_predicted_too() -> Result {
    on_switch(Chip::Spectrum1, &first_spectrum::rows())
}

fn on_switch(chip: Chip, rows: &[Row]) -> Result {
    Lab::run(|lab| {
        let machine = switch(lab, chip)?;
        try_all(&machine, rows)
    })
}

/// Four ports, the uplink with a cable in it.
fn switch(lab: &Lab, chip: Chip) -> Result<Machine> {
    let ports = ["port1", "port2", "port3", "up0"].map(str::to_owned).to_vec();
    let machine = lab.machine("switch", Hardware::Spectrum { chip, ports })?;
    lab.link(&machine.switch(), "up0", &machine.node("spine")?, "eth0")?;
    machine.shell("modprobe -a mpls_iptunnel dummy bonding 8021q vxlan vrf macvlan ipvlan")?;
    Ok(machine)
}

#[test]
fn a_right_configuration_is_clean_and_taken() -> Result {
    Lab::run(|lab| {
        let machine = switch(lab, Chip::Spectrum2)?;
        let said = check(&machine, RIGHT)?;
        ensure!(said["clean"] == true, "a right configuration is not clean: {said}");
        machine.shell(&format!("set -e\n{RIGHT}"))?;
        let said = check(&machine, "true")?;
        ensure!(said["clean"] == true, "not clean where the driver took all of it: {said}");
        let output = switchd(&machine.switch(), &["check", "--json"])?;
        let now: Value = json(&output.stdout)?;
        ensure!(now["violations"] == Value::Array(Vec::new()), "what is there is not clean: {now}");
        Ok(())
    })
}

const RIGHT: &str = "ip address add 10.255.0.1/32 dev lo
ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
ip link add bond0 type bond mode 802.3ad
ip link set port2 master bond0
ip link set bond0 master br0
ip link set port1 master br0
ip link set br0 up
ip link set bond0 up
ip link set port1 up
bridge vlan add dev port1 vid 10 pvid untagged
bridge vlan add dev bond0 vid 10
bridge vlan add dev br0 vid 10 self
ip link add vx10 type vxlan id 10010 local 10.255.0.1 dstport 4789 nolearning noudpcsum tos inherit ttl 64
ip link set vx10 master br0
bridge vlan add dev vx10 vid 10 pvid untagged
bridge link set dev vx10 learning off neigh_suppress on
ip link set vx10 up
ip link add vrf1 type vrf table 1000
ip link set vrf1 up
ip link add link br0 name vlan10 type vlan id 10
ip link set vlan10 master vrf1
ip link set vlan10 up
ip address add 10.10.0.2/24 dev vlan10
ip link add link vlan10 name gateway10 address 00:00:5e:00:01:0a type macvlan mode private
ip link set gateway10 master vrf1
ip link set gateway10 up
ip address add 10.10.0.1/32 dev gateway10
ip link set up0 up
ip address add 192.0.2.1/24 dev up0
ip nexthop add id 1 via fe80::2 dev up0
ip nexthop add id 2 via 192.0.2.2 dev up0
ip nexthop add id 3 group 1/2
ip nexthop add id 4 group 1/2 type resilient buckets 128
ip route add 10.9.0.0/16 nhid 3
ip route add 10.8.0.0/16 nhid 4
bridge fdb append 00:00:00:00:00:00 dev vx10 dst 10.255.0.2";

fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// A VXLAN device as the driver wants it.
fn good(name: &str, vlan: u16) -> String {
    format!(
        "ip link add {name} type vxlan id {vni} local 10.255.0.1 {V4}
ip link set {name} master br0
bridge vlan add dev {name} vid {vlan} pvid untagged
ip link set {name} up
",
        vni = 10000 + vlan
    )
}

/// All rows are tried, so that one run tells of all that disagree.
fn try_all(machine: &Machine, rows: &[Row]) -> Result {
    let mut problems = String::new();
    for row in rows {
        if let Err(error) = try_one(machine, row) {
            let _ = writeln!(problems, "{} {:?}: {error}", row.id, row.words);
        }
        machine.shell(CLEAN)?;
    }
    ensure!(problems.is_empty(), "predictions and the driver disagree:\n{problems}");
    Ok(())
}

fn try_one(machine: &Machine, row: &Row) -> Result {
    machine.shell(&format!("set -e\n{}", row.setup))?;
    let said = check(machine, row.wrong)?;
    let violations = said["violations"].as_array().cloned().unwrap_or_default();
    let predicted =
        violations.iter().find(|it| it["constraint"] == row.id && message(it).ends_with(row.words));
    let Some(predicted) = predicted else {
        return Err(LabError::Unexpected(format!("not predicted: {said}")));
    };
    let words = message(predicted);
    let output = run(machine, row.wrong)?;
    if predicted["effect"].as_str().is_some_and(|effect| effect.starts_with("refused")) {
        ensure!(!output.0, "predicted, and the driver took it");
        ensure!(output.1.contains(&words), "predicted {words:?}, the driver says {:?}", output.1);
    } else {
        ensure!(output.0, "predicted to be accepted in silence, but: {}", output.1);
        machine.shell("sleep 0.5")?;
        let (_, entries) = run(machine, "bridge fdb show dev vx10")?;
        ensure!(!entries.contains("offload"), "predicted to stay in software: {entries}");
    }
    if row.then.is_empty() {
        return Ok(());
    }
    mend(machine, predicted, row)
}

/// Runs what the check said would mend it. What it deletes need not be there: the driver refused it.
fn mend(machine: &Machine, predicted: &Value, row: &Row) -> Result {
    let commands = predicted["remedy"].as_array().cloned().unwrap_or_default();
    for command in commands.iter().filter_map(Value::as_str) {
        let command = command
            .replace("OTHER", "20")
            .replace("vid VLAN", "vid 10")
            .replace("ADDRESS", if row.id == "V2" { "10.255.0.1" } else { "198.51.100.1/24" })
            .replace("id ID", "id 77")
            .replace("nhid ID", "nhid 77");
        let (done, said) = run(machine, &command)?;
        let deletes = command.contains(" del ");
        ensure!(done || deletes, "the remedy {command:?} is refused: {said}");
    }
    let (done, said) = run(machine, row.then)?;
    ensure!(done, "after the remedy, {:?} fails: {said}", row.then);
    if row.then.starts_with("bridge fdb append") {
        machine.shell("sleep 0.5")?;
        let (_, entries) = run(machine, "bridge fdb show dev vx10")?;
        ensure!(entries.contains("offload"), "after the remedy it is still in software: {entries}");
    }
    Ok(())
}

fn check(machine: &Machine, script: &str) -> Result<Value> {
    let words = ["check", "--json", "--", "sh", "-ec", script];
    let output = switchd(&machine.switch(), &words)?;
    ensure!(
        !output.stdout.is_empty(),
        "switchd check says nothing: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = json(&output.stdout)?;
    ensure!(
        report["command"]["status"] == 0,
        "in the scratch namespace it failed: {report} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let left_out = report["command"]["notCopied"].as_array().map_or(0, Vec::len);
    ensure!(left_out == 0, "not all of the machine was copied: {report}");
    Ok(report)
}

fn json(text: &[u8]) -> Result<Value> {
    let what = |error| LabError::Unexpected(format!("switchd check printed no JSON: {error}"));
    serde_json::from_slice(text).map_err(what)
}

fn message(violation: &Value) -> String {
    violation["message"].as_str().unwrap_or_default().to_owned()
}

/// Whether it succeeded, and what it said.
fn run(machine: &Machine, script: &str) -> Result<(bool, String)> {
    let output = machine.switch().output(&["sh", "-ec", script])?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
