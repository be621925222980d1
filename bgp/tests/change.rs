//! Neighbours that are added, removed and changed while others go on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::sync::Arc;
use std::time::Duration;

use bgp::bfd::Intervals;
use bgp::policy::{Action, Continue, Entry, FamilyPolicy, NeighborPolicy, RouteMap, Setting};
use bgp::speaker::{
    AddPathSend, AllowOwnAs, Auth, BfdConfig, Distance, DownReason, Event, LimitAction, LocalAs,
    MaximumPrefix, NeighborChange, NeighborConfig, NeighborError, RemoteAs, RemovePrivateAs,
    Secret, SessionState,
};
use bgp::types::{Asn, Role};
use bgp::wire::{CeaseReason, NextHop, Notification};
use pair::{EVPN, IPV4, Network, config, ipv4, prefix};

/// Node 0 has 1 and 2 for neighbours.
fn three() -> Network {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3)] {
        network.add(config(asn, last));
    }
    network.peer(0, 1, &[IPV4]);
    network.peer(0, 2, &[IPV4]);
    network.settle();
    assert!(network.established(0, 1) && network.established(0, 2));
    network
}

fn wanted(network: &Network) -> Vec<NeighborConfig> {
    network.nodes[0].speaker.neighbors().into_iter().map(|neighbor| neighbor.config).collect()
}

fn set(network: &mut Network, wanted: Vec<NeighborConfig>) -> Vec<(String, NeighborChange)> {
    let now = network.now;
    let changes = network.nodes[0].speaker.set_neighbors(wanted, now).unwrap();
    network.settle();
    changes
}

fn address(last: u8) -> NextHop {
    NextHop::V4([192, 0, 2, last].into())
}

fn sessions(network: &Network, other: usize) -> u64 {
    network.neighbor(0, other).established_count
}

fn last_cease(network: &Network, node: usize) -> Option<Notification> {
    let reasons = network.events(node, |event| match event {
        Event::SessionDown { reason: DownReason::NotificationReceived(why), .. } => {
            Some(why.clone())
        }
        _ => None,
    });
    reasons.last().cloned()
}

#[test]
fn neighbors_that_stay_what_they_are_are_not_touched() {
    let mut network = three();
    let sent = network.neighbor(0, 1).messages_sent;
    let all = wanted(&network);
    assert_eq!(set(&mut network, all), []);
    assert_eq!(network.neighbor(0, 1).messages_sent, sent);
}

#[test]
fn a_neighbor_that_is_no_longer_wanted_hears_so_and_the_other_one_goes_on() {
    let mut network = three();
    let mut all = wanted(&network);
    let gone = all.remove(0);
    let changes = set(&mut network, all.clone());
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Removed)]);
    assert_eq!(last_cease(&network, 1), Some(Notification::cease(CeaseReason::PeerDeconfigured)));
    assert_eq!(sessions(&network, 2), 1);
    all.push(gone);
    let changes = set(&mut network, all);
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Added)]);
    network.seconds(120);
    assert!(network.established(0, 1));
    assert_eq!(sessions(&network, 2), 1);
}

#[test]
fn what_an_open_says_resets_that_session_and_no_other() {
    let mut network = three();
    let mut all = wanted(&network);
    all[0].families.push(EVPN);
    let changes = set(&mut network, all);
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Reset)]);
    let reason = CeaseReason::OtherConfigurationChange;
    assert_eq!(last_cease(&network, 1), Some(Notification::cease(reason)));
    network.seconds(120);
    assert!(network.established(0, 1));
    assert_eq!(sessions(&network, 2), 1);
}

#[test]
fn what_is_told_changes_without_a_reset() {
    let mut network = three();
    network.announce(1, ipv4("203.0.113.0/24"));
    network.settle();
    let key = prefix("203.0.113.0/24");
    assert_eq!(network.best(2, &key).unwrap().next_hop(), address(1));
    let mut all = wanted(&network);
    all[1].next_hop_unchanged = true;
    let changes = set(&mut network, all);
    assert_eq!(changes, [("192.0.2.3".to_owned(), NeighborChange::Changed)]);
    assert_eq!(network.best(2, &key).unwrap().next_hop(), address(2));
    assert_eq!((sessions(&network, 1), sessions(&network, 2)), (1, 1));
}

#[test]
fn a_shutdown_in_the_configuration_tells_its_text_and_its_end_brings_the_session_back() {
    let mut network = three();
    let mut all = wanted(&network);
    all[0].shutdown = Some("fan tray swap".to_owned());
    set(&mut network, all.clone());
    let cease = last_cease(&network, 1).expect("a notification");
    assert_eq!(cease.shutdown_text().as_deref(), Some("fan tray swap"));
    assert_eq!(network.state(0, 1), SessionState::Idle);
    all[0].shutdown = None;
    set(&mut network, all);
    network.seconds(120);
    assert!(network.established(0, 1));
}

