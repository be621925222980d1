//! Rows R.

use super::{BRIDGE, Row, UPLINK, leak};

pub(super) fn rows() -> Vec<Row> {
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
