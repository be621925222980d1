//! Two decoders that we did not write, as a second and third opinion.
//!
//! What we write, they must read and write back as the same routes. Of messages that are damaged they must think what we
//! think: RFC 7606's outcome from `rustbgpd-wire`, the routes from both. Where they differ for a reason that we know, the
//! reason stands beside the exception.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::{env, fs};

use bgp::types::{Asn, Label, RouteDistinguisher, RouteTarget};
use bgp::wire::{
    AttributeInterner, AttributeSet, Evpn, EvpnKey, EvpnPayload, ExtCommunity, Family, FamilySet,
    HEADER_LEN, Ipv4Unicast, Ipv6Unicast, LargeCommunity, MAX_MESSAGE, NextHop, Origin, PmsiTunnel,
    UpdateContext, UpdatePacker, UpdateView, Verdict,
};
use bytes::Bytes;
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use proptest::prelude::*;
use rustbgpd_wire::validate::{ErrorDisposition, validate_update_attributes};
use rustbgpd_wire::{Ipv4UnicastMode, PathAttribute, UpdateMessage};

const CONTEXT: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: true,
    families: FamilySet::ALL,
    add_path: FamilySet::EMPTY,
};
const PACKER: UpdatePacker = UpdatePacker { max_len: MAX_MESSAGE, four_octet_as: true };

/// `ORACLE_CASES=1000000` looks longer for a difference.
fn cases() -> u32 {
    env::var("ORACLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(20_000)
}

/// RFC 7606, without the discarding of attributes: that does not change which routes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Use,
    Withdraw,
    Reset,
}

/// What we make of a body: the outcome, and the routes with or without their attributes.
fn ours(body: &[u8], with_attributes: bool) -> (Outcome, Vec<String>) {
    let Ok(view) = UpdateView::parse(body, &CONTEXT) else { return (Outcome::Reset, Vec::new()) };
    let mut routes = Vec::new();
    let readable = read::<Ipv4Unicast>(&view, with_attributes, &mut routes)
        && read::<Ipv6Unicast>(&view, with_attributes, &mut routes)
        && read::<Evpn>(&view, with_attributes, &mut routes);
    match view.verdict {
        _ if !readable => (Outcome::Reset, Vec::new()),
        Verdict::TreatAsWithdraw(_) => (Outcome::Withdraw, routes),
        Verdict::Accept | Verdict::DiscardAttributes(_) => (Outcome::Use, routes),
    }
}

/// `false`: a field cannot be read, which resets the session.
fn read<F: Family>(view: &UpdateView<'_>, with_attributes: bool, out: &mut Vec<String>) -> bool {
    let mut interner = AttributeInterner::default();
    for group in view.announced::<F>() {
        let set = group
            .next_hop
            .filter(|_| with_attributes)
            .map(|next_hop| interner.intern(view, next_hop));
        for route in group.routes {
            let Ok((key, payload)) = route else { return false };
            out.push(format!("+ {key} {payload:?} {set:?}"));
        }
    }
    for route in view.withdrawn::<F>() {
        let Ok((key, _)) = route else { return false };
        out.push(format!("- {key}"));
    }
    true
}

/// What `rustbgpd-wire` makes of a body.
struct Opinion {
    outcome: Outcome,
    /// Why the session would be reset, in its words.
    error: String,
    /// Attributes that cost the routes.
    malformed: Vec<u8>,
    /// There is a route that it knows.
    has_routes: bool,
    /// What it would send on.
    again: Option<Vec<u8>>,
}

