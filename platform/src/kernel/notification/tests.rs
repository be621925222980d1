mod switch;

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::kernel::link_request::NewLink;
use crate::kernel::{
    Bond, BondHash, BondMode, FdbState, FdbTable, Hop, LinkKind, MacAddr, NeighborState,
    NexthopKind, NexthopMember, Offload, PortState, Via, VlanProtocol, Vni, Vxlan, golden,
};

fn announced(name: &str) -> Vec<Notification> {
    let messages = golden::messages(&format!("{name}.notification"));
    messages.iter().flat_map(|message| Notification::decode_all(message)).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 7);

#[test]
fn a_new_vxlan_device_is_read_whole() {
    let news = announced("vxlan");
    let [Notification::New(Object::Link(link))] = news.as_slice() else { panic!("a link") };
    assert_eq!(
        (link.name.as_str(), link.index, link.mtu, link.up, link.master),
        ("vx10", 6, 1500, false, None)
    );
    assert_eq!(link.kind, LinkKind::Vxlan(Vxlan::new(Vni::try_from(10).unwrap(), ip("192.0.2.1"))));
}

#[test]
fn a_bridge_announces_its_port_beside_the_link() {
    let news = announced("vxlan_in_bridge");
    let of_vx10 = |news: &Notification| match news {
        Notification::New(Object::Link(link)) if link.index == 6 => Some(link.clone()),
        _ => None,
    };
    let link = news.iter().rev().find_map(of_vx10).unwrap();
    assert!(link.up && link.running && link.master.is_some());
    let port = link.port.unwrap();
    assert!(port.learning && !port.neigh_suppress && port.state != PortState::Blocking);
    let news = announced("port_flags");
    let [Notification::Port { index: 6, port: Some(port), vlans }] = news.as_slice() else {
        panic!("a port")
    };
    assert!(vlans.is_empty());
    assert!(!port.learning && port.neigh_suppress && port.flood);
}

#[test]
fn both_halves_of_a_remote_mac_are_announced() {
    let news = announced("fdb_remote");
    let [Notification::New(Object::Fdb(bridge)), Notification::New(Object::Fdb(vxlan))] =
        news.as_slice()
    else {
        panic!("two entries")
    };
    let expected = FdbEntry { master: bridge.master, ..FdbEntry::remote_in_bridge(6, MAC) };
    assert_eq!(bridge, &expected);
    assert!(bridge.master.is_some());
    assert_eq!(vxlan, &FdbEntry::remote_in_vxlan(6, MAC, ip("192.0.2.7")));
    let gone = announced("fdb_delete");
    assert!(matches!(
        gone.as_slice(),
        [Notification::Gone(Object::Fdb(_)), Notification::Gone(Object::Fdb(_))]
    ));
}

#[test]
fn flood_entries_and_ipv6_vteps_are_read() {
    assert_eq!(
        announced("fdb_flood"),
        [Notification::New(Object::Fdb(FdbEntry::flood(6, ip("192.0.2.7"))))]
    );
    let news = announced("fdb_remote_v6_vtep");
    let [Notification::New(Object::Fdb(entry))] = news.as_slice() else { panic!("an entry") };
    assert_eq!((entry.destination, entry.table), (Some(ip("2001:db8::7")), FdbTable::Vxlan));
    assert_eq!((entry.state, entry.is_ours()), (FdbState::Dynamic, true));
}

#[test]
fn neighbours_and_addresses_are_read() {
    assert_eq!(
        announced("neighbor"),
        [Notification::New(Object::Neighbor(Neighbor::remote(3, ip("10.0.0.7"), MAC)))]
    );
    let v6 = Neighbor { router: true, ..Neighbor::remote(3, ip("2001:db8::7"), MAC) };
    assert_eq!(announced("neighbor_v6"), [Notification::New(Object::Neighbor(v6))]);
    let address = Address::new(3, "10.1.0.1/16".parse().unwrap());
    assert_eq!(announced("address"), [Notification::New(Object::Address(address))]);
}

