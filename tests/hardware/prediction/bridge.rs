//! Rows B.

use super::{BRIDGE, Row, V4, good, leak};

#[expect(clippy::too_many_lines, reason = "a table, one row after the other")]
pub(super) fn rows() -> Vec<Row> {
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
    vec![
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
    ]
}

pub(super) fn port_rows() -> Vec<Row> {
    let row = |id, words, setup: &str, wrong: &str, then| Row {
        id,
        words,
        setup: leak(setup),
        wrong: leak(wrong),
        then,
    };
    let vlan30 = "ip link add link port2 name port2.30 type vlan id 30\n";
    let mut rows = vec![
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
