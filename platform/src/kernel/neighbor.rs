//! Entries of the ARP and neighbour discovery tables.

use std::net::IpAddr;

use super::{Ifindex, Key, MacAddr, Offload};

/// Which link-layer address an IP address has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbor {
    /// On which link.
    pub ifindex: Ifindex,
    /// Whose.
    pub address: IpAddr,
    /// Its link-layer address, once known.
    pub mac: Option<MacAddr>,
    /// How sure the kernel is.
    pub state: NeighborState,
    /// A control plane made it. Our mark.
    pub extern_learn: bool,
    /// It is an IPv6 router.
    pub router: bool,
    /// Whether the hardware took it.
    pub offload: Offload,
}

/// How sure the kernel is of a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighborState {
    /// No state: not asked yet.
    None,
    /// Asked, no answer yet.
    Incomplete,
    /// Confirmed a moment ago.
    Reachable,
    /// Confirmed once; asked again when used.
    Stale,
    /// Used while stale: waits for a sign of life before it asks.
    Delay,
    /// Asks.
    Probe,
    /// Did not answer.
    Failed,
    /// Needs no asking: a control plane says so.
    NoArp,
    /// An administrator says so.
    Permanent,
}

impl NeighborState {
    /// Whether the link-layer address can be believed.
    pub fn is_valid(self) -> bool {
        !matches!(self, Self::None | Self::Incomplete | Self::Failed)
    }
}

impl Neighbor {
    /// A host behind a remote VTEP, of which a control plane told. Carries our mark.
    pub const fn remote(ifindex: Ifindex, address: IpAddr, mac: MacAddr) -> Self {
        Self {
            ifindex,
            address,
            mac: Some(mac),
            state: NeighborState::NoArp,
            extern_learn: true,
            router: false,
            offload: Offload { offloaded: false, trapped: false, failed: false },
        }
    }

    /// Its identity.
    pub fn key(&self) -> Key {
        Key::Neighbor { ifindex: self.ifindex, address: self.address }
    }

    /// What must exist first.
    pub fn requires(&self) -> Vec<Key> {
        vec![Key::Link(self.ifindex)]
    }

    /// Whether it carries our mark.
    pub fn is_ours(&self) -> bool {
        self.extern_learn
    }

    /// Whether `held` is all that this asks for.
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        self.key() == held.key()
            && self.mac == held.mac
            && self.extern_learn == held.extern_learn
            && self.router == held.router
            && held.state.is_valid()
    }
}
