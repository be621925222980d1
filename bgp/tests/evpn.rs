//! EVPN through the engine: what a spine must relay, and how moves are decided (RFC 7432 §7.7, §15; RFC 8365).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::speaker::{Event, Route, RouteKey};
use bgp::wire::{EvpnKey, EvpnPayload, ExtCommunity};
use pair::{EVPN, IPV4, Network, client, config, internal, mac, mac_key, mac_with, next_hop, pair};

/// leaf 0 - spine 1 - leaf 2, each in its own AS.
fn fabric() -> Network {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_100, 2), (65_002, 3)] {
        network.add(config(asn, last));
    }
    network.peer(0, 1, &[EVPN]);
    network.peer(1, 2, &[EVPN]);
    network.seconds(3);
    network
}

#[test]
fn a_spine_relays_routes_and_leaves_the_vtep_as_next_hop() {
    let mut network = fabric();
    network.announce(0, mac(1, 1));
    let best = network.best(2, &mac_key(1, 1)).unwrap();
    assert_eq!(best.next_hop(), next_hop(1));
    assert_eq!(best.as_path_length(), 2);
    assert!(
        best.ext_communities().any(|community| community == ExtCommunity::encapsulation_vxlan())
    );
    let report = &network.nodes[2].best[&mac_key(1, 1)];
    assert_eq!(report.payload.label.vni(), 100);
}

#[test]
fn a_received_withdrawal_goes_through_the_spine() {
    let mut network = fabric();
    network.announce(0, mac(1, 1));
    network.withdraw(0, &mac_key(1, 1));
    assert!(!network.knows(2, &mac_key(1, 1)));
    assert!(network.nodes[2].best[&mac_key(1, 1)].best.is_none());
}

#[test]
fn a_received_withdrawal_goes_through_a_route_reflector() {
    let mut network = Network::new();
    for last in 1..=3 {
        network.add(config(65_001, last));
    }
    network.peer_with(0, 1, &[EVPN], internal, client);
    network.peer_with(1, 2, &[EVPN], client, internal);
    network.seconds(3);
    network.announce(0, mac(1, 1));
    assert_eq!(network.best(2, &mac_key(1, 1)).unwrap().next_hop(), next_hop(1));
    network.withdraw(0, &mac_key(1, 1));
    assert!(!network.knows(2, &mac_key(1, 1)));
}

/// Types 6 to 8 of RFC 9251 and 9 to 11 of RFC 9572, with the first free one and the last one there is.
#[test]
fn a_spine_relays_route_types_that_it_does_not_read_octet_by_octet() {
    let mut network = fabric();
    for route_type in [6, 7, 8, 9, 10, 11, 12, 255] {
        for length in [0, 8, 255] {
            let bytes: Vec<u8> = (0..length).map(|octet: u8| octet ^ route_type).collect();
            let key = RouteKey::Evpn(EvpnKey::Unknown { route_type, bytes: bytes.clone().into() });
            let route = Route {
                key: key.clone(),
                payload: EvpnPayload::default(),
                attributes: mac(1, 1).attributes,
            };
            network.captured.clear();
            network.announce(0, route);
            let best = network.best(2, &key).unwrap();
            assert_eq!(best.next_hop(), next_hop(1));
            let nlri = [[route_type, length].as_slice(), &bytes].concat();
            let relayed = network.messages(1, 2);
            assert!(
                relayed.iter().any(|(_, body)| body.windows(nlri.len()).any(|part| part == nlri)),
                "type {route_type} with {length} octets is relayed as it came"
            );
            network.withdraw(0, &key);
            assert!(!network.knows(2, &key));
        }
    }
    assert!(network.established(0, 1) && network.established(1, 2));
}

#[test]
fn a_leaf_that_goes_takes_its_routes_along() {
    let mut network = fabric();
    network.announce(0, mac(1, 1));
    network.kill(0);
    network.settle();
    assert!(!network.knows(2, &mac_key(1, 1)));
}

#[test]
fn a_change_of_the_label_alone_is_told() {
    let mut network = fabric();
    network.announce(0, mac(1, 1));
    let mut moved = mac(1, 1);
    moved.payload = EvpnPayload { label: bgp::types::Label::from_vni(200), ..moved.payload };
    network.announce(0, moved);
    assert_eq!(network.nodes[2].best[&mac_key(1, 1)].payload.label.vni(), 200);
}

/// Leaves 0 and 2 announce the same MAC with the same RD; the spine chooses.
fn chosen(first: Route, second: Route) -> bgp::wire::AttributeSet {
    let mut network = fabric();
    let key = first.key.clone();
    network.announce(0, first);
    network.announce(2, second);
    network.best(1, &key).unwrap()
}

