//! Dumps of the tables, byte by byte. That other programs read them is shown in `tests/underlay`.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod pair;

use bgp::mrt::TableDump;
use bgp::speaker::RouteView;
use bgp::types::AfiSafi;
use pair::{ipv4, mac, pair};

const NOW: u32 = 1_700_000_000;

/// Header fields and body of each record.
fn records(mut dump: &[u8]) -> Vec<(u32, u16, u16, Vec<u8>)> {
    let mut records = Vec::new();
    while let Some((header, rest)) = dump.split_first_chunk::<12>() {
        let u32_at = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let u16_at = |at: usize| u16::from_be_bytes(header[at..at + 2].try_into().unwrap());
        let (body, after) = rest.split_at_checked(u32_at(8) as usize).unwrap();
        records.push((u32_at(0), u16_at(4), u16_at(6), body.to_vec()));
        dump = after;
    }
    assert_eq!(dump, []);
    records
}

#[test]
fn a_dump_names_the_peers_and_then_their_routes() {
    let mut network = pair(&[AfiSafi::IPV4_UNICAST, AfiSafi::L2VPN_EVPN]);
    network.announce(0, ipv4("203.0.113.0/24"));
    network.announce(0, mac(1, 7));
    network.seconds(30);
    network.settle();

    let speaker = &network.nodes[1].speaker;
    let peers = speaker.dump_peers(network.now, NOW);
    let mut out = Vec::new();
    let mut dump = TableDump::begin(NOW, speaker.config().router_id, &peers, &mut out);
    for family in [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST, AfiSafi::L2VPN_EVPN] {
        speaker.routes(family).iter().for_each(|route| dump.route(route, &mut out));
    }

    let records = records(&out);
    assert!(records.iter().all(|(timestamp, kind, ..)| (*timestamp, *kind) == (NOW, 13)));
    let [(_, _, 1, index), (_, _, 2, unicast), (_, _, 6, generic)] = records.as_slice() else {
        panic!("index, IPv4 and generic: {records:?}");
    };

    // Collector, no view name, ourselves and the neighbour.
    let neighbor = network.neighbor(1, 0);
    assert_eq!(index[..8], [&speaker.config().router_id.0.octets()[..], &[0, 0, 0, 2]].concat());
    assert_eq!(index.len(), 8 + 2 * 13);
    let theirs = &index[8 + 13..];
    assert_eq!(theirs[0], 2, "IPv4 address, AS of four octets");
    let negotiated = neighbor.negotiated.unwrap();
    assert_eq!(theirs[1..5], negotiated.router_id.0.octets());
    assert_eq!(theirs[9..13], negotiated.asn.0.to_be_bytes());

    // Sequence number, prefix, one entry: peer 1, since its session came up.
    let age = network.now.duration_since(neighbor.established_since.unwrap()).as_secs();
    assert!(age >= 30);
    assert_eq!(unicast[..10], [0, 0, 0, 0, 24, 203, 0, 113, 0, 1]);
    assert_eq!(unicast[10..12], [0, 1]);
    let since = u32::from_be_bytes(unicast[12..16].try_into().unwrap());
    assert_eq!(u64::from(NOW - since), age);
    let length = usize::from(u16::from_be_bytes(unicast[16..18].try_into().unwrap()));
    assert_eq!(unicast[18..].len(), length);
    assert_eq!(unicast[18..22], [0x40, 1, 1, 0], "ORIGIN IGP");

    // AFI 25, SAFI 70, route type 2, and of MP_REACH_NLRI only the next hop.
    assert_eq!(generic[..4], [0, 0, 0, 1]);
    assert_eq!(generic[4..9], [0, 25, 70, 2, 33]);
    let next_hop = generic.windows(4).position(|octets| octets == [0x80, 14, 5, 4]);
    assert!(next_hop.is_some(), "{generic:?}");
}

#[test]
fn a_path_of_a_neighbor_that_came_later_is_left_out() {
    let mut network = pair(&[AfiSafi::IPV4_UNICAST]);
    let speaker = &network.nodes[1].speaker;
    let only_us = &speaker.dump_peers(network.now, NOW)[..1];
    let mut out = Vec::new();
    let mut dump = TableDump::begin(NOW, speaker.config().router_id, only_us, &mut out);
    network.announce(0, ipv4("203.0.113.0/24"));
    network.settle();
    let routes: Vec<RouteView> = network.nodes[1].speaker.routes(AfiSafi::IPV4_UNICAST);
    assert_eq!(routes.len(), 1);
    dump.route(&routes[0], &mut out);
    assert_eq!(records(&out).len(), 1, "the index alone");
}

#[test]
fn a_table_is_read_in_lots_without_missing_or_repeating_any() {
    let mut network = pair(&[AfiSafi::IPV4_UNICAST]);
    for number in 0..10 {
        network.announce(1, ipv4(&format!("10.0.{number}.0/24")));
    }
    network.settle();
    let speaker = &network.nodes[1].speaker;
    let mut keys = Vec::new();
    let mut from = Some(0);
    while let Some(place) = from {
        let (lot, next) = speaker.routes_from(AfiSafi::IPV4_UNICAST, place, 3);
        assert!(lot.len() <= 3);
        keys.extend(lot.into_iter().map(|route| route.key));
        from = next;
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 10);
}
