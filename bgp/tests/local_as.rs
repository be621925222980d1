//! Another AS number than ours towards one neighbour: FRR's `local-as`, with `no-prepend` and `replace-as`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::speaker::{AllowOwnAs, LocalAs, NeighborConfig, NeighborError, RemoteAs, RemovePrivateAs};
use bgp::types::{Asn, Role};
use bgp::wire::AttributeSet;
use pair::{IPV4, Network, config, internal, ipv4, ipv4_with, prefix};

const NET: &str = "203.0.113.0/24";
/// What node 0 takes node 1 for, which is in AS 65100.
const OLD: Asn = Asn(65_099);

fn local_as(no_prepend: bool, replace_as: bool) -> Option<LocalAs> {
    Some(LocalAs { asn: OLD, no_prepend, replace_as })
}

/// 0 - 1 - 2 in a row, in the ASes 65001, 65100 and 65003; `change` is what 1 knows of 0.
fn row(change: impl FnOnce(&mut NeighborConfig)) -> Network {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_100, 2), (65_003, 3)] {
        network.add(config(asn, last));
    }
    let at_0 = |c: &mut NeighborConfig| c.remote_as = RemoteAs::Asn(OLD);
    network.peer_with(0, 1, &[IPV4], at_0, change);
    network.peer(1, 2, &[IPV4]);
    network.seconds(3);
    network
}

fn path(network: &Network, node: usize, net: &str) -> Option<String> {
    network.best(node, &prefix(net)).map(|set: AttributeSet| set.as_path().to_string())
}

#[test]
fn paths_both_ways_are_frrs_in_every_combination() {
    for (no_prepend, replace_as, to_1, to_2, own_to_0, others_to_0) in [
        (false, false, "65099 65001", "65100 65099 65001", "65099 65100", "65099 65100 65003"),
        (true, false, "65001", "65100 65001", "65099 65100", "65099 65100 65003"),
        (false, true, "65099 65001", "65100 65099 65001", "65099", "65099 65003"),
        (true, true, "65001", "65100 65001", "65099", "65099 65003"),
    ] {
        let mut network = row(|c| c.local_as = local_as(no_prepend, replace_as));
        assert!(network.established(0, 1), "the OPEN says the AS number that it knows");
        network.announce(0, ipv4("10.0.0.0/24"));
        network.announce(1, ipv4("10.1.0.0/24"));
        network.announce(2, ipv4("10.2.0.0/24"));
        let seen = [(1, "10.0.0.0/24"), (2, "10.0.0.0/24"), (0, "10.1.0.0/24"), (0, "10.2.0.0/24")]
            .map(|(node, net)| path(&network, node, net).unwrap());
        let which = format!("no-prepend {no_prepend}, replace-as {replace_as}");
        assert_eq!(seen, [to_1, to_2, own_to_0, others_to_0], "{which}");
        assert_eq!(path(&network, 2, "10.1.0.0/24").unwrap(), "65100", "{which}: others see ours");
    }
}

#[test]
fn a_path_with_either_of_our_as_numbers_is_a_loop_unless_that_is_allowed() {
    for (inside, allowed, taken) in [
        (65_100, 0, false),
        (OLD.0, 0, false),
        (65_100, 1, true),
        (OLD.0, 1, true),
        (65_009, 0, true),
    ] {
        let mut network = row(|c| {
            c.local_as = local_as(false, false);
            c.allow_own_as = AllowOwnAs::Times(allowed);
        });
        network.announce(
            0,
            ipv4_with(NET, |a| {
                a.set_as_path(&[Asn(inside)]);
            }),
        );
        assert_eq!(network.knows(1, &prefix(NET)), taken, "{inside}, allowed {allowed}");
    }
}

#[test]
fn whoever_takes_us_for_another_as_is_in_neither() {
    for asn in [OLD, Asn(65_100)] {
        let mut network = Network::new();
        network.add(config(asn.0, 1));
        network.add(config(65_100, 2));
        let at_0 = |c: &mut NeighborConfig| c.remote_as = RemoteAs::Asn(OLD);
        network.peer_with(0, 1, &[IPV4], at_0, |c| c.local_as = local_as(false, false));
        network.seconds(60);
        assert!(!network.established(0, 1), "{asn}");
        let why = [(0, 1), (1, 0)].map(|(node, other)| network.neighbor(node, other).last_error);
        let told = why.iter().flatten().any(|why| why.to_string().contains("Bad Peer AS"));
        assert!(told, "{asn}: {why:?}");
    }
    let mut network = Network::new();
    let now = network.now;
    let speaker = network.add(config(65_100, 1));
    let address = [192, 0, 2, 9].into();
    let refused = |change: fn(&mut NeighborConfig), network: &mut Network| {
        let mut neighbor = NeighborConfig::new(address, RemoteAs::Asn(Asn(65_001)), [IPV4]);
        neighbor.local_as = local_as(false, false);
        change(&mut neighbor);
        network.nodes[speaker].speaker.add_neighbor(neighbor, now).err()
    };
    let wrong = |asn| Some(NeighborError::LocalAs(address, asn));
    assert_eq!(refused(internal, &mut network), wrong(OLD));
    assert_eq!(refused(|c| c.remote_as = RemoteAs::Asn(OLD), &mut network), wrong(OLD));
    let ours = |c: &mut NeighborConfig| c.local_as.as_mut().unwrap().asn = Asn(65_100);
    assert_eq!(refused(ours, &mut network), wrong(Asn(65_100)));
    assert_eq!(refused(|_| {}, &mut network), None);
}

#[test]
fn a_customer_gets_the_mark_of_the_as_that_it_takes_us_for() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_100, 2));
    network.peer_with(
        0,
        1,
        &[IPV4],
        |c| (c.remote_as, c.role) = (RemoteAs::Asn(OLD), Some(Role::Peer)),
        |c| (c.local_as, c.role) = (local_as(false, false), Some(Role::Peer)),
    );
    network.seconds(3);
    network.announce(1, ipv4(NET));
    // A mark with another AS number would be a leak (RFC 9234 §5).
    assert_eq!(network.best(0, &prefix(NET)).unwrap().only_to_customer(), Some(OLD));
}

#[test]
fn with_replace_as_the_neighbor_never_sees_our_own_as_number() {
    for (replace_as, want) in [(false, "65099 65100 65100"), (true, "65099 65099")] {
        let mut network = row(|c| {
            c.local_as = local_as(true, replace_as);
            c.remove_private_as = Some(RemovePrivateAs { all: true, replace: true });
        });
        network.announce(2, ipv4(NET));
        assert_eq!(path(&network, 0, NET).unwrap(), want, "remove-private-as, {replace_as}");
        // Node 0's own AS number in the path: another site of it.
        let mut network = row(|c| {
            c.local_as = local_as(true, replace_as);
            c.as_override = true;
        });
        network.announce(
            1,
            ipv4_with(NET, |a| {
                a.set_as_path(&[Asn(65_001)]);
            }),
        );
        assert_eq!(path(&network, 0, NET).unwrap(), want, "as-override, {replace_as}");
    }
}
