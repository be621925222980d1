//! Neighbours that nobody names: they come from a prefix and go with their sessions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use bgp::speaker::{ListenRange, NeighborChange, NeighborConfig, RemoteAs, SessionState};
use pair::{IPV4, Network, config, ipv4, prefix};

/// Node 0 takes `limit` neighbours from 192.0.2.0/24; `others` have it for a neighbour.
fn listening(limit: usize, others: u8) -> Network {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    let now = network.now;
    let prefix = "192.0.2.0/24".parse().unwrap();
    let template = NeighborConfig::new([192, 0, 2, 0].into(), RemoteAs::External, [IPV4]);
    let range = ListenRange { prefix, limit, template };
    let changes = network.nodes[0].speaker.set_ranges(vec![range], now);
    assert_eq!(changes, [(prefix, NeighborChange::Added)]);
    for number in 0..others {
        let node = network.add(config(65_002 + u32::from(number), 2 + number));
        let now = network.now;
        let ours = NeighborConfig::new([192, 0, 2, 1].into(), RemoteAs::External, [IPV4]);
        network.nodes[node].speaker.add_neighbor(ours, now).unwrap();
    }
    network.settle();
    network
}

#[test]
fn whoever_connects_from_the_prefix_is_a_neighbor_until_its_session_ends() {
    let mut network = listening(100, 2);
    assert!(network.established(0, 1) && network.established(0, 2));
    assert!(network.neighbor(0, 1).dynamic);
    network.announce(1, ipv4("203.0.113.0/24"));
    network.settle();
    assert!(network.knows(2, &prefix("203.0.113.0/24")));
    let id = network.neighbor(1, 0).id;
    let now = network.now;
    network.nodes[1].speaker.disable_neighbor(id, None, now);
    network.settle();
    let neighbors = network.nodes[0].speaker.neighbors();
    assert_eq!(neighbors.len(), 1, "{neighbors:?}");
    assert!(!network.knows(2, &prefix("203.0.113.0/24")));
    let now = network.now;
    network.nodes[1].speaker.enable_neighbor(id, now);
    network.seconds(120);
    assert!(network.established(0, 1));
}

#[test]
fn one_more_than_the_limit_is_refused_until_another_one_has_gone() {
    let mut network = listening(2, 3);
    assert_eq!(network.nodes[0].speaker.neighbors().len(), 2);
    let up = |network: &Network| {
        (1..4)
            .filter(|node| {
                network.nodes[*node].speaker.neighbors()[0].state == SessionState::Established
            })
            .collect::<Vec<_>>()
    };
    let first = up(&network);
    assert_eq!(first.len(), 2);
    let id = network.neighbor(first[0], 0).id;
    let now = network.now;
    network.nodes[first[0]].speaker.disable_neighbor(id, None, now);
    network.seconds(300);
    let then = up(&network);
    assert_eq!(then.len(), 2);
    assert!(!then.contains(&first[0]));
}

#[test]
fn a_range_that_goes_takes_its_neighbors_with_it_and_named_ones_stay() {
    let mut network = listening(100, 1);
    network.add(config(65_009, 3));
    let now = network.now;
    let named = NeighborConfig::new([192, 0, 2, 3].into(), RemoteAs::External, [IPV4]);
    let changes = network.nodes[0].speaker.set_neighbors(vec![named], now).unwrap();
    assert_eq!(changes, [("192.0.2.3".to_owned(), NeighborChange::Added)]);
    let ours = NeighborConfig::new([192, 0, 2, 1].into(), RemoteAs::External, [IPV4]);
    network.nodes[2].speaker.add_neighbor(ours, now).unwrap();
    network.settle();
    assert!(network.established(0, 1) && network.established(0, 2));
    let now = network.now;
    network.nodes[0].speaker.set_ranges(Vec::new(), now);
    network.settle();
    assert!(network.established(0, 2));
    assert_eq!(network.nodes[0].speaker.neighbors().len(), 1);
}

#[test]
fn a_range_that_changes_keeps_the_sessions_that_need_no_other_one() {
    let mut network = listening(100, 2);
    network.announce(1, ipv4("203.0.113.0/24"));
    let prefix = "192.0.2.0/24".parse().unwrap();
    let template = NeighborConfig::new([192, 0, 2, 0].into(), RemoteAs::External, [IPV4]);
    let mut range = ListenRange { prefix, limit: 100, template };
    let set = |network: &mut Network, range: &ListenRange| {
        let now = network.now;
        let changes = network.nodes[0].speaker.set_ranges(vec![range.clone()], now);
        network.settle();
        changes
    };
    range.limit = 7;
    range.template.next_hop_unchanged = true;
    assert_eq!(set(&mut network, &range), [(prefix, NeighborChange::Changed)]);
    assert!(network.established(0, 1) && network.established(0, 2));
    let best = network.best(2, &pair::prefix("203.0.113.0/24")).unwrap();
    assert_eq!(best.next_hop().address(), network.nodes[1].address, "by the new rule");
    assert_eq!(network.neighbor(1, 0).established_count, 1);

    range.template.hold_time = Some(30);
    assert_eq!(set(&mut network, &range), [(prefix, NeighborChange::Reset)]);
    network.seconds(120);
    assert!(network.established(0, 1));
    assert_eq!(network.neighbor(1, 0).established_count, 2);
}
