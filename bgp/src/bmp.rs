//! Messages of the BGP Monitoring Protocol (RFC 7854), version 3: what a monitored router tells a station.
//!
//! Only bytes; who is told what, and when, is in [`crate::speaker`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::types::{AfiSafi, Asn, RouterId};

const VERSION: u8 = 3;

/// Message types (RFC 7854 §4.1).
const ROUTE_MONITORING: u8 = 0;
const STATISTICS_REPORT: u8 = 1;
const PEER_DOWN: u8 = 2;
const PEER_UP: u8 = 3;
const INITIATION: u8 = 4;
const TERMINATION: u8 = 5;

/// Information in an Initiation (RFC 7854 §4.4).
const SYS_DESCR: u16 = 1;
const SYS_NAME: u16 = 2;
/// The event of RFC 4271 §8.1.2 that ends a session whose interface is down, as a Peer Down has it (RFC 7854 §4.9).
const AUTOMATIC_STOP: [u8; 2] = [0, 8];
/// Information in a Termination (RFC 7854 §4.5): the reason "out of resources".
const REASON: u16 = 1;
const OUT_OF_RESOURCES: u16 = 2;

/// Flags of the per-peer header (RFC 7854 §4.2): the address is IPv6; AS_PATH has AS numbers of two octets.
const FLAG_IPV6: u8 = 0x80;
const FLAG_TWO_OCTET_AS: u8 = 0x20;

/// Statistics (RFC 7854 §4.8).
const STAT_ADJ_RIB_IN: u16 = 7;
const STAT_ADJ_RIB_IN_OF_FAMILY: u16 = 9;
const STAT_TREATED_AS_WITHDRAW: u16 = 11;

/// The per-peer header (RFC 7854 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerHeader {
    pub(crate) address: IpAddr,
    pub(crate) asn: Asn,
    pub(crate) router_id: RouterId,
    /// Its AS_PATHs are as the session agreed on.
    pub(crate) four_octet_as: bool,
    /// When it happened, since 1970.
    pub(crate) time: Duration,
}

/// Why a session is down (RFC 7854 §4.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerDown<'a> {
    /// We sent this NOTIFICATION message.
    WeNotified(&'a [u8]),
    /// We closed it without a NOTIFICATION, because the way to the peer is gone.
    WeClosed,
    /// The peer sent it.
    PeerNotified(&'a [u8]),
    /// The peer's connection is gone, without a word.
    PeerClosed,
}

/// Counts of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// Routes from the peer, by family.
    pub(crate) adj_rib_in: Vec<(AfiSafi, u64)>,
    /// UPDATEs whose routes counted as withdrawn (RFC 7606).
    pub(crate) treated_as_withdraw: u32,
}

/// Who we are: the first message of a connection.
pub(crate) fn initiation(name: &str, description: &str, out: &mut Vec<u8>) {
    message(INITIATION, out, |out| {
        information(SYS_DESCR, description.as_bytes(), out);
        information(SYS_NAME, name.as_bytes(), out);
    });
}

/// The station reads too slowly: the last message of a connection.
pub(crate) fn out_of_resources(out: &mut Vec<u8>) {
    message(TERMINATION, out, |out| information(REASON, &OUT_OF_RESOURCES.to_be_bytes(), out));
}

/// A session is up: our end, the peer's end, and both OPEN messages.
pub(crate) fn peer_up(
    peer: &PeerHeader,
    [local, remote]: [SocketAddr; 2],
    [sent, received]: [&[u8]; 2],
    out: &mut Vec<u8>,
) {
    message(PEER_UP, out, |out| {
        peer.encode(out);
        out.extend_from_slice(&sixteen_octets(local.ip()));
        out.extend_from_slice(&local.port().to_be_bytes());
        out.extend_from_slice(&remote.port().to_be_bytes());
        out.extend_from_slice(sent);
        out.extend_from_slice(received);
    });
}

/// A session is down.
pub(crate) fn peer_down(peer: &PeerHeader, why: PeerDown<'_>, out: &mut Vec<u8>) {
    let (reason, data): (u8, &[u8]) = match why {
        PeerDown::WeNotified(notification) => (1, notification),
        PeerDown::WeClosed => (2, &AUTOMATIC_STOP),
        PeerDown::PeerNotified(notification) => (3, notification),
        PeerDown::PeerClosed => (4, &[]),
    };
    message(PEER_DOWN, out, |out| {
        peer.encode(out);
        out.push(reason);
        out.extend_from_slice(data);
    });
}

/// An UPDATE as the peer sent it: before any policy.
pub(crate) fn route_monitoring(peer: &PeerHeader, update: &[u8], out: &mut Vec<u8>) {
    message(ROUTE_MONITORING, out, |out| {
        peer.encode(out);
        out.extend_from_slice(update);
    });
}

/// Counts of a peer.
pub(crate) fn statistics(peer: &PeerHeader, counts: &Statistics, out: &mut Vec<u8>) {
    message(STATISTICS_REPORT, out, |out| {
        peer.encode(out);
        let number = u32::try_from(counts.adj_rib_in.len()).unwrap_or(u32::MAX).saturating_add(2);
        out.extend_from_slice(&number.to_be_bytes());
        let all: u64 = counts.adj_rib_in.iter().map(|(_, count)| count).sum();
        information(STAT_ADJ_RIB_IN, &all.to_be_bytes(), out);
        information(STAT_TREATED_AS_WITHDRAW, &counts.treated_as_withdraw.to_be_bytes(), out);
        for (family, count) in &counts.adj_rib_in {
            let [high, low] = family.afi.to_be_bytes();
            let value = [&[high, low, family.safi][..], &count.to_be_bytes()].concat();
            information(STAT_ADJ_RIB_IN_OF_FAMILY, &value, out);
        }
    });
}

impl PeerHeader {
    /// The peer is one of the global routing instance: type 0, no distinguisher.
    fn encode(&self, out: &mut Vec<u8>) {
        let version = if self.address.is_ipv6() { FLAG_IPV6 } else { 0 };
        let width = if self.four_octet_as { 0 } else { FLAG_TWO_OCTET_AS };
        out.extend_from_slice(&[0, version | width]);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&sixteen_octets(self.address));
        out.extend_from_slice(&self.asn.0.to_be_bytes());
        out.extend_from_slice(&self.router_id.0.octets());
        let seconds = u32::try_from(self.time.as_secs()).unwrap_or(u32::MAX);
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&self.time.subsec_micros().to_be_bytes());
    }
}

fn message(kind: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0, kind]);
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start + 1..start + 5) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Type, length, value.
fn information(kind: u16, value: &[u8], out: &mut Vec<u8>) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value);
}

/// An IPv4 address is in the last four.
fn sixteen_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => address.octets(),
    }
}
