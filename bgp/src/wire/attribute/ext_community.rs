//! Extended communities (RFC 4360): route targets, and what EVPN says with the other ones.

use std::fmt;

use crate::types::{Asn, EthernetSegmentId, Label, MacAddr, RouteTarget};

/// Eight octets; the first one or two say what the others mean.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtCommunity(pub [u8; 8]);

/// What the neighbour advertised in a MAC/IP route is (RFC 9047).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NeighborFlags {
    /// An IPv6 router (R).
    pub router: bool,
    /// Overrides what is cached (O).
    pub overriding: bool,
    /// Will not move (I).
    pub immutable: bool,
}

const NON_TRANSITIVE: u8 = 0x40;
const OPAQUE: u8 = 0x03;
const EVPN: u8 = 0x06;

const MAC_MOBILITY: u8 = 0x00;
const ESI_LABEL: u8 = 0x01;
const ES_IMPORT: u8 = 0x02;
const ROUTER_MAC: u8 = 0x03;
const DF_ELECTION: u8 = 0x06;
const NEIGHBOR: u8 = 0x08;
const ENCAPSULATION: u8 = 0x0c;
const DEFAULT_GATEWAY: u8 = 0x0d;
const ROUTE_TARGET: u8 = 0x02;
const ROUTE_ORIGIN: u8 = 0x03;
const LINK_BANDWIDTH: u8 = 0x04;

const VXLAN: u16 = 8;

impl ExtCommunity {
    /// A route target.
    pub const fn route_target(target: RouteTarget) -> Self {
        Self(target.0)
    }

    /// Tunnel encapsulation VXLAN (RFC 8365 §5.1.3).
    pub const fn encapsulation_vxlan() -> Self {
        Self([OPAQUE, ENCAPSULATION, 0, 0, 0, 0, 0, 8])
    }

    /// MAC mobility (RFC 7432 §7.7).
    pub const fn mac_mobility(sticky: bool, sequence: u32) -> Self {
        let [a, b, c, d] = sequence.to_be_bytes();
        Self([EVPN, MAC_MOBILITY, sticky as u8, 0, a, b, c, d])
    }

    /// Router's MAC for symmetric routing (RFC 9135 §8.1).
    pub const fn router_mac(MacAddr(a, b, c, d, e, f): MacAddr) -> Self {
        Self([EVPN, ROUTER_MAC, a, b, c, d, e, f])
    }

    /// This station is the default gateway (RFC 7432 §10.1).
    pub const fn default_gateway() -> Self {
        Self([OPAQUE, DEFAULT_GATEWAY, 0, 0, 0, 0, 0, 0])
    }

    /// ARP or neighbour discovery flags (RFC 9047).
    pub const fn neighbor(flags: NeighborFlags) -> Self {
        let bits =
            flags.router as u8 | (flags.overriding as u8) << 1 | (flags.immutable as u8) << 3;
        Self([EVPN, NEIGHBOR, bits, 0, 0, 0, 0, 0])
    }

    /// ESI label (RFC 7432 §7.5).
    pub const fn esi_label(single_active: bool, label: Label) -> Self {
        let [a, b, c] = label.octets();
        Self([EVPN, ESI_LABEL, single_active as u8, 0, 0, a, b, c])
    }

    /// ES-Import route target (RFC 7432 §7.6): the six high octets of the segment's value.
    pub const fn es_import(
        EthernetSegmentId([_, a, b, c, d, e, f, ..]): EthernetSegmentId,
    ) -> Self {
        Self([EVPN, ES_IMPORT, a, b, c, d, e, f])
    }

    /// Link bandwidth (draft-ietf-idr-link-bandwidth §2): bytes per second as a floating point number. The draft's is not
    /// transitive; FRR sends a transitive one too.
    pub fn link_bandwidth(asn: Asn, megabits: u32, transitive: bool) -> Self {
        let [_, _, x, y] = asn.0.to_be_bytes();
        #[expect(clippy::cast_precision_loss, reason = "the format has no more")]
        let [a, b, c, d] = (megabits as f32 * 125_000.0).to_be_bytes();
        let kind = if transitive { 0 } else { NON_TRANSITIVE };
        Self([kind, LINK_BANDWIDTH, x, y, a, b, c, d])
    }

    /// Whether it may leave the AS.
    pub const fn is_transitive(self) -> bool {
        self.0[0] & NON_TRANSITIVE == 0
    }

    /// The route target, if it is one: any of the three forms with sub-type 2.
    pub const fn as_route_target(self) -> Option<RouteTarget> {
        match self.0 {
            [0x00..=0x02, ROUTE_TARGET, ..] => Some(RouteTarget(self.0)),
            _ => None,
        }
    }

