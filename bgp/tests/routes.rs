//! Routes: who is told what, with which attributes (RFC 4271 §5, §9; RFC 1997, 2918, 4456, 7313, 7606, 8950).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::net::{IpAddr, Ipv4Addr};

use bgp::speaker::{AllowOwnAs, Event, RouteKey, SessionState};
use bgp::types::{Asn, RouterId};
use bgp::wire::{NextHop, Origin, UpdatePacker};
use pair::{
    IPV4, IPV6, Network, client, config, internal, ipv4, ipv4_with, next_hop, pair, pair_of, prefix,
};

const NET: &str = "203.0.113.0/24";

/// 0 - 1 - 2 in a row, with these AS numbers.
fn row(asns: [u32; 3]) -> Network {
    let mut network = Network::new();
    for (asn, last) in asns.into_iter().zip(1..) {
        network.add(config(asn, last));
    }
    for (a, b) in [(0, 1), (1, 2)] {
        let same = asns[a] == asns[b];
        let change = |c: &mut bgp::speaker::NeighborConfig| {
            if same {
                internal(c);
            }
        };
        network.peer_with(a, b, &[IPV4], change, change);
    }
    network.seconds(3);
    network
}

fn address(node: u8) -> NextHop {
    NextHop::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, node)))
}

#[test]
fn an_external_neighbor_gets_our_as_our_address_and_no_local_pref() {
    let mut network = pair(&[IPV4]);
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_local_pref(200).set_next_hop(next_hop(7));
        }),
    );
    let best = network.best(1, &prefix(NET)).unwrap();
    assert_eq!(best.as_path().asns().collect::<Vec<_>>(), [Asn(65_001)]);
    assert_eq!(best.next_hop(), address(1));
    assert_eq!(best.local_pref(), None);
}

#[test]
fn an_internal_neighbor_gets_local_pref_and_the_path_as_it_is() {
    let mut network = row([65_009, 65_001, 65_001]);
    network.announce(0, ipv4(NET));
    let best = network.best(2, &prefix(NET)).unwrap();
    assert_eq!(best.as_path().asns().collect::<Vec<_>>(), [Asn(65_009)]);
    assert_eq!(best.local_pref(), Some(100));
    assert_eq!(best.next_hop(), address(1), "the next hop in the other AS is left as it is");
}

#[test]
fn next_hop_self_replaces_the_next_hop_of_external_routes_only() {
    let mut network = Network::new();
    for (asn, last) in [(65_009, 1), (65_001, 2), (65_001, 3)] {
        network.add(config(asn, last));
    }
    network.peer(0, 1, &[IPV4]);
    network.peer_with(
        1,
        2,
        &[IPV4],
        |c| {
            internal(c);
            c.next_hop_self = true;
        },
        internal,
    );
    network.seconds(3);
    network.announce(0, ipv4(NET));
    network.announce(
        1,
        ipv4_with("198.51.100.0/24", |a| {
            a.set_next_hop(next_hop(7));
        }),
    );
    assert_eq!(network.best(2, &prefix(NET)).unwrap().next_hop(), address(2));
    assert_eq!(network.best(2, &prefix("198.51.100.0/24")).unwrap().next_hop(), next_hop(7));
}

#[test]
fn neighbors_that_differ_in_one_knob_are_each_told_their_own() {
    // 1 and 2 share nothing but the AS: next-hop-self and being a client must not rub off.
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_001, 2), (65_001, 3), (65_009, 4), (65_001, 5)] {
        network.add(config(asn, last));
    }
    network.peer_with(
        0,
        1,
        &[IPV4],
        |c| {
            internal(c);
            c.next_hop_self = true;
        },
        internal,
    );
    network.peer_with(0, 2, &[IPV4], client, internal);
    network.peer(0, 3, &[IPV4]);
    network.peer_with(0, 4, &[IPV4], internal, internal);
    network.seconds(3);
    network.announce(3, ipv4(NET));
    assert_eq!(network.best(1, &prefix(NET)).unwrap().next_hop(), address(1));
    assert_eq!(network.best(2, &prefix(NET)).unwrap().next_hop(), address(4));
    let other = "198.51.100.0/24";
    network.announce(4, ipv4(other));
    assert!(!network.knows(1, &prefix(other)), "no client");
    assert!(network.knows(2, &prefix(other)), "a client");
}