#[test]
fn an_active_neighbor_becomes_passive_and_active_again() {
    let mut network = three();
    let mut all = wanted(&network);
    all[0].passive = true;
    let changes = set(&mut network, all.clone());
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Changed)]);
    assert_eq!(sessions(&network, 1), 1);
    all[0].passive = false;
    set(&mut network, all);
    network.reset_connections(0, 1);
    network.seconds(120);
    assert!(network.established(0, 1));
}

#[test]
fn one_neighbor_that_cannot_be_means_that_nothing_happens() {
    let mut network = three();
    let mut all = wanted(&network);
    all.remove(1);
    let mut bad = NeighborConfig::new([192, 0, 2, 9].into(), RemoteAs::Asn(Asn(65_009)), [IPV4]);
    bad.hold_time = Some(2);
    all.push(bad);
    let now = network.now;
    let refused = network.nodes[0].speaker.set_neighbors(all, now);
    assert_eq!(refused, Err(NeighborError::HoldTime([192, 0, 2, 9].into(), 2)));
    network.settle();
    assert!(network.established(0, 1) && network.established(0, 2));
}

#[test]
fn another_maximum_prefix_is_held_against_what_is_there_without_a_reset() {
    let mut network = three();
    for number in 0..5 {
        network.announce(1, ipv4(&format!("10.0.{number}.0/24")));
    }
    let maximum = |limit| {
        vec![MaximumPrefix { family: IPV4, limit, warning: 75, action: LimitAction::Teardown }]
    };
    let mut all = wanted(&network);
    all[0].maximum_prefix = maximum(5);
    let changes = set(&mut network, all.clone());
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Changed)]);
    assert!(network.established(0, 1));
    assert_eq!(sessions(&network, 1), 1);
    network.announce(1, ipv4("10.0.5.0/24"));
    assert_eq!(network.neighbor(0, 1).over_limit, Some(IPV4), "the new limit holds");

    all[0].maximum_prefix = maximum(6);
    set(&mut network, all.clone());
    network.seconds(120);
    assert!(network.established(0, 1), "a higher limit ends the rest");
    assert_eq!(network.nodes[0].speaker.route_count(IPV4), 6);
    all[0].maximum_prefix = maximum(3);
    set(&mut network, all);
    assert_eq!(network.neighbor(0, 1).over_limit, Some(IPV4), "it has more than it may now");
    assert_eq!(network.nodes[0].speaker.route_count(IPV4), 0);
    assert_eq!(sessions(&network, 2), 1);
}

/// What a changed key does to a session that is up.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    /// It ends.
    Reset,
    /// It goes on: whether the neighbour is asked for its routes again, and whether it is told ours again.
    Soft { asked: bool, told: bool },
}

type Change = fn(&mut NeighborConfig);

const NONE: Effect = Effect::Soft { asked: false, told: false };
const ASKED: Effect = Effect::Soft { asked: true, told: false };
const TOLD: Effect = Effect::Soft { asked: false, told: true };
const BOTH: Effect = Effect::Soft { asked: true, told: true };

