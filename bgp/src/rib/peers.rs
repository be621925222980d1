//! Where paths come from, as the decision and the egress rules see it.

use std::net::{IpAddr, Ipv4Addr};

use super::multipath::Multipath;
use crate::types::{Asn, RouterId};

/// Who a path is from: the place of a neighbour in the speaker's list, or ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(u16);

impl Source {
    pub(crate) const LOCAL: Self = Self(u16::MAX);
    /// More neighbours than this there cannot be: a path has two octets for its own.
    pub(crate) const MAX_NEIGHBORS: usize = u16::MAX as usize;

    pub(crate) fn neighbor(index: u32) -> Self {
        Self(u16::try_from(index).unwrap_or(u16::MAX - 1))
    }

    pub(crate) fn is_local(self) -> bool {
        self == Self::LOCAL
    }

    /// `None` for ourselves.
    pub(crate) fn neighbor_index(self) -> Option<u32> {
        (!self.is_local()).then_some(self.0.into())
    }
}

/// What rules ask about the neighbour a path is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) external: bool,
    pub(crate) client: bool,
    pub(crate) asn: Asn,
    pub(crate) router_id: RouterId,
    pub(crate) address: IpAddr,
    /// Interface of the link on which `address` means something, if it is link-local; else 0.
    pub(crate) scope_id: u32,
}

/// All neighbours, by index. One that is gone keeps its entry while its paths are stale.
#[derive(Debug)]
pub(crate) struct Peers {
    local: Peer,
    neighbors: Vec<Peer>,
    multipath: Multipath,
}

impl Peers {
    pub(crate) fn new(asn: Asn, router_id: RouterId, multipath: Multipath) -> Self {
        let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            local: Peer { external: false, client: true, asn, router_id, address, scope_id: 0 },
            neighbors: Vec::new(),
            multipath,
        }
    }

    /// Which paths may be used together.
    pub(crate) fn multipath(&self) -> Multipath {
        self.multipath
    }

    pub(crate) fn set(&mut self, index: u32, peer: Peer) {
        let index = index as usize;
        if index >= self.neighbors.len() {
            self.neighbors.resize(index + 1, self.local);
        }
        self.neighbors[index] = peer;
    }

    pub(crate) fn get(&self, source: Source) -> &Peer {
        let neighbor = source.neighbor_index().and_then(|index| self.neighbors.get(index as usize));
        neighbor.unwrap_or(&self.local)
    }
}
