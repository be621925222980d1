//! More routes than a neighbour may have (RFC 4486 §4; FRR's `maximum-prefix`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::net::Ipv4Addr;
use std::time::Duration;

use bgp::speaker::{LimitAction, MaximumPrefix, SessionState};
use bgp::types::AfiSafi;
use pair::{EVPN, IPV4, Network, config, ipv4, mac, prefix};

/// Speaker 1 takes so many IPv4 routes from speaker 0.
fn limited(limit: u32, action: LimitAction) -> Network {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    let maximum = MaximumPrefix { family: IPV4, limit, warning: 75, action };
    network.peer_with(0, 1, &[IPV4, EVPN], |_| {}, |c| c.maximum_prefix = vec![maximum]);
    network.seconds(3);
    assert!(network.established(0, 1));
    network
}

fn announce(network: &mut Network, count: u32) {
    for number in 0..count {
        let address = Ipv4Addr::from(0x0a00_0000 + (number << 8));
        network.nodes[0].speaker.announce(ipv4(&format!("{address}/24")));
    }
    network.settle();
}

fn last_error(network: &Network) -> String {
    network.neighbor(1, 0).last_error.unwrap().to_string()
}

#[test]
fn one_route_too_many_ends_the_session_until_the_operator_resets_it() {
    let mut network = limited(10, LimitAction::Teardown);
    announce(&mut network, 10);
    assert!(network.established(0, 1), "as many as it may");
    announce(&mut network, 11);
    let neighbor = network.neighbor(1, 0);
    assert_eq!(neighbor.over_limit, Some(IPV4));
    assert!(!neighbor.shutdown, "it was not the operator");
    assert_eq!(
        last_error(&network),
        "notification sent: Cease/Maximum Number of Prefixes Reached, data 00 01 01 00 00 00 0a"
    );
    assert_eq!(network.nodes[1].speaker.route_count(IPV4), 0);
    network.seconds(3600);
    assert_eq!(network.state(1, 0), SessionState::Idle, "the peer tries in vain");

    for number in 5..11 {
        network.withdraw(0, &prefix(&format!("10.0.{number}.0/24")));
    }
    let id = network.neighbor(1, 0).id;
    let now = network.now;
    network.nodes[1].speaker.reset_neighbor(id, now);
    network.seconds(60);
    assert!(network.established(0, 1));
    assert_eq!(network.neighbor(1, 0).over_limit, None);
    assert_eq!(network.nodes[1].speaker.route_count(IPV4), 5);
}

#[test]
fn a_session_that_is_to_restart_rests_for_its_time() {
    let mut network = limited(10, LimitAction::Restart(Duration::from_secs(300)));
    announce(&mut network, 11);
    network.seconds(290);
    assert_eq!(network.state(1, 0), SessionState::Idle);
    network.withdraw(0, &prefix("10.0.10.0/24"));
    network.seconds(130);
    assert!(network.established(0, 1));
    assert_eq!(network.nodes[1].speaker.route_count(IPV4), 10);
}

#[test]
fn a_limit_that_only_warns_takes_all_routes() {
    let mut network = limited(10, LimitAction::WarningOnly);
    announce(&mut network, 20);
    assert!(network.established(0, 1));
    assert_eq!(network.nodes[1].speaker.route_count(IPV4), 20);
}

#[test]
fn routes_of_other_families_and_withdrawn_ones_do_not_count() {
    let mut network = limited(10, LimitAction::Teardown);
    for last in 0..50 {
        network.announce(0, mac(1, last));
    }
    for number in 0..50 {
        network.announce(0, ipv4(&format!("10.0.{number}.0/24")));
        network.withdraw(0, &prefix(&format!("10.0.{number}.0/24")));
    }
    announce(&mut network, 10);
    announce(&mut network, 10);
    assert!(network.established(0, 1));
    assert_eq!(network.nodes[1].speaker.route_count(AfiSafi::L2VPN_EVPN), 50);
}

/// The flood stands in one UPDATE after the other; what is beyond the limit is never in the table.
#[test]
fn a_flood_beyond_the_limit_costs_the_memory_of_the_limit() {
    let mut network = limited(1000, LimitAction::Teardown);
    announce(&mut network, 60_000);
    assert_eq!(network.neighbor(1, 0).over_limit, Some(IPV4));
    let usage = network.nodes[1].speaker.usage();
    assert!(usage.slots <= 1001, "{} places were ever needed", usage.slots);
}

/// RFC 8538 would have the peer keep what it has from us and us what we have from it.
#[test]
fn with_notification_restart_the_end_is_a_hard_one() {
    let restart = bgp::speaker::GracefulRestartConfig { notification: true, ..Default::default() };
    let mut left = config(65_001, 1);
    left.graceful_restart = Some(restart.clone());
    let mut right = config(65_002, 2);
    right.graceful_restart = Some(restart);
    let mut network = Network::new();
    network.add(left);
    network.add(right);
    let maximum =
        MaximumPrefix { family: IPV4, limit: 3, warning: 75, action: LimitAction::Teardown };
    network.peer_with(0, 1, &[IPV4], |_| {}, |c| c.maximum_prefix = vec![maximum]);
    network.seconds(3);
    announce(&mut network, 4);
    assert_eq!(network.nodes[1].speaker.route_count(IPV4), 0);
    assert!(last_error(&network).starts_with("notification sent: Cease/Hard Reset: Cease/Maximum"));
}
