//! Canonical sets, the interner, the editor, and the way back to bytes.

use std::sync::Arc;

use super::{OPTIONAL, PARTIAL, TRANSITIVE, code};
use crate::types::{Asn, Label, RouteTarget, RouterId};
use crate::wire::*;

const INTERNAL: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: false,
    families: FamilySet::ALL,
    add_path: FamilySet::EMPTY,
};
const EXTERNAL: UpdateContext = UpdateContext { external: true, ..INTERNAL };
const OLD: UpdateContext = UpdateContext { four_octet_as: false, ..EXTERNAL };
const NEXT_HOP: NextHop = NextHop::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

const ORIGIN: &[u8] = &[TRANSITIVE, code::ORIGIN, 1, 0];
const AS_PATH: &[u8] = &[TRANSITIVE, code::AS_PATH, 6, 2, 1, 0, 0, 0xfd, 0xe9];
const NEXT_HOP_ATTRIBUTE: &[u8] = &[TRANSITIVE, code::NEXT_HOP, 4, 192, 0, 2, 1];
const MED: &[u8] = &[OPTIONAL, code::MED, 4, 0, 0, 0, 9];
const MP_REACH: &[u8] = &[OPTIONAL, code::MP_REACH_NLRI, 9, 0, 1, 1, 4, 192, 0, 2, 1, 0];
const EXT_COMMUNITY: &[u8] =
    &[OPTIONAL | TRANSITIVE, code::EXT_COMMUNITIES, 8, 0, 2, 0xfd, 0xe9, 0, 0, 0, 100];

fn update(attributes: &[&[u8]]) -> Vec<u8> {
    let attributes = attributes.concat();
    let [high, low] = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    [&[0, 0, high, low][..], &attributes, &[8, 10]].concat()
}

fn intern(
    interner: &mut AttributeInterner,
    attributes: &[&[u8]],
    context: &UpdateContext,
) -> Arc<AttributeSet> {
    let octets = update(attributes);
    let view = UpdateView::parse(&octets, context).unwrap();
    assert!(!matches!(view.verdict, Verdict::TreatAsWithdraw(_)), "{:?}", view.verdict);
    interner.intern(&view, NEXT_HOP)
}

fn interned(attributes: &[&[u8]], context: &UpdateContext) -> Arc<AttributeSet> {
    intern(&mut AttributeInterner::default(), attributes, context)
}

#[test]
fn equal_attributes_are_one_set_however_they_were_written() {
    let mut interner = AttributeInterner::default();
    let canonical = intern(
        &mut interner,
        &[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, MED, EXT_COMMUNITY],
        &INTERNAL,
    );
    let long_as_path = [&[TRANSITIVE | 0x10, code::AS_PATH, 0, 6], &AS_PATH[3..]].concat();
    let spellings: [&[&[u8]]; 7] = [
        &[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, MED, EXT_COMMUNITY],
        &[MP_REACH, ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, MED, EXT_COMMUNITY],
        &[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, MED, MP_REACH, EXT_COMMUNITY],
        &[ORIGIN, MP_REACH, AS_PATH, NEXT_HOP_ATTRIBUTE, MED, EXT_COMMUNITY],
        &[EXT_COMMUNITY, MED, NEXT_HOP_ATTRIBUTE, AS_PATH, ORIGIN],
        &[ORIGIN, &long_as_path, NEXT_HOP_ATTRIBUTE, MED, EXT_COMMUNITY],
        &[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, MED, EXT_COMMUNITY, ORIGIN, &[OPTIONAL, 99, 1, 1]],
    ];
    for spelling in spellings {
        assert!(
            Arc::ptr_eq(&canonical, &intern(&mut interner, spelling, &INTERNAL)),
            "{spelling:x?}"
        );
    }
    let made = canonical.edit().build();
    assert!(Arc::ptr_eq(&canonical, &interner.intern_set(made)));
    assert_eq!(interner.len(), 1);
}

