//! `suppress_fib_pending`: neighbours are told of a route only while it forwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use bgp::speaker::{
    AddPathSend, Event, FibReport, FibState, FibToken, GracefulRestartConfig, NeighborConfig,
    PathSource, Route, RouteKey, SpeakerConfig,
};
use bgp::wire::{AttributeSet, NextHop};
use pair::{EVPN, IPV4, IPV6, Network, config, internal, ipv4, ipv4_with, mac, mac_key, prefix};
use proptest::prelude::*;

const NET: &str = "203.0.113.0/24";
const OTHER: &str = "198.51.100.0/24";

/// Sources of routes, the speaker under test, and who listens to it.
const LEFT: usize = 0;
const RIGHT: usize = 1;
const MIDDLE: usize = 2;
const LISTENER: usize = 3;

/// LEFT and RIGHT in two ASes tell MIDDLE, which tells LISTENER only what forwards.
fn network() -> Network {
    network_of(holding(), &[IPV4, IPV6, EVPN])
}

fn holding() -> SpeakerConfig {
    SpeakerConfig { suppress_fib_pending: true, ..config(65_003, 3) }
}

fn network_of(middle: SpeakerConfig, families: &[bgp::types::AfiSafi]) -> Network {
    let mut network = Network::new();
    for config in [config(65_001, 1), config(65_002, 2), middle, config(65_004, 4)] {
        network.add(config);
    }
    for other in [LEFT, RIGHT, LISTENER] {
        network.peer(other, MIDDLE, families);
    }
    network.seconds(3);
    assert!(network.established(MIDDLE, LISTENER));
    network
}

/// What the newest report of a destination asks an answer for.
fn token(network: &Network, key: &RouteKey) -> FibToken {
    network.nodes[MIDDLE].best[key].fib.expect("an answer is wanted")
}

fn answer(network: &mut Network, key: &RouteKey, token: FibToken, state: FibState) {
    network.nodes[MIDDLE].speaker.handle_fib(&FibReport { key: key.clone(), token, state });
    network.settle();
}

fn confirm(network: &mut Network, key: &RouteKey) {
    let token = token(network, key);
    answer(network, key, token, FibState::Forwarding);
}

fn refuse(network: &mut Network, key: &RouteKey) {
    let token = token(network, key);
    answer(network, key, token, FibState::NotForwarding);
}

/// The AS that the listener's path begins in.
fn origin(network: &Network, key: &RouteKey) -> Option<u32> {
    let best = network.best(LISTENER, key)?;
    best.as_path().asns().last().map(|asn| asn.0)
}

/// A worse path than any without it.
fn longer(text: &str) -> Route {
    ipv4_with(text, |a| {
        a.set_as_path(&[bgp::types::Asn(65_099)]);
    })
}

fn ipv6(text: &str) -> Route {
    let attributes = AttributeSet::builder(NextHop::from(IpAddr::from([0u16; 8]))).build();
    Route { key: RouteKey::Ipv6(text.parse().unwrap()), payload: Default::default(), attributes }
}

fn updates(network: &Network) -> usize {
    network.updates(MIDDLE, LISTENER)
}

#[test]
fn a_route_is_held_until_it_forwards() {
    let mut network = network();
    let before = updates(&network);
    network.announce(LEFT, ipv4(NET));
    assert!(network.knows(MIDDLE, &prefix(NET)) && !network.knows(LISTENER, &prefix(NET)));
    assert_eq!(updates(&network), before, "nothing is said at all");
    assert!(network.nodes[MIDDLE].speaker.route(&prefix(NET)).unwrap().held);
    confirm(&mut network, &prefix(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_001));
    assert!(!network.nodes[MIDDLE].speaker.route(&prefix(NET)).unwrap().held);
    confirm(&mut network, &prefix(NET));
    assert_eq!(updates(&network), before + 1, "the same answer again is no news");
}

