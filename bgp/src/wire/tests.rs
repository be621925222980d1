//! Header, OPEN, capabilities, NOTIFICATION, ROUTE-REFRESH, and the routes of each family.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::*;
use crate::types::{
    AfiSafi, Asn, EthernetSegmentId, Label, MacAddr, RouteDistinguisher, RouteTarget, RouterId,
};

fn message(length: u16, kind: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    [&[0xff; 16][..], &[high, low, kind], body].concat()
}

fn split_error(input: &[u8]) -> Notification {
    split_message(input, MAX_MESSAGE).unwrap_err()
}

#[test]
fn a_message_is_split_off_once_it_is_whole() {
    let mut stream = Vec::new();
    encode_keepalive(&mut stream);
    RouteRefresh { family: AfiSafi::L2VPN_EVPN, subtype: RouteRefresh::BEGIN }.encode(&mut stream);
    let first = split_message(&stream, MAX_MESSAGE).unwrap().unwrap();
    assert_eq!(first, Frame { kind: MessageType::Keepalive, body: &[], len: 19 });
    let rest = &stream[first.len..];
    for cut in 0..rest.len() {
        assert_eq!(split_message(&rest[..cut], MAX_MESSAGE), Ok(None));
    }
    let second = split_message(rest, MAX_MESSAGE).unwrap().unwrap();
    assert_eq!(
        (second.kind, second.body, second.len),
        (MessageType::RouteRefresh, &[0, 25, 1, 70][..], 23)
    );
}

#[test]
fn a_broken_header_is_answered_before_the_body_arrives() {
    let mut lost = message(19, 4, &[]);
    lost[7] = 0;
    assert_eq!(split_error(&lost), Notification::new(1, 1));
    assert_eq!(split_error(&message(18, 4, &[])), Notification::with_data(1, 2, vec![0, 18]));
    assert_eq!(split_error(&message(20, 4, &[0])), Notification::with_data(1, 2, vec![0, 20]));
    assert_eq!(split_error(&message(28, 1, &[])), Notification::with_data(1, 2, vec![0, 28]));
    assert_eq!(split_error(&message(22, 2, &[])), Notification::with_data(1, 2, vec![0, 22]));
    assert_eq!(split_error(&message(20, 3, &[])), Notification::with_data(1, 2, vec![0, 20]));
    assert_eq!(split_error(&message(4097, 2, &[])), Notification::with_data(1, 2, vec![0x10, 1]));
    assert_eq!(split_error(&message(19, 6, &[])), Notification::with_data(1, 3, vec![6]));
}

#[test]
fn only_update_notification_and_route_refresh_may_be_extended_messages() {
    assert_eq!(split_message(&message(4097, 2, &[]), MAX_EXTENDED_MESSAGE), Ok(None));
    assert!(split_message(&message(4097, 1, &[]), MAX_EXTENDED_MESSAGE).is_err());
}

fn all_capabilities() -> Vec<Capability> {
    vec![
        Capability::Multiprotocol(AfiSafi::IPV4_UNICAST),
        Capability::Multiprotocol(AfiSafi::L2VPN_EVPN),
        Capability::RouteRefresh,
        Capability::ExtendedNextHop(vec![ExtendedNextHop {
            family: AfiSafi::IPV4_UNICAST,
            next_hop_afi: 2,
        }]),
        Capability::ExtendedMessage,
        Capability::FourOctetAs(Asn(4_200_000_001)),
        Capability::GracefulRestart(GracefulRestart {
            restarting: true,
            notification: true,
            time: 120,
            families: vec![(AfiSafi::IPV4_UNICAST, true), (AfiSafi::L2VPN_EVPN, false)],
        }),
        Capability::EnhancedRouteRefresh,
        Capability::AddPath(vec![(AfiSafi::IPV4_UNICAST, 3)]),
        Capability::Hostname { host: "leaf1".to_owned(), domain: String::new() },
        Capability::LinkLocalNextHop,
        // A name longer than its value.
        Capability::Unknown { code: 73, value: b"switch".to_vec() },
        Capability::RouteRefresh,
    ]
}

