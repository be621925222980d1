//! RFC 7606, row by row: a session, an UPDATE with one defect, and what became of session and routes. The rows are also
//! `docs/rfc7606.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may stop where it stands, and needs some instant to count from"
)]

mod pair;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use bgp::speaker::{Action, ConnectionId, NeighborConfig, RemoteAs, SessionState, Speaker};
use bgp::types::{AfiSafi, Asn, RouterId};
use bgp::wire::{Capability, Notification, Open, code, encode_keepalive};
use pair::{EVPN, IPV4, IPV6, config, next_hop, prefix};

/// Who sends the UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// A peer of another AS.
    External,
    /// A peer of our AS.
    Internal,
    /// A peer of another AS whose AS numbers have two octets.
    Old,
}

/// What becomes of session and routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The routes are taken without the attribute.
    Discard,
    /// The routes are withdrawn.
    Withdraw,
    /// The session ends with this UPDATE error.
    Reset(u8),
    /// The attribute stays with the routes.
    Keep,
    /// The routes are taken; only the one that is named is not.
    SkipRoute,
}
use Outcome::{Discard, Keep, Reset, SkipRoute, Withdraw};
use Sender::{External, Internal, Old};

/// What is wrong.
enum Wrong {
    /// This attribute, instead of a sound one or beside the sound ones.
    Attribute(u8, Vec<u8>),
    /// A mandatory attribute is not there.
    Missing,
    /// This comes after the sound attributes.
    Octets(Vec<u8>),
    /// The whole body is this.
    Body(Vec<u8>),
}
use Wrong::{Attribute, Body, Missing, Octets};

struct Row {
    name: &'static str,
    code: u8,
    defect: &'static str,
    from: Sender,
    wrong: Wrong,
    outcome: Outcome,
}

const WELL_KNOWN: u8 = 0x40;
const OPTIONAL: u8 = 0x80;
const OPTIONAL_TRANSITIVE: u8 = 0xc0;

/// The route that every row is about, and one that must outlive all but a reset.
const ROUTE: &str = "10.0.0.0/8";
const BYSTANDER: &str = "203.0.113.0/24";
const ROUTE_NLRI: &[u8] = &[8, 10];
const BYSTANDER_NLRI: &[u8] = &[24, 203, 0, 113];