#[test]
fn internal_routes_are_not_told_to_internal_neighbors() {
    let mut network = row([65_001, 65_001, 65_001]);
    network.announce(0, ipv4(NET));
    assert!(network.knows(1, &prefix(NET)));
    assert!(!network.knows(2, &prefix(NET)));
}

#[test]
fn a_route_reflector_names_originator_and_cluster_and_changes_nothing_else() {
    let mut network = Network::new();
    for last in 1..=3 {
        network.add(config(65_001, last));
    }
    network.peer_with(0, 1, &[IPV4], internal, client);
    network.peer_with(1, 2, &[IPV4], client, internal);
    network.seconds(3);
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_med(5).set_local_pref(150);
        }),
    );
    let best = network.best(2, &prefix(NET)).unwrap();
    assert_eq!(best.originator_id(), Some(pair::id(1)));
    assert_eq!(best.cluster_list().collect::<Vec<_>>(), [pair::id(2).0]);
    assert_eq!((best.med(), best.local_pref(), best.next_hop()), (Some(5), Some(150), address(1)));
    assert!(best.as_path().is_empty());
    network.withdraw(0, &prefix(NET));
    assert!(!network.knows(2, &prefix(NET)), "withdrawals are reflected too");
}

#[test]
fn reflected_routes_that_come_back_are_dropped() {
    // Three reflectors in a triangle, all clients of each other.
    let mut network = Network::new();
    for last in 1..=3 {
        network.add(config(65_001, last));
    }
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        network.peer_with(a, b, &[IPV4], client, client);
    }
    network.seconds(3);
    network.announce(0, ipv4(NET));
    network.seconds(60);
    let routes = network.nodes[0].speaker.routes(IPV4);
    assert_eq!(
        routes[0].paths.len(),
        1,
        "only our own: originator and cluster are ours on the others"
    );
    network.withdraw(0, &prefix(NET));
    assert!((0..3).all(|node| !network.knows(node, &prefix(NET))));
}

#[test]
fn a_path_with_our_own_as_is_dropped_unless_allowed() {
    for allowed in [0, 1] {
        let mut network = Network::new();
        for (asn, last) in [(65_001, 1), (65_002, 2), (65_001, 3)] {
            network.add(config(asn, last));
        }
        network.peer(0, 1, &[IPV4]);
        network.peer_with(1, 2, &[IPV4], |_| {}, |c| c.allow_own_as = AllowOwnAs::Times(allowed));
        network.seconds(3);
        network.announce(0, ipv4(NET));
        assert_eq!(network.knows(2, &prefix(NET)), allowed == 1);
    }
}

#[test]
fn what_an_external_neighbor_would_drop_need_not_be_sent() {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_001, 3)] {
        network.add(config(asn, last));
    }
    network.peer(0, 1, &[IPV4]);
    network.peer_with(1, 2, &[IPV4], |c| c.sender_side_loop_check = true, |_| {});
    network.seconds(3);
    network.announce(0, ipv4(NET));
    assert_eq!(network.neighbor(1, 2).families[0].sent, 0);
    assert_eq!(
        network.neighbor(1, 0).families[0].sent,
        0,
        "and nothing goes back to where it came from"
    );
}

#[test]
fn med_goes_to_the_next_as_but_not_to_a_third() {
    let mut network = row([65_001, 65_002, 65_003]);
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_med(50);
        }),
    );
    assert_eq!(network.best(1, &prefix(NET)).unwrap().med(), Some(50));
    assert_eq!(network.best(2, &prefix(NET)).unwrap().med(), None);
}

#[test]
fn no_export_and_no_advertise_are_kept() {
    for (community, to_external, to_internal) in [
        (0xffff_ff01, false, true),
        (0xffff_ff02, false, false),
        (0xffff_ff03, false, true),
        (1, true, true),
    ] {
        for (asns, told) in
            [([65_009, 65_001, 65_002], to_external), ([65_009, 65_001, 65_001], to_internal)]
        {
            let mut network = row(asns);
            // Straight into the table of node 1, as if it had come from elsewhere.
            network.announce(
                1,
                ipv4_with(NET, |a| {
                    a.add_community(community);
                }),
            );
            assert_eq!(network.knows(2, &prefix(NET)), told, "{community:x} {asns:?}");
        }
    }
}

