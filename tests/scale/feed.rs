//! What senders send, encoded beforehand.

use std::{
    collections::HashSet,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use lab::{Result, ensure, peers::raw::message};

use crate::mrt;

const UPDATE: u8 = 2;
const TRANSITIVE: u8 = 0x40;
const EXTENDED_LENGTH: u8 = 0x10;
const ORIGIN: u8 = 1;
const AS_PATH: u8 = 2;
const NEXT_HOP: u8 = 3;
const LOCAL_PREF: u8 = 5;
const ORIGINATOR_ID: u8 = 9;
const CLUSTER_LIST: u8 = 10;
const AS_SEQUENCE: u8 = 2;

/// IPv4 prefixes that share an UPDATE, and so the number of routes per set of attributes: what real tables have on average.
const PREFIXES_PER_UPDATE: usize = 8;
/// At least as many as the real table has.
pub(crate) const TABLE_UPDATES: usize = 100_000;
const MACS_PER_UPDATE: usize = 60;
const MACS_PER_VNI: usize = 5_000;

/// Messages, and how many routes there are in them.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) routes: usize,
}

/// `routes` prefixes of 24 bits, eight with the same attributes. Next hops in turn, so that each eighth route has its own.
pub(crate) fn prefixes(routes: usize, asn: u32, next_hops: &[Ipv4Addr]) -> Feed {
    let mut bytes = Vec::new();
    for update in 0..routes.div_ceil(PREFIXES_PER_UPDATE) {
        let first = update * PREFIXES_PER_UPDATE;
        let last = routes.min(first + PREFIXES_PER_UPDATE);
        let path = [asn, 3_000_000_000 + narrow(update), 64_999];
        let attributes = [
            attribute(TRANSITIVE, ORIGIN, &[0]),
            attribute(TRANSITIVE, AS_PATH, &sequence(&path)),
            attribute(TRANSITIVE, NEXT_HOP, &next_hops[update % next_hops.len()].octets()),
        ]
        .concat();
        bytes.extend(announce(&attributes, &(first..last).flat_map(prefix).collect::<Vec<_>>()));
    }
    Feed { bytes, routes }
}

/// Withdraws what [`prefixes`] announces.
pub(crate) fn withdrawn_prefixes(routes: usize) -> Vec<u8> {
    let numbers: Vec<usize> = (0..routes).collect();
    let withdraw = |lot: &[usize]| {
        let prefixes: Vec<u8> = lot.iter().copied().flat_map(prefix).collect();
        message(UPDATE, &[&narrow16(prefixes.len())[..], &prefixes, &[0, 0]].concat())
    };
    numbers.chunks(200).flat_map(withdraw).collect()
}

/// The address of the prefix with this number.
pub(crate) fn prefix_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x1000_0000 + (narrow(number) << 8))
}

/// `routes` EVPN routes of type 2 (MAC only), 60 in an UPDATE, 5,000 to a VNI.
pub(crate) fn macs(routes: usize, asn: u32, next_hop: Ipv4Addr) -> Feed {
    let mut bytes = Vec::new();
    let numbers: Vec<usize> = (0..routes).collect();
    for (vni, stations) in (1_u32..).zip(numbers.chunks(MACS_PER_VNI)) {
        let target = [&[0, 2][..], &narrow16(64_999), &vni.to_be_bytes()].concat();
        let vxlan = [3, 0x0c, 0, 0, 0, 0, 0, 8];
        let common = [
            attribute(TRANSITIVE, ORIGIN, &[0]),
            attribute(TRANSITIVE, AS_PATH, &sequence(&[asn])),
            attribute(0xc0, 16, &[&target[..], &vxlan].concat()),
        ]
        .concat();
        for lot in stations.chunks(MACS_PER_UPDATE) {
            let routes = lot.iter().flat_map(|number| mac_route(*number, vni, next_hop));
            let reach: Vec<u8> = [0, 25, 70, 4]
                .into_iter()
                .chain(next_hop.octets())
                .chain([0])
                .chain(routes)
                .collect();
            let attributes = [attribute(0x80, 14, &reach), common.clone()].concat();
            bytes.extend(announce(&attributes, &[]));
        }
    }
    Feed { bytes, routes }
}

