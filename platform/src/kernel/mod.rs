//! Typed kernel objects over rtnetlink.
//!
//! One file per object, each with the same outline: what it is, its key, what it requires, how the kernel tells us that
//! we made it, encode, decode. Everything but [`Socket`] and [`Monitor`] is pure: bytes in, objects out. What this module does *not* do:
//! decide what should exist, in which order, or when to try again. That is the reconciler's.
//!
//! | object | message | our mark |
//! |---|---|---|
//! | [`Link`] | `RTM_*LINK` | none: links are the operator's, except those that a caller created itself |
//! | [`FdbEntry`], [`Neighbor`] | `RTM_*NEIGH` | `NTF_EXT_LEARNED` |
//! | [`Address`] | `RTM_*ADDR` | none |
//! | [`Nexthop`] | `RTM_*NEXTHOP` | protocol `bgp` and an id in [`NEXTHOP_IDS`] |
//! | [`Route`] | `RTM_*ROUTE` | protocol `bgp` |
//! | [`BridgeVlan`] | `RTM_*LINK` of the bridge family, `RTM_*VLAN` | none |
//! | [`Rule`] | `RTM_*RULE` | protocol `bgp` |
//! | [`Filter`] | `RTM_*TFILTER`; read and deleted only | none |

mod address;
mod batch;
mod bond;
mod bridge;
mod bridge_vlan;
mod dataplane;
mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod fdb;
mod filter;
#[cfg(test)]
mod golden;
mod hardware;
mod link;
mod link_request;
mod message;
mod model;
mod monitor;
mod neighbor;
mod nexthop;
mod notification;
mod offload;
mod read;
mod route;
mod rule;
mod socket;
mod vxlan;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

pub use address::Address;
pub use bond::{Bond, BondHash, BondMode};
pub use bridge::{Bridge, BridgePort, PortSettings, PortState, VlanProtocol};
pub use bridge_vlan::BridgeVlan;
pub use dataplane::Dataplane;
pub use error::{KernelError, Retry};
pub use fdb::{FdbDetour, FdbEntry, FdbState, FdbTable};
pub use filter::{Filter, FilterHardware, FilterId, FilterKind, FilterPlace};
pub use hardware::{Hardware, ParentDevice, SwitchId};
pub use link::{Link, LinkKind};
pub use link_request::{LinkSettings, Namespace, NewLink, VethPeer};
pub use model::Model;
pub use monitor::{Monitor, StopMonitor};
pub use neighbor::{Neighbor, NeighborState};
pub use nexthop::{Nexthop, NexthopKind, NexthopMember};
pub use nix::errno::Errno;
pub use notification::Notification;
pub use offload::{Offload, Verdict};
pub use pnet_base::MacAddr;
pub use route::{Hop, Route, RouteKind, Via};
pub use rule::{Rule, RuleAction, RuleSelector};
pub use socket::Socket;
pub use vxlan::{NotAVni, Vni, Vxlan, VxlanExtensions};

/// The kernel's number of a link in one network namespace. 0 is none.
pub type Ifindex = u32;

/// `RTPROT_BGP`: who made a route or a nexthop. Our mark.
pub const PROTOCOL_BGP: u8 = 186;

/// The nexthop ids that are ours. Other daemons count up from small numbers.
pub const NEXTHOP_IDS: std::ops::RangeInclusive<u32> = 0x5357_0000..=0x5357_ffff;

/// The main routing table.
pub const TABLE_MAIN: u32 = 254;

/// The table of the addresses that are this machine's own.
pub const TABLE_LOCAL: u32 = 255;

/// What makes two objects the same one. Two objects of one key cannot exist side by side in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A link, by number: names change.
    Link(Ifindex),
    /// An address of a link.
    Address {
        /// Whose address.
        ifindex: Ifindex,
        /// The address with its prefix length, host bits kept.
        prefix: IpNet,
    },
    /// A nexthop object or group.
    Nexthop(u32),
    /// A forwarding entry of a bridge, a VXLAN device or another device.
    Fdb {
        /// The port (of a bridge) or the device that holds the entry.
        ifindex: Ifindex,
        /// Whose location; all zero for the flood list.
        mac: MacAddr,
        /// In which VLAN; `None` where the bridge does not filter VLANs.
        vlan: Option<u16>,
        /// In which of the link's tables.
        table: FdbTable,
        /// In which VNI, on a device that carries several.
        vni: Option<Vni>,
        /// Part of the identity only where one MAC may have several: the flood list and multicast MACs.
        destination: Option<IpAddr>,
    },
    /// An entry of the ARP or neighbour discovery table.
    Neighbor {
        /// On which link.
        ifindex: Ifindex,
        /// Whose link-layer address.
        address: IpAddr,
    },
    /// A route.
    Route {
        /// In which table.
        table: u32,
        /// To where, host bits zero.
        prefix: IpNet,
        /// Among routes to the same prefix, the lowest wins.
        metric: u32,
    },
    /// A VLAN of a bridge port, or of a bridge itself.
    BridgeVlan {
        /// The port, or the bridge itself.
        ifindex: Ifindex,
        /// VLAN id.
        vlan: u16,
    },
    /// A rule. Several of one priority may differ in what they match and do.
    Rule {
        /// For IPv6 packets.
        v6: bool,
        /// The lowest is tried first.
        priority: u32,
        /// A digest of what it matches and does.
        selector: u32,
    },
    /// A filter.
    Filter(FilterId),
}

