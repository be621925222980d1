//! The identifiers that BGP and EVPN speak in. Plain values: no wire format beyond their own octets, no policy.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

pub use pnet_base::MacAddr;

/// Autonomous system number, four octets (RFC 6793). 0 is never valid on the wire (RFC 7607).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl Asn {
    /// What an OPEN carries in its two-octet field when the AS number does not fit (RFC 6793 §4.2.2).
    pub const TRANS: Self = Self(23456);
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

/// BGP identifier: four octets, not zero, unique within an AS (RFC 6286). Written like an IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub Ipv4Addr);

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Route distinguisher, eight octets (RFC 4364 §4.2). Type 1 (`192.0.2.1:10`) is what EVPN wants (RFC 7432 §7.9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RouteDistinguisher(pub [u8; 8]);

impl RouteDistinguisher {
    /// Type 1: an IPv4 address and a number of two octets.
    pub const fn from_ipv4(address: Ipv4Addr, number: u16) -> Self {
        let [a, b, c, d] = address.octets();
        let [high, low] = number.to_be_bytes();
        Self([0, 1, a, b, c, d, high, low])
    }
}

impl FromStr for RouteDistinguisher {
    type Err = BadAdministrator;

    fn from_str(text: &str) -> Result<Self, BadAdministrator> {
        let (kind, value) = parse_administrator(text)?;
        let [a, b, c, d, e, g] = value;
        Ok(Self([0, kind, a, b, c, d, e, g]))
    }
}

impl fmt::Display for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [t1, t2, a, b, c, d, e, g] = self.0;
        match u16::from_be_bytes([t1, t2]) {
            0 => write!(f, "{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, g])),
            1 => write!(f, "{}:{}", Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([e, g])),
            2 => write!(f, "{}:{}", u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, g])),
            kind => write!(f, "{kind}:{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{g:02x}"),
        }
    }
}

impl fmt::Debug for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Route target: an extended community of sub-type 2, all eight octets (RFC 4360 §4, RFC 5668).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTarget(pub [u8; 8]);

impl RouteTarget {
    /// Type 0x00: two-octet AS and a number of four octets. The form that FRR and Cumulus derive from `AS:VNI`.
    pub const fn from_as2(asn: u16, number: u32) -> Self {
        let [a, b] = asn.to_be_bytes();
        let [c, d, e, g] = number.to_be_bytes();
        Self([0, 2, a, b, c, d, e, g])
    }

    /// The number of four octets after a two-octet AS, if this is a target of that form.
    pub const fn local_administrator(self) -> Option<u32> {
        match self.0 {
            [0, 2, _, _, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }
}

impl FromStr for RouteTarget {
    type Err = BadAdministrator;

    fn from_str(text: &str) -> Result<Self, BadAdministrator> {
        let (kind, value) = parse_administrator(text)?;
        let [a, b, c, d, e, g] = value;
        Ok(Self([kind, 2, a, b, c, d, e, g]))
    }
}

/// Text that names neither a route distinguisher nor a route target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not AS:NUMBER or ADDRESS:NUMBER, such as \"65000:100\" or \"192.0.2.1:100\"")]
pub struct BadAdministrator(pub String);

/// `192.0.2.1:10`, `65000:100` or `4200000000:100`, in that order of kinds 1, 0 and 2 (RFC 4364 §4.2, RFC 5668): the
/// number has four octets where the AS number has two, and two otherwise.
fn parse_administrator(text: &str) -> Result<(u8, [u8; 6]), BadAdministrator> {
    let parse = || {
        let (administrator, number) = text.rsplit_once(':')?;
        if let Ok(address) = administrator.parse::<Ipv4Addr>() {
            let ([a, b, c, d], [e, f]) =
                (address.octets(), number.parse::<u16>().ok()?.to_be_bytes());
            return Some((1, [a, b, c, d, e, f]));
        }
        let asn: u32 = administrator.parse().ok()?;
        if let Ok(asn) = u16::try_from(asn) {
            let ([a, b], [c, d, e, f]) =
                (asn.to_be_bytes(), number.parse::<u32>().ok()?.to_be_bytes());
            return Some((0, [a, b, c, d, e, f]));
        }
        let ([a, b, c, d], [e, f]) = (asn.to_be_bytes(), number.parse::<u16>().ok()?.to_be_bytes());
        Some((2, [a, b, c, d, e, f]))
    };
    parse().ok_or_else(|| BadAdministrator(text.to_owned()))
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, _, a, b, c, d, e, g] = self.0;
        match kind & 0x3f {
            0 => write!(f, "{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, g])),
            1 => write!(f, "{}:{}", Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([e, g])),
            _ => write!(f, "{}:{}", u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, g])),
        }
    }
}

