//! What only a switch, or a kernel with everything, announces: captured in a guest with Spectrum's driver.

use super::*;
use crate::kernel::{
    Bridge, BridgeVlan, Change, Filter, FilterKind, FilterPlace, Key, Link, Model, Rule,
    RuleAction, RuleSelector, Verdict, VxlanExtensions,
};

/// The link that a capture is about, the newest: what is below a new link is announced too.
fn only_link(name: &str) -> Link {
    let links = announced(name).into_iter().filter_map(|news| match news {
        Notification::New(Object::Link(link)) => Some(link),
        _ => None,
    });
    links.max_by_key(|link| link.index).unwrap()
}

fn only<T>(name: &str, which: impl Fn(Object) -> Option<T>) -> T {
    let mut news = announced(name);
    assert_eq!(news.len(), 1, "{name}: {news:?}");
    match news.remove(0) {
        Notification::New(object) | Notification::Gone(object) => which(object).unwrap(),
        other => panic!("{name}: {other:?}"),
    }
}

fn rule(name: &str) -> Rule {
    only(name, |object| if let Object::Rule(rule) = object { Some(rule) } else { None })
}

fn filter(name: &str) -> Filter {
    only(name, |object| if let Object::Filter(filter) = object { Some(filter) } else { None })
}

#[test]
fn a_port_of_a_switch_says_which_switch_and_which_port() {
    let port = only_link("switch_port");
    assert_eq!((port.name.as_str(), port.alias.as_deref()), ("swp1", Some("front")));
    assert_eq!(port.kind, LinkKind::Physical);
    assert_eq!(port.physical_port(), Some("p1"));
    assert_eq!(port.switch_id().unwrap().to_string(), "024c41420000");
    assert_eq!(port.parent_device().unwrap().to_string(), "platform/mlxfake.0");
}

#[test]
fn bridges_bonds_and_uppers_are_read_with_what_offload_depends_on() {
    let bridge = only_link("bridge_settings");
    let expected = Bridge {
        ageing_seconds: Some(300),
        vlan_protocol: VlanProtocol::Dot1ad,
        default_pvid: 7,
        spanning_tree: true,
        ..Bridge::default()
    };
    assert_eq!(bridge.bridge(), Some(&expected));
    let bond = Bond { mode: BondMode::Lacp, hash: BondHash::Layer34 };
    assert_eq!(only_link("bond").kind, LinkKind::Bond(bond));
    let vlan = only_link("vlan");
    assert_eq!(vlan.kind, LinkKind::Vlan { id: 20, protocol: VlanProtocol::Dot1ad });
    let macvlan = only_link("macvlan");
    assert_eq!(macvlan.kind, LinkKind::Macvlan);
    assert_eq!(macvlan.requires(), [Key::Link(macvlan.lower.unwrap())]);
}

#[test]
fn rare_features_of_vxlan_devices_are_read() {
    let rare = only_link("vxlan_rare").vxlan().cloned().unwrap();
    let extensions = VxlanExtensions {
        group_policy: true,
        route_short_circuit: true,
        l2miss: true,
        l3miss: true,
        remote_checksum_tx: true,
        remote_checksum_rx: true,
        ..VxlanExtensions::default()
    };
    assert_eq!(rare.extensions, extensions);
    assert_eq!((rare.ttl_inherit, rare.source_ports), (true, (5000, 6000)));
    assert!(rare.udp_checksum, "the kernel's default where nothing is said");
    let labelled = only_link("vxlan_flow_label").vxlan().cloned().unwrap();
    assert_eq!((labelled.flow_label, labelled.external, labelled.vni), (77, true, None));
    assert!(labelled.extensions.generic_protocol && !labelled.extensions.group_policy);
}

#[test]
fn rare_features_of_vxlan_devices_survive_being_written_and_read() {
    let plain = Vxlan::new(Vni::try_from(10).unwrap(), ip("2001:db8::1"));
    let extensions = VxlanExtensions { l2miss: true, no_local_bypass: true, ..plain.extensions };
    for vxlan in [
        Vxlan { ttl_inherit: true, ..plain.clone() },
        Vxlan { source_ports: (5000, 6000), flow_label: 77, ..plain.clone() },
        Vxlan { extensions, ..plain },
    ] {
        let request = NewLink::vxlan("vx10", vxlan.clone()).encode(5).remove(0);
        let decoded = Notification::decode(request.message_type, &request.payload);
        let Ok(Some(Notification::New(Object::Link(link)))) = decoded else { panic!("a link") };
        assert_eq!(link.vxlan(), Some(&vxlan));
    }
}

#[test]
fn vlans_come_with_the_port_and_by_themselves() {
    let expected = BridgeVlan::access(3, 10);
    let news = announced("bridge_vlan");
    assert_eq!(news[0], Notification::Vlans(vec![expected]));
    let Notification::Port { index: 3, port: Some(_), vlans } = &news[1] else { panic!("a port") };
    assert_eq!(vlans, &[expected]);

    let news = announced("bridge_vlan_range");
    let range: Vec<BridgeVlan> = (20..=29).map(|vlan| BridgeVlan::tagged(3, vlan)).collect();
    let Notification::Vlans(changed) = &news[0] else { panic!("VLANs") };
    assert_eq!(changed, &range);
    let Notification::Port { vlans, .. } = news.last().unwrap() else { panic!("a port") };
    assert_eq!(vlans[1..], range);

    let of_bridge = BridgeVlan::of_bridge(19, 10);
    let news = announced("bridge_vlan_self");
    assert_eq!(
        news[1],
        Notification::Port { index: 19, port: None, vlans: vec![of_bridge] },
        "a bridge speaks of itself as its own master"
    );
    assert_eq!(
        announced("bridge_vlan_delete")[0],
        Notification::VlansGone(vec![BridgeVlan::tagged(3, 10)])
    );
}

