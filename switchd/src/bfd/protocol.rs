//! What daemon and BFD process say to each other: one JSON value per packet of a unix SEQPACKET socket.
//!
//! Times are microseconds, states and diagnostics the numbers on the wire.

use std::net::IpAddr;
use std::time::Duration;

use bgp::bfd::{Diagnostic, Intervals, Peer, SessionState, SessionView};
use serde::{Deserialize, Serialize};

use super::Status;

/// Daemon to process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// First of all: for how long sessions go on when this daemon is gone.
    Hello { linger: u64 },
    /// Run this session.
    Start { peer: PeerName, local: IpAddr, min_tx: u64, min_rx: u64, multiplier: u8 },
    /// End it.
    Stop { peer: PeerName },
}

/// Process to daemon: a session, whenever it is not as it was, and when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    /// It was up, and has failed since the last report.
    pub(super) failed: bool,
    peer: PeerName,
    local: IpAddr,
    since: u64,
    state: u8,
    discriminator: u32,
    remote_discriminator: u32,
    diagnostic: u8,
    remote_diagnostic: u8,
    min_tx: u64,
    min_rx: u64,
    multiplier: u8,
    remote_min_tx: u64,
    remote_min_rx: u64,
    remote_min_echo_rx: u64,
    remote_multiplier: u8,
    remote_control_plane_independent: bool,
}

/// [`Peer`], as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerName {
    address: IpAddr,
    scope_id: u32,
    multihop: bool,
}

impl From<Peer> for PeerName {
    fn from(Peer { address, scope_id, multihop }: Peer) -> Self {
        Self { address, scope_id, multihop }
    }
}

impl From<PeerName> for Peer {
    fn from(PeerName { address, scope_id, multihop }: PeerName) -> Self {
        Self::new(address, scope_id, multihop)
    }
}

impl Request {
    pub(super) fn start(peer: Peer, local: IpAddr, intervals: Intervals) -> Self {
        Self::Start {
            peer: peer.into(),
            local,
            min_tx: micros(intervals.min_tx),
            min_rx: micros(intervals.min_rx),
            multiplier: intervals.multiplier,
        }
    }
}

impl Report {
    pub(super) fn new(status: &Status, failed: bool) -> Self {
        let session = status.session;
        Self {
            failed,
            peer: session.peer.into(),
            local: status.local,
            since: micros(status.since),
            state: session.state as u8,
            discriminator: session.discriminator,
            remote_discriminator: session.remote_discriminator,
            diagnostic: session.diagnostic.0,
            remote_diagnostic: session.remote_diagnostic.0,
            min_tx: micros(session.intervals.min_tx),
            min_rx: micros(session.intervals.min_rx),
            multiplier: session.intervals.multiplier,
            remote_min_tx: micros(session.remote_min_tx),
            remote_min_rx: micros(session.remote_min_rx),
            remote_min_echo_rx: micros(session.remote_min_echo_rx),
            remote_multiplier: session.remote_multiplier,
            remote_control_plane_independent: session.remote_control_plane_independent,
        }
    }

    /// `None`: a state that does not exist.
    pub(super) fn status(&self) -> Option<Status> {
        let session = SessionView {
            peer: self.peer.into(),
            state: SessionState::from_number(self.state)?,
            discriminator: self.discriminator,
            remote_discriminator: self.remote_discriminator,
            diagnostic: Diagnostic(self.diagnostic),
            remote_diagnostic: Diagnostic(self.remote_diagnostic),
            intervals: intervals(self.min_tx, self.min_rx, self.multiplier),
            remote_min_tx: Duration::from_micros(self.remote_min_tx),
            remote_min_rx: Duration::from_micros(self.remote_min_rx),
            remote_min_echo_rx: Duration::from_micros(self.remote_min_echo_rx),
            remote_multiplier: self.remote_multiplier,
            remote_control_plane_independent: self.remote_control_plane_independent,
        };
        let since = Duration::from_micros(self.since);
        Some(Status { session, local: self.local, since })
    }
}

pub(super) fn intervals(min_tx: u64, min_rx: u64, multiplier: u8) -> Intervals {
    let (min_tx, min_rx) = (Duration::from_micros(min_tx), Duration::from_micros(min_rx));
    Intervals { min_tx, min_rx, multiplier }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_arrives_as_it_left() {
        let session = SessionView {
            peer: Peer::new("fe80::1".parse().unwrap(), 7, false),
            state: SessionState::Up,
            discriminator: 1,
            remote_discriminator: 2,
            diagnostic: Diagnostic::NONE,
            remote_diagnostic: Diagnostic::NEIGHBOR_SIGNALED_DOWN,
            intervals: intervals(50_000, 60_000, 3),
            remote_min_tx: Duration::from_millis(300),
            remote_min_rx: Duration::from_millis(200),
            remote_min_echo_rx: Duration::from_millis(50),
            remote_multiplier: 5,
            remote_control_plane_independent: true,
        };
        let local = "fe80::2".parse().unwrap();
        let status = Status { session, local, since: Duration::from_secs(1_800_000_000) };
        let sent = serde_json::to_vec(&Report::new(&status, true)).unwrap();
        let report: Report = serde_json::from_slice(&sent).unwrap();
        let received = report.status().unwrap();
        assert!(report.failed);
        assert_eq!((received.session, received.local), (session, local));
        assert_eq!(received.since, status.since);
    }
}