fn open(capabilities: Vec<Capability>) -> Open {
    Open {
        asn: Asn(4_200_000_001),
        hold_time: 9,
        router_id: RouterId([192, 0, 2, 1].into()),
        capabilities,
    }
}

fn encoded(open: &Open) -> Vec<u8> {
    let mut octets = Vec::new();
    open.encode(&mut octets);
    octets
}

#[test]
fn an_open_with_every_capability_survives_the_wire() {
    let open = open(all_capabilities());
    let octets = encoded(&open);
    let frame = split_message(&octets, MAX_MESSAGE).unwrap().unwrap();
    assert_eq!((frame.kind, frame.len), (MessageType::Open, octets.len()));
    assert_eq!(frame.body[1..3], [0x5b, 0xa0], "AS_TRANS in the field of two octets");
    assert_eq!(Open::decode(frame.body), Ok(open));
}

#[test]
fn an_open_with_many_capabilities_uses_long_parameters() {
    for count in [0, 1, 125, 126, 127, 128, 700] {
        let open = open(
            [
                vec![Capability::FourOctetAs(Asn(4_200_000_001))],
                vec![Capability::RouteRefresh; count],
            ]
            .concat(),
        );
        let octets = encoded(&open);
        assert_eq!(Open::decode(&octets[19..]), Ok(open), "{count} capabilities");
    }
}

#[test]
fn an_open_as_other_speakers_write_it_is_read() {
    let fixed = [4, 0xfd, 0xe9, 0, 180, 192, 0, 2, 1];
    // Each capability in a parameter of its own, as FRR does.
    let separate = [&fixed[..], &[10, 2, 2, 2, 0, 2, 4, 65, 4, 0, 0]].concat();
    assert_eq!(Open::decode(&separate), Err(Notification::malformed_open()));
    let separate = [&fixed[..], &[12, 2, 2, 2, 0, 2, 6, 65, 4, 0, 0, 0xfd, 0xe9]].concat();
    let open = Open::decode(&separate).unwrap();
    assert_eq!(open.asn, Asn(65001));
    assert_eq!(open.capabilities, [Capability::RouteRefresh, Capability::FourOctetAs(Asn(65001))]);
    // Long form; the octet before the first 255 may be anything but 0 (RFC 9072).
    let long = [&fixed[..], &[7, 255, 0, 5, 2, 0, 2, 2, 0]].concat();
    assert_eq!(Open::decode(&long).unwrap().capabilities, [Capability::RouteRefresh]);
    // No capabilities at all.
    assert_eq!(Open::decode(&[&fixed[..], &[0]].concat()).unwrap().capabilities, []);
}

#[test]
fn an_open_that_no_one_can_accept_is_answered_with_the_reason() {
    let decode = |version, asn: u8, hold_time, id| {
        Open::decode(&[version, 0, asn, 0, hold_time, 0, 0, 0, id, 0])
    };
    assert_eq!(decode(3, 1, 9, 1), Err(Notification::with_data(2, 1, vec![0, 4])));
    assert_eq!(decode(4, 0, 9, 1), Err(Notification::new(2, 2)));
    assert_eq!(decode(4, 1, 2, 1), Err(Notification::new(2, 6)));
    assert_eq!(decode(4, 1, 9, 0), Err(Notification::new(2, 3)));
    assert!(decode(4, 1, 0, 1).is_ok());
    let authentication = [4, 0, 1, 0, 9, 1, 1, 1, 1, 2, 1, 0];
    assert_eq!(Open::decode(&authentication), Err(Notification::new(2, 4)));
    let zero_as4 = [4, 0, 1, 0, 9, 1, 1, 1, 1, 8, 2, 6, 65, 4, 0, 0, 0, 0];
    assert_eq!(Open::decode(&zero_as4), Err(Notification::new(2, 2)));
    let sound = encoded(&open(all_capabilities()));
    for cut in 0..sound.len() - 19 {
        assert_eq!(
            Open::decode(&sound[19..19 + cut]),
            Err(Notification::new(2, 0)),
            "{cut} octets"
        );
    }
}