fn rustbgpd(body: &[u8]) -> Opinion {
    let mut bytes = Bytes::copy_from_slice(body);
    let parsed = UpdateMessage::decode(&mut bytes, body.len())
        .and_then(|message| message.parse_revised(true, false, false, &[]));
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            return Opinion {
                outcome: Outcome::Reset,
                error: error.to_string(),
                malformed: Vec::new(),
                has_routes: false,
                again: None,
            };
        }
    };
    let (update, attributes) = (&parsed.update, &parsed.update.attributes);
    let mp_routes = attributes.iter().any(|attribute| match attribute {
        PathAttribute::MpReachNlri(reach) => {
            !(reach.announced.is_empty() && reach.evpn_announced.is_empty())
        }
        _ => false,
    });
    let has_routes = mp_routes || !update.announced.is_empty();
    let invalid =
        validate_update_attributes(attributes, has_routes, !update.announced.is_empty(), true)
            .err()
            .map(|error| error.disposition);
    let strongest =
        parsed.malformed.iter().map(|malformed| malformed.disposition).chain(invalid).max();
    let alone = parsed.malformed.is_empty()
        && attributes.iter().all(|attribute| matches!(attribute, PathAttribute::MpUnreachNlri(_)));
    let has_reach =
        attributes.iter().any(|attribute| matches!(attribute, PathAttribute::MpReachNlri(_)));
    let malformed = parsed.malformed.iter().map(|malformed| malformed.type_code).collect();
    let outcome = match strongest {
        // RFC 7606 §5.2 is left to the user of that crate.
        Some(ErrorDisposition::TreatAsWithdraw)
            if !has_reach && update.announced.is_empty() && !alone =>
        {
            Outcome::Reset
        }
        None | Some(ErrorDisposition::AttributeDiscard) => Outcome::Use,
        Some(ErrorDisposition::TreatAsWithdraw) => Outcome::Withdraw,
        Some(ErrorDisposition::SessionReset) => Outcome::Reset,
    };
    // It reads such a next hop, and panics when it is to write it.
    let odd_link_local = attributes.iter().any(|attribute| match attribute {
        PathAttribute::MpReachNlri(reach) => {
            reach.link_local_next_hop.is_some_and(|address| !address.is_unicast_link_local())
        }
        _ => false,
    });
    if odd_link_local {
        return Opinion {
            outcome,
            error: String::new(),
            malformed: vec![14],
            has_routes,
            again: None,
        };
    }
    let mut again = Vec::new();
    let built = UpdateMessage::try_build(
        &update.announced,
        &update.withdrawn,
        attributes,
        true,
        false,
        Ipv4UnicastMode::Body,
    );
    let again = built
        .ok()
        .and_then(|message| message.encode(&mut again).ok())
        .map(|()| again.split_off(HEADER_LEN));
    Opinion { outcome, error: String::new(), malformed, has_routes, again }
}

/// What `netgauze-bgp-pkt` would send on, if it can read the body at all.
fn netgauze(body: &[u8]) -> Option<Vec<u8>> {
    let mut context = BgpParsingContext::asn2_default();
    context.set_asn4(true);
    let update = BgpUpdateMessage::parse(&mut SliceReader::new(body), &mut context).ok()?;
    let mut again = Vec::new();
    update.write(&mut again).ok()?;
    Some(again)
}

fn messages<F: Family>(set: &AttributeSet, routes: &[(F::Key, F::Payload)]) -> Vec<u8> {
    let mut out = Vec::new();
    PACKER
        .announce::<F>(set, routes.iter().map(|(key, payload)| (key, payload)), &mut out)
        .unwrap();
    assert!(out.len() <= MAX_MESSAGE);
    out.split_off(HEADER_LEN)
}

fn attribute_sets(next_hop: impl Strategy<Value = NextHop>) -> impl Strategy<Value = AttributeSet> {
    let path = prop::collection::vec((1..=u32::MAX).prop_map(Asn), 1..20);
    let communities = prop::collection::vec(any::<u32>(), 0..5);
    // Of a type that both print as they are: route targets.
    let targets = prop::collection::vec((1..=u16::MAX, any::<u32>()), 0..5);
    let large = prop::collection::vec(any::<[u32; 3]>(), 0..3);
    let numbers = (prop::option::of(any::<u32>()), 0..3_u8, any::<bool>());
    (next_hop, path, communities, targets, large, numbers).prop_map(
        |(next_hop, path, communities, targets, large, (med, origin, vxlan))| {
            let mut editor = AttributeSet::builder(next_hop);
            editor.set_as_path(&path).set_origin(Origin::from_octet(origin).unwrap());
            for community in communities {
                editor.add_community(community);
            }
            for (asn, number) in targets {
                editor.add_ext_community(RouteTarget::from_as2(asn, number).into());
            }
            for [global, local1, local2] in large {
                editor.add_large_community(LargeCommunity { global, local1, local2 });
            }
            if let Some(med) = med {
                editor.set_med(med);
            }
            if vxlan {
                editor.add_ext_community(ExtCommunity::encapsulation_vxlan());
            }
            editor.build()
        },
    )
}

fn hosts() -> impl Strategy<Value = NextHop> {
    (1..=126_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| NextHop::V4([a, b, c, d].into()))
}

fn ipv6_hosts() -> impl Strategy<Value = NextHop> {
    (any::<[u8; 15]>(), any::<bool>()).prop_map(|(octets, link_local)| {
        let mut global = [0x20; 16];
        global[1..].copy_from_slice(&octets);
        let link_local = link_local.then(|| "fe80::1".parse().unwrap());
        NextHop::V6 { global: global.into(), link_local }
    })
}

fn ips() -> impl Strategy<Value = std::net::IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(std::net::IpAddr::from),
        any::<[u8; 16]>().prop_map(std::net::IpAddr::from)
    ]
}

