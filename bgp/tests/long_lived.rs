//! Long-lived graceful restart (RFC 9494).

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::speaker::{GracefulRestartConfig, SpeakerConfig};
use bgp::wire::{AttributeSet, community};
use pair::{EVPN, IPV4, Network, config, ipv4, ipv4_with, mac, mac_key, prefix};

const NET: &str = "203.0.113.0/24";
const OTHER: &str = "198.51.100.0/24";
/// The default restart time.
const RESTART: u64 = 120;
const LONG: u32 = 3600;

fn long_lived(asn: u32, last: u8) -> SpeakerConfig {
    let mut config = config(asn, last);
    config.graceful_restart =
        Some(GracefulRestartConfig { long_lived: LONG, ..GracefulRestartConfig::default() });
    config
}

fn short_lived(asn: u32, last: u8) -> SpeakerConfig {
    let mut config = config(asn, last);
    config.graceful_restart = Some(GracefulRestartConfig::default());
    config
}

/// 1 is the helper of 0; 2 has long-lived graceful restart too, 3 has not.
fn star() -> Network {
    let mut network = Network::new();
    network.add(long_lived(65_001, 1));
    network.add(long_lived(65_002, 2));
    network.add(long_lived(65_003, 3));
    network.add(short_lived(65_004, 4));
    for other in [0, 2, 3] {
        network.peer(1, other, &[IPV4, EVPN]);
    }
    network.seconds(5);
    for other in [0, 2, 3] {
        assert!(network.established(1, other));
    }
    network.announce(0, ipv4(NET));
    network.announce(0, mac(1, 1));
    network
}

fn is_marked(set: &AttributeSet) -> bool {
    set.communities().any(|community| community == community::LLGR_STALE)
}

#[test]
fn routes_outlive_the_restart_time_as_the_last_choice() {
    let mut network = star();
    network.kill(0);
    network.seconds(RESTART - 1);
    assert!(!is_marked(&network.best(1, &prefix(NET)).unwrap()), "graceful restart comes first");
    assert!(network.knows(3, &prefix(NET)));
    network.seconds(2);
    for key in [prefix(NET), mac_key(1, 1)] {
        assert!(is_marked(&network.best(1, &key).unwrap()));
        assert!(is_marked(&network.best(2, &key).unwrap()), "told to who knows the mark");
        assert!(!network.knows(3, &key), "and to nobody else");
    }
    network.seconds(u64::from(LONG) - 10);
    assert!(network.knows(2, &prefix(NET)));
    network.seconds(20);
    for key in [prefix(NET), mac_key(1, 1)] {
        assert!(!network.knows(1, &key) && !network.knows(2, &key));
    }
}

#[test]
fn any_other_path_is_better_than_a_marked_one() {
    let mut network = star();
    let longer = ipv4_with(NET, |a| {
        a.prepend_as_times(bgp::types::Asn(65_009), 20);
    });
    network.announce(2, longer);
    assert_eq!(network.best(1, &prefix(NET)).unwrap().as_path_length(), 1);
    network.kill(0);
    network.seconds(RESTART + 1);
    assert_eq!(network.best(1, &prefix(NET)).unwrap().as_path_length(), 21);
    assert!(network.knows(3, &prefix(NET)), "a sound path is told to everybody");
    network.withdraw(2, &prefix(NET));
    assert!(is_marked(&network.best(1, &prefix(NET)).unwrap()));
}

#[test]
fn a_route_that_does_not_want_it_goes_when_the_restart_time_is_over() {
    let mut network = star();
    let short = ipv4_with(OTHER, |a| {
        a.add_community(community::NO_LLGR);
    });
    network.announce(0, short);
    network.kill(0);
    network.seconds(RESTART - 1);
    assert!(network.knows(2, &prefix(OTHER)));
    network.seconds(2);
    assert!(!network.knows(1, &prefix(OTHER)) && !network.knows(2, &prefix(OTHER)));
    assert!(network.knows(2, &prefix(NET)));
}

#[test]
fn without_it_on_both_sides_routes_go_with_the_restart_time() {
    let mut network = star();
    network.announce(3, ipv4(OTHER));
    network.kill(3);
    network.seconds(RESTART + 1);
    assert!(!network.knows(1, &prefix(OTHER)));
}

#[test]
fn who_comes_back_late_confirms_its_routes_and_the_mark_is_gone() {
    let mut network = star();
    network.announce(0, ipv4(OTHER));
    network.kill(0);
    network.seconds(RESTART + 600);
    assert!(is_marked(&network.best(2, &prefix(OTHER)).unwrap()));
    network.restart(0, SpeakerConfig { restarting: true, ..long_lived(65_001, 1) });
    network.peer_at(0, 1, &[IPV4, EVPN]);
    network.seconds(30);
    assert!(network.established(0, 1));
    assert!(is_marked(&network.best(2, &prefix(NET)).unwrap()), "until it is confirmed");
    network.announce(0, ipv4(NET));
    for family in [IPV4, EVPN] {
        network.nodes[0].speaker.local_routes_ready(family);
    }
    network.seconds(90);
    assert!(!is_marked(&network.best(2, &prefix(NET)).unwrap()));
    assert!(network.knows(3, &prefix(NET)));
    assert!(!network.knows(1, &prefix(OTHER)), "what it does not announce again is gone");
    network.seconds(u64::from(LONG));
    assert!(network.knows(2, &prefix(NET)), "and nothing expires any more");
}

#[test]
fn who_comes_back_without_its_forwarding_state_begins_anew() {
    let mut network = star();
    network.kill(0);
    network.seconds(RESTART + 600);
    network.restart(0, long_lived(65_001, 1));
    network.peer_at(0, 1, &[IPV4, EVPN]);
    network.seconds(30);
    assert!(network.established(0, 1));
    assert!(!network.knows(1, &prefix(NET)));
}

#[test]
fn a_neighbor_that_is_removed_leaves_nothing_behind() {
    let mut network = star();
    network.kill(0);
    network.seconds(RESTART + 600);
    let (id, now) = (network.neighbor(1, 0).id, network.now);
    network.nodes[1].speaker.remove_neighbor(id, now);
    network.settle();
    assert!(!network.knows(1, &prefix(NET)) && !network.knows(2, &prefix(NET)));
}