#[test]
fn what_differs_is_another_set() {
    let mut interner = AttributeInterner::default();
    let one = intern(&mut interner, &[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE], &INTERNAL);
    let two = intern(&mut interner, &[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, MED], &INTERNAL);
    let three =
        interner.intern_set(one.edit().set_next_hop(NextHop::V4([192, 0, 2, 2].into())).build());
    assert_ne!(one, two);
    assert_ne!(one, three);
    assert_eq!(interner.len(), 3);
    drop((one, three));
    interner.sweep();
    assert_eq!(interner.len(), 1);
    assert!(Arc::ptr_eq(
        &two,
        &intern(&mut interner, &[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, MED], &INTERNAL)
    ));
}

#[test]
fn a_set_answers_what_the_decision_process_asks() {
    let set = AttributeSet::builder(NEXT_HOP)
        .set_origin(Origin::Incomplete)
        .set_as_path(&[Asn(65001), Asn(4_200_000_000), Asn(65001)])
        .set_local_pref(200)
        .set_med(7)
        .set_originator_id(RouterId([198, 51, 100, 1].into()))
        .prepend_cluster([1, 1, 1, 1].into())
        .prepend_cluster([2, 2, 2, 2].into())
        .add_community(0xffff_ff01)
        .add_community(0xffff_ff01)
        .add_ext_community(RouteTarget::from_as2(65001, 10).into())
        .add_ext_community(ExtCommunity::encapsulation_vxlan())
        .add_large_community(LargeCommunity { global: 65001, local1: 2, local2: 3 })
        .set_pmsi_tunnel(PmsiTunnel::ingress_replication(
            Label::from_vni(10),
            [192, 0, 2, 1].into(),
        ))
        .build();
    assert_eq!(set.next_hop(), NEXT_HOP);
    assert_eq!(
        (set.origin(), set.local_pref(), set.med()),
        (Origin::Incomplete, Some(200), Some(7))
    );
    assert_eq!(set.as_path().to_string(), "65001 4200000000 65001");
    assert_eq!((set.as_path_length(), set.first_as()), (3, Some(Asn(65001))));
    assert_eq!((set.as_path().count(Asn(65001)), set.as_path().contains(Asn(1))), (2, false));
    assert_eq!(set.originator_id(), Some(RouterId([198, 51, 100, 1].into())));
    let clusters: Vec<_> = set.cluster_list().map(|cluster| cluster.to_string()).collect();
    assert_eq!(clusters, ["2.2.2.2", "1.1.1.1"]);
    assert_eq!(set.communities().collect::<Vec<_>>(), [0xffff_ff01]);
    let ext: Vec<_> = set.ext_communities().map(|community| community.to_string()).collect();
    assert_eq!(ext, ["RT:65001:10", "ET:8"]);
    assert_eq!(set.large_communities().next().unwrap().to_string(), "65001:2:3");
    let tunnel = set.pmsi_tunnel().unwrap();
    assert_eq!(
        (tunnel.kind, tunnel.label.vni(), tunnel.endpoint),
        (6, 10, Some([192, 0, 2, 1].into()))
    );
}

#[test]
fn a_changed_copy_leaves_the_original_alone() {
    let set =
        AttributeSet::builder(NEXT_HOP).set_local_pref(5).add_community(1).add_community(2).build();
    let copy = set.edit().remove(code::LOCAL_PREF).prepend_as(Asn(1)).remove_community(1).build();
    assert_eq!((set.local_pref(), copy.local_pref()), (Some(5), None));
    assert_eq!(
        (set.as_path().to_string(), copy.as_path().to_string()),
        (String::new(), "1".to_owned())
    );
    assert_eq!(copy.communities().collect::<Vec<_>>(), [2]);
    assert_eq!(copy.edit().remove_community(2).build().get(code::COMMUNITIES), None);
    assert!(
        copy.edit().remove(code::AS_PATH).build().get(code::AS_PATH).is_some(),
        "no route goes without"
    );
}

