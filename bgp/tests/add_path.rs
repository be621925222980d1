//! ADD-PATH (RFC 7911): several paths of a destination on one session, each under its own identifier.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]

mod pair;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bgp::policy::{FamilyPolicy, NeighborPolicy, RouteMap};
use bgp::speaker::{
    AddPathSend, ConnectionId, LimitAction, MaximumPrefix, NeighborConfig, RemoteAs, RouteKey,
    Speaker, SpeakerConfig,
};
use bgp::types::{AfiSafi, Asn, RouterId};
use bgp::wire::{
    AttributeSet, Capability, Ipv4Unicast, NextHop, Open, Routes, UpdatePacker, encode_keepalive,
};
use pair::{
    EVPN, IPV4, Network, client, config, internal, ipv4, ipv4_with, mac_key, mac_with, prefix,
};

const NET: &str = "203.0.113.0/24";
const RECEIVER: usize = 1;

/// Node 0 reflects to its client, node 1, with ADD-PATH, what nodes 2, 3, 4 ... of the same AS say.
fn reflector(send: AddPathSend, family: AfiSafi, sources: usize) -> Network {
    let mut network = Network::new();
    for last in 0..2 + sources {
        let mut config = config(65_000, u8::try_from(last).unwrap() + 1);
        config.graceful_restart = Some(bgp::speaker::GracefulRestartConfig::default());
        network.add(config);
    }
    let to_receiver = |c: &mut NeighborConfig| {
        client(c);
        c.add_path_send = Some(send);
    };
    let at_receiver = |c: &mut NeighborConfig| {
        internal(c);
        c.add_path_receive = true;
    };
    network.peer_with(0, RECEIVER, &[family], to_receiver, at_receiver);
    for source in 2..2 + sources {
        // No clients, so that they do not hear of each other.
        network.peer_with(0, source, &[family], internal, internal);
    }
    network.seconds(3);
    network
}

/// A source announces [`NET`] through this neighbouring AS.
fn announce(network: &mut Network, source: usize, asn: u32, local_pref: u32) {
    let last = u8::try_from(source).unwrap();
    let route = ipv4_with(NET, |a| {
        a.set_as_path(&[Asn(asn)]).set_local_pref(local_pref).set_next_hop(pair::next_hop(last));
    });
    network.announce(source, route);
}

/// The receiver's paths to a destination: identifier and last octet of the next hop, in order.
fn received(network: &Network, key: &RouteKey) -> Vec<(u32, u8)> {
    let Some(route) = network.nodes[RECEIVER].speaker.route(key) else { return Vec::new() };
    let path = |path: &bgp::speaker::PathView| match path.attributes.next_hop() {
        NextHop::V4(address) => (path.path_id, address.octets()[3]),
        NextHop::V6 { .. } => panic!("an IPv6 next hop"),
    };
    let mut paths: Vec<(u32, u8)> = route.paths.iter().map(path).collect();
    paths.sort_unstable();
    paths
}

fn next_hops(network: &Network) -> Vec<u8> {
    let mut next_hops: Vec<u8> =
        received(network, &prefix(NET)).into_iter().map(|(_, last)| last).collect();
    next_hops.sort_unstable();
    next_hops
}

#[test]
fn all_paths_are_told_each_under_an_identifier_that_stays_its_own() {
    let mut network = reflector(AddPathSend::All, IPV4, 3);
    for source in 2..5 {
        announce(&mut network, source, 65_009, 100);
    }
    let all = received(&network, &prefix(NET));
    assert_eq!(next_hops(&network), [2, 3, 4]);
    network.withdraw(3, &prefix(NET));
    let without: Vec<_> = all.iter().copied().filter(|(_, last)| *last != 3).collect();
    assert_eq!(received(&network, &prefix(NET)), without, "the others are as they were");
    announce(&mut network, 2, 65_009, 50);
    assert_eq!(received(&network, &prefix(NET)), without, "a change keeps the identifier");
    for source in [2, 4] {
        network.withdraw(source, &prefix(NET));
    }
    assert!(!network.knows(RECEIVER, &prefix(NET)));
    assert_eq!(network.neighbor(0, RECEIVER).families[0].sent, 0);
}

