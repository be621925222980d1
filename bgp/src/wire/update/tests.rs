//! RFC 7606 row by row: attribute, defect, outcome.

use super::{UpdateContext, UpdateView, Verdict};
use crate::types::AfiSafi;
use crate::wire::attribute::{OPTIONAL, PARTIAL, TRANSITIVE, code};
use crate::wire::{
    AttributeError, Defect, Evpn, EvpnKey, FamilySet, Ipv4Unicast, Ipv6Unicast, NextHop, NlriError,
    Notification,
};

const INTERNAL: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: false,
    families: FamilySet::ALL,
    add_path: FamilySet::EMPTY,
};
const EXTERNAL: UpdateContext = UpdateContext { external: true, ..INTERNAL };
const OLD: UpdateContext = UpdateContext { four_octet_as: false, ..EXTERNAL };

const WELL_KNOWN: u8 = TRANSITIVE;
const OPTIONAL_TRANSITIVE: u8 = OPTIONAL | TRANSITIVE;

/// 10.0.0.0/8
const ROUTE: &[u8] = &[8, 10];

fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let mut octets = match u8::try_from(value.len()) {
        Ok(len) => vec![flags, code, len],
        Err(_) => {
            let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
            vec![flags | 0x10, code, high, low]
        }
    };
    octets.extend_from_slice(value);
    octets
}

fn origin() -> Vec<u8> {
    attribute(WELL_KNOWN, code::ORIGIN, &[0])
}

fn as_path() -> Vec<u8> {
    attribute(WELL_KNOWN, code::AS_PATH, &[2, 1, 0, 0, 0xfd, 0xe9])
}

fn next_hop() -> Vec<u8> {
    attribute(WELL_KNOWN, code::NEXT_HOP, &[192, 0, 2, 1])
}

fn mandatory() -> Vec<u8> {
    [origin(), as_path(), next_hop()].concat()
}

fn body(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let length = |field: &[u8]| u16::try_from(field.len()).unwrap().to_be_bytes();
    [&length(withdrawn)[..], withdrawn, &length(attributes)[..], attributes, nlri].concat()
}

/// 2001:db8::/32 by 2001:db8::1
fn mp_reach_ipv6() -> Vec<u8> {
    let mut value = vec![0, 2, 1, 16];
    value.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    value.extend_from_slice(&[0, 32, 0x20, 1, 0x0d, 0xb8]);
    attribute(OPTIONAL, code::MP_REACH_NLRI, &value)
}

#[derive(Debug, PartialEq, Eq)]
enum Want {
    Accept,
    Discard,
    Withdraw(Defect),
    Reset(u8),
}
use Want::{Accept, Discard, Reset, Withdraw};

fn outcome(body: &[u8], context: &UpdateContext) -> Result<Verdict, Notification> {
    UpdateView::parse(body, context).map(|view| view.verdict)
}

#[track_caller]
fn assert_outcome(what: &str, attributes: &[u8], code: u8, context: &UpdateContext, want: &Want) {
    let got = outcome(&body(&[], attributes, ROUTE), context);
    let matches = match (&got, want) {
        (Ok(Verdict::Accept), Accept) => true,
        (Ok(Verdict::DiscardAttributes(codes)), Discard) => codes.iter().eq([code]),
        (Ok(Verdict::TreatAsWithdraw(error)), Withdraw(defect)) => {
            *error == AttributeError { code, defect: *defect }
        }
        (Err(Notification { code: 3, subcode, .. }), Reset(want)) => subcode == want,
        _ => false,
    };
    assert!(matches, "{what}: want {want:?}, got {got:?}");
}

/// The mandatory attributes, of which `replaced` stands for the one with its code, or comes after them.
fn with(replaced: &[u8], context: &UpdateContext) -> Vec<u8> {
    let code = replaced[1];
    let mut attributes = Vec::new();
    let path = if context.four_octet_as {
        as_path()
    } else {
        attribute(WELL_KNOWN, code::AS_PATH, &[2, 1, 0, 1])
    };
    for (known, octets) in [(1, origin()), (2, path), (3, next_hop())] {
        attributes.extend(if known == code { replaced.to_vec() } else { octets });
    }
    if code > 3 {
        attributes.extend_from_slice(replaced);
    }
    attributes
}