#[test]
fn both_unicast_families_are_held_each_by_itself() {
    // IPv6 over IPv6 sessions, so that both families have a next hop.
    let mut network = Network::new();
    for config in [config(65_001, 1), config(65_002, 2), holding(), config(65_004, 4)] {
        let node = network.add(config);
        let last = u16::try_from(node).unwrap() + 1;
        network.nodes[node].address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    }
    for other in [LEFT, RIGHT, LISTENER] {
        network.peer(other, MIDDLE, &[IPV4, IPV6]);
    }
    network.seconds(3);
    let key = RouteKey::Ipv6("2001:db8:1::/48".parse().unwrap());
    network.announce(LEFT, ipv6("2001:db8:1::/48"));
    network.announce(LEFT, ipv4(NET));
    assert!(!network.knows(LISTENER, &key) && !network.knows(LISTENER, &prefix(NET)));
    confirm(&mut network, &key);
    assert!(network.knows(LISTENER, &key) && !network.knows(LISTENER, &prefix(NET)));
    refuse(&mut network, &key);
    confirm(&mut network, &prefix(NET));
    assert!(!network.knows(LISTENER, &key) && network.knows(LISTENER, &prefix(NET)));
}

#[test]
fn a_better_path_that_goes_before_its_answer_leaves_all_paths_to_a_neighbor_with_add_path() {
    const BETTER: usize = 4;
    let mut network = Network::new();
    for config in
        [config(65_001, 1), config(65_002, 2), holding(), config(65_004, 4), config(65_005, 5)]
    {
        network.add(config);
    }
    for other in [LEFT, RIGHT, BETTER] {
        network.peer(other, MIDDLE, &[IPV4]);
    }
    let send = |c: &mut NeighborConfig| c.add_path_send = Some(AddPathSend::All);
    network.peer_with(MIDDLE, LISTENER, &[IPV4], send, |c| c.add_path_receive = true);
    network.seconds(3);
    let key = prefix(NET);
    let paths = |network: &Network| {
        network.nodes[LISTENER].speaker.route(&key).map_or(0, |route| route.paths.len())
    };
    network.announce(LEFT, longer(NET));
    network.announce(RIGHT, longer(NET));
    confirm(&mut network, &key);
    assert_eq!(paths(&network), 2);
    network.announce(BETTER, ipv4(NET));
    assert_eq!(paths(&network), 1, "only what forwards");
    network.withdraw(BETTER, &key);
    let before = updates(&network);
    confirm(&mut network, &key);
    assert_eq!(paths(&network), 2);
    assert_eq!(updates(&network), before + 1, "what it had is not told again");
}

/// With several paths from one neighbour, too: the answer is for the destination, and until it is there none is told.
#[test]
fn paths_that_one_neighbor_sends_with_add_path_are_held_together_and_go_one_by_one() {
    let mut network = Network::new();
    for config in [config(65_001, 1), config(65_002, 2), holding(), config(65_004, 4)] {
        network.add(config);
    }
    let send = |c: &mut NeighborConfig| c.add_path_send = Some(AddPathSend::All);
    let receive = |c: &mut NeighborConfig| c.add_path_receive = true;
    network.peer(RIGHT, LEFT, &[IPV4]);
    network.peer_with(LEFT, MIDDLE, &[IPV4], send, receive);
    network.peer_with(MIDDLE, LISTENER, &[IPV4], send, receive);
    network.seconds(3);
    let key = prefix(NET);
    let paths = |network: &Network, node: usize| {
        network.nodes[node].speaker.route(&key).map_or(0, |route| route.paths.len())
    };
    network.announce(RIGHT, ipv4(NET));
    network.announce(LEFT, ipv4(NET));
    assert_eq!((paths(&network, MIDDLE), paths(&network, LISTENER)), (2, 0));
    confirm(&mut network, &key);
    assert_eq!(paths(&network, LISTENER), 2);
    // The worse one goes: the best forwards as before, and nobody has to answer.
    network.withdraw(RIGHT, &key);
    assert_eq!((paths(&network, MIDDLE), paths(&network, LISTENER)), (1, 1));
    network.announce(RIGHT, ipv4(NET));
    assert_eq!(paths(&network, LISTENER), 2);
    // The best one goes: what is left is told again when it forwards, and what went is gone at once or then.
    network.withdraw(LEFT, &key);
    confirm(&mut network, &key);
    assert_eq!((paths(&network, MIDDLE), paths(&network, LISTENER)), (1, 1));
    assert_eq!(origin(&network, &key), Some(65_002));
    refuse(&mut network, &key);
    assert_eq!(paths(&network, LISTENER), 0);
}

#[test]
fn a_route_that_forwards_no_longer_is_withdrawn_until_it_does_again() {
    let mut network = network();
    network.announce(LEFT, ipv4(NET));
    confirm(&mut network, &prefix(NET));
    refuse(&mut network, &prefix(NET));
    assert!(!network.knows(LISTENER, &prefix(NET)));
    confirm(&mut network, &prefix(NET));
    assert!(network.knows(LISTENER, &prefix(NET)));
}

