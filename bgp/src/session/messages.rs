//! Messages into the state machine: each is accepted, or ends its connection (RFC 4271 §8.2.2, RFC 6608).

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::collision::{Direction, survivor};
use super::state::{Agreed, OpenSent, Outgoing, State};
use super::{
    Backoff, ConnectionId, DownReason, Liveness, Negotiated, Notification, RECONNECT, RouteRefresh,
    Session, SessionEvent, collision_cease,
};
use crate::wire::{CeaseReason, MessageType, OpenMessage, encode_keepalive};

impl Session {
    /// One message other than an UPDATE in Established, which the RIBs take.
    pub(crate) fn handle_message(
        &mut self,
        id: ConnectionId,
        kind: MessageType,
        body: &[u8],
        now: Instant,
    ) {
        if kind == MessageType::Notification {
            return self.received_notification(id, Notification::decode(body), now);
        }
        let result = match self.phase(id) {
            None => return,
            Some(Phase::OpenSent) => match kind {
                MessageType::Open => {
                    OpenMessage::decode(body).and_then(|open| self.received_open(id, open, now))
                }
                _ => Err(Notification::unexpected_message(1)),
            },
            Some(Phase::OpenConfirm) => match kind {
                MessageType::Keepalive => {
                    self.confirmed(now);
                    Ok(())
                }
                _ => Err(Notification::unexpected_message(2)),
            },
            Some(Phase::Established) => match kind {
                MessageType::Keepalive | MessageType::Update => Ok(()),
                MessageType::RouteRefresh => RouteRefresh::decode(body)
                    .map(|refresh| self.events.push_back(SessionEvent::Refresh(refresh))),
                _ => Err(Notification::unexpected_message(3)),
            },
        };
        if let Err(notification) = result {
            self.fail(id, notification, now);
        }
    }

    /// The hold timer starts again: UPDATEs are read elsewhere.
    pub(crate) fn heard_on(&mut self, id: ConnectionId, now: Instant) {
        if let State::OpenConfirm { current, .. } | State::Established { current, .. } =
            &mut self.state
            && current.connection.id == id
        {
            current.liveness.heard(now);
        }
    }

    /// Ends a connection with a NOTIFICATION.
    pub(crate) fn fail(&mut self, id: ConnectionId, notification: Notification, now: Instant) {
        if self.phase(id).is_some() {
            self.close(id, Some(&notification));
            self.drop_connection(id, DownReason::NotificationSent(notification), now);
        }
    }

    /// A connection no longer exists: what becomes of the session.
    pub(super) fn drop_connection(&mut self, id: ConnectionId, reason: DownReason, now: Instant) {
        match mem::replace(&mut self.state, State::Stopped) {
            State::OpenConfirm { current, challenger } if current.connection.id == id => {
                self.start_over(challenger, reason, now);
            }
            State::Established { current, since, challenger } if current.connection.id == id => {
                self.established_ended(&current, since, reason.clone(), now);
                self.start_over(challenger, reason, now);
            }
            State::Opening { outgoing: Outgoing::OpenSent(open), incoming }
                if open.connection.id == id =>
            {
                if incoming.is_some() || !is_error(&reason) {
                    let outgoing = self.next_attempt(self.pace.connect_retry, now);
                    self.state = State::Opening { outgoing, incoming };
                    self.last_error = Some(reason);
                } else {
                    self.start_over(None, reason, now);
                }
            }
            mut other => {
                self.state = match &mut other {
                    State::Opening { incoming: place, .. }
                    | State::OpenConfirm { challenger: place, .. }
                    | State::Established { challenger: place, .. } => {
                        let dropped = place.take_if(|open| open.connection.id == id).is_some();
                        if dropped && is_error(&reason) {
                            self.last_error = Some(reason.clone());
                        }
                        self.damped(other, dropped && is_error(&reason), now)
                    }
                    State::Stopped | State::Unlocated | State::Idle { .. } => other,
                };
            }
        }
    }

    /// A peer whose incoming connections keep failing must not make us busy: while we have no other connection with
    /// it, it waits like one of ours.
    fn damped(&mut self, state: State, failed: bool, now: Instant) -> State {
        match state {
            State::Opening { outgoing: Outgoing::OpenSent(_), .. } => state,
            State::Opening { .. } if failed => State::Idle { until: now + self.idle_hold() },
            other => other,
        }
    }

    /// The agreed connection is gone. After an error the session rests; otherwise it goes on with what there is.
    fn start_over(&mut self, challenger: Option<OpenSent>, reason: DownReason, now: Instant) {
        let error = is_error(&reason);
        self.last_error = Some(reason);
        self.state = if error && challenger.is_none() {
            State::Idle { until: now + self.idle_hold() }
        } else {
            State::Opening { outgoing: self.next_attempt(RECONNECT, now), incoming: challenger }
        };
    }

    fn idle_hold(&mut self) -> std::time::Duration {
        let hold = Backoff::next(&mut self.backoff);
        self.jitter.apply(hold)
    }

