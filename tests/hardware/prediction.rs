//! `switchd check` says beforehand what Spectrum's driver says afterwards, word for word.
//!
//! For each row of docs/offload-constraints.md that commands can break: what is set up, what is wrong. The check must name
//! the row and the words; then the commands are given to the driver, which must refuse the last of them with these words,
//! or accept it and leave it in software; then what the check said would mend it must do so.

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
    on_switch(Chip::Spectrum2, &vxlan_rows())
}

#[test]
fn what_is_predicted_of_bridges_is_what_the_driver_says() -> Result {
    on_switch(Chip::Spectrum2, &bridge_rows())
}

#[test]
fn what_is_predicted_of_routing_is_what_the_driver_says() -> Result {
    on_switch(Chip::Spectrum2, &router_rows())
}

#[test]
fn the_first_spectrum_is_predicted_too() -> Result {
    on_switch(Chip::Spectrum1, &first_spectrum_rows())
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

fn vxlan(id: &'static str, words: &'static str, local: &'static str, attributes: &str) -> Row {
    let setup = BRIDGE;
    let wrong = format!(
        "ip link add vx10 type vxlan {local} {attributes}
ip link set vx10 master br0
bridge vlan add dev vx10 vid 10 pvid untagged
ip link set vx10 up"
    );
    let words: &'static str = words;
    Row {
        id,
        words,
        setup,
        wrong: wrong.leak(),
        then: "bridge fdb append 00:00:00:00:00:00 dev vx10 dst 10.255.0.2",
    }
}

fn vxlan_rows() -> Vec<Row> {
    let v4 = "id 10010 local 10.255.0.1";
    let v6 = "id 10010 local 2001:db8::1";
    let without = |text: &str, word: &str| text.replace(word, "");
    let mut rows = vec![
        vxlan(
            "V1",
            "VxLAN: Multicast destination IP is not supported",
            v4,
            &format!("group 239.1.1.1 dev lo {V4}"),
        ),
        vxlan("V2", "VxLAN: Source address must be specified", "id 10010", V4),
        vxlan("V3", "VxLAN: Local interface is not supported", v4, &format!("dev lo {V4}")),
        vxlan(
            "V4",
            "VxLAN: Only default UDP source port range is supported",
            v4,
            &format!("srcport 5000 6000 {V4}"),
        ),
        vxlan("V5", "VxLAN: TOS must be configured to inherit", v4, &without(V4, "tos inherit")),
        vxlan(
            "V6",
            "VxLAN: TTL must not be configured to inherit",
            v4,
            &V4.replace("ttl 64", "ttl inherit"),
        ),
        vxlan("V6", "VxLAN: TTL must not be configured to 0", v4, &without(V4, "ttl 64")),
        vxlan(
            "V7",
            "VxLAN: Zero UDP checksum must be allowed for TX",
            v4,
            &without(V4, "noudpcsum"),
        ),
        vxlan("V9", "VxLAN: Unsupported flag", v4, &format!("proxy {V4}")),
        vxlan("V9", "VxLAN: Unsupported flag", v4, &format!("l2miss {V4}")),
        vxlan("V9", "VxLAN: Unsupported flag", v4, &format!("gbp {V4}")),
        vxlan("V9", "VxLAN: Unsupported flag", "external local 10.255.0.1", V4),
    ];
    if let Some(external) = rows.last_mut() {
        external.then = "";
    }
    for (id, words, attributes) in [
        ("V8", "VxLAN: Zero UDP checksum must be allowed for TX", without(V6, "udp6zerocsumtx")),
        ("V8", "VxLAN: Zero UDP checksum must be allowed for RX", without(V6, "udp6zerocsumrx")),
        ("V10", "VxLAN: Unsupported flag", V6.replace("nolearning", "learning")),
        ("V11", "VxLAN: Flow label must be configured to 0", format!("flowlabel 7 {V6}")),
    ] {
        let row = vxlan(id, words, v6, &attributes);
        rows.push(Row {
            then: "bridge fdb append 00:00:00:00:00:00 dev vx10 dst 2001:db8::2",
            ..row
        });
    }
    rows.push(Row {
        id: "V13",
        words: "Conflicting NVE tunnels configuration",
        setup: leak(&format!("{BRIDGE}{}", good("vx20", 20))),
        ..vxlan("V13", "", v4, &V4.replace("ttl 64", "ttl 63"))
    });
    // One device for many VNIs: nobody says a word, and its flood entry stays in software.
    rows.push(Row {
        id: "V9",
        words: "",
        setup: BRIDGE,
        wrong: leak(&format!(
            "ip link add vx10 type vxlan external vnifilter local 10.255.0.1 {V4}
ip link set vx10 master br0
ip link set vx10 up
bridge link set dev vx10 vlan_tunnel on
bridge vlan add dev vx10 vid 10
bridge vlan add dev vx10 vid 10 tunnel_info id 10010
bridge vni add vni 10010 dev vx10
bridge fdb append 00:00:00:00:00:00 dev vx10 dst 10.255.0.2 self permanent"
        )),
        then: "",
    });
    let gateway = leak(&format!("{BRIDGE}{}", good("vx10", 10)));
    for (words, entry) in [
        (
            "VxLAN: FDB: Non-default remote port is not supported",
            "02:00:00:00:00:01 dev vx10 dst 10.255.0.2 port 8472",
        ),
        (
            "VxLAN: FDB: Non-default VNI is not supported",
            "02:00:00:00:00:01 dev vx10 dst 10.255.0.2 vni 77",
        ),
        (
            "VxLAN: FDB: Local interface is not supported",
            "02:00:00:00:00:01 dev vx10 dst 10.255.0.2 via lo",
        ),
        (
            "VxLAN: FDB: Multicast MAC addresses not supported",
            "01:00:5e:00:00:01 dev vx10 dst 10.255.0.2",
        ),
        (
            "VxLAN: FDB: Multicast destination IP is not supported",
            "02:00:00:00:00:01 dev vx10 dst 239.1.1.1",
        ),
    ] {
        let wrong = leak(&format!("bridge fdb append {entry}"));
        rows.push(Row { id: "V14", words, setup: gateway, wrong, then: "" });
    }
    rows.push(Row {
        id: "V15",
        words: "FDB nexthops are not supported",
        setup: "",
        wrong: "ip nexthop add id 100 via 10.255.0.2 fdb",
        then: "",
    });
    rows
}

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

fn bridge_rows() -> Vec<Row> {
    let row = |id, words, setup: &str, wrong: &str, then| Row {
        id,
        words,
        setup: leak(setup),
        wrong: leak(wrong),
        then,
    };
    let plain = "ip address add 10.255.0.1/32 dev lo
ip link add br0 type bridge mcast_snooping 0
ip link set br0 up
ip link set port1 master br0
ip link set port1 up
";
    let dot1ad = BRIDGE.replace("vlan_filtering 1", "vlan_filtering 1 vlan_protocol 802.1ad");
    let vlan30 = "ip link add link port2 name port2.30 type vlan id 30\n";
    let mut rows = vec![
        row(
            "B1",
            "Only one VLAN-aware bridge is supported",
            BRIDGE,
            "ip link add br1 type bridge vlan_filtering 1\nip link set port2 master br1",
            "ip link set port2 master br0",
        ),
        row(
            "B2",
            "Multicast can not be enabled on a bridge with a VxLAN device",
            &plain.replace("mcast_snooping 0", "mcast_snooping 1"),
            &format!(
                "ip link add vx10 type vxlan id 10010 local 10.255.0.1 {V4}\nip link set vx10 master br0"
            ),
            "ip link set vx10 master br0\nip link set vx10 up",
        ),
        row(
            "B3",
            "Multiple VxLAN devices are not supported in a VLAN-unaware bridge",
            &format!(
                "{plain}ip link add vx20 type vxlan id 10020 local 10.255.0.1 {V4}\nip link set vx20 master br0\n"
            ),
            &format!(
                "ip link add vx10 type vxlan id 10010 local 10.255.0.1 {V4}\nip link set vx10 master br0"
            ),
            "",
        ),
        row(
            "B4",
            "VLAN already mapped to a different VNI",
            &format!("{BRIDGE}{}", good("vx10", 10)),
            &format!(
                "ip link add vx20 type vxlan id 10020 local 10.255.0.1 {V4}
ip link set vx20 master br0
bridge vlan add dev vx20 vid 10 pvid untagged"
            ),
            "ip link set vx20 up",
        ),
        row(
            "B4",
            "",
            BRIDGE,
            &format!(
                "ip link add vx10 type vxlan id 10010 local 10.255.0.1 {V4}
ip link set vx10 master br0
bridge vlan add dev vx10 vid 10
ip link set vx10 up
bridge fdb append 00:00:00:00:00:00 dev vx10 dst 10.255.0.2 self permanent"
            ),
            "",
        ),
        row(
            "B5",
            "Upper devices are not supported on top of an 802.1ad bridge",
            &dot1ad,
            "ip link add link br0 name br0.10 type vlan id 10",
            "",
        ),
        row(
            "B5",
            "VLAN uppers are not supported on a port enslaved to an 802.1ad bridge",
            &dot1ad,
            "ip link add link port1 name port1.30 type vlan id 30",
            "",
        ),
        row(
            "B5",
            "Adding an IP address to 802.1ad bridge is not supported",
            &dot1ad,
            "ip address add 10.0.0.1/24 dev br0",
            "",
        ),
        row(
            "B6",
            "VLAN uppers are only supported with 802.1q VLAN protocol",
            "",
            "ip link add link port2 name port2.30 type vlan proto 802.1ad id 30",
            "",
        ),
        row(
            "B7",
            "Can not enslave a VLAN device to a VLAN-aware bridge",
            BRIDGE,
            &format!("{vlan30}ip link set port2.30 master br0"),
            "bridge vlan add dev port2 vid 31",
        ),
        row(
            "B7",
            "Can not bridge VLAN uppers of the same port",
            &format!("{plain}{vlan30}ip link set port2.30 master br0\n"),
            "ip link add link port2 name port2.31 type vlan id 31\nip link set port2.31 master br0",
            "",
        ),
        row(
            "B8",
            "Enslaving a port to a device that already has an upper device is not supported",
            &format!(
                "{BRIDGE}ip link add bond0 type bond mode 802.3ad\nip link set bond0 master br0\n"
            ),
            "ip link set port2 master bond0",
            "bridge vlan add dev bond0 vid 10",
        ),
        row(
            "B9",
            "LAG device using unsupported Tx type",
            "",
            "ip link add bond0 type bond mode active-backup\nip link set port2 master bond0",
            "ip link set bond0 up",
        ),
        row(
            "B10",
            "Master device is a LAG master and this device has a VLAN",
            &format!("{vlan30}ip link add bond0 type bond mode 802.3ad\n"),
            "ip link set port2 master bond0",
            "ip link show dev bond0.30",
        ),
        row(
            "B11",
            "Unknown upper device type",
            "",
            "ip link add link port2 name new type ipvlan",
            "",
        ),
        row(
            "B11",
            "Unknown upper device type",
            "",
            &format!("ip link add vx10 type vxlan id 10010 local 10.255.0.1 dev port2 {V4}"),
            "",
        ),
        row("B13", "", "", "unshare -n sleep 20 &\nsleep 0.5\nip link set port2 netns $!", ""),
    ];
    for flag in ["isolated on", "bcast_flood off", "hairpin on", "locked on"] {
        let wrong = format!("bridge link set dev port1 {flag}");
        rows.push(row("B12", "bridge: bridge flag offload is not supported", BRIDGE, &wrong, ""));
    }
    rows
}

fn router_rows() -> Vec<Row> {
    let row = |id, words, setup: &str, wrong: &str, then| Row {
        id,
        words,
        setup: leak(setup),
        wrong: leak(wrong),
        then,
    };
    let nexthop = format!("{UPLINK}ip nexthop add id 20 via 192.0.2.2 dev up0\n");
    vec![
        row("R1", "FIB rules not supported", "", "ip rule add fwmark 1 table 100 priority 100", ""),
        row(
            "R1",
            "FIB rules not supported",
            "",
            "ip rule add from 10.0.0.0/8 table 100 priority 100",
            "",
        ),
        row(
            "R2",
            "IPv6 gateway with IPv4 route is not supported",
            UPLINK,
            "ip route add 10.9.0.0/16 via inet6 fe80::2 dev up0",
            "ip route show 10.9.0.0/16 | grep -q nhid",
        ),
        row(
            "R3",
            "Encapsulating nexthops are not supported",
            UPLINK,
            "ip nexthop add id 21 encap mpls 16 via 192.0.2.2 dev up0",
            "",
        ),
        row(
            "R4",
            "Nexthop group entry does not have a gateway",
            &format!("{nexthop}ip nexthop add id 21 dev up0\n"),
            "ip nexthop add id 22 group 20/21",
            "",
        ),
        row(
            "R5",
            "Minimum number of buckets is 32",
            &nexthop,
            "ip nexthop add id 21 group 20 type resilient buckets 16",
            "ip nexthop show id 21",
        ),
        row(
            "R5",
            "Invalid number of buckets",
            &nexthop,
            "ip nexthop add id 21 group 20 type resilient buckets 200",
            "ip nexthop show id 21",
        ),
        row(
            "R8",
            "macvlan is only supported on top of router interfaces",
            "",
            "ip link add link port2 name gateway2 address 00:00:5e:00:01:01 type macvlan mode private",
            "ip link set gateway2 up",
        ),
        row(
            "R9",
            "Couldn't determine bridge PVID",
            BRIDGE,
            "ip address add 10.0.0.1/24 dev br0",
            "ip address show dev br0 | grep -q 10.0.0.1",
        ),
    ]
}

fn first_spectrum_rows() -> Vec<Row> {
    let nexthop = leak(&format!("{UPLINK}ip nexthop add id 20 via 192.0.2.2 dev up0\n"));
    let dot1ad = BRIDGE.replace("vlan_filtering 1", "vlan_filtering 1 vlan_protocol 802.1ad");
    vec![
        Row {
            setup: leak(&dot1ad),
            then: "",
            ..vxlan(
                "V12",
                "VxLAN: 802.1ad bridge is not supported with VxLAN",
                "id 10010 local 10.255.0.1",
                V4,
            )
        },
        Row {
            id: "R5",
            words: "Number of buckets does not fit allocation size of any KVDL partition",
            setup: nexthop,
            wrong: "ip nexthop add id 21 group 20 type resilient buckets 64",
            then: "ip nexthop show id 21",
        },
        Row {
            id: "R7",
            words: "Exceeded number of supported router interface MAC profiles",
            setup: UPLINK,
            // The emulated chip has room for four.
            wrong: "ip link set port1 address 42:38:39:be:ef:aa
ip link set port2 address 44:38:39:be:ef:aa
ip link set port3 address 46:38:39:be:ef:aa
ip address add 198.51.100.1/28 dev port1
ip address add 198.51.100.17/28 dev port2
ip address add 198.51.100.33/28 dev port3
ip link add link up0 name new address 48:38:39:be:ef:aa type vlan id 30
ip address add 198.51.100.49/28 dev new",
            then: "",
        },
    ]
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