#[test]
#[rustfmt::skip] // One row, one line.
#[expect(clippy::too_many_lines, clippy::type_complexity, reason = "a table")]
fn every_defect_of_every_attribute_has_its_outcome() {
    let ot = OPTIONAL_TRANSITIVE;
    let as4 = |segments: &[u8]| segments.to_vec();
    let confed: &[u8] = &[3, 1, 0, 0, 0, 9];
    let rows: &[(&str, u8, u8, Vec<u8>, &UpdateContext, Want)] = &[
        ("ORIGIN of 1 octet", WELL_KNOWN, code::ORIGIN, vec![2], &EXTERNAL, Accept),
        ("ORIGIN of 2 octets", WELL_KNOWN, code::ORIGIN, vec![0, 0], &EXTERNAL, Withdraw(Defect::Length(2))),
        ("empty ORIGIN", WELL_KNOWN, code::ORIGIN, vec![], &EXTERNAL, Withdraw(Defect::Length(0))),
        ("ORIGIN 3", WELL_KNOWN, code::ORIGIN, vec![3], &EXTERNAL, Withdraw(Defect::Value)),
        ("optional ORIGIN", ot, code::ORIGIN, vec![0], &EXTERNAL, Withdraw(Defect::Flags(ot))),
        ("ORIGIN with unused flags", WELL_KNOWN | 0x0f, code::ORIGIN, vec![0], &EXTERNAL, Accept),
        ("partial ORIGIN", WELL_KNOWN | PARTIAL, code::ORIGIN, vec![0], &EXTERNAL, Accept),
        ("empty AS_PATH", WELL_KNOWN, code::AS_PATH, vec![], &INTERNAL, Accept),
        ("AS_PATH with half a header", WELL_KNOWN, code::AS_PATH, vec![2], &INTERNAL, Withdraw(Defect::Value)),
        ("AS_PATH segment too long", WELL_KNOWN, code::AS_PATH, as4(&[2, 2, 0, 0, 0, 1]), &INTERNAL, Withdraw(Defect::Value)),
        ("AS_PATH with a rest", WELL_KNOWN, code::AS_PATH, as4(&[2, 1, 0, 0, 0, 1, 2]), &INTERNAL, Withdraw(Defect::Value)),
        ("AS_PATH with an empty segment", WELL_KNOWN, code::AS_PATH, as4(&[2, 0]), &INTERNAL, Withdraw(Defect::Value)),
        ("AS_PATH segment type 5", WELL_KNOWN, code::AS_PATH, as4(&[5, 1, 0, 0, 0, 1]), &INTERNAL, Withdraw(Defect::Value)),
        ("AS 0 in AS_PATH (RFC 7607)", WELL_KNOWN, code::AS_PATH, as4(&[2, 2, 0, 0, 0, 1, 0, 0, 0, 0]), &INTERNAL, Withdraw(Defect::AsZero)),
        ("AS_SET (RFC 9774)", WELL_KNOWN, code::AS_PATH, as4(&[1, 1, 0, 0, 0, 1]), &INTERNAL, Withdraw(Defect::AsSet)),
        ("AS_CONFED_SET (RFC 9774)", WELL_KNOWN, code::AS_PATH, as4(&[4, 1, 0, 0, 0, 1]), &INTERNAL, Withdraw(Defect::AsSet)),
        ("confederation inside", WELL_KNOWN, code::AS_PATH, as4(confed), &INTERNAL, Accept),
        ("confederation outside (RFC 5065)", WELL_KNOWN, code::AS_PATH, as4(confed), &EXTERNAL, Withdraw(Defect::Value)),
        ("AS_PATH of two octets", WELL_KNOWN, code::AS_PATH, as4(&[2, 1, 0, 1]), &OLD, Accept),
        ("AS_PATH of four octets from an old speaker", WELL_KNOWN, code::AS_PATH, as4(&[2, 1, 0, 0, 0, 1]), &OLD, Withdraw(Defect::Value)),
        ("NEXT_HOP of 3 octets", WELL_KNOWN, code::NEXT_HOP, vec![1, 2, 3], &EXTERNAL, Withdraw(Defect::Length(3))),
        ("NEXT_HOP 0.0.0.0", WELL_KNOWN, code::NEXT_HOP, vec![0; 4], &EXTERNAL, Withdraw(Defect::Value)),
        ("NEXT_HOP 127.0.0.1", WELL_KNOWN, code::NEXT_HOP, vec![127, 0, 0, 1], &EXTERNAL, Withdraw(Defect::Value)),
        ("NEXT_HOP 224.0.0.1", WELL_KNOWN, code::NEXT_HOP, vec![224, 0, 0, 1], &EXTERNAL, Withdraw(Defect::Value)),
        ("MED", OPTIONAL, code::MED, vec![0; 4], &EXTERNAL, Accept),
        ("MED of 5 octets", OPTIONAL, code::MED, vec![0; 5], &EXTERNAL, Withdraw(Defect::Length(5))),
        ("transitive MED", ot, code::MED, vec![0; 4], &EXTERNAL, Withdraw(Defect::Flags(ot))),
        ("LOCAL_PREF inside", WELL_KNOWN, code::LOCAL_PREF, vec![0; 4], &INTERNAL, Accept),
        ("LOCAL_PREF of 3 octets inside", WELL_KNOWN, code::LOCAL_PREF, vec![0; 3], &INTERNAL, Withdraw(Defect::Length(3))),
        ("LOCAL_PREF from outside", WELL_KNOWN, code::LOCAL_PREF, vec![0; 4], &EXTERNAL, Discard),
        ("LOCAL_PREF of 3 octets from outside", WELL_KNOWN, code::LOCAL_PREF, vec![0; 3], &EXTERNAL, Discard),
        ("ATOMIC_AGGREGATE", WELL_KNOWN, code::ATOMIC_AGGREGATE, vec![], &EXTERNAL, Accept),
        ("ATOMIC_AGGREGATE of 1 octet", WELL_KNOWN, code::ATOMIC_AGGREGATE, vec![0], &EXTERNAL, Discard),
        ("AGGREGATOR of 8 octets", ot, code::AGGREGATOR, vec![0, 0, 0, 1, 1, 2, 3, 4], &EXTERNAL, Accept),
        ("AGGREGATOR of 6 octets", ot, code::AGGREGATOR, vec![0, 1, 1, 2, 3, 4], &EXTERNAL, Discard),
        ("AGGREGATOR of 6 octets from an old speaker", ot, code::AGGREGATOR, vec![0, 1, 1, 2, 3, 4], &OLD, Accept),
        ("AGGREGATOR of 8 octets from an old speaker", ot, code::AGGREGATOR, vec![0, 0, 0, 1, 1, 2, 3, 4], &OLD, Discard),
        ("AGGREGATOR with AS 0 (RFC 7607)", ot, code::AGGREGATOR, vec![0, 0, 0, 0, 1, 2, 3, 4], &EXTERNAL, Discard),
        ("COMMUNITIES", ot, code::COMMUNITIES, vec![0; 8], &EXTERNAL, Accept),
        ("partial COMMUNITIES", ot | PARTIAL, code::COMMUNITIES, vec![0; 8], &EXTERNAL, Accept),
        ("COMMUNITIES of 6 octets", ot, code::COMMUNITIES, vec![0; 6], &EXTERNAL, Withdraw(Defect::Length(6))),
        ("empty COMMUNITIES", ot, code::COMMUNITIES, vec![], &EXTERNAL, Withdraw(Defect::Length(0))),
        ("non-transitive COMMUNITIES", OPTIONAL, code::COMMUNITIES, vec![0; 4], &EXTERNAL, Withdraw(Defect::Flags(OPTIONAL))),
        ("ORIGINATOR_ID inside", OPTIONAL, code::ORIGINATOR_ID, vec![1; 4], &INTERNAL, Accept),
        ("ORIGINATOR_ID of 5 octets inside", OPTIONAL, code::ORIGINATOR_ID, vec![1; 5], &INTERNAL, Withdraw(Defect::Length(5))),
        ("ORIGINATOR_ID from outside", OPTIONAL, code::ORIGINATOR_ID, vec![1; 5], &EXTERNAL, Discard),
        ("CLUSTER_LIST inside", OPTIONAL, code::CLUSTER_LIST, vec![1; 8], &INTERNAL, Accept),
        ("CLUSTER_LIST of 7 octets inside", OPTIONAL, code::CLUSTER_LIST, vec![1; 7], &INTERNAL, Withdraw(Defect::Length(7))),
        ("empty CLUSTER_LIST inside", OPTIONAL, code::CLUSTER_LIST, vec![], &INTERNAL, Withdraw(Defect::Length(0))),
        ("CLUSTER_LIST from outside", OPTIONAL, code::CLUSTER_LIST, vec![1; 7], &EXTERNAL, Discard),
        ("EXTENDED_COMMUNITIES", ot, code::EXT_COMMUNITIES, vec![0; 16], &EXTERNAL, Accept),
        ("EXTENDED_COMMUNITIES of 12 octets", ot, code::EXT_COMMUNITIES, vec![0; 12], &EXTERNAL, Withdraw(Defect::Length(12))),
        ("empty EXTENDED_COMMUNITIES", ot, code::EXT_COMMUNITIES, vec![], &EXTERNAL, Withdraw(Defect::Length(0))),
        ("IPv6 EXTENDED_COMMUNITIES", ot, code::IPV6_EXT_COMMUNITIES, vec![0; 20], &EXTERNAL, Accept),
        ("IPv6 EXTENDED_COMMUNITIES of 24 octets", ot, code::IPV6_EXT_COMMUNITIES, vec![0; 24], &EXTERNAL, Withdraw(Defect::Length(24))),
        ("LARGE_COMMUNITY", ot, code::LARGE_COMMUNITIES, vec![0; 24], &EXTERNAL, Accept),
        ("LARGE_COMMUNITY of 16 octets", ot, code::LARGE_COMMUNITIES, vec![0; 16], &EXTERNAL, Withdraw(Defect::Length(16))),
        ("empty LARGE_COMMUNITY", ot, code::LARGE_COMMUNITIES, vec![], &EXTERNAL, Withdraw(Defect::Length(0))),
        ("AS4_PATH from a new speaker (RFC 6793)", ot, code::AS4_PATH, vec![9], &EXTERNAL, Discard),
        ("AS4_AGGREGATOR from a new speaker", ot, code::AS4_AGGREGATOR, vec![9], &EXTERNAL, Discard),
        ("PMSI_TUNNEL, ingress replication", ot, code::PMSI_TUNNEL, vec![0, 6, 0, 0, 10, 1, 2, 3, 4], &EXTERNAL, Accept),
        ("PMSI_TUNNEL of an unknown type (RFC 7385)", ot, code::PMSI_TUNNEL, vec![0, 99, 0, 0, 10, 1], &EXTERNAL, Accept),
        ("PMSI_TUNNEL of 4 octets", ot, code::PMSI_TUNNEL, vec![0, 6, 0, 0], &EXTERNAL, Withdraw(Defect::Value)),
        ("PMSI_TUNNEL to 3 octets", ot, code::PMSI_TUNNEL, vec![0, 6, 0, 0, 10, 1, 2, 3], &EXTERNAL, Withdraw(Defect::Value)),
        ("unknown well-known attribute", WELL_KNOWN, 99, vec![1], &EXTERNAL, Reset(2)),
        ("unknown transitive attribute", ot, 99, vec![1], &EXTERNAL, Accept),
        ("unknown transitive attribute, empty", ot, 99, vec![], &EXTERNAL, Accept),
        ("unknown non-transitive attribute", OPTIONAL, 99, vec![1], &EXTERNAL, Accept),
        ("MP_REACH_NLRI of 4 octets", OPTIONAL, code::MP_REACH_NLRI, vec![0, 2, 1, 0], &EXTERNAL, Reset(9)),
        ("MP_REACH_NLRI, next hop of 8 octets", OPTIONAL, code::MP_REACH_NLRI, [&[0, 2, 1, 8], &[1; 9][..]].concat(), &EXTERNAL, Reset(9)),
        ("MP_REACH_NLRI, IPv4 next hop of IPv6", OPTIONAL, code::MP_REACH_NLRI, [&[0, 2, 1, 4], &[1; 5][..]].concat(), &EXTERNAL, Reset(9)),
        ("MP_REACH_NLRI, next hop overruns", OPTIONAL, code::MP_REACH_NLRI, [&[0, 2, 1, 16], &[1; 16][..]].concat(), &EXTERNAL, Reset(9)),
        ("MP_REACH_NLRI, next hop ::", OPTIONAL, code::MP_REACH_NLRI, [&[0, 2, 1, 16], &[0; 17][..]].concat(), &EXTERNAL, Withdraw(Defect::Value)),
        ("MP_REACH_NLRI, reserved octet not 0", OPTIONAL, code::MP_REACH_NLRI, [&[0, 1, 1, 4], &[1; 5][..]].concat(), &EXTERNAL, Accept),
        ("transitive MP_REACH_NLRI (RFC 7606 §5.3)", ot, code::MP_REACH_NLRI, [&[0, 1, 1, 4], &[1; 5][..]].concat(), &EXTERNAL, Reset(4)),
        ("transitive MP_UNREACH_NLRI (RFC 7606 §5.3)", ot, code::MP_UNREACH_NLRI, vec![0, 1, 1], &EXTERNAL, Reset(4)),
        ("partial MP_REACH_NLRI", OPTIONAL | PARTIAL, code::MP_REACH_NLRI, [&[0, 1, 1, 4], &[1; 5][..]].concat(), &EXTERNAL, Accept),
        ("MP_REACH_NLRI of a family not negotiated", OPTIONAL, code::MP_REACH_NLRI, [&[0, 1, 128, 8], &[1; 9][..]].concat(), &EXTERNAL, Accept),
        ("MP_UNREACH_NLRI of 2 octets", OPTIONAL, code::MP_UNREACH_NLRI, vec![0, 2], &EXTERNAL, Reset(9)),
    ];
    for (what, flags, code, value, context, want) in rows {
        assert_outcome(what, &with(&attribute(*flags, *code, value), context), *code, context, want);
    }
}

