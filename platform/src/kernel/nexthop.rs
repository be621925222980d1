//! Nexthop objects: a way to a neighbour that many routes or FDB entries share by number.

use std::net::IpAddr;

use super::{Ifindex, Key, NEXTHOP_IDS, Offload, PROTOCOL_BGP};

/// A nexthop object or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nexthop {
    /// Its number, chosen by its maker.
    pub id: u32,
    /// What it does.
    pub kind: NexthopKind,
    /// Who made it. Our mark, together with the id.
    pub protocol: u8,
    /// Whether the hardware took it.
    pub offload: Offload,
}

/// What a nexthop does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NexthopKind {
    /// Sends to a gateway. An IPv4 route may use an IPv6 gateway this way (RFC 8950).
    Gateway {
        /// The gateway.
        address: IpAddr,
        /// On which link.
        ifindex: Ifindex,
        /// Take the gateway to be on the link even if no subnet says so.
        onlink: bool,
    },
    /// Sends to whoever is on a link.
    Device {
        /// Which.
        ifindex: Ifindex,
        /// For IPv6 routes; `false`: for IPv4 routes.
        v6: bool,
    },
    /// Drops.
    Blackhole {
        /// For IPv6 routes; `false`: for IPv4 routes.
        v6: bool,
    },
    /// Shares the load over other nexthops.
    Group(Vec<NexthopMember>),
    /// A remote VTEP, for FDB entries.
    Fdb {
        /// The VTEP.
        address: IpAddr,
    },
    /// Shares the load over [`NexthopKind::Fdb`] nexthops: a multihomed Ethernet segment.
    FdbGroup(Vec<NexthopMember>),
}

/// One nexthop of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NexthopMember {
    /// Which.
    pub id: u32,
    /// Its share, 1 to 256 (to 65536 from Linux 6.12 on).
    pub weight: u32,
}

impl Nexthop {
    /// A nexthop with our mark.
    pub const fn new(id: u32, kind: NexthopKind) -> Self {
        Self {
            id,
            kind,
            protocol: PROTOCOL_BGP,
            offload: Offload { offloaded: false, trapped: false, failed: false },
        }
    }

    /// Its identity.
    pub fn key(&self) -> Key {
        Key::Nexthop(self.id)
    }

    /// What must exist first.
    pub fn requires(&self) -> Vec<Key> {
        match &self.kind {
            NexthopKind::Gateway { ifindex, .. } | NexthopKind::Device { ifindex, .. } => {
                vec![Key::Link(*ifindex)]
            }
            NexthopKind::Blackhole { .. } | NexthopKind::Fdb { .. } => Vec::new(),
            NexthopKind::Group(members) | NexthopKind::FdbGroup(members) => {
                members.iter().map(|member| Key::Nexthop(member.id)).collect()
            }
        }
    }

    /// Whether it carries our mark.
    pub fn is_ours(&self) -> bool {
        self.protocol == PROTOCOL_BGP && NEXTHOP_IDS.contains(&self.id)
    }

    /// Whether `held` is all that this asks for.
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        self.id == held.id && self.kind == held.kind && self.protocol == held.protocol
    }
}
