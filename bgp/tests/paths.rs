//! Rules of single neighbours for AS_PATH, and communities with a meaning (RFC 7999, 8326; FRR's `as-override`,
//! `allowas-in origin`, `remove-private-AS`, `attribute-unchanged`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::speaker::{AllowOwnAs, NeighborConfig, RemovePrivateAs};
use bgp::types::Asn;
use bgp::wire::{AttributeSet, community};
use pair::{IPV4, Network, config, internal, ipv4, ipv4_with, prefix};

const NET: &str = "203.0.113.0/24";

/// 0 - 1 - 2 in a row; `change` is what 1 knows of 2, `accept` what 2 knows of 1.
fn row(
    asns: [u32; 3],
    change: impl Fn(&mut NeighborConfig),
    accept: impl Fn(&mut NeighborConfig),
) -> Network {
    let mut network = Network::new();
    for (asn, last) in asns.into_iter().zip(1..) {
        network.add(config(asn, last));
    }
    let link = |network: &mut Network, a: usize, b: usize, inner: bool| {
        let same = asns[a] == asns[b];
        let set = |c: &mut NeighborConfig| {
            if same {
                internal(c);
            }
        };
        network.peer_with(
            a,
            b,
            &[IPV4],
            |c| {
                set(c);
                if inner {
                    change(c);
                }
            },
            |c| {
                set(c);
                if inner {
                    accept(c);
                }
            },
        );
    };
    link(&mut network, 0, 1, false);
    link(&mut network, 1, 2, true);
    network.seconds(3);
    assert!(network.established(0, 1) && network.established(1, 2));
    network
}

fn path(set: &AttributeSet) -> String {
    set.as_path().to_string()
}

/// The path that 2 sees of a route with this one at 0, which is prepended.
fn told(asns: [u32; 3], before: &[u32], change: impl Fn(&mut NeighborConfig)) -> Option<String> {
    let mut network = row(asns, change, |_| {});
    let before: Vec<Asn> = before.iter().map(|asn| Asn(*asn)).collect();
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_as_path(&before);
        }),
    );
    network.best(2, &prefix(NET)).as_ref().map(path)
}

#[test]
fn as_override_lets_two_sites_of_one_as_hear_of_each_other() {
    let sites = [65_001, 65_100, 65_001];
    assert_eq!(told(sites, &[], |_| {}), None, "a loop");
    let path = told(sites, &[65_001, 65_007], |c| c.as_override = true);
    assert_eq!(path.as_deref(), Some("65100 65100 65100 65007"));
    let both = told(sites, &[], |c| (c.as_override, c.sender_side_loop_check) = (true, true));
    assert_eq!(both.as_deref(), Some("65100 65100"));
}

#[test]
fn our_own_as_may_be_in_a_path_that_began_here_if_so_configured() {
    for (before, taken) in [
        (&[][..], true),
        (&[65_003], true),
        (&[65_003, 65_003], true),
        (&[65_003, 65_009], false),
        (&[65_009], true),
    ] {
        let mut network =
            row([65_001, 65_002, 65_003], |_| {}, |c| c.allow_own_as = AllowOwnAs::Origin);
        let before: Vec<Asn> = before.iter().map(|asn| Asn(*asn)).collect();
        network.announce(
            0,
            ipv4_with(NET, |a| {
                a.set_as_path(&before);
            }),
        );
        assert_eq!(network.knows(2, &prefix(NET)), taken, "{before:?}");
    }
}

#[test]
fn private_as_numbers_are_removed_as_frr_does_it() {
    // Neighbour 0 is AS 64512, private; 1 is AS 100, public.
    let remove = |all, replace| {
        move |c: &mut NeighborConfig| c.remove_private_as = Some(RemovePrivateAs { all, replace })
    };
    let asns = [64_512, 100, 200];
    let all_private = &[4_200_000_000][..];
    let mixed = &[300, 65_534][..];
    for (before, change, want) in [
        (all_private, remove(false, false), "100"),
        (all_private, remove(false, true), "100 100 100"),
        (mixed, remove(false, false), "100 64512 300 65534"),
        (mixed, remove(true, false), "100 300"),
        (mixed, remove(true, true), "100 100 300 100"),
        (&[65_535], remove(true, false), "100 65535"),
    ] {
        assert_eq!(told(asns, before, change).as_deref(), Some(want), "{before:?}");
    }
    // The neighbour's own number stays, so that the neighbour sees the loop.
    assert_eq!(told([64_512, 100, 64_512], &[], remove(true, false)), None);
}

