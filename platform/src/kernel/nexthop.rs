//! Nexthop objects: a way to a neighbour that many routes or FDB entries share by number.
//!
//! No crate has these messages, so they are written here (`struct nhmsg`, `NHA_*` of linux/nexthop.h).

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Emitable};

use super::message::{
    self, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, RTM_DELNEXTHOP, RTM_GETNEXTHOP, RTM_NEWNEXTHOP,
    Request,
};
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
    /// Whether it wraps packets (`encap`). With what is not modelled, so such a nexthop can be read, not made.
    pub encapsulates: bool,
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
    /// Shares the load over other nexthops through buckets, so that few flows move when a member goes.
    ResilientGroup {
        /// Over which.
        members: Vec<NexthopMember>,
        /// How many buckets there are. It stays as it was made.
        buckets: u16,
    },
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
            encapsulates: false,
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
            NexthopKind::Group(_)
            | NexthopKind::ResilientGroup { .. }
            | NexthopKind::FdbGroup(_) => {
                self.kind.members().iter().map(|member| Key::Nexthop(member.id)).collect()
            }
        }
    }

    /// The link that it leads to, if it names one.
    pub fn link(&self) -> Option<Ifindex> {
        match self.kind {
            NexthopKind::Gateway { ifindex, .. } | NexthopKind::Device { ifindex, .. } => {
                Some(ifindex)
            }
            _ => None,
        }
    }

    /// Where it leads to.
    pub fn gateway(&self) -> Option<IpAddr> {
        match self.kind {
            NexthopKind::Gateway { address, .. } | NexthopKind::Fdb { address } => Some(address),
            _ => None,
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
    /// Creates it; refused if a nexthop of its id exists, which may be another's.
    pub(super) fn encode_create(&self) -> Request {
        Request::new(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL, &Message::of(self))
    }

    /// Turns what is there under its id into it, for all routes at once. The kernel refuses to turn a group into a single
    /// nexthop and back.
    pub(super) fn encode_replace(&self) -> Request {
        Request::new(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE, &Message::of(self))
    }

    pub(super) fn encode_delete(&self) -> Request {
        let message = Message { protocol: 0, ..Message::new(AF_UNSPEC, self.id) };
        Request::new(RTM_DELNEXTHOP, 0, &message)
    }

    /// `None`: not a nexthop that routes or FDB entries can use (it has no id, or leads nowhere that we know).
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let (&[family, _scope, protocol, _, f0, f1, f2, f3], rest) =
            payload.split_first_chunk::<NHMSG_LEN>()?;
        let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
        let (mut id, mut group, mut gateway, mut ifindex) = (None, None, None, None);
        let (mut fdb, mut blackhole, mut encapsulates, mut buckets) = (false, false, false, None);
        for (kind, value) in message::attributes(rest) {
            match kind {
                NHA_ID => id = message::number(value),
                NHA_GROUP => group = Some(members(value)),
                NHA_GATEWAY => gateway = message::address(value),
                NHA_OIF => ifindex = message::number(value),
                NHA_FDB => fdb = true,
                NHA_BLACKHOLE => blackhole = true,
                NHA_ENCAP => encapsulates = true,
                NHA_RES_GROUP => buckets = Some(buckets_of(value)),
                _ => {}
            }
        }
        let onlink = flags & RTNH_F_ONLINK != 0;
        let v6 = family == AF_INET6;
        let kind = match (group, gateway, ifindex) {
            (Some(members), ..) if fdb => NexthopKind::FdbGroup(members),
            (Some(members), ..) => match buckets {
                Some(buckets) => NexthopKind::ResilientGroup { members, buckets },
                None => NexthopKind::Group(members),
            },
            (None, Some(address), _) if fdb => NexthopKind::Fdb { address },
            (None, Some(address), Some(ifindex)) => {
                NexthopKind::Gateway { address, ifindex, onlink }
            }
            _ if blackhole => NexthopKind::Blackhole { v6 },
            (None, None, Some(ifindex)) => NexthopKind::Device { ifindex, v6 },
            _ => return None,
        };
        let offload = Offload {
            offloaded: flags & RTNH_F_OFFLOAD != 0,
            trapped: flags & RTNH_F_TRAP != 0,
            failed: false,
        };
        Some(Self { id: id?, kind, protocol, encapsulates, offload })
    }
}

/// Asks for one nexthop.
pub(super) fn encode_get(id: u32) -> Request {
    Request::new(RTM_GETNEXTHOP, 0, &Message::new(AF_UNSPEC, id))
}

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

const RTNH_F_ONLINK: u32 = 4;
const RTNH_F_OFFLOAD: u32 = 8;
const RTNH_F_TRAP: u32 = 64;

const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_GROUP_TYPE: u16 = 3;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_ENCAP: u16 = 8;
const NHA_FDB: u16 = 11;
const NHA_RES_GROUP: u16 = 12;
const NHA_RES_GROUP_BUCKETS: u16 = 1;
/// Of newer attributes the kernel wants to hear that they hold others.
const NLA_F_NESTED: u16 = 0x8000;
const NEXTHOP_GRP_TYPE_RES: u16 = 1;

/// `struct nhmsg`.
pub(super) const NHMSG_LEN: usize = 8;
/// `struct nexthop_grp`.
const MEMBER_LEN: usize = 8;