#[test]
fn a_full_sequence_gets_a_new_one_before_it() {
    let set = AttributeSet::builder(NEXT_HOP).prepend_as_times(Asn(7), 256).build();
    let counts: Vec<_> = set.as_path().segments().map(|segment| segment.asns().count()).collect();
    assert_eq!(counts, [1, 255]);
    assert_eq!((set.as_path_length(), set.as_path().count(Asn(7))), (256, 256));
}

#[test]
fn a_leading_confederation_does_not_count_and_is_not_the_neighbour() {
    let value = [3, 1, 0, 0, 0, 9, 2, 2, 0, 0, 0, 5, 0, 0, 0, 6];
    let path = AsPath::new(&value);
    assert_eq!((path.length(), path.first_as(), path.origin_as()), (2, Some(Asn(5)), Some(Asn(6))));
    assert_eq!(path.to_string(), "(9) 5 6");
}

#[test]
fn unknown_transitive_attributes_are_kept_as_partial_and_others_dropped() {
    let set = interned(
        &[
            ORIGIN,
            AS_PATH,
            NEXT_HOP_ATTRIBUTE,
            &[OPTIONAL | TRANSITIVE, 99, 2, 1, 2],
            &[OPTIONAL, 98, 1, 1],
        ],
        &EXTERNAL,
    );
    let attributes: Vec<_> = set.raw_attributes().map(|raw| (raw.flags, raw.code)).collect();
    assert_eq!(
        attributes,
        [(TRANSITIVE, 1), (TRANSITIVE, 2), (OPTIONAL | TRANSITIVE | PARTIAL, 99)]
    );
    assert_eq!(set.get(99), Some(&[1, 2][..]));
}

#[test]
fn discarded_attributes_are_not_in_the_set() {
    let local_pref = [TRANSITIVE, code::LOCAL_PREF, 4, 0, 0, 0, 1];
    let set = interned(&[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, &local_pref], &EXTERNAL);
    assert_eq!((set.local_pref(), set.raw_attributes().count()), (None, 2));
    let set = interned(&[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, &local_pref], &INTERNAL);
    assert_eq!(set.local_pref(), Some(1));
}

#[test]
fn large_communities_that_are_there_twice_are_there_once() {
    for copies in [2, 100] {
        let value = [[9; 12], [1; 12]].repeat(copies).concat();
        let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
        let attribute =
            [&[OPTIONAL | TRANSITIVE | 0x10, code::LARGE_COMMUNITIES, high, low], &value[..]]
                .concat();
        let set = interned(&[ORIGIN, AS_PATH, NEXT_HOP_ATTRIBUTE, &attribute], &EXTERNAL);
        assert_eq!(set.get(code::LARGE_COMMUNITIES), Some([[9; 12], [1; 12]].as_flattened()));
    }
}

fn old_speaker(path: &[u8], others: &[&[u8]]) -> Arc<AttributeSet> {
    let path = [&[TRANSITIVE, code::AS_PATH, u8::try_from(path.len()).unwrap()], path].concat();
    let attributes: Vec<&[u8]> = [&[ORIGIN, &path, NEXT_HOP_ATTRIBUTE][..], others].concat();
    interned(&attributes, &OLD)
}

#[test]
fn the_path_of_an_old_speaker_is_completed_from_as4_path() {
    const AS4_PATH: &[u8] =
        &[OPTIONAL | TRANSITIVE, code::AS4_PATH, 10, 2, 2, 0, 1, 0, 0, 0, 0, 0, 3];
    let trans = [0x5b, 0xa0];
    let path = |count: u8| [&[2, count, 0, 1], &trans[..], &[0, 3]].concat();
    assert_eq!(old_speaker(&path(3), &[AS4_PATH]).as_path().to_string(), "1 65536 3");
    assert_eq!(old_speaker(&path(3), &[]).as_path().to_string(), "1 23456 3");
    assert_eq!(
        old_speaker(&[2, 1, 0, 1], &[AS4_PATH]).as_path().to_string(),
        "1",
        "AS4_PATH is the longer one"
    );
    let confederation =
        [OPTIONAL | TRANSITIVE, code::AS4_PATH, 12, 3, 1, 0, 0, 0, 8, 2, 1, 0, 1, 0, 0];
    let path = old_speaker(&[2, 2, 0, 1, trans[0], trans[1]], &[&confederation]);
    assert_eq!(path.as_path().to_string(), "1 65536", "no confederation in AS4_PATH");
}