#[test]
fn a_new_best_path_is_told_when_it_forwards_and_the_old_one_until_then() {
    let mut network = network();
    network.announce(LEFT, longer(NET));
    confirm(&mut network, &prefix(NET));
    let before = updates(&network);
    network.announce(RIGHT, ipv4(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_099), "the old one still forwards");
    confirm(&mut network, &prefix(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_002));
    assert_eq!(updates(&network), before + 1, "never withdrawn in between");
    // Also when the old one is gone from the table, not only beaten.
    network.withdraw(RIGHT, &prefix(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_002));
    confirm(&mut network, &prefix(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_099));
    assert_eq!(updates(&network), before + 2);
}

#[test]
fn a_confirmation_of_an_old_best_path_does_not_release_the_new_one() {
    let mut network = network();
    network.announce(LEFT, longer(NET));
    let old = token(&network, &prefix(NET));
    network.announce(RIGHT, ipv4(NET));
    answer(&mut network, &prefix(NET), old, FibState::Forwarding);
    assert!(!network.knows(LISTENER, &prefix(NET)));
    // Nor does it for the same path, gone and back.
    network.withdraw(RIGHT, &prefix(NET));
    answer(&mut network, &prefix(NET), old, FibState::Forwarding);
    assert!(!network.knows(LISTENER, &prefix(NET)));
    // Nor for another destination in the same place.
    network.withdraw(LEFT, &prefix(NET));
    network.announce(LEFT, ipv4(OTHER));
    answer(&mut network, &prefix(OTHER), old, FibState::Forwarding);
    assert!(!network.knows(LISTENER, &prefix(OTHER)));
    confirm(&mut network, &prefix(OTHER));
    assert!(network.knows(LISTENER, &prefix(OTHER)));
}

#[test]
fn a_confirmation_that_crosses_an_unreported_change_releases_nothing() {
    let mut network = network();
    network.announce(LEFT, longer(NET));
    let old = token(&network, &prefix(NET));
    // The change is in the table, but the daemon has not heard of it.
    network.nodes[MIDDLE].speaker.announce(ipv4(OTHER));
    let mut update = Vec::new();
    let mut attributes = AttributeSet::builder(NextHop::from(network.nodes[RIGHT].address));
    attributes.set_as_path(&[bgp::types::Asn(65_002)]);
    let packer = bgp::wire::UpdatePacker { max_len: 4096, four_octet_as: true };
    let routes = [(&NET.parse().unwrap(), &())];
    packer.announce::<bgp::wire::Ipv4Unicast>(&attributes.build(), routes, &mut update).unwrap();
    network.inject(MIDDLE, RIGHT, &update);
    answer(&mut network, &prefix(NET), old, FibState::Forwarding);
    assert!(!network.knows(LISTENER, &prefix(NET)));
    confirm(&mut network, &prefix(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_002));
}

#[test]
fn the_old_path_is_withdrawn_if_it_stops_forwarding_before_the_new_one_does() {
    for of_the_old_one in [true, false] {
        let mut network = network();
        network.announce(LEFT, longer(NET));
        let old = token(&network, &prefix(NET));
        confirm(&mut network, &prefix(NET));
        network.announce(RIGHT, ipv4(NET));
        let new = token(&network, &prefix(NET));
        let token = if of_the_old_one { old } else { new };
        answer(&mut network, &prefix(NET), token, FibState::NotForwarding);
        assert!(!network.knows(LISTENER, &prefix(NET)));
        answer(&mut network, &prefix(NET), new, FibState::Forwarding);
        assert_eq!(origin(&network, &prefix(NET)), Some(65_002));
        answer(&mut network, &prefix(NET), old, FibState::NotForwarding);
        assert!(network.knows(LISTENER, &prefix(NET)), "the old one is of no interest any more");
    }
}

#[test]
fn a_path_that_comes_back_before_anybody_answered_is_not_told_twice() {
    let mut network = network();
    network.announce(LEFT, longer(NET));
    confirm(&mut network, &prefix(NET));
    let before = updates(&network);
    network.announce(RIGHT, ipv4(NET));
    network.withdraw(RIGHT, &prefix(NET));
    confirm(&mut network, &prefix(NET));
    assert_eq!(updates(&network), before);
}