#[test]
fn as4_attributes_of_an_old_speaker_are_read() {
    let ot = OPTIONAL_TRANSITIVE;
    let rows: &[(&str, u8, Vec<u8>, Want)] = &[
        ("AS4_PATH", code::AS4_PATH, vec![2, 1, 0, 1, 0, 0], Accept),
        ("broken AS4_PATH", code::AS4_PATH, vec![2, 2, 0, 1, 0, 0], Discard),
        ("AS4_PATH with AS 0", code::AS4_PATH, vec![2, 1, 0, 0, 0, 0], Discard),
        ("AS4_PATH with a set", code::AS4_PATH, vec![1, 1, 0, 1, 0, 0], Withdraw(Defect::AsSet)),
        ("AS4_AGGREGATOR", code::AS4_AGGREGATOR, vec![0, 1, 0, 0, 1, 2, 3, 4], Accept),
        ("AS4_AGGREGATOR of 6 octets", code::AS4_AGGREGATOR, vec![0, 1, 1, 2, 3, 4], Discard),
    ];
    for (what, code, value, want) in rows {
        let path = attribute(WELL_KNOWN, code::AS_PATH, &[2, 1, 0x5b, 0xa0]);
        let attributes = [origin(), path, next_hop(), attribute(ot, *code, value)].concat();
        assert_outcome(what, &attributes, *code, &OLD, want);
    }
}

