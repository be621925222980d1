//! Forwarding entries: where a MAC is.
//!
//! A remote MAC needs two entries: one in the bridge (which port: the VXLAN device) and one in the VXLAN device (which
//! VTEP). Hardware programs a MAC only when both exist. The flood list of a VXLAN device is the entries of the all-zero
//! MAC, one per remote VTEP.

use std::fmt;
use std::net::IpAddr;

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
    /// Another device's own table: the MACs its filter lets in.
    Device,
}

impl fmt::Display for FdbTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "master",
            Self::Vxlan | Self::Device => "self",
        })
    }
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
}