#[test]
fn a_better_path_replaces_and_its_end_brings_the_other_back() {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3), (65_004, 4)] {
        network.add(config(asn, last));
    }
    for (a, b) in [(0, 2), (1, 2), (2, 3)] {
        network.peer(a, b, &[IPV4]);
    }
    network.seconds(3);
    network.announce(0, ipv4(NET));
    network.announce(
        1,
        ipv4_with(NET, |a| {
            a.set_origin(Origin::Incomplete);
        }),
    );
    let first =
        |network: &Network| network.best(3, &prefix(NET)).map(|best| best.as_path().asns().nth(1));
    assert_eq!(first(&network), Some(Some(Asn(65_001))));
    network.withdraw(0, &prefix(NET));
    assert_eq!(first(&network), Some(Some(Asn(65_002))));
    network.withdraw(1, &prefix(NET));
    assert_eq!(first(&network), None);
}

#[test]
fn an_attribute_change_is_told() {
    let mut network = row([65_001, 65_002, 65_003]);
    network.announce(0, ipv4(NET));
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_origin(Origin::Egp);
        }),
    );
    assert_eq!(network.best(2, &prefix(NET)).unwrap().origin(), Origin::Egp);
}

#[test]
fn the_same_again_is_not_told_again() {
    let mut network = row([65_001, 65_002, 65_003]);
    network.announce(0, ipv4(NET));
    let before = network.updates(0, 1);
    network.announce(0, ipv4(NET));
    assert_eq!(network.updates(0, 1), before);
}

#[test]
fn routes_with_the_same_attributes_share_an_update() {
    let mut network = pair(&[IPV4]);
    let before = network.updates(0, 1);
    for number in 0..200 {
        network.nodes[0].speaker.announce(ipv4(&format!("10.1.{number}.0/24")));
    }
    network.settle();
    assert_eq!(network.updates(0, 1), before + 1);
    assert_eq!(network.nodes[1].speaker.route_count(IPV4), 200);
}

#[test]
fn a_slow_peer_is_told_only_the_last_of_many_changes() {
    let mut network = pair(&[IPV4]);
    let before = network.updates(0, 1);
    for step in 1..=10 {
        network.nodes[0].speaker.announce(ipv4_with(NET, |a| {
            a.set_med(step);
        }));
    }
    network.settle();
    assert_eq!(network.updates(0, 1), before + 1);
    assert_eq!(network.best(1, &prefix(NET)).unwrap().med(), Some(10));
}

#[test]
fn what_comes_and_goes_before_a_peer_reads_is_never_told() {
    let mut network = pair(&[IPV4]);
    let before = network.updates(0, 1);
    network.nodes[0].speaker.announce(ipv4(NET));
    network.nodes[0].speaker.withdraw(&prefix(NET));
    network.settle();
    assert_eq!(network.updates(0, 1), before);
}

#[test]
fn a_stalled_peer_keeps_its_session_alive_and_catches_up() {
    let mut network = row([65_001, 65_002, 65_003]);
    network.stall(2, true);
    for round in 0..20 {
        for number in 0..100 {
            network.nodes[0].speaker.announce(ipv4_with(&format!("10.1.{number}.0/24"), |a| {
                a.set_med(round);
            }));
        }
        network.settle();
    }
    network.stall(2, false);
    network.settle();
    assert_eq!(network.nodes[2].speaker.route_count(IPV4), 100);
    assert!(network.established(1, 2));
}