#[test]
fn changed_attributes_wait_for_an_answer_of_their_own() {
    let mut network = network();
    network.announce(LEFT, ipv4(NET));
    confirm(&mut network, &prefix(NET));
    network.announce(
        LEFT,
        ipv4_with(NET, |a| {
            a.add_community(7);
        }),
    );
    let communities = |network: &Network| {
        network.best(LISTENER, &prefix(NET)).unwrap().communities().collect::<Vec<_>>()
    };
    assert!(communities(&network).is_empty());
    confirm(&mut network, &prefix(NET));
    assert_eq!(communities(&network), [7]);
}

#[test]
fn a_destination_without_any_path_is_withdrawn_at_once() {
    let mut network = network();
    network.announce(LEFT, ipv4(NET));
    confirm(&mut network, &prefix(NET));
    network.withdraw(LEFT, &prefix(NET));
    assert!(!network.knows(LISTENER, &prefix(NET)));
    assert_eq!(network.nodes[MIDDLE].best[&prefix(NET)].fib, None, "there is nothing to answer");
    network.announce(LEFT, ipv4(NET));
    assert!(!network.knows(LISTENER, &prefix(NET)), "and what comes next begins anew");
}

#[test]
fn what_went_and_came_back_while_a_peer_did_not_read_is_withdrawn_from_it() {
    let mut network = network();
    network.announce(LEFT, ipv4(NET));
    confirm(&mut network, &prefix(NET));
    network.stall(LISTENER, true);
    network.withdraw(LEFT, &prefix(NET));
    network.announce(LEFT, ipv4(NET));
    network.stall(LISTENER, false);
    network.settle();
    assert!(!network.knows(LISTENER, &prefix(NET)));
}

#[test]
fn local_routes_are_not_held() {
    let mut network = network();
    network.announce(MIDDLE, ipv4(NET));
    assert!(network.knows(LISTENER, &prefix(NET)));
    let report = &network.nodes[MIDDLE].best[&prefix(NET)];
    assert_eq!((report.source, report.fib), (Some(PathSource::Local), None));
    // A received one waits behind it, and becomes the best.
    network.announce(LEFT, ipv4(NET));
    network.withdraw(MIDDLE, &prefix(NET));
    assert!(!network.knows(LISTENER, &prefix(NET)), "ours is gone, and the other one waits");
    confirm(&mut network, &prefix(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_001));
    network.announce(MIDDLE, ipv4(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_003));
}

#[test]
fn a_local_route_is_told_while_a_better_received_one_waits() {
    let mut network = Network::new();
    for config in [config(65_003, 1), config(65_002, 2), holding(), config(65_004, 4)] {
        network.add(config);
    }
    network.peer_with(LEFT, MIDDLE, &[IPV4], internal, internal);
    network.peer(MIDDLE, LISTENER, &[IPV4]);
    network.seconds(3);
    let preferred = || {
        ipv4_with(NET, |a| {
            a.set_local_pref(200).add_community(7);
        })
    };
    let told = |network: &Network| {
        network.best(LISTENER, &prefix(NET)).map(|best| best.communities().next())
    };
    network.announce(MIDDLE, ipv4(NET));
    network.announce(LEFT, preferred());
    assert_eq!(told(&network), Some(None), "ours, still");
    network.announce(
        MIDDLE,
        ipv4_with(NET, |a| {
            a.add_community(9);
        }),
    );
    assert_eq!(told(&network), Some(Some(9)), "and as it is now");
    network.withdraw(MIDDLE, &prefix(NET));
    assert_eq!(told(&network), None);
    network.announce(MIDDLE, ipv4(NET));
    assert_eq!(told(&network), Some(None));
    confirm(&mut network, &prefix(NET));
    assert_eq!(told(&network), Some(Some(7)));
    network.withdraw(MIDDLE, &prefix(NET));
    assert_eq!(told(&network), Some(Some(7)));
    // The other way round: the received one was there first.
    network.withdraw(LEFT, &prefix(NET));
    network.announce(LEFT, preferred());
    network.announce(MIDDLE, ipv4(NET));
    assert_eq!(told(&network), Some(None));
    network.withdraw(MIDDLE, &prefix(NET));
    assert_eq!(told(&network), None);
}