#[test]
fn a_missing_mandatory_attribute_costs_the_routes() {
    for (missing, attributes) in [
        (code::ORIGIN, [as_path(), next_hop()].concat()),
        (code::AS_PATH, [origin(), next_hop()].concat()),
        (code::NEXT_HOP, [origin(), as_path()].concat()),
    ] {
        assert_outcome("missing", &attributes, missing, &INTERNAL, &Withdraw(Defect::Missing));
    }
}

#[test]
fn next_hop_is_not_needed_beside_mp_reach() {
    let attributes = [mp_reach_ipv6(), origin(), as_path()].concat();
    assert_eq!(outcome(&body(&[], &attributes, &[]), &INTERNAL), Ok(Verdict::Accept));
}

#[test]
fn of_two_attributes_with_one_code_the_first_counts() {
    let attributes = [mandatory(), attribute(WELL_KNOWN, code::ORIGIN, &[77])].concat();
    assert_outcome("second ORIGIN is broken", &attributes, code::ORIGIN, &INTERNAL, &Accept);
}

#[test]
fn two_mp_reach_reset_the_session() {
    let attributes = [mp_reach_ipv6(), mandatory(), mp_reach_ipv6()].concat();
    assert_outcome("MP_REACH_NLRI twice", &attributes, code::MP_REACH_NLRI, &INTERNAL, &Reset(1));
}