#[test]
fn a_new_neighbor_gets_everything_and_the_end_of_it() {
    let mut network = row([65_001, 65_002, 65_003]);
    for number in 0..100 {
        network.nodes[0].speaker.announce(ipv4(&format!("10.1.{number}.0/24")));
    }
    network.settle();
    network.reset_connections(1, 2);
    assert_eq!(network.nodes[2].speaker.route_count(IPV4), 0);
    network.nodes[2].events.clear();
    network.seconds(20);
    assert_eq!(network.nodes[2].speaker.route_count(IPV4), 100);
    let ends = network
        .events(2, |event| matches!(event, Event::EndOfRib { family: IPV4, .. }).then_some(()));
    assert_eq!(ends.len(), 1);
    assert!(network.neighbor(2, 1).families[0].end_of_rib);
}

#[test]
fn end_of_rib_is_sent_even_if_there_is_no_route() {
    let network = pair(&[IPV4, IPV6]);
    for node in 0..2 {
        let ends =
            network.events(node, |event| matches!(event, Event::EndOfRib { .. }).then_some(()));
        assert_eq!(ends.len(), 2);
    }
}

#[test]
fn a_refresh_sends_everything_again_between_marks() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(NET));
    network.captured.clear();
    let neighbor = network.neighbor(1, 0).id;
    network.nodes[1].speaker.request_refresh(neighbor, IPV4);
    network.settle();
    let messages = network.messages(0, 1);
    let kinds: Vec<(u8, Option<u8>)> =
        messages.iter().map(|(kind, body)| (*kind, (*kind == 5).then(|| body[2]))).collect();
    assert_eq!(kinds, [(5, Some(1)), (2, None), (5, Some(2))]);
    assert!(network.knows(1, &prefix(NET)));
    assert!(!network.is_stale(1, &prefix(NET)));
}

#[test]
fn a_soft_reset_outbound_sends_everything_again() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(NET));
    let before = network.updates(0, 1);
    let neighbor = network.neighbor(0, 1).id;
    network.nodes[0].speaker.resend(neighbor, IPV4);
    network.settle();
    assert_eq!(network.updates(0, 1), before + 1);
}

#[test]
fn a_route_that_the_refresh_does_not_mention_is_gone() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(NET));
    let mut bytes = Vec::new();
    for subtype in [1, 2] {
        bgp::wire::RouteRefresh { family: IPV4, subtype }.encode(&mut bytes);
    }
    network.inject(1, 0, &bytes);
    network.settle();
    assert!(!network.knows(1, &prefix(NET)));
}

#[test]
fn a_defective_update_withdraws_its_routes_and_keeps_the_session() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(NET));
    network.announce(0, ipv4("198.51.100.0/24"));
    // ORIGIN 9 does not exist.
    let mut update = vec![0, 0, 0, 4, 0x40, 1, 1, 9, 24, 203, 0, 113];
    let length = u8::try_from(update.len() + 19).unwrap();
    let mut message = vec![0xff; 16];
    message.extend([0, length, 2]);
    message.append(&mut update);
    network.inject(1, 0, &message);
    network.settle();
    assert!(!network.knows(1, &prefix(NET)));
    assert!(network.knows(1, &prefix("198.51.100.0/24")));
    assert_eq!(network.state(1, 0), SessionState::Established);
    assert_eq!(network.neighbor(1, 0).treated_as_withdraw, 1);
}

#[test]
fn a_prefix_that_is_too_long_resets_the_session() {
    let mut network = pair(&[IPV4]);
    let mut message = vec![0xff; 16];
    message.extend([0, 28, 2, 0, 5, 33, 1, 2, 3, 4]);
    message[17] = 23 + 6;
    message.extend([0, 0]);
    message[17] = u8::try_from(message.len()).unwrap();
    network.inject(1, 0, &message);
    assert_ne!(network.state(1, 0), SessionState::Established);
}

#[test]
fn an_external_peer_must_be_the_first_in_its_paths() {
    let mut network = pair(&[IPV4]);
    let mut editor = bgp::wire::AttributeSet::builder(next_hop(1));
    editor.set_as_path(&[Asn(65_055)]);
    let mut bytes = Vec::new();
    let packer = UpdatePacker { max_len: 4096, four_octet_as: true };
    let key = NET.parse().unwrap();
    packer.announce::<bgp::wire::Ipv4Unicast>(&editor.build(), [(&key, &())], &mut bytes).unwrap();
    network.inject(1, 0, &bytes);
    assert!(!network.knows(1, &prefix(NET)));
    assert_eq!(network.state(1, 0), SessionState::Established);
}

