//! One neighbour's session: the state machine of RFC 4271 §8, sans-IO.
//!
//! In: connections that came about or went, single messages, and `now`. Out: connections to open or close, bytes of
//! OPEN and KEEPALIVE, and what the RIBs must know (`SessionEvent`). UPDATEs do not pass through here: the speaker asks
//! whether the session takes them and gives them to the RIB without a copy.

pub(crate) mod collision;
mod messages;
pub(crate) mod negotiate;
mod resume;
mod state;
pub(crate) mod timers;

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::speaker::ConnectionId;
use crate::wire::{CeaseReason, Notification, Open, OpenMessage, RouteRefresh, encode_keepalive};
use collision::Direction;
use negotiate::{Negotiated, Offer};
use state::{Agreed, Connection, OpenSent, Outgoing, State};
use timers::{Backoff, Due, Jitter, LARGE_HOLD_TIME, Liveness, RECONNECT};

/// Where a session stands, in the words of RFC 4271.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Not trying: shut down, or waiting after an error.
    Idle,
    /// Opening a TCP connection.
    Connect,
    /// Waiting for the peer's connection, or for the next attempt.
    Active,
    /// OPEN sent.
    OpenSent,
    /// OPENs accepted, KEEPALIVE awaited.
    OpenConfirm,
    /// Routes flow.
    Established,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// We found an error, or wanted the end.
    #[error("notification sent: {0}")]
    NotificationSent(Notification),
    /// The peer found an error, or wanted the end.
    #[error("notification received: {0}")]
    NotificationReceived(Notification),
    /// The transport is gone.
    #[error("connection closed")]
    Closed,
    /// The peer opened a new session: it has restarted (RFC 4724 §5).
    #[error("peer restarted")]
    Restarted,
    /// The interface that the peer is at can no longer be used.
    #[error("interface down")]
    InterfaceDown,
    /// The peer at the end of the interface has another address now.
    #[error("neighbor has another address")]
    NeighborMoved,
}

/// What the RIBs have to know.
#[derive(Debug)]
pub(crate) enum SessionEvent {
    Up(Arc<Negotiated>),
    /// Up, but the peer knows of no new session: it does not send its routes unless asked.
    Resumed(Arc<Negotiated>),
    /// `keep_routes`: the peer's routes outlive the session (RFC 4724 §4.2).
    Down {
        reason: DownReason,
        negotiated: Arc<Negotiated>,
        keep_routes: bool,
    },
    Refresh(RouteRefresh),
}

/// What is to be done with connections.
#[derive(Debug)]
pub(crate) enum SessionAction {
    Connect,
    Close { connection: ConnectionId, last_words: Vec<u8> },
}

/// What of a session may change at any time, because no OPEN says it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The peer connects, not we.
    pub(crate) passive: bool,
    /// Between attempts to connect.
    pub(crate) connect_retry: Duration,
    /// Between KEEPALIVEs, at most; a third of the hold time if that is less.
    pub(crate) keepalive: Option<Duration>,
}

/// The session with one neighbour.
#[derive(Debug)]
pub(crate) struct Session {
    offer: Offer,
    pace: Pace,
    /// It is known where the peer is.
    located: bool,
    state: State,
    backoff: Backoff,
    jitter: Jitter,
    last_error: Option<DownReason>,
    /// Why the last attempt to connect failed; gone with the next connection.
    connect_error: Option<String>,
    events: VecDeque<SessionEvent>,
    actions: VecDeque<SessionAction>,
}

impl Session {
    pub(crate) fn new(offer: Offer, pace: Pace, jitter: Jitter, now: Instant) -> Self {
        let outgoing =
            if pace.passive { Outgoing::Passive } else { Outgoing::Waiting { until: now } };
        Self {
            offer,
            pace,
            located: true,
            state: State::Opening { outgoing, incoming: None },
            backoff: Backoff::default(),
            jitter,
            last_error: None,
            connect_error: None,
            events: VecDeque::new(),
            actions: VecDeque::new(),
        }
    }

    /// Whether it connects, and how often, from the next attempt on; and how often it says that it lives.
    pub(crate) fn set_pace(&mut self, pace: Pace, now: Instant) {
        self.pace = pace;
        match &mut self.state {
            State::Opening { outgoing: outgoing @ Outgoing::Waiting { .. }, .. }
                if pace.passive =>
            {
                *outgoing = Outgoing::Passive;
            }
            State::Opening { outgoing: outgoing @ Outgoing::Passive, .. } if !pace.passive => {
                *outgoing = Outgoing::Waiting { until: now };
            }
            State::OpenConfirm { current, .. } | State::Established { current, .. } => {
                current.liveness.set_keepalive(pace.keepalive, now, &mut self.jitter);
            }
            _ => {}
        }
    }