#[rustfmt::skip] // One row, one line.
#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    let row = |name, code, defect, from, wrong, outcome| Row { name, code, defect, from, wrong, outcome };
    let (wk, o, ot) = (WELL_KNOWN, OPTIONAL, OPTIONAL_TRANSITIVE);
    let value = |flags, octets: &[u8]| Attribute(flags, octets.to_vec());
    let reach = |family: &[u8], next_hop: &[u8], rest: &[u8]| {
        let length = [u8::try_from(next_hop.len()).unwrap()];
        Attribute(OPTIONAL, [family, &length, next_hop, &[0], rest].concat())
    };
    let (v4, v6, evpn) = (&[0, 1, 1][..], &[0, 2, 1][..], &[0, 25, 70][..]);
    let global = &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..];
    let vtep = &[192, 0, 2, 9][..];
    vec![
        row("ORIGIN", code::ORIGIN, "missing", External, Missing, Withdraw),
        row("ORIGIN", code::ORIGIN, "optional", External, value(ot, &[0]), Withdraw),
        row("ORIGIN", code::ORIGIN, "not 1 octet long", External, value(wk, &[0, 0]), Withdraw),
        row("ORIGIN", code::ORIGIN, "empty", External, value(wk, &[]), Withdraw),
        row("ORIGIN", code::ORIGIN, "more than 2", External, value(wk, &[3]), Withdraw),
        row("ORIGIN", code::ORIGIN, "there twice: the first counts", External, Octets(raw(wk, code::ORIGIN, &[7])), Keep),

        row("AS_PATH", code::AS_PATH, "missing", External, Missing, Withdraw),
        row("AS_PATH", code::AS_PATH, "optional", External, value(o, &[2, 1, 0, 0, 0xfd, 0xea]), Withdraw),
        row("AS_PATH", code::AS_PATH, "a segment of unknown type", External, value(wk, &[5, 1, 0, 0, 0xfd, 0xea]), Withdraw),
        row("AS_PATH", code::AS_PATH, "a segment longer than the attribute", External, value(wk, &[2, 2, 0, 0, 0xfd, 0xea]), Withdraw),
        row("AS_PATH", code::AS_PATH, "one octet too many", External, value(wk, &[2, 1, 0, 0, 0xfd, 0xea, 2]), Withdraw),
        row("AS_PATH", code::AS_PATH, "a segment without AS number", External, value(wk, &[2, 0]), Withdraw),
        row("AS_PATH", code::AS_PATH, "AS 0 (RFC 7607)", External, value(wk, &[2, 2, 0, 0, 0xfd, 0xea, 0, 0, 0, 0]), Withdraw),
        row("AS_PATH", code::AS_PATH, "an AS_SET (RFC 9774)", External, value(wk, &[2, 1, 0, 0, 0xfd, 0xea, 1, 1, 0, 0, 0, 9]), Withdraw),
        row("AS_PATH", code::AS_PATH, "an AS_CONFED_SET (RFC 9774)", Internal, value(wk, &[4, 1, 0, 0, 0, 9]), Withdraw),
        row("AS_PATH", code::AS_PATH, "a confederation from outside (RFC 5065)", External, value(wk, &[3, 1, 0, 0, 0, 9]), Withdraw),
        row("AS_PATH", code::AS_PATH, "the neighbor's AS is not in front (RFC 4271)", External, value(wk, &[2, 1, 0, 0, 0, 9]), Withdraw),
        row("AS_PATH", code::AS_PATH, "four octets for each AS", Old, value(wk, &[2, 1, 0, 0, 0xfd, 0xea]), Withdraw),

        row("NEXT_HOP", code::NEXT_HOP, "missing", External, Missing, Withdraw),
        row("NEXT_HOP", code::NEXT_HOP, "optional", External, value(ot, &[192, 0, 2, 9]), Withdraw),
        row("NEXT_HOP", code::NEXT_HOP, "not 4 octets long", External, value(wk, &[192, 0, 2]), Withdraw),
        row("NEXT_HOP", code::NEXT_HOP, "0.0.0.0", External, value(wk, &[0; 4]), Withdraw),
        row("NEXT_HOP", code::NEXT_HOP, "a loopback address", External, value(wk, &[127, 0, 0, 1]), Withdraw),
        row("NEXT_HOP", code::NEXT_HOP, "a multicast address", External, value(wk, &[224, 0, 0, 1]), Withdraw),

        row("MULTI_EXIT_DISC", code::MED, "transitive", External, value(ot, &[0; 4]), Withdraw),
        row("MULTI_EXIT_DISC", code::MED, "not 4 octets long", External, value(o, &[0; 5]), Withdraw),
        row("LOCAL_PREF", code::LOCAL_PREF, "optional", Internal, value(ot, &[0; 4]), Withdraw),
        row("LOCAL_PREF", code::LOCAL_PREF, "not 4 octets long", Internal, value(wk, &[0; 3]), Withdraw),
        row("LOCAL_PREF", code::LOCAL_PREF, "from outside, whatever it is", External, value(wk, &[0; 3]), Discard),
        row("ATOMIC_AGGREGATE", code::ATOMIC_AGGREGATE, "optional", External, value(ot, &[]), Withdraw),
        row("ATOMIC_AGGREGATE", code::ATOMIC_AGGREGATE, "not empty", External, value(wk, &[0]), Discard),
        row("AGGREGATOR", code::AGGREGATOR, "not transitive", External, value(o, &[0, 0, 0, 1, 1, 2, 3, 4]), Withdraw),
        row("AGGREGATOR", code::AGGREGATOR, "not 8 octets long", External, value(ot, &[0, 1, 1, 2, 3, 4]), Discard),
        row("AGGREGATOR", code::AGGREGATOR, "not 6 octets long", Old, value(ot, &[0, 0, 0, 1, 1, 2, 3, 4]), Discard),
        row("AGGREGATOR", code::AGGREGATOR, "AS 0 (RFC 7607)", External, value(ot, &[0, 0, 0, 0, 1, 2, 3, 4]), Discard),

        row("COMMUNITIES", code::COMMUNITIES, "not transitive", External, value(o, &[0; 4]), Withdraw),
        row("COMMUNITIES", code::COMMUNITIES, "not a multiple of 4 octets", External, value(ot, &[0; 6]), Withdraw),
        row("COMMUNITIES", code::COMMUNITIES, "empty", External, value(ot, &[]), Withdraw),
        row("ORIGINATOR_ID", code::ORIGINATOR_ID, "transitive", Internal, value(ot, &[1; 4]), Withdraw),
        row("ORIGINATOR_ID", code::ORIGINATOR_ID, "not 4 octets long", Internal, value(o, &[1; 5]), Withdraw),
        row("ORIGINATOR_ID", code::ORIGINATOR_ID, "from outside, whatever it is", External, value(o, &[1; 5]), Discard),
        row("CLUSTER_LIST", code::CLUSTER_LIST, "transitive", Internal, value(ot, &[1; 4]), Withdraw),
        row("CLUSTER_LIST", code::CLUSTER_LIST, "not a multiple of 4 octets", Internal, value(o, &[1; 7]), Withdraw),
        row("CLUSTER_LIST", code::CLUSTER_LIST, "empty", Internal, value(o, &[]), Withdraw),
        row("CLUSTER_LIST", code::CLUSTER_LIST, "from outside, whatever it is", External, value(o, &[1; 7]), Discard),

        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "transitive", External, value(ot, &[0, 1, 1, 4, 192, 0, 2, 9, 0]), Reset(4)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "shorter than its fixed part", External, value(o, &[0, 2, 1, 0]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "a next hop longer than the attribute", External, value(o, &[&[0, 2, 1, 16][..], &[1; 16]].concat()), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "IPv4: a next hop of 8 octets", External, reach(v4, &[1; 8], &[]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "IPv6: a next hop of 4 octets", External, reach(v6, vtep, &[]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "IPv6: a next hop of 24 octets", External, reach(v6, &[1; 24], &[]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "EVPN: a next hop of 6 octets", External, reach(evpn, &[1; 6], &[]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "IPv6: the next hop is ::", External, reach(v6, &[0; 16], &[]), Withdraw),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "IPv6: the next hop is a multicast address", External, reach(v6, &[0xff; 16], &[]), Withdraw),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "there twice", External, Octets([raw(o, 14, &[0, 1, 1, 4, 192, 0, 2, 9, 0]), raw(o, 14, &[0, 1, 1, 4, 192, 0, 2, 9, 0])].concat()), Reset(1)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "longer than the attributes", External, Octets(vec![o, 14, 9, 0, 1, 1]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "IPv6: a prefix of 129 bits", External, reach(v6, global, &[129, 0x20]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "IPv6: a prefix longer than the attribute", External, reach(v6, global, &[64, 0x20, 1]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "EVPN: a route longer than the attribute", External, reach(evpn, vtep, &[3, 17, 0, 0]), Reset(9)),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "EVPN: a route of known type and wrong length", External, reach(evpn, vtep, &[&[2, 3, 1, 2, 3][..], &imet()].concat()), SkipRoute),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "EVPN: a MAC address of 47 bits", External, reach(evpn, vtep, &[&mac_of_47_bits()[..], &imet()].concat()), SkipRoute),
        row("MP_REACH_NLRI", code::MP_REACH_NLRI, "a family that was not negotiated", External, reach(&[0, 1, 128], &[1; 12], &[9; 9]), Discard),
        row("MP_UNREACH_NLRI", code::MP_UNREACH_NLRI, "transitive", External, value(ot, &[0, 1, 1]), Reset(4)),
        row("MP_UNREACH_NLRI", code::MP_UNREACH_NLRI, "shorter than its fixed part", External, value(o, &[0, 2]), Reset(9)),
        row("MP_UNREACH_NLRI", code::MP_UNREACH_NLRI, "there twice", External, Octets([raw(o, 15, &[0, 2, 1]), raw(o, 15, &[0, 2, 1])].concat()), Reset(1)),
        row("MP_UNREACH_NLRI", code::MP_UNREACH_NLRI, "IPv6: a prefix of 129 bits", External, value(o, &[0, 2, 1, 129, 0x20]), Reset(9)),

        row("EXTENDED_COMMUNITIES", code::EXT_COMMUNITIES, "not transitive", External, value(o, &[0; 8]), Withdraw),
        row("EXTENDED_COMMUNITIES", code::EXT_COMMUNITIES, "not a multiple of 8 octets", External, value(ot, &[0; 12]), Withdraw),
        row("EXTENDED_COMMUNITIES", code::EXT_COMMUNITIES, "empty", External, value(ot, &[]), Withdraw),
        row("EXTENDED_COMMUNITIES", code::EXT_COMMUNITIES, "one of unknown type", External, value(ot, &[0x7f, 9, 1, 2, 3, 4, 5, 6]), Keep),
        row("AS4_PATH", code::AS4_PATH, "from a four-octet neighbor (RFC 6793)", External, value(ot, &[2, 1, 0, 0, 0, 9]), Discard),
        row("AS4_PATH", code::AS4_PATH, "a segment longer than the attribute", Old, value(ot, &[2, 2, 0, 1, 0, 0]), Discard),
        row("AS4_PATH", code::AS4_PATH, "AS 0 (RFC 7607)", Old, value(ot, &[2, 1, 0, 0, 0, 0]), Discard),
        row("AS4_PATH", code::AS4_PATH, "an AS_SET (RFC 9774)", Old, value(ot, &[1, 1, 0, 1, 0, 0]), Withdraw),
        row("AS4_AGGREGATOR", code::AS4_AGGREGATOR, "from a four-octet neighbor (RFC 6793)", External, value(ot, &[0, 1, 0, 0, 1, 2, 3, 4]), Discard),
        row("AS4_AGGREGATOR", code::AS4_AGGREGATOR, "not 8 octets long", Old, value(ot, &[0, 1, 1, 2, 3, 4]), Discard),
        row("PMSI_TUNNEL (RFC 6514)", code::PMSI_TUNNEL, "not transitive", External, value(o, &[0, 6, 0, 0, 10, 1, 2, 3, 4]), Withdraw),
        row("PMSI_TUNNEL (RFC 6514)", code::PMSI_TUNNEL, "shorter than 5 octets", External, value(ot, &[0, 6, 0, 0]), Withdraw),
        row("PMSI_TUNNEL (RFC 6514)", code::PMSI_TUNNEL, "ingress replication to 3 octets", External, value(ot, &[0, 6, 0, 0, 10, 1, 2, 3]), Withdraw),
        row("PMSI_TUNNEL (RFC 6514)", code::PMSI_TUNNEL, "a tunnel of unknown type (RFC 7385)", External, value(ot, &[0, 99, 0, 0, 10, 1]), Keep),
        row("IPv6 EXTENDED_COMMUNITIES (RFC 5701)", code::IPV6_EXT_COMMUNITIES, "not transitive", External, value(o, &[0; 20]), Withdraw),
        row("IPv6 EXTENDED_COMMUNITIES (RFC 5701)", code::IPV6_EXT_COMMUNITIES, "not a multiple of 20 octets", External, value(ot, &[0; 24]), Withdraw),
        row("LARGE_COMMUNITY (RFC 8092)", code::LARGE_COMMUNITIES, "not transitive", External, value(o, &[0; 12]), Withdraw),
        row("LARGE_COMMUNITY (RFC 8092)", code::LARGE_COMMUNITIES, "not a multiple of 12 octets", External, value(ot, &[0; 16]), Withdraw),
        row("LARGE_COMMUNITY (RFC 8092)", code::LARGE_COMMUNITIES, "empty", External, value(ot, &[]), Withdraw),
        row("ONLY_TO_CUSTOMER (RFC 9234)", code::ONLY_TO_CUSTOMER, "not transitive", External, value(o, &[0, 0, 0, 9]), Withdraw),
        row("ONLY_TO_CUSTOMER (RFC 9234)", code::ONLY_TO_CUSTOMER, "not 4 octets long", External, value(ot, &[0, 0, 9]), Withdraw),

        row("unknown attribute", 99, "optional transitive: passed on with the Partial bit", External, value(ot, &[1]), Keep),
        row("unknown attribute", 99, "optional non-transitive", External, value(o, &[1]), Discard),
        row("unknown attribute", 99, "well-known (RFC 4271 §6.3)", External, value(wk, &[1]), Reset(2)),
        row("PREFIX_SID (RFC 8669), not understood here", 40, "passed on with the Partial bit", External, value(ot, &[1, 0, 7, 0, 0, 0, 0, 0, 0, 0]), Keep),
        row("list of attributes", 0, "an attribute longer than what is left", External, Octets(vec![o, code::MED, 4, 0, 0]), Withdraw),
        row("list of attributes", 0, "half a header at the end", External, Octets(vec![o]), Withdraw),
        row("list of attributes", 0, "longer than the message", External, Body(vec![0, 0, 0xff, 0xff, 8, 10]), Reset(1)),
        row("list of attributes", 0, "a defect, and no route in the UPDATE (RFC 7606 §5.2)", External, Body(body(&[], &raw(wk, code::ORIGIN, &[9]), &[])), Reset(6)),
        row("withdrawn routes", 0, "longer than the message", External, Body(vec![0xff, 0xff, 8, 10]), Reset(1)),
        row("withdrawn routes", 0, "a prefix of 33 bits", External, Body(body(&[33, 10, 0, 0, 0, 0], &[], &[])), Reset(10)),
        row("announced routes", 0, "a prefix of 33 bits", External, Body(body(&[], &sound(External), &[33, 10, 0, 0, 0, 0])), Reset(10)),
        row("announced routes", 0, "a prefix longer than the message", External, Body(body(&[], &sound(External), &[24, 10])), Reset(10)),
        row("announced routes", 0, "bits beyond the prefix length", External, Body(body(&[], &sound(External), &[7, 11])), Keep),
    ]
}

#[test]
fn every_row_of_the_table_holds() {
    for row in rows() {
        let what = format!("{}, {}, from {:?}", row.name, row.defect, row.from);
        let seen = Session::with(row.from).receive(&row);
        assert!(seen == row.outcome, "{what}: want {:?}, got {seen:?}", row.outcome);
    }
}

#[test]
fn every_attribute_that_we_read_has_its_rows() {
    let rows = rows();
    for code in (0..=u8::MAX).filter(|code| bgp::wire::is_known_attribute(*code)) {
        assert!(rows.iter().any(|row| row.code == code), "no row for attribute {code}");
    }
}

#[test]
fn the_document_of_rfc7606_is_what_the_code_does() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rfc7606.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, document()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == document(), "{} is stale: see its head", file.display());
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    for row in rows() {
        let from = match row.from {
            External => "any, or external",
            Internal => "internal",
            Old => "external, AS numbers of two octets",
        };
        let outcome = match row.outcome {
            Discard => "attribute discarded".to_owned(),
            Withdraw => "routes withdrawn".to_owned(),
            Keep => "taken".to_owned(),
            SkipRoute => "this route skipped, the others taken".to_owned(),
            Reset(subcode) => format!("session reset: {}", Notification::new(3, subcode)),
        };
        let _ = writeln!(text, "| {} | {} | {from} | {outcome} |", row.name, row.defect);
    }
    text
}