#[test]
fn a_neighbor_is_never_its_own_next_hop() {
    let mut network = pair_of(config(65_001, 1), config(65_001, 2), &[IPV4]);
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_next_hop(address(2));
        }),
    );
    assert_eq!(network.neighbor(0, 1).families[0].sent, 0);
}

#[test]
fn a_route_with_our_own_address_as_next_hop_is_not_used() {
    let mut network = pair(&[IPV4]);
    let mut editor = bgp::wire::AttributeSet::builder(address(2));
    editor.set_as_path(&[Asn(65_001)]);
    let mut bytes = Vec::new();
    let packer = UpdatePacker { max_len: 4096, four_octet_as: true };
    let key = NET.parse().unwrap();
    packer.announce::<bgp::wire::Ipv4Unicast>(&editor.build(), [(&key, &())], &mut bytes).unwrap();
    network.inject(1, 0, &bytes);
    assert!(!network.knows(1, &prefix(NET)));
}

#[test]
fn an_empty_best_path_is_withdrawn_in_ipv6_too() {
    let mut network = pair_of(config(65_001, 1), config(65_001, 2), &[IPV6]);
    let key = RouteKey::Ipv6("2001:db8:1::/48".parse().unwrap());
    let next_hop = NextHop::from("2001:db8::1".parse::<IpAddr>().unwrap());
    let attributes = bgp::wire::AttributeSet::builder(next_hop).build();
    let route = bgp::speaker::Route { key: key.clone(), payload: Default::default(), attributes };
    network.announce(0, route);
    assert_eq!(network.best(1, &key).unwrap().next_hop(), next_hop);
    network.withdraw(0, &key);
    assert!(!network.knows(1, &key));
}

#[test]
fn ipv4_routes_travel_with_ipv6_next_hops_over_ipv6_sessions() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    for (node, text) in ["2001:db8::1", "2001:db8::2"].into_iter().enumerate() {
        network.nodes[node].address = text.parse().unwrap();
    }
    network.peer(0, 1, &[IPV4]);
    network.seconds(2);
    network.announce(0, ipv4(NET));
    let best = network.best(1, &prefix(NET)).unwrap();
    assert_eq!(best.next_hop(), NextHop::from("2001:db8::1".parse::<IpAddr>().unwrap()));
}

#[test]
fn an_ipv4_route_is_reported_with_its_ipv6_next_hop() {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3)] {
        let node = network.add(config(asn, last));
        let last = u16::from(last);
        network.nodes[node].address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    }
    network.peer(0, 1, &[IPV4]);
    network.peer_with(1, 2, &[IPV4], |c| c.next_hop_unchanged = true, |_| {});
    network.seconds(2);
    for (node, other) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        let negotiated = network.neighbor(node, other).negotiated.unwrap();
        assert!(negotiated.extended_next_hop.contains(IPV4));
    }
    network.announce(0, ipv4(NET));
    let next_hop = NextHop::from("2001:db8::1".parse::<IpAddr>().unwrap());
    for node in [1, 2] {
        let report = network.nodes[node].best[&prefix(NET)].best.clone();
        assert_eq!(report.unwrap().next_hop(), next_hop, "also when it is passed on unchanged");
    }
    network.withdraw(0, &prefix(NET));
    assert!(network.nodes[2].best[&prefix(NET)].best.is_none());
}

#[test]
fn ipv6_next_hops_of_ipv4_routes_can_be_agreed_on_over_ipv4_sessions() {
    let with = |c: &mut bgp::speaker::NeighborConfig| {
        c.extended_next_hop = true;
        c.next_hop_unchanged = true;
    };
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    network.peer_with(0, 1, &[IPV4], with, with);
    network.seconds(2);
    let ipv6 = NextHop::from("2001:db8::7".parse::<IpAddr>().unwrap());
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_next_hop(ipv6);
        }),
    );
    network.announce(
        0,
        ipv4_with("198.51.100.0/24", |a| {
            a.set_next_hop(next_hop(7));
        }),
    );
    assert_eq!(network.best(1, &prefix(NET)).unwrap().next_hop(), ipv6);
    assert_eq!(network.best(1, &prefix("198.51.100.0/24")).unwrap().next_hop(), next_hop(7));
}

