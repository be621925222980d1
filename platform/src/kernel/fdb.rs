//! Forwarding entries: where a MAC is.
//!
//! A remote MAC needs two entries: one in the bridge (which port: the VXLAN device) and one in the VXLAN device (which
//! VTEP). Hardware programs a MAC only when both exist. The flood list of a VXLAN device is the entries of the all-zero
//! MAC, one per remote VTEP.
//!
//! Found by trying (Linux 6.18):
//! - The mark of a flood list is one for the whole list, not one per VTEP. It stays as long as every writer sets it; one
//!   entry added without it (by hand, or by FRR) takes it from all, and we cannot put it back while the list exists.
//! - `NLM_F_REPLACE` is refused on a flood list; `NLM_F_APPEND` of what is there is success.
//! - A VXLAN device wants `NUD_REACHABLE` or `NUD_PERMANENT` in every new entry. With `NUD_NOARP` beside it, the entry
//!   survives that the device goes down and up; without, it reads back as FRR's does, which is what scripts know.
//! - Replacing moves a MAC from another port of the bridge. The kernel announces the new place only.
//! - Both halves in one message on a link that is no port of a bridge: the kernel makes the VXLAN half, says yes, and is
//!   silent about the other. Only reading back tells.
//! - Deleting a flood entry needs its destination; deleting a destination that is not in the list is success.

use std::fmt;
use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};

use super::message::{
    self, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, RTM_DELNEIGH, RTM_GETNEIGH,
    RTM_NEWNEIGH, Request,
};
use super::{Ifindex, Key, MacAddr, Offload, Vni};

/// Where a MAC is, in one table of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FdbEntry {
    /// The port (of a bridge) or the device that holds the entry.
    pub ifindex: Ifindex,
    /// Whose location; all zero for the flood list.
    pub mac: MacAddr,
    /// In which VLAN; `None` where the bridge does not filter VLANs.
    pub vlan: Option<u16>,
    /// In which of the link's tables.
    pub table: FdbTable,
    /// The remote VTEP, on a VXLAN device.
    pub destination: Option<IpAddr>,
    /// In which VNI, on a device that carries several.
    pub vni: Option<Vni>,
    /// Instead of a destination: a nexthop object of the FDB kind.
    pub nexthop: Option<u32>,
    /// How long it lives.
    pub state: FdbState,
    /// A control plane made it. Our mark.
    pub extern_learn: bool,
    /// It does not move to another port by learning.
    pub sticky: bool,
    /// What of the way to the destination is its own instead of its device's.
    pub detour: Option<FdbDetour>,
    /// Whether the hardware took it.
    pub offload: Offload,
    /// The bridge of the port, as the kernel reports it.
    pub master: Option<Ifindex>,
}

/// Which of a link's tables an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FdbTable {
    /// The table of the bridge that the link is a port of (`NTF_MASTER`).
    Bridge,
    /// A VXLAN device's own table (`NTF_SELF`).
    Vxlan,
}

impl fmt::Display for FdbTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "master",
            Self::Vxlan => "self",
        })
    }
}

/// What of the way to a remote VTEP an entry names for itself, beyond the address. Read, not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdbDetour {
    /// A UDP port (`port`).
    Port,
    /// A VNI (`vni`).
    Vni,
    /// A link (`via`).
    Link,
}

/// How long an entry lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdbState {
    /// The link's own MAC, or a VXLAN entry that stays when the device goes down.
    Permanent,
    /// Stays until deleted.
    Static,
    /// Learned, or of a control plane: may age or move.
    Dynamic,
}

impl FdbEntry {
    /// The bridge's half of a remote MAC, behind the VXLAN device `vxlan`. Carries our mark.
    pub const fn remote_in_bridge(vxlan: Ifindex, mac: MacAddr) -> Self {
        Self {
            ifindex: vxlan,
            mac,
            vlan: None,
            table: FdbTable::Bridge,
            destination: None,
            vni: None,
            nexthop: None,
            state: FdbState::Dynamic,
            extern_learn: true,
            sticky: false,
            detour: None,
            offload: Offload { offloaded: false, trapped: false, failed: false },
            master: None,
        }
    }

    /// The VXLAN device's half of a remote MAC: it is behind the VTEP `destination`. Carries our mark.
    pub const fn remote_in_vxlan(vxlan: Ifindex, mac: MacAddr, destination: IpAddr) -> Self {
        Self {
            table: FdbTable::Vxlan,
            destination: Some(destination),
            ..Self::remote_in_bridge(vxlan, mac)
        }
    }