fn evpn_routes() -> impl Strategy<Value = (EvpnKey, EvpnPayload)> {
    let rd = any::<([u8; 4], u16)>()
        .prop_map(|(address, number)| RouteDistinguisher::from_ipv4(address.into(), number));
    let label = (0..1_u32 << 24).prop_map(Label::from_vni);
    let esi = any::<[u8; 9]>().prop_map(|value| {
        let mut octets = [0; 10];
        octets[1..].copy_from_slice(&value);
        bgp::types::EthernetSegmentId(octets)
    });
    // Tag 0 or whole: `rustbgpd-wire` reads other type 1 tags, but keeps labels only for those.
    (
        rd,
        esi,
        label,
        any::<u32>(),
        any::<[u8; 6]>(),
        prop::option::of(ips()),
        ips(),
        0..=32_u8,
        0..4_u8,
    )
        .prop_map(|(rd, esi, label, ethernet_tag, mac, ip, originator, length, kind)| {
            let none = EvpnPayload::default();
            match kind {
                0 => {
                    let label2 = (length & 1 == 0).then_some(label);
                    let key = EvpnKey::MacIp { rd, ethernet_tag, mac: mac.into(), ip };
                    (key, EvpnPayload { esi, label, label2, gateway: None })
                }
                1 => (EvpnKey::Multicast { rd, ethernet_tag, originator }, none),
                2 => (EvpnKey::EthernetSegment { rd, esi, originator }, none),
                _ => {
                    let prefix = ipnet::IpNet::new(originator, length).unwrap().trunc();
                    (EvpnKey::Prefix { rd, ethernet_tag, prefix }, EvpnPayload { label, ..none })
                }
            }
        })
}

/// Both read what we wrote, and write it back as the same routes with the same attributes.
fn assert_understood(body: &[u8]) -> Result<(), TestCaseError> {
    let (outcome, expected) = ours(body, true);
    prop_assert_eq!(outcome, Outcome::Use);
    let theirs = rustbgpd(body);
    prop_assert_eq!(theirs.outcome, Outcome::Use, "rustbgpd-wire");
    prop_assert_eq!(&ours(&theirs.again.unwrap(), true).1, &expected, "rustbgpd-wire");
    let again = netgauze(body);
    prop_assert!(again.is_some(), "netgauze-bgp-pkt");
    prop_assert_eq!(&ours(&again.unwrap(), true).1, &expected, "netgauze-bgp-pkt");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn ipv4_routes_are_understood(
        set in attribute_sets(hosts()),
        prefixes in prop::collection::vec((any::<[u8; 4]>(), 0..=32_u8), 1..100),
    ) {
        let prefix = |(address, length): ([u8; 4], u8)| ipnet::Ipv4Net::new(address.into(), length).unwrap().trunc();
        // `netgauze-bgp-pkt` takes no multicast prefix for unicast.
        let unicast = |prefix: &ipnet::Ipv4Net| !prefix.addr().is_multicast();
        let routes: Vec<_> = prefixes.into_iter().map(prefix).filter(unicast).map(|prefix| (prefix, ())).collect();
        prop_assume!(!routes.is_empty());
        assert_understood(&messages::<Ipv4Unicast>(&set, &routes))?;
    }

    #[test]
    fn ipv6_routes_are_understood(
        set in attribute_sets(ipv6_hosts()),
        prefixes in prop::collection::vec((any::<[u8; 16]>(), 0..=128_u8), 1..100),
    ) {
        let prefix = |(address, length): ([u8; 16], u8)| ipnet::Ipv6Net::new(address.into(), length).unwrap().trunc();
        let unicast = |prefix: &ipnet::Ipv6Net| !prefix.addr().is_multicast();
        let routes: Vec<_> = prefixes.into_iter().map(prefix).filter(unicast).map(|prefix| (prefix, ())).collect();
        prop_assume!(!routes.is_empty());
        assert_understood(&messages::<Ipv6Unicast>(&set, &routes))?;
    }

    #[test]
    fn evpn_routes_are_understood(
        set in attribute_sets(hosts()),
        routes in prop::collection::vec(evpn_routes(), 1..50),
        tunnel in prop::option::of((0..1_u32 << 24, any::<[u8; 4]>())),
    ) {
        let mut editor = set.edit();
        if let Some((vni, endpoint)) = tunnel {
            editor.set_pmsi_tunnel(PmsiTunnel::ingress_replication(Label::from_vni(vni), endpoint.into()));
        }
        assert_understood(&messages::<Evpn>(&editor.build(), &routes))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn of_damaged_messages_they_think_what_we_think(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bodies = captured_bodies();
        let mut body = which.get(&bodies).clone();
        for (at, octet) in damage {
            let at = at.index(body.len());
            body[at] = octet;
        }
        assert_same_opinion(&body)?;
    }
}

/// The UPDATEs of `golden/`.
fn captured_bodies() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = ["frr-8.4.4.hex", "gobgp-3.10.hex", "bird-2.0.12.hex"];
    let text: String =
        files.iter().map(|file| fs::read_to_string(folder.join(file)).unwrap()).collect();
    let octets = |line: &str| -> Vec<u8> {
        (0..line.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap())
            .collect()
    };
    let messages = text.lines().filter(|line| !line.starts_with('#')).map(octets);
    messages
        .filter(|message| message[18] == 2)
        .map(|mut message| message.split_off(HEADER_LEN))
        .collect()
}

