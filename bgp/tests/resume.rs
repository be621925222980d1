//! Sessions that outlive the process: kill -9 while somebody keeps the connection, and a new process that goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::time::Duration;

use bgp::speaker::{Event, RouteKey, SavedSession, SpeakerConfig};
use bgp::types::AfiSafi;
use bgp::wire::{Capability, Evpn, Open, OpenMessage, RouteRefresh, UpdateContext, UpdateView};
use pair::{EVPN, IPV4, Network, config, ipv4, mac, mac_key, pair, prefix};

const FAMILIES: [AfiSafi; 2] = [IPV4, EVPN];

fn restarting() -> SpeakerConfig {
    SpeakerConfig { restarting: true, ..config(65_001, 1) }
}

/// 0 is the one that dies: it has announced MACs 1 and 3, its peer MAC 2. Nobody does graceful restart.
fn established() -> Network {
    let mut network = pair(&FAMILIES);
    network.announce(0, mac(1, 1));
    network.announce(0, mac(1, 3));
    network.announce(0, ipv4("203.0.113.0/24"));
    network.announce(1, mac(2, 2));
    network.nodes[1].events.clear();
    network
}

fn resumed() -> Network {
    let mut network = established();
    network.kill_kept(0);
    network.seconds(2);
    network.captured.clear();
    let count = network.resume(0, restarting(), |network| {
        network.peer_at(0, 1, &FAMILIES);
    });
    assert_eq!(count, 1);
    network
}

fn ready(network: &mut Network) {
    for family in FAMILIES {
        network.nodes[0].speaker.local_routes_ready(family);
    }
    network.settle();
}

fn ups_and_downs(network: &Network, node: usize) -> usize {
    let session =
        |event: &Event| matches!(event, Event::SessionUp { .. } | Event::SessionDown { .. });
    network.events(node, |event| session(event).then_some(())).len()
}

fn refreshes(network: &Network, from: usize, to: usize) -> Vec<RouteRefresh> {
    let messages = network.messages(from, to);
    let refreshes = messages.iter().filter(|(kind, _)| *kind == 5);
    refreshes.map(|(_, body)| RouteRefresh::decode(body).unwrap()).collect()
}

#[test]
fn the_peer_of_a_resumed_session_notices_nothing() {
    let mut network = resumed();
    network.announce(0, mac(1, 1));
    network.announce(0, mac(1, 3));
    network.announce(0, ipv4("203.0.113.0/24"));
    ready(&mut network);
    network.seconds(600);
    assert!(network.established(0, 1));
    assert_eq!(ups_and_downs(&network, 1), 0);
    let told = network.events(1, |event| matches!(event, Event::BestPath(_)).then_some(()));
    assert_eq!(told.len(), 0, "no route of ours has changed for it");
    assert_eq!(network.open_connections(), 1);
}

#[test]
fn a_resumed_session_learns_the_peers_routes_again_and_counts_its_end_mark_as_end_of_rib() {
    let network = resumed();
    assert!(network.knows(0, &mac_key(2, 2)));
    let ended = network.events(0, |event| match event {
        Event::EndOfRib { family, .. } => Some(*family),
        _ => None,
    });
    assert_eq!(ended, FAMILIES);
    let converged = network.events(0, |event| match event {
        Event::Converged { family } => Some(*family),
        _ => None,
    });
    for family in FAMILIES {
        assert!(converged.contains(&family), "{converged:?}");
    }
}

#[test]
fn what_we_no_longer_have_vanishes_at_the_end_mark_and_what_is_new_appears() {
    let mut network = resumed();
    network.announce(0, mac(1, 1));
    network.announce(0, mac(1, 4));
    assert!(network.knows(1, &mac_key(1, 4)), "new routes wait for nobody");
    assert!(network.is_stale(1, &mac_key(1, 3)));
    assert!(network.knows(1, &prefix("203.0.113.0/24")), "not before we have announced everything");
    ready(&mut network);
    assert!(network.knows(1, &mac_key(1, 1)) && !network.is_stale(1, &mac_key(1, 1)));
    assert!(network.knows(1, &mac_key(1, 4)));
    assert!(!network.knows(1, &mac_key(1, 3)));
    assert!(!network.knows(1, &prefix("203.0.113.0/24")));
    assert_eq!(ups_and_downs(&network, 1), 0);
}

#[test]
fn the_first_words_of_a_resumed_session_are_a_keepalive_and_the_question_for_all_routes() {
    let network = resumed();
    let messages = network.messages(0, 1);
    assert_eq!(messages[0].0, 4);
    let requests = FAMILIES.map(|family| RouteRefresh { family, subtype: RouteRefresh::REQUEST });
    assert_eq!(refreshes(&network, 0, 1)[..2], requests);
}

#[test]
fn nothing_is_told_before_the_peer_has_sent_all_it_has() {
    let mut network = established();
    network.kill_kept(0);
    network.stall(1, true);
    network.captured.clear();
    network.resume(0, restarting(), |network| {
        network.peer_at(0, 1, &FAMILIES);
    });
    network.announce(0, mac(1, 1));
    ready(&mut network);
    network.seconds(30);
    network.stall(1, false);
    network.settle();
    let subtypes: Vec<u8> =
        refreshes(&network, 0, 1).iter().map(|refresh| refresh.subtype).collect();
    assert_eq!(subtypes, [0, 0, 1, 2, 1, 2], "questions first, then each family between marks");
    assert!(network.knows(1, &mac_key(1, 1)) && !network.knows(1, &mac_key(1, 3)));
}

