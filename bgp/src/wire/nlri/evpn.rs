//! EVPN routes: types 1 to 4 (RFC 7432 §7), with VXLAN labels (RFC 8365) and the second label of symmetric routing
//! (RFC 9135), and type 5 (RFC 9136). Routes of other types are kept as they are, so that a spine can relay them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{DecodedRoute, Family, NlriError, Route};
use crate::types::{AfiSafi, EthernetSegmentId, Label, MacAddr, RouteDistinguisher};
use crate::wire::attribute::set::AttributeSet;
use crate::wire::reader::Reader;

/// L2VPN EVPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evpn;

/// What names an EVPN route: everything but segment, labels and gateway (RFC 7432 §7, RFC 9136 §3.1). 40 octets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvpnKey {
    /// Type 1, Ethernet auto-discovery. Here the segment is part of the name.
    EthernetAd {
        /// Route distinguisher.
        rd: RouteDistinguisher,
        /// Segment that is reachable.
        esi: EthernetSegmentId,
        /// `u32::MAX` for the whole segment, else the bridge domain's tag.
        ethernet_tag: u32,
    },
    /// Type 2, a MAC address and perhaps an IP address behind it.
    MacIp {
        /// Route distinguisher.
        rd: RouteDistinguisher,
        /// 0 with one VNI per broadcast domain.
        ethernet_tag: u32,
        /// The station.
        mac: MacAddr,
        /// One of its addresses.
        ip: Option<IpAddr>,
    },
    /// Type 3, inclusive multicast: who wants copies of broadcast, unknown and multicast frames.
    Multicast {
        /// Route distinguisher.
        rd: RouteDistinguisher,
        /// 0 with one VNI per broadcast domain.
        ethernet_tag: u32,
        /// VTEP that asks for copies.
        originator: IpAddr,
    },
    /// Type 4, who else is connected to an Ethernet segment.
    EthernetSegment {
        /// Route distinguisher.
        rd: RouteDistinguisher,
        /// The segment.
        esi: EthernetSegmentId,
        /// VTEP connected to it.
        originator: IpAddr,
    },
    /// Type 5, an IP prefix.
    Prefix {
        /// Route distinguisher.
        rd: RouteDistinguisher,
        /// 0 with one VNI per VRF.
        ethernet_tag: u32,
        /// The prefix, host bits zero.
        prefix: IpNet,
    },
    /// Any other type: relayed unchanged, never read. Equal bytes, equal route.
    Unknown {
        /// IANA's route type.
        route_type: u8,
        /// What follows type and length.
        bytes: Arc<[u8]>,
    },
}

/// What an EVPN route carries besides its name. What a type does not have is zero or `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EvpnPayload {
    /// Segment of types 2 and 5; zero for a single-homed site. Type 1 and 4 have it in the key.
    pub esi: EthernetSegmentId,
    /// VNI of types 1, 2 and 5.
    pub label: Label,
    /// Type 2 only: VNI of the VRF, for symmetric routing.
    pub label2: Option<Label>,
    /// Type 5 only: gateway as overlay index.
    pub gateway: Option<IpAddr>,
}

const ETHERNET_AD: u8 = 1;
const MAC_IP: u8 = 2;
const MULTICAST: u8 = 3;
const ETHERNET_SEGMENT: u8 = 4;
const PREFIX: u8 = 5;

impl EvpnKey {
    /// Route type on the wire.
    pub const fn route_type(&self) -> u8 {
        match self {
            Self::EthernetAd { .. } => ETHERNET_AD,
            Self::MacIp { .. } => MAC_IP,
            Self::Multicast { .. } => MULTICAST,
            Self::EthernetSegment { .. } => ETHERNET_SEGMENT,
            Self::Prefix { .. } => PREFIX,
            Self::Unknown { route_type, .. } => *route_type,
        }
    }

    /// The route distinguisher. All types that IANA lists so far begin with one, so an unknown route has one too if it
    /// is long enough.
    pub fn rd(&self) -> Option<RouteDistinguisher> {
        match self {
            Self::EthernetAd { rd, .. }
            | Self::MacIp { rd, .. }
            | Self::Multicast { rd, .. }
            | Self::EthernetSegment { rd, .. }
            | Self::Prefix { rd, .. } => Some(*rd),
            Self::Unknown { bytes, .. } => bytes.first_chunk().copied().map(RouteDistinguisher),
        }
    }
}

