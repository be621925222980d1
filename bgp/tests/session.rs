//! Sessions: how they come up, stay up, and end (RFC 4271 §8, 5492, 6286, 6608, 6793, 9003, 9687).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::time::Duration;

use bgp::speaker::{DownReason, Event, NeighborConfig, NeighborError, RemoteAs, SessionState};
use bgp::types::{AfiSafi, Asn};
use bgp::wire::{CeaseReason, Notification};
use pair::{EVPN, IPV4, IPV6, Network, config, internal, ipv4, pair, pair_of, prefix};

fn two_peers() -> Network {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    network
}

fn down_reasons(network: &Network, node: usize) -> Vec<DownReason> {
    network.events(node, |event| match event {
        Event::SessionDown { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

fn notifications(network: &Network, from: usize, to: usize) -> Vec<Notification> {
    let messages = network.messages(from, to);
    messages
        .iter()
        .filter(|(kind, _)| *kind == 3)
        .map(|(_, body)| Notification::decode(body))
        .collect()
}

#[test]
fn a_session_comes_up_whoever_connects() {
    for passive_side in 0..2 {
        let mut network = two_peers();
        network.peer_with(
            0,
            1,
            &[IPV4],
            |c| c.passive = passive_side == 0,
            |c| c.passive = passive_side == 1,
        );
        network.seconds(1);
        assert!(network.established(0, 1));
        assert_eq!(network.open_connections(), 1);
    }
}

#[test]
fn two_passive_sides_never_meet() {
    let mut network = two_peers();
    network.peer_with(0, 1, &[IPV4], |c| c.passive = true, |c| c.passive = true);
    network.seconds(600);
    assert_eq!(network.state(0, 1), SessionState::Active);
}

#[test]
fn of_two_connections_the_one_of_the_higher_identifier_survives() {
    for ids in [(1, 2), (2, 1)] {
        let mut network = Network::new();
        network.add(config(65_001, ids.0));
        network.add(config(65_002, ids.1));
        network.hold_connects = true;
        network.peer(0, 1, &[IPV4]);
        network.seconds(1);
        network.release_connects();
        network.settle();
        assert!(network.established(0, 1));
        assert_eq!(network.open_connections(), 1);
        let higher = usize::from(ids.1 > ids.0);
        let (local, _) = network.neighbor(higher, 1 - higher).addresses.unwrap();
        assert_eq!(
            local.port(),
            40_000,
            "the higher identifier keeps the connection that it opened"
        );
        assert_eq!(network.neighbor(0, 1).established_count, 1);
    }
}

#[test]
fn sessions_meet_again_after_any_number_of_collisions() {
    let mut network = two_peers();
    network.peer(0, 1, &[IPV4]);
    for _ in 0..50 {
        network.seconds(7);
        network.reset_connections(0, 1);
    }
    network.seconds(20);
    assert!(network.established(0, 1));
    assert_eq!(network.open_connections(), 1);
}

#[test]
fn keepalives_go_out_within_a_third_of_the_hold_time() {
    let mut network = pair(&[IPV4]);
    network.captured.clear();
    network.seconds(300);
    let count = network.messages(0, 1).iter().filter(|(kind, _)| *kind == 4).count();
    // 90 s hold time, 22.5 to 30 s between two.
    assert!((10..=14).contains(&count), "{count}");
    assert!(network.established(0, 1));
}

#[test]
fn the_lower_hold_time_counts() {
    let mut network = two_peers();
    network.peer_with(0, 1, &[IPV4], |c| c.hold_time = Some(9), |_| {});
    network.seconds(1);
    assert_eq!(network.neighbor(1, 0).negotiated.unwrap().hold_time, 9);
}

#[test]
fn a_silent_peer_loses_its_routes_when_the_hold_timer_expires() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4("203.0.113.0/24"));
    assert!(network.knows(1, &prefix("203.0.113.0/24")));
    network.cut(0, 1);
    network.seconds(59);
    assert!(network.knows(1, &prefix("203.0.113.0/24")));
    network.seconds(32);
    assert!(!network.knows(1, &prefix("203.0.113.0/24")));
    assert_eq!(
        down_reasons(&network, 1),
        [DownReason::NotificationSent(Notification::hold_timer_expired())]
    );
    assert!(network.nodes[1].best[&prefix("203.0.113.0/24")].best.is_none(), "the daemon is told");
}

#[test]
fn a_hold_time_of_zero_sends_no_keepalives_and_never_expires() {
    let mut network = two_peers();
    network.peer_with(0, 1, &[IPV4], |c| c.hold_time = Some(0), |_| {});
    network.seconds(1);
    network.captured.clear();
    network.seconds(100_000);
    assert!(network.established(0, 1));
    assert!(network.messages(0, 1).is_empty());
}

#[test]
fn a_hold_time_of_one_second_is_refused() {
    let mut network = two_peers();
    let mut neighbor = NeighborConfig::new(network.nodes[1].address, RemoteAs::External, [IPV4]);
    neighbor.hold_time = Some(1);
    let now = network.now;
    assert!(matches!(
        network.nodes[0].speaker.add_neighbor(neighbor, now),
        Err(NeighborError::HoldTime(_, 1))
    ));
}

#[test]
fn the_wrong_as_number_is_refused_and_tried_again_more_and_more_slowly() {
    let mut network = two_peers();
    network.peer_with(
        0,
        1,
        &[IPV4],
        |c| c.remote_as = RemoteAs::Asn(Asn(65_009)),
        |c| c.passive = true,
    );
    network.seconds(600);
    let refusals = notifications(&network, 0, 1);
    assert!(refusals.iter().all(|refusal| *refusal == Notification::bad_peer_as()));
    assert!((8..=22).contains(&refusals.len()), "{}", refusals.len());
}

#[test]
fn an_internal_neighbor_must_be_in_our_as_and_an_external_one_must_not() {
    for (asns, expected, works) in [
        ((65_001, 65_001), RemoteAs::Internal, true),
        ((65_001, 65_002), RemoteAs::Internal, false),
        ((65_001, 65_002), RemoteAs::External, true),
        ((65_001, 65_001), RemoteAs::External, false),
    ] {
        let mut network = Network::new();
        network.add(config(asns.0, 1));
        network.add(config(asns.1, 2));
        let same = if asns.0 == asns.1 { RemoteAs::Internal } else { RemoteAs::External };
        network.peer_with(0, 1, &[IPV4], |c| c.remote_as = expected, |c| c.remote_as = same);
        network.seconds(2);
        assert_eq!(network.established(0, 1), works, "{asns:?} {expected:?}");
    }
}

#[test]
fn two_speakers_of_one_as_must_not_have_the_same_identifier() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_001, 1));
    network.peer_with(0, 1, &[IPV4], internal, internal);
    network.seconds(5);
    assert!(!network.established(0, 1));
    assert!(notifications(&network, 0, 1).contains(&Notification::bad_bgp_identifier()));
}