#[test]
fn a_peer_that_comes_late_gets_only_what_forwards_and_the_end_of_it() {
    let mut network = network();
    network.announce(LEFT, ipv4(NET));
    network.announce(LEFT, longer(OTHER));
    confirm(&mut network, &prefix(OTHER));
    network.announce(RIGHT, ipv4(OTHER));
    network.reset_connections(MIDDLE, LISTENER);
    network.nodes[LISTENER].events.clear();
    network.seconds(20);
    assert!(network.established(MIDDLE, LISTENER));
    assert!(!network.knows(LISTENER, &prefix(NET)));
    assert_eq!(origin(&network, &prefix(OTHER)), Some(65_099), "the one that forwards");
    let ends = network.events(LISTENER, |event| {
        matches!(event, Event::EndOfRib { family: IPV4, .. }).then_some(())
    });
    assert_eq!(ends.len(), 1, "it waits for nobody");
    confirm(&mut network, &prefix(NET));
    assert!(network.knows(LISTENER, &prefix(NET)));
}

#[test]
fn a_refresh_confirms_what_forwards_although_something_better_waits() {
    let mut network = network();
    network.announce(LEFT, longer(NET));
    confirm(&mut network, &prefix(NET));
    network.announce(RIGHT, ipv4(NET));
    let neighbor = network.neighbor(LISTENER, MIDDLE).id;
    network.nodes[LISTENER].speaker.request_refresh(neighbor, IPV4);
    network.settle();
    assert_eq!(origin(&network, &prefix(NET)), Some(65_099));
}

#[test]
fn a_standing_path_outlives_its_neighbor_until_the_answer() {
    let mut network = network();
    network.announce(LEFT, ipv4(NET));
    confirm(&mut network, &prefix(NET));
    network.announce(RIGHT, longer(NET));
    let left = network.neighbor(MIDDLE, LEFT).id;
    let now = network.now;
    network.nodes[MIDDLE].speaker.remove_neighbor(left, now);
    network.settle();
    assert_eq!(origin(&network, &prefix(NET)), Some(65_001));
    confirm(&mut network, &prefix(NET));
    assert_eq!(origin(&network, &prefix(NET)), Some(65_099));
}

#[test]
fn evpn_routes_are_relayed_without_asking() {
    let mut network = network();
    network.announce(LEFT, mac(1, 1));
    assert!(network.knows(LISTENER, &mac_key(1, 1)));
    assert_eq!(network.nodes[MIDDLE].best[&mac_key(1, 1)].fib, None);
}

#[test]
fn a_speaker_that_is_not_asked_to_holds_nothing_and_wants_no_answers() {
    let mut network = network_of(config(65_003, 3), &[IPV4]);
    network.announce(LEFT, ipv4(NET));
    assert!(network.knows(LISTENER, &prefix(NET)));
    assert_eq!(network.nodes[MIDDLE].best[&prefix(NET)].fib, None);
    assert!(!network.nodes[MIDDLE].speaker.route(&prefix(NET)).unwrap().held);
}

#[test]
fn held_routes_are_reported_also_if_nobody_asked_for_best_paths() {
    let middle = SpeakerConfig { best_path_events: Vec::new(), ..holding() };
    let mut network = network_of(middle, &[IPV4]);
    network.announce(LEFT, ipv4(NET));
    confirm(&mut network, &prefix(NET));
    assert!(network.knows(LISTENER, &prefix(NET)));
}

#[test]
fn thousands_of_held_flaps_leave_nothing_behind() {
    let mut network = network();
    for flap in 0..1000u32 {
        let [_, _, c, d] = flap.to_be_bytes();
        let net = format!("10.{c}.{d}.0/24");
        network.announce(LEFT, longer(&net));
        confirm(&mut network, &prefix(&net));
        network.announce(RIGHT, ipv4(&net));
        network.withdraw(RIGHT, &prefix(&net));
        network.withdraw(LEFT, &prefix(&net));
    }
    let usage = network.nodes[MIDDLE].speaker.usage();
    assert_eq!((usage.routes, usage.slots_in_use), (0, 0));
    assert!(usage.slots < 10, "{usage:?}");
}

// Restarts.

fn graceful(config: SpeakerConfig) -> SpeakerConfig {
    SpeakerConfig { graceful_restart: Some(GracefulRestartConfig::default()), ..config }
}

fn families_ready(network: &mut Network) {
    for family in [IPV4, IPV6, EVPN] {
        network.nodes[MIDDLE].speaker.local_routes_ready(family);
    }
    network.settle();
}

