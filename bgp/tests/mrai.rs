//! The least time between two announcements to a neighbour (RFC 4271 §9.2.1.1).

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::time::Duration;

use pair::{IPV4, Network, config, ipv4, ipv4_with, prefix};

const NET: &str = "203.0.113.0/24";
const OTHER: &str = "198.51.100.0/24";

/// 0 tells 1 of changes at most every 30 seconds (22.5 to 30, with jitter).
fn paced() -> Network {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    let pace = |c: &mut bgp::speaker::NeighborConfig| {
        c.advertisement_interval = Duration::from_secs(30);
    };
    network.peer_with(0, 1, &[IPV4], pace, |_| {});
    network.seconds(3);
    assert!(network.established(0, 1));
    network
}

fn announce_with_med(network: &mut Network, med: u32) {
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_med(med);
        }),
    );
}

fn med(network: &Network) -> Option<u32> {
    network.best(1, &prefix(NET)).and_then(|best| best.med())
}

#[test]
fn the_first_change_goes_at_once_and_of_the_next_ones_only_the_last() {
    let mut network = paced();
    announce_with_med(&mut network, 1);
    assert_eq!(med(&network), Some(1));
    network.captured.clear();
    network.seconds(1);
    for step in 2..10 {
        announce_with_med(&mut network, step);
        network.seconds(2);
    }
    assert_eq!(med(&network), Some(1));
    assert_eq!(network.updates(0, 1), 0);
    assert_eq!(network.neighbor(0, 1).families[0].pending, 1);
    network.seconds(15);
    assert_eq!(med(&network), Some(9));
    assert_eq!(network.updates(0, 1), 1);
    announce_with_med(&mut network, 10);
    network.seconds(10);
    assert_eq!(med(&network), Some(9), "the next interval has begun");
    network.seconds(20);
    assert_eq!(med(&network), Some(10));
}

#[test]
fn after_a_quiet_time_a_change_goes_at_once() {
    let mut network = paced();
    announce_with_med(&mut network, 1);
    network.seconds(300);
    announce_with_med(&mut network, 2);
    assert_eq!(med(&network), Some(2));
    network.seconds(10);
    announce_with_med(&mut network, 3);
    network.seconds(10);
    assert_eq!(med(&network), Some(2));
}

#[test]
fn a_withdrawal_does_not_wait() {
    let mut network = paced();
    network.announce(0, ipv4(NET));
    network.seconds(1);
    network.withdraw(0, &prefix(NET));
    assert!(!network.knows(1, &prefix(NET)));
}

/// Two changes within one interval must not bring back what was withdrawn after them.
#[test]
fn a_route_that_changed_twice_and_went_stays_gone() {
    let mut network = paced();
    network.announce(0, ipv4(OTHER));
    announce_with_med(&mut network, 1);
    network.seconds(1);
    announce_with_med(&mut network, 2);
    announce_with_med(&mut network, 3);
    network.withdraw(0, &prefix(NET));
    assert!(!network.knows(1, &prefix(NET)));
    network.captured.clear();
    network.seconds(120);
    assert!(!network.knows(1, &prefix(NET)));
    assert_eq!(network.updates(0, 1), 0);
    assert_eq!(network.nodes[0].speaker.usage().slots_in_use, 1, "and leaves nothing behind");
}

#[test]
fn what_came_and_went_within_an_interval_is_never_told() {
    let mut network = paced();
    network.announce(0, ipv4(OTHER));
    network.seconds(1);
    network.captured.clear();
    network.announce(0, ipv4(NET));
    network.withdraw(0, &prefix(NET));
    network.seconds(120);
    assert_eq!(network.updates(0, 1), 0);
    assert_eq!(network.nodes[0].speaker.usage().slots_in_use, 1);
}

#[test]
fn a_route_that_comes_back_waits() {
    let mut network = paced();
    network.announce(0, ipv4(NET));
    network.seconds(1);
    network.withdraw(0, &prefix(NET));
    network.announce(0, ipv4(NET));
    assert!(!network.knows(1, &prefix(NET)));
    network.seconds(30);
    assert!(network.knows(1, &prefix(NET)));
}

#[test]
fn a_whole_table_does_not_wait() {
    let mut network = paced();
    network.announce(0, ipv4(OTHER));
    network.seconds(1);
    network.announce(0, ipv4(NET));
    assert!(!network.knows(1, &prefix(NET)));
    let id = network.neighbor(1, 0).id;
    network.nodes[1].speaker.request_refresh(id, IPV4);
    network.settle();
    assert!(network.knows(1, &prefix(NET)), "the peer asked for everything");
}

#[test]
fn a_new_session_begins_with_a_whole_table_and_no_debt() {
    let mut network = paced();
    network.announce(0, ipv4(OTHER));
    network.seconds(1);
    network.announce(0, ipv4(NET));
    network.reset_connections(0, 1);
    network.seconds(3);
    assert!(network.established(0, 1) && network.knows(1, &prefix(NET)));
    network.withdraw(0, &prefix(NET));
    network.withdraw(0, &prefix(OTHER));
    network.seconds(60);
    assert_eq!(network.nodes[0].speaker.usage().slots_in_use, 0);
}

#[test]
fn another_interval_holds_from_now_on_and_ends_a_wait() {
    let mut network = paced();
    announce_with_med(&mut network, 1);
    network.seconds(1);
    announce_with_med(&mut network, 2);
    assert_eq!(med(&network), Some(1), "the interval has begun");
    let mut neighbor = network.neighbor(0, 1).config;
    neighbor.advertisement_interval = Duration::ZERO;
    let now = network.now;
    network.nodes[0].speaker.set_neighbors(vec![neighbor.clone()], now).unwrap();
    network.settle();
    assert_eq!(med(&network), Some(2), "what waited is told");
    announce_with_med(&mut network, 3);
    assert_eq!(med(&network), Some(3));
    neighbor.advertisement_interval = Duration::from_secs(30);
    let now = network.now;
    network.nodes[0].speaker.set_neighbors(vec![neighbor], now).unwrap();
    announce_with_med(&mut network, 4);
    network.seconds(1);
    announce_with_med(&mut network, 5);
    assert_eq!(med(&network), Some(4), "the new interval");
    network.seconds(31);
    assert_eq!(med(&network), Some(5));
    assert_eq!(network.neighbor(0, 1).established_count, 1);
}