#[test]
fn what_is_to_be_left_unchanged_is() {
    let unchanged = |c: &mut NeighborConfig| (c.as_path_unchanged, c.med_unchanged) = (true, true);
    let mut network = row([65_001, 65_002, 65_003], unchanged, |_| {});
    network.announce(
        0,
        ipv4_with(NET, |a| {
            a.set_med(7);
        }),
    );
    assert!(!network.knows(2, &prefix(NET)), "2 wants to see the AS of its neighbour in front");
    let sent = network.messages(1, 2);
    let has =
        |part: &[u8]| sent.iter().any(|(_, body)| body.windows(part.len()).any(|w| w == part));
    assert!(has(&[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9]), "AS_PATH of 65001 alone");
    assert!(has(&[0x80, 4, 4, 0, 0, 0, 7]), "MED");
}

fn has(set: &AttributeSet, wanted: u32) -> bool {
    set.communities().any(|community| community == wanted)
}

#[test]
fn a_route_about_to_go_is_the_last_choice() {
    let mut network = row([65_001, 65_002, 65_002], |_| {}, |_| {});
    let going = ipv4_with(NET, |a| {
        a.add_community(community::GRACEFUL_SHUTDOWN);
    });
    network.announce(0, going);
    assert_eq!(network.best(1, &prefix(NET)).unwrap().local_pref(), Some(0));
    let further = network.best(2, &prefix(NET)).unwrap();
    assert_eq!(further.local_pref(), Some(0));
    assert!(has(&further, community::GRACEFUL_SHUTDOWN));
    network.announce(0, ipv4(NET));
    assert_eq!(network.best(2, &prefix(NET)).unwrap().local_pref(), Some(100));
}

#[test]
fn before_we_go_all_neighbors_are_told_to_prefer_others() {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_001, 3), (65_004, 4)] {
        network.add(config(asn, last));
    }
    network.peer(0, 1, &[IPV4]);
    network.peer_with(0, 2, &[IPV4], internal, internal);
    network.peer(0, 3, &[IPV4]);
    network.seconds(3);
    network.announce(0, ipv4(NET));
    network.announce(3, ipv4("198.51.100.0/24"));
    let nets = [NET, "198.51.100.0/24"].map(prefix);

    network.nodes[0].speaker.set_graceful_shutdown(true);
    network.settle();
    for net in &nets {
        let outside = network.best(1, net).unwrap();
        assert!(has(&outside, community::GRACEFUL_SHUTDOWN));
        assert_eq!(outside.local_pref(), Some(0), "the neighbour does as it is asked");
        assert_eq!(network.best(2, net).unwrap().local_pref(), Some(0));
    }
    network.nodes[0].speaker.set_graceful_shutdown(false);
    network.settle();
    for net in &nets {
        assert!(!has(&network.best(1, net).unwrap(), community::GRACEFUL_SHUTDOWN));
        assert_eq!(network.best(2, net).unwrap().local_pref(), Some(100));
    }
    assert!(network.established(0, 1) && network.established(0, 2), "no session was reset");
}

#[test]
fn a_blackhole_is_for_whom_it_was_sent_to() {
    let hole = || {
        ipv4_with("203.0.113.7/32", |a| {
            a.add_community(community::BLACKHOLE);
        })
    };
    let key = prefix("203.0.113.7/32");
    let mut outside = row([65_001, 65_002, 65_003], |_| {}, |_| {});
    outside.announce(0, hole());
    assert!(outside.knows(1, &key), "our own goes to the neighbour that is to drop the traffic");
    assert!(!outside.knows(2, &key), "but not beyond it");
    let mut inside = row([65_001, 65_002, 65_002], |_| {}, |_| {});
    inside.announce(0, hole());
    assert!(inside.knows(2, &key), "all of the neighbour's AS may drop it");
}