#[test]
fn nexthops_are_read() {
    let nexthop = |number: u32, kind| Object::Nexthop(Nexthop::new(0x5357_0000 + number, kind));
    let gateway =
        |address| NexthopKind::Gateway { address: ip(address), ifindex: 3, onlink: false };
    let member = |number: u32, weight| NexthopMember { id: 0x5357_0000 + number, weight };
    let group = NexthopKind::Group(vec![member(1, 1), member(6, 4)]);
    let fdb = nexthop(11, NexthopKind::Fdb { address: ip("192.0.2.7") });
    assert_eq!(announced("nexthop"), [Notification::New(nexthop(1, gateway("10.0.0.2")))]);
    assert_eq!(announced("nexthop_v6"), [Notification::New(nexthop(6, gateway("2001:db8::2")))]);
    assert_eq!(announced("nexthop_group"), [Notification::New(nexthop(10, group))]);
    assert_eq!(announced("nexthop_fdb"), [Notification::New(fdb.clone())]);
    assert_eq!(announced("nexthop_delete"), [Notification::Gone(fdb)]);
}

#[test]
fn routes_are_read() {
    let by = |prefix: &str, gateways: &[(&str, u16)]| {
        let hop = |(gateway, weight): &(&str, u16)| Hop {
            weight: *weight,
            ..Hop::gateway(ip(gateway), 3)
        };
        Route::new(prefix.parse().unwrap(), 20, Via::Hops(gateways.iter().map(hop).collect()))
    };
    for (name, route) in [
        (
            "route_nexthop",
            Route::new("10.2.0.0/16".parse().unwrap(), 20, Via::Nexthop(0x5357_000a)),
        ),
        ("route_gateway", by("10.3.0.0/16", &[("10.0.0.2", 1)])),
        ("route_v6_gateway", by("10.4.0.0/16", &[("2001:db8::2", 1)])),
        ("route_multipath", by("10.5.0.0/16", &[("10.0.0.2", 1), ("10.0.0.3", 4)])),
        ("route_default", by("0.0.0.0/0", &[("10.0.0.2", 1)])),
        ("route_table", Route { table: 1000, ..by("10.6.0.0/16", &[("10.0.0.2", 1)]) }),
        ("route_v6", by("2001:db8:3::/48", &[("2001:db8::2", 1)])),
    ] {
        assert_eq!(announced(name), [Notification::New(Object::Route(route))], "{name}");
    }
    let gone = by("10.3.0.0/16", &[("10.0.0.2", 1)]);
    assert_eq!(announced("route_delete"), [Notification::Gone(Object::Route(gone))]);
}

#[test]
fn a_port_that_leaves_its_bridge_is_not_a_link_that_is_gone() {
    let gone = announced("link_delete");
    let links =
        gone.iter().filter(|news| matches!(news, Notification::Gone(Object::Link(_)))).count();
    assert_eq!((golden::messages("link_delete.notification").len(), links), (2, 1));
}

/// This machine's kernel has none of these, so there is nothing to capture.
#[test]
fn links_of_kinds_that_are_not_here_survive_being_written_and_read() {
    let bond = Bond { mode: BondMode::Lacp, hash: BondHash::Layer34 };
    for kind in [
        LinkKind::Vlan { id: 10, protocol: VlanProtocol::Dot1q },
        LinkKind::Vlan { id: 10, protocol: VlanProtocol::Dot1ad },
        LinkKind::Vrf { table: 1000 },
        LinkKind::Bond(bond),
        LinkKind::Bond(Bond::default()),
        LinkKind::Macvlan,
        LinkKind::Dummy,
    ] {
        let new = NewLink { lower: Some(2), ..NewLink::new("link", kind.clone()) };
        let request = new.encode(5).remove(0);
        let decoded = Notification::decode(request.message_type, &request.payload);
        let Ok(Some(Notification::New(Object::Link(link)))) = decoded else {
            panic!("{decoded:?}")
        };
        assert_eq!(
            (link.kind, link.name.as_str(), link.index, link.lower),
            (kind, "link", 5, Some(2))
        );
    }
}