#[test]
fn the_rest_of_an_answer_to_our_predecessor_is_not_taken_for_all_routes() {
    let mut network = established();
    network.kill_kept(0);
    network.stall(1, true);
    network.resume(0, restarting(), |network| {
        network.peer_at(0, 1, &FAMILIES);
    });
    let mut end = Vec::new();
    RouteRefresh { family: EVPN, subtype: RouteRefresh::END }.encode(&mut end);
    network.inject(0, 1, &end);
    network.settle();
    let ends = network.events(0, |event| matches!(event, Event::EndOfRib { .. }).then_some(()));
    assert_eq!(ends.len(), 0);
}

#[test]
fn a_peer_that_never_answers_holds_decisions_only_for_the_deferral_time() {
    let mut network = established();
    network.kill_kept(0);
    network.stall(1, true);
    network.resume(0, restarting(), |network| {
        network.peer_at(0, 1, &FAMILIES);
    });
    network.advance(Duration::from_secs(61));
    let converged =
        network.events(0, |event| matches!(event, Event::Converged { .. }).then_some(()));
    assert_eq!(converged.len(), 3);
}

#[test]
fn a_session_that_dies_after_it_was_resumed_comes_back_as_any_other() {
    let mut network = resumed();
    network.announce(0, mac(1, 1));
    ready(&mut network);
    network.reset_connections(0, 1);
    network.seconds(5);
    assert!(network.established(0, 1));
    assert!(network.knows(1, &mac_key(1, 1)) && network.knows(0, &mac_key(2, 2)));
    assert_eq!(network.nodes[0].kept.len(), 1, "and is kept");
}

#[test]
fn a_resumed_session_can_be_resumed_again() {
    let mut network = established();
    for _ in 0..3 {
        let kept = network.nodes[0].kept.clone();
        network.kill_kept(0);
        network.resume(0, restarting(), |network| {
            network.peer_at(0, 1, &FAMILIES);
        });
        // A keeper has it still: the driver gives it the same key.
        let (_, saved) = kept.into_iter().next().unwrap();
        network.keep_again(0, saved);
        network.announce(0, mac(1, 1));
        ready(&mut network);
        assert!(network.knows(1, &mac_key(1, 1)));
    }
    assert_eq!(ups_and_downs(&network, 1), 0);
}

#[test]
fn a_changed_configuration_is_not_resumed() {
    let other_families = |network: &mut Network| {
        network.peer_at(0, 1, &[EVPN]);
    };
    let same = |network: &mut Network| {
        network.peer_at(0, 1, &FAMILIES);
    };
    let hold_time = SpeakerConfig { hold_time: 30, ..restarting() };
    let asn = SpeakerConfig { asn: bgp::types::Asn(65_009), ..restarting() };
    let not_restarting = config(65_001, 1);
    assert_eq!(resume(restarting(), other_families), 0);
    assert_eq!(resume(hold_time, same), 0);
    assert_eq!(resume(asn, same), 0);
    assert_eq!(resume(not_restarting, same), 0);
    assert_eq!(resume(restarting(), |_| {}), 0, "the neighbor is gone");
    assert_eq!(resume(restarting(), same), 1);

    fn resume(config: SpeakerConfig, prepare: impl FnOnce(&mut Network)) -> usize {
        let mut network = established();
        network.kill_kept(0);
        network.resume(0, config, prepare)
    }
}

#[test]
fn a_peer_without_enhanced_route_refresh_is_not_resumed() {
    let mut network = established();
    network.kill_kept(0);
    for saved in network.nodes[0].kept.values_mut() {
        let mut open = Open::clone(&saved.peer_open);
        open.capabilities.retain(|other| *other != Capability::EnhancedRouteRefresh);
        saved.peer_open = OpenMessage::new(open);
    }
    let count = network.resume(0, restarting(), |network| {
        network.peer_at(0, 1, &FAMILIES);
    });
    assert_eq!(count, 0);
    network.seconds(10);
    assert!(network.established(0, 1), "a new session takes its place");
}

#[test]
fn a_saved_session_survives_encoding_and_damaged_bytes_are_refused() {
    let network = established();
    let saved = network.nodes[0].kept.values().next().unwrap();
    let bytes = saved.encode();
    assert_eq!(SavedSession::decode(&bytes).as_ref(), Some(saved));
    assert_eq!(saved.hold_time(), Duration::from_secs(90));
    for len in 0..bytes.len() {
        assert_eq!(SavedSession::decode(&bytes[..len]), None);
    }
    assert_eq!(SavedSession::decode(&[bytes.as_slice(), &[0]].concat()), None);
    assert_eq!(SavedSession::decode(&[&[9], &bytes[1..]].concat()), None, "another version");
}

#[test]
fn what_the_predecessor_announced_and_we_do_not_is_withdrawn_by_name_before_the_end_mark() {
    let mut network = established();
    network.kill_kept(0);
    network.captured.clear();
    network.resume(0, restarting(), |network| {
        network.peer_at(0, 1, &FAMILIES);
        let keys = vec![mac_key(1, 1), mac_key(1, 3), mac_key(1, 9)];
        network.nodes[0].speaker.predecessor_announced(keys);
    });
    network.announce(0, mac(1, 1));
    ready(&mut network);
    let context = UpdateContext {
        four_octet_as: true,
        external: true,
        families: FAMILIES.into_iter().collect(),
        add_path: bgp::wire::FamilySet::EMPTY,
    };
    let messages = network.messages(0, 1);
    let updates = messages.iter().filter(|(kind, _)| *kind == 2);
    let withdrawn: Vec<RouteKey> = updates
        .filter_map(|(_, body)| UpdateView::parse(body, &context).ok())
        .flat_map(|view| {
            let routes = view.withdrawn::<Evpn>();
            routes.filter_map(|route| Some(RouteKey::Evpn(route.ok()?.0))).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(withdrawn, [mac_key(1, 3), mac_key(1, 9)]);
}
