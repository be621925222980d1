//! Routes.
//!
//! The kernel can hold several routes of one key (same table, prefix and metric). For IPv6 they are read as one with several
//! hops, as the kernel itself shows them. The exceptions are those that it makes for every link by itself, to link-local and
//! multicast prefixes: nobody routes by them, and they are not read at all.

mod message;

use std::net::IpAddr;

use ipnet::IpNet;

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

impl RouteKind {
    /// Whether packets go nowhere. The kernel then says of IPv6 routes all the same that they lead to the loopback device.
    pub const fn drops(self) -> bool {
        matches!(self, Self::Blackhole | Self::Unreachable | Self::Prohibit)
    }
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
            && (self.kind.drops() || self.via.is_satisfied_by(&held.via))
            && (self.source.is_none() || self.source == held.source)
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
