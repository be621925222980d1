//! Going on with a session that another process began: straight to Established, from the two OPENs.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::collision::Direction;
use super::negotiate::Negotiated;
use super::state::{Agreed, Connection, Outgoing, State};
use super::timers::Liveness;
use super::{Session, SessionEvent};
use crate::speaker::{ConnectionId, SavedSession};
use crate::types::AfiSafi;
use crate::wire::{Capability, Open, OpenMessage, RouteRefresh, encode_keepalive};

impl Session {
    /// What another process needs to go on with this session, if it can.
    pub(crate) fn save(&self) -> Option<(ConnectionId, SavedSession)> {
        let State::Established { current, .. } = &self.state else { return None };
        let negotiated = &current.negotiated;
        let saved = SavedSession {
            local: current.connection.local,
            remote: current.connection.remote,
            our_open: OpenMessage::clone(&current.connection.our_open),
            peer_open: current.connection.peer_open.as_deref()?.clone(),
        };
        can_be_resumed(negotiated).then_some((current.connection.id, saved))
    }

    /// Takes up a session that is Established for the peer. `false`: we would not agree on the same today, or it
    /// cannot be made whole again, or there is another one already.
    pub(crate) fn resume(&mut self, id: ConnectionId, saved: &SavedSession, now: Instant) -> bool {
        let untouched = matches!(
            self.state,
            State::Opening {
                outgoing: Outgoing::Passive
                    | Outgoing::Waiting { .. }
                    | Outgoing::Connecting { .. },
                incoming: None,
            }
        );
        let same_offer = at_rest(&saved.our_open) == at_rest(&self.offer.open());
        let Ok(negotiated) = self.offer.negotiate(&saved.peer_open) else { return false };
        if !untouched || !same_offer || !can_be_resumed(&negotiated) {
            return false;
        }
        let mut outbound = Vec::new();
        // The peer has not heard of us for a while.
        encode_keepalive(&mut outbound);
        for family in negotiated.families.iter() {
            RouteRefresh { family, subtype: RouteRefresh::REQUEST }.encode(&mut outbound);
        }
        let connection = Connection {
            id,
            // Only a collision would ask.
            direction: Direction::Outgoing,
            local: saved.local,
            remote: saved.remote,
            outbound,
            our_open: Box::new(saved.our_open.clone()),
            peer_open: Some(Box::new(saved.peer_open.clone())),
        };
        let liveness =
            Liveness::new(negotiated.hold_time, self.pace.keepalive, now, &mut self.jitter);
        let negotiated = Arc::new(negotiated);
        self.events.push_back(SessionEvent::Resumed(Arc::clone(&negotiated)));
        let current = Agreed { connection, negotiated, liveness };
        self.state = State::Established { current, since: now, challenger: None };
        true
    }
}

/// Without marks around a whole table, neither side could tell what the other no longer has (RFC 7313).
fn can_be_resumed(negotiated: &Negotiated) -> bool {
    negotiated.route_refresh && negotiated.enhanced_refresh
}

/// An OPEN without what changes with each restart: whether there was one, and what still forwards.
fn at_rest(open: &Open) -> Open {
    let mut open = open.clone();
    for capability in &mut open.capabilities {
        match capability {
            Capability::GracefulRestart(restart) => {
                restart.restarting = false;
                let families = mem::take(&mut restart.families);
                let at_rest = |(family, _): (AfiSafi, bool)| (family, false);
                restart.families = families.into_iter().map(at_rest).collect();
            }
            Capability::LongLivedGracefulRestart(families) => {
                families.iter_mut().for_each(|family| family.forwarding = false);
            }
            _ => {}
        }
    }
    open
}