#[test]
fn an_old_aggregator_makes_the_as4_attributes_stale() {
    const AS4_PATH: &[u8] = &[OPTIONAL | TRANSITIVE, code::AS4_PATH, 6, 2, 1, 0, 1, 0, 0];
    const AS4_AGGREGATOR: &[u8] =
        &[OPTIONAL | TRANSITIVE, code::AS4_AGGREGATOR, 8, 0, 1, 0, 0, 1, 2, 3, 4];
    const OLD_AGGREGATOR: &[u8] = &[OPTIONAL | TRANSITIVE, code::AGGREGATOR, 6, 0, 9, 4, 3, 2, 1];
    const TRANS_AGGREGATOR: &[u8] =
        &[OPTIONAL | TRANSITIVE, code::AGGREGATOR, 6, 0x5b, 0xa0, 4, 3, 2, 1];
    let path = [2, 1, 0x5b, 0xa0];
    let stale = old_speaker(&path, &[OLD_AGGREGATOR, AS4_PATH, AS4_AGGREGATOR]);
    assert_eq!(
        (stale.as_path().to_string(), stale.aggregator().unwrap().asn),
        ("23456".to_owned(), Asn(9))
    );
    let fresh = old_speaker(&path, &[TRANS_AGGREGATOR, AS4_PATH, AS4_AGGREGATOR]);
    assert_eq!(
        (fresh.as_path().to_string(), fresh.aggregator().unwrap().asn),
        ("65536".to_owned(), Asn(65536))
    );
}

const PACKER: UpdatePacker = UpdatePacker { max_len: MAX_MESSAGE, four_octet_as: true };

fn bodies(mut stream: &[u8], max_len: usize) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    while let Some(frame) = split_message(stream, max_len).unwrap() {
        assert_eq!(frame.kind, MessageType::Update);
        bodies.push(frame.body);
        stream = &stream[frame.len..];
    }
    assert!(stream.is_empty());
    bodies
}

/// Announces, reads back, and gives the number of messages.
fn round_trip<F: Family>(
    packer: UpdatePacker,
    set: &AttributeSet,
    routes: &[(F::Key, F::Payload)],
) -> usize {
    let mut out = Vec::new();
    packer
        .announce::<F>(set, routes.iter().map(|(key, payload)| (key, payload)), &mut out)
        .unwrap();
    let context = UpdateContext { four_octet_as: packer.four_octet_as, ..INTERNAL };
    let mut interner = AttributeInterner::default();
    let mut seen = Vec::new();
    let bodies = bodies(&out, packer.max_len);
    for body in &bodies {
        let view = UpdateView::parse(body, &context).unwrap();
        assert_eq!(view.verdict, Verdict::Accept);
        for group in view.announced::<F>() {
            let next_hop = group.next_hop.unwrap();
            assert_eq!(*interner.intern(&view, next_hop), *set);
            seen.extend(group.routes.map(Result::unwrap));
        }
    }
    assert_eq!(seen, routes);
    bodies.len()
}

fn hosts(count: u32) -> Vec<(ipnet::Ipv4Net, ())> {
    (0..count)
        .map(|host| (ipnet::Ipv4Net::new((0x0a00_0000 + host).into(), 32).unwrap(), ()))
        .collect()
}

fn macs(count: u32) -> Vec<(EvpnKey, EvpnPayload)> {
    let payload = EvpnPayload { label: Label::from_vni(10), ..EvpnPayload::default() };
    let mac = |host: u32| {
        let [a, b, c, d] = host.to_be_bytes();
        EvpnKey::MacIp {
            rd: Default::default(),
            ethernet_tag: 0,
            mac: [2, 0, a, b, c, d].into(),
            ip: None,
        }
    };
    (0..count).map(|host| (mac(host), payload)).collect()
}

