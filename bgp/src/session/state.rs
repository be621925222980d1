//! The states of a session. A state owns what is true in it: there is no connection without a state that needs one,
//! and no agreement before an OPEN was accepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::collision::Direction;
use super::negotiate::Negotiated;
use super::timers::Liveness;
use crate::speaker::ConnectionId;
use crate::wire::OpenMessage;

/// RFC 4271 §8.2.2, seen per neighbour: at most one agreed connection, at most one more that may replace it.
#[derive(Debug)]
pub(super) enum State {
    /// Administratively down: nothing is tried, nothing accepted.
    Stopped,
    /// It is not known where the peer is.
    Unlocated,
    /// After an error: nothing until then.
    Idle { until: Instant },
    /// Nobody has accepted an OPEN: Connect, Active or OpenSent.
    Opening { outgoing: Outgoing, incoming: Option<OpenSent> },
    /// One OPEN is accepted, its KEEPALIVE is awaited.
    OpenConfirm { current: Agreed, challenger: Option<OpenSent> },
    /// Routes flow.
    Established { current: Agreed, since: Instant, challenger: Option<OpenSent> },
}

/// The connection that we open.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// We never open one.
    Passive,
    /// The next attempt starts then.
    Waiting { until: Instant },
    /// An attempt is under way; another one starts then.
    Connecting { until: Instant },
    /// It stands, our OPEN is sent.
    OpenSent(OpenSent),
}

/// A connection on which our OPEN is sent and the peer's is awaited.
#[derive(Debug)]
pub(super) struct OpenSent {
    pub(super) connection: Connection,
    pub(super) hold_until: Instant,
}

/// A connection whose OPENs agree.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) connection: Connection,
    pub(super) negotiated: Arc<Negotiated>,
    pub(super) liveness: Liveness,
}

/// One TCP connection, and what of OPEN and KEEPALIVE it has not taken yet.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) direction: Direction,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) outbound: Vec<u8>,
    /// What we said, and what the peer did.
    pub(super) our_open: Box<OpenMessage>,
    pub(super) peer_open: Option<Box<OpenMessage>>,
}

impl State {
    /// All connections of the session.
    pub(super) fn connections(&mut self) -> impl Iterator<Item = &mut Connection> {
        let (first, second) = match self {
            Self::Stopped | Self::Unlocated | Self::Idle { .. } => (None, None),
            Self::Opening { outgoing, incoming } => {
                let outgoing = match outgoing {
                    Outgoing::OpenSent(open) => Some(&mut open.connection),
                    Outgoing::Passive | Outgoing::Waiting { .. } | Outgoing::Connecting { .. } => {
                        None
                    }
                };
                (outgoing, incoming.as_mut().map(|open| &mut open.connection))
            }
            Self::OpenConfirm { current, challenger }
            | Self::Established { current, challenger, .. } => (
                Some(&mut current.connection),
                challenger.as_mut().map(|open| &mut open.connection),
            ),
        };
        first.into_iter().chain(second)
    }

    /// All OPENs that are awaited.
    pub(super) fn open_sent(&self) -> impl Iterator<Item = &OpenSent> {
        let (first, second) = match self {
            Self::Opening { outgoing: Outgoing::OpenSent(open), incoming } => {
                (Some(open), incoming.as_ref())
            }
            Self::Opening { incoming, .. } => (None, incoming.as_ref()),
            Self::OpenConfirm { challenger, .. } | Self::Established { challenger, .. } => {
                (None, challenger.as_ref())
            }
            Self::Stopped | Self::Unlocated | Self::Idle { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }
}