    /// The tunnel type, if it names one: 8 is VXLAN.
    pub const fn as_encapsulation(self) -> Option<u16> {
        match self.0 {
            [OPAQUE, ENCAPSULATION, _, _, _, _, high, low] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }

    /// Whether it says VXLAN.
    pub const fn is_vxlan(self) -> bool {
        matches!(self.as_encapsulation(), Some(VXLAN))
    }

    /// Sticky flag and sequence number, if it is MAC mobility.
    pub const fn as_mac_mobility(self) -> Option<(bool, u32)> {
        match self.0 {
            [EVPN, MAC_MOBILITY, flags, _, a, b, c, d] => {
                Some((flags & 1 != 0, u32::from_be_bytes([a, b, c, d])))
            }
            _ => None,
        }
    }

    /// The MAC address, if it is a router's MAC.
    pub const fn as_router_mac(self) -> Option<MacAddr> {
        match self.0 {
            [EVPN, ROUTER_MAC, a, b, c, d, e, f] => Some(MacAddr(a, b, c, d, e, f)),
            _ => None,
        }
    }

    /// Whether it marks the default gateway.
    pub const fn is_default_gateway(self) -> bool {
        matches!(self.0, [OPAQUE, DEFAULT_GATEWAY, ..])
    }

    /// The flags, if it is about a neighbour entry.
    pub const fn as_neighbor(self) -> Option<NeighborFlags> {
        match self.0 {
            [EVPN, NEIGHBOR, bits, ..] => Some(NeighborFlags {
                router: bits & 1 != 0,
                overriding: bits & 2 != 0,
                immutable: bits & 8 != 0,
            }),
            _ => None,
        }
    }

    /// Single-active flag and label, if it is an ESI label.
    pub const fn as_esi_label(self) -> Option<(bool, Label)> {
        match self.0 {
            [EVPN, ESI_LABEL, flags, _, _, a, b, c] => {
                Some((flags & 1 != 0, Label::from_octets([a, b, c])))
            }
            _ => None,
        }
    }

    /// AS number and bytes per second, if it is link bandwidth.
    pub const fn as_link_bandwidth(self) -> Option<(u16, f32)> {
        match self.0 {
            [0x00 | 0x40, LINK_BANDWIDTH, x, y, a, b, c, d] => {
                Some((u16::from_be_bytes([x, y]), f32::from_be_bytes([a, b, c, d])))
            }
            _ => None,
        }
    }
}

impl From<RouteTarget> for ExtCommunity {
    fn from(target: RouteTarget) -> Self {
        Self::route_target(target)
    }
}

/// As FRR prints them.
impl fmt::Display for ExtCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, subtype, a, b, c, d, e, g] = self.0;
        match (kind, subtype) {
            (0x00..=0x02, ROUTE_TARGET) => write!(f, "RT:{}", RouteTarget(self.0)),
            // Route origin has the layout of a route target.
            (0x00..=0x02, ROUTE_ORIGIN) => write!(f, "SoO:{}", RouteTarget(self.0)),
            (0x00 | 0x40, LINK_BANDWIDTH) => {
                let bytes_per_second = f32::from_be_bytes([c, d, e, g]);
                let megabits = bytes_per_second * 8.0 / 1_000_000.0;
                write!(
                    f,
                    "LB:{}:{bytes_per_second:.0} ({megabits:.3} Mbps)",
                    u16::from_be_bytes([a, b])
                )
            }
            (OPAQUE, ENCAPSULATION) => write!(f, "ET:{}", u16::from_be_bytes([e, g])),
            (OPAQUE, DEFAULT_GATEWAY) => f.write_str("Default Gateway"),
            (EVPN, MAC_MOBILITY) => {
                let sticky = if a & 1 == 0 { "" } else { ", sticky MAC" };
                write!(f, "MM:{}{sticky}", u32::from_be_bytes([c, d, e, g]))
            }
            (EVPN, ESI_LABEL) => {
                f.write_str(if a & 1 == 0 { "ESI-label-Rt:AA" } else { "ESI-label-Rt:SA" })
            }
            (EVPN, ES_IMPORT) => write!(f, "ES-Import-Rt:{}", MacAddr(a, b, c, d, e, g)),
            (EVPN, ROUTER_MAC) => write!(f, "Rmac:{}", MacAddr(a, b, c, d, e, g)),
            (EVPN, DF_ELECTION) => {
                let (algorithm, preference) = (a & 0x1f, u16::from_be_bytes([e, g]));
                match u16::from_be_bytes([b, c]) {
                    0 => write!(f, "DF: (alg: {algorithm}, pref: {preference})"),
                    bitmap => {
                        write!(f, "DF: (alg: {algorithm}, bmap: {bitmap:#x} pref: {preference})")
                    }
                }
            }
            (EVPN, NEIGHBOR) => {
                let router = if a & 1 == 0 { "ND:Proxy" } else { "ND:Router Flag" };
                f.write_str(router)
            }
            _ => write!(f, "UNK:{kind}, {subtype}"),
        }
    }
}

impl fmt::Debug for ExtCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