#[test]
fn routes_are_packed_into_as_few_updates_as_fit() {
    let set = AttributeSet::builder(NEXT_HOP).set_local_pref(100).prepend_as(Asn(65001)).build();
    // 4096 - 19 - 4, less 27 of attributes: 809 routes of 5 octets.
    for (count, messages) in [(0, 0), (1, 1), (809, 1), (810, 2), (1618, 2), (1619, 3)] {
        assert_eq!(
            round_trip::<Ipv4Unicast>(PACKER, &set, &hosts(count)),
            messages,
            "{count} routes"
        );
    }
    let extended = UpdatePacker { max_len: MAX_EXTENDED_MESSAGE, ..PACKER };
    assert_eq!(round_trip::<Ipv4Unicast>(extended, &set, &hosts(10_000)), 1);
    assert_eq!(round_trip::<Evpn>(PACKER, &set, &macs(115)), 1);
    assert_eq!(round_trip::<Evpn>(PACKER, &set, &macs(116)), 2);
    assert_eq!(round_trip::<Evpn>(extended, &set, &macs(1800)), 1);
}

#[test]
fn ipv4_routes_with_an_ipv6_next_hop_go_through_mp_reach() {
    let link_local = Some("fe80::1".parse().unwrap());
    let next_hop = NextHop::V6 { global: "2001:db8::1".parse().unwrap(), link_local };
    let set = AttributeSet::builder(next_hop).build();
    assert_eq!(round_trip::<Ipv4Unicast>(PACKER, &set, &hosts(1000)), 2);
    let mut out = Vec::new();
    PACKER
        .announce::<Ipv4Unicast>(
            &set,
            hosts(1).iter().map(|(key, payload)| (key, payload)),
            &mut out,
        )
        .unwrap();
    assert_eq!(out[23..25], [OPTIONAL | 0x10, code::MP_REACH_NLRI], "the first attribute");
}

#[test]
fn a_peer_with_two_octets_gets_the_same_attributes() {
    let packer = UpdatePacker { four_octet_as: false, ..PACKER };
    let set = AttributeSet::builder(NEXT_HOP)
        .set_as_path(&[Asn(65001), Asn(4_200_000_001), Asn(3)])
        .add_ext_community(ExtCommunity::encapsulation_vxlan())
        .add_large_community(LargeCommunity { global: 1, local1: 2, local2: 3 })
        .build();
    assert_eq!(round_trip::<Ipv4Unicast>(packer, &set, &hosts(3)), 1);
    assert_eq!(round_trip::<Evpn>(packer, &set, &macs(3)), 1);
    let small = AttributeSet::builder(NEXT_HOP).prepend_as(Asn(65001)).build();
    let mut out = Vec::new();
    packer
        .announce::<Ipv4Unicast>(
            &small,
            hosts(1).iter().map(|(key, payload)| (key, payload)),
            &mut out,
        )
        .unwrap();
    assert!(
        !out.windows(2).any(|pair| pair == [OPTIONAL | TRANSITIVE, code::AS4_PATH]),
        "not needed"
    );
}

#[test]
fn attributes_that_leave_no_room_are_refused_and_nothing_is_written() {
    let mut editor = AttributeSet::builder(NEXT_HOP);
    for number in 0..1020 {
        editor.add_community(number);
    }
    let set = editor.build();
    let mut out = vec![1, 2, 3];
    let routes = hosts(1);
    let announce = |packer: UpdatePacker, out: &mut Vec<u8>| {
        packer.announce::<Ipv4Unicast>(
            &set,
            routes.iter().map(|(key, payload)| (key, payload)),
            out,
        )
    };
    assert_eq!(announce(PACKER, &mut out), Err(UpdateTooLong { max_len: MAX_MESSAGE }));
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(
        announce(UpdatePacker { max_len: MAX_EXTENDED_MESSAGE, ..PACKER }, &mut out),
        Ok(())
    );
}