#[test]
fn a_capability_that_makes_no_sense_is_kept_and_never_an_error() {
    let odd: [(u8, &[u8]); 7] = [
        (1, &[0, 1, 1]),
        (2, &[1]),
        (5, &[0; 5]),
        (64, &[0]),
        (65, &[0; 3]),
        (69, &[0, 1, 1, 4]),
        (70, &[0]),
    ];
    for (code, value) in odd {
        let octets = [&[code, u8::try_from(value.len()).unwrap()], value].concat();
        let capability = Capability::decode(&mut Reader::new(&octets)).unwrap();
        assert_eq!(capability, Capability::Unknown { code, value: value.to_vec() });
        let mut again = Vec::new();
        capability.encode(&mut again);
        assert_eq!(again, octets);
    }
}

#[test]
fn notifications_survive_the_wire_and_read_well() {
    let rows = [
        (Notification::hold_timer_expired(), "Hold Timer Expired"),
        (Notification::bad_peer_as(), "OPEN Message Error/Bad Peer AS"),
        (Notification::malformed_open(), "OPEN Message Error"),
        (Notification::bad_message_type(9), "Message Header Error/Bad Message Type, data 09"),
        (
            Notification::unexpected_message(2),
            "Finite State Machine Error/Receive Unexpected Message in OpenConfirm State",
        ),
        (
            Notification::cease(CeaseReason::ConnectionCollision),
            "Cease/Connection Collision Resolution",
        ),
        (
            Notification::cease_with_text(CeaseReason::AdministrativeShutdown, "rack 7 moves\n"),
            r#"Cease/Administrative Shutdown: "rack 7 moves\n""#,
        ),
        (
            Notification::cease_with_text(CeaseReason::AdministrativeReset, "grün")
                .into_hard_reset(),
            r#"Cease/Hard Reset: Cease/Administrative Reset: "grün""#,
        ),
        (Notification::send_hold_timer_expired(), "Send Hold Timer Expired"),
        (Notification::new(6, 77), "Cease (6/77)"),
        (Notification::new(99, 0), "Unknown error (99/0)"),
    ];
    for (notification, text) in rows {
        let mut octets = Vec::new();
        notification.encode(&mut octets);
        let frame = split_message(&octets, MAX_MESSAGE).unwrap().unwrap();
        assert_eq!(Notification::decode(frame.body), notification);
        assert_eq!(notification.to_string(), text);
    }
}

#[test]
fn shutdown_text_is_cut_at_a_character() {
    let text = "ü".repeat(200);
    let notification = Notification::cease_with_text(CeaseReason::AdministrativeShutdown, &text);
    assert_eq!(notification.shutdown_text().unwrap(), "ü".repeat(127));
}

#[test]
fn a_route_refresh_of_the_wrong_length_is_answered_with_the_message() {
    let error = RouteRefresh::decode(&[0, 1, 0]).unwrap_err();
    assert_eq!((error.code, error.subcode, error.data.len()), (7, 1, 22));
    assert!(RouteRefresh::decode(&[0, 1, RouteRefresh::BEGIN, 1, 0]).is_err());
    assert!(
        RouteRefresh::decode(&[0, 1, RouteRefresh::REQUEST, 1, 0, 1, 2]).is_ok(),
        "with a filter"
    );
}

fn rd() -> RouteDistinguisher {
    RouteDistinguisher::from_ipv4(Ipv4Addr::new(192, 0, 2, 1), 10)
}

fn esi() -> EthernetSegmentId {
    EthernetSegmentId([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99])
}

const MAC: MacAddr = MacAddr(0, 0, 0x5e, 0, 0x53, 1);

