//! Policies on sessions: what passes, with which attributes, and what a change does while the session is up (RFC 2918,
//! 7313, 8212).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bgp::policy::{
    Action, AttributeCondition, Condition, Continue, Entry, FamilyPolicy, NeighborPolicy,
    NextHopSetting, PrefixList, PrefixRule, RouteCondition, RouteMap, Setting,
};
use bgp::speaker::{LimitAction, MaximumPrefix, NeighborConfig, RouteKey};
use bgp::types::{AfiSafi, Asn};
use bgp::wire::{NextHop, code};
use pair::{
    EVPN, IPV4, IPV6, Network, config, internal, ipv4, ipv4_with, mac, mac_key, next_hop, pair,
    prefix,
};

const ONE: &str = "203.0.113.0/24";
const OTHER: &str = "198.51.100.0/24";

fn permit(conditions: Vec<Condition>, settings: Vec<Setting>) -> Entry {
    Entry {
        sequence: 10,
        action: Action::Permit,
        conditions,
        settings,
        call: None,
        then: Continue::No,
    }
}

fn map(entries: Vec<Entry>) -> Arc<RouteMap> {
    let entries =
        (1..).zip(entries).map(|(number, entry)| Entry { sequence: number * 10, ..entry });
    Arc::new(RouteMap::new("M".into(), entries.collect()).unwrap())
}

fn within(text: &str) -> Condition {
    let rule = PrefixRule {
        sequence: 5,
        action: Action::Permit,
        prefix: Some(text.parse().unwrap()),
        ge: None,
        le: Some(32),
    };
    let list = PrefixList::new("L".into(), vec![rule]).unwrap();
    Condition::Route(RouteCondition::Prefix(Arc::new(list)))
}

fn only(text: &str) -> Arc<RouteMap> {
    map(vec![permit(vec![within(text)], vec![])])
}

fn set(setting: Setting) -> Arc<RouteMap> {
    map(vec![permit(vec![], vec![setting])])
}

fn nothing() -> Arc<RouteMap> {
    map(vec![])
}

fn import(family: AfiSafi, map: &Arc<RouteMap>) -> NeighborPolicy {
    let policy = FamilyPolicy { import: Some(Arc::clone(map)), export: None };
    NeighborPolicy { families: [(family, policy)].into(), ..NeighborPolicy::default() }
}

fn export(family: AfiSafi, map: &Arc<RouteMap>) -> NeighborPolicy {
    let policy = FamilyPolicy { import: None, export: Some(Arc::clone(map)) };
    NeighborPolicy { families: [(family, policy)].into(), ..NeighborPolicy::default() }
}

/// Gives `node` another policy for its neighbour `other`, and lets everything follow from it.
fn change(network: &mut Network, node: usize, other: usize, policy: NeighborPolicy) {
    let id = network.neighbor(node, other).id;
    let now = network.now;
    network.nodes[node].speaker.set_policies([(id, policy)], now);
    network.settle();
}

/// Sessions must not notice.
fn established_once(network: &Network) {
    for (node, other) in [(0, 1), (1, 0)] {
        assert_eq!(network.neighbor(node, other).established_count, 1, "no session was reset");
    }
}

#[test]
fn a_changed_import_policy_applies_to_what_was_received_before() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(ONE));
    network.announce(0, ipv4(OTHER));
    assert!(network.knows(1, &prefix(ONE)) && network.knows(1, &prefix(OTHER)));
    change(&mut network, 1, 0, import(IPV4, &only(ONE)));
    assert!(network.knows(1, &prefix(ONE)) && !network.knows(1, &prefix(OTHER)));
    change(&mut network, 1, 0, import(IPV4, &set(Setting::LocalPref(300))));
    assert_eq!(network.best(1, &prefix(OTHER)).unwrap().local_pref(), Some(300));
    change(&mut network, 1, 0, NeighborPolicy::default());
    assert_eq!(network.best(1, &prefix(OTHER)).unwrap().local_pref(), None);
    established_once(&network);
}