/// The real table, as a neighbour in `asn` would tell it: its AS in front, its address as next hop, and without what only
/// internal neighbours send. `number` tells senders apart by one prefix more at the end: who has it has all of the sender.
pub(crate) fn real_table(asn: u32, next_hop: Ipv4Addr, number: u8, limit: usize) -> Result<Feed> {
    let mut bytes = Vec::new();
    let mut unique = HashSet::new();
    for update in mrt::announcements(&table_file())?.iter().take(limit) {
        let attributes = told_by(asn, next_hop, &update.attributes);
        let mut prefixes = Vec::new();
        let mut rest = update.prefixes.as_slice();
        while let [length, ..] = rest {
            let (prefix, after) = rest.split_at(1 + usize::from(length.div_ceil(8)));
            // No prefix of this network is a route: 0.0.0.0/0 and 0.0.0.0/32 are in the table, and not all take them.
            if prefix.get(1).is_some_and(|octet| *octet != 0) {
                prefixes.extend_from_slice(prefix);
                unique.insert(prefix.to_vec());
            }
            rest = after;
        }
        bytes.extend(announce(&attributes, &prefixes));
    }
    ensure!(!unique.is_empty(), "{} holds no routes", table_file().display());
    let origin = attribute(TRANSITIVE, ORIGIN, &[0]);
    let path = attribute(TRANSITIVE, AS_PATH, &sequence(&[asn]));
    let next_hop = attribute(TRANSITIVE, NEXT_HOP, &next_hop.octets());
    bytes.extend(announce(&[origin, path, next_hop].concat(), &[32, 203, 0, 113, number]));
    Ok(Feed { bytes, routes: unique.len() })
}

fn table_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scale/data/updates.et-header.2015.gz")
}

fn told_by(asn: u32, next_hop: Ipv4Addr, attributes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = attributes;
    while let [flags, code, ..] = *rest {
        let header = if flags & EXTENDED_LENGTH == 0 { 3 } else { 4 };
        let length = rest[2..header].iter().fold(0, |n, octet| n << 8 | usize::from(*octet));
        let (attribute_bytes, after) = rest.split_at(header + length);
        let value = &attribute_bytes[header..];
        match code {
            AS_PATH => out.extend(attribute(TRANSITIVE, AS_PATH, &prepended(asn, value))),
            NEXT_HOP => out.extend(attribute(TRANSITIVE, NEXT_HOP, &next_hop.octets())),
            LOCAL_PREF | ORIGINATOR_ID | CLUSTER_LIST => {}
            _ => out.extend_from_slice(attribute_bytes),
        }
        rest = after;
    }
    out
}

/// One sequence of all AS numbers: a set is not for sending any more (RFC 9774), and 177 routes have one; four have AS 0
/// in their path (RFC 7607).
fn prepended(asn: u32, mut path: &[u8]) -> Vec<u8> {
    let mut numbers = vec![asn];
    while let [_, count, rest @ ..] = path {
        let (segment, rest) = rest.split_at(usize::from(*count) * 4);
        let asns = segment.as_chunks::<4>().0.iter().map(|octets| u32::from_be_bytes(*octets));
        numbers.extend(asns.filter(|asn| *asn != 0));
        path = rest;
    }
    sequence(&numbers)
}

fn sequence(asns: &[u32]) -> Vec<u8> {
    let count = u8::try_from(asns.len()).unwrap_or(u8::MAX);
    [AS_SEQUENCE, count].into_iter().chain(asns.iter().flat_map(|asn| asn.to_be_bytes())).collect()
}

fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    match u8::try_from(value.len()) {
        Ok(length) => [&[flags, code, length], value].concat(),
        Err(_) => [&[flags | EXTENDED_LENGTH, code][..], &narrow16(value.len()), value].concat(),
    }
}

fn announce(attributes: &[u8], prefixes: &[u8]) -> Vec<u8> {
    message(UPDATE, &[&[0, 0][..], &narrow16(attributes.len()), attributes, prefixes].concat())
}

fn prefix(number: usize) -> [u8; 4] {
    let [a, b, c, _] = prefix_address(number).octets();
    [24, a, b, c]
}

fn mac_route(number: usize, vni: u32, vtep: Ipv4Addr) -> Vec<u8> {
    let [_, a, b, c] = narrow(number).to_be_bytes();
    let [_, v0, v1, v2] = vni.to_be_bytes();
    let mut route = vec![2, 33, 0, 1];
    route.extend(vtep.octets());
    route.extend([v1, v2]);
    // ESI, Ethernet tag.
    route.extend([0; 14]);
    route.extend([48, 2, 0, 0, a, b, c, 0, v0, v1, v2]);
    route
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn narrow16(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes()
}