#[test]
fn only_common_families_are_used() {
    let mut network = two_peers();
    network.peer_with(0, 1, &[IPV4, EVPN], |_| {}, |c| c.families = vec![EVPN, IPV6]);
    network.seconds(2);
    let families: Vec<AfiSafi> =
        network.neighbor(0, 1).negotiated.unwrap().families.iter().collect();
    assert_eq!(families, [EVPN]);
}

#[test]
fn without_a_common_family_the_missing_ones_are_named() {
    let mut network = two_peers();
    network.peer_with(0, 1, &[IPV4], |_| {}, |c| c.families = vec![EVPN]);
    network.seconds(2);
    assert!(!network.established(0, 1));
    let refusals = [notifications(&network, 0, 1), notifications(&network, 1, 0)].concat();
    assert!(refusals.iter().any(|refusal| (refusal.code, refusal.subcode) == (2, 7)
        && (refusal.data == [1, 4, 0, 1, 0, 1] || refusal.data == [1, 4, 0, 25, 0, 70])));
}

#[test]
fn as_numbers_beyond_two_octets_work() {
    let mut network = Network::new();
    network.add(config(4_200_000_001, 1));
    network.add(config(4_200_000_002, 2));
    network.peer_with(
        0,
        1,
        &[IPV4],
        |c| c.remote_as = RemoteAs::Asn(Asn(4_200_000_002)),
        |c| c.remote_as = RemoteAs::Asn(Asn(4_200_000_001)),
    );
    network.seconds(2);
    assert!(network.established(0, 1));
    let (_, open) = network.messages(0, 1).into_iter().find(|(kind, _)| *kind == 1).unwrap();
    assert_eq!(open[1..3], 23_456u16.to_be_bytes(), "AS_TRANS in the two-octet field");
    network.announce(0, ipv4("203.0.113.0/24"));
    let best = network.best(1, &prefix("203.0.113.0/24")).unwrap();
    assert_eq!(best.first_as(), Some(Asn(4_200_000_001)));
}