fn evpn_routes() -> Vec<(EvpnKey, EvpnPayload, &'static str)> {
    let (rd, esi, ethernet_tag, label) = (rd(), esi(), 0, Label::from_vni(10_100));
    let plain = EvpnPayload { label, ..EvpnPayload::default() };
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let prefix = |text: &str| text.parse::<IpNet>().unwrap();
    let mac_ip = |ip| EvpnKey::MacIp { rd, ethernet_tag, mac: MAC, ip };
    let none = EvpnPayload::default();
    vec![
        (
            EvpnKey::EthernetAd { rd, esi, ethernet_tag: u32::MAX },
            plain,
            "[1]:[4294967295]:[00:11:22:33:44:55:66:77:88:99]:[32]:[0.0.0.0]:[0]",
        ),
        (mac_ip(None), EvpnPayload { esi, ..plain }, "[2]:[0]:[48]:[00:00:5e:00:53:01]"),
        (mac_ip(Some(ip("10.1.0.5"))), plain, "[2]:[0]:[48]:[00:00:5e:00:53:01]:[32]:[10.1.0.5]"),
        (
            mac_ip(Some(ip("2001:db8::5"))),
            EvpnPayload { label2: Some(Label::from_vni(5000)), ..plain },
            "[2]:[0]:[48]:[00:00:5e:00:53:01]:[128]:[2001:db8::5]",
        ),
        (
            EvpnKey::Multicast { rd, ethernet_tag, originator: ip("192.0.2.1") },
            none,
            "[3]:[0]:[32]:[192.0.2.1]",
        ),
        (
            EvpnKey::EthernetSegment { rd, esi, originator: ip("2001:db8::1") },
            none,
            "[4]:[00:11:22:33:44:55:66:77:88:99]:[128]:[2001:db8::1]",
        ),
        (
            EvpnKey::Prefix { rd, ethernet_tag, prefix: prefix("10.0.0.0/24") },
            plain,
            "[5]:[0]:[24]:[10.0.0.0]",
        ),
        (
            EvpnKey::Prefix { rd, ethernet_tag, prefix: prefix("2001:db8:1::/48") },
            EvpnPayload { gateway: Some(ip("2001:db8::9")), ..plain },
            "[5]:[0]:[48]:[2001:db8:1::]",
        ),
        (EvpnKey::Unknown { route_type: 9, bytes: vec![1, 2, 0xab].into() }, none, "[9]:[0102ab]"),
    ]
}

#[test]
fn evpn_routes_survive_the_wire_and_print_as_in_frr() {
    let mut octets = Vec::new();
    for (key, payload, text) in evpn_routes() {
        Evpn::encode(&key, &payload, &mut octets);
        assert_eq!(key.to_string(), text);
    }
    let decoded: Vec<_> = Routes::<Evpn>::new(&octets).map(Result::unwrap).collect();
    assert_eq!(
        decoded,
        evpn_routes().into_iter().map(|(key, payload, _)| (key, payload)).collect::<Vec<_>>()
    );
}

#[test]
fn an_evpn_key_is_as_small_as_a_mac_and_an_ipv6_address_allow() {
    assert_eq!((size_of::<EvpnKey>(), size_of::<EvpnPayload>()), (40, 40));
}

#[test]
fn the_label_of_a_mac_route_is_all_24_bits() {
    let mut octets = Vec::new();
    let (key, _, _) = &evpn_routes()[1];
    Evpn::encode(
        key,
        &EvpnPayload { label: Label::from_vni(0x00ab_cdef), ..EvpnPayload::default() },
        &mut octets,
    );
    assert_eq!(octets[octets.len() - 3..], [0xab, 0xcd, 0xef]);
}