#[test]
fn the_higher_sequence_number_wins_a_move_whatever_else_says() {
    let best = chosen(
        mac_with(1, 1, 1, |a| {
            a.add_ext_community(ExtCommunity::mac_mobility(false, 4));
        }),
        mac_with(1, 1, 9, |a| {
            a.add_ext_community(ExtCommunity::mac_mobility(false, 5))
                .prepend_as(bgp::types::Asn(65_099));
        }),
    );
    assert_eq!(best.next_hop(), next_hop(9));
}

#[test]
fn with_equal_sequence_numbers_the_lower_vtep_wins() {
    let best = chosen(mac_with(1, 1, 8, |_| {}), mac_with(1, 1, 3, |_| {}));
    assert_eq!(best.next_hop(), next_hop(3));
}

#[test]
fn a_sticky_mac_does_not_move() {
    let best = chosen(
        mac_with(1, 1, 8, |a| {
            a.add_ext_community(ExtCommunity::mac_mobility(true, 0));
        }),
        mac_with(1, 1, 3, |a| {
            a.add_ext_community(ExtCommunity::mac_mobility(false, 7));
        }),
    );
    assert_eq!(best.next_hop(), next_hop(8));
}

#[test]
fn no_export_holds_for_evpn() {
    let mut network = fabric();
    network.announce(
        0,
        mac_with(1, 1, 1, |a| {
            a.add_community(0xffff_ff01);
        }),
    );
    assert!(!network.knows(1, &mac_key(1, 1)));
}

#[test]
fn a_key_that_changes_ten_times_between_two_polls_is_reported_once() {
    let mut network = pair(&[EVPN]);
    network.nodes[0].events.clear();
    for step in 1..=10 {
        network.nodes[0].speaker.announce(mac_with(1, 1, step, |_| {}));
    }
    network.settle();
    let reports = network.events(0, |event| match event {
        Event::BestPath(best) => best.best.clone(),
        _ => None,
    });
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].next_hop(), next_hop(10));
}

#[test]
fn best_paths_are_reported_only_for_the_families_asked_for() {
    let mut quiet = config(65_002, 2);
    quiet.best_path_events = vec![IPV4];
    let mut network = pair::pair_of(config(65_001, 1), quiet, &[IPV4, EVPN]);
    network.announce(0, mac(1, 1));
    network.announce(0, pair::ipv4("203.0.113.0/24"));
    assert!(network.knows(1, &mac_key(1, 1)));
    assert_eq!(network.nodes[1].best.keys().collect::<Vec<_>>(), [&pair::prefix("203.0.113.0/24")]);
}

#[test]
fn who_asks_for_best_paths_later_is_told_all_that_there_are_and_those_that_come() {
    let mut quiet = config(65_002, 2);
    quiet.best_path_events = Vec::new();
    let mut network = pair::pair_of(config(65_001, 1), quiet, &[EVPN]);
    network.announce(0, mac(1, 1));
    network.announce(0, mac(1, 2));
    network.withdraw(0, &mac_key(1, 2));
    assert!(network.nodes[1].best.is_empty());
    network.nodes[1].speaker.report_best_paths(EVPN);
    network.announce(0, mac(1, 3));
    let mut told: Vec<_> = network.nodes[1].best.keys().cloned().collect();
    told.sort_unstable();
    assert_eq!(told, [mac_key(1, 1), mac_key(1, 3)]);
}

#[test]
fn ten_thousand_macs_go_through_a_spine_and_back_out() {
    let mut network = fabric();
    let key = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let RouteKey::Evpn(EvpnKey::MacIp { rd, .. }) = mac_key(1, 1) else { panic!() };
        let mac = bgp::types::MacAddr::new(2, 0, 0, 0, high, low);
        RouteKey::Evpn(EvpnKey::MacIp { rd, ethernet_tag: 0, mac, ip: None })
    };
    for number in 0..10_000 {
        network.nodes[0].speaker.announce(Route { key: key(number), ..mac(1, 1) });
    }
    network.settle();
    assert_eq!(network.nodes[2].speaker.route_count(EVPN), 10_000);
    for number in 0..10_000 {
        network.nodes[0].speaker.withdraw(&key(number));
    }
    network.settle();
    assert_eq!(network.nodes[2].speaker.route_count(EVPN), 0);
    assert_eq!(network.nodes[1].speaker.usage().slots_in_use, 0);
}

#[test]
fn a_refresh_works_for_evpn_too() {
    let mut network = pair(&[EVPN]);
    network.announce(0, mac(1, 1));
    let before = network.updates(0, 1);
    let neighbor = network.neighbor(1, 0).id;
    network.nodes[1].speaker.request_refresh(neighbor, EVPN);
    network.settle();
    assert_eq!(network.updates(0, 1), before + 1);
    assert!(network.knows(1, &mac_key(1, 1)));
}
