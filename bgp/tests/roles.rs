//! Roles and ONLY_TO_CUSTOMER (RFC 9234).

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::speaker::{NeighborConfig, SessionState};
use bgp::types::{AfiSafi, Asn, Role};
use pair::{EVPN, IPV4, IPV6, Network, config, internal, ipv4, ipv4_with, mac, mac_key, prefix};

const NET: &str = "203.0.113.0/24";

fn role(role: Role) -> impl Fn(&mut NeighborConfig) {
    move |config| config.role = Some(role)
}

/// 0 - 1 - 2, each in its own AS; what 0 and 2 are to each other and to 1 is said from both sides.
fn chain(first: [Option<Role>; 2], second: [Option<Role>; 2], families: &[AfiSafi]) -> Network {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3)] {
        network.add(config(asn, last));
    }
    for (a, b, [left, right]) in [(0, 1, first), (1, 2, second)] {
        network.peer_with(a, b, families, |c| c.role = left, |c| c.role = right);
    }
    network.seconds(3);
    assert!(network.established(0, 1) && network.established(1, 2));
    network
}

const ROLES: [Role; 5] =
    [Role::Provider, Role::RsServer, Role::RsClient, Role::Customer, Role::Peer];

#[test]
fn roles_that_do_not_go_together_end_the_session() {
    for left in ROLES {
        for right in ROLES {
            let mut network = Network::new();
            network.add(config(65_001, 1));
            network.add(config(65_002, 2));
            network.peer_with(0, 1, &[IPV4], role(left), role(right));
            network.seconds(3);
            let agree = matches!(
                (left, right),
                (Role::Provider, Role::Customer)
                    | (Role::Customer, Role::Provider)
                    | (Role::RsServer, Role::RsClient)
                    | (Role::RsClient, Role::RsServer)
                    | (Role::Peer, Role::Peer)
            );
            assert_eq!(network.established(0, 1), agree, "{left} and {right}");
            if !agree {
                let errors = [network.neighbor(0, 1), network.neighbor(1, 0)]
                    .map(|neighbor| neighbor.last_error.unwrap().to_string());
                assert!(
                    errors.iter().any(|error| error.ends_with("OPEN Message Error/Role Mismatch")),
                    "{errors:?}"
                );
            }
        }
    }
}

#[test]
fn a_neighbor_without_a_role_is_taken_unless_we_are_strict() {
    for strict in [false, true] {
        let mut network = Network::new();
        network.add(config(65_001, 1));
        network.add(config(65_002, 2));
        let left = |c: &mut NeighborConfig| {
            (c.role, c.role_strict) = (Some(Role::Provider), strict);
        };
        network.peer_with(0, 1, &[IPV4], left, |_| {});
        network.seconds(3);
        assert_eq!(network.state(0, 1) == SessionState::Established, !strict);
    }
}

#[test]
fn internal_neighbors_have_no_roles() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_001, 2));
    let provider = |c: &mut NeighborConfig| {
        internal(c);
        (c.role, c.role_strict) = (Some(Role::Provider), true);
    };
    network.peer_with(0, 1, &[IPV4], provider, provider);
    network.seconds(3);
    assert!(network.established(0, 1));
    network.announce(0, ipv4(NET));
    assert_eq!(network.best(1, &prefix(NET)).unwrap().only_to_customer(), None);
}

/// RFC 9234 §5, egress 1: who sends down or across says so.
#[test]
fn a_route_to_a_customer_a_peer_or_a_client_is_marked_with_our_as() {
    for (ours, marked) in [
        (Role::Provider, true),
        (Role::RsServer, true),
        (Role::Peer, true),
        (Role::Customer, false),
        (Role::RsClient, false),
    ] {
        let mut network = chain([Some(ours), None], [None, None], &[IPV4]);
        network.announce(0, ipv4(NET));
        let mark = network.best(1, &prefix(NET)).unwrap().only_to_customer();
        assert_eq!(mark, marked.then_some(Asn(65_001)), "{ours}");
        let further = network.best(2, &prefix(NET)).unwrap().only_to_customer();
        assert_eq!(further, mark, "kept by those who have no role");
    }
}

/// RFC 9234 §5, ingress 3: who receives from above or across makes up for what the sender left out.
#[test]
fn a_route_from_a_provider_a_peer_or_a_route_server_is_marked_with_its_as() {
    for (ours, marked) in [
        (Role::Customer, true),
        (Role::Peer, true),
        (Role::RsClient, true),
        (Role::Provider, false),
        (Role::RsServer, false),
    ] {
        let mut network = chain([None, Some(ours)], [None, None], &[IPV4]);
        network.announce(0, ipv4(NET));
        let mark = network.best(1, &prefix(NET)).unwrap().only_to_customer();
        assert_eq!(mark, marked.then_some(Asn(65_001)), "{ours}");
    }
}

/// RFC 9234 §5, ingress 1 and 2: a leak is not used.
#[test]
fn a_marked_route_from_below_or_of_a_third_as_from_across_is_a_leak() {
    for (ours, mark, taken) in [
        (Role::Provider, 65_009, false),
        (Role::RsServer, 65_009, false),
        (Role::Peer, 65_009, false),
        (Role::Peer, 65_001, true),
        (Role::Customer, 65_009, true),
        (Role::RsClient, 65_009, true),
    ] {
        let mut network = chain([None, Some(ours)], [None, None], &[IPV4]);
        let leak = ipv4_with(NET, |a| {
            a.set_only_to_customer(Asn(mark));
        });
        network.announce(0, leak);
        assert_eq!(network.knows(1, &prefix(NET)), taken, "{ours} {mark}");
    }
}

/// RFC 9234 §5, egress 2.
#[test]
fn a_marked_route_goes_down_but_neither_up_nor_across() {
    for (ours, told) in [
        (Role::Provider, true),
        (Role::RsServer, true),
        (Role::Customer, false),
        (Role::Peer, false),
        (Role::RsClient, false),
    ] {
        // 0 is the provider of 1, so what it tells is marked.
        let mut network =
            chain([Some(Role::Provider), Some(Role::Customer)], [Some(ours), None], &[IPV4]);
        network.announce(0, ipv4(NET));
        assert_eq!(network.knows(2, &prefix(NET)), told, "{ours}");
        if told {
            let mark = network.best(2, &prefix(NET)).unwrap().only_to_customer();
            assert_eq!(mark, Some(Asn(65_001)), "the first mark stays");
        }
    }
}

#[test]
fn roles_say_nothing_of_evpn() {
    let mut network = chain(
        [Some(Role::Provider), Some(Role::Customer)],
        [Some(Role::Peer), None],
        &[IPV6, EVPN],
    );
    network.announce(0, mac(1, 1));
    assert_eq!(network.best(2, &mac_key(1, 1)).unwrap().only_to_customer(), None);
}