    fn received_notification(
        &mut self,
        id: ConnectionId,
        notification: Notification,
        now: Instant,
    ) {
        if self.phase(id).is_some() {
            self.close(id, None);
            self.drop_connection(id, DownReason::NotificationReceived(notification), now);
        }
    }

    fn received_open(
        &mut self,
        id: ConnectionId,
        open: OpenMessage,
        now: Instant,
    ) -> Result<(), Notification> {
        let negotiated = self.offer.negotiate(&open)?;
        if let Some(connection) = self.state.connections().find(|connection| connection.id == id) {
            connection.peer_open = Some(Box::new(open));
        }
        let winner = survivor(
            (self.offer.router_id, self.offer.asn),
            (negotiated.router_id, negotiated.asn),
        );
        match mem::replace(&mut self.state, State::Stopped) {
            State::Opening { outgoing: Outgoing::OpenSent(outgoing), incoming: Some(incoming) } => {
                if outgoing.connection.id == id {
                    self.collide(
                        outgoing,
                        incoming,
                        winner == Direction::Outgoing,
                        negotiated,
                        now,
                    );
                } else {
                    self.collide(
                        incoming,
                        outgoing,
                        winner == Direction::Incoming,
                        negotiated,
                        now,
                    );
                }
            }
            State::Opening { outgoing: Outgoing::OpenSent(open), incoming: None }
            | State::Opening { incoming: Some(open), .. } => self.agree(open, negotiated, now),
            State::OpenConfirm { current, challenger: Some(challenger) } => {
                // Two incoming ones: the peer has forgotten the older.
                if winner == Direction::Incoming
                    || current.connection.direction == Direction::Incoming
                {
                    self.close(current.connection.id, Some(&collision_cease()));
                    self.agree(challenger, negotiated, now);
                } else {
                    self.close(id, Some(&collision_cease()));
                    self.state = State::OpenConfirm { current, challenger: None };
                }
            }
            State::Established { current, since, challenger: Some(challenger) } => {
                self.close(current.connection.id, None);
                self.established_ended(&current, since, DownReason::Restarted, now);
                self.agree(challenger, negotiated, now);
            }
            other => self.state = other,
        }
        Ok(())
    }

    /// `open` has the peer's OPEN, `other` waits for it. One of them goes.
    fn collide(
        &mut self,
        open: OpenSent,
        other: OpenSent,
        wins: bool,
        negotiated: Negotiated,
        now: Instant,
    ) {
        if wins {
            self.close(other.connection.id, Some(&collision_cease()));
            return self.agree(open, negotiated, now);
        }
        self.close(open.connection.id, Some(&collision_cease()));
        self.state = match other.connection.direction {
            Direction::Outgoing => {
                State::Opening { outgoing: Outgoing::OpenSent(other), incoming: None }
            }
            Direction::Incoming => State::Opening {
                outgoing: self.next_attempt(self.pace.connect_retry, now),
                incoming: Some(other),
            },
        };
    }

    fn agree(&mut self, open: OpenSent, negotiated: Negotiated, now: Instant) {
        let mut connection = open.connection;
        encode_keepalive(&mut connection.outbound);
        let liveness =
            Liveness::new(negotiated.hold_time, self.pace.keepalive, now, &mut self.jitter);
        let current = Agreed { connection, negotiated: Arc::new(negotiated), liveness };
        self.state = State::OpenConfirm { current, challenger: None };
    }

    /// The KEEPALIVE that confirms our OPEN.
    fn confirmed(&mut self, now: Instant) {
        self.state = match mem::replace(&mut self.state, State::Stopped) {
            State::OpenConfirm { mut current, challenger } => {
                current.liveness.heard(now);
                if let Some(challenger) = challenger {
                    self.close(challenger.connection.id, Some(&collision_cease()));
                }
                self.events.push_back(SessionEvent::Up(Arc::clone(&current.negotiated)));
                State::Established { current, since: now, challenger: None }
            }
            other => other,
        };
    }

    fn phase(&self, id: ConnectionId) -> Option<Phase> {
        if self.state.open_sent().any(|open| open.connection.id == id) {
            return Some(Phase::OpenSent);
        }
        match &self.state {
            State::OpenConfirm { current, .. } if current.connection.id == id => {
                Some(Phase::OpenConfirm)
            }
            State::Established { current, .. } if current.connection.id == id => {
                Some(Phase::Established)
            }
            _ => None,
        }
    }
}

/// How far one connection is.
#[derive(Debug, Clone, Copy)]
enum Phase {
    OpenSent,
    OpenConfirm,
    Established,
}

/// Whether an end calls for a pause. A lost transport and a resolved collision do not.
fn is_error(reason: &DownReason) -> bool {
    let collision = CeaseReason::ConnectionCollision;
    match reason {
        DownReason::Closed
        | DownReason::Restarted
        | DownReason::InterfaceDown
        | DownReason::NeighborMoved => false,
        DownReason::NotificationSent(cause) | DownReason::NotificationReceived(cause) => {
            *cause != Notification::cease(collision)
        }
    }
}