#[test]
fn evpn_routes_that_their_rfc_does_not_allow_are_skipped() {
    for (key, payload, text) in evpn_routes() {
        if matches!(key, EvpnKey::Unknown { .. }) {
            continue;
        }
        let mut octets = Vec::new();
        Evpn::encode(&key, &payload, &mut octets);
        // One octet less and one more than the route type has: RFC 9136 §3.1 for type 5, RFC 7606 §5.4 for all.
        let len = octets[1];
        for wrong in [len - 1, len + 1] {
            let mut changed = octets.clone();
            changed[1] = wrong;
            changed.resize(2 + usize::from(wrong), 0);
            assert_eq!(Routes::<Evpn>::new(&changed).count(), 0, "{text} with {wrong} octets");
        }
    }
    let (key, payload, _) = &evpn_routes()[2];
    let mut octets = Vec::new();
    Evpn::encode(key, payload, &mut octets);
    for (at, what) in [(24, "length of the MAC address"), (31, "length of the IP address")] {
        let mut changed = octets.clone();
        changed[at] = 33;
        assert_eq!(Routes::<Evpn>::new(&changed).count(), 0, "{what}");
    }
}

#[test]
fn an_evpn_route_past_the_end_is_an_error() {
    assert_eq!(Routes::<Evpn>::new(&[2, 33, 0]).collect::<Vec<_>>(), [Err(NlriError::Truncated)]);
}

#[test]
fn a_prefix_route_needs_exactly_something_to_forward_by() {
    let set = AttributeSet::builder(NextHop::V4([192, 0, 2, 1].into())).build();
    let rmac = AttributeSet::builder(NextHop::V4([192, 0, 2, 1].into()))
        .add_ext_community(ExtCommunity::router_mac(MAC))
        .build();
    let (key, _, _) = &evpn_routes()[6];
    let none = EvpnPayload::default();
    let gateway = Some(IpAddr::from([10, 0, 0, 1]));
    assert!(!Evpn::is_usable(key, &none, &set), "nothing at all");
    assert!(Evpn::is_usable(key, &none, &rmac));
    assert!(Evpn::is_usable(key, &EvpnPayload { label: Label::from_vni(1), ..none }, &set));
    assert!(Evpn::is_usable(key, &EvpnPayload { gateway, ..none }, &set));
    assert!(Evpn::is_usable(key, &EvpnPayload { esi: esi(), ..none }, &set));
    assert!(
        !Evpn::is_usable(key, &EvpnPayload { gateway, esi: esi(), ..none }, &rmac),
        "two overlay indexes"
    );
}

#[test]
fn bits_beyond_the_prefix_do_not_make_another_route() {
    let routes: Vec<_> =
        Routes::<Ipv4Unicast>::new(&[9, 10, 0xff, 0, 32, 1, 2, 3, 4]).map(Result::unwrap).collect();
    let texts: Vec<_> = routes.iter().map(|(prefix, ())| prefix.to_string()).collect();
    assert_eq!(texts, ["10.128.0.0/9", "0.0.0.0/0", "1.2.3.4/32"]);
    let (prefix, ()) =
        Routes::<Ipv6Unicast>::new(&[33, 0x20, 1, 0x0d, 0xb8, 0xff]).next().unwrap().unwrap();
    assert_eq!(prefix.to_string(), "2001:db8:8000::/33");
}

#[test]
fn a_prefix_past_the_end_is_an_error() {
    let error = Routes::<Ipv6Unicast>::new(&[128, 1, 2, 3]).next();
    assert_eq!(error, Some(Err(NlriError::Truncated)));
    let error = Routes::<Ipv6Unicast>::new(&[129; 20]).next();
    assert_eq!(error, Some(Err(NlriError::PrefixLength { length: 129, max: 128 })));
}