#[test]
fn an_attribute_past_the_end_costs_the_routes_but_not_the_session() {
    let overrun = Withdraw(Defect::Overrun);
    let med = attribute(OPTIONAL, code::MED, &[0; 4]);
    for cut in 1..med.len() {
        let attributes = [&mandatory(), &med[..cut]].concat();
        assert_outcome("cut attribute", &attributes, 0, &INTERNAL, &overrun);
    }
    // With the extended length flag, three octets are not yet a header.
    let attributes = [&mandatory()[..], &[OPTIONAL | 0x10, code::MED, 0]].concat();
    assert_outcome("cut header", &attributes, 0, &INTERNAL, &overrun);
}

#[test]
fn routes_past_the_end_reset_the_session() {
    let reach = mp_reach_ipv6();
    let attributes = [&mandatory(), &reach[..reach.len() - 1]].concat();
    assert_outcome("cut MP_REACH_NLRI", &attributes, 0, &INTERNAL, &Reset(9));
}

#[test]
fn lengths_that_contradict_the_message_reset_the_session() {
    let sound = body(ROUTE, &mandatory(), &[]);
    for cut in 0..sound.len() {
        let Err(notification) = outcome(&sound[..cut], &INTERNAL) else {
            panic!("{cut} octets were enough")
        };
        assert_eq!((notification.code, notification.subcode), (3, 1));
    }
}