#[test]
fn a_shutdown_tells_the_peer_why_and_lasts() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4("203.0.113.0/24"));
    let neighbor = network.neighbor(0, 1).id;
    let now = network.now;
    network.nodes[0].speaker.disable_neighbor(neighbor, Some("fan tray swap"), now);
    network.settle();
    let reasons = down_reasons(&network, 1);
    let [DownReason::NotificationReceived(cease)] = reasons.as_slice() else {
        panic!("{reasons:?}")
    };
    assert_eq!(cease.shutdown_text().as_deref(), Some("fan tray swap"));
    assert!(!network.knows(1, &prefix("203.0.113.0/24")));
    network.seconds(600);
    assert_eq!(network.state(0, 1), SessionState::Idle);
    let now = network.now;
    network.nodes[0].speaker.enable_neighbor(neighbor, now);
    network.seconds(90);
    assert!(network.established(0, 1));
    assert!(network.knows(1, &prefix("203.0.113.0/24")));
}

#[test]
fn a_removed_neighbor_is_told_and_its_place_is_used_again() {
    let mut network = pair(&[IPV4]);
    network.announce(1, ipv4("203.0.113.0/24"));
    let neighbor = network.neighbor(0, 1).id;
    let now = network.now;
    network.nodes[0].speaker.remove_neighbor(neighbor, now);
    network.settle();
    assert!(!network.knows(0, &prefix("203.0.113.0/24")));
    assert_eq!(network.state(1, 0), SessionState::Idle);
    let again = NeighborConfig::new(network.nodes[1].address, RemoteAs::External, [IPV4]);
    assert_eq!(network.nodes[0].speaker.add_neighbor(again, now).unwrap(), neighbor);
    network.seconds(90);
    assert!(network.established(0, 1));
}

#[test]
fn a_neighbor_exists_once_and_needs_a_family() {
    let mut network = two_peers();
    network.peer(0, 1, &[IPV4]);
    let address = network.nodes[1].address;
    let now = network.now;
    let speaker = &mut network.nodes[0].speaker;
    let twice = NeighborConfig::new(address, RemoteAs::External, [IPV4]);
    assert_eq!(speaker.add_neighbor(twice, now), Err(NeighborError::Duplicate(address)));
    let other = "192.0.2.99".parse().unwrap();
    let none = NeighborConfig::new(other, RemoteAs::External, []);
    assert_eq!(speaker.add_neighbor(none, now), Err(NeighborError::NoFamily(other)));
    let vpn = NeighborConfig::new(other, RemoteAs::External, [AfiSafi { afi: 1, safi: 128 }]);
    assert_eq!(speaker.add_neighbor(vpn, now), Err(NeighborError::NoFamily(other)));
}

#[test]
fn strangers_are_not_let_in() {
    let mut network = two_peers();
    let now = network.now;
    let stranger = "192.0.2.77:40000".parse().unwrap();
    let local = "192.0.2.1:179".parse().unwrap();
    assert_eq!(network.nodes[0].speaker.handle_accepted(stranger, local, now), None);
}

#[test]
fn an_unreachable_neighbor_is_tried_at_the_configured_pace() {
    let mut network = two_peers();
    network.cut(0, 1);
    network.peer_with(0, 1, &[IPV4], |_| {}, |c| c.passive = true);
    network.seconds(100);
    network.mend(0, 1);
    network.seconds(10);
    assert!(network.established(0, 1), "the connect retry time is 10 s");
}

#[test]
fn a_peer_that_connects_and_says_nothing_is_dropped_after_four_minutes() {
    let mut network = two_peers();
    network.peer_with(0, 1, &[IPV4], |c| c.passive = true, |c| c.passive = true);
    let now = network.now;
    let remote = "192.0.2.2:40000".parse().unwrap();
    let local = "192.0.2.1:179".parse().unwrap();
    let speaker = &mut network.nodes[0].speaker;
    let connection = speaker.handle_accepted(remote, local, now).unwrap();
    speaker.handle_timeout(now + Duration::from_secs(239));
    assert_eq!(speaker.neighbors()[0].state, SessionState::OpenSent);
    speaker.handle_timeout(now + Duration::from_secs(240));
    assert!(speaker.poll_transmit(connection, 4096).is_none());
    assert_eq!(speaker.neighbors()[0].state, SessionState::Idle);
}

#[test]
fn an_unexpected_message_names_the_state_it_came_in() {
    let mut network = two_peers();
    network.peer_with(0, 1, &[IPV4], |c| c.passive = true, |c| c.passive = true);
    let now = network.now;
    let remote = "192.0.2.2:40000".parse().unwrap();
    let local = "192.0.2.1:179".parse().unwrap();
    let speaker = &mut network.nodes[0].speaker;
    let connection = speaker.handle_accepted(remote, local, now).unwrap();
    let mut keepalive = Vec::new();
    bgp::wire::encode_keepalive(&mut keepalive);
    speaker.handle_bytes(connection, &keepalive, now);
    let mut expected = Vec::new();
    Notification::unexpected_message(1).encode(&mut expected);
    let close = bgp::speaker::Action::Close { connection, last_words: expected };
    assert_eq!(speaker.poll_action(), Some(close));
}