impl From<FilterId> for Key {
    fn from(id: FilterId) -> Self {
        Self::Filter(id)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Link(index) => write!(f, "link {index}"),
            Self::Address { ifindex, prefix } => write!(f, "address {prefix} dev {ifindex}"),
            Self::Nexthop(id) => write!(f, "nexthop {id:#x}"),
            Self::Fdb { ifindex, mac, vlan, table, vni, destination } => {
                write!(f, "fdb {mac} dev {ifindex} {table}")?;
                if let Some(vlan) = vlan {
                    write!(f, " vlan {vlan}")?;
                }
                if let Some(vni) = vni {
                    write!(f, " vni {vni}")?;
                }
                destination.map_or(Ok(()), |destination| write!(f, " dst {destination}"))
            }
            Self::Neighbor { ifindex, address } => write!(f, "neighbor {address} dev {ifindex}"),
            Self::Route { table, prefix, metric } => {
                write!(f, "route {prefix} table {table} metric {metric}")
            }
            Self::BridgeVlan { ifindex, vlan } => write!(f, "vlan {vlan} dev {ifindex}"),
            Self::Rule { v6, priority, .. } => {
                write!(f, "rule {} priority {priority}", if v6 { "ipv6" } else { "ipv4" })
            }
            Self::Filter(FilterId { place, chain, priority, handle, .. }) => {
                write!(f, "filter {place} chain {chain} pref {priority} handle {handle:#x}")
            }
        }
    }
}

/// Anything that the kernel holds and this module can read or write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A network device.
    Link(Link),
    /// An address of a link.
    Address(Address),
    /// A nexthop object or group.
    Nexthop(Nexthop),
    /// A forwarding entry.
    Fdb(FdbEntry),
    /// An ARP or neighbour discovery entry.
    Neighbor(Neighbor),
    /// A route.
    Route(Route),
    /// A VLAN of a bridge port, or of a bridge itself.
    BridgeVlan(BridgeVlan),
    /// A rule.
    Rule(Rule),
    /// A filter.
    Filter(Filter),
}

impl Object {
    /// Its identity.
    pub fn key(&self) -> Key {
        match self {
            Self::Link(link) => link.key(),
            Self::Address(address) => address.key(),
            Self::Nexthop(nexthop) => nexthop.key(),
            Self::Fdb(entry) => entry.key(),
            Self::Neighbor(neighbor) => neighbor.key(),
            Self::Route(route) => route.key(),
            Self::BridgeVlan(vlan) => vlan.key(),
            Self::Rule(rule) => rule.key(),
            Self::Filter(filter) => filter.key(),
        }
    }

    /// What must exist before this can be created.
    pub fn requires(&self) -> Vec<Key> {
        match self {
            Self::Link(link) => link.requires(),
            Self::Address(address) => address.requires(),
            Self::Nexthop(nexthop) => nexthop.requires(),
            Self::Fdb(entry) => entry.requires(),
            Self::Neighbor(neighbor) => neighbor.requires(),
            Self::Route(route) => route.requires(),
            Self::BridgeVlan(vlan) => vlan.requires(),
            Self::Rule(rule) => rule.requires(),
            Self::Filter(filter) => filter.requires(),
        }
    }