const HEAD: &str = "\
# What becomes of a broken UPDATE

Each row is one defect of one attribute and what follows from it, as RFC 7606 and the RFC of the attribute want it.
*Attribute discarded*: the routes are taken without it. *Routes withdrawn*: those that the UPDATE announces are treated as
withdrawn, the session stays. *Session reset*: it ends with this NOTIFICATION, because the routes cannot all be named. Of
several defects in one UPDATE the one with the strongest outcome counts. A withdrawal is never lost to a defect elsewhere.

Every row is tried in `bgp/tests/rfc7606.rs`: the bytes go through a session, then session and routes are looked at.

This file is made from the code: `BLESS=1 cargo nextest run -p bgp the_document_of_rfc7606`.

| what | defect | from a neighbor that is | outcome |
|---|---|---|---|
";

/// A speaker with one neighbour, which this test plays.
struct Session {
    speaker: Speaker,
    connection: ConnectionId,
    from: Sender,
    now: Instant,
}

impl Session {
    fn with(from: Sender) -> Self {
        let now = Instant::now();
        let mut speaker = Speaker::new(config(65_001, 1), now);
        let asn = Asn(if from == Internal { 65_001 } else { 65_002 });
        let remote: SocketAddr = "192.0.2.2:40000".parse().unwrap();
        let families = [IPV4, IPV6, EVPN];
        let mut neighbor = NeighborConfig::new(remote.ip(), RemoteAs::Asn(asn), families);
        neighbor.passive = true;
        speaker.add_neighbor(neighbor, now).unwrap();
        let local = "192.0.2.1:179".parse().unwrap();
        let connection = speaker.handle_accepted(remote, local, now).unwrap();
        let mut capabilities: Vec<Capability> =
            families.into_iter().map(Capability::Multiprotocol).collect();
        if from != Old {
            capabilities.push(Capability::FourOctetAs(asn));
        }
        let router_id = RouterId([10, 0, 0, 2].into());
        let mut octets = Vec::new();
        Open { asn, hold_time: 90, router_id, capabilities }.encode(&mut octets);
        encode_keepalive(&mut octets);
        let mut session = Self { speaker, connection, from, now };
        session.send(&octets);
        assert!(session.is_up());
        let attributes =
            with_next_hop(from, 8).into_iter().flat_map(|(_, octets)| octets).collect::<Vec<_>>();
        let before = body(&[], &attributes, &[ROUTE_NLRI, BYSTANDER_NLRI].concat());
        session.send(&message(&before));
        assert!(session.knows(ROUTE) && session.knows(BYSTANDER));
        session
    }

