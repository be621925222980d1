//! Routes.
//!
//! The kernel can hold several routes of one key (same table, prefix and metric). For IPv6 they are read as one with several
//! hops, as the kernel itself shows them. The exceptions are those that it makes for every link by itself, to link-local and
//! multicast prefixes: nobody routes by them, and they are not read at all.

use std::net::IpAddr;

use ipnet::IpNet;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType, RouteVia,
};

use super::message::{
    self, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, RTM_DELROUTE, RTM_NEWROUTE, Request,
};
use super::{Ifindex, Key, Offload, PROTOCOL_BGP, TABLE_MAIN};

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// To where, host bits zero.
    pub prefix: IpNet,
    /// In which table.
    pub table: u32,
    /// Among routes to the same prefix, the lowest wins.
    pub metric: u32,
    /// Who made it. Our mark.
    pub protocol: u8,
    /// What happens to a packet.
    pub kind: RouteKind,
    /// Which way it goes.
    pub via: Via,
    /// The source address that packets of this machine take.
    pub source: Option<IpAddr>,
    /// Whether the hardware took it.
    pub offload: Offload,
}

/// What happens to a packet that a route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteKind {
    /// Forwarded.
    Unicast,
    /// It is for this machine.
    Local,
    /// It is for everyone on the link.
    Broadcast,
    /// It is for any of several machines, this one among them.
    Anycast,
    /// It is for a group.
    Multicast,
    /// Dropped in silence.
    Blackhole,
    /// Dropped, and the sender is told that there is no way.
    Unreachable,
    /// Dropped, and the sender is told that it is forbidden.
    Prohibit,
    /// Another kind, by the kernel's number.
    Other(u8),
}

/// Which way a route goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// One or several ways, written in the route itself. Empty where the kind needs none.
    Hops(Vec<Hop>),
    /// By a nexthop object.
    Nexthop(u32),
}

/// One way of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The gateway; `None` when the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// On which link; 0 in a new route lets the kernel find it by the gateway.
    pub ifindex: Ifindex,
    /// Its share of the load, 1 to 256.
    pub weight: u16,
    /// Take the gateway to be on the link even if no subnet says so.
    pub onlink: bool,
}

impl Hop {
    /// Through a gateway on a link.
    pub const fn gateway(gateway: IpAddr, ifindex: Ifindex) -> Self {
        Self { gateway: Some(gateway), ifindex, weight: 1, onlink: false }
    }

    /// Straight onto a link.
    pub const fn device(ifindex: Ifindex) -> Self {
        Self { gateway: None, ifindex, weight: 1, onlink: false }
    }
}

/// What the kernel makes of metric 0 in an IPv6 route (`IP6_RT_PRIO_USER`).
const DEFAULT_METRIC_V6: u32 = 1024;

impl Route {
    /// A route of the main table with our mark.
    pub fn new(prefix: IpNet, metric: u32, via: Via) -> Self {
        Self {
            prefix,
            table: TABLE_MAIN,
            metric: effective_metric(prefix, metric),
            protocol: PROTOCOL_BGP,
            kind: RouteKind::Unicast,
            via,
            source: None,
            offload: Offload::default(),
        }
    }

    /// Its identity.
    pub fn key(&self) -> Key {
        Key::Route {
            table: self.table,
            prefix: self.prefix.trunc(),
            metric: effective_metric(self.prefix, self.metric),
        }
    }

    /// What must exist first.
    pub fn requires(&self) -> Vec<Key> {
        match &self.via {
            Via::Hops(hops) => hops
                .iter()
                .filter(|hop| hop.ifindex != 0)
                .map(|hop| Key::Link(hop.ifindex))
                .collect(),
            Via::Nexthop(id) => vec![Key::Nexthop(*id)],
        }
    }

    /// Whether it carries our mark.
    pub fn is_ours(&self) -> bool {
        self.protocol == PROTOCOL_BGP
    }

