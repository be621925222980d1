//! What BFD's word means for a session and its routes (RFC 5882).

mod pair;

use std::time::Duration;

use bgp::bfd::{Intervals, SessionState};
use bgp::speaker::{BfdConfig, BfdReport, BfdRequest, Event, GracefulRestartConfig, SpeakerConfig};
use pair::{IPV4, Network, config, ipv4, prefix};

const BFD: BfdConfig = BfdConfig {
    intervals: Intervals {
        min_tx: Duration::from_millis(50),
        min_rx: Duration::from_millis(50),
        multiplier: 3,
    },
    multihop: None,
};

const FAILED: BfdReport =
    BfdReport { state: SessionState::Down, failed: true, control_plane_independent: false };

/// Two external neighbours; the left one has BFD, and the right one's route.
fn network(change: impl Fn(&mut SpeakerConfig)) -> Network {
    let mut network = Network::new();
    for (asn, last) in [(65001, 1), (65002, 2)] {
        let mut config = config(asn, last);
        change(&mut config);
        network.add(config);
    }
    network.peer_with(0, 1, &[IPV4], |config| config.bfd = Some(BFD), |_| {});
    network.announce(1, ipv4("10.0.0.0/24"));
    network.settle();
    network.seconds(5);
    assert!(network.established(0, 1) && network.knows(0, &prefix("10.0.0.0/24")));
    network
}

fn graceful(notification: bool) -> impl Fn(&mut SpeakerConfig) {
    move |config| {
        config.graceful_restart =
            Some(GracefulRestartConfig { notification, ..GracefulRestartConfig::default() });
    }
}

fn report(network: &mut Network, report: BfdReport) {
    let (id, now) = (network.neighbor(0, 1).id, network.now);
    network.nodes[0].speaker.handle_bfd(id, report, now);
    network.settle();
}

fn requests(network: &Network) -> Vec<BfdRequest> {
    network.events(0, |event| match event {
        Event::Bfd { request, .. } => Some(request.clone()),
        _ => None,
    })
}

#[test]
fn bfd_is_asked_for_when_the_session_is_up_and_no_longer_when_the_neighbor_is_shut_down() {
    let mut network = network(|_| {});
    let [BfdRequest::Start { local, remote, multihop, intervals, .. }] = requests(&network)[..]
    else {
        panic!("{:?}", requests(&network))
    };
    assert_eq!((local, remote), (network.nodes[0].address, network.nodes[1].address));
    assert_eq!((multihop, intervals), (Some(false), BFD.intervals));
    let (id, now) = (network.neighbor(0, 1).id, network.now);
    network.nodes[0].speaker.disable_neighbor(id, None, now);
    network.settle();
    assert_eq!(requests(&network).last(), Some(&BfdRequest::Stop));
}

#[test]
fn a_path_that_fails_ends_the_session_with_bfd_down_and_takes_the_routes() {
    for notification in [false, true] {
        let mut network = network(graceful(notification));
        report(&mut network, FAILED);
        assert!(!network.established(0, 1));
        assert!(!network.knows(0, &prefix("10.0.0.0/24")));
        let last = network.neighbor(1, 0).last_error.unwrap().to_string();
        assert!(last.contains("BFD"), "{last}");
    }
}

#[test]
fn a_bfd_session_that_is_down_without_having_failed_changes_nothing() {
    let mut network = network(|_| {});
    report(&mut network, BfdReport { failed: false, ..FAILED });
    assert!(network.established(0, 1));
    assert_eq!(network.neighbor(0, 1).bfd, Some(SessionState::Down));
}

#[test]
fn the_routes_of_a_restarting_neighbor_stay_unless_its_bfd_would_have_gone_on() {
    for (control_plane_independent, stays) in [(false, true), (true, false)] {
        let mut network = network(graceful(false));
        network.kill(1);
        network.settle();
        assert!(network.is_stale(0, &prefix("10.0.0.0/24")));
        report(&mut network, BfdReport { control_plane_independent, ..FAILED });
        assert_eq!(network.knows(0, &prefix("10.0.0.0/24")), stays);
    }
}