#[test]
fn a_changed_export_policy_withdraws_what_is_denied_now_and_tells_what_is_permitted_again() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(ONE));
    network.announce(0, ipv4(OTHER));
    change(&mut network, 0, 1, export(IPV4, &only(ONE)));
    assert!(network.knows(1, &prefix(ONE)) && !network.knows(1, &prefix(OTHER)));
    change(&mut network, 0, 1, export(IPV4, &nothing()));
    assert!(!network.knows(1, &prefix(ONE)));
    change(&mut network, 0, 1, export(IPV4, &set(Setting::Med(7))));
    assert_eq!(network.best(1, &prefix(ONE)).unwrap().med(), Some(7));
    // A policy that is gone must not go on denying (zebra-rs did).
    change(&mut network, 0, 1, NeighborPolicy::default());
    assert_eq!(network.best(1, &prefix(ONE)).unwrap().med(), None);
    established_once(&network);
}

#[test]
fn evpn_routes_are_filtered_both_ways_like_all_others() {
    let mut network = pair(&[EVPN]);
    network.announce(0, mac(1, 1));
    network.announce(0, mac(1, 2));
    let address = bgp::types::MacAddr::new(0, 0, 0x5e, 0, 0x53, 1);
    let one = map(vec![permit(
        vec![Condition::Route(RouteCondition::Mac { address, length: 48 })],
        vec![],
    )]);
    change(&mut network, 0, 1, export(EVPN, &one));
    assert!(network.knows(1, &mac_key(1, 1)) && !network.knows(1, &mac_key(1, 2)));
    change(&mut network, 0, 1, NeighborPolicy::default());
    assert!(network.knows(1, &mac_key(1, 2)));
    let vni = |vni| map(vec![permit(vec![Condition::Route(RouteCondition::Vni(vni))], vec![])]);
    change(&mut network, 1, 0, import(EVPN, &vni(101)));
    assert!(!network.knows(1, &mac_key(1, 1)));
    change(&mut network, 1, 0, import(EVPN, &vni(100)));
    assert!(network.knows(1, &mac_key(1, 1)) && network.knows(1, &mac_key(1, 2)));
    established_once(&network);
}

#[test]
fn only_the_family_whose_policy_changed_is_sent_or_asked_for_again() {
    let mut network = pair(&[IPV4, EVPN]);
    network.announce(0, ipv4(ONE));
    network.announce(0, mac(1, 1));
    let (sent, asked) = (network.updates(0, 1), refreshes(&network, 1, 0));
    change(&mut network, 0, 1, export(EVPN, &set(Setting::Med(1))));
    assert_eq!(network.updates(0, 1), sent + 1, "the one EVPN route, and nothing of IPv4");
    change(&mut network, 1, 0, import(IPV4, &set(Setting::Weight(1))));
    assert_eq!(refreshes(&network, 1, 0), asked + 1, "IPv4, and not EVPN");
    // The same policy, read from a file again, is no change.
    change(&mut network, 1, 0, import(IPV4, &set(Setting::Weight(1))));
    assert_eq!(refreshes(&network, 1, 0), asked + 1);
}

fn refreshes(network: &Network, from: usize, to: usize) -> usize {
    // A request has subtype 0 (RFC 7313).
    let is_request = |(kind, body): &&(u8, Vec<u8>)| *kind == 5 && body[2] == 0;
    network.messages(from, to).iter().filter(is_request).count()
}

#[test]
fn without_policies_an_external_session_carries_nothing_if_they_are_required() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    let required = NeighborPolicy { required: true, ..NeighborPolicy::default() };
    network.peer_with(0, 1, &[IPV4], |c| c.policy = required.clone(), |_| {});
    network.seconds(3);
    network.announce(0, ipv4(ONE));
    network.announce(1, ipv4(OTHER));
    assert!(!network.knows(1, &prefix(ONE)) && !network.knows(0, &prefix(OTHER)));
    let family = network.neighbor(0, 1).families[0];
    assert!(family.import_missing && family.export_missing);
    let all = map(vec![permit(vec![], vec![])]);
    let both = FamilyPolicy { import: Some(Arc::clone(&all)), export: Some(all) };
    change(
        &mut network,
        0,
        1,
        NeighborPolicy { required: true, families: [(IPV4, both)].into(), ..required },
    );
    assert!(network.knows(1, &prefix(ONE)) && network.knows(0, &prefix(OTHER)));
    established_once(&network);
}