    /// Whether `held` is all that this asks for.
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        self.key() == held.key()
            && self.kind == held.kind
            && self.protocol == held.protocol
            && self.via.is_satisfied_by(&held.via)
            && (self.source.is_none() || self.source == held.source)
    }
    /// Creates it; refused if a route of its key exists, which may be another's.
    pub(super) fn encode_create(&self) -> Request {
        self.encode(NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Turns what is there under its key into it.
    pub(super) fn encode_replace(&self) -> Request {
        self.encode(NLM_F_CREATE | NLM_F_REPLACE)
    }

    fn encode(&self, flags: u16) -> Request {
        let mut message = self.message();
        message.header.protocol = RouteProtocol::from(self.protocol);
        message.header.kind = self.kind.into();
        message.header.scope = match (self.kind, &self.via) {
            (RouteKind::Local, _) => RouteScope::Host,
            // IPv4 wants to know that no gateway is meant; IPv6 knows no scopes.
            (RouteKind::Unicast, Via::Hops(hops))
                if self.is_v4() && hops.iter().all(|hop| hop.gateway.is_none()) =>
            {
                RouteScope::Link
            }
            _ => RouteScope::Universe,
        };
        match &self.via {
            Via::Nexthop(id) => message.attributes.push(RouteAttribute::NhId(*id)),
            Via::Hops(hops) => match hops.as_slice() {
                [] => {}
                [hop] => {
                    message.header.flags.set(RouteFlags::Onlink, hop.onlink);
                    message.attributes.extend(hop.gateway_attribute(self.is_v4()));
                    message
                        .attributes
                        .extend((hop.ifindex != 0).then_some(RouteAttribute::Oif(hop.ifindex)));
                }
                hops => {
                    let hops = hops.iter().map(|hop| hop.encode(self.is_v4())).collect();
                    message.attributes.push(RouteAttribute::MultiPath(hops));
                }
            },
        }
        message
            .attributes
            .extend(self.source.map(|source| RouteAttribute::PrefSource(source.into())));
        Request::new(RTM_NEWROUTE, flags, &message)
    }

    /// Names prefix, table, metric and protocol: of two routes to one prefix, the right one goes; another's never.
    pub(super) fn encode_delete(&self) -> Request {
        let mut message = self.message();
        message.header.protocol = RouteProtocol::from(self.protocol);
        message.header.scope = RouteScope::NoWhere;
        Request::new(RTM_DELROUTE, 0, &message)
    }

    fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family =
            if self.is_v4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.destination_prefix_length = self.prefix.prefix_len();
        message.header.table = u8::try_from(self.table).unwrap_or(0);
        let mut add = |attribute| message.attributes.push(attribute);
        if self.prefix.prefix_len() != 0 {
            add(RouteAttribute::Destination(self.prefix.network().into()));
        }
        if u8::try_from(self.table).is_err() {
            add(RouteAttribute::Table(self.table));
        }
        if self.metric != 0 {
            add(RouteAttribute::Priority(self.metric));
        }
        message
    }

    fn is_v4(&self) -> bool {
        matches!(self.prefix, IpNet::V4(_))
    }

    /// `None`: not a route that anybody asked for: a cached exception, another family, a route that every link has.
    pub(super) fn decode(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        if header.flags.contains(RouteFlags::Cloned) {
            return None;
        }
        let unspecified = match header.address_family {
            AddressFamily::Inet => IpAddr::from([0; 4]),
            AddressFamily::Inet6 => IpAddr::from([0; 16]),
            _ => return None,
        };
        let mut route = Self {
            prefix: IpNet::new(unspecified, header.destination_prefix_length).ok()?,
            table: u32::from(header.table),
            metric: 0,
            protocol: header.protocol.into(),
            kind: header.kind.into(),
            via: Via::Hops(Vec::new()),
            source: None,
            offload: Offload {
                offloaded: header.flags.contains(RouteFlags::RtOffload),
                trapped: header.flags.contains(RouteFlags::RtTrap),
                failed: header.flags.contains(RouteFlags::OffloadFailed),
            },
        };
        let mut hop = Hop {
            gateway: None,
            ifindex: 0,
            weight: 1,
            onlink: header.flags.contains(RouteFlags::Onlink),
        };
        let (mut hops, mut nexthop) = (Vec::new(), None);
        let mut of_hops = Offload {
            offloaded: header.flags.contains(RouteFlags::Offload),
            trapped: header.flags.contains(RouteFlags::Trap),
            failed: false,
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(destination) => {
                    route.prefix =
                        IpNet::new(address_of(destination)?, header.destination_prefix_length)
                            .ok()?;
                }
                RouteAttribute::Table(table) => route.table = *table,
                RouteAttribute::Priority(metric) => route.metric = *metric,
                RouteAttribute::PrefSource(source) => route.source = address_of(source),
                RouteAttribute::Oif(ifindex) => hop.ifindex = *ifindex,
                RouteAttribute::NhId(id) => nexthop = Some(*id),
                RouteAttribute::MultiPath(several) => {
                    for hop in several {
                        of_hops.offloaded |= hop.flags.contains(RouteNextHopFlags::Offload);
                        of_hops.trapped |= hop.flags.contains(RouteNextHopFlags::Trap);
                        hops.push(Hop::decode(hop));
                    }
                }
                other => hop.gateway = gateway_of(other).or(hop.gateway),
            }
        }
        if hops.is_empty() && (hop.ifindex != 0 || hop.gateway.is_some()) {
            hops.push(hop);
        }
        // Rocker flags the gateway that is written in the route, and never the route. A nexthop object's flags are its own:
        // they say nothing of a route that uses it.
        if nexthop.is_none() && route.offload == Offload::default() {
            route.offload = of_hops;
        }
        route.via = nexthop.map_or(Via::Hops(hops), Via::Nexthop);
        let of_every_link = match route.prefix {
            IpNet::V6(prefix) => {
                prefix.addr().is_unicast_link_local() || prefix.addr().is_multicast()
            }
            IpNet::V4(_) => false,
        };
        (!of_every_link).then_some(route)
    }
}

