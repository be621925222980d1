//! The tables as an MRT dump: TABLE_DUMP_V2 (RFC 6396 §4.3), as bgpdump, bgpkit and BIRD's and FRR's own dumps read.
//!
//! First comes the index of peers, then one record per destination. IPv4 and IPv6 unicast have records of their own; EVPN
//! goes into RIB_GENERIC. No path remembers when it came, so the time of each is when its neighbour's session came up.

use std::net::{IpAddr, Ipv4Addr};

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::rib::RouteKey;
use crate::speaker::{PathSource, PathView, RouteView};
use crate::types::{Asn, RouterId};
use crate::wire::{
    AttributeSet, Evpn, EvpnPayload, Family, Ipv4Unicast, Ipv6Unicast, NextHop, OPTIONAL,
    TRANSITIVE, code,
};

/// RFC 6396 §4: the type of every record here.
const TABLE_DUMP_V2: u16 = 13;

/// Subtypes (RFC 6396 §4.3).
const PEER_INDEX_TABLE: u16 = 1;
const RIB_IPV4_UNICAST: u16 = 2;
const RIB_IPV6_UNICAST: u16 = 4;
const RIB_GENERIC: u16 = 6;

/// Bits of a peer's type (RFC 6396 §4.3.1).
const PEER_IS_IPV6: u8 = 1;
const PEER_HAS_FOUR_OCTET_AS: u8 = 2;

/// Somebody whose paths are in the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpPeer {
    /// As in the paths.
    pub source: PathSource,
    /// Its AS.
    pub asn: Asn,
    /// Its BGP identifier.
    pub router_id: RouterId,
    /// When its session came up, in seconds since 1970.
    pub since: u32,
}

/// A dump under way.
#[derive(Debug)]
pub struct TableDump {
    timestamp: u32,
    /// Number of the next record with routes.
    sequence: u32,
    /// Place in the index, and `since`.
    peers: HashMap<PathSource, (u16, u32)>,
}

impl TableDump {
    /// Begins a dump of `collector`'s tables at `timestamp` (seconds since 1970): appends the index of peers.
    ///
    /// More than 65,535 peers do not fit; the paths of those beyond are left out.
    pub fn begin(
        timestamp: u32,
        collector: RouterId,
        peers: &[DumpPeer],
        out: &mut Vec<u8>,
    ) -> Self {
        let peers = peers.get(..usize::from(u16::MAX)).unwrap_or(peers);
        record(timestamp, PEER_INDEX_TABLE, out, |out| {
            out.extend_from_slice(&collector.0.octets());
            // The view has no name.
            out.extend_from_slice(&[0, 0]);
            push_u16(peers.len(), out);
            peers.iter().for_each(|peer| write_peer(peer, out));
        });
        let places =
            peers.iter().zip(0u16..).map(|(peer, place)| (peer.source, (place, peer.since)));
        Self { timestamp, sequence: 0, peers: places.collect() }
    }

    /// Appends the record of a destination: all its paths whose peers are in the index, the best one first.
    pub fn route(&mut self, route: &RouteView, out: &mut Vec<u8>) {
        let entries: SmallVec<[_; 4]> = route
            .paths
            .iter()
            .filter_map(|path| Some((self.peers.get(&path.source)?, path)))
            .collect();
        let Some((_, first)) = entries.first() else { return };
        let (subtype, family) = match &route.key {
            RouteKey::Ipv4(_) => (RIB_IPV4_UNICAST, None),
            RouteKey::Ipv6(_) => (RIB_IPV6_UNICAST, None),
            RouteKey::Evpn(_) => (RIB_GENERIC, Some(route.key.family())),
        };
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        record(self.timestamp, subtype, out, |out| {
            out.extend_from_slice(&sequence.to_be_bytes());
            if let Some(family) = family {
                out.extend_from_slice(&family.afi.to_be_bytes());
                out.push(family.safi);
            }
            write_nlri(&route.key, &first.payload, out);
            push_u16(entries.len(), out);
            for ((place, since), path) in &entries {
                write_entry(&route.key, *place, *since, path, out);
            }
        });
    }
}

/// A header (RFC 6396 §2) around what `body` writes.
fn record(timestamp: u32, subtype: u16, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&timestamp.to_be_bytes());
    out.extend_from_slice(&TABLE_DUMP_V2.to_be_bytes());
    out.extend_from_slice(&subtype.to_be_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - length_at - 4).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(length_at..length_at + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

fn write_peer(peer: &DumpPeer, out: &mut Vec<u8>) {
    let address = match peer.source {
        PathSource::Local => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        PathSource::Neighbor { address, .. } => address,
    };
    let version = if address.is_ipv6() { PEER_IS_IPV6 } else { 0 };
    out.push(PEER_HAS_FOUR_OCTET_AS | version);
    out.extend_from_slice(&peer.router_id.0.octets());
    match address {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
    out.extend_from_slice(&peer.asn.0.to_be_bytes());
}

fn write_nlri(key: &RouteKey, payload: &EvpnPayload, out: &mut Vec<u8>) {
    match key {
        RouteKey::Ipv4(key) => Ipv4Unicast::encode(key, &(), out),
        RouteKey::Ipv6(key) => Ipv6Unicast::encode(key, &(), out),
        RouteKey::Evpn(key) => Evpn::encode(key, payload, out),
    }
}

fn write_entry(key: &RouteKey, place: u16, since: u32, path: &PathView, out: &mut Vec<u8>) {
    out.extend_from_slice(&place.to_be_bytes());
    out.extend_from_slice(&since.to_be_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 2]);
    write_attributes(key, &path.attributes, out);
    let length = u16::try_from(out.len() - length_at - 2).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(length_at..length_at + 2) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// AS numbers have four octets here, whatever the session agreed on. Of MP_REACH_NLRI only the next hop is there (RFC 6396
/// §4.3.4).
fn write_attributes(key: &RouteKey, attributes: &AttributeSet, out: &mut Vec<u8>) {
    let (head, tail) = attributes.around_next_hop();
    out.extend_from_slice(head);
    match (key, attributes.next_hop()) {
        (RouteKey::Ipv4(_), NextHop::V4(address)) => {
            out.extend_from_slice(&[TRANSITIVE, code::NEXT_HOP, 4]);
            out.extend_from_slice(&address.octets());
        }
        (_, next_hop) => {
            let mut value: SmallVec<[u8; 256]> = SmallVec::new();
            next_hop.encode(&mut value);
            out.extend_from_slice(&[OPTIONAL, code::MP_REACH_NLRI]);
            out.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(&value);
        }
    }
    out.extend_from_slice(tail);
}

fn push_u16(value: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes());
}
