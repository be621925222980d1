//! Graceful restart (RFC 4724, 8538): what survives a broken connection or a killed process, and for how long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::time::Duration;

use bgp::speaker::{DownReason, Event, GracefulRestartConfig, SpeakerConfig};
use bgp::types::AfiSafi;
use pair::{EVPN, IPV4, Network, config, ipv4, mac, mac_key, pair, pair_of, prefix};

const NET: &str = "203.0.113.0/24";

fn graceful(asn: u32, last: u8) -> SpeakerConfig {
    let mut config = config(asn, last);
    config.graceful_restart = Some(GracefulRestartConfig::default());
    config
}

fn restarting(asn: u32, last: u8) -> SpeakerConfig {
    SpeakerConfig { restarting: true, ..graceful(asn, last) }
}

/// 0 is the one that restarts; it has announced a MAC and a prefix.
fn helped() -> Network {
    let mut network = pair_of(graceful(65_001, 1), graceful(65_002, 2), &[IPV4, EVPN]);
    network.announce(0, mac(1, 1));
    network.announce(0, ipv4(NET));
    network.announce(1, mac(2, 2));
    assert!(network.knows(1, &mac_key(1, 1)));
    network
}

fn ready(network: &mut Network, node: usize) {
    for family in [IPV4, EVPN] {
        network.nodes[node].speaker.local_routes_ready(family);
    }
    network.settle();
}

fn converged(network: &Network, node: usize) -> Vec<AfiSafi> {
    network.events(node, |event| match event {
        Event::Converged { family } => Some(*family),
        _ => None,
    })
}

#[test]
fn a_helper_keeps_the_routes_of_all_families_of_a_killed_peer() {
    let mut network = helped();
    network.kill(0);
    network.seconds(119);
    assert!(network.knows(1, &mac_key(1, 1)) && network.knows(1, &prefix(NET)));
    assert!(network.is_stale(1, &mac_key(1, 1)));
    assert!(
        network.nodes[1].best[&mac_key(1, 1)].best.is_some(),
        "the daemon is not told to forget"
    );
    network.seconds(2);
    assert!(!network.knows(1, &mac_key(1, 1)) && !network.knows(1, &prefix(NET)));
    assert!(network.nodes[1].best[&mac_key(1, 1)].best.is_none());
}

#[test]
fn a_restarted_speaker_loses_nothing_at_its_helper() {
    let mut network = helped();
    network.announce(0, mac(1, 3));
    network.nodes[1].events.clear();
    network.restart(0, restarting(65_001, 1));
    network.peer_at(0, 1, &[IPV4, EVPN]);
    network.seconds(20);
    assert!(network.established(0, 1));
    assert!(
        network.is_stale(1, &mac_key(1, 1)),
        "no End-of-RIB before our owner has announced everything"
    );
    // The daemon reads the kernel and announces what is still there: MAC 3 is not.
    network.announce(0, mac(1, 1));
    network.announce(0, ipv4(NET));
    assert!(network.knows(1, &mac_key(1, 3)));
    ready(&mut network, 0);
    assert!(network.knows(1, &mac_key(1, 1)) && !network.is_stale(1, &mac_key(1, 1)));
    assert!(!network.knows(1, &mac_key(1, 3)), "what did not come back is gone at the End-of-RIB");
    let lost = network.events(1, |event| match event {
        Event::BestPath(best) if best.best.is_none() => Some(best.key.clone()),
        _ => None,
    });
    assert_eq!(lost, [mac_key(1, 3)]);
}

#[test]
fn a_restarted_speaker_decides_after_all_peers_have_spoken() {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3)] {
        network.add(graceful(asn, last));
    }
    network.peer(0, 1, &[EVPN]);
    network.peer(0, 2, &[EVPN]);
    network.seconds(3);
    network.announce(1, mac(2, 2));
    network.announce(2, mac(3, 3));
    network.restart(0, restarting(65_001, 1));
    network.cut(0, 2);
    network.peer_at(0, 1, &[EVPN]);
    network.peer_at(0, 2, &[EVPN]);
    network.seconds(20);
    assert!(network.established(0, 1));
    assert!(network.nodes[0].best.is_empty(), "nothing is decided while a peer is missing");
    assert!(!converged(&network, 0).contains(&EVPN));
    network.mend(0, 2);
    network.seconds(20);
    assert_eq!(network.nodes[0].best.len(), 2);
    assert!(converged(&network, 0).contains(&EVPN));
    let last =
        network.nodes[0].events.iter().rposition(|event| matches!(event, Event::BestPath(_)));
    let sweep = network.nodes[0]
        .events
        .iter()
        .position(|event| matches!(event, Event::Converged { family: EVPN }));
    assert!(last < sweep, "the daemon may sweep only when it has heard of all best paths");
}

#[test]
fn a_restarted_speaker_does_not_wait_for_ever() {
    let mut network = Network::new();
    network.add(restarting(65_001, 1));
    network.add(graceful(65_002, 2));
    network.cut(0, 1);
    network.peer(0, 1, &[EVPN]);
    network.seconds(59);
    assert!(converged(&network, 0).is_empty());
    network.seconds(2);
    assert!(converged(&network, 0).contains(&EVPN));
}

#[test]
fn two_speakers_that_restart_together_do_not_wait_for_each_other() {
    let mut network = pair_of(restarting(65_001, 1), restarting(65_002, 2), &[EVPN]);
    assert!(converged(&network, 0).contains(&EVPN) && converged(&network, 1).contains(&EVPN));
    ready(&mut network, 0);
}

