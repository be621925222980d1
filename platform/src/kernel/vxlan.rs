//! VXLAN devices (RFC 7348).

use std::fmt;
use std::net::IpAddr;

use netlink_packet_route::link::InfoVxlan;

use super::Ifindex;

/// A VXLAN network identifier: 24 bits, neither all zero nor all one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

impl Vni {
    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Vni {
    type Error = NotAVni;

    fn try_from(raw: u32) -> Result<Self, Self::Error> {
        if (1..0xff_ffff).contains(&raw) { Ok(Self(raw)) } else { Err(NotAVni(raw)) }
    }
}

impl From<Vni> for u32 {
    fn from(vni: Vni) -> Self {
        vni.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Vxlan {
    /// All of it, for a new device. What is absent would be the kernel's choice, so everything is said.
    pub(super) fn encode(&self) -> Vec<InfoVxlan> {
        let mut attributes = vec![
            InfoVxlan::Port(self.port),
            InfoVxlan::Learning(self.learning),
            InfoVxlan::Tos(self.tos),
            InfoVxlan::Ttl(self.ttl),
            InfoVxlan::UDPCsum(self.udp_checksum),
            InfoVxlan::UDPZeroCsumTX(self.udp6_zero_checksum_tx),
            InfoVxlan::UDPZeroCsumRX(self.udp6_zero_checksum_rx),
            InfoVxlan::Proxy(self.proxy),
        ];
        let mut add = |attribute| attributes.push(attribute);
        match self.vni {
            Some(vni) => add(InfoVxlan::Id(vni.get())),
            None => add(InfoVxlan::CollectMetadata(true)),
        }
        if self.vni_filter {
            add(InfoVxlan::Vnifilter(true));
        }
        match self.local {
            Some(IpAddr::V4(local)) => add(InfoVxlan::Local(local)),
            Some(IpAddr::V6(local)) => add(InfoVxlan::Local6(local)),
            None => {}
        }
        match self.group {
            Some(IpAddr::V4(group)) => add(InfoVxlan::Group(group)),
            Some(IpAddr::V6(group)) => add(InfoVxlan::Group6(group)),
            None => {}
        }
        attributes.extend(self.underlay.map(InfoVxlan::Link));
        attributes
    }

    pub(super) fn decode(attributes: &[InfoVxlan]) -> Self {
        let mut vxlan = Self::EMPTY;
        for attribute in attributes {
            match *attribute {
                InfoVxlan::Id(id) => vxlan.vni = Vni::try_from(id).ok(),
                InfoVxlan::Local(local) => vxlan.local = specified(local.into()),
                InfoVxlan::Local6(local) => vxlan.local = specified(local.into()),
                InfoVxlan::Group(group) => vxlan.group = specified(group.into()),
                InfoVxlan::Group6(group) => vxlan.group = specified(group.into()),
                InfoVxlan::Link(link) => vxlan.underlay = Some(link).filter(|link| *link != 0),
                InfoVxlan::Port(port) => vxlan.port = port,
                InfoVxlan::Learning(on) => vxlan.learning = on,
                InfoVxlan::Ttl(ttl) => vxlan.ttl = ttl,
                InfoVxlan::Tos(tos) => vxlan.tos = tos,
                InfoVxlan::UDPCsum(on) => vxlan.udp_checksum = on,
                InfoVxlan::UDPZeroCsumTX(on) => vxlan.udp6_zero_checksum_tx = on,
                InfoVxlan::UDPZeroCsumRX(on) => vxlan.udp6_zero_checksum_rx = on,
                InfoVxlan::Proxy(on) => vxlan.proxy = on,
                InfoVxlan::CollectMetadata(on) => vxlan.external = on,
                InfoVxlan::Vnifilter(on) => vxlan.vni_filter = on,
                _ => {}
            }
        }
        vxlan
    }

    const EMPTY: Self = Self {
        vni: None,
        local: None,
        group: None,
        underlay: None,
        port: 0,
        learning: false,
        ttl: 0,
        tos: 0,
        udp_checksum: false,
        udp6_zero_checksum_tx: false,
        udp6_zero_checksum_rx: false,
        proxy: false,
        external: false,
        vni_filter: false,
    };
}

fn specified(address: IpAddr) -> Option<IpAddr> {
    Some(address).filter(|address| !address.is_unspecified())
}

/// A number that cannot be a VNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a VNI: VNIs are 1 to 16777214")]
pub struct NotAVni(pub u32);

/// What a VXLAN device is, beyond being a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// `None` on a device that carries many VNIs (`external`).
    pub vni: Option<Vni>,
    /// Source address of the outer header: the VTEP's own.
    pub local: Option<IpAddr>,
    /// Where a packet to an unknown MAC goes, besides the flood list; a multicast group or one address.
    pub group: Option<IpAddr>,
    /// The underlay device, if the operator fixed one.
    pub underlay: Option<Ifindex>,
    /// UDP destination port; 4789 (RFC 7348 §5).
    pub port: u16,
    /// Whether it learns remote MACs from packets. Off when a control plane does.
    pub learning: bool,
    /// TTL of the outer header. 0: the kernel's default.
    pub ttl: u8,
    /// Type of service of the outer header. 1: inherit.
    pub tos: u8,
    /// Whether it computes the UDP checksum over IPv4. Hardware wants it off.
    pub udp_checksum: bool,
    /// Whether it sends IPv6 without a UDP checksum.
    pub udp6_zero_checksum_tx: bool,
    /// Whether it takes IPv6 without a UDP checksum.
    pub udp6_zero_checksum_rx: bool,
    /// Whether it answers ARP itself.
    pub proxy: bool,
    /// Whether the VNI comes with each packet (`external`): one device for many VNIs.
    pub external: bool,
    /// Whether only configured VNIs pass (`vnifilter`).
    pub vni_filter: bool,
}

impl Vxlan {
    /// IANA's UDP port for VXLAN (RFC 7348 §5).
    pub const PORT: u16 = 4789;

    /// A device as an EVPN gateway on switch hardware wants it: no learning, and the outer header that the hardware can
    /// build (fixed TTL, inherited TOS, no checksum over IPv4).
    pub const fn new(vni: Vni, local: IpAddr) -> Self {
        Self {
            vni: Some(vni),
            local: Some(local),
            port: Self::PORT,
            ttl: 64,
            tos: 1,
            udp6_zero_checksum_tx: local.is_ipv6(),
            udp6_zero_checksum_rx: local.is_ipv6(),
            ..Self::EMPTY
        }
    }
}
