//! Several paths at once: which of them share the load, and what the daemon hears of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::speaker::{BestPath, Event, Multipath, NeighborConfig};
use bgp::types::Asn;
use bgp::wire::Origin;
use pair::{IPV4, Network, config, internal, ipv4, ipv4_with, prefix};

const NET: &str = "203.0.113.0/24";
const FOUR: Multipath = Multipath { external: 4, internal: 4, relaxed: false };

/// Node 0 in AS 65000 uses several paths; around it are nodes 1, 2, 3 ... of these AS.
fn star(multipath: Multipath, around: &[u32]) -> Network {
    let mut network = Network::new();
    let mut center = config(65_000, 100);
    center.multipath = multipath;
    network.add(center);
    for (asn, last) in around.iter().zip(1..) {
        let node = network.add(config(*asn, last));
        let change = |config: &mut NeighborConfig| {
            if *asn == 65_000 {
                internal(config);
            }
        };
        network.peer_with(0, node, &[IPV4], change, change);
    }
    network.seconds(3);
    network
}

/// Next hops of the paths that node 0 says it uses, as last octets: the best one first, the others in order.
fn used(network: &Network) -> Vec<u8> {
    let Some(BestPath { best: Some(best), equal, .. }) = network.nodes[0].best.get(&prefix(NET))
    else {
        return Vec::new();
    };
    let last = |attributes: &bgp::wire::AttributeSet| match attributes.next_hop().address() {
        std::net::IpAddr::V4(address) => address.octets()[3],
        std::net::IpAddr::V6(_) => panic!("an IPv6 next hop"),
    };
    let mut equal: Vec<u8> = equal.iter().map(|path| last(&path.attributes)).collect();
    equal.sort_unstable();
    equal.insert(0, last(best));
    equal
}

/// How often node 0 reported the destination.
fn reports(network: &Network) -> usize {
    network
        .events(0, |event| {
            matches!(event, Event::BestPath(best) if best.key == prefix(NET)).then_some(())
        })
        .len()
}

#[test]
fn paths_through_one_neighboring_as_share_the_load_until_one_is_withdrawn() {
    let mut network = star(FOUR, &[65_001, 65_001, 65_001]);
    for node in 1..=3 {
        network.announce(node, ipv4(NET));
    }
    assert_eq!(used(&network), [2, 3, 4]);
    let route = network.nodes[0].speaker.route(&prefix(NET)).unwrap();
    assert!(route.paths.iter().all(|path| path.multipath));
    network.withdraw(2, &prefix(NET));
    assert_eq!(used(&network), [2, 4], "the best one stayed, and yet it is reported");
    network.withdraw(1, &prefix(NET));
    assert_eq!(used(&network), [4]);
    let route = network.nodes[0].speaker.route(&prefix(NET)).unwrap();
    assert!(!route.paths[0].multipath, "one path shares nothing");
    network.withdraw(3, &prefix(NET));
    assert!(used(&network).is_empty());
}

#[test]
fn without_multipath_only_a_change_of_the_best_path_is_reported() {
    let mut network = star(Multipath::OFF, &[65_001, 65_001]);
    network.announce(1, ipv4(NET));
    network.announce(2, ipv4(NET));
    assert_eq!(used(&network), [2]);
    assert_eq!(reports(&network), 1);
}

#[test]
fn paths_through_different_as_share_the_load_only_if_that_is_relaxed() {
    for (relaxed, expected) in [(false, vec![2]), (true, vec![2, 3])] {
        let mut network = star(Multipath { relaxed, ..FOUR }, &[65_001, 65_002]);
        network.announce(1, ipv4(NET));
        network.announce(2, ipv4(NET));
        assert_eq!(used(&network), expected, "relaxed: {relaxed}");
    }
}

#[test]
fn internal_paths_need_the_same_as_path() {
    for (other, expected) in [(65_008, vec![2]), (65_009, vec![2, 3])] {
        let mut network = star(FOUR, &[65_000, 65_000]);
        for (node, asn) in [(1, 65_009), (2, other)] {
            let route = ipv4_with(NET, |a| {
                a.set_as_path(&[Asn(asn)]);
            });
            network.announce(node, route);
        }
        assert_eq!(used(&network), expected, "the other path is through {other}");
    }
}

#[test]
fn a_path_that_is_worse_in_any_step_shares_nothing() {
    let mut network = star(Multipath { relaxed: true, ..FOUR }, &[65_001, 65_001, 65_001, 65_000]);
    network.announce(1, ipv4(NET));
    network.announce(
        2,
        ipv4_with(NET, |a| {
            a.set_origin(Origin::Incomplete);
        }),
    );
    network.announce(
        3,
        ipv4_with(NET, |a| {
            a.set_med(1);
        }),
    );
    network.announce(
        4,
        ipv4_with(NET, |a| {
            a.set_as_path(&[Asn(65_001)]);
        }),
    );
    assert_eq!(used(&network), [2], "worse origin, higher MED, internal");
}

#[test]
fn no_more_paths_are_used_than_allowed_and_the_same_ones_in_any_order() {
    let two = Multipath { external: 2, ..FOUR };
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let mut network = star(two, &[65_001, 65_001, 65_001]);
        for node in order {
            network.announce(node, ipv4(NET));
        }
        assert_eq!(used(&network), [2, 3], "announced in the order {order:?}");
    }
}

#[test]
fn a_change_of_a_path_that_is_used_is_reported_and_of_another_is_not() {
    let two = Multipath { external: 2, ..FOUR };
    let mut network = star(two, &[65_001, 65_001, 65_001]);
    for node in 1..=3 {
        network.announce(node, ipv4(NET));
    }
    let colored = || {
        ipv4_with(NET, |a| {
            a.add_community(1);
        })
    };
    let before = reports(&network);
    network.announce(3, colored());
    assert_eq!(reports(&network), before, "the third path is not used");
    network.announce(2, colored());
    assert_eq!(reports(&network), before + 1);
}