#[test]
fn a_path_beyond_65535_octets_cannot_be_sent() {
    let set = AttributeSet::builder(NEXT_HOP).prepend_as_times(Asn(7), 16_400).build();
    let packer = UpdatePacker { max_len: MAX_EXTENDED_MESSAGE, ..PACKER };
    let routes = hosts(1);
    let result = packer.announce::<Ipv4Unicast>(
        &set,
        routes.iter().map(|(key, payload)| (key, payload)),
        &mut Vec::new(),
    );
    assert_eq!(result, Err(UpdateTooLong { max_len: MAX_EXTENDED_MESSAGE }));
}

#[test]
fn withdrawals_carry_no_other_attribute() {
    let keys: Vec<_> = hosts(1000).into_iter().map(|(key, ())| key).collect();
    let mut out = Vec::new();
    PACKER.withdraw::<Ipv4Unicast>(&keys, &mut out);
    let views: Vec<_> = bodies(&out, MAX_MESSAGE)
        .into_iter()
        .map(|body| UpdateView::parse(body, &INTERNAL).unwrap())
        .collect();
    let withdrawn: Vec<_> = views
        .iter()
        .flat_map(UpdateView::withdrawn::<Ipv4Unicast>)
        .map(|route| route.unwrap().0)
        .collect();
    assert_eq!((views.len(), withdrawn), (2, keys));

    let keys: Vec<_> = macs(200).into_iter().map(|(key, _)| key).collect();
    let mut out = Vec::new();
    PACKER.withdraw::<Evpn>(&keys, &mut out);
    let views: Vec<_> = bodies(&out, MAX_MESSAGE)
        .into_iter()
        .map(|body| UpdateView::parse(body, &INTERNAL).unwrap())
        .collect();
    assert!(
        views.iter().all(|view| view.verdict == Verdict::Accept && view.end_of_rib().is_none())
    );
    let withdrawn: Vec<_> = views
        .iter()
        .flat_map(UpdateView::withdrawn::<Evpn>)
        .map(|route| route.unwrap().0)
        .collect();
    assert_eq!((views.len(), withdrawn), (2, keys));
}

#[test]
fn the_end_of_each_rib_is_marked() {
    for family in FamilySet::ALL.iter() {
        let mut out = Vec::new();
        PACKER.end_of_rib(family, &mut out);
        let view = UpdateView::parse(bodies(&out, MAX_MESSAGE)[0], &INTERNAL).unwrap();
        assert_eq!(view.end_of_rib(), Some(family));
    }
}

#[test]
fn the_link_local_next_hop_is_found_wherever_senders_put_it() {
    let link_local: std::net::Ipv6Addr = "fe80::1".parse().unwrap();
    let global: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    let none = std::net::Ipv6Addr::UNSPECIFIED;
    let decode = |addresses: &[std::net::Ipv6Addr]| {
        let octets: Vec<u8> = addresses.iter().flat_map(std::net::Ipv6Addr::octets).collect();
        NextHop::decode(&octets).unwrap()
    };
    // Alone (draft-ietf-idr-linklocal-capability), twice (FRR), after nothing (BIRD), after a global one (RFC 2545).
    let forms = [&[link_local][..], &[link_local, link_local], &[none, link_local]];
    for form in forms {
        let next_hop = decode(form);
        assert_eq!(next_hop.link_local(), Some(link_local), "{form:?}");
        assert_eq!(next_hop.address(), link_local, "{form:?}");
        assert!(next_hop.is_host());
    }
    let both = decode(&[global, link_local]);
    assert_eq!((both.address(), both.link_local()), (global.into(), Some(link_local)));
    for form in [&[global][..], &[global, none]] {
        assert_eq!((decode(form).address(), decode(form).link_local()), (global.into(), None));
    }
    assert!(!decode(&[none, none]).is_host(), "nobody");
}
