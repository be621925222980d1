//! Requests, against what ethtool(8) asks for the same thing; words for states that no driver of the lab reports.

use super::{
    DownReason, Duplex, EepromPage, Fec, FecMode, LinkModes, LinkSettings, LinkState, Report,
};
use crate::genetlink::{Attributes, Messages, Request, message};
use crate::kernel::Ifindex;

/// The port of our requests, and what ethtool names instead.
const PORT: Ifindex = 7;

/// Every attribute below the header, each nest opened as far as it has attributes in it.
fn asked(octets: &[u8]) -> (u8, Vec<(u16, Vec<u8>)>) {
    let (command, attributes) = Messages(octets).next().unwrap().command().unwrap();
    let mut attributes: Vec<_> = attributes
        .iter()
        .filter(|(kind, _)| *kind != super::HEADER)
        .map(|(kind, value)| (kind, value.to_vec()))
        .collect();
    attributes.sort();
    (command, attributes)
}

#[test]
fn requests_are_those_that_ethtool_makes() {
    let settings = LinkSettings {
        autoneg: Some(false),
        speed: Some(50_000),
        lanes: Some(2),
        ..LinkSettings::default()
    };
    for (request, name) in [
        (LinkModes::request(PORT), "spectrum.link"),
        (LinkState::request(PORT), "spectrum.link"),
        (settings.encode(PORT), "spectrum.set_link"),
        (Fec::request(PORT), "netdevsim.fec"),
        (EepromPage::LOWER.request(PORT), "spectrum.eeprom_lower"),
        (EepromPage::upper(0).request(PORT), "spectrum.eeprom"),
    ] {
        assert_asks_as_ethtool_does(&request, name);
    }
}

fn assert_asks_as_ethtool_does(request: &Request, name: &str) {
    let ours = asked(&message(request, 20, 1));
    let theirs: Vec<_> = crate::genetlink::golden(&format!("{name}.request"))
        .iter()
        .map(|line| asked(line))
        .collect();
    assert!(theirs.contains(&ours), "{name}: {ours:02x?} is not among {theirs:02x?}");
}

#[test]
fn a_request_for_fec_names_the_modes() {
    // ethtool(8) leaves all other modes as they are; we ask for exactly these.
    let request = message(&Fec::encode(PORT, &[FecMode::ReedSolomon], false), 20, 1);
    let (_, attributes) = Messages(&request).next().unwrap().command().unwrap();
    let set = super::bitset::decode(attributes.nested(2)).collect::<Vec<_>>();
    assert_eq!(set, [("RS".to_owned(), true)]);
    assert_eq!(attributes.truth(3), Some(false));
}

#[test]
fn a_link_that_is_down_says_why_in_words() {
    for (state, substate, words) in [
        (4, None, "no cable"),
        (0, Some(1), "autonegotiation failed: no partner detected"),
        (10, Some(1), "module: CMIS module is not in the ready state"),
        (2, Some(5), "logical mismatch: RS FEC is not locked"),
        (5, Some(77), "cable issue: substate 77"),
        (1, Some(0), "link training failed: substate 0"),
        (200, Some(3), "state 200"),
    ] {
        assert_eq!(DownReason { state, substate }.to_string(), words);
    }
    let request = Request::new(6).u8(2, 0).u8(5, 0).u8(6, 1);
    let octets = message(&request, 20, 1);
    let (_, attributes) = Messages(&octets).next().unwrap().command().unwrap();
    let down_reason = Some(DownReason { state: 0, substate: Some(1) });
    assert_eq!(LinkState::decode(attributes), LinkState { up: Some(false), down_reason });
}

#[test]
fn what_is_unknown_is_not_there() {
    let request = Request::new(4).u8(2, 1).u32(5, u32::MAX).u8(6, 0xff).u32(9, 0);
    let octets = message(&request, 20, 1);
    let (_, attributes) = Messages(&octets).next().unwrap().command().unwrap();
    let modes = LinkModes::decode(attributes).unwrap();
    assert_eq!((modes.speed, modes.duplex, modes.lanes), (None, None, None));
    assert!(modes.autoneg);
    assert_eq!(Duplex::Full.to_string(), "full");
    assert_eq!(LinkModes::decode(Attributes::default()), None);
    assert_eq!(Report::decode_all(&octets), [], "a report without a port is none");
}