/// A type 2 route, which almost all are, in two words and its tag: derived, it would be octet by octet.
impl Hash for EvpnKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::MacIp { rd, ethernet_tag, mac, ip } => {
                let [a, b, c, d, e, f] = mac.octets();
                state.write_u64(u64::from_ne_bytes(rd.0));
                state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, MAC_IP, 0]));
                state.write_u32(*ethernet_tag);
                if let Some(ip) = ip {
                    ip.hash(state);
                }
            }
            Self::EthernetAd { rd, esi, ethernet_tag } => (rd, esi, ethernet_tag).hash(state),
            Self::Multicast { rd, ethernet_tag, originator } => {
                (rd, ethernet_tag, originator).hash(state);
            }
            Self::EthernetSegment { rd, esi, originator } => (rd, esi, originator).hash(state),
            Self::Prefix { rd, ethernet_tag, prefix } => (rd, ethernet_tag, prefix).hash(state),
            Self::Unknown { route_type, bytes } => (route_type, bytes).hash(state),
        }
    }
}

impl Family for Evpn {
    const FAMILY: AfiSafi = AfiSafi::L2VPN_EVPN;
    type Key = EvpnKey;
    type Payload = EvpnPayload;

    #[inline(always)]
    fn decode(input: &mut Reader<'_>) -> Option<DecodedRoute<Self>> {
        while let Some(route_type) = input.u8() {
            let Some(body) = input.take_u8_len() else {
                input.skip_rest();
                return Some(Err(NlriError::Truncated));
            };
            // Almost all routes are of type 2. The others stay out of what is inlined, and must not meet these in one
            // variable: that would be in memory, written in small pieces and read in large ones, which is slow.
            if route_type == MAC_IP {
                if let Some(route) = decode_mac_ip(body) {
                    return Some(Ok(route));
                }
            } else if let Some(route) = decode_other(route_type, body) {
                return Some(Ok(route));
            }
        }
        None
    }

    fn decode_one(input: &mut Reader<'_>) -> Option<Result<Option<Route<Self>>, NlriError>> {
        let route_type = input.u8()?;
        let Some(body) = input.take_u8_len() else { return Some(Err(NlriError::Truncated)) };
        Some(Ok(match route_type {
            MAC_IP => decode_mac_ip(body),
            other => decode_other(other, body),
        }))
    }

    #[inline]
    fn encode(key: &EvpnKey, payload: &EvpnPayload, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[key.route_type(), 0]);
        encode_body(key, payload, out);
        let len = out.len() - start - 2;
        if let Some(field) = out.get_mut(start + 1) {
            *field = u8::try_from(len).unwrap_or(u8::MAX);
        }
    }

    /// A type 5 route names at most one overlay index, and needs something to forward by: segment, gateway, router MAC
    /// or label (RFC 9136 §3.1, §3.2).
    fn is_usable(key: &EvpnKey, payload: &EvpnPayload, attributes: &AttributeSet) -> bool {
        if !matches!(key, EvpnKey::Prefix { .. }) {
            return true;
        }
        let has_segment = payload.esi != EthernetSegmentId::default();
        let has_gateway = payload.gateway.is_some();
        let has_label = payload.label != Label::default();
        let has_router_mac =
            || attributes.ext_communities().any(|community| community.as_router_mac().is_some());
        !(has_segment && has_gateway)
            && (has_segment || has_gateway || has_label || has_router_mac())
    }
}

#[inline(never)]
fn decode_other(route_type: u8, body: &[u8]) -> Option<(EvpnKey, EvpnPayload)> {
    match route_type {
        ETHERNET_AD => decode_ethernet_ad(body),
        MULTICAST => decode_multicast(body),
        ETHERNET_SEGMENT => decode_ethernet_segment(body),
        PREFIX => decode_ip_prefix(body),
        _ => Some((EvpnKey::Unknown { route_type, bytes: body.into() }, EvpnPayload::default())),
    }
}