#[test]
fn a_path_that_did_not_change_is_not_told_again() {
    let mut network = reflector(AddPathSend::All, IPV4, 2);
    announce(&mut network, 2, 65_009, 100);
    let before = network.updates(0, RECEIVER);
    announce(&mut network, 3, 65_009, 100);
    let messages = network.messages(0, RECEIVER);
    let updates: Vec<_> = messages.iter().filter(|(kind, _)| *kind == 2).skip(before).collect();
    assert_eq!(updates.len(), 1);
    let nlri: [u8; 8] = *updates[0].1.last_chunk().unwrap();
    assert_eq!(nlri[4..], [24, 203, 0, 113], "one path: identifier, then the prefix");
}

#[test]
fn the_best_of_each_as_or_so_many_of_the_best_are_told_if_that_is_asked_for() {
    let cases = [(AddPathSend::BestPerAs, vec![2, 4]), (AddPathSend::Best(2), vec![2, 3])];
    for (send, expected) in cases {
        let mut network = reflector(send, IPV4, 3);
        announce(&mut network, 4, 65_008, 100);
        announce(&mut network, 3, 65_009, 200);
        announce(&mut network, 2, 65_009, 300);
        assert_eq!(next_hops(&network), expected, "{send:?}");
        network.withdraw(2, &prefix(NET));
        assert_eq!(next_hops(&network), [3, 4], "{send:?}");
    }
}

#[test]
fn without_both_sides_consent_there_is_one_path_and_no_identifier() {
    let mut network = Network::new();
    for last in 1..=3 {
        network.add(config(65_000, last));
    }
    let send = |c: &mut NeighborConfig| {
        client(c);
        c.add_path_send = Some(AddPathSend::All);
    };
    network.peer_with(0, RECEIVER, &[IPV4], send, internal);
    network.peer_with(0, 2, &[IPV4], client, internal);
    network.seconds(3);
    network.announce(0, ipv4(NET));
    announce(&mut network, 2, 65_009, 100);
    assert_eq!(received(&network, &prefix(NET)).len(), 1);
    assert_eq!(received(&network, &prefix(NET))[0].0, 0);
}