#[test]
fn both_ipv6_next_hops_of_an_ipv4_route_are_reported() {
    // As FRR sends it on a link: a global and a link-local address in 32 octets.
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    for (node, text) in ["2001:db8::1", "2001:db8::2"].into_iter().enumerate() {
        network.nodes[node].address = text.parse().unwrap();
    }
    network.peer(0, 1, &[IPV4]);
    network.seconds(2);
    let both = NextHop::V6 {
        global: "2001:db8::1".parse().unwrap(),
        link_local: Some("fe80::1".parse().unwrap()),
    };
    let mut editor = bgp::wire::AttributeSet::builder(both);
    editor.set_as_path(&[Asn(65_001)]);
    let mut bytes = Vec::new();
    let packer = UpdatePacker { max_len: 4096, four_octet_as: true };
    let key = NET.parse().unwrap();
    packer.announce::<bgp::wire::Ipv4Unicast>(&editor.build(), [(&key, &())], &mut bytes).unwrap();
    network.inject(1, 0, &bytes);
    network.settle();
    let report = network.nodes[1].best[&prefix(NET)].best.clone().unwrap();
    assert_eq!(report.next_hop(), both);
}

#[test]
fn an_ipv6_next_hop_is_not_sent_to_a_peer_that_cannot_read_it() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    for (node, text) in ["2001:db8::1", "2001:db8::2"].into_iter().enumerate() {
        network.nodes[node].address = text.parse().unwrap();
    }
    network.peer_with(0, 1, &[IPV4], |_| {}, |c| c.extended_next_hop = false);
    network.seconds(2);
    network.announce(0, ipv4(NET));
    assert!(network.established(0, 1));
    assert_eq!(network.neighbor(0, 1).families[0].sent, 0);
}

#[test]
fn thousands_of_flaps_leave_nothing_behind() {
    let mut network = row([65_001, 65_002, 65_003]);
    network.stall(2, true);
    for flap in 0..3000u32 {
        let [_, _, c, d] = flap.to_be_bytes();
        let net = format!("10.{c}.{d}.0/24");
        network.announce(
            0,
            ipv4_with(&net, |a| {
                a.set_med(flap);
            }),
        );
        network.withdraw(0, &prefix(&net));
        // The reports hold on to attributes.
        network.nodes.iter_mut().for_each(|node| {
            node.events.clear();
            node.best.clear();
        });
    }
    network.stall(2, false);
    network.settle();
    for node in 0..3 {
        let usage = network.nodes[node].speaker.usage();
        assert_eq!(usage.routes, 0);
        assert!(usage.slots < 1000, "node {node}: {usage:?}");
        assert!(usage.attribute_sets <= 1024, "node {node}: {usage:?}");
    }
}

#[test]
fn a_thousand_session_flaps_leave_nothing_behind() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(NET));
    for _ in 0..1000 {
        network.reset_connections(0, 1);
        network.seconds(5);
    }
    assert!(network.knows(1, &prefix(NET)));
    let usage = network.nodes[0].speaker.usage();
    assert!(usage.connections <= 1 && usage.policies <= 2, "{usage:?}");
}

#[test]
fn an_identifier_tells_paths_apart_before_the_address_does() {
    // Both peers' paths are equal up to the identifier; the lower one is at the higher address.
    let mut network = Network::new();
    for (asn, last) in [(65_001, 9), (65_001, 3), (65_002, 5)] {
        network.add(config(asn, last));
    }
    network.peer(0, 2, &[IPV4]);
    network.peer(1, 2, &[IPV4]);
    network.seconds(3);
    network.announce(0, ipv4(NET));
    network.announce(1, ipv4(NET));
    assert_eq!(network.best(2, &prefix(NET)).unwrap().next_hop(), address(2));
    let negotiated = network.neighbor(2, 1).negotiated.unwrap();
    assert_eq!(negotiated.router_id, RouterId(Ipv4Addr::new(10, 0, 0, 3)));
}
