//! What an entry of a route map asks: of the attributes, which many routes share, or of the route itself.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    AsPathList, CommunityList, ExtPattern, LargePattern, PrefixList, StandardPattern, Surroundings,
};
use crate::types::{MacAddr, RouteDistinguisher, RouteTarget};
use crate::wire::{AttributeSet, EvpnKey, EvpnPayload, Origin, Protocol};

/// A condition of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Of the attributes.
    Attribute(AttributeCondition),
    /// Of the route.
    Route(RouteCondition),
}

/// What is asked of attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeCondition {
    /// The next hop, as a host's prefix, is in a list.
    NextHop(Arc<PrefixList>),
    /// Communities are in a list.
    Communities {
        /// The list.
        list: Arc<CommunityList<StandardPattern>>,
        /// There are no others.
        exact: bool,
    },
    /// Extended communities are in a list.
    ExtCommunities(Arc<CommunityList<ExtPattern>>),
    /// Large communities are in a list.
    LargeCommunities {
        /// The list.
        list: Arc<CommunityList<LargePattern>>,
        /// There are no others.
        exact: bool,
    },
    /// The AS path is in a list.
    AsPath(Arc<AsPathList>),
    /// LOCAL_PREF is this.
    LocalPref(u32),
    /// MED is this.
    Med(u32),
    /// The tag that a policy set is this.
    Tag(u32),
    /// ORIGIN is this.
    Origin(Origin),
    /// Who told us of the route.
    Protocol(Protocol),
    /// The route is from this neighbour.
    Peer(IpAddr),
    /// A route target is among the extended communities.
    RouteTarget(RouteTarget),
}

/// What is asked of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteCondition {
    /// The prefix is in a list; of EVPN, the prefix of type 5 and the address of type 2.
    Prefix(Arc<PrefixList>),
    /// EVPN: the route's type.
    RouteType(u8),
    /// EVPN: the VNI in the route's label, or in the PMSI tunnel of type 3.
    Vni(u32),
    /// EVPN: the route distinguisher.
    RouteDistinguisher(RouteDistinguisher),
    /// EVPN type 2: the first bits of the MAC address.
    Mac {
        /// The bits, the others zero.
        address: MacAddr,
        /// How many.
        length: u8,
    },
}

/// A route of any family, as conditions look at it.
#[derive(Debug, Clone, Copy)]
pub enum RouteRef<'a> {
    /// IPv4 unicast.
    Ipv4(Ipv4Net),
    /// IPv6 unicast.
    Ipv6(Ipv6Net),
    /// EVPN.
    Evpn(&'a EvpnKey, &'a EvpnPayload),
}

impl AttributeCondition {
    pub(super) fn holds(&self, attributes: &AttributeSet, surroundings: &Surroundings) -> bool {
        match self {
            Self::NextHop(list) => list.permits(IpNet::from(attributes.next_hop().address())),
            Self::Communities { list, exact } => list.permits(attributes.communities(), *exact),
            Self::ExtCommunities(list) => list.permits(attributes.ext_communities(), false),
            Self::LargeCommunities { list, exact } => {
                list.permits(attributes.large_communities(), *exact)
            }
            Self::AsPath(list) => list.permits(attributes.as_path()),
            Self::LocalPref(value) => attributes.local_pref() == Some(*value),
            Self::Med(value) => attributes.med() == Some(*value),
            Self::Tag(value) => attributes.local().tag == *value,
            Self::Origin(value) => attributes.origin() == *value,
            Self::Protocol(value) => attributes.local().protocol == *value,
            Self::Peer(address) => surroundings.from == Some(*address),
            Self::RouteTarget(target) => attributes
                .ext_communities()
                .any(|community| community.as_route_target() == Some(*target)),
        }
    }
}

impl RouteCondition {
    pub(super) fn holds(&self, route: RouteRef<'_>, attributes: &AttributeSet) -> bool {
        match (self, route) {
            (Self::Prefix(list), route) => prefix(route).is_some_and(|prefix| list.permits(prefix)),
            (_, RouteRef::Ipv4(_) | RouteRef::Ipv6(_)) => false,
            (Self::RouteType(kind), RouteRef::Evpn(key, _)) => key.route_type() == *kind,
            (Self::Vni(vni), RouteRef::Evpn(key, payload)) => {
                let label = match key {
                    EvpnKey::Multicast { .. } => {
                        attributes.pmsi_tunnel().map(|tunnel| tunnel.label)
                    }
                    _ => Some(payload.label),
                };
                label.is_some_and(|label| label.vni() == *vni)
            }
            (Self::RouteDistinguisher(rd), RouteRef::Evpn(key, _)) => key.rd() == Some(*rd),
            (Self::Mac { address, length }, RouteRef::Evpn(key, _)) => match key {
                EvpnKey::MacIp { mac, .. } => {
                    let different = mac_bits(*mac) ^ mac_bits(*address);
                    different.checked_shr(48_u32.saturating_sub((*length).into())).unwrap_or(0) == 0
                }
                _ => false,
            },
        }
    }
}

fn prefix(route: RouteRef<'_>) -> Option<IpNet> {
    match route {
        RouteRef::Ipv4(prefix) => Some(prefix.into()),
        RouteRef::Ipv6(prefix) => Some(prefix.into()),
        RouteRef::Evpn(EvpnKey::Prefix { prefix, .. }, _) => Some(*prefix),
        RouteRef::Evpn(EvpnKey::MacIp { ip: Some(ip), .. }, _) => Some((*ip).into()),
        RouteRef::Evpn(..) => None,
    }
}

fn mac_bits(MacAddr(a, b, c, d, e, f): MacAddr) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}
