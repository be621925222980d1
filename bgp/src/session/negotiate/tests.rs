use std::net::Ipv4Addr;

use super::*;

fn offer() -> Offer {
    Offer {
        asn: Asn(65_001),
        own_as: Asn(65_001),
        router_id: RouterId(Ipv4Addr::new(10, 0, 0, 1)),
        remote_as: RemoteAs::External,
        hold_time: 90,
        families: FamilySet::ALL,
        add_path_receive: false,
        add_path_send: false,
        extended_next_hop: true,
        link_local_next_hop: false,
        hostname: None,
        graceful_restart: Some(RestartOffer {
            time: 120,
            notification: true,
            restarting: false,
            forwarding: true,
            long_lived: 0,
        }),
        role: None,
        role_strict: false,
    }
}

fn open(capabilities: Vec<Capability>) -> Open {
    Open {
        asn: Asn(65_002),
        hold_time: 30,
        router_id: RouterId(Ipv4Addr::new(10, 0, 0, 2)),
        capabilities,
    }
}

#[test]
fn a_speaker_without_capabilities_means_ipv4_unicast_with_short_as_numbers() {
    let agreed = offer().negotiate(&open(Vec::new())).unwrap();
    assert_eq!(agreed.families.iter().collect::<Vec<_>>(), [AfiSafi::IPV4_UNICAST]);
    assert!(!agreed.four_octet_as && !agreed.route_refresh && !agreed.extended_message);
    assert_eq!((agreed.hold_time, agreed.max_message()), (30, 4096));
    assert_eq!(agreed.restart_time(), None);
}

#[test]
fn unknown_and_repeated_capabilities_are_no_error() {
    let capabilities = vec![
        Capability::Unknown { code: 73, value: vec![1, 2, 3] },
        Capability::Multiprotocol(AfiSafi::L2VPN_EVPN),
        Capability::Multiprotocol(AfiSafi::L2VPN_EVPN),
        Capability::Multiprotocol(AfiSafi { afi: 1, safi: 128 }),
    ];
    let agreed = offer().negotiate(&open(capabilities)).unwrap();
    assert_eq!(agreed.families.iter().collect::<Vec<_>>(), [AfiSafi::L2VPN_EVPN]);
}

#[test]
fn as_trans_in_the_short_field_is_no_mismatch() {
    let mut theirs = open(vec![Capability::FourOctetAs(Asn(4_200_000_000))]);
    theirs.asn = Asn(4_200_000_000);
    let mut body = Vec::new();
    theirs.encode(&mut body);
    let read = Open::decode(&body[19..]).unwrap();
    let ours = Offer { remote_as: RemoteAs::Asn(Asn(4_200_000_000)), ..offer() };
    assert!(ours.negotiate(&read).unwrap().four_octet_as);
}

#[test]
fn what_both_speakers_of_this_engine_offer_they_agree_on() {
    let other =
        Offer { asn: Asn(65_002), router_id: RouterId(Ipv4Addr::new(10, 0, 0, 2)), ..offer() };
    let agreed = offer().negotiate(&other.open()).unwrap();
    assert_eq!(agreed.families, FamilySet::ALL);
    assert!(
        agreed.four_octet_as
            && agreed.enhanced_refresh
            && agreed.notification_restart
            && agreed.external
    );
    assert_eq!(agreed.max_message(), 65_535);
    assert!(agreed.extended_next_hop.contains(AfiSafi::IPV4_UNICAST));
    assert_eq!(agreed.restart_time(), Some(Duration::from_secs(120)));
    assert!(agreed.graceful_restart.unwrap().families.iter().all(|(_, forwarding)| *forwarding));
}

#[test]
fn a_helper_must_want_to_help() {
    let ours = Offer { graceful_restart: None, ..offer() };
    let other =
        Offer { asn: Asn(65_002), router_id: RouterId(Ipv4Addr::new(10, 0, 0, 2)), ..offer() };
    assert_eq!(ours.negotiate(&other.open()).unwrap().graceful_restart, None);
}
