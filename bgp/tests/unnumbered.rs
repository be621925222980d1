//! Neighbours named by their interface, and routes with link-local next hops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::net::{Ipv6Addr, SocketAddrV6};

use bgp::discovery::Sighting;
use bgp::speaker::{
    Action, Auth, DownReason, Event, GracefulRestartConfig, NeighborConfig, NeighborError,
    NeighborSummary, PathSource, RemoteAs, Secret, SessionState, SpeakerConfig,
};
use bgp::types::AfiSafi;
use bgp::wire::{AttributeEditor, Capability, NextHop};
use pair::{EVPN, IPV4, IPV6, Network, config, ipv4, ipv4_with, mac, mac_key, prefix};

const FAMILIES: [AfiSafi; 3] = [IPV4, IPV6, EVPN];
const LEFT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const RIGHT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
/// Index of swp1 at both ends.
const SWP1: u32 = 11;

fn seen(index: Option<u32>, neighbor: Option<Ipv6Addr>) -> Sighting {
    Sighting { interface: "swp1".to_owned(), index, neighbor, other: None }
}

fn sight(network: &mut Network, node: usize, index: Option<u32>, neighbor: Option<Ipv6Addr>) {
    let now = network.now;
    network.nodes[node].speaker.handle_sighting(&seen(index, neighbor), now);
    network.settle();
}

fn on_swp1() -> NeighborConfig {
    NeighborConfig::on_interface("swp1", 0, RemoteAs::External, FAMILIES)
}

/// Two speakers on one link, whose neighbour is whoever is there; nobody has seen anybody.
fn strangers(left: SpeakerConfig, right: SpeakerConfig) -> Network {
    let mut network = Network::new();
    for (config, address) in [(left, LEFT), (right, RIGHT)] {
        let node = network.add(config);
        network.nodes[node].address = address.into();
        let now = network.now;
        network.nodes[node].speaker.add_neighbor(on_swp1(), now).unwrap();
    }
    network
}

fn acquainted() -> Network {
    let mut network = strangers(config(65_001, 1), config(65_002, 2));
    sight(&mut network, 0, Some(SWP1), Some(RIGHT));
    sight(&mut network, 1, Some(SWP1), Some(LEFT));
    network.seconds(3);
    assert!(network.established(0, 1));
    network
}

fn only_neighbor(network: &Network, node: usize) -> NeighborSummary {
    network.nodes[node].speaker.neighbors().remove(0)
}

fn next_hop_of(network: &Network, node: usize, text: &str) -> NextHop {
    network.best(node, &prefix(text)).unwrap().next_hop()
}

#[test]
fn nothing_is_tried_before_the_neighbour_is_seen() {
    let mut network = strangers(config(65_001, 1), config(65_002, 2));
    sight(&mut network, 0, Some(SWP1), None);
    network.seconds(600);
    let neighbor = only_neighbor(&network, 0);
    assert_eq!((neighbor.state, neighbor.shutdown), (SessionState::Idle, false));
    assert_eq!(neighbor.config.name(), "swp1");
    assert_eq!(network.open_connections(), 0);
}

#[test]
fn a_neighbour_that_is_seen_is_connected_to_at_once_and_all_families_flow() {
    let mut network = strangers(config(65_001, 1), config(65_002, 2));
    sight(&mut network, 1, Some(SWP1), None);
    sight(&mut network, 0, Some(SWP1), Some(RIGHT));
    assert!(network.established(0, 1), "without a second passing");
    network.announce(0, ipv4("203.0.113.0/24"));
    network.announce(0, mac(1, 1));
    network.seconds(1);
    assert!(network.knows(1, &prefix("203.0.113.0/24")));
    assert!(network.knows(1, &mac_key(1, 1)));
    let source = network.nodes[1].best[&prefix("203.0.113.0/24")].source;
    assert!(
        matches!(source, Some(PathSource::Neighbor { scope_id: SWP1, address, .. }) if address == LEFT)
    );
}

#[test]
fn a_connection_from_elsewhere_on_the_link_is_refused_once_the_neighbour_is_known() {
    let mut network = strangers(config(65_001, 1), config(65_002, 2));
    sight(&mut network, 1, Some(SWP1), Some(ELSEWHERE));
    sight(&mut network, 0, Some(SWP1), Some(RIGHT));
    network.seconds(60);
    assert!(!network.established(0, 1) && network.open_connections() == 0);
}