#[test]
fn a_broken_attribute_without_any_route_resets_the_session() {
    let broken = attribute(WELL_KNOWN, code::ORIGIN, &[9]);
    let result = outcome(&body(ROUTE, &broken, &[]), &INTERNAL);
    assert_eq!(result, Err(Notification::new(3, 6)));
    // But what is only discarded does not.
    let discarded = attribute(WELL_KNOWN, code::ATOMIC_AGGREGATE, &[9]);
    assert!(matches!(
        outcome(&body(ROUTE, &discarded, &[]), &INTERNAL),
        Ok(Verdict::DiscardAttributes(_))
    ));
}

#[test]
fn the_strongest_outcome_wins() {
    let discard = attribute(WELL_KNOWN, code::ATOMIC_AGGREGATE, &[9]);
    let withdraw = attribute(OPTIONAL, code::MED, &[9]);
    let reset = attribute(WELL_KNOWN, 99, &[]);
    let both = [mandatory(), discard, withdraw].concat();
    assert_outcome(
        "withdraw beats discard",
        &both,
        code::MED,
        &INTERNAL,
        &Withdraw(Defect::Length(1)),
    );
    let all = [both, reset].concat();
    assert_outcome("reset beats withdraw", &all, 99, &INTERNAL, &Reset(2));
}

#[test]
fn routes_come_with_their_next_hop() {
    let attributes = [mp_reach_ipv6(), mandatory()].concat();
    let octets = body(&[16, 172, 16], &attributes, &[8, 10, 24, 192, 0, 2]);
    let view = UpdateView::parse(&octets, &INTERNAL).unwrap();
    let announced: Vec<_> = view
        .announced::<Ipv4Unicast>()
        .flat_map(|group| {
            group.routes.map(move |route| (group.next_hop, route.unwrap().0.to_string()))
        })
        .collect();
    let hop = Some(NextHop::V4([192, 0, 2, 1].into()));
    assert_eq!(announced, [(hop, "10.0.0.0/8".to_owned()), (hop, "192.0.2.0/24".to_owned())]);
    let withdrawn: Vec<_> =
        view.withdrawn::<Ipv4Unicast>().map(|route| route.unwrap().0.to_string()).collect();
    assert_eq!(withdrawn, ["172.16.0.0/16"]);
    let ipv6: Vec<_> = view.announced::<Ipv6Unicast>().flat_map(|group| group.routes).collect();
    assert_eq!(ipv6, [Ok(("2001:db8::/32".parse().unwrap(), ()))]);
    assert_eq!(view.withdrawn::<Ipv6Unicast>().count(), 0);
    assert_eq!(view.announced::<Evpn>().count(), 0);
}