    fn send(&mut self, octets: &[u8]) {
        self.speaker.handle_bytes(self.connection, octets, self.now);
    }

    fn is_up(&self) -> bool {
        self.speaker.neighbors()[0].state == SessionState::Established
    }

    fn knows(&self, text: &str) -> bool {
        self.speaker.route(&prefix(text)).is_some()
    }

    /// Sends the row's UPDATE; tells what became of it.
    fn receive(mut self, row: &Row) -> Outcome {
        while self.speaker.poll_action().is_some() {}
        self.send(&message(&self.update(row)));
        if !self.is_up() {
            let closed =
                std::iter::from_fn(|| self.speaker.poll_action()).find_map(|action| match action {
                    Action::Close { last_words, .. } => Some(last_words),
                    _ => None,
                });
            let notification = Notification::decode(&closed.unwrap()[19..]);
            assert_eq!(notification.code, 3, "{notification}");
            assert!(!self.knows(ROUTE) && !self.knows(BYSTANDER), "a dead session has no routes");
            return Reset(notification.subcode);
        }
        assert!(self.knows(BYSTANDER), "{}, {}: a bystander is hit", row.name, row.defect);
        let Some(route) = self.speaker.route(&prefix(ROUTE)) else { return Withdraw };
        let attributes = &route.paths[0].attributes;
        if !matches!(row.wrong, Body(_)) {
            assert_eq!(
                attributes.next_hop(),
                next_hop(9),
                "{}, {}: not taken",
                row.name,
                row.defect
            );
        }
        let imet = self.speaker.route_count(AfiSafi::L2VPN_EVPN);
        if imet > 0 {
            assert_eq!(imet, 1, "the broken route is not taken");
            return SkipRoute;
        }
        let is_kept = row.code == 0 || attributes.get(row.code).is_some();
        if is_kept { Keep } else { Discard }
    }