impl Via {
    fn is_satisfied_by(&self, held: &Self) -> bool {
        match (self, held) {
            (Self::Hops(wanted), Self::Hops(held)) => {
                wanted.len() == held.len()
                    && wanted
                        .iter()
                        .all(|wanted| held.iter().any(|held| wanted.is_satisfied_by(held)))
            }
            (Self::Nexthop(wanted), Self::Nexthop(held)) => wanted == held,
            _ => false,
        }
    }
}

impl Hop {
    fn encode(&self, v4_route: bool) -> RouteNextHop {
        let mut hop = RouteNextHop::default();
        hop.interface_index = self.ifindex;
        hop.hops = u8::try_from(self.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        hop.flags.set(RouteNextHopFlags::Onlink, self.onlink);
        hop.attributes.extend(self.gateway_attribute(v4_route));
        hop
    }

    fn decode(hop: &RouteNextHop) -> Self {
        Self {
            gateway: hop.attributes.iter().find_map(gateway_of),
            ifindex: hop.interface_index,
            weight: u16::from(hop.hops) + 1,
            onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
        }
    }

    /// A gateway of the route's own family, or an IPv6 gateway of an IPv4 route.
    fn gateway_attribute(&self, v4_route: bool) -> Option<RouteAttribute> {
        Some(match self.gateway? {
            IpAddr::V6(gateway) if v4_route => RouteAttribute::Via(RouteVia::Inet6(gateway)),
            gateway => RouteAttribute::Gateway(gateway.into()),
        })
    }

    fn is_satisfied_by(&self, held: &Self) -> bool {
        self.gateway == held.gateway
            && (self.ifindex == 0 || self.ifindex == held.ifindex)
            && self.weight == held.weight
            && self.onlink == held.onlink
    }
}

fn effective_metric(prefix: IpNet, metric: u32) -> u32 {
    match prefix {
        IpNet::V6(_) if metric == 0 => DEFAULT_METRIC_V6,
        _ => metric,
    }
}

impl From<RouteKind> for RouteType {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Unicast => Self::Unicast,
            RouteKind::Local => Self::Local,
            RouteKind::Broadcast => Self::Broadcast,
            RouteKind::Anycast => Self::Anycast,
            RouteKind::Multicast => Self::Multicast,
            RouteKind::Blackhole => Self::BlackHole,
            RouteKind::Unreachable => Self::Unreachable,
            RouteKind::Prohibit => Self::Prohibit,
            RouteKind::Other(number) => Self::from(number),
        }
    }
}

impl From<RouteType> for RouteKind {
    fn from(kind: RouteType) -> Self {
        match kind {
            RouteType::Unicast => Self::Unicast,
            RouteType::Local => Self::Local,
            RouteType::Broadcast => Self::Broadcast,
            RouteType::Anycast => Self::Anycast,
            RouteType::Multicast => Self::Multicast,
            RouteType::BlackHole => Self::Blackhole,
            RouteType::Unreachable => Self::Unreachable,
            RouteType::Prohibit => Self::Prohibit,
            other => Self::Other(other.into()),
        }
    }
}

fn gateway_of(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(gateway) => address_of(gateway),
        RouteAttribute::Via(RouteVia::Inet(gateway)) => Some((*gateway).into()),
        RouteAttribute::Via(RouteVia::Inet6(gateway)) => Some((*gateway).into()),
        _ => None,
    }
}

fn address_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        RouteAddress::Other(octets) => message::address(octets),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flagged(nexthop: Option<u32>, flags: RouteFlags) -> Offload {
        let mut message =
            Route::new("10.2.0.0/16".parse().unwrap(), 20, Via::Hops(vec![])).message();
        message.header.flags = flags;
        message.attributes.push(RouteAttribute::Oif(2));
        message.attributes.extend(nexthop.map(RouteAttribute::NhId));
        Route::decode(&message).unwrap().offload
    }

    #[test]
    fn a_flag_of_the_gateway_counts_for_the_route_it_is_written_in_unless_the_route_has_one_itself()
    {
        let rocker = flagged(None, RouteFlags::Offload);
        assert_eq!(rocker, Offload { offloaded: true, ..Offload::default() });
        let failed = flagged(None, RouteFlags::Offload | RouteFlags::OffloadFailed);
        assert_eq!(failed, Offload { failed: true, ..Offload::default() });
        assert_eq!(flagged(Some(7), RouteFlags::Trap), Offload::default());
    }
}
