use std::net::IpAddr;

use super::*;
use crate::kernel::message::{self, NLM_F_ACK, NLM_F_REQUEST, Replies};
use crate::kernel::{
    BridgeVlan, FdbEntry, Hop, Ifindex, Key, MacAddr, Neighbor, Nexthop, NexthopKind,
    NexthopMember, Route, Rule, RuleAction, RuleSelector, Via, golden,
};

/// The links of the captures.
const NEAR: Ifindex = 3;
const VX10: Ifindex = 6;
const VX10V6: Ifindex = 5;

const MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 7);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A message less what cannot or need not be equal: sequence number and the order of attributes.
type Essence = (u16, u16, Vec<u8>, Vec<(u16, Vec<u8>)>);

fn essence(message_type: u16, flags: u16, payload: &[u8]) -> Essence {
    let header = match message_type {
        17 | 19 => 16,
        20 | 104 | 105 => 8,
        44 | 45 => 20,
        _ => 12,
    };
    let mut attributes: Vec<_> = message::attributes(&payload[header..])
        .map(|(kind, value)| (kind, value.to_vec()))
        .collect();
    attributes.sort();
    (message_type, flags | NLM_F_REQUEST | NLM_F_ACK, payload[..header].to_vec(), attributes)
}

fn assert_says_what_iproute2_says(name: &str, changes: &[Change]) {
    let captured = golden::messages(&format!("{name}.request"));
    let reply = Replies(&captured[0]).next().unwrap();
    let theirs = essence(reply.message_type, reply.flags, reply.payload);
    let batch = Batch::fill(changes);
    assert_eq!(batch.requests.len(), 1, "{name}");
    let ours = &batch.requests[0];
    assert_eq!(essence(ours.message_type, ours.flags, &ours.payload), theirs, "{name}");
}

fn remote_mac() -> [Object; 2] {
    [FdbEntry::remote_in_bridge(VX10, MAC), FdbEntry::remote_in_vxlan(VX10, MAC, ip("192.0.2.7"))]
        .map(Object::Fdb)
}

#[test]
fn a_remote_mac_is_one_message_as_iproute2_writes_it() {
    assert_says_what_iproute2_says("fdb_remote", &remote_mac().map(Change::Create));
    let [bridge, vxlan] = remote_mac();
    assert_says_what_iproute2_says("fdb_remote", &[vxlan, bridge].map(Change::Create));
    let v6 = FdbEntry::remote_in_vxlan(VX10V6, MacAddr(2, 0, 0, 0, 0, 8), ip("2001:db8::7"));
    assert_says_what_iproute2_says("fdb_remote_v6_vtep", &[Change::Create(Object::Fdb(v6))]);
    let flood = FdbEntry::flood(VX10, ip("192.0.2.7"));
    assert_says_what_iproute2_says("fdb_flood", &[Change::Create(Object::Fdb(flood))]);
}

#[test]
fn neighbours_are_written_as_iproute2_writes_them() {
    let v4 = Neighbor::remote(NEAR, ip("10.0.0.7"), MAC);
    assert_says_what_iproute2_says("neighbor", &[Change::Create(Object::Neighbor(v4))]);
    let v6 = Neighbor { router: true, ..Neighbor::remote(NEAR, ip("2001:db8::7"), MAC) };
    assert_says_what_iproute2_says("neighbor_v6", &[Change::Create(Object::Neighbor(v6))]);
}

#[test]
fn nexthops_are_written_as_iproute2_writes_them() {
    let nexthop = |number: u32, kind| Object::Nexthop(Nexthop::new(0x5357_0000 + number, kind));
    let gateway =
        |address| NexthopKind::Gateway { address: ip(address), ifindex: NEAR, onlink: false };
    let member = |number: u32, weight| NexthopMember { id: 0x5357_0000 + number, weight };
    let fdb = nexthop(11, NexthopKind::Fdb { address: ip("192.0.2.7") });
    let group = NexthopKind::Group(vec![member(1, 1), member(6, 4)]);
    for (name, change) in [
        ("nexthop", Change::Create(nexthop(1, gateway("10.0.0.2")))),
        ("nexthop_v6", Change::Create(nexthop(6, gateway("2001:db8::2")))),
        ("nexthop_group", Change::Create(nexthop(10, group))),
        ("nexthop_fdb", Change::Create(fdb.clone())),
        ("nexthop_delete", Change::Delete(fdb)),
    ] {
        assert_says_what_iproute2_says(name, &[change]);
    }
}

#[test]
fn resilient_groups_are_written_as_iproute2_writes_them() {
    let members = vec![NexthopMember { id: 0x5357_000d, weight: 1 }];
    let kind = NexthopKind::ResilientGroup { members, buckets: 32 };
    let [request] = encode(&Change::Create(Object::Nexthop(Nexthop::new(0x5357_000e, kind))))
        .try_into()
        .unwrap();
    let resilience = message::attributes(&request.payload[8..]).find(|(kind, _)| *kind == 12);
    let captured = golden::messages("nexthop_resilient.request").remove(0);
    let (_, theirs) = message::attributes(&captured[24..]).find(|(kind, _)| *kind == 12).unwrap();
    assert!(theirs.starts_with(resilience.unwrap().1), "theirs has a timer besides");
}

#[test]
fn vlans_of_ports_and_bridges_are_written_as_iproute2_writes_them() {
    let vlan = |vlan| Object::BridgeVlan(vlan);
    assert_says_what_iproute2_says(
        "bridge_vlan",
        &[Change::Create(vlan(BridgeVlan::access(3, 10)))],
    );
    assert_says_what_iproute2_says(
        "bridge_vlan_self",
        &[Change::Create(vlan(BridgeVlan::of_bridge(19, 10)))],
    );
    assert_says_what_iproute2_says(
        "bridge_vlan_delete",
        &[Change::Delete(vlan(BridgeVlan::tagged(3, 10)))],
    );
}

