//! Rows V.

use super::{BRIDGE, Row, V4, V6, good, leak};

pub(super) fn vxlan(
    id: &'static str,
    words: &'static str,
    local: &'static str,
    attributes: &str,
) -> Row {
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

pub(super) fn device_rows() -> Vec<Row> {
    let v4 = "id 10010 local 10.255.0.1";
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
    rows
}

pub(super) fn tunnel_rows() -> Vec<Row> {
    let v4 = "id 10010 local 10.255.0.1";
    let v6 = "id 10010 local 2001:db8::1";
    let without = |text: &str, word: &str| text.replace(word, "");
    let mut rows = Vec::new();
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