/// MIDDLE has told LISTENER two routes and was killed; nobody has answered the new one yet.
fn restarted() -> Network {
    let mut network = Network::new();
    for config in [config(65_001, 1), config(65_002, 2), holding(), config(65_004, 4)] {
        network.add(graceful(config));
    }
    for other in [LEFT, LISTENER] {
        network.peer(other, MIDDLE, &[IPV4]);
    }
    network.seconds(3);
    for net in [NET, OTHER] {
        network.announce(LEFT, ipv4(net));
        confirm(&mut network, &prefix(net));
    }
    network.nodes[LISTENER].events.clear();
    network.restart(MIDDLE, SpeakerConfig { restarting: true, ..graceful(holding()) });
    for other in [LEFT, LISTENER] {
        network.peer_at(MIDDLE, other, &[IPV4]);
    }
    network.seconds(20);
    families_ready(&mut network);
    assert!(network.established(MIDDLE, LISTENER));
    network
}

fn lost(network: &Network) -> Vec<RouteKey> {
    network.events(LISTENER, |event| match event {
        Event::BestPath(best) if best.best.is_none() => Some(best.key.clone()),
        _ => None,
    })
}

#[test]
fn after_a_restart_the_end_of_rib_waits_for_the_answers() {
    let mut network = restarted();
    confirm(&mut network, &prefix(NET));
    assert!(!network.is_stale(LISTENER, &prefix(NET)));
    assert!(network.is_stale(LISTENER, &prefix(OTHER)), "kept: it may forward");
    refuse(&mut network, &prefix(OTHER));
    assert!(!network.knows(LISTENER, &prefix(OTHER)), "swept by the End-of-RIB");
    assert_eq!(lost(&network), [prefix(OTHER)]);
    assert!(network.neighbor(LISTENER, MIDDLE).families[0].end_of_rib);
}

#[test]
fn after_a_restart_the_end_of_rib_does_not_wait_for_ever() {
    let mut network = restarted();
    network.seconds(95);
    assert!(network.is_stale(LISTENER, &prefix(NET)));
    network.seconds(10);
    assert!(!network.knows(LISTENER, &prefix(NET)));
    assert!(network.neighbor(LISTENER, MIDDLE).families[0].end_of_rib);
    confirm(&mut network, &prefix(NET));
    assert!(network.knows(LISTENER, &prefix(NET)), "late is not never");
}

/// The same, but the sessions were kept: peers know what our predecessor announced.
fn resumed() -> Network {
    let mut network = killed();
    resume(&mut network);
    network
}

fn killed() -> Network {
    let mut network = network_of(holding(), &[IPV4]);
    for net in [NET, OTHER] {
        network.announce(LEFT, ipv4(net));
        confirm(&mut network, &prefix(net));
    }
    network.nodes[LISTENER].events.clear();
    network.kill_kept(MIDDLE);
    network
}

fn resume(network: &mut Network) {
    let restarting = SpeakerConfig { restarting: true, ..holding() };
    let count = network.resume(MIDDLE, restarting, |network| {
        for other in [LEFT, RIGHT, LISTENER] {
            network.peer_at(MIDDLE, other, &[IPV4]);
        }
        let keys = [NET, OTHER].map(prefix).to_vec();
        network.nodes[MIDDLE].speaker.predecessor_announced(keys);
    });
    assert_eq!(count, 3);
    families_ready(network);
}

#[test]
fn a_resumed_session_keeps_what_is_not_answered_yet() {
    let mut network = resumed();
    assert!(network.knows(LISTENER, &prefix(NET)) && network.knows(LISTENER, &prefix(OTHER)));
    confirm(&mut network, &prefix(NET));
    assert!(network.knows(LISTENER, &prefix(OTHER)));
    confirm(&mut network, &prefix(OTHER));
    assert!(!network.is_stale(LISTENER, &prefix(NET)));
    assert!(!network.is_stale(LISTENER, &prefix(OTHER)));
    assert!(lost(&network).is_empty());
}

#[test]
fn a_resumed_peer_that_asks_again_before_the_answers_loses_nothing() {
    let mut network = resumed();
    let neighbor = network.neighbor(LISTENER, MIDDLE).id;
    network.nodes[LISTENER].speaker.request_refresh(neighbor, IPV4);
    network.settle();
    assert!(lost(&network).is_empty());
    refuse(&mut network, &prefix(OTHER));
    assert_eq!(lost(&network), [prefix(OTHER)], "a bad answer is an answer");
}