fn decode_ethernet_ad(body: &[u8]) -> Option<(EvpnKey, EvpnPayload)> {
    let mut body = Reader::new(body);
    let rd = RouteDistinguisher(body.array()?);
    let esi = EthernetSegmentId(body.array()?);
    let ethernet_tag = body.u32()?;
    let label = Label::from_octets(body.array()?);
    let payload = EvpnPayload { label, ..EvpnPayload::default() };
    body.is_empty().then_some((EvpnKey::EthernetAd { rd, esi, ethernet_tag }, payload))
}

#[inline(always)]
fn decode_mac_ip(body: &[u8]) -> Option<(EvpnKey, EvpnPayload)> {
    let (fixed, rest) = body.split_first_chunk::<30>()?;
    let mut fixed = Reader::new(fixed);
    let rd = RouteDistinguisher(fixed.array()?);
    let esi = EthernetSegmentId(fixed.array()?);
    let ethernet_tag = fixed.u32()?;
    if fixed.u8()? != 48 {
        return None;
    }
    let mac = MacAddr::from(fixed.array::<6>()?);
    let (ip, labels) = match fixed.u8()? {
        0 => (None, rest),
        32 => rest.split_first_chunk::<4>().map(|(ip, rest)| (Some(IpAddr::from(*ip)), rest))?,
        128 => rest.split_first_chunk::<16>().map(|(ip, rest)| (Some(IpAddr::from(*ip)), rest))?,
        _ => return None,
    };
    let (label, label2) = match *labels {
        [a, b, c] => (Label::from_octets([a, b, c]), None),
        [a, b, c, d, e, f] => (Label::from_octets([a, b, c]), Some(Label::from_octets([d, e, f]))),
        _ => return None,
    };
    Some((
        EvpnKey::MacIp { rd, ethernet_tag, mac, ip },
        EvpnPayload { esi, label, label2, gateway: None },
    ))
}

fn decode_multicast(body: &[u8]) -> Option<(EvpnKey, EvpnPayload)> {
    let mut body = Reader::new(body);
    let rd = RouteDistinguisher(body.array()?);
    let ethernet_tag = body.u32()?;
    let originator = decode_ip(&mut body)?;
    body.is_empty()
        .then_some((EvpnKey::Multicast { rd, ethernet_tag, originator }, EvpnPayload::default()))
}

fn decode_ethernet_segment(body: &[u8]) -> Option<(EvpnKey, EvpnPayload)> {
    let mut body = Reader::new(body);
    let rd = RouteDistinguisher(body.array()?);
    let esi = EthernetSegmentId(body.array()?);
    let originator = decode_ip(&mut body)?;
    body.is_empty()
        .then_some((EvpnKey::EthernetSegment { rd, esi, originator }, EvpnPayload::default()))
}

/// The length alone says whether prefix and gateway are IPv4 or IPv6: 34 or 58 (RFC 9136 §3.1).
fn decode_ip_prefix(body: &[u8]) -> Option<(EvpnKey, EvpnPayload)> {
    let is_v4 = match body.len() {
        34 => true,
        58 => false,
        _ => return None,
    };
    let mut body = Reader::new(body);
    let rd = RouteDistinguisher(body.array()?);
    let esi = EthernetSegmentId(body.array()?);
    let ethernet_tag = body.u32()?;
    let length = body.u8()?;
    let (prefix, gateway) = if is_v4 {
        let prefix = Ipv4Net::new(Ipv4Addr::from(body.array::<4>()?), length).ok()?;
        (IpNet::V4(prefix.trunc()), IpAddr::from(body.array::<4>()?))
    } else {
        let prefix = Ipv6Net::new(Ipv6Addr::from(body.array::<16>()?), length).ok()?;
        (IpNet::V6(prefix.trunc()), IpAddr::from(body.array::<16>()?))
    };
    let label = Label::from_octets(body.array()?);
    let gateway = Some(gateway).filter(|gateway| !gateway.is_unspecified());
    Some((
        EvpnKey::Prefix { rd, ethernet_tag, prefix },
        EvpnPayload { esi, label, label2: None, gateway },
    ))
}

/// Length in bits, then an address of that length.
fn decode_ip(body: &mut Reader<'_>) -> Option<IpAddr> {
    match body.u8()? {
        32 => body.array::<4>().map(IpAddr::from),
        128 => body.array::<16>().map(IpAddr::from),
        _ => None,
    }
}