/// What becomes of the session of 0 with 1 when its neighbour is changed so.
fn effect(change: Change) -> Effect {
    let mut network = three();
    network.announce(0, ipv4("10.0.0.0/24"));
    network.announce(1, ipv4("10.1.0.0/24"));
    network.announce(2, ipv4("10.2.0.0/24"));
    network.captured.clear();
    let mut all = wanted(&network);
    change(&mut all[0]);
    let changes = set(&mut network, all);
    assert_eq!(sessions(&network, 2), 1, "the other neighbor");
    let has = |kind| network.messages(0, 1).iter().any(|(other, _)| *other == kind);
    match changes.as_slice() {
        [(_, NeighborChange::Changed)] => {
            assert!(network.established(0, 1), "it goes on");
            assert!(!has(1) && !has(3), "neither OPEN nor NOTIFICATION");
            Effect::Soft { asked: has(5), told: has(2) }
        }
        [(_, NeighborChange::Reset)] => {
            assert!(has(3), "a NOTIFICATION says so");
            Effect::Reset
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_key_does_no_more_to_a_session_than_it_must() {
    let rows: [(&str, Change, Effect); 33] = [
        ("families", |c| c.families.push(EVPN), Effect::Reset),
        ("hold-time", |c| c.hold_time = Some(30), Effect::Reset),
        ("remote-as", |c| c.remote_as = RemoteAs::Asn(Asn(65_009)), Effect::Reset),
        ("remote-as that it is in", |c| c.remote_as = RemoteAs::Asn(Asn(65_002)), NONE),
        ("local-as", |c| c.local_as = Some(old(false)), Effect::Reset),
        ("local-address", |c| c.local_address = Some([192, 0, 2, 1].into()), Effect::Reset),
        ("port", |c| c.port = 1179, Effect::Reset),
        ("ebgp-multihop", |c| c.distance = Distance::Hops(2), Effect::Reset),
        ("ttl-security-hops", |c| c.distance = Distance::Security(1), Effect::Reset),
        ("disable-connected-check", |c| c.distance = Distance::Unchecked, NONE),
        ("password", |c| c.auth = Secret::new(*b"key").map(Auth::Md5), Effect::Reset),
        ("addpath-rx", |c| c.add_path_receive = true, Effect::Reset),
        ("addpath-tx", |c| c.add_path_send = Some(AddPathSend::All), Effect::Reset),
        ("role", |c| c.role = Some(Role::Peer), Effect::Reset),
        ("role-strict", |c| c.role_strict = true, Effect::Reset),
        ("route-reflector-client", |c| c.route_reflector_client = true, Effect::Reset),
        ("default-originate", |c| c.default_originate = true, Effect::Reset),
        ("allowas-in", |c| c.allow_own_as = AllowOwnAs::Times(1), ASKED),
        ("import", |c| c.policy = policy(true, false), ASKED),
        ("soft-reconfiguration-inbound", |c| c.policy.keep_received = true, ASKED),
        ("export", |c| c.policy = policy(false, true), TOLD),
        ("ebgp-requires-policy", |c| c.policy.required = true, BOTH),
        ("graceful-shutdown", |c| c.graceful_shutdown = true, BOTH),
        ("attribute-unchanged", |c| c.next_hop_unchanged = true, TOLD),
        ("as-override", |c| c.as_override = true, TOLD),
        ("remove-private-as", |c| c.remove_private_as = Some(REMOVE), TOLD),
        ("next-hop-self", |c| c.next_hop_self = true, NONE),
        ("advertisement-interval", |c| c.advertisement_interval = minute(), NONE),
        ("passive", |c| c.passive = true, NONE),
        ("connect-retry", |c| c.connect_retry = Some(minute()), NONE),
        ("keepalive", |c| c.keepalive = Some(Duration::from_secs(1)), NONE),
        ("maximum-prefix", |c| c.maximum_prefix = vec![MAXIMUM], NONE),
        ("bfd", |c| c.bfd = Some(BFD), NONE),
    ];
    for (key, change, want) in rows {
        assert_eq!(effect(change), want, "{key}");
    }
}

#[test]
fn the_rules_of_local_as_change_under_a_session_that_stays() {
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3)] {
        network.add(config(asn, last));
    }
    let at_1 = |c: &mut NeighborConfig| c.remote_as = RemoteAs::Asn(old(false).asn);
    network.peer_with(0, 1, &[IPV4], |c| c.local_as = Some(old(false)), at_1);
    network.peer(0, 2, &[IPV4]);
    network.seconds(3);
    network.announce(1, ipv4("10.1.0.0/24"));
    network.announce(2, ipv4("10.2.0.0/24"));
    let path = |network: &Network, node, net: &str| {
        network.best(node, &prefix(net)).map(|best| best.as_path().to_string())
    };
    assert_eq!(path(&network, 0, "10.1.0.0/24").as_deref(), Some("65099 65002"));
    assert_eq!(path(&network, 1, "10.2.0.0/24").as_deref(), Some("65099 65001 65003"));
    let mut all = wanted(&network);
    all[0].local_as = Some(old(true));
    let changes = set(&mut network, all);
    assert_eq!(changes, [("192.0.2.2".to_owned(), NeighborChange::Changed)]);
    assert_eq!(path(&network, 0, "10.1.0.0/24").as_deref(), Some("65002"));
    assert_eq!(path(&network, 1, "10.2.0.0/24").as_deref(), Some("65099 65003"));
    assert_eq!(sessions(&network, 1), 1);
}

/// With both rules, or with neither.
fn old(rules: bool) -> LocalAs {
    LocalAs { asn: Asn(65_099), no_prepend: rules, replace_as: rules }
}

/// A route map that refuses all, for what comes, or sets MED, for what is told.
fn policy(import: bool, export: bool) -> NeighborPolicy {
    let map = |action, settings| {
        let (conditions, call, then) = (Vec::new(), None, Continue::No);
        let entry = Entry { sequence: 10, action, conditions, settings, call, then };
        Arc::new(RouteMap::new("M".into(), vec![entry]).unwrap())
    };
    let families = FamilyPolicy {
        import: import.then(|| map(Action::Deny, Vec::new())),
        export: export.then(|| map(Action::Permit, vec![Setting::Med(7)])),
    };
    NeighborPolicy { families: [(IPV4, families)].into(), ..NeighborPolicy::default() }
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

const REMOVE: RemovePrivateAs = RemovePrivateAs { all: true, replace: false };
const BFD: BfdConfig = BfdConfig {
    intervals: Intervals {
        min_tx: Duration::from_millis(50),
        min_rx: Duration::from_millis(50),
        multiplier: 3,
    },
    multihop: None,
};
const MAXIMUM: MaximumPrefix =
    MaximumPrefix { family: IPV4, limit: 100, warning: 75, action: LimitAction::Teardown };