#[test]
fn internal_sessions_need_no_policies() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_001, 2));
    let required = |c: &mut NeighborConfig| {
        internal(c);
        c.policy.required = true;
    };
    network.peer_with(0, 1, &[IPV4], required, required);
    network.seconds(3);
    network.announce(
        0,
        ipv4_with(ONE, |a| {
            a.set_next_hop(next_hop(7));
        }),
    );
    assert!(network.knows(1, &prefix(ONE)));
}

#[test]
fn weight_comes_before_everything_else_and_is_told_to_nobody() {
    // 2 hears of the route from 0 and, by a longer path, from 1; 3 hears of it from 2.
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3), (65_004, 4)] {
        network.add(config(asn, last));
    }
    network.peer(0, 2, &[IPV4]);
    let heavy = import(IPV4, &set(Setting::Weight(100)));
    network.peer_with(2, 1, &[IPV4], |c| c.policy = heavy, |_| {});
    network.peer(2, 3, &[IPV4]);
    network.seconds(3);
    network.announce(0, ipv4(ONE));
    network.announce(
        1,
        ipv4_with(ONE, |a| {
            a.set_as_path(&[Asn(65_009), Asn(65_010)]);
        }),
    );
    assert_eq!(network.best(2, &prefix(ONE)).unwrap().first_as(), Some(Asn(65_002)));
    let told = network.best(3, &prefix(ONE)).unwrap();
    assert_eq!((told.as_path_length(), told.local().weight), (4, 0));
}

#[test]
fn an_export_policy_has_the_last_word_on_next_hop_and_med_but_not_on_our_as() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(ONE));
    let there = NextHopSetting::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)));
    let map = map(vec![permit(
        vec![],
        vec![
            Setting::NextHop(there),
            Setting::Med(5),
            Setting::LocalPref(500),
            Setting::Prepend(vec![Asn(65_077)]),
        ],
    )]);
    change(&mut network, 0, 1, export(IPV4, &map));
    let told = network.best(1, &prefix(ONE)).unwrap();
    assert_eq!(told.next_hop(), NextHop::V4(Ipv4Addr::new(192, 0, 2, 77)));
    assert_eq!(told.as_path().to_string(), "65001 65077");
    assert_eq!((told.med(), told.local_pref()), (Some(5), None));
    change(&mut network, 0, 1, export(IPV4, &set(Setting::NextHop(NextHopSetting::Own))));
    assert_eq!(
        network.best(1, &prefix(ONE)).unwrap().next_hop().address(),
        network.nodes[0].address
    );
}

#[test]
fn policies_of_neighbors_do_not_rub_off_and_can_ask_where_a_route_is_from() {
    // 0 tells 1 and 2 what it hears from 3 and 4.
    let mut network = Network::new();
    for (asn, last) in [(65_001, 1), (65_002, 2), (65_003, 3), (65_004, 4), (65_005, 5)] {
        network.add(config(asn, last));
    }
    let from = |node: usize| {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(node + 1).unwrap()));
        let condition = Condition::Attribute(AttributeCondition::Peer(address));
        export(IPV4, &map(vec![permit(vec![condition], vec![])]))
    };
    network.peer_with(0, 1, &[IPV4], |c| c.policy = from(3), |_| {});
    network.peer_with(0, 2, &[IPV4], |c| c.policy = from(4), |_| {});
    network.peer(0, 3, &[IPV4]);
    network.peer(0, 4, &[IPV4]);
    network.seconds(3);
    network.announce(3, ipv4(ONE));
    network.announce(4, ipv4(OTHER));
    let known = |node, text: &str| network.knows(node, &prefix(text));
    assert_eq!((known(1, ONE), known(1, OTHER)), (true, false));
    assert_eq!((known(2, ONE), known(2, OTHER)), (false, true));
}