#[inline]
fn encode_body(key: &EvpnKey, payload: &EvpnPayload, out: &mut Vec<u8>) {
    match key {
        EvpnKey::EthernetAd { rd, esi, ethernet_tag } => {
            out.extend_from_slice(&rd.0);
            out.extend_from_slice(&esi.0);
            out.extend_from_slice(&ethernet_tag.to_be_bytes());
            out.extend_from_slice(&payload.label.octets());
        }
        EvpnKey::MacIp { rd, ethernet_tag, mac, ip } => {
            out.extend_from_slice(&rd.0);
            out.extend_from_slice(&payload.esi.0);
            out.extend_from_slice(&ethernet_tag.to_be_bytes());
            out.push(48);
            out.extend_from_slice(&mac.octets());
            match ip {
                None => out.push(0),
                Some(ip) => encode_ip(*ip, out),
            }
            out.extend_from_slice(&payload.label.octets());
            if let Some(label2) = payload.label2 {
                out.extend_from_slice(&label2.octets());
            }
        }
        EvpnKey::Multicast { rd, ethernet_tag, originator } => {
            out.extend_from_slice(&rd.0);
            out.extend_from_slice(&ethernet_tag.to_be_bytes());
            encode_ip(*originator, out);
        }
        EvpnKey::EthernetSegment { rd, esi, originator } => {
            out.extend_from_slice(&rd.0);
            out.extend_from_slice(&esi.0);
            encode_ip(*originator, out);
        }
        EvpnKey::Prefix { rd, ethernet_tag, prefix } => {
            out.extend_from_slice(&rd.0);
            out.extend_from_slice(&payload.esi.0);
            out.extend_from_slice(&ethernet_tag.to_be_bytes());
            out.push(prefix.prefix_len());
            encode_prefix_and_gateway(*prefix, payload.gateway, out);
            out.extend_from_slice(&payload.label.octets());
        }
        EvpnKey::Unknown { bytes, .. } => out.extend(bytes.iter().take(usize::from(u8::MAX))),
    }
}

/// Both of one family; a gateway of the other one cannot be said and is left out.
fn encode_prefix_and_gateway(prefix: IpNet, gateway: Option<IpAddr>, out: &mut Vec<u8>) {
    match prefix {
        IpNet::V4(prefix) => {
            let gateway = match gateway {
                Some(IpAddr::V4(gateway)) => gateway,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            out.extend_from_slice(&prefix.network().octets());
            out.extend_from_slice(&gateway.octets());
        }
        IpNet::V6(prefix) => {
            let gateway = match gateway {
                Some(IpAddr::V6(gateway)) => gateway,
                _ => Ipv6Addr::UNSPECIFIED,
            };
            out.extend_from_slice(&prefix.network().octets());
            out.extend_from_slice(&gateway.octets());
        }
    }
}

fn encode_ip(ip: IpAddr, out: &mut Vec<u8>) {
    out.push(address_bits(ip));
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

const fn address_bits(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// As FRR prints routes, without the route distinguisher.
impl fmt::Display for EvpnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.route_type())?;
        match self {
            // FRR's key has room for a VTEP and a fragment; both are zero in a received route.
            Self::EthernetAd { esi, ethernet_tag, .. } => {
                write!(f, ":[{ethernet_tag}]:[{esi}]:[32]:[0.0.0.0]:[0]")
            }
            Self::MacIp { ethernet_tag, mac, ip, .. } => {
                write!(f, ":[{ethernet_tag}]:[48]:[{mac}]")?;
                ip.map_or(Ok(()), |ip| write!(f, ":[{}]:[{ip}]", address_bits(ip)))
            }
            Self::Multicast { ethernet_tag, originator, .. } => {
                write!(f, ":[{ethernet_tag}]:[{}]:[{originator}]", address_bits(*originator))
            }
            Self::EthernetSegment { esi, originator, .. } => {
                write!(f, ":[{esi}]:[{}]:[{originator}]", address_bits(*originator))
            }
            Self::Prefix { ethernet_tag, prefix, .. } => {
                write!(f, ":[{ethernet_tag}]:[{}]:[{}]", prefix.prefix_len(), prefix.network())
            }
            Self::Unknown { bytes, .. } => {
                f.write_str(":[")?;
                bytes.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
                f.write_str("]")
            }
        }
    }
}