#[test]
fn what_flaps_before_the_decision_after_a_restart_is_not_withdrawn() {
    // RIGHT is not back yet, and everybody waits for it.
    let mut network = killed();
    network.stall(RIGHT, true);
    resume(&mut network);
    network.withdraw(LEFT, &prefix(NET));
    network.announce(LEFT, ipv4(NET));
    network.stall(RIGHT, false);
    network.settle();
    assert!(network.knows(MIDDLE, &prefix(NET)) && lost(&network).is_empty());
    for net in [NET, OTHER] {
        confirm(&mut network, &prefix(net));
    }
    assert!(lost(&network).is_empty() && !network.is_stale(LISTENER, &prefix(NET)));
}

#[test]
fn a_resumed_session_loses_what_has_no_answer_in_time() {
    let mut network = resumed();
    confirm(&mut network, &prefix(NET));
    network.seconds(125);
    assert_eq!(lost(&network), [prefix(OTHER)]);
    assert!(network.knows(LISTENER, &prefix(NET)));
    let listener = network.neighbor(MIDDLE, LISTENER).id;
    let advertised = network.nodes[MIDDLE].speaker.advertised(listener, IPV4);
    assert_eq!(advertised, [prefix(NET)], "withdrawn by name: not everybody heeds the end mark");
}

// Any order of things.

#[derive(Debug, Clone)]
enum Step {
    /// A source, a destination, and what makes its path differ: also how good it is.
    Announce(usize, u8, u8),
    Withdraw(usize, u8),
    /// An answer to one of the reports of a destination, counted from the newest.
    Answer(u8, usize, FibState),
    ListenerRestarts,
    ListenerStalls(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let source = prop_oneof![3 => Just(LEFT), 3 => Just(RIGHT), 1 => Just(MIDDLE)];
    let state = prop_oneof![3 => Just(FibState::Forwarding), 1 => Just(FibState::NotForwarding)];
    prop_oneof![
        4 => (source.clone(), 0..3u8, 0..4u8).prop_map(|(source, net, way)| Step::Announce(source, net, way)),
        3 => (source, 0..3u8).prop_map(|(source, net)| Step::Withdraw(source, net)),
        6 => (0..3u8, prop_oneof![3 => Just(0usize), 1 => 1..4usize], state)
            .prop_map(|(net, back, state)| Step::Answer(net, back, state)),
        1 => Just(Step::ListenerRestarts),
        1 => any::<bool>().prop_map(Step::ListenerStalls),
    ]
}

fn net(number: u8) -> RouteKey {
    RouteKey::Ipv4(ipnet::Ipv4Net::new(Ipv4Addr::new(10, 0, number, 0), 24).unwrap())
}

fn way(source: usize, number: u8, way: u8) -> Route {
    let mut editor = AttributeSet::builder(NextHop::V4(Ipv4Addr::UNSPECIFIED));
    let detour = vec![bgp::types::Asn(65_099); usize::from(way % 2)];
    editor.set_as_path(&detour);
    editor.add_community(u32::try_from(source).unwrap() << 8 | u32::from(way));
    Route { key: net(number), payload: Default::default(), attributes: editor.build() }
}

fn mark(attributes: &AttributeSet) -> u32 {
    attributes.communities().next().unwrap()
}

/// What the listener should have, by the words of the documentation: told step by step, kept as simple as possible.
#[derive(Debug, Default)]
struct Oracle {
    /// Reports of a destination: tokens with what they stand for.
    reports: BTreeMap<RouteKey, Vec<(FibToken, u32)>>,
    /// The token that counts.
    current: BTreeMap<RouteKey, FibToken>,
    /// What is told, and under which token it was confirmed; our own under none.
    told: BTreeMap<RouteKey, (u32, Option<FibToken>)>,
    seen: usize,
}

impl Oracle {
    fn hear(&mut self, network: &Network) {
        let events = &network.nodes[MIDDLE].events;
        for event in events.iter().skip(self.seen) {
            let Event::BestPath(report) = event else { continue };
            let key = report.key.clone();
            self.current.remove(&key);
            match (&report.best, report.fib) {
                (None, _) => {
                    self.told.remove(&key);
                }
                (Some(best), None) => {
                    self.told.insert(key, (mark(best), None));
                }
                (Some(best), Some(token)) => {
                    // Our own is always better here: it is gone if a received one is best.
                    if matches!(self.told.get(&key), Some((_, None))) {
                        self.told.remove(&key);
                    }
                    self.current.insert(key.clone(), token);
                    self.reports.entry(key).or_default().push((token, mark(best)));
                }
            }
        }
        self.seen = events.len();
    }