    /// Whether it carries our mark. Only then may we change or delete it.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Link(_) | Self::Address(_) => false,
            Self::Nexthop(nexthop) => nexthop.is_ours(),
            Self::Fdb(entry) => entry.is_ours(),
            Self::Neighbor(neighbor) => neighbor.is_ours(),
            Self::Route(route) => route.is_ours(),
            Self::BridgeVlan(vlan) => vlan.is_ours(),
            Self::Rule(rule) => rule.is_ours(),
            Self::Filter(filter) => filter.is_ours(),
        }
    }

    /// Whether the hardware took it, as far as the object's own flags tell. Links, addresses, VLANs and rules have none:
    /// for them `Software` says only that the kernel does not say.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Link(_) | Self::Address(_) | Self::BridgeVlan(_) | Self::Rule(_) => {
                Verdict::Software
            }
            Self::Nexthop(nexthop) => nexthop.offload.verdict(),
            Self::Fdb(entry) => entry.offload.verdict(),
            Self::Neighbor(neighbor) => neighbor.offload.verdict(),
            Self::Route(route) => route.offload.verdict(),
            Self::Filter(filter) => filter.verdict(),
        }
    }

    /// What the object's own flags say of the hardware; `None` for kinds that have no such flags.
    pub fn offload(&self) -> Option<Offload> {
        match self {
            Self::Nexthop(nexthop) => Some(nexthop.offload),
            Self::Fdb(entry) => Some(entry.offload),
            Self::Neighbor(neighbor) => Some(neighbor.offload),
            Self::Route(route) => Some(route.offload),
            Self::Link(_)
            | Self::Address(_)
            | Self::BridgeVlan(_)
            | Self::Rule(_)
            | Self::Filter(_) => None,
        }
    }

    /// The same object with other flags. Kinds that have no flags stay as they are.
    #[must_use]
    pub fn with_offload(mut self, offload: Offload) -> Self {
        match &mut self {
            Self::Nexthop(nexthop) => nexthop.offload = offload,
            Self::Fdb(entry) => entry.offload = offload,
            Self::Neighbor(neighbor) => neighbor.offload = offload,
            Self::Route(route) => route.offload = offload,
            Self::Link(_)
            | Self::Address(_)
            | Self::BridgeVlan(_)
            | Self::Rule(_)
            | Self::Filter(_) => {}
        }
        self
    }

    /// The same object with what the hardware made of `other`, if that is the same but for this. A neighbour's momentary
    /// state does not count: the kernel changes it without a word.
    pub fn with_hardware_of(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Filter(this), Self::Filter(that)) => {
                ((this.id, &this.kind) == (that.id, &that.kind)).then(|| other.clone())
            }
            (Self::Neighbor(this), Self::Neighbor(that)) => {
                let seen = Neighbor { state: that.state, ..this.clone() };
                let seen = Self::Neighbor(seen).with_offload(that.offload);
                (seen == *other).then(|| self.clone().with_offload(that.offload))
            }
            _ => {
                let seen = self.clone().with_offload(other.offload()?);
                (seen == *other).then_some(seen)
            }
        }
    }

    /// Whether the kernel's `held` is all that `self` asks for. Not equality: the kernel adds what no writer sets (offload
    /// flags, the bridge of a port, a neighbour's momentary state).
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        match (self, held) {
            (Self::Link(wanted), Self::Link(held)) => wanted.is_satisfied_by(held),
            (Self::Address(wanted), Self::Address(held)) => wanted.key() == held.key(),
            (Self::Nexthop(wanted), Self::Nexthop(held)) => wanted.is_satisfied_by(held),
            (Self::Fdb(wanted), Self::Fdb(held)) => wanted.is_satisfied_by(held),
            (Self::Neighbor(wanted), Self::Neighbor(held)) => wanted.is_satisfied_by(held),
            (Self::Route(wanted), Self::Route(held)) => wanted.is_satisfied_by(held),
            (Self::BridgeVlan(wanted), Self::BridgeVlan(held)) => wanted.is_satisfied_by(held),
            (Self::Rule(wanted), Self::Rule(held)) => wanted.is_satisfied_by(held),
            (Self::Filter(wanted), Self::Filter(held)) => wanted.is_satisfied_by(held),
            _ => false,
        }
    }
}

/// One step from what the kernel holds to what it should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Make it exist. An equal object that is there already is success.
    Create(Object),
    /// Turn `from` into `to`; both have the same key.
    Replace {
        /// What the kernel holds.
        from: Object,
        /// What it should hold.
        to: Object,
    },
    /// Make it not exist. An object that is gone already is success.
    Delete(Object),
}

impl Change {
    /// The key that it is about.
    pub fn key(&self) -> Key {
        self.object().key()
    }

    /// What will exist after it, or what no longer will.
    pub fn object(&self) -> &Object {
        match self {
            Self::Create(object) | Self::Replace { to: object, .. } | Self::Delete(object) => {
                object
            }
        }
    }
}
