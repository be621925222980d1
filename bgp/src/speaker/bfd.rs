//! BFD and BGP (RFC 5882): which sessions BFD is to watch, and what a failure means.
//!
//! BFD starts when a BGP session is up, because both ends are known then, and runs until the neighbour is removed or shut
//! down. When a path fails, the BGP session ends with Cease, BFD Down (RFC 9384), and the neighbour's routes go at once:
//! also if a graceful restart was agreed on, since nobody forwards to where packets do not arrive. A neighbour that is
//! restarting gracefully (its session is down, its routes are kept) is another matter (RFC 5882 §4.3): if its BFD goes
//! down with its control plane, that says nothing of how it forwards, and the routes stay; if its BFD would have gone on
//! (the C bit), they go. A peer that is administratively down has not failed.

use std::net::IpAddr;
use std::time::Instant;

use super::config::RemoteAs;
use super::neighbor::Neighbor;
use super::transport::Distance;
use super::{Event, NeighborId, Speaker};
use crate::bfd::{Intervals, SessionState};
use crate::session::negotiate::Negotiated;
use crate::wire::{CeaseReason, Notification};

/// BFD for a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BfdConfig {
    /// What we ask of the session.
    pub intervals: Intervals,
    /// Whether there may be routers in between; `None`: follows from the neighbour.
    pub multihop: Option<bool>,
}

/// What BFD is to do for a neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BfdRequest {
    /// Watch this path from now on, instead of what was watched for this neighbour.
    Start {
        /// Our end.
        local: IpAddr,
        /// The neighbour's end.
        remote: IpAddr,
        /// Of a link-local address: index of the interface. Otherwise 0.
        scope_id: u32,
        /// Whether there may be routers in between; `None`: unless the neighbour is on a link of ours.
        multihop: Option<bool>,
        /// What we ask of the session.
        intervals: Intervals,
    },
    /// Watch it no longer.
    Stop,
}

/// What BFD says of a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BfdReport {
    /// Where the session stands.
    pub state: SessionState,
    /// It was up, and the path does not carry packets any more: not true of a peer that is administratively down.
    pub failed: bool,
    /// The peer's BFD goes on when its control plane does not (the C bit).
    pub control_plane_independent: bool,
}

impl Speaker {
    /// BFD says something of a neighbour, in answer to [`Event::Bfd`].
    pub fn handle_bfd(&mut self, id: NeighborId, report: BfdReport, now: Instant) {
        let index = id.0;
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        if neighbor.config.bfd.is_none() {
            return;
        }
        neighbor.bfd = Some(report.state);
        if !report.failed {
            return;
        }
        let restarting = neighbor.retained.is_some();
        let established = neighbor.session.established();
        if let Some(cease) = established.map(|(negotiated, ..)| bfd_down(negotiated)) {
            let address = neighbor.config.name();
            tracing::warn!(neighbor = address, "BFD: the path to the neighbor has failed");
            let connection = neighbor.session.established_connection();
            if let Some(connection) = connection {
                self.with_session(index, now, |session| session.fail(connection, cease, now));
            }
        } else if restarting && report.control_plane_independent {
            self.forget_routes(index);
            self.check_deferral();
        }
    }

    /// Routes flow: both ends of the path are known.
    pub(super) fn start_bfd(&mut self, index: u32) {
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        let Some(bfd) = neighbor.config.bfd else { return };
        let Some((_, local, remote, _)) = neighbor.session.established() else { return };
        let request = BfdRequest::Start {
            local: local.ip().to_canonical(),
            remote: remote.ip().to_canonical(),
            scope_id: super::input::scope_id(remote),
            multihop: bfd.multihop.or_else(|| self.multihop(neighbor)),
            intervals: bfd.intervals,
        };
        self.events.push_back(Event::Bfd { neighbor: NeighborId(index), request });
    }

    /// The neighbour is removed or shut down.
    pub(super) fn stop_bfd(&mut self, index: u32) {
        if let Some(Some(neighbor)) = self.neighbors.get(index as usize)
            && neighbor.config.bfd.is_some()
        {
            self.ask_no_bfd(index);
        }
    }

    /// The neighbour is to be watched in another way, or no longer.
    pub(super) fn change_bfd(&mut self, index: u32) {
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        match neighbor.config.bfd {
            Some(_) => self.start_bfd(index),
            None => self.ask_no_bfd(index),
        }
    }

    fn ask_no_bfd(&mut self, index: u32) {
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            neighbor.bfd = None;
            let neighbor = NeighborId(index);
            self.events.push_back(Event::Bfd { neighbor, request: BfdRequest::Stop });
        }
    }

    /// As FRR has it: an external neighbour that may be several hops away is; an internal one is where it is.
    fn multihop(&self, neighbor: &Neighbor) -> Option<bool> {
        match neighbor.config.distance {
            Distance::Hops(hops) | Distance::Security(hops) => Some(hops > 1),
            Distance::Unchecked => Some(false),
            Distance::Default => {
                let internal = match neighbor.config.remote_as {
                    RemoteAs::Internal => true,
                    RemoteAs::Asn(asn) => asn == self.config.asn,
                    RemoteAs::External => false,
                };
                (!internal).then_some(false)
            }
        }
    }
}

/// A hard reset where the peer would otherwise keep our routes (RFC 8538): our packets do not reach it either.
fn bfd_down(negotiated: &Negotiated) -> Notification {
    let cease = Notification::cease(CeaseReason::BfdDown);
    if negotiated.notification_restart { cease.into_hard_reset() } else { cease }
}