/// One request about a nexthop, as it goes to the kernel.
struct Message {
    family: u8,
    protocol: u8,
    flags: u32,
    attributes: Vec<DefaultNla>,
}

impl Message {
    fn new(family: u8, id: u32) -> Self {
        Self {
            family,
            protocol: 0,
            flags: 0,
            attributes: vec![DefaultNla::new(NHA_ID, id.to_ne_bytes().to_vec())],
        }
    }

    fn of(nexthop: &Nexthop) -> Self {
        let mut message =
            Self { protocol: nexthop.protocol, ..Self::new(nexthop.kind.family(), nexthop.id) };
        match &nexthop.kind {
            NexthopKind::Gateway { address, ifindex, onlink } => {
                message.flags = if *onlink { RTNH_F_ONLINK } else { 0 };
                message.add(NHA_GATEWAY, message::octets(*address));
                message.add(NHA_OIF, ifindex.to_ne_bytes().to_vec());
            }
            NexthopKind::Device { ifindex, .. } => {
                message.add(NHA_OIF, ifindex.to_ne_bytes().to_vec())
            }
            NexthopKind::Blackhole { .. } => message.add(NHA_BLACKHOLE, Vec::new()),
            NexthopKind::Group(members) => message.add(NHA_GROUP, group(members)),
            NexthopKind::ResilientGroup { members, buckets } => {
                message.add(NHA_GROUP, group(members));
                message.add(NHA_GROUP_TYPE, NEXTHOP_GRP_TYPE_RES.to_ne_bytes().to_vec());
                let buckets =
                    [DefaultNla::new(NHA_RES_GROUP_BUCKETS, buckets.to_ne_bytes().to_vec())];
                let mut nested = vec![0; buckets.as_slice().buffer_len()];
                buckets.as_slice().emit(&mut nested);
                message.add(NHA_RES_GROUP | NLA_F_NESTED, nested);
            }
            NexthopKind::Fdb { address } => {
                message.add(NHA_GATEWAY, message::octets(*address));
                message.add(NHA_FDB, Vec::new());
            }
            NexthopKind::FdbGroup(members) => {
                message.add(NHA_GROUP, group(members));
                message.add(NHA_FDB, Vec::new());
            }
        }
        message
    }

    fn add(&mut self, kind: u16, value: Vec<u8>) {
        self.attributes.push(DefaultNla::new(kind, value));
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        NHMSG_LEN + self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        let Some((header, rest)) = buffer.split_first_chunk_mut::<NHMSG_LEN>() else { return };
        let [f0, f1, f2, f3] = self.flags.to_ne_bytes();
        *header = [self.family, 0, self.protocol, 0, f0, f1, f2, f3];
        self.attributes.as_slice().emit(rest);
    }
}

impl NexthopKind {
    /// The nexthops of a group; empty if it is none.
    pub fn members(&self) -> &[NexthopMember] {
        match self {
            Self::Group(members)
            | Self::ResilientGroup { members, .. }
            | Self::FdbGroup(members) => members,
            _ => &[],
        }
    }

    pub(super) fn members_mut(&mut self) -> Option<&mut Vec<NexthopMember>> {
        match self {
            Self::Group(members)
            | Self::ResilientGroup { members, .. }
            | Self::FdbGroup(members) => Some(members),
            _ => None,
        }
    }

    /// A group has none: its members may be of both.
    fn family(&self) -> u8 {
        match self {
            Self::Gateway { address: IpAddr::V6(_), .. }
            | Self::Fdb { address: IpAddr::V6(_) }
            | Self::Device { v6: true, .. }
            | Self::Blackhole { v6: true } => AF_INET6,
            Self::Gateway { .. }
            | Self::Fdb { .. }
            | Self::Device { .. }
            | Self::Blackhole { .. } => AF_INET,
            Self::Group(_) | Self::ResilientGroup { .. } | Self::FdbGroup(_) => AF_UNSPEC,
        }
    }
}

/// `struct nexthop_grp` holds the weight less one, its low octet before its high one.
fn group(members: &[NexthopMember]) -> Vec<u8> {
    let member = |member: &NexthopMember| {
        let [i0, i1, i2, i3] = member.id.to_ne_bytes();
        let [low, high, ..] = member.weight.saturating_sub(1).to_le_bytes();
        [i0, i1, i2, i3, low, high, 0, 0]
    };
    members.iter().flat_map(member).collect()
}

fn buckets_of(resilience: &[u8]) -> u16 {
    message::attributes(resilience)
        .find(|(kind, _)| *kind == NHA_RES_GROUP_BUCKETS)
        .and_then(|(_, value)| value.first_chunk().copied().map(u16::from_ne_bytes))
        .unwrap_or_default()
}

fn members(value: &[u8]) -> Vec<NexthopMember> {
    let (members, _) = value.as_chunks::<MEMBER_LEN>();
    let member = |&[i0, i1, i2, i3, low, high, ..]: &[u8; MEMBER_LEN]| NexthopMember {
        id: u32::from_ne_bytes([i0, i1, i2, i3]),
        weight: u32::from(u16::from_le_bytes([low, high])) + 1,
    };
    members.iter().map(member).collect()
}