#[test]
fn ipv4_routes_may_have_an_ipv6_next_hop() {
    let value = [&[0, 1, 1, 32], &[0xfe; 16][..], &[0xfe; 16], &[0, 8, 10]].concat();
    let attributes =
        [attribute(OPTIONAL, code::MP_REACH_NLRI, &value), origin(), as_path()].concat();
    let octets = body(&[], &attributes, &[]);
    let view = UpdateView::parse(&octets, &INTERNAL).unwrap();
    let group = view.announced::<Ipv4Unicast>().next().unwrap();
    let address = [0xfe; 16].into();
    assert_eq!(group.next_hop, Some(NextHop::V6 { global: address, link_local: Some(address) }));
    assert_eq!(group.routes.count(), 1);
}

#[test]
fn a_prefix_that_cannot_be_read_is_an_error_and_the_last_route() {
    let octets = body(&[], &mandatory(), &[8, 10, 33, 1, 2, 3, 4, 5]);
    let view = UpdateView::parse(&octets, &INTERNAL).unwrap();
    let routes: Vec<_> = view.announced::<Ipv4Unicast>().flat_map(|group| group.routes).collect();
    assert_eq!(routes[1..], [Err(NlriError::PrefixLength { length: 33, max: 32 })]);
}

#[test]
fn families_that_were_not_negotiated_are_ignored_without_harm() {
    let context =
        UpdateContext { families: [AfiSafi::L2VPN_EVPN].into_iter().collect(), ..INTERNAL };
    let attributes = [mp_reach_ipv6(), origin(), as_path()].concat();
    let octets = body(ROUTE, &attributes, ROUTE);
    let view = UpdateView::parse(&octets, &context).unwrap();
    assert_eq!(view.verdict, Verdict::Accept);
    assert_eq!(view.ignored_family, Some(AfiSafi::IPV4_UNICAST));
    assert_eq!(
        view.announced::<Ipv4Unicast>().count() + view.announced::<Ipv6Unicast>().count(),
        0
    );
    assert_eq!(view.withdrawn::<Ipv4Unicast>().count(), 0);
}

#[test]
fn end_of_rib_is_told_from_other_updates() {
    let eor = |withdrawn: &[u8], attributes: &[u8], context: &UpdateContext| {
        let octets = body(withdrawn, attributes, &[]);
        UpdateView::parse(&octets, context).unwrap().end_of_rib()
    };
    assert_eq!(eor(&[], &[], &INTERNAL), Some(AfiSafi::IPV4_UNICAST));
    assert_eq!(eor(ROUTE, &[], &INTERNAL), None);
    let evpn = attribute(OPTIONAL, code::MP_UNREACH_NLRI, &[0, 25, 70]);
    assert_eq!(eor(&[], &evpn, &INTERNAL), Some(AfiSafi::L2VPN_EVPN));
    let only_ipv4 =
        UpdateContext { families: [AfiSafi::IPV4_UNICAST].into_iter().collect(), ..INTERNAL };
    assert_eq!(eor(&[], &evpn, &only_ipv4), None);
    let withdrawal = attribute(OPTIONAL, code::MP_UNREACH_NLRI, &[0, 2, 1, 0]);
    assert_eq!(eor(&[], &withdrawal, &INTERNAL), None);
}

#[test]
fn an_evpn_route_with_broken_insides_is_skipped_and_the_next_one_read() {
    let rd = [0, 1, 192, 0, 2, 1, 0, 1];
    let multicast = [&[3, 17][..], &rd, &[0; 4], &[32, 192, 0, 2, 1]].concat();
    let bad_mac_length = [&[2, 33][..], &rd, &[0; 14], &[40], &[0; 10]].concat();
    let value = [&[0, 25, 70, 4, 192, 0, 2, 1, 0][..], &bad_mac_length, &multicast].concat();
    let attributes =
        [attribute(OPTIONAL, code::MP_REACH_NLRI, &value), origin(), as_path()].concat();
    let octets = body(&[], &attributes, &[]);
    let view = UpdateView::parse(&octets, &INTERNAL).unwrap();
    let routes: Vec<_> = view.announced::<Evpn>().flat_map(|group| group.routes).collect();
    assert!(matches!(routes[..], [Ok((EvpnKey::Multicast { .. }, _))]), "{routes:?}");
}