#[test]
fn evpn_routes_have_identifiers_too() {
    let mut network = reflector(AddPathSend::All, EVPN, 2);
    for source in [2, 3] {
        network.announce(source, mac_with(7, 1, u8::try_from(source).unwrap(), |_| {}));
    }
    let last: Vec<u8> = received(&network, &mac_key(7, 1)).iter().map(|(_, last)| *last).collect();
    assert_eq!(last.len(), 2);
    network.withdraw(2, &mac_key(7, 1));
    let left = received(&network, &mac_key(7, 1));
    assert_eq!(left.iter().map(|(_, last)| *last).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_refresh_tells_every_path_again_and_a_lost_one_goes_at_the_end_mark() {
    let mut network = reflector(AddPathSend::All, IPV4, 2);
    for source in [2, 3] {
        announce(&mut network, source, 65_009, 100);
    }
    let before = received(&network, &prefix(NET));
    let id = network.neighbor(RECEIVER, 0).id;
    network.nodes[RECEIVER].speaker.request_refresh(id, IPV4);
    network.settle();
    assert_eq!(received(&network, &prefix(NET)), before);
    assert!(!network.is_stale(RECEIVER, &prefix(NET)));
}

#[test]
fn after_a_restart_of_the_sender_what_it_does_not_tell_again_goes_path_by_path() {
    let mut network = reflector(AddPathSend::All, IPV4, 2);
    for source in [2, 3] {
        announce(&mut network, source, 65_009, 100);
    }
    network.reset_connections(0, RECEIVER);
    assert_eq!(next_hops(&network), [2, 3], "kept, stale");
    assert!(network.is_stale(RECEIVER, &prefix(NET)));
    network.withdraw(3, &prefix(NET));
    network.seconds(60);
    assert_eq!(next_hops(&network), [2]);
    assert!(!network.is_stale(RECEIVER, &prefix(NET)));
}

#[test]
fn stale_paths_make_room_for_new_ones_at_the_limit() {
    let mut network = reflector(AddPathSend::All, IPV4, 3);
    let limit =
        MaximumPrefix { family: IPV4, limit: 2, warning: 75, action: LimitAction::Teardown };
    let mut limited = network.neighbor(RECEIVER, 0).config;
    limited.maximum_prefix = vec![limit];
    let now = network.now;
    network.nodes[RECEIVER].speaker.set_neighbors(vec![limited], now).unwrap();
    for source in [2, 3] {
        announce(&mut network, source, 65_009, 100);
    }
    network.reset_connections(0, RECEIVER);
    assert!(network.is_stale(RECEIVER, &prefix(NET)));
    announce(&mut network, 4, 65_009, 100);
    network.withdraw(2, &prefix(NET));
    assert_eq!(next_hops(&network), [2, 3], "kept, stale");
    network.seconds(60);
    assert!(network.established(0, RECEIVER));
    assert_eq!(network.neighbor(RECEIVER, 0).over_limit, None);
    assert_eq!(next_hops(&network), [3, 4]);
}

#[test]
fn a_resumed_session_withdraws_what_its_predecessor_announced_under_its_identifier() {
    let mut network = reflector(AddPathSend::All, IPV4, 1);
    announce(&mut network, 2, 65_009, 100);
    for net in [NET, "198.51.100.0/24"] {
        network.announce(0, ipv4(net));
    }
    assert_eq!(received(&network, &prefix(NET)).len(), 2);
    network.kill_kept(0);
    let mut restarted = config(65_000, 1);
    restarted.graceful_restart = Some(bgp::speaker::GracefulRestartConfig::default());
    restarted.restarting = true;
    let receiver = network.nodes[RECEIVER].address;
    let source = network.nodes[2].address;
    let now = network.now;
    let resumed = network.resume(0, restarted, |network| {
        let mut to_receiver = NeighborConfig::new(receiver, RemoteAs::Internal, [IPV4]);
        client(&mut to_receiver);
        to_receiver.add_path_send = Some(AddPathSend::All);
        let to_source = NeighborConfig::new(source, RemoteAs::Internal, [IPV4]);
        let speaker = &mut network.nodes[0].speaker;
        speaker.add_neighbor(to_receiver, now).unwrap();
        speaker.add_neighbor(to_source, now).unwrap();
        speaker.predecessor_announced(vec![prefix(NET), prefix("198.51.100.0/24")]);
    });
    assert_eq!(resumed, 2);
    network.nodes[0].speaker.announce(ipv4("198.51.100.0/24"));
    network.nodes[0].speaker.local_routes_ready(IPV4);
    network.seconds(5);
    assert_eq!(next_hops(&network), [2], "ours is not announced any more");
    assert!(network.knows(RECEIVER, &prefix("198.51.100.0/24")));
}

#[test]
fn whatever_comes_and_goes_the_receiver_ends_up_with_what_there_is() {
    let mut network = reflector(AddPathSend::All, IPV4, 4);
    let nets: Vec<String> = (0..8).map(|net| format!("203.0.{net}.0/24")).collect();
    let mut number = 7u32;
    for step in 0..600 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let source = 2 + (number >> 8) as usize % 4;
        let net = &nets[(number >> 12) as usize % nets.len()];
        let speaker = &mut network.nodes[source].speaker;
        if number >> 16 & 1 == 0 {
            speaker.withdraw(&prefix(net));
        } else {
            speaker.announce(ipv4_with(net, |a| {
                a.set_local_pref(number >> 20 & 3)
                    .set_next_hop(pair::next_hop(source.try_into().unwrap()));
            }));
        }
        if step % 7 == 0 {
            network.settle();
        }
        network.stall(RECEIVER, number >> 18 & 1 == 0);
    }
    network.stall(RECEIVER, false);
    network.settle();
    for net in &nets {
        let there = network.nodes[0].speaker.route(&prefix(net));
        let mut there: Vec<NextHop> = there.map_or_else(Vec::new, |route| {
            route.paths.iter().map(|path| path.attributes.next_hop()).collect()
        });
        there.sort_unstable();
        let here = network.nodes[RECEIVER].speaker.route(&prefix(net));
        let mut here: Vec<NextHop> = here.map_or_else(Vec::new, |route| {
            route.paths.iter().map(|path| path.attributes.next_hop()).collect()
        });
        here.sort_unstable();
        assert_eq!(here, there, "{net}");
    }
}

/// With soft reconfiguration, what a policy refuses is kept path by path: another policy finds each, and one that was
/// withdrawn meanwhile under its own identifier is not among them.
#[test]
fn each_path_is_kept_by_itself_when_a_policy_refuses_it() {
    let mut network = reflector(AddPathSend::All, IPV4, 3);
    let keep = NeighborPolicy { keep_received: true, ..NeighborPolicy::default() };
    let refuse = Arc::new(RouteMap::new("none".into(), Vec::new()).unwrap());
    let map = FamilyPolicy { import: Some(refuse), export: None };
    let refusing = NeighborPolicy { families: [(IPV4, map)].into(), ..keep.clone() };
    change_policy(&mut network, refusing);
    for source in 2..5 {
        announce(&mut network, source, 65_009, 100);
    }
    assert_eq!(next_hops(&network), [0; 0], "refused");
    network.withdraw(3, &prefix(NET));
    let updates = network.updates(0, RECEIVER);
    change_policy(&mut network, keep);
    assert_eq!(next_hops(&network), [2, 4]);
    assert_eq!(network.updates(0, RECEIVER), updates, "nothing had to be sent again");
    let ids: Vec<u32> = received(&network, &prefix(NET)).iter().map(|(id, _)| *id).collect();
    network.withdraw(2, &prefix(NET));
    assert_eq!(next_hops(&network), [4], "of {ids:?}, the right one");
}

/// What the receiver does with the reflector's routes.
fn change_policy(network: &mut Network, policy: NeighborPolicy) {
    let mut neighbor = network.neighbor(RECEIVER, 0).config;
    neighbor.policy = policy;
    let now = network.now;
    network.nodes[RECEIVER].speaker.set_neighbors(vec![neighbor], now).unwrap();
    network.settle();
}

/// A speaker with one neighbour that sends path identifiers, whose bytes the test writes.
struct Scripted {
    speaker: Speaker,
    connection: ConnectionId,
    now: Instant,
}

const PACKER: UpdatePacker = UpdatePacker { max_len: 4096, four_octet_as: true };

impl Scripted {
    fn new() -> Self {
        let now = Instant::now();
        let config = SpeakerConfig::new(Asn(65_000), RouterId(Ipv4Addr::new(10, 0, 0, 1)));
        let mut speaker = Speaker::new(config, now);
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        let mut neighbor = NeighborConfig::new(address, RemoteAs::External, [IPV4]);
        neighbor.passive = true;
        neighbor.add_path_receive = true;
        speaker.add_neighbor(neighbor, now).unwrap();
        let local = SocketAddr::from(([192, 0, 2, 1], 179));
        let connection =
            speaker.handle_accepted(SocketAddr::new(address, 40_000), local, now).unwrap();
        let asn = Asn(65_001);
        let capabilities = vec![
            Capability::Multiprotocol(IPV4),
            Capability::FourOctetAs(asn),
            Capability::AddPath(vec![(IPV4, 2)]),
        ];
        let router_id = RouterId(Ipv4Addr::new(10, 0, 0, 2));
        let mut hello = Vec::new();
        Open { asn, hold_time: 0, router_id, capabilities }.encode(&mut hello);
        encode_keepalive(&mut hello);
        speaker.handle_bytes(connection, &hello, now);
        Self { speaker, connection, now }
    }

    fn announce(&mut self, ids: &[u32], med: u32) {
        let mut editor = AttributeSet::builder(NextHop::V4(Ipv4Addr::new(192, 0, 2, 2)));
        editor.set_as_path(&[Asn(65_001)]).set_med(med);
        let net = NET.parse().unwrap();
        let mut out = Vec::new();
        let paths = ids.iter().map(|id| (*id, &net, &()));
        PACKER.announce_paths::<Ipv4Unicast>(&editor.build(), paths, &mut out).unwrap();
        self.speaker.handle_bytes(self.connection, &out, self.now);
    }

    fn withdraw(&mut self, id: u32) {
        let net = NET.parse().unwrap();
        let mut out = Vec::new();
        PACKER.withdraw_paths::<Ipv4Unicast>([(id, &net)], &mut out);
        self.speaker.handle_bytes(self.connection, &out, self.now);
    }

    fn ids(&self) -> Vec<u32> {
        let route = self.speaker.route(&prefix(NET));
        let mut ids: Vec<u32> =
            route.iter().flat_map(|route| &route.paths).map(|path| path.path_id).collect();
        ids.sort_unstable();
        ids
    }
}

#[test]
fn an_identifier_of_zero_is_one_like_any_other() {
    let mut peer = Scripted::new();
    peer.announce(&[0, 7, u32::MAX], 0);
    assert_eq!(peer.ids(), [0, 7, u32::MAX]);
    peer.withdraw(0);
    assert_eq!(peer.ids(), [7, u32::MAX]);
    peer.withdraw(0);
    assert_eq!(peer.ids(), [7, u32::MAX], "it is not a wildcard");
}

#[test]
fn an_identifier_that_comes_again_replaces_its_path_only() {
    let mut peer = Scripted::new();
    peer.announce(&[1, 2], 5);
    peer.announce(&[2], 1);
    assert_eq!(peer.ids(), [1, 2]);
    let route = peer.speaker.route(&prefix(NET)).unwrap();
    assert_eq!(route.paths[0].path_id, 2, "the lower MED is better");
    assert_eq!(peer.speaker.neighbors()[0].families[0].received, 2);
}

#[test]
fn of_equal_paths_the_lower_identifier_is_the_best_in_any_order() {
    for ids in [[3, 9, 4], [9, 4, 3], [4, 3, 9]] {
        let mut peer = Scripted::new();
        for id in ids {
            peer.announce(&[id], 0);
        }
        assert_eq!(peer.speaker.route(&prefix(NET)).unwrap().paths[0].path_id, 3, "{ids:?}");
    }
}

#[test]
fn a_field_that_ends_within_an_identifier_resets_the_session() {
    let mut peer = Scripted::new();
    peer.announce(&[1], 0);
    let mut out = Vec::new();
    PACKER.withdraw_paths::<Ipv4Unicast>([(1, &NET.parse().unwrap())], &mut out);
    // Three octets of an identifier.
    let last = out.len() - 10;
    out.truncate(last);
    out.extend_from_slice(&[0, 3, 0, 0, 1, 0, 0]);
    let len = u16::try_from(out.len()).unwrap().to_be_bytes();
    out[16..18].copy_from_slice(&len);
    peer.speaker.handle_bytes(peer.connection, &out, peer.now);
    assert_eq!(peer.ids(), [0; 0]);
    assert!(peer.speaker.neighbors()[0].negotiated.is_none());
}

#[test]
fn routes_without_identifiers_are_read_as_before() {
    let routes: Vec<_> = Routes::<Ipv4Unicast>::new(&[8, 10]).paths().map(Result::unwrap).collect();
    assert_eq!(routes, [(0, ("10.0.0.0/8".parse().unwrap(), ()))]);
}

#[test]
fn paths_beyond_what_anybody_needs_are_not_taken() {
    let mut network = reflector(AddPathSend::All, IPV4, 0);
    // ORIGIN, an empty AS_PATH, NEXT_HOP, LOCAL_PREF; then 10.0.0.0/8 under ten thousand identifiers.
    let attributes =
        [0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 192, 0, 2, 9, 0x40, 5, 4, 0, 0, 0, 100];
    let nlri: Vec<u8> =
        (1..=10_000_u32).flat_map(|id| [&id.to_be_bytes()[..], &[8, 10]].concat()).collect();
    let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    let body = [&[0, 0], &length[..], &attributes, &nlri].concat();
    let total = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
    let message = [&[0xff; 16][..], &total, &[2], &body].concat();
    network.inject(RECEIVER, 0, &message);
    network.settle();
    assert!(network.established(0, RECEIVER));
    let paths = received(&network, &prefix("10.0.0.0/8"));
    assert_eq!(paths.len(), 64);
    assert_eq!(paths.last(), Some(&(64, 9)), "the first ones stay");
}
