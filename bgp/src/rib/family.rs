//! What the tables need to know of a family beyond its wire format.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::policy::RouteRef;
use crate::types::AfiSafi;
use crate::wire::{Evpn, EvpnKey, EvpnPayload, Family, Ipv4Unicast, Ipv6Unicast, NextHop};

/// Names a route of any family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKey {
    /// IPv4 unicast.
    Ipv4(Ipv4Net),
    /// IPv6 unicast.
    Ipv6(Ipv6Net),
    /// L2VPN EVPN.
    Evpn(EvpnKey),
}

impl RouteKey {
    /// Its family.
    pub const fn family(&self) -> AfiSafi {
        match self {
            Self::Ipv4(_) => AfiSafi::IPV4_UNICAST,
            Self::Ipv6(_) => AfiSafi::IPV6_UNICAST,
            Self::Evpn(_) => AfiSafi::L2VPN_EVPN,
        }
    }

    /// The prefix of a unicast route.
    pub const fn prefix(&self) -> Option<IpNet> {
        match self {
            Self::Ipv4(prefix) => Some(IpNet::V4(*prefix)),
            Self::Ipv6(prefix) => Some(IpNet::V6(*prefix)),
            Self::Evpn(_) => None,
        }
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(prefix) => prefix.fmt(f),
            Self::Ipv6(prefix) => prefix.fmt(f),
            Self::Evpn(key) => key.fmt(f),
        }
    }
}

/// What differs between the tables of two families.
pub trait RouteFamily: Family<Key: Send, Payload: Send> {
    /// Whether a next hop is a router on the way, which external sessions replace. The next hop of EVPN is the VTEP at
    /// the far end, and stays (as FRR does by default).
    const NEXT_HOP_IS_ROUTER: bool;

    /// The key with its family.
    fn route_key(key: &Self::Key) -> RouteKey;

    /// The route as policy looks at it.
    fn route_ref<'a>(key: &'a Self::Key, payload: &'a Self::Payload) -> RouteRef<'a>;

    /// What an event tells of the payload.
    fn payload(payload: &Self::Payload) -> EvpnPayload;

    /// Whether the key is inside `summary`, and not `summary` itself.
    fn is_inside(_key: &Self::Key, _summary: &IpNet) -> bool {
        false
    }

    /// The way to everywhere, with a next hop that stands for our own address; `None` in families that have no such route.
    fn default_route() -> Option<(Self::Key, NextHop)> {
        None
    }

    /// Whether MAC mobility decides before everything else (RFC 7432 §15).
    fn is_mobile(_key: &Self::Key) -> bool {
        false
    }
}

impl RouteFamily for Ipv4Unicast {
    const NEXT_HOP_IS_ROUTER: bool = true;

    fn route_key(key: &Ipv4Net) -> RouteKey {
        RouteKey::Ipv4(*key)
    }

    fn route_ref<'a>(key: &'a Ipv4Net, (): &'a ()) -> RouteRef<'a> {
        RouteRef::Ipv4(*key)
    }

    fn payload((): &()) -> EvpnPayload {
        EvpnPayload::default()
    }

    fn is_inside(key: &Ipv4Net, summary: &IpNet) -> bool {
        matches!(summary, IpNet::V4(summary) if summary != key && summary.contains(key))
    }

    fn default_route() -> Option<(Ipv4Net, NextHop)> {
        Some((Ipv4Net::default(), NextHop::V4(Ipv4Addr::UNSPECIFIED)))
    }
}

impl RouteFamily for Ipv6Unicast {
    const NEXT_HOP_IS_ROUTER: bool = true;

    fn route_key(key: &Ipv6Net) -> RouteKey {
        RouteKey::Ipv6(*key)
    }

    fn route_ref<'a>(key: &'a Ipv6Net, (): &'a ()) -> RouteRef<'a> {
        RouteRef::Ipv6(*key)
    }

    fn payload((): &()) -> EvpnPayload {
        EvpnPayload::default()
    }

    fn is_inside(key: &Ipv6Net, summary: &IpNet) -> bool {
        matches!(summary, IpNet::V6(summary) if summary != key && summary.contains(key))
    }

    fn default_route() -> Option<(Ipv6Net, NextHop)> {
        Some((Ipv6Net::default(), NextHop::V6 { global: Ipv6Addr::UNSPECIFIED, link_local: None }))
    }
}

impl RouteFamily for Evpn {
    const NEXT_HOP_IS_ROUTER: bool = false;

    fn route_key(key: &EvpnKey) -> RouteKey {
        RouteKey::Evpn(key.clone())
    }

    fn route_ref<'a>(key: &'a EvpnKey, payload: &'a EvpnPayload) -> RouteRef<'a> {
        RouteRef::Evpn(key, payload)
    }

    fn payload(payload: &EvpnPayload) -> EvpnPayload {
        *payload
    }

    fn is_mobile(key: &EvpnKey) -> bool {
        matches!(key, EvpnKey::MacIp { .. })
    }
}