#[test]
fn extended_communities_print_as_in_frr() {
    let rows = [
        (RouteTarget::from_as2(65001, 100).into(), "RT:65001:100"),
        (ExtCommunity([1, 2, 192, 0, 2, 1, 0, 7]), "RT:192.0.2.1:7"),
        (ExtCommunity([2, 2, 0xfa, 0x56, 0xea, 1, 0, 7]), "RT:4200000001:7"),
        (ExtCommunity([0, 3, 0xfd, 0xe9, 0, 0, 0, 7]), "SoO:65001:7"),
        (ExtCommunity::encapsulation_vxlan(), "ET:8"),
        (ExtCommunity::mac_mobility(false, 3), "MM:3"),
        (ExtCommunity::mac_mobility(true, 0), "MM:0, sticky MAC"),
        (ExtCommunity::router_mac(MAC), "Rmac:00:00:5e:00:53:01"),
        (ExtCommunity::default_gateway(), "Default Gateway"),
        (
            ExtCommunity::neighbor(NeighborFlags { router: true, ..NeighborFlags::default() }),
            "ND:Router Flag",
        ),
        (ExtCommunity::esi_label(false, Label::default()), "ESI-label-Rt:AA"),
        (ExtCommunity::es_import(esi()), "ES-Import-Rt:11:22:33:44:55:66"),
        (ExtCommunity([6, 6, 2, 0, 0, 0, 0x7f, 0xff]), "DF: (alg: 2, pref: 32767)"),
        (ExtCommunity([0x43, 9, 0, 0, 0, 0, 0, 0]), "UNK:67, 9"),
    ];
    for (community, text) in rows {
        assert_eq!(community.to_string(), text);
    }
}

#[test]
fn extended_communities_are_told_apart() {
    let target = RouteTarget::from_as2(65001, 100);
    let flags = NeighborFlags { router: true, overriding: true, immutable: true };
    assert_eq!(ExtCommunity::route_target(target).as_route_target(), Some(target));
    assert_eq!(ExtCommunity::mac_mobility(true, 9).as_mac_mobility(), Some((true, 9)));
    assert_eq!(ExtCommunity::router_mac(MAC).as_router_mac(), Some(MAC));
    assert_eq!(ExtCommunity::neighbor(flags).as_neighbor(), Some(flags));
    assert_eq!(
        ExtCommunity::esi_label(true, Label::from_vni(7)).as_esi_label(),
        Some((true, Label::from_vni(7)))
    );
    assert_eq!(
        ExtCommunity([0x40, 4, 0xfd, 0xe9, 0x4c, 0, 0, 0]).as_link_bandwidth(),
        Some((65001, 33_554_432.0))
    );
    assert!(ExtCommunity::encapsulation_vxlan().is_vxlan());
    assert!(ExtCommunity::default_gateway().is_default_gateway());
    assert!(!ExtCommunity([0x40, 4, 0, 0, 0, 0, 0, 0]).is_transitive());
    assert_eq!(ExtCommunity::router_mac(MAC).as_mac_mobility(), None);
}

#[test]
fn a_path_that_just_fits_with_four_octets_for_each_as_is_read_from_a_peer_that_uses_two() {
    let asns: Vec<Asn> = (0..16_350).map(|index| Asn(1 + index % 60_000)).collect();
    let mut editor = AttributeSet::builder(NextHop::V4([192, 0, 2, 1].into()));
    asns.iter().rev().for_each(|asn| {
        editor.prepend_as(*asn);
    });
    let set = editor.build();
    assert!(set.as_path().octets().len() <= usize::from(u16::MAX), "it must have a chance to fit");
    let packer = UpdatePacker { max_len: MAX_EXTENDED_MESSAGE, four_octet_as: false };
    let route = ("198.51.100.0/24".parse().unwrap(), ());
    let mut octets = Vec::new();
    packer.announce::<Ipv4Unicast>(&set, [(&route.0, &route.1)], &mut octets).unwrap();
    let frame = split_message(&octets, MAX_EXTENDED_MESSAGE).unwrap().unwrap();
    let context = UpdateContext {
        four_octet_as: false,
        external: false,
        families: FamilySet::ALL,
        add_path: FamilySet::EMPTY,
    };
    let view = UpdateView::parse(frame.body, &context).unwrap();
    assert_eq!(view.verdict, Verdict::Accept);
    let read = AttributeInterner::default().intern(&view, set.next_hop());
    assert!(read.as_path().asns().eq(asns), "another path was read");
}