impl fmt::Debug for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Ethernet segment identifier, ten octets; all zero for a single-homed site (RFC 7432 §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EthernetSegmentId(pub [u8; 10]);

impl fmt::Display for EthernetSegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for EthernetSegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The 24-bit label field of an EVPN route or a PMSI tunnel. With VXLAN encapsulation all 24 bits are the VNI
/// (RFC 8365 §5.1.3); with MPLS the label is the upper 20 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Label(u32);

impl Label {
    /// The low 24 bits of `value`.
    pub const fn from_vni(value: u32) -> Self {
        Self(value & 0x00ff_ffff)
    }

    /// All 24 bits, as VXLAN reads them.
    pub const fn vni(self) -> u32 {
        self.0
    }

    /// From the three octets on the wire.
    pub const fn from_octets([a, b, c]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    /// The three octets on the wire.
    pub const fn octets(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address family: IANA's AFI and SAFI (RFC 4760).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AfiSafi {
    /// Address family identifier.
    pub afi: u16,
    /// Subsequent address family identifier.
    pub safi: u8,
}

impl AfiSafi {
    /// IPv4 unicast.
    pub const IPV4_UNICAST: Self = Self { afi: 1, safi: 1 };
    /// IPv6 unicast.
    pub const IPV6_UNICAST: Self = Self { afi: 2, safi: 1 };
    /// L2VPN EVPN (RFC 7432).
    pub const L2VPN_EVPN: Self = Self { afi: 25, safi: 70 };
}

impl fmt::Display for AfiSafi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPV4_UNICAST => f.write_str("ipv4-unicast"),
            Self::IPV6_UNICAST => f.write_str("ipv6-unicast"),
            Self::L2VPN_EVPN => f.write_str("l2vpn-evpn"),
            Self { afi, safi } => write!(f, "afi {afi} safi {safi}"),
        }
    }
}

impl fmt::Debug for AfiSafi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A family name that this engine does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown address family '{0}'; known: ipv4-unicast, ipv6-unicast, l2vpn-evpn")]
pub struct UnknownFamily(pub String);

impl FromStr for AfiSafi {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::IPV4_UNICAST, Self::IPV6_UNICAST, Self::L2VPN_EVPN]
            .into_iter()
            .find(|family| family.to_string() == name)
            .ok_or_else(|| UnknownFamily(name.to_owned()))
    }
}

/// What we are to an external neighbour, by the money that changes hands (RFC 9234 §3.1). It decides which routes may
/// go on to whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The neighbour pays us for transit.
    Provider,
    /// We are the route server of an exchange, the neighbour is a client.
    RsServer,
    /// The neighbour is the route server of an exchange, we are a client.
    RsClient,
    /// We pay the neighbour for transit.
    Customer,
    /// Both send each other their own and their customers' routes.
    Peer,
}

impl Role {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Provider, "provider"),
        (Self::RsServer, "rs-server"),
        (Self::RsClient, "rs-client"),
        (Self::Customer, "customer"),
        (Self::Peer, "peer"),
    ];

    /// The value of the capability.
    pub const fn octet(self) -> u8 {
        match self {
            Self::Provider => 0,
            Self::RsServer => 1,
            Self::RsClient => 2,
            Self::Customer => 3,
            Self::Peer => 4,
        }
    }

    /// From the value of the capability.
    pub fn from_octet(octet: u8) -> Option<Self> {
        Self::NAMES.into_iter().map(|(role, _)| role).find(|role| role.octet() == octet)
    }

    /// What the neighbour has to be.
    pub const fn counterpart(self) -> Self {
        match self {
            Self::Provider => Self::Customer,
            Self::RsServer => Self::RsClient,
            Self::RsClient => Self::RsServer,
            Self::Customer => Self::Provider,
            Self::Peer => Self::Peer,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.into_iter().find(|(role, _)| role == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

/// A role that RFC 9234 does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown role \"{0}\"; ours towards the neighbor is one of provider, rs-server, rs-client, customer, peer"
)]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let role = Self::NAMES.into_iter().find(|(_, known)| *known == name);
        role.map(|(role, _)| role).ok_or_else(|| UnknownRole(name.to_owned()))
    }
}
