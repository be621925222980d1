//! Going gracefully while sessions are up, and staying after all (RFC 8326): of everything, and of one session.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::wire::{AttributeSet, community};
use pair::{IPV4, Network, config, internal, ipv4, prefix};

const OURS: &str = "10.0.0.0/24";
const THEIRS: &str = "10.1.0.0/24";

/// 0 has 1, in another AS, and 2, in its own, for neighbours.
fn three() -> Network {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_001, 3)] {
        network.add(config(asn, last));
    }
    network.peer(0, 1, &[IPV4]);
    network.peer_with(0, 2, &[IPV4], internal, internal);
    network.seconds(3);
    network.announce(0, ipv4(OURS));
    network.announce(1, ipv4(THEIRS));
    network
}

/// Whether a route has the community, and its LOCAL_PREF.
fn seen(network: &Network, node: usize, net: &str) -> (bool, Option<u32>) {
    let best: AttributeSet = network.best(node, &prefix(net)).unwrap();
    let marked = best.communities().any(|other| other == community::GRACEFUL_SHUTDOWN);
    (marked, best.local_pref())
}

fn no_session_noticed(network: &Network) {
    for other in [1, 2] {
        assert_eq!(network.neighbor(0, other).established_count, 1);
        assert!(network.established(0, other));
    }
}

#[test]
fn all_neighbors_are_told_that_we_go_and_that_we_stay() {
    let mut network = three();
    network.captured.clear();
    network.nodes[0].speaker.set_graceful_shutdown(true);
    network.settle();
    assert_eq!(seen(&network, 1, OURS), (true, Some(0)), "1 reads the community");
    assert_eq!(seen(&network, 2, OURS), (true, Some(0)));
    assert_eq!(seen(&network, 2, THEIRS), (true, Some(0)));
    assert_eq!(seen(&network, 0, THEIRS), (false, None), "nobody else goes");
    let refreshes = network.messages(0, 1).iter().filter(|(kind, _)| *kind == 5).count();
    assert_eq!(refreshes, 0, "nothing is asked for");
    network.nodes[0].speaker.set_graceful_shutdown(false);
    network.settle();
    assert_eq!(seen(&network, 1, OURS), (false, None));
    assert_eq!(seen(&network, 2, OURS), (false, Some(100)));
    assert_eq!(seen(&network, 2, THEIRS), (false, Some(100)));
    no_session_noticed(&network);
}

#[test]
fn one_session_goes_both_ways_and_others_hear_of_it() {
    let mut network = three();
    let id = network.neighbor(0, 1).id;
    network.nodes[0].speaker.set_neighbor_graceful_shutdown(id, true);
    network.settle();
    assert!(network.neighbor(0, 1).graceful_shutdown);
    assert_eq!(seen(&network, 1, OURS), (true, Some(0)));
    assert_eq!(seen(&network, 0, THEIRS), (true, Some(0)), "what comes over it goes too");
    assert_eq!(seen(&network, 2, THEIRS), (true, Some(0)), "and others prefer other ways to it");
    assert_eq!(seen(&network, 2, OURS), (false, Some(100)), "the other session stays");
    network.nodes[0].speaker.set_neighbor_graceful_shutdown(id, false);
    network.settle();
    assert_eq!(seen(&network, 1, OURS), (false, None));
    assert_eq!(seen(&network, 0, THEIRS), (false, None));
    assert_eq!(seen(&network, 2, THEIRS), (false, Some(100)));
    no_session_noticed(&network);
}

#[test]
fn what_the_operator_said_outlives_a_configuration_that_says_the_same_as_before() {
    let mut network = three();
    let id = network.neighbor(0, 1).id;
    network.nodes[0].speaker.set_neighbor_graceful_shutdown(id, true);
    let configs = |network: &Network| -> Vec<_> {
        network.nodes[0].speaker.neighbors().into_iter().map(|known| known.config).collect()
    };
    let set = |network: &mut Network, change: fn(&mut bgp::speaker::NeighborConfig)| {
        let mut all = configs(network);
        change(&mut all[0]);
        let now = network.now;
        network.nodes[0].speaker.set_neighbors(all, now).unwrap();
        network.settle();
    };
    set(&mut network, |c| c.med_unchanged = true);
    assert_eq!(seen(&network, 1, OURS), (true, Some(0)));
    set(&mut network, |c| c.graceful_shutdown = true);
    set(&mut network, |c| c.graceful_shutdown = false);
    assert_eq!(seen(&network, 1, OURS), (false, None), "the last word counts");
    assert_eq!(seen(&network, 2, THEIRS), (false, Some(100)));
    no_session_noticed(&network);
}
