use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

use super::*;
use crate::types::Asn;
use crate::wire::{AsPath, AttributeEditor, AttributeSet, ExtCommunity, LargeCommunity, NextHop};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn rule(sequence: u32, action: Action, prefix: &str, ge: Option<u8>, le: Option<u8>) -> PrefixRule {
    let prefix = (prefix != "any").then(|| net(prefix));
    PrefixRule { sequence, action, prefix, ge, le }
}

fn prefixes(rules: Vec<PrefixRule>) -> Arc<PrefixList> {
    Arc::new(PrefixList::new("L".into(), rules).unwrap())
}

fn attributes(change: impl FnOnce(&mut AttributeEditor<'_>)) -> Arc<AttributeSet> {
    let mut editor = AttributeSet::builder(NextHop::V4(Ipv4Addr::new(192, 0, 2, 9)));
    editor.set_as_path(&[Asn(65_001), Asn(65_002)]);
    change(&mut editor);
    Arc::new(editor.build())
}

fn entry(sequence: u32, action: Action) -> Entry {
    Entry {
        sequence,
        action,
        conditions: Vec::new(),
        settings: Vec::new(),
        call: None,
        then: Continue::No,
    }
}

fn map(entries: Vec<Entry>) -> RouteMap {
    RouteMap::new("M".into(), entries).unwrap()
}

fn apply(map: &RouteMap, prefix: &str, set: &Arc<AttributeSet>) -> Option<Arc<AttributeSet>> {
    let prefix: Ipv4Net = prefix.parse().unwrap();
    map.apply(RouteRef::Ipv4(prefix), set, Asn(65_000))
}

#[test]
fn the_rule_with_the_lowest_sequence_number_decides_not_the_longest_prefix() {
    let list = prefixes(vec![
        rule(30, Action::Permit, "10.0.0.0/8", None, Some(32)),
        rule(10, Action::Deny, "10.1.0.0/16", Some(24), None),
        rule(20, Action::Permit, "10.1.2.0/24", None, None),
        rule(40, Action::Permit, "2001:db8::/32", Some(48), Some(64)),
        rule(50, Action::Deny, "any", None, None),
    ]);
    for (prefix, permitted) in [
        ("10.0.0.0/8", true),
        ("10.1.0.0/16", true),
        ("10.1.2.0/24", false),
        ("10.1.2.3/32", false),
        ("10.2.0.0/15", true),
        ("11.0.0.0/8", false),
        ("0.0.0.0/0", false),
        ("2001:db8::/32", false),
        ("2001:db8:1::/48", true),
        ("2001:db8:1::/65", false),
    ] {
        assert_eq!(list.permits(net(prefix)), permitted, "{prefix}");
    }
}

#[test]
fn prefix_rules_that_cannot_be_meant_are_refused_with_their_place() {
    let refused = |rules| PrefixList::new("L".into(), rules).unwrap_err();
    let good = rule(1, Action::Permit, "10.0.0.0/8", Some(8), Some(8));
    for (bad, message) in [
        (rule(1, Action::Deny, "10.0.0.0/8", None, None), "sequence 1 is used twice"),
        (rule(2, Action::Deny, "10.0.0.0/8", Some(4), None), "must ascend"),
        (rule(2, Action::Deny, "10.0.0.0/8", Some(24), Some(16)), "must ascend"),
        (rule(2, Action::Deny, "10.0.0.0/8", None, Some(33)), "at most 32"),
        (rule(2, Action::Deny, "10.0.0.1/8", None, None), "write \"10.0.0.0/8\""),
        (rule(2, Action::Deny, "any", Some(8), None), "ge and le need a prefix"),
    ] {
        let error = refused(vec![good, bad]);
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(error.entry(), 1);
    }
}

proptest! {
    #[test]
    fn a_prefix_list_says_what_its_rules_say_one_after_the_other(
        rules in prop::collection::vec((any::<bool>(), 0u32..64, 0u8..=8, 0u8..=8, 0u8..=8), 0..24),
        asked in (0u32..256, 0u8..=8),
    ) {
        // Eight bits of address are enough for every way in which blocks can lie in each other.
        let block = |bits: u32, length: u8| {
            Ipv4Net::new(Ipv4Addr::from(bits << 24), length).unwrap().trunc()
        };
        let rules: Vec<PrefixRule> = rules
            .into_iter()
            .zip(1..)
            .map(|((permit, bits, length, low, high), sequence)| {
                let (low, high) = (low.max(length), high.max(low).max(length));
                PrefixRule {
                    sequence,
                    action: if permit { Action::Permit } else { Action::Deny },
                    prefix: Some(block(bits << 2, length).into()),
                    ge: Some(low),
                    le: Some(high),
                }
            })
            .collect();
        let asked: IpNet = block(asked.0, asked.1).into();
        let naive = rules.iter().find(|rule| {
            rule.prefix.unwrap().contains(&asked)
                && rule.ge.unwrap() <= asked.prefix_len()
                && asked.prefix_len() <= rule.le.unwrap()
        });
        let naive = naive.is_some_and(|rule| rule.action == Action::Permit);
        prop_assert_eq!(PrefixList::new(String::new(), rules).unwrap().permits(asked), naive);
    }
}

#[test]
fn expressions_match_paths_as_text_with_underscores_between_numbers() {
    let path = [Asn(65_001), Asn(650), Asn(65_002)];
    for (expression, matches) in [
        ("_650_", true),
        ("_65_", false),
        ("^65001_", true),
        ("^65001 650", true),
        ("_65002$", true),
        ("^$", false),
        ("_65001_650_65002_", true),
        ("[0-9]+ [_0-9]+ 65002", true),
        (".*", true),
        ("^6500[1-9](_[0-9]+)*$", true),
    ] {
        let entries = vec![(Action::Permit, expression.to_owned())];
        let list = AsPathList::new("L".into(), entries).unwrap();
        let set = attributes(|a| {
            a.set_as_path(&path);
        });
        assert_eq!(list.permits(set.as_path()), matches, "{expression}");
    }
    let own = AsPathList::new("L".into(), vec![(Action::Permit, "^$".into())]).unwrap();
    assert!(own.permits(AsPath::new(&[])));
}

#[test]
fn an_expression_that_cannot_be_read_is_refused_with_the_reason() {
    let entries = vec![(Action::Permit, ".*".into()), (Action::Deny, "_650(0".into())];
    let error = AsPathList::new("L".into(), entries).unwrap_err();
    assert_eq!(error.entry, 1);
    assert_eq!(error.to_string(), "\"_650(0\" is not a regular expression: unclosed group");
}

#[test]
fn communities_match_by_numbers_ranges_and_names() {
    let standard = |pattern: &str, community: u32| {
        pattern.parse::<StandardPattern>().unwrap().matches(community)
    };
    assert!(standard("65000:100", 65_000 << 16 | 100));
    assert!(standard("65000:*", 65_000 << 16 | 7));
    assert!(standard("*:5-9", 1 << 16 | 9));
    assert!(!standard("*:5-9", 1 << 16 | 10));
    assert!(standard("no-export", 0xffff_ff01));
    for bad in ["65536:1", "65000", "65000:9-5", "65000:1:2", ":", "no-exprot"] {
        assert!(bad.parse::<StandardPattern>().is_err(), "{bad}");
    }
    let large: LargePattern = "65000:*:1-2".parse().unwrap();
    assert!(large.matches(LargeCommunity { global: 65_000, local1: 8, local2: 2 }));
    assert!(!large.matches(LargeCommunity { global: 65_000, local1: 8, local2: 3 }));
    let ext = |pattern: &str, community: &str| {
        let community = parse_ext_community(community).unwrap();
        pattern.parse::<ExtPattern>().unwrap().matches(community)
    };
    assert!(ext("rt 65000:*", "rt 65000:70000"));
    assert!(ext("rt *:100", "rt 192.0.2.1:100"));
    assert!(ext("rt 4200000000:5", "rt 4200000000:5"));
    assert!(ext("soo 192.0.2.1:1-9", "soo 192.0.2.1:5"));
    assert!(!ext("rt 65000:100", "soo 65000:100"));
    assert!(!ext("rt 192.0.2.1:100", "rt 65000:100"));
}

#[test]
fn an_entry_of_a_community_list_asks_for_all_its_communities() {
    let list = CommunityList::<StandardPattern> {
        name: "L".into(),
        entries: vec![
            CommunityEntry { action: Action::Deny, patterns: vec!["9:9".parse().unwrap()] },
            CommunityEntry {
                action: Action::Permit,
                patterns: vec!["1:1".parse().unwrap(), "1:2".parse().unwrap()],
            },
        ],
    };
    let has = |communities: &[(u32, u32)], exact| {
        let communities = communities.iter().map(|(high, low)| high << 16 | low);
        list.permits(communities, exact)
    };
    assert!(has(&[(1, 1), (1, 2), (3, 3)], false));
    assert!(!has(&[(1, 1), (3, 3)], false));
    assert!(!has(&[(1, 1), (1, 2), (9, 9)], false), "the first entry denies it");
    assert!(!has(&[(1, 1), (1, 2), (3, 3)], true));
    assert!(has(&[(1, 1), (1, 2)], true));
}

#[test]
fn a_map_without_a_matching_entry_denies() {
    let set = attributes(|_| {});
    assert_eq!(apply(&map(vec![]), "10.0.0.0/8", &set), None);
    let mut ten = entry(10, Action::Permit);
    ten.conditions = vec![Condition::Attribute(AttributeCondition::Med(5))];
    assert_eq!(apply(&map(vec![ten]), "10.0.0.0/8", &set), None);
    assert_eq!(
        apply(&map(vec![entry(10, Action::Deny), entry(20, Action::Permit)]), "10.0.0.0/8", &set),
        None
    );
    assert_eq!(apply(&map(vec![entry(10, Action::Permit)]), "10.0.0.0/8", &set), Some(set));
}

#[test]
fn going_on_sees_what_was_set_before_and_a_called_map_can_deny() {
    let med = |value| Condition::Attribute(AttributeCondition::Med(value));
    let prefix = |text: &str| {
        Condition::Route(RouteCondition::Prefix(prefixes(vec![rule(
            5,
            Action::Permit,
            text,
            None,
            Some(32),
        )])))
    };
    let called = Arc::new(map(vec![Entry {
        conditions: vec![prefix("10.0.0.0/8")],
        ..entry(1, Action::Permit)
    }]));
    let map = map(vec![
        Entry {
            settings: vec![Setting::Med(7)],
            then: Continue::At(30),
            ..entry(10, Action::Permit)
        },
        Entry { settings: vec![Setting::Med(8)], ..entry(20, Action::Permit) },
        Entry {
            conditions: vec![med(7)],
            settings: vec![Setting::LocalPref(9), Setting::MedPlus(1)],
            call: Some(called),
            ..entry(30, Action::Permit)
        },
    ]);
    let set = attributes(|_| {});
    let taken = apply(&map, "10.1.0.0/16", &set).unwrap();
    assert_eq!((taken.med(), taken.local_pref()), (Some(8), Some(9)));
    assert_eq!(apply(&map, "11.0.0.0/8", &set), None);
}

#[test]
fn maps_that_cannot_be_meant_are_refused() {
    let refused = |entries| RouteMap::new("M".into(), entries).unwrap_err();
    let twice = refused(vec![entry(10, Action::Permit), entry(10, Action::Deny)]);
    assert_eq!(
        (twice.entry(), twice.to_string().as_str()),
        (1, "sequence 10 is used twice; give each entry its own")
    );
    for target in [10, 15, 5] {
        let back = Entry { then: Continue::At(target), ..entry(10, Action::Permit) };
        let error = refused(vec![entry(5, Action::Permit), back, entry(20, Action::Permit)]);
        assert_eq!(error.entry(), 1, "{error}");
    }
    // Each map calls the one before twice.
    let mut largest = Arc::new(map(vec![entry(1, Action::Permit)]));
    let error = (0..64).find_map(|_| {
        let call = || Some(Arc::clone(&largest));
        let twice = vec![
            Entry { call: call(), ..entry(1, Action::Permit) },
            Entry { call: call(), ..entry(2, Action::Permit) },
        ];
        match RouteMap::new("M".into(), twice) {
            Ok(map) => {
                largest = Arc::new(map);
                None
            }
            Err(error) => Some(error),
        }
    });
    assert_eq!(error, Some(RouteMapError::TooLarge));
}

/// What one setting makes of a path through 65001 and 65002 with a few communities.
fn set(setting: Setting) -> Arc<AttributeSet> {
    let from = attributes(|a| {
        a.set_med(10).add_community(1 << 16 | 1).add_community(2 << 16 | 2);
        a.add_ext_community(ExtCommunity::encapsulation_vxlan());
        a.add_ext_community(parse_ext_community("rt 65000:1").unwrap());
        a.add_large_community("1:2:3".parse().unwrap());
    });
    let map = map(vec![Entry { settings: vec![setting], ..entry(10, Action::Permit) }]);
    apply(&map, "10.0.0.0/8", &from).unwrap()
}

#[test]
fn communities_are_replaced_added_and_deleted_by_list() {
    let communities = |set: Arc<AttributeSet>| set.communities().collect::<Vec<_>>();
    let (first, second, third) = (1 << 16 | 1, 2 << 16 | 2, 3 << 16 | 3);
    assert_eq!(communities(set(Setting::Communities(vec![third]))), [third]);
    assert_eq!(communities(set(Setting::Communities(vec![]))), []);
    assert_eq!(
        communities(set(Setting::AddCommunities(vec![third, first]))),
        [first, second, third]
    );
    let list = CommunityList {
        name: "L".into(),
        entries: vec![CommunityEntry {
            action: Action::Permit,
            patterns: vec!["1:*".parse().unwrap()],
        }],
    };
    assert_eq!(communities(set(Setting::DeleteCommunities(Arc::new(list)))), [second]);
}

#[test]
fn replacing_route_targets_leaves_other_extended_communities() {
    let target = parse_ext_community("rt 65000:9").unwrap();
    let result = set(Setting::ExtCommunities(vec![target]));
    let left: Vec<_> = result.ext_communities().collect();
    assert_eq!(left, [ExtCommunity::encapsulation_vxlan(), target]);
    let bandwidth = set(Setting::Bandwidth { megabits: 8, transitive: true });
    let found = bandwidth.ext_communities().find_map(ExtCommunity::as_link_bandwidth);
    assert_eq!(found, Some((65_000, 1_000_000.0)));
}

#[test]
fn paths_are_prepended_excluded_and_replaced() {
    let path = |setting| set(setting).as_path().to_string();
    assert_eq!(path(Setting::Prepend(vec![Asn(7), Asn(8)])), "7 8 65001 65002");
    assert_eq!(path(Setting::PrependLast(2)), "65001 65001 65001 65002");
    assert_eq!(path(Setting::Exclude(vec![Asn(65_001)])), "65002");
    assert_eq!(path(Setting::Replace(vec![Asn(65_002)])), "65001 65000");
    assert_eq!(path(Setting::Replace(vec![])), "65000 65000");
}

#[test]
fn numbers_stay_within_their_range_and_weight_is_told_to_nobody() {
    assert_eq!(set(Setting::MedPlus(u32::MAX)).med(), Some(u32::MAX));
    assert_eq!(set(Setting::MedMinus(11)).med(), Some(0));
    let weighed = set(Setting::Weight(5));
    assert_eq!(weighed.local().weight, 5);
    assert_ne!(weighed, set(Setting::Weight(6)));
    let next_hop = set(Setting::NextHop(NextHopSetting::Address(IpAddr::V4(Ipv4Addr::LOCALHOST))));
    assert_eq!(next_hop.next_hop(), NextHop::V4(Ipv4Addr::LOCALHOST));
}