#[test]
fn garbage_ends_the_session_with_the_right_notification() {
    let mut network = pair(&[IPV4]);
    let now = network.now;
    // The connection that stands is the newest of node 0: find it by sending to each.
    let mut bad = vec![0xff; 16];
    bad.extend([0, 19, 9]);
    network.inject(0, 1, &bad);
    network.settle();
    assert_eq!(
        down_reasons(&network, 0),
        [DownReason::NotificationSent(Notification::bad_message_type(9))]
    );
    assert!(network.now >= now);
}

#[test]
fn messages_cut_anywhere_are_put_together_again() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    network.slice = 1;
    network.peer(0, 1, &[IPV4]);
    network.seconds(2);
    assert!(network.established(0, 1));
    network.announce(0, ipv4("203.0.113.0/24"));
    assert!(network.knows(1, &prefix("203.0.113.0/24")));
}

#[test]
fn a_reset_ends_the_session_and_begins_a_new_one() {
    let mut network = pair_of(config(65_001, 1), config(65_001, 2), &[IPV4]);
    let neighbor = network.neighbor(0, 1).id;
    let now = network.now;
    network.nodes[0].speaker.reset_neighbor(neighbor, now);
    network.seconds(20);
    assert!(network.established(0, 1));
    let cease = Notification::cease(CeaseReason::AdministrativeReset);
    assert_eq!(down_reasons(&network, 1), [DownReason::NotificationReceived(cease)]);
}

#[test]
fn a_reset_does_not_bring_up_what_was_taken_down() {
    let mut network = pair_of(config(65_001, 1), config(65_001, 2), &[IPV4]);
    let id = network.neighbor(0, 1).id;
    network.nodes[0].speaker.disable_neighbor(id, None, network.now);
    network.nodes[0].speaker.reset_neighbor(id, network.now);
    network.seconds(300);
    assert!(!network.established(0, 1));
    assert!(network.neighbor(0, 1).shutdown);
}

#[test]
fn shutting_down_the_engine_closes_without_a_word() {
    let mut network = pair(&[IPV4]);
    network.nodes[0].speaker.shutdown();
    network.settle();
    assert_eq!(down_reasons(&network, 1), [DownReason::Closed]);
    assert!(notifications(&network, 0, 1).is_empty());
}

#[test]
fn equal_link_local_addresses_on_two_links_are_two_neighbors() {
    let mut network = two_peers();
    let now = network.now;
    let speaker = &mut network.nodes[0].speaker;
    let address = "fe80::1".parse().unwrap();
    for scope_id in [3, 4] {
        let mut neighbor = NeighborConfig::new(address, RemoteAs::External, [IPV4]);
        neighbor.scope_id = scope_id;
        neighbor.passive = true;
        speaker.add_neighbor(neighbor, now).unwrap();
    }
    let local = "[fe80::2]:179".parse().unwrap();
    let from =
        |scope| std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 40_000, 0, scope).into();
    assert!(speaker.handle_accepted(from(5), local, now).is_none());
    assert!(speaker.handle_accepted(from(4), local, now).is_some());
    let states: Vec<SessionState> =
        speaker.neighbors().iter().map(|neighbor| neighbor.state).collect();
    assert_eq!(states, [SessionState::Active, SessionState::OpenSent]);
}

#[test]
fn keepalives_go_out_as_often_as_is_configured_and_at_least_three_times_in_the_hold_time() {
    for (hold_time, keepalive, least, most) in
        [(90, Some(10), 6, 8), (9, Some(100), 20, 27), (90, None, 2, 3)]
    {
        let mut network = Network::new();
        network.add(config(65_001, 1));
        network.add(config(65_002, 2));
        let change = |c: &mut NeighborConfig| {
            c.hold_time = Some(hold_time);
            c.keepalive = keepalive.map(Duration::from_secs);
        };
        network.peer_with(0, 1, &[IPV4], change, |_| {});
        network.seconds(3);
        assert!(network.established(0, 1));
        network.captured.clear();
        network.seconds(60);
        let count = network.messages(0, 1).iter().filter(|(kind, _)| *kind == 4).count();
        // Jitter takes up to a quarter off each interval (RFC 4271 §10).
        let which = format!("hold {hold_time}, keepalive {keepalive:?}");
        assert!((least..=most).contains(&count), "{count} in a minute: {which}");
    }
}