#[test]
fn rules_are_written_as_iproute2_writes_them() {
    let rule = Rule {
        v6: false,
        priority: 100,
        action: RuleAction::Table(1000),
        selector: RuleSelector {
            source: Some("10.0.0.0/8".parse().unwrap()),
            input: Some("swp2".to_owned()),
            mark: Some((1, 3)),
            ..RuleSelector::default()
        },
        protocol: crate::kernel::PROTOCOL_BGP,
    };
    assert_says_what_iproute2_says("rule", &[Change::Create(Object::Rule(rule))]);
}

#[test]
fn routes_are_written_as_iproute2_writes_them() {
    let route = |prefix: &str, via| Route::new(prefix.parse().unwrap(), 20, via);
    let by = |prefix, gateways: &[(&str, u16)]| {
        let hop = |(gateway, weight): &(&str, u16)| Hop {
            weight: *weight,
            ..Hop::gateway(ip(gateway), NEAR)
        };
        route(prefix, Via::Hops(gateways.iter().map(hop).collect()))
    };
    for (name, route) in [
        ("route_nexthop", route("10.2.0.0/16", Via::Nexthop(0x5357_000a))),
        ("route_gateway", by("10.3.0.0/16", &[("10.0.0.2", 1)])),
        ("route_v6_gateway", by("10.4.0.0/16", &[("2001:db8::2", 1)])),
        ("route_multipath", by("10.5.0.0/16", &[("10.0.0.2", 1), ("10.0.0.3", 4)])),
        ("route_default", by("0.0.0.0/0", &[("10.0.0.2", 1)])),
        ("route_table", Route { table: 1000, ..by("10.6.0.0/16", &[("10.0.0.2", 1)]) }),
        ("route_v6", by("2001:db8:3::/48", &[("2001:db8::2", 1)])),
    ] {
        assert_says_what_iproute2_says(name, &[Change::Create(Object::Route(route))]);
    }
    let gone = by("10.3.0.0/16", &[("10.0.0.2", 1)]);
    assert_says_what_iproute2_says("route_delete", &[Change::Delete(Object::Route(gone))]);
}

#[test]
fn halves_of_different_macs_or_marks_are_never_one_message() {
    let [bridge, _] = remote_mac();
    let other = FdbEntry::remote_in_vxlan(VX10, MacAddr(2, 0, 0, 0, 0, 8), ip("192.0.2.7"));
    let unmarked =
        FdbEntry { extern_learn: false, ..FdbEntry::remote_in_vxlan(VX10, MAC, ip("192.0.2.7")) };
    for second in [other, unmarked, FdbEntry::flood(VX10, ip("192.0.2.7"))] {
        let batch =
            Batch::fill(&[Change::Create(bridge.clone()), Change::Create(Object::Fdb(second))]);
        assert_eq!(batch.requests.len(), 2);
    }
}

#[test]
fn a_batch_holds_64_messages_and_a_refused_pair_is_tried_again_one_by_one() {
    let changes: Vec<Change> = (0..100_u8)
        .flat_map(|number| {
            let mac = MacAddr(2, 0, 0, 0, 1, number);
            let halves = [
                FdbEntry::remote_in_bridge(VX10, mac),
                FdbEntry::remote_in_vxlan(VX10, mac, ip("192.0.2.7")),
            ];
            halves.map(Object::Fdb).map(Change::Create)
        })
        .collect();
    let batch = Batch::fill(&changes);
    assert_eq!((batch.requests.len(), batch.changes()), (64, 128));
    let mut answers = vec![Ok(()); 64];
    answers[1] = Err((Errno::EINVAL, None));
    let outcomes = batch.outcomes(&changes[..128], answers);
    let alone: Vec<usize> = (0..128).filter(|index| outcomes[*index] == Outcome::Alone).collect();
    assert_eq!(alone, [2, 3]);
}

#[test]
fn deleting_what_is_gone_is_success_and_creating_what_exists_is_not() {
    let route = Object::Route(Route::new("10.0.0.0/8".parse().unwrap(), 20, Via::Nexthop(1)));
    for (change, errno, fine) in [
        (Change::Delete(route.clone()), Errno::ESRCH, true),
        (Change::Delete(route.clone()), Errno::EBUSY, false),
        (Change::Create(route.clone()), Errno::EEXIST, false),
        (Change::Create(route.clone()), Errno::ESRCH, false),
        (Change::Delete(remote_mac()[0].clone()), Errno::ENOENT, true),
    ] {
        let batch = Batch::single(&change);
        let outcome = batch
            .outcomes(std::slice::from_ref(&change), vec![Err((errno, Some("why".to_owned())))])
            .remove(0);
        let Outcome::Done(answer) = outcome else { panic!("{change:?}") };
        assert_eq!(answer.is_ok(), fine, "{change:?} {errno}");
        if let Err(error) = answer {
            assert_eq!((error.errno(), error.reason()), (Some(errno), Some("why")));
        }
    }
}

#[test]
fn a_refusal_names_a_new_link_by_its_name() {
    let link = crate::kernel::Link::decode(&netlink_packet_route::link::LinkMessage::default());
    let change =
        Change::Create(Object::Link(crate::kernel::Link { name: "br10".to_owned(), ..link }));
    assert_eq!(change.key(), Key::Link(0));
    let refused = refused(&change, Errno::EEXIST, None);
    assert_eq!(refused.to_string(), "kernel refused link 'br10': File exists");
}
