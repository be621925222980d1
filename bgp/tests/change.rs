//! Neighbours that are added, removed and changed while others go on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::speaker::{
    DownReason, Event, LimitAction, MaximumPrefix, NeighborChange, NeighborConfig, NeighborError,
    RemoteAs, SessionState,
};
use bgp::types::Asn;
use bgp::wire::{CeaseReason, NextHop, Notification};
use pair::{EVPN, IPV4, Network, config, ipv4, prefix};

/// Node 0 has 1 and 2 for neighbours.
fn three() -> Network {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3)] {
        network.add(config(asn, last));
    }
    network.peer(0, 1, &[IPV4]);
    network.peer(0, 2, &[IPV4]);
    network.settle();
    assert!(network.established(0, 1) && network.established(0, 2));
    network
}

fn wanted(network: &Network) -> Vec<NeighborConfig> {
    network.nodes[0].speaker.neighbors().into_iter().map(|neighbor| neighbor.config).collect()
}

fn set(network: &mut Network, wanted: Vec<NeighborConfig>) -> Vec<(String, NeighborChange)> {
    let now = network.now;
    let changes = network.nodes[0].speaker.set_neighbors(wanted, now).unwrap();
    network.settle();
    changes
}

fn address(last: u8) -> NextHop {
    NextHop::V4([192, 0, 2, last].into())
}

fn sessions(network: &Network, other: usize) -> u64 {
    network.neighbor(0, other).established_count
}

fn last_cease(network: &Network, node: usize) -> Option<Notification> {
    let reasons = network.events(node, |event| match event {
        Event::SessionDown { reason: DownReason::NotificationReceived(why), .. } => {
            Some(why.clone())
        }
        _ => None,
    });
    reasons.last().cloned()
}

#[test]
fn neighbors_that_stay_what_they_are_are_not_touched() {
    let mut network = three();
    let sent = network.neighbor(0, 1).messages_sent;
    let all = wanted(&network);
    assert_eq!(set(&mut network, all), []);
    assert_eq!(network.neighbor(0, 1).messages_sent, sent);
}

#[test]
fn a_neighbor_that_is_no_longer_wanted_hears_so_and_the_other_one_goes_on() {
    let mut network = three();
    let mut all = wanted(&network);
    let gone = all.remove(0);
    let changes = set(&mut network, all.clone());
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Removed)]);
    assert_eq!(last_cease(&network, 1), Some(Notification::cease(CeaseReason::PeerDeconfigured)));
    assert_eq!(sessions(&network, 2), 1);
    all.push(gone);
    let changes = set(&mut network, all);
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Added)]);
    network.seconds(120);
    assert!(network.established(0, 1));
    assert_eq!(sessions(&network, 2), 1);
}

#[test]
fn what_an_open_says_resets_that_session_and_no_other() {
    let mut network = three();
    let mut all = wanted(&network);
    all[0].families.push(EVPN);
    let changes = set(&mut network, all);
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Reset)]);
    let reason = CeaseReason::OtherConfigurationChange;
    assert_eq!(last_cease(&network, 1), Some(Notification::cease(reason)));
    network.seconds(120);
    assert!(network.established(0, 1));
    assert_eq!(sessions(&network, 2), 1);
}

#[test]
fn what_is_told_changes_without_a_reset() {
    let mut network = three();
    network.announce(1, ipv4("203.0.113.0/24"));
    network.settle();
    let key = prefix("203.0.113.0/24");
    assert_eq!(network.best(2, &key).unwrap().next_hop(), address(1));
    let mut all = wanted(&network);
    all[1].next_hop_unchanged = true;
    let changes = set(&mut network, all);
    assert_eq!(changes, [("192.0.2.3".to_owned(), NeighborChange::Changed)]);
    assert_eq!(network.best(2, &key).unwrap().next_hop(), address(2));
    assert_eq!((sessions(&network, 1), sessions(&network, 2)), (1, 1));
}

#[test]
fn a_shutdown_in_the_configuration_tells_its_text_and_its_end_brings_the_session_back() {
    let mut network = three();
    let mut all = wanted(&network);
    all[0].shutdown = Some("fan tray swap".to_owned());
    set(&mut network, all.clone());
    let cease = last_cease(&network, 1).expect("a notification");
    assert_eq!(cease.shutdown_text().as_deref(), Some("fan tray swap"));
    assert_eq!(network.state(0, 1), SessionState::Idle);
    all[0].shutdown = None;
    set(&mut network, all);
    network.seconds(120);
    assert!(network.established(0, 1));
}

#[test]
fn an_active_neighbor_becomes_passive_and_active_again() {
    let mut network = three();
    let mut all = wanted(&network);
    all[0].passive = true;
    let changes = set(&mut network, all.clone());
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Changed)]);
    assert_eq!(sessions(&network, 1), 1);
    all[0].passive = false;
    set(&mut network, all);
    network.reset_connections(0, 1);
    network.seconds(120);
    assert!(network.established(0, 1));
}

#[test]
fn one_neighbor_that_cannot_be_means_that_nothing_happens() {
    let mut network = three();
    let mut all = wanted(&network);
    all.remove(1);
    let mut bad = NeighborConfig::new([192, 0, 2, 9].into(), RemoteAs::Asn(Asn(65_009)), [IPV4]);
    bad.hold_time = Some(2);
    all.push(bad);
    let now = network.now;
    let refused = network.nodes[0].speaker.set_neighbors(all, now);
    assert_eq!(refused, Err(NeighborError::HoldTime([192, 0, 2, 9].into(), 2)));
    network.settle();
    assert!(network.established(0, 1) && network.established(0, 2));
}

#[test]
fn another_maximum_prefix_is_held_against_what_is_there_without_a_reset() {
    let mut network = three();
    for number in 0..5 {
        network.announce(1, ipv4(&format!("10.0.{number}.0/24")));
    }
    let maximum = |limit| {
        vec![MaximumPrefix { family: IPV4, limit, warning: 75, action: LimitAction::Teardown }]
    };
    let mut all = wanted(&network);
    all[0].maximum_prefix = maximum(5);
    let changes = set(&mut network, all.clone());
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Changed)]);
    assert!(network.established(0, 1));
    assert_eq!(sessions(&network, 1), 1);
    network.announce(1, ipv4("10.0.5.0/24"));
    assert_eq!(network.neighbor(0, 1).over_limit, Some(IPV4), "the new limit holds");

    all[0].maximum_prefix = maximum(6);
    set(&mut network, all.clone());
    network.seconds(120);
    assert!(network.established(0, 1), "a higher limit ends the rest");
    assert_eq!(network.nodes[0].speaker.route_count(IPV4), 6);
    all[0].maximum_prefix = maximum(3);
    set(&mut network, all);
    assert_eq!(network.neighbor(0, 1).over_limit, Some(IPV4), "it has more than it may now");
    assert_eq!(network.nodes[0].speaker.route_count(IPV4), 0);
    assert_eq!(sessions(&network, 2), 1);
}