    fn update(&self, row: &Row) -> Vec<u8> {
        let mandatory = || parts(self.from).into_iter();
        let attributes: Vec<u8> = match &row.wrong {
            Body(body) => return body.clone(),
            Octets(octets) => [sound(self.from), octets.clone()].concat(),
            Missing => {
                let rest = mandatory().filter(|(code, _)| *code != row.code);
                rest.flat_map(|(_, octets)| octets).collect()
            }
            Attribute(flags, value) => {
                let broken = raw(*flags, row.code, value);
                let others = mandatory().filter(|(code, _)| *code != row.code);
                let others: Vec<u8> = others.flat_map(|(_, octets)| octets).collect();
                [others, broken].concat()
            }
        };
        body(&[], &attributes, ROUTE_NLRI)
    }
}

/// The mandatory attributes of the UPDATE that every row is about, with their codes.
fn parts(from: Sender) -> [(u8, Vec<u8>); 3] {
    with_next_hop(from, 9)
}

fn with_next_hop(from: Sender, last: u8) -> [(u8, Vec<u8>); 3] {
    let path: &[u8] = match from {
        External => &[2, 1, 0, 0, 0xfd, 0xea],
        Internal => &[2, 1, 0, 0, 0xfd, 0xf1],
        Old => &[2, 1, 0xfd, 0xea],
    };
    let next_hop: [u8; 4] = match next_hop(last) {
        bgp::wire::NextHop::V4(address) => address.octets(),
        other => panic!("{other:?}"),
    };
    [
        (code::ORIGIN, raw(WELL_KNOWN, code::ORIGIN, &[0])),
        (code::AS_PATH, raw(WELL_KNOWN, code::AS_PATH, path)),
        (code::NEXT_HOP, raw(WELL_KNOWN, code::NEXT_HOP, &next_hop)),
    ]
}

fn sound(from: Sender) -> Vec<u8> {
    parts(from).into_iter().flat_map(|(_, octets)| octets).collect()
}

fn raw(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    [&[flags, code, u8::try_from(value.len()).unwrap()], value].concat()
}

fn body(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let length = |field: &[u8]| u16::try_from(field.len()).unwrap().to_be_bytes();
    [&length(withdrawn)[..], withdrawn, &length(attributes)[..], attributes, nlri].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
    [&[0xff; 16][..], &length, &[2], body].concat()
}

/// A sound EVPN route: inclusive multicast of 192.0.2.9.
fn imet() -> Vec<u8> {
    vec![3, 17, 0, 1, 10, 0, 0, 2, 0, 1, 0, 0, 0, 0, 32, 192, 0, 2, 9]
}

fn mac_of_47_bits() -> Vec<u8> {
    let mut route = vec![2, 33, 0, 1, 10, 0, 0, 2, 0, 1];
    route.extend_from_slice(&[0; 14]);
    route.push(47);
    route.extend_from_slice(&[2, 0, 0, 0, 0, 1, 0, 0, 0, 100]);
    route
}