    fn answer(&mut self, key: &RouteKey, token: FibToken, state: FibState) {
        let is_current = self.current.get(key) == Some(&token);
        let path = self.reports[key].iter().find(|(known, _)| *known == token).unwrap().1;
        match state {
            FibState::Forwarding if is_current => {
                self.told.insert(key.clone(), (path, Some(token)));
            }
            FibState::NotForwarding if is_current => {
                self.told.remove(key);
            }
            FibState::NotForwarding => {
                if self.told.get(key).is_some_and(|(_, under)| *under == Some(token)) {
                    self.told.remove(key);
                }
            }
            FibState::Forwarding => {}
        }
    }

    /// The token of a report, counted from the newest.
    fn token(&self, key: &RouteKey, back: usize) -> Option<FibToken> {
        let reports = self.reports.get(key)?;
        let index = reports.len().checked_sub(1 + back)?;
        Some(reports[index].0)
    }

    fn expected(&self) -> BTreeMap<RouteKey, u32> {
        self.told.iter().map(|(key, (path, _))| (key.clone(), *path)).collect()
    }
}

fn heard(network: &Network) -> BTreeMap<RouteKey, u32> {
    let routes = network.nodes[LISTENER].speaker.routes(IPV4);
    routes.into_iter().map(|route| (route.key, mark(&route.paths[0].attributes))).collect()
}

fn report(network: &mut Network, key: &RouteKey, token: FibToken, state: FibState) {
    network.nodes[MIDDLE].speaker.handle_fib(&FibReport { key: key.clone(), token, state });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    /// `settled`: after each step everything comes to rest; otherwise several changes meet before they are reported.
    #[test]
    fn a_peer_has_exactly_the_paths_that_were_confirmed(
        steps in prop::collection::vec((step(), any::<bool>()), 1..60),
        settled in any::<bool>(),
        last in prop::collection::vec(any::<bool>(), 3),
    ) {
        let mut network = network_of(holding(), &[IPV4]);
        let mut oracle = Oracle::default();
        let mut stalled = false;
        let mut ever_confirmed = BTreeSet::new();
        for (step, rest) in steps {
            match step {
                Step::Announce(source, number, detour) => {
                    network.nodes[source].speaker.announce(way(source, number, detour));
                    if source == MIDDLE {
                        ever_confirmed.insert((net(number), mark(&way(source, number, detour).attributes)));
                    }
                }
                Step::Withdraw(source, number) => network.nodes[source].speaker.withdraw(&net(number)),
                Step::Answer(number, back, state) => {
                    let key = net(number);
                    if let Some(token) = oracle.token(&key, back) {
                        report(&mut network, &key, token, state);
                        oracle.answer(&key, token, state);
                        let path = oracle.reports[&key].iter().find(|(known, _)| *known == token).unwrap().1;
                        ever_confirmed.insert((key, path));
                    }
                }
                Step::ListenerRestarts => {
                    network.reset_connections(MIDDLE, LISTENER);
                    network.stall(LISTENER, false);
                    stalled = false;
                    network.seconds(20);
                }
                Step::ListenerStalls(now) => {
                    network.stall(LISTENER, now);
                    stalled = now;
                }
            }
            if settled || rest {
                network.settle();
                oracle.hear(&network);
            }
            if settled && !stalled {
                prop_assert_eq!(heard(&network), oracle.expected());
            }
            for path in heard(&network) {
                prop_assert!(ever_confirmed.contains(&path), "{:?} was never said to forward", path);
            }
        }
        network.stall(LISTENER, false);
        network.settle();
        oracle.hear(&network);
        // In the end every best path has an answer, and the listener has what was confirmed.
        let mut expected = BTreeMap::new();
        for (number, forwards) in (0..).zip(last) {
            let key = net(number);
            let Some(best) = network.nodes[MIDDLE].best.get(&key).cloned() else { continue };
            let Some(path) = best.best else { continue };
            if let Some(token) = best.fib {
                let state = if forwards { FibState::Forwarding } else { FibState::NotForwarding };
                report(&mut network, &key, token, state);
            }
            if best.fib.is_none() || forwards {
                expected.insert(key, mark(&path));
            }
        }
        network.settle();
        prop_assert_eq!(heard(&network), expected);
    }
}
