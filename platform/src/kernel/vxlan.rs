//! VXLAN devices (RFC 7348).

use std::fmt;
use std::net::IpAddr;

use netlink_packet_route::link::InfoVxlan;

use super::Ifindex;

/// A VXLAN network identifier: 24 bits, neither all zero nor all one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

impl Vni {
    /// The lowest.
    pub const MIN: Self = Self(1);

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
        self.extensions.encode(&mut attributes);
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
        if self.ttl_inherit {
            attributes.push(InfoVxlan::TtlInheritFlag);
        }
        if self.source_ports != (0, 0) {
            attributes.push(InfoVxlan::PortRange(self.source_ports));
        }
        if self.flow_label != 0 {
            attributes.push(InfoVxlan::Label(self.flow_label));
        }
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
                InfoVxlan::TtlInheritFlag => vxlan.ttl_inherit = true,
                InfoVxlan::TtlInherit(on) => vxlan.ttl_inherit = on != 0,
                InfoVxlan::PortRange(range) => vxlan.source_ports = range,
                InfoVxlan::Label(label) => vxlan.flow_label = label,
                ref other => vxlan.extensions.take(other),
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
        ttl_inherit: false,
        source_ports: (0, 0),
        flow_label: 0,
        extensions: VxlanExtensions::NONE,
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
    /// Whether the TTL of the outer header is copied from the inner one; then `ttl` counts for nothing.
    pub ttl_inherit: bool,
    /// UDP source ports of the outer header, first and last. (0, 0): the kernel's local port range.
    pub source_ports: (u16, u16),
    /// Flow label of an outer IPv6 header, 20 bits.
    pub flow_label: u32,
    /// What few devices have.
    pub extensions: VxlanExtensions,
}

/// Rare features of a VXLAN device; a new one has none of them. Hardware supports none of them either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VxlanExtensions {
    /// Group policy header (`gbp`).
    pub group_policy: bool,
    /// Generic protocol extension header (`gpe`).
    pub generic_protocol: bool,
    /// Route short circuit (`rsc`).
    pub route_short_circuit: bool,
    /// Asks user space for unknown MACs (`l2miss`).
    pub l2miss: bool,
    /// Asks user space for unknown addresses (`l3miss`).
    pub l3miss: bool,
    /// Remote checksum offload, sending (`remcsumtx`).
    pub remote_checksum_tx: bool,
    /// Remote checksum offload, receiving (`remcsumrx`).
    pub remote_checksum_rx: bool,
    /// Packets to this machine itself leave through the underlay (`nolocalbypass`, since Linux 6.5).
    pub no_local_bypass: bool,
}

impl VxlanExtensions {
    const NONE: Self = Self {
        group_policy: false,
        generic_protocol: false,
        route_short_circuit: false,
        l2miss: false,
        l3miss: false,
        remote_checksum_tx: false,
        remote_checksum_rx: false,
        no_local_bypass: false,
    };

    /// Only what is on: an older kernel refuses what it does not know.
    fn encode(self, attributes: &mut Vec<InfoVxlan>) {
        let on = [
            (self.group_policy, InfoVxlan::Gbp),
            (self.generic_protocol, InfoVxlan::Gpe),
            (self.route_short_circuit, InfoVxlan::Rsc(true)),
            (self.l2miss, InfoVxlan::L2Miss(true)),
            (self.l3miss, InfoVxlan::L3Miss(true)),
            (self.remote_checksum_tx, InfoVxlan::RemCsumTX(true)),
            (self.remote_checksum_rx, InfoVxlan::RemCsumRX(true)),
            (self.no_local_bypass, InfoVxlan::Localbypass(false)),
        ];
        attributes.extend(on.into_iter().filter(|(on, _)| *on).map(|(_, attribute)| attribute));
    }

    fn take(&mut self, attribute: &InfoVxlan) {
        match *attribute {
            InfoVxlan::Gbp => self.group_policy = true,
            InfoVxlan::Gpe => self.generic_protocol = true,
            InfoVxlan::Rsc(on) => self.route_short_circuit = on,
            InfoVxlan::L2Miss(on) => self.l2miss = on,
            InfoVxlan::L3Miss(on) => self.l3miss = on,
            InfoVxlan::RemCsumTX(on) => self.remote_checksum_tx = on,
            InfoVxlan::RemCsumRX(on) => self.remote_checksum_rx = on,
            InfoVxlan::Localbypass(on) => self.no_local_bypass = !on,
            _ => {}
        }
    }
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
