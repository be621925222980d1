//! Entries of the ARP and neighbour discovery tables.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState as Nud,
};

use super::fdb::address_of;
use super::message::{self, NLM_F_CREATE, NLM_F_REPLACE, RTM_DELNEIGH, RTM_NEWNEIGH, Request};
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
    /// Creates it, or turns what is there under its key into it.
    pub(super) fn encode_create(&self) -> Request {
        Request::new(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &self.message())
    }

    pub(super) fn encode_delete(&self) -> Request {
        Request::new(RTM_DELNEIGH, 0, &self.message())
    }

    fn message(&self) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family =
            if self.address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.ifindex = self.ifindex;
        message.header.state = self.state.into();
        message.header.flags.set(NeighbourFlags::ExtLearned, self.extern_learn);
        message.header.flags.set(NeighbourFlags::Router, self.router);
        message.attributes.push(NeighbourAttribute::Destination(self.address.into()));
        message.attributes.extend(
            self.mac.map(|mac| NeighbourAttribute::LinkLayerAddress(mac.octets().to_vec())),
        );
        message
    }

    /// Reads a message of an IP family. `None`: an entry by which another machine's address is proxied.
    pub(super) fn decode(message: &NeighbourMessage) -> Option<Self> {
        let flags = message.header.flags;
        if flags.contains(NeighbourFlags::Proxy) {
            return None;
        }
        let address = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(address) => address_of(address),
            _ => None,
        })?;
        let mac = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(octets) => message::mac(octets),
            _ => None,
        });
        Some(Self {
            ifindex: message.header.ifindex,
            address,
            mac,
            state: message.header.state.into(),
            extern_learn: flags.contains(NeighbourFlags::ExtLearned),
            router: flags.contains(NeighbourFlags::Router),
            offload: Offload {
                offloaded: flags.contains(NeighbourFlags::Offloaded),
                ..Offload::default()
            },
        })
    }

    /// Whether the kernel keeps it for itself: entries that need no asking (multicast, loopback) or were never asked. It
    /// makes and drops them without a word, and nobody reads them.
    pub(super) fn is_internal(&self) -> bool {
        !self.extern_learn && matches!(self.state, NeighborState::NoArp | NeighborState::None)
    }
}

impl From<NeighborState> for Nud {
    fn from(state: NeighborState) -> Self {
        match state {
            NeighborState::None => Self::None,
            NeighborState::Incomplete => Self::Incomplete,
            NeighborState::Reachable => Self::Reachable,
            NeighborState::Stale => Self::Stale,
            NeighborState::Delay => Self::Delay,
            NeighborState::Probe => Self::Probe,
            NeighborState::Failed => Self::Failed,
            NeighborState::NoArp => Self::Noarp,
            NeighborState::Permanent => Self::Permanent,
        }
    }
}

impl From<Nud> for NeighborState {
    fn from(state: Nud) -> Self {
        match state {
            Nud::Incomplete => Self::Incomplete,
            Nud::Reachable => Self::Reachable,
            Nud::Stale => Self::Stale,
            Nud::Delay => Self::Delay,
            Nud::Probe => Self::Probe,
            Nud::Failed => Self::Failed,
            Nud::Noarp => Self::NoArp,
            Nud::Permanent => Self::Permanent,
            _ => Self::None,
        }
    }
}
