//! What holds for the first Spectrum only, and what is better tried with its one size of tables.

use super::{BRIDGE, Row, UPLINK, V4, leak, vxlan};

pub(super) fn rows() -> Vec<Row> {
    let nexthop = leak(&format!("{UPLINK}ip nexthop add id 20 via 192.0.2.2 dev up0\n"));
    let dot1ad = BRIDGE.replace("vlan_filtering 1", "vlan_filtering 1 vlan_protocol 802.1ad");
    vec![
        Row {
            setup: leak(&dot1ad),
            then: "",
            ..vxlan::vxlan(
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