#[test]
fn a_fresh_start_is_converged_at_once() {
    let network = pair(&[IPV4]);
    assert_eq!(converged(&network, 0).len(), 3);
}

#[test]
fn a_peer_that_did_not_keep_forwarding_loses_its_routes_at_once() {
    let mut network = helped();
    // A fresh start: the F bits are not set.
    network.restart(0, graceful(65_001, 1));
    network.peer_at(0, 1, &[IPV4, EVPN]);
    network.seconds(20);
    assert!(network.established(0, 1));
    assert!(!network.knows(1, &mac_key(1, 1)));
}

#[test]
fn a_family_that_does_not_come_back_is_flushed() {
    let mut network = helped();
    network.restart(0, restarting(65_001, 1));
    network.peer_at(0, 1, &[IPV4]);
    network.seconds(20);
    assert!(!network.knows(1, &mac_key(1, 1)));
    assert!(network.knows(1, &prefix(NET)));
}

#[test]
fn a_broken_connection_is_mended_without_a_trace() {
    let mut network = helped();
    network.nodes[1].events.clear();
    network.reset_connections(0, 1);
    assert!(network.is_stale(1, &mac_key(1, 1)) && network.is_stale(0, &mac_key(2, 2)));
    network.seconds(5);
    assert!(network.established(0, 1));
    assert!(!network.is_stale(1, &mac_key(1, 1)) && !network.is_stale(0, &mac_key(2, 2)));
    let changes = network.events(1, |event| matches!(event, Event::BestPath(_)).then_some(()));
    assert!(changes.is_empty());
}

#[test]
fn a_second_restart_flushes_what_is_still_stale() {
    let mut network = helped();
    network.restart(0, restarting(65_001, 1));
    network.peer_at(0, 1, &[IPV4, EVPN]);
    network.seconds(20);
    network.announce(0, ipv4(NET));
    network.kill(0);
    network.settle();
    assert!(!network.knows(1, &mac_key(1, 1)), "never confirmed");
    assert!(network.is_stale(1, &prefix(NET)), "confirmed once, so it has another chance");
}

#[test]
fn a_helper_gives_up_if_the_end_of_rib_never_comes() {
    let mut network = helped();
    network.restart(0, restarting(65_001, 1));
    network.peer_at(0, 1, &[IPV4, EVPN]);
    network.seconds(300);
    assert!(network.knows(1, &mac_key(1, 1)));
    network.seconds(100);
    assert!(!network.knows(1, &mac_key(1, 1)));
    assert!(network.established(0, 1));
}

#[test]
fn a_new_connection_of_a_restarted_peer_replaces_the_old_one() {
    let mut network = helped();
    // The peer's machine died: nobody closed the old connection.
    network.forget_connections(0);
    network.restart(0, restarting(65_001, 1));
    network.peer_at(0, 1, &[IPV4, EVPN]);
    network.seconds(20);
    assert!(network.established(0, 1));
    assert!(network.is_stale(1, &mac_key(1, 1)));
    let reasons = network.events(1, |event| match event {
        Event::SessionDown { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reasons, [DownReason::Restarted]);
}

#[test]
fn without_graceful_restart_on_both_sides_nothing_is_kept() {
    let mut network = pair_of(graceful(65_001, 1), config(65_002, 2), &[EVPN]);
    network.announce(0, mac(1, 1));
    network.kill(0);
    network.settle();
    assert!(!network.knows(1, &mac_key(1, 1)));
}

#[test]
fn an_expired_hold_timer_keeps_routes_only_if_both_sides_say_so() {
    for both in [false, true] {
        let with = |asn, last| {
            let mut config = graceful(asn, last);
            config.graceful_restart =
                Some(GracefulRestartConfig { notification: both, ..Default::default() });
            config
        };
        let mut network = pair_of(with(65_001, 1), with(65_002, 2), &[EVPN]);
        network.announce(0, mac(1, 1));
        network.cut(0, 1);
        network.advance(Duration::from_secs(91));
        assert_eq!(network.knows(1, &mac_key(1, 1)), both);
    }
}

#[test]
fn a_shutdown_by_the_operator_keeps_nothing() {
    let mut config_a = graceful(65_001, 1);
    config_a.graceful_restart =
        Some(GracefulRestartConfig { notification: true, ..Default::default() });
    let config_b =
        SpeakerConfig { asn: bgp::types::Asn(65_002), router_id: pair::id(2), ..config_a.clone() };
    let mut network = pair_of(config_a, config_b, &[EVPN]);
    network.announce(0, mac(1, 1));
    let neighbor = network.neighbor(0, 1).id;
    let now = network.now;
    network.nodes[0].speaker.disable_neighbor(neighbor, None, now);
    network.settle();
    assert!(!network.knows(1, &mac_key(1, 1)), "a hard reset");
}

#[test]
fn the_restart_bit_is_gone_from_later_sessions() {
    let mut network = helped();
    network.restart(0, restarting(65_001, 1));
    network.peer_at(0, 1, &[IPV4, EVPN]);
    network.seconds(20);
    ready(&mut network, 0);
    let bit = |network: &Network| {
        network.neighbor(1, 0).negotiated.unwrap().graceful_restart.clone().unwrap().restarting
    };
    assert!(bit(&network));
    network.reset_connections(0, 1);
    network.seconds(20);
    assert!(!bit(&network));
}