#[test]
fn an_interface_that_goes_down_ends_the_session_and_its_routes_whatever_restart_was_agreed_on() {
    let graceful = |config: SpeakerConfig| SpeakerConfig {
        graceful_restart: Some(GracefulRestartConfig::default()),
        ..config
    };
    let mut network = strangers(graceful(config(65_001, 1)), graceful(config(65_002, 2)));
    sight(&mut network, 0, Some(SWP1), Some(RIGHT));
    sight(&mut network, 1, Some(SWP1), Some(LEFT));
    network.seconds(3);
    network.announce(1, ipv4("203.0.113.0/24"));
    assert!(network.knows(0, &prefix("203.0.113.0/24")));
    sight(&mut network, 0, None, None);
    assert!(!network.knows(0, &prefix("203.0.113.0/24")));
    let neighbor = only_neighbor(&network, 0);
    assert_eq!(neighbor.state, SessionState::Idle);
    assert_eq!(neighbor.last_error, Some(DownReason::InterfaceDown));
    assert_eq!(neighbor.last_error.unwrap().to_string(), "interface down");
    // Up again, with another index, as if it had been made anew.
    sight(&mut network, 0, Some(SWP1 + 1), None);
    network.seconds(20);
    assert_eq!(only_neighbor(&network, 0).state, SessionState::Idle);
}

#[test]
fn a_neighbour_with_another_address_gets_another_session() {
    let mut network = acquainted();
    network.nodes[1].address = ELSEWHERE.into();
    sight(&mut network, 0, Some(SWP1), Some(ELSEWHERE));
    network.seconds(3);
    assert!(network.established(0, 1));
    let reasons = network.events(0, |event| match event {
        Event::SessionDown { reason, routes_kept, .. } => Some((reason.clone(), *routes_kept)),
        _ => None,
    });
    assert_eq!(reasons, [(DownReason::NeighborMoved, false)]);
    assert_eq!(network.nodes[0].speaker.neighbors()[0].config.address, ELSEWHERE);
}

#[test]
fn an_established_session_does_not_mind_what_else_is_seen() {
    let mut network = acquainted();
    sight(&mut network, 0, Some(SWP1), None);
    sight(&mut network, 0, Some(SWP1), Some(RIGHT));
    network.seconds(600);
    assert!(network.established(0, 1));
    assert_eq!(
        network.events(0, |event| matches!(event, Event::SessionDown { .. }).then_some(())),
        []
    );
}

#[test]
fn a_neighbour_that_is_shut_down_stays_so_when_it_is_seen() {
    let mut network = strangers(config(65_001, 1), config(65_002, 2));
    let id = only_neighbor(&network, 0).id;
    let now = network.now;
    network.nodes[0].speaker.disable_neighbor(id, None, now);
    sight(&mut network, 0, Some(SWP1), Some(RIGHT));
    network.seconds(20);
    assert!(only_neighbor(&network, 0).shutdown);
    let now = network.now;
    network.nodes[0].speaker.enable_neighbor(id, now);
    sight(&mut network, 1, Some(SWP1), Some(LEFT));
    network.seconds(3);
    assert!(network.established(0, 1));
}

#[test]
fn an_interface_has_one_neighbour_and_two_interfaces_have_two() {
    let mut network = strangers(config(65_001, 1), config(65_002, 2));
    let now = network.now;
    let speaker = &mut network.nodes[0].speaker;
    let again = speaker.add_neighbor(on_swp1(), now);
    assert_eq!(again, Err(NeighborError::DuplicateInterface("swp1".to_owned())));
    let other = NeighborConfig::on_interface("swp2", 0, RemoteAs::External, FAMILIES);
    assert!(speaker.add_neighbor(other, now).is_ok());
}

#[test]
fn a_session_that_was_kept_goes_on_before_anybody_is_seen() {
    let mut network = acquainted();
    network.announce(1, ipv4("203.0.113.0/24"));
    network.kill_kept(0);
    network.seconds(2);
    let restarting = SpeakerConfig { restarting: true, ..config(65_001, 1) };
    let resumed = network.resume(0, restarting, |network| {
        let now = network.now;
        let neighbor = NeighborConfig { scope_id: SWP1, ..on_swp1() };
        network.nodes[0].speaker.add_neighbor(neighbor, now).unwrap();
    });
    assert_eq!(resumed, 1);
    network.seconds(1);
    assert!(network.established(0, 1) && network.knows(0, &prefix("203.0.113.0/24")));
    sight(&mut network, 0, Some(SWP1), None);
    sight(&mut network, 0, Some(SWP1), Some(RIGHT));
    network.seconds(60);
    assert!(network.established(0, 1));
    assert_eq!(network.open_connections(), 1);
}

#[test]
fn a_kept_session_is_not_resumed_on_an_interface_that_was_made_anew() {
    let mut network = acquainted();
    network.kill_kept(0);
    let restarting = SpeakerConfig { restarting: true, ..config(65_001, 1) };
    let resumed = network.resume(0, restarting, |network| {
        let now = network.now;
        let neighbor = NeighborConfig { scope_id: SWP1 + 1, ..on_swp1() };
        network.nodes[0].speaker.add_neighbor(neighbor, now).unwrap();
    });
    assert_eq!(resumed, 0);
}