#[test]
fn both_ways_to_hear_of_vlans_lead_to_the_same_model() {
    let captures = ["switch_port", "bridge_vlan", "bridge_vlan_range", "bridge_vlan_delete"];
    let model = |keep: fn(&Notification) -> bool| {
        let mut model = Model::default();
        for news in captures.iter().flat_map(|name| announced(name)).filter(keep) {
            model.apply(news);
        }
        model.vlans_of(3).to_vec()
    };
    let by_port =
        model(|news| !matches!(news, Notification::Vlans(_) | Notification::VlansGone(_)));
    let by_vlan = model(|news| !matches!(news, Notification::Port { .. }));
    assert_eq!((by_port.len(), by_port), (10, by_vlan));
}

#[test]
fn rules_are_read_with_what_they_match() {
    let expected = Rule {
        v6: false,
        priority: 100,
        action: RuleAction::Table(1000),
        selector: RuleSelector {
            source: Some("10.0.0.0/8".parse().unwrap()),
            input: Some("swp2".to_owned()),
            mark: Some((1, 3)),
            ..RuleSelector::default()
        },
        protocol: 186,
    };
    assert_eq!(rule("rule"), expected);
    assert_eq!(rule("rule_delete").key(), expected.key());
    let more = rule("rule_more");
    assert!(more.v6 && more.selector.more != 0 && !more.is_default());
    let vrf: Vec<bool> = announced("rule_vrf")
        .into_iter()
        .filter_map(|news| match news {
            Notification::New(Object::Rule(rule)) if rule.action == RuleAction::Vrf => {
                Some(rule.v6)
            }
            _ => None,
        })
        .collect();
    assert_eq!(vrf, [false, true], "multicast routing has rules of its own, which are not read");
}

#[test]
fn a_rule_survives_being_written_and_read() {
    for rule in [rule("rule"), Rule { action: RuleAction::Vrf, ..rule("rule") }] {
        let request = rule.encode_create();
        assert_eq!(Rule::decode(&request.payload), Some(rule));
    }
}

#[test]
fn filters_say_whether_the_hardware_has_them() {
    let hardware = filter("filter");
    assert_eq!((&hardware.kind, hardware.verdict()), (&FilterKind::Flower, Verdict::InHardware));
    assert_eq!(hardware.id.place, FilterPlace::Ingress(3));
    assert_eq!((hardware.id.priority, hardware.id.protocol, hardware.id.handle), (5, 0x800, 3));
    let flags = hardware.hardware.unwrap();
    assert!(flags.skip_software && !flags.skip_hardware);
    assert_eq!(flags.devices, Some(1));
    let software = filter("filter_software");
    assert_eq!((&software.kind, software.verdict()), (&FilterKind::Matchall, Verdict::Pending));
    assert_eq!(software.id.place, FilterPlace::Egress(3));
    assert_eq!(filter("filter_block").id.place, FilterPlace::Block(7));
}

#[test]
fn filters_go_by_priority_and_with_their_discipline() {
    let mut model = Model::default();
    model.apply(Notification::FilterPlaces {
        index: 3,
        places: vec![FilterPlace::Ingress(3), FilterPlace::Egress(3)],
    });
    for name in ["filter", "filter_software", "filter_block", "filter_place"] {
        announced(name).into_iter().for_each(|news| drop(model.apply(news)));
    }
    assert_eq!((model.filters().count(), model.filter_places().count()), (3, 4));
    let gone = announced("filter_delete").remove(0);
    assert_eq!(model.apply(gone), [filter("filter").key()], "it names no single filter");
    let gone = announced("filter_place_delete").remove(0);
    assert_eq!(model.apply(gone), [filter("filter_software").key()]);
    assert_eq!((model.filters().count(), model.filter_places().count()), (1, 2));
}

#[test]
fn nexthops_say_whether_they_wrap_and_how_many_buckets_they_have() {
    let nexthop =
        |name| only(name, |object| if let Object::Nexthop(it) = object { Some(it) } else { None });
    let wrapping: Nexthop = nexthop("nexthop_encap");
    assert!(wrapping.encapsulates && matches!(wrapping.kind, NexthopKind::Gateway { .. }));
    let members = vec![NexthopMember { id: 0x5357_000d, weight: 1 }];
    let resilient = nexthop("nexthop_resilient");
    assert_eq!(resilient.kind, NexthopKind::ResilientGroup { members, buckets: 32 });
    let request = Nexthop::new(resilient.id, resilient.kind.clone()).encode_create();
    assert_eq!(Nexthop::decode(&request.payload).map(|it| it.kind), Some(resilient.kind));
}

#[test]
fn a_key_stays_as_small_as_it_was() {
    assert!(size_of::<Key>() <= 44, "a table of a hundred thousand routes has as many keys");
    assert!(size_of::<Change>() <= 2 * size_of::<Object>() + 8);
}