    /// One entry of a VXLAN device's flood list. Carries our mark.
    pub fn flood(vxlan: Ifindex, destination: IpAddr) -> Self {
        Self {
            state: FdbState::Permanent,
            ..Self::remote_in_vxlan(vxlan, MacAddr::zero(), destination)
        }
    }

    /// Its identity.
    pub fn key(&self) -> Key {
        Key::Fdb {
            ifindex: self.ifindex,
            mac: self.mac,
            vlan: self.vlan,
            table: self.table,
            vni: self.vni,
            destination: self.destination.filter(|_| self.may_have_several_destinations()),
        }
    }

    /// What must exist first.
    pub fn requires(&self) -> Vec<Key> {
        std::iter::once(Key::Link(self.ifindex)).chain(self.nexthop.map(Key::Nexthop)).collect()
    }

    /// Whether it carries our mark.
    pub fn is_ours(&self) -> bool {
        self.extern_learn
    }

    /// Whether it belongs to a flood list.
    pub fn is_flood(&self) -> bool {
        self.mac.is_zero()
    }

    /// Whether `held` is all that this asks for.
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        self.key() == held.key()
            && self.destination == held.destination
            && self.nexthop == held.nexthop
            && self.extern_learn == held.extern_learn
            && self.sticky == held.sticky
    }

    /// The kernel keeps a list of destinations for these, and one for any other MAC.
    fn may_have_several_destinations(&self) -> bool {
        self.table == FdbTable::Vxlan && (self.mac.is_zero() || self.mac.is_multicast())
    }
    /// Creates it, or turns what is there under its key into it.
    pub(super) fn encode_create(&self) -> Request {
        let how = if self.may_have_several_destinations() { NLM_F_APPEND } else { NLM_F_REPLACE };
        Request::new(RTM_NEWNEIGH, NLM_F_CREATE | how, &self.message(self.table_flag()))
    }

    pub(super) fn encode_delete(&self) -> Request {
        Request::new(RTM_DELNEIGH, 0, &self.message(self.table_flag()))
    }

    /// The request that creates both halves of a remote MAC at once, if these two are such halves.
    pub(super) fn encode_create_pair(&self, other: &Self) -> Option<Request> {
        let message = self.pair_message(other)?;
        Some(Request::new(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &message))
    }

    pub(super) fn encode_delete_pair(&self, other: &Self) -> Option<Request> {
        let message = self.pair_message(other)?;
        Some(Request::new(RTM_DELNEIGH, 0, &message))
    }

    /// The bridge's half and the VXLAN device's half of one remote MAC as one message. The VLAN is the bridge's, the VNI
    /// the device's; each table passes over what is not its own.
    fn pair_message(&self, other: &Self) -> Option<NeighbourMessage> {
        let (bridge, vxlan) = match (self.table, other.table) {
            (FdbTable::Bridge, FdbTable::Vxlan) => (self, other),
            (FdbTable::Vxlan, FdbTable::Bridge) => (other, self),
            _ => return None,
        };
        let one_mac = (bridge.ifindex, bridge.mac) == (vxlan.ifindex, vxlan.mac);
        let one_mark = bridge.extern_learn && vxlan.extern_learn && bridge.sticky == vxlan.sticky;
        let is_pair = one_mac && one_mark && !vxlan.may_have_several_destinations();
        let both = NeighbourFlags::Own | NeighbourFlags::Controller;
        is_pair.then(|| Self { vlan: bridge.vlan, ..vxlan.clone() }.message(both))
    }

    fn table_flag(&self) -> NeighbourFlags {
        match self.table {
            FdbTable::Bridge => NeighbourFlags::Controller,
            FdbTable::Vxlan => NeighbourFlags::Own,
        }
    }

    fn message(&self, tables: NeighbourFlags) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Bridge;
        message.header.ifindex = self.ifindex;
        message.header.state = NeighbourState::from(match (self.state, self.table) {
            (FdbState::Permanent, FdbTable::Vxlan) => NUD_NOARP | NUD_PERMANENT,
            (FdbState::Permanent, FdbTable::Bridge) => NUD_PERMANENT,
            (FdbState::Static, FdbTable::Vxlan) => NUD_NOARP | NUD_REACHABLE,
            (FdbState::Static, FdbTable::Bridge) => NUD_NOARP,
            (FdbState::Dynamic, _) => NUD_REACHABLE,
        });
        message.header.flags = tables;
        message.header.flags.set(NeighbourFlags::ExtLearned, self.extern_learn);
        message.header.flags.set(NeighbourFlags::Sticky, self.sticky);
        let mut add = |attribute| message.attributes.push(attribute);
        add(NeighbourAttribute::LinkLayerAddress(self.mac.octets().to_vec()));
        if let Some(destination) = self.destination {
            add(NeighbourAttribute::Destination(destination.into()));
        }
        if let Some(nexthop) = self.nexthop {
            add(NeighbourAttribute::Other(DefaultNla::new(
                NDA_NH_ID,
                nexthop.to_ne_bytes().to_vec(),
            )));
        }
        if let Some(vlan) = self.vlan {
            add(NeighbourAttribute::Vlan(vlan));
        }
        if let Some(vni) = self.vni {
            add(NeighbourAttribute::SourceVni(vni.get()));
        }
        message
    }

    /// Asks for the entries of one link: of its own table, and of its bridge with the link as port. The cost of a dump grows
    /// with the square of the entries of one link, so there is nothing to gain from asking for all links at once.
    pub(super) fn dump_of(ifindex: Ifindex) -> Request {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Bridge;
        message.header.ifindex = ifindex;
        Request::new(RTM_GETNEIGH, NLM_F_DUMP, &message)
    }

    /// Reads a message of the bridge family. `None`: it is about no MAC of six octets, or it is in the table of a device that
    /// is neither port nor VXLAN (the addresses that a network card lets in, which the kernel does not announce).
    pub(super) fn decode(message: &NeighbourMessage) -> Option<Self> {
        let flags = message.header.flags;
        let state = u16::from(message.header.state);
        let mut entry = Self {
            offload: Offload {
                offloaded: flags.contains(NeighbourFlags::Offloaded),
                ..Offload::default()
            },
            extern_learn: flags.contains(NeighbourFlags::ExtLearned),
            sticky: flags.contains(NeighbourFlags::Sticky),
            state: match state {
                _ if state & NUD_PERMANENT != 0 => FdbState::Permanent,
                _ if state & NUD_NOARP != 0 => FdbState::Static,
                _ => FdbState::Dynamic,
            },
            ..Self::remote_in_bridge(message.header.ifindex, MacAddr::zero())
        };
        let (mut mac, mut timed) = (None, false);
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::LinkLayerAddress(octets) => mac = message::mac(octets),
                NeighbourAttribute::Destination(address) => entry.destination = address_of(address),
                NeighbourAttribute::Vlan(vlan) => {
                    entry.vlan = Some(*vlan).filter(|vlan| *vlan != 0)
                }
                NeighbourAttribute::SourceVni(vni) => entry.vni = Vni::try_from(*vni).ok(),
                NeighbourAttribute::Port(_) => entry.detour = Some(FdbDetour::Port),
                NeighbourAttribute::Vni(_) => entry.detour = entry.detour.or(Some(FdbDetour::Vni)),
                NeighbourAttribute::IfIndex(_) => {
                    entry.detour = entry.detour.or(Some(FdbDetour::Link))
                }
                NeighbourAttribute::Controller(master) => entry.master = Some(*master),
                NeighbourAttribute::CacheInfo(_) => timed = true,
                NeighbourAttribute::Other(other) if other.kind() == NDA_NH_ID => {
                    entry.nexthop = nexthop_of(other)
                }
                _ => {}
            }
        }
        entry.mac = mac?;
        entry.table = match (flags.contains(NeighbourFlags::Own), timed) {
            (false, _) => FdbTable::Bridge,
            // Of the devices that have a table of their own, only VXLAN keeps times in it.
            (true, true) => FdbTable::Vxlan,
            (true, false) => return None,
        };
        Some(entry)
    }
}

const NUD_REACHABLE: u16 = 0x02;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
const NDA_NH_ID: u16 = 13;

fn nexthop_of(attribute: &DefaultNla) -> Option<u32> {
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    message::number(&value)
}

pub(super) fn address_of(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(address) => Some((*address).into()),
        NeighbourAddress::Inet6(address) => Some((*address).into()),
        NeighbourAddress::Other(octets) => message::address(octets),
        _ => None,
    }
}