#[test]
fn policies_that_nobody_has_any_more_are_forgotten() {
    let mut network = pair(&[IPV4]);
    network.announce(0, ipv4(ONE));
    let policies = network.nodes[0].speaker.usage().policies;
    for med in 0..500 {
        change(&mut network, 0, 1, export(IPV4, &set(Setting::Med(med))));
    }
    assert_eq!(network.best(1, &prefix(ONE)).unwrap().med(), Some(499));
    assert_eq!(network.nodes[0].speaker.usage().policies, policies);
    established_once(&network);
}

#[test]
fn a_policy_survives_a_session_and_applies_to_the_next_one() {
    let mut network = pair(&[IPV4, IPV6]);
    network.announce(0, ipv4(ONE));
    change(&mut network, 1, 0, import(IPV4, &set(Setting::AddCommunities(vec![7]))));
    let id = network.neighbor(1, 0).id;
    let now = network.now;
    network.nodes[1].speaker.reset_neighbor(id, now);
    network.seconds(30);
    assert!(network.established(0, 1));
    let best = network.best(1, &prefix(ONE)).unwrap();
    assert!(best.get(code::COMMUNITIES).is_some());
    let key: RouteKey = prefix(ONE);
    assert_eq!(network.nodes[1].speaker.route(&key).unwrap().paths.len(), 1);
}

#[test]
fn what_was_received_is_kept_if_wanted_and_the_neighbor_need_not_send_it_again() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    let keep = |policy: NeighborPolicy| NeighborPolicy { keep_received: true, ..policy };
    let first = keep(import(IPV4, &only(ONE)));
    network.peer_with(1, 0, &[IPV4, EVPN], |c| c.policy = first, |_| {});
    network.seconds(3);
    network.announce(0, ipv4(ONE));
    network.announce(0, ipv4(OTHER));
    let third = "192.0.2.0/24";
    network.announce(0, ipv4(third));
    network.withdraw(0, &prefix(third));
    assert!(network.knows(1, &prefix(ONE)) && !network.knows(1, &prefix(OTHER)));
    let (asked, told) = (refreshes(&network, 1, 0), network.updates(0, 1));
    change(&mut network, 1, 0, keep(import(IPV4, &only(OTHER))));
    assert!(!network.knows(1, &prefix(ONE)) && network.knows(1, &prefix(OTHER)));
    // A change is undone by what was received, not by what was made of it.
    change(&mut network, 1, 0, keep(import(IPV4, &set(Setting::MedPlus(5)))));
    change(&mut network, 1, 0, keep(import(IPV4, &set(Setting::MedPlus(6)))));
    assert_eq!(network.best(1, &prefix(ONE)).unwrap().med(), Some(6));
    change(&mut network, 1, 0, keep(NeighborPolicy::default()));
    assert_eq!(network.best(1, &prefix(ONE)).unwrap().med(), None);
    assert!(!network.knows(1, &prefix(third)), "it was withdrawn while it was refused");
    assert_eq!((refreshes(&network, 1, 0), network.updates(0, 1)), (asked, told));
    established_once(&network);
}

#[test]
fn what_another_policy_takes_of_the_kept_routes_counts_against_the_limit() {
    let mut network = Network::new();
    network.add(config(65_001, 1));
    network.add(config(65_002, 2));
    let keep = |policy: NeighborPolicy| NeighborPolicy { keep_received: true, ..policy };
    let first = keep(import(IPV4, &only(ONE)));
    let action = LimitAction::Teardown;
    let maximum = MaximumPrefix { family: IPV4, limit: 1, warning: 75, action };
    let limited = |c: &mut NeighborConfig| {
        c.policy = first;
        c.maximum_prefix = vec![maximum];
    };
    network.peer_with(1, 0, &[IPV4], limited, |_| {});
    network.seconds(3);
    network.announce(0, ipv4(ONE));
    network.announce(0, ipv4(OTHER));
    assert_eq!(network.neighbor(1, 0).over_limit, None, "a refused route does not count");
    change(&mut network, 1, 0, keep(NeighborPolicy::default()));
    assert_eq!(network.neighbor(1, 0).over_limit, Some(IPV4));
    assert_eq!(network.nodes[1].speaker.route_count(IPV4), 0);
}
