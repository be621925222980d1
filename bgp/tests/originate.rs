//! Routes that stand for others: a default route for one neighbour, and aggregates that hide what is inside them.

mod pair;

use bgp::speaker::{NeighborConfig, SpeakerConfig};
use bgp::types::AfiSafi;
use pair::{Network, config, ipv4, prefix};

const IPV4: AfiSafi = AfiSafi::IPV4_UNICAST;
const DEFAULT: &str = "0.0.0.0/0";

/// The second speaker is told what `change` makes of the first one's neighbour.
fn network(speaker: SpeakerConfig, change: impl FnOnce(&mut NeighborConfig)) -> Network {
    let mut network = Network::new();
    network.add(speaker);
    network.add(config(65002, 2));
    network.peer_with(0, 1, &[IPV4], change, |_| {});
    network.seconds(5);
    assert!(network.established(0, 1));
    network
}

fn originates(neighbor: &mut NeighborConfig) {
    neighbor.default_originate = true;
}

#[test]
fn a_default_route_is_told_to_the_neighbor_that_is_to_have_it_and_stands_in_no_table() {
    let network = network(config(65001, 1), originates);
    let best = network.best(1, &prefix(DEFAULT)).expect("told");
    assert_eq!(best.as_path().to_string(), "65001");
    assert_eq!(best.next_hop().address().to_string(), "192.0.2.1", "the first speaker itself");
    assert!(!network.knows(0, &prefix(DEFAULT)));
    assert_eq!(network.neighbor(0, 1).families[0].sent, 1);
}

#[test]
fn the_tables_own_default_route_does_not_take_its_place_and_takes_nothing_along_when_it_goes() {
    let mut network = network(config(65001, 1), originates);
    let with_med = pair::ipv4_with(DEFAULT, |editor| {
        editor.set_med(7);
    });
    network.announce(0, with_med);
    network.settle();
    let med = |network: &Network| network.best(1, &prefix(DEFAULT)).expect("told").med();
    assert_eq!(med(&network), None);
    network.withdraw(0, &prefix(DEFAULT));
    network.settle();
    assert_eq!(med(&network), None);
}

#[test]
fn it_is_told_again_when_the_neighbor_asks_for_all_routes() {
    let mut network = network(config(65001, 1), originates);
    let neighbor = network.neighbor(1, 0).id;
    network.nodes[1].speaker.request_refresh(neighbor, IPV4);
    network.settle();
    assert!(network.knows(1, &prefix(DEFAULT)), "it survives the end of the refresh");
}

#[test]
fn a_summary_hides_what_is_inside_it_and_nothing_else() {
    let summary =
        SpeakerConfig { summary_only: vec!["10.0.0.0/8".parse().unwrap()], ..config(65001, 1) };
    let mut network = network(summary, |_| {});
    for text in ["10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/9", "11.0.0.0/16", DEFAULT] {
        network.announce(0, ipv4(text));
    }
    network.settle();
    for (text, told) in [
        ("10.0.0.0/8", true),
        ("10.1.0.0/16", false),
        ("10.0.0.0/9", false),
        ("11.0.0.0/16", true),
        (DEFAULT, true),
    ] {
        assert_eq!(network.knows(1, &prefix(text)), told, "{text}");
    }
}