#[test]
fn both_with_capability_77_send_the_link_local_next_hop_alone() {
    let mut network = acquainted();
    network.announce(0, ipv4("203.0.113.0/24"));
    let alone = NextHop::V6 { global: LEFT, link_local: None };
    assert_eq!(next_hop_of(&network, 1, "203.0.113.0/24"), alone);
    assert_eq!(alone.link_local(), Some(LEFT));
}

#[test]
fn a_peer_without_capability_77_gets_the_link_local_next_hop_twice() {
    let mut network = Network::new();
    for (number, address, peer) in [(1, LEFT, RIGHT), (2, RIGHT, LEFT)] {
        let node = network.add(config(65_000 + u32::from(number), number));
        network.nodes[node].address = address.into();
        let neighbor = match number {
            1 => on_swp1(),
            _ => NeighborConfig {
                scope_id: SWP1,
                ..NeighborConfig::new(peer.into(), RemoteAs::External, FAMILIES)
            },
        };
        let now = network.now;
        network.nodes[node].speaker.add_neighbor(neighbor, now).unwrap();
    }
    sight(&mut network, 0, Some(SWP1), Some(RIGHT));
    network.seconds(3);
    let offer = only_neighbor(&network, 1).negotiated.unwrap().peer_open.clone();
    assert!(offer.capabilities.contains(&Capability::LinkLocalNextHop));
    network.announce(0, ipv4("203.0.113.0/24"));
    let twice = NextHop::V6 { global: LEFT, link_local: Some(LEFT) };
    assert_eq!(next_hop_of(&network, 1, "203.0.113.0/24"), twice);
}

/// 0 and 1 are unnumbered neighbours; 2 is an internal, numbered one of 1.
#[test]
fn a_link_local_next_hop_does_not_leave_its_link() {
    let mut network = acquainted();
    let third = network.add(config(65_002, 3));
    let now = network.now;
    let (a, b) = ("2001:db8::1".parse().unwrap(), network.nodes[third].address);
    network.nodes[third]
        .speaker
        .add_neighbor(NeighborConfig::new(a, RemoteAs::Internal, [IPV4]), now)
        .unwrap();
    network.nodes[1].address = a;
    let internal = NeighborConfig {
        extended_next_hop: true,
        ..NeighborConfig::new(b, RemoteAs::Internal, [IPV4])
    };
    network.nodes[1].speaker.add_neighbor(internal, now).unwrap();
    network.seconds(15);
    network.announce(0, ipv4("203.0.113.0/24"));
    network.announce(
        0,
        ipv4_with("198.51.100.0/24", |attributes: &mut AttributeEditor<'_>| {
            attributes.set_med(5);
        }),
    );
    let next_hop = next_hop_of(&network, third, "203.0.113.0/24");
    assert_eq!(next_hop, NextHop::from(a), "ours instead, without next-hop-self");
}

#[test]
fn the_key_of_a_neighbour_follows_its_address_and_nobody_unsigned_is_taken_for_it() {
    let mut network = strangers(config(65_001, 1), config(65_002, 2));
    let id = only_neighbor(&network, 0).id;
    let now = network.now;
    let speaker = &mut network.nodes[0].speaker;
    speaker.remove_neighbor(id, now);
    let auth = Some(Auth::Md5(Secret::new(*b"quicksand").unwrap()));
    speaker.add_neighbor(NeighborConfig { auth: auth.clone(), ..on_swp1() }, now).unwrap();
    assert!(speaker.signers().is_empty(), "nobody is there");
    speaker.handle_sighting(&seen(Some(SWP1), None), now);
    let from = |address: Ipv6Addr| SocketAddrV6::new(address, 40_000, 0, SWP1).into();
    assert_eq!(speaker.handle_accepted(from(RIGHT), from(LEFT), now), None);
    let mut keys = |neighbor| {
        speaker.handle_sighting(&seen(Some(SWP1), Some(neighbor)), now);
        let actions = std::iter::from_fn(|| speaker.poll_action());
        let keys = actions.filter_map(|action| match action {
            Action::Authenticate { from, auth, .. } => Some((from.addr(), auth)),
            _ => None,
        });
        keys.collect::<Vec<_>>()
    };
    assert_eq!(keys(RIGHT), [(RIGHT.into(), auth.clone())]);
    assert_eq!(keys(ELSEWHERE), [(RIGHT.into(), None), (ELSEWHERE.into(), auth)]);
}
