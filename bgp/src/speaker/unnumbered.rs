//! Neighbours named by their interface. Where such a neighbour is, [`crate::discovery`] finds out, and it may change.

use std::mem;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use super::Speaker;
use crate::discovery::Sighting;
use crate::session::DownReason;

/// Where a neighbour is that nobody has seen.
const NOWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl Speaker {
    /// What is known of an interface's neighbour. A session ends, and its routes go, when the interface can no longer be
    /// used or the neighbour has another address. As long as nobody is seen, a session goes on that is there.
    pub fn handle_sighting(&mut self, sighting: &Sighting, now: Instant) {
        let Some(index) = self.neighbor_on(&sighting.interface) else { return };
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        let config = &neighbor.config;
        let scope_id = sighting.index.unwrap_or(0);
        let address = sighting.neighbor.map(IpAddr::V6);
        let is_there = config.scope_id == scope_id
            && address.is_none_or(|address| [NOWHERE, address].contains(&config.address));
        if !is_there {
            let reason = match sighting.index {
                Some(_) => DownReason::NeighborMoved,
                None => DownReason::InterfaceDown,
            };
            self.with_session(index, now, |session| session.lose(reason));
            self.forget_routes(index);
            self.place(index, NOWHERE, scope_id);
        }
        if let Some(address) = address {
            self.place(index, address, scope_id);
            self.with_session(index, now, |session| {
                session.locate(now);
                session.handle_timeout(now);
            });
        }
    }

    pub(super) fn neighbor_on(&self, interface: &str) -> Option<u32> {
        let is_it = |config: &super::NeighborConfig| config.interface.as_deref() == Some(interface);
        let position = self
            .neighbors
            .iter()
            .position(|neighbor| neighbor.as_ref().is_some_and(|neighbor| is_it(&neighbor.config)));
        position.and_then(|index| u32::try_from(index).ok())
    }

    /// The neighbour that a kept connection may belong to: nobody has been seen on its link yet.
    pub(super) fn unseen_at(&self, remote: SocketAddr) -> Option<u32> {
        let is_it = |neighbor: &super::Neighbor| neighbor.config.may_be_at(remote);
        let mut neighbors = self.neighbors.iter().zip(0u32..);
        neighbors
            .find_map(|(neighbor, index)| neighbor.as_ref().is_some_and(is_it).then_some(index))
    }

    /// A neighbour whose connection we have is where that comes from, also if nobody has seen it there yet.
    pub(super) fn found_at(&mut self, index: u32, remote: SocketAddr, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        if neighbor.config.address == NOWHERE {
            let scope_id = neighbor.config.scope_id;
            self.place(index, remote.ip(), scope_id);
            self.with_session(index, now, |session| session.locate(now));
        }
    }

    fn place(&mut self, index: u32, address: IpAddr, scope_id: u32) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let config = &mut neighbor.config;
        config.scope_id = scope_id;
        let before = mem::replace(&mut config.address, address);
        if before != address && config.auth.is_some() {
            self.forget_key(before);
            self.authenticate(index);
        }
    }
}