fn assert_same_opinion(body: &[u8]) -> Result<(), TestCaseError> {
    let (outcome, routes) = ours(body, false);
    let theirs = rustbgpd(body);
    if theirs.outcome != outcome {
        prop_assert!(
            is_known_difference(body, outcome, &routes, &theirs),
            "{outcome:?}, {:?} body {body:02x?}",
            theirs.outcome
        );
    } else if outcome == Outcome::Use {
        if let Some(again) = theirs.again {
            let again = ours(&again, false).1;
            prop_assert_eq!(
                known_types(&routes),
                known_types(&again),
                "rustbgpd-wire, body {:02x?}",
                body
            );
        }
        if let Some(again) = netgauze(body) {
            prop_assert_eq!(
                &routes,
                &ours(&again, false).1,
                "netgauze-bgp-pkt, body {:02x?}",
                body
            );
        }
    }
    Ok(())
}

/// Without EVPN routes of types that we relay and `rustbgpd-wire` drops.
fn known_types(routes: &[String]) -> Vec<&String> {
    let is_known = |route: &&String| {
        !route[2..].starts_with('[') || ("1"..="5").contains(&&route[3..4]) && &route[4..5] == "]"
    };
    routes.iter().filter(is_known).collect()
}

/// Where we mean to differ from `rustbgpd-wire`.
fn is_known_difference(body: &[u8], ours: Outcome, routes: &[String], theirs: &Opinion) -> bool {
    let verdict = UpdateView::parse(body, &CONTEXT).map(|view| view.verdict);
    let malformed = |code| theirs.malformed.contains(&code);
    match (ours, theirs.outcome) {
        // A family that was not negotiated is ignored (RFC 4760 §8). An EVPN route with broken insides is skipped, because
        // its length says where the next one is (RFC 7606 §5.4).
        (_, Outcome::Reset)
            if theirs.error.contains("unsupported") || theirs.error.contains("EVPN Type") =>
        {
            true
        }
        (_, Outcome::Reset)
            if theirs.error.contains("VPN next-hop") || theirs.error.contains("FlowSpec") =>
        {
            true
        }
        // The partial bit is not among those that RFC 7606 §3 (c) compares.
        (_, Outcome::Reset) if theirs.error.contains("flags") => true,
        (Outcome::Use, _) if malformed(4) || malformed(9) || malformed(10) => true,
        // A type 5 route with two overlay indexes is withdrawn alone (`Family::is_usable`). PMSI tunnels of unknown types
        // are no error since RFC 7385. Any second next hop is taken for what it is.
        (Outcome::Use, _) if malformed(14) || malformed(22) => true,
        // Attributes that only they know; for us they are opaque.
        (Outcome::Use, _) => theirs.malformed.iter().any(|code| !KNOWN_ATTRIBUTES.contains(code)),
        // An MP_REACH_NLRI with nothing in it is no route (RFC 7606 §5.2); here the two cannot tell it from one with
        // routes that they drop.
        (Outcome::Reset, Outcome::Withdraw) if !theirs.has_routes => true,
        // An unknown well-known attribute is still answered with a NOTIFICATION (RFC 4271 §6.3).
        (Outcome::Reset, _) => verdict.is_err_and(|notification| notification.subcode == 2),
        // We take no next hop that cannot be a host: 0/8, 127/8, ::1. And an EVPN route of a type that they drop, and we
        // relay, is a route: its UPDATE needs the mandatory attributes.
        (Outcome::Withdraw, Outcome::Use) => {
            let no_host = matches!(verdict, Ok(Verdict::TreatAsWithdraw(error)) if matches!(error.code, 3 | 14));
            no_host || known_types(routes).len() < routes.len()
        }
        _ => false,
    }
}

const KNOWN_ATTRIBUTES: [u8; 18] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 22, 25, 32];