    // What is said in the next OPEN.

    pub(crate) fn offer_mut(&mut self) -> &mut Offer {
        &mut self.offer
    }

    // Transport in.

    /// Our attempt succeeded. `false`: it is no longer wanted.
    pub(crate) fn handle_connected(
        &mut self,
        id: ConnectionId,
        remote: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> bool {
        let wanted =
            matches!(&self.state, State::Opening { outgoing: Outgoing::Connecting { .. }, .. });
        if wanted {
            let open = self.send_open(id, Direction::Outgoing, remote, local, now);
            if let State::Opening { outgoing, .. } = &mut self.state {
                *outgoing = Outgoing::OpenSent(open);
            }
        }
        wanted
    }

    /// The peer opened a connection. `false`: we do not take it.
    pub(crate) fn handle_accepted(
        &mut self,
        id: ConnectionId,
        remote: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> bool {
        let takes = match &self.state {
            State::Stopped | State::Unlocated | State::Idle { .. } => false,
            State::Opening { .. } | State::OpenConfirm { .. } => true,
            // RFC 4724 §5: with graceful restart a new connection means that the peer has restarted.
            // Without it the established one stays (RFC 4271 §6.8).
            State::Established { current, .. } => current.negotiated.graceful_restart.is_some(),
        };
        if !takes {
            return false;
        }
        let open = self.send_open(id, Direction::Incoming, remote, local, now);
        let older = match &mut self.state {
            State::Opening { incoming: place, .. }
            | State::OpenConfirm { challenger: place, .. }
            | State::Established { challenger: place, .. } => place.replace(open),
            State::Stopped | State::Unlocated | State::Idle { .. } => None,
        };
        if let Some(older) = older {
            self.close(older.connection.id, Some(&collision_cease()));
        }
        true
    }

    /// Our attempt failed.
    pub(crate) fn handle_connect_failed(&mut self, reason: String, now: Instant) {
        self.connect_error = Some(reason);
        let until = now + self.jitter.apply(self.pace.connect_retry);
        if let State::Opening { outgoing: outgoing @ Outgoing::Connecting { .. }, .. } =
            &mut self.state
        {
            *outgoing = Outgoing::Waiting { until };
        }
    }

    /// A connection is gone without a word.
    pub(crate) fn handle_closed(&mut self, id: ConnectionId, now: Instant) {
        self.drop_connection(id, DownReason::Closed, now);
    }

    // Clock in.

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let State::Idle { until } = self.state
            && until <= now
        {
            self.begin(now);
        }
        self.connect_if_due(now);
        let expired: Vec<ConnectionId> = self
            .state
            .open_sent()
            .filter(|open| open.hold_until <= now)
            .map(|open| open.connection.id)
            .collect();
        for id in expired {
            self.fail(id, Notification::hold_timer_expired(), now);
        }
        let (State::OpenConfirm { current, .. } | State::Established { current, .. }) =
            &mut self.state
        else {
            return;
        };
        let waiting = !current.connection.outbound.is_empty();
        let id = current.connection.id;
        match current.liveness.due(now, waiting, &mut self.jitter) {
            Some(Due::SendKeepalive) => encode_keepalive(&mut current.connection.outbound),
            Some(Due::HoldTimerExpired) => self.fail(id, Notification::hold_timer_expired(), now),
            Some(Due::SendHoldTimerExpired) => {
                self.fail(id, Notification::send_hold_timer_expired(), now)
            }
            None => {}
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Stopped | State::Unlocated => None,
            State::Idle { until } => Some(*until),
            State::Opening { outgoing, .. } => match outgoing {
                Outgoing::Waiting { until } | Outgoing::Connecting { until } => Some(*until),
                Outgoing::Passive | Outgoing::OpenSent(_) => None,
            },
            State::OpenConfirm { current, .. } | State::Established { current, .. } => {
                current.liveness.next_timeout()
            }
        };
        self.state.open_sent().map(|open| open.hold_until).chain(own).min()
    }

    // Operator in.

    /// Takes the session down and keeps it down.
    pub(crate) fn stop(&mut self, reason: CeaseReason, text: Option<&str>) {
        let notification_restart = match &self.state {
            State::Established { current, .. } => current.negotiated.notification_restart,
            _ => false,
        };
        let farewell = negotiate::farewell(reason, text, notification_restart);
        self.end_all(DownReason::NotificationSent(farewell.clone()), Some(&farewell));
        self.state = State::Stopped;
    }

    /// After a session that ended because of too many routes: nothing until then, or until the operator wants it.
    pub(crate) fn rest(&mut self, until: Option<Instant>) {
        let rejected = Notification::cease(CeaseReason::ConnectionRejected);
        self.end_all(DownReason::NotificationSent(rejected.clone()), Some(&rejected));
        self.state = until.map_or(State::Stopped, |until| State::Idle { until });
    }

    /// Takes the session down and tries again at once.
    pub(crate) fn reset(&mut self, now: Instant) {
        let cease = Notification::cease(CeaseReason::AdministrativeReset);
        self.end_all(DownReason::NotificationSent(cease.clone()), Some(&cease));
        self.begin(now);
    }

    /// The peer is not where it was. Whatever there is ends, and nothing begins until [`Self::locate`].
    pub(crate) fn lose(&mut self, reason: DownReason) {
        self.located = false;
        if !matches!(self.state, State::Stopped | State::Idle { .. }) {
            self.end_all(reason, None);
            self.state = State::Unlocated;
        }
    }

    /// It is known where the peer is.
    pub(crate) fn locate(&mut self, now: Instant) {
        self.located = true;
        if matches!(self.state, State::Unlocated) {
            self.begin(now);
        }
    }

    /// Closes all connections without a word, so that peers keep our routes (RFC 4724 §4).
    pub(crate) fn abandon(&mut self) {
        self.end_all(DownReason::Closed, None);
        self.state = State::Stopped;
    }

    pub(crate) fn start(&mut self, now: Instant) {
        if matches!(self.state, State::Stopped) {
            self.backoff = Backoff::default();
            self.begin(now);
        }
    }

    pub(crate) fn has_connections(&mut self) -> bool {
        self.state.connections().next().is_some()
    }

    /// What we say when we open a session.
    pub(crate) fn our_open(&self) -> Open {
        self.offer.open()
    }

    /// Adds a message of our own, if routes flow.
    pub(crate) fn send(&mut self, write: impl FnOnce(&Negotiated, &mut Vec<u8>)) {
        if let State::Established { current, .. } = &mut self.state {
            write(&current.negotiated, &mut current.connection.outbound);
        }
    }

    // Out.

    pub(crate) fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    pub(crate) fn poll_action(&mut self) -> Option<SessionAction> {
        self.actions.pop_front()
    }

    /// OPEN and KEEPALIVE waiting for this connection.
    pub(crate) fn take_outbound(&mut self, id: ConnectionId) -> Vec<u8> {
        let connection = self.state.connections().find(|connection| connection.id == id);
        connection.map(|connection| mem::take(&mut connection.outbound)).unwrap_or_default()
    }

    /// The agreement, if routes flow on this connection.
    pub(crate) fn established_on(&self, id: ConnectionId) -> Option<&Arc<Negotiated>> {
        match &self.state {
            State::Established { current, .. } if current.connection.id == id => {
                Some(&current.negotiated)
            }
            _ => None,
        }
    }

    /// Agreement, addresses (local, remote) and age of the session, if routes flow.
    pub(crate) fn established(
        &self,
    ) -> Option<(&Arc<Negotiated>, SocketAddr, SocketAddr, Instant)> {
        match &self.state {
            State::Established { current, since, .. } => Some((
                &current.negotiated,
                current.connection.local,
                current.connection.remote,
                *since,
            )),
            _ => None,
        }
    }

    /// Our OPEN and the peer's, if routes flow.
    pub(crate) fn opens(&self) -> Option<(&OpenMessage, &OpenMessage)> {
        match &self.state {
            State::Established { current: Agreed { connection, .. }, .. } => {
                Some((&connection.our_open, connection.peer_open.as_deref()?))
            }
            _ => None,
        }
    }

    /// The connection that routes flow on, if they do.
    pub(crate) fn established_connection(&self) -> Option<ConnectionId> {
        match &self.state {
            State::Established { current, .. } => Some(current.connection.id),
            _ => None,
        }
    }

    pub(crate) fn last_error(&self) -> Option<&DownReason> {
        self.last_error.as_ref()
    }

    pub(crate) fn connect_error(&self) -> Option<&str> {
        self.connect_error.as_deref()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    pub(crate) fn state(&self) -> SessionState {
        match &self.state {
            State::Stopped | State::Unlocated | State::Idle { .. } => SessionState::Idle,
            State::Opening { outgoing: Outgoing::OpenSent(_), .. }
            | State::Opening { incoming: Some(_), .. } => SessionState::OpenSent,
            State::Opening { outgoing: Outgoing::Connecting { .. }, .. } => SessionState::Connect,
            State::Opening { .. } => SessionState::Active,
            State::OpenConfirm { .. } => SessionState::OpenConfirm,
            State::Established { .. } => SessionState::Established,
        }
    }

    // Inside.

    fn send_open(
        &mut self,
        id: ConnectionId,
        direction: Direction,
        remote: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> OpenSent {
        self.connect_error = None;
        let our_open = Box::new(OpenMessage::new(self.offer.open()));
        let outbound = our_open.octets().to_vec();
        let connection =
            Connection { id, direction, local, remote, outbound, our_open, peer_open: None };
        OpenSent { connection, hold_until: now + LARGE_HOLD_TIME }
    }

    fn begin(&mut self, now: Instant) {
        self.state = if self.located {
            State::Opening { outgoing: self.first_attempt(now), incoming: None }
        } else {
            State::Unlocated
        };
    }

    fn first_attempt(&self, now: Instant) -> Outgoing {
        if self.pace.passive { Outgoing::Passive } else { Outgoing::Waiting { until: now } }
    }

    fn next_attempt(&mut self, after: Duration, now: Instant) -> Outgoing {
        if self.pace.passive {
            Outgoing::Passive
        } else {
            Outgoing::Waiting { until: now + self.jitter.apply(after) }
        }
    }

    fn connect_if_due(&mut self, now: Instant) {
        let retry = self.jitter.apply(self.pace.connect_retry);
        let State::Opening { outgoing, .. } = &mut self.state else { return };
        if let Outgoing::Waiting { until } | Outgoing::Connecting { until } = outgoing
            && *until <= now
        {
            *outgoing = Outgoing::Connecting { until: now + retry };
            self.actions.push_back(SessionAction::Connect);
        }
    }

    fn close(&mut self, connection: ConnectionId, notification: Option<&Notification>) {
        let mut last_words = Vec::new();
        if let Some(notification) = notification {
            notification.encode(&mut last_words);
        }
        self.actions.push_back(SessionAction::Close { connection, last_words });
    }

    fn established_ended(
        &mut self,
        current: &Agreed,
        since: Instant,
        reason: DownReason,
        now: Instant,
    ) {
        self.backoff.session_lasted(now.duration_since(since));
        self.report_down(current, reason);
    }

    fn report_down(&mut self, current: &Agreed, reason: DownReason) {
        let negotiated = Arc::clone(&current.negotiated);
        let keep_routes = keeps_routes(&negotiated, &reason);
        self.last_error = Some(reason.clone());
        self.events.push_back(SessionEvent::Down { reason, negotiated, keep_routes });
    }

    fn end_all(&mut self, reason: DownReason, farewell: Option<&Notification>) {
        let ids: Vec<ConnectionId> =
            self.state.connections().map(|connection| connection.id).collect();
        for id in ids {
            self.close(id, farewell);
        }
        if let State::Established { current, .. } = mem::replace(&mut self.state, State::Stopped) {
            self.report_down(&current, reason);
        }
    }
}

/// RFC 4724 §4.2: a lost connection keeps the routes; RFC 8538 §4: a NOTIFICATION too, if both sides agreed on that
/// and it is no hard reset.
fn keeps_routes(negotiated: &Negotiated, reason: &DownReason) -> bool {
    negotiated.graceful_restart.is_some()
        && match reason {
            DownReason::Closed | DownReason::Restarted => true,
            // Nothing that its routes lead to is there any more.
            DownReason::InterfaceDown | DownReason::NeighborMoved => false,
            DownReason::NotificationSent(notification)
            | DownReason::NotificationReceived(notification) => {
                negotiated.notification_restart && !notification.is_hard_reset()
            }
        }
}

fn collision_cease() -> Notification {
    Notification::cease(CeaseReason::ConnectionCollision)
}