#[test]
fn offload_flags_become_verdicts() {
    let flags = |offloaded, trapped, failed| Offload { offloaded, trapped, failed };
    use crate::kernel::Verdict;
    assert_eq!(flags(true, false, false).verdict(), Verdict::InHardware);
    assert_eq!(flags(false, true, false).verdict(), Verdict::Trapped);
    assert_eq!(flags(false, false, false).verdict(), Verdict::Software);
    assert_eq!(flags(false, false, true).verdict(), Verdict::Refused { errno: None, reason: None });
}

#[test]
fn the_offload_flags_of_each_object_are_where_the_kernel_puts_them() {
    let with_bits = |name: &str, offset: usize, bits: &[u8]| {
        let mut message = golden::messages(&format!("{name}.notification")).remove(0);
        for (octet, bits) in message[offset..].iter_mut().zip(bits) {
            *octet |= bits;
        }
        match Notification::decode_all(&message).remove(0) {
            Notification::New(object) => object.verdict(),
            other => panic!("{other:?}"),
        }
    };
    use crate::kernel::Verdict;
    assert_eq!(with_bits("fdb_remote", 16 + 10, &[0x20]), Verdict::InHardware);
    assert_eq!(with_bits("neighbor", 16 + 10, &[0x20]), Verdict::InHardware);
    assert_eq!(with_bits("nexthop", 16 + 4, &[8]), Verdict::InHardware);
    assert_eq!(with_bits("nexthop", 16 + 4, &[64]), Verdict::Trapped);
    assert_eq!(with_bits("route_gateway", 16 + 8, &0x4000_u32.to_ne_bytes()), Verdict::InHardware);
    assert_eq!(with_bits("route_gateway", 16 + 8, &0x8000_u32.to_ne_bytes()), Verdict::Trapped);
    let failed = with_bits("route_gateway", 16 + 8, &0x2000_0000_u32.to_ne_bytes());
    assert_eq!(failed, Verdict::Refused { errno: None, reason: None });
}

#[test]
fn multicast_neighbours_that_the_kernel_keeps_for_itself_are_never_new() {
    let mut message = golden::messages("neighbor.notification").remove(0);
    message[16 + 10] = 0;
    let news = Notification::decode_all(&message);
    let [Notification::Gone(Object::Neighbor(neighbor))] = news.as_slice() else { panic!("gone") };
    assert_eq!(neighbor.state, NeighborState::NoArp);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(message_type in 16_u16..110, payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let _decoded = Notification::decode(message_type, &payload);
        let _decoded = Notification::decode_all(&payload);
    }

    #[test]
    fn a_nexthop_survives_being_written_and_read(
        id in 1_u32.., address in any::<IpAddr>(), ifindex in 1_u32.., onlink in any::<bool>(),
        members in prop::collection::vec((1_u32.., 1_u32..=65536), 1..20), which in 0..5,
    ) {
        let members: Vec<NexthopMember> = members.into_iter().map(|(id, weight)| NexthopMember { id, weight }).collect();
        let kind = match which {
            0 => NexthopKind::Gateway { address, ifindex, onlink },
            1 => NexthopKind::Device { ifindex, v6: onlink },
            2 => NexthopKind::Blackhole { v6: onlink },
            3 => NexthopKind::Fdb { address },
            _ if onlink => NexthopKind::FdbGroup(members),
            _ => NexthopKind::Group(members),
        };
        let nexthop = Nexthop::new(id, kind);
        let request = nexthop.encode_create();
        prop_assert_eq!(Nexthop::decode(&request.payload), Some(nexthop));
    }
}
