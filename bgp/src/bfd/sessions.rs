//! All sessions: which packet is whose, whose turn it is, and what changed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::packet::{ControlPacket, Diagnostic, SessionState};
use super::session::{Discard, Intervals, Session};
use crate::session::timers::Jitter;

/// What a packet must come with over a single hop, so that no router has passed it on (RFC 5881 §5).
const SINGLE_HOP_LIMIT: u8 = 255;

/// The other end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Of a link-local address: index of the interface. Otherwise 0.
    pub scope_id: u32,
    /// There may be routers in between (RFC 5883).
    pub multihop: bool,
}

impl Peer {
    /// `scope_id` counts for link-local addresses only.
    pub const fn new(address: IpAddr, scope_id: u32, multihop: bool) -> Self {
        let scoped = match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        Self { address, scope_id: if scoped { scope_id } else { 0 }, multihop }
    }
}

/// How a packet came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its source address.
    pub source: IpAddr,
    /// The interface that it came in on.
    pub interface: u32,
    /// It came to the port for multihop sessions.
    pub multihop: bool,
    /// What was left of its hop limit, or TTL.
    pub hop_limit: u8,
}

/// A session that is not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What it is now.
    pub session: SessionView,
    /// It was up, and is down because the path does not carry packets any more, or the peer says so. A peer that is
    /// administratively down has not failed (RFC 5882 §3.2).
    pub failed: bool,
}

/// A session as its operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// With whom.
    pub peer: Peer,
    /// Where it stands.
    pub state: SessionState,
    /// Our number of it.
    pub discriminator: u32,
    /// The peer's number of it; 0 while that is not known.
    pub remote_discriminator: u32,
    /// Why it went down last.
    pub diagnostic: Diagnostic,
    /// Why the peer says that it went down last.
    pub remote_diagnostic: Diagnostic,
    /// What we want.
    pub intervals: Intervals,
    /// What the peer wants: to send no slower than this,
    pub remote_min_tx: Duration,
    /// to hear from us no faster than this,
    pub remote_min_rx: Duration,
    /// to return echo packets no faster than this,
    pub remote_min_echo_rx: Duration,
    /// and to be heard again before so many of its packets are missed; 0 while nothing is known of it.
    pub remote_multiplier: u8,
    /// The peer's BFD goes on when its control plane does not (the C bit).
    pub remote_control_plane_independent: bool,
}

/// All sessions. Reads no clock, opens no socket. What is done for one costs in proportion to the logarithm of their number.
#[derive(Debug)]
pub struct Sessions {
    sessions: HashMap<u32, Entry>,
    by_peer: HashMap<Peer, u32>,
    /// One entry for each session that waits for something, not later than that.
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Sessions with a packet to send.
    ready: VecDeque<u32>,
    changes: VecDeque<Change>,
    numbers: Jitter,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    session: Session,
    /// When its entry in the heap is due.
    armed: Option<Instant>,
    /// It is in `ready`.
    is_ready: bool,
    /// It was stopped, and is forgotten then.
    leaves_at: Option<Instant>,
}

impl Sessions {
    /// Without sessions. Discriminators follow from the seed: it should differ from one start to the next.
    pub fn new(seed: u64) -> Self {
        Self {
            sessions: HashMap::new(),
            by_peer: HashMap::new(),
            timers: BinaryHeap::new(),
            ready: VecDeque::new(),
            changes: VecDeque::new(),
            numbers: Jitter::new(seed),
        }
    }

    /// Starts a session, or gives one that runs other intervals.
    pub fn start(&mut self, peer: Peer, intervals: Intervals, now: Instant) {
        if let Some(discriminator) = self.by_peer.get(&peer).copied()
            && let Some(entry) = self.sessions.get_mut(&discriminator)
        {
            if entry.leaves_at.is_none() {
                let before = entry.session.intervals();
                entry.session.set_intervals(intervals, now);
                if before != intervals {
                    self.report(discriminator, false);
                }
                return self.arm(discriminator);
            }
            self.sessions.remove(&discriminator);
        }
        let discriminator = self.new_discriminator();
        let session = Session::new(discriminator, intervals, now);
        let entry = Entry { peer, session, armed: None, is_ready: false, leaves_at: None };
        self.sessions.insert(discriminator, entry);
        self.by_peer.insert(peer, discriminator);
        self.report(discriminator, false);
        self.arm(discriminator);
    }

    /// Ends a session; the peer is told that this is no failure. What is left of it goes when the peer must have
    /// noticed (RFC 5880 §6.8.16).
    pub fn stop(&mut self, peer: &Peer, now: Instant) {
        let Some(discriminator) = self.by_peer.get(peer).copied() else { return };
        let Some(entry) = self.sessions.get_mut(&discriminator) else { return };
        if entry.leaves_at.is_none() {
            let intervals = entry.session.intervals();
            let pace = intervals.min_tx.max(entry.session.remote().min_rx);
            entry.leaves_at = Some(now + pace * u32::from(intervals.multiplier));
            entry.session.take_down(now);
            self.report(discriminator, false);
            self.arm(discriminator);
        }
    }

    /// The peers of all sessions but those that were stopped.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.sessions.values().filter(|entry| entry.leaves_at.is_none()).map(|entry| entry.peer)
    }

    /// A session, unless it was stopped.
    pub fn get(&self, peer: &Peer) -> Option<SessionView> {
        let entry = self.sessions.get(self.by_peer.get(peer)?)?;
        entry.leaves_at.is_none().then(|| entry.view())
    }

    /// A packet came.
    ///
    /// # Errors
    /// It counts for nothing, and why.
    pub fn handle_packet(
        &mut self,
        arrival: &Arrival,
        octets: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        let least = if arrival.multihop { 0 } else { SINGLE_HOP_LIMIT };
        if arrival.hop_limit < least {
            return Err(Discard::HopLimit { found: arrival.hop_limit, least });
        }
        let packet = ControlPacket::decode(octets)?;
        let peer = Peer::new(arrival.source, arrival.interface, arrival.multihop);
        let discriminator = match packet.your_discriminator {
            0 => *self.by_peer.get(&peer).ok_or(Discard::NoSession)?,
            ours => ours,
        };
        let entry = self.sessions.get_mut(&discriminator).ok_or(Discard::NoSession)?;
        if entry.peer != peer {
            return Err(Discard::WrongPeer);
        }
        let before = (entry.session.state(), *entry.session.remote());
        let outcome = entry.session.handle_packet(&packet, now);
        let (state, remote) = (entry.session.state(), *entry.session.remote());
        if (state, remote) != before {
            let failed = before.0 == SessionState::Up
                && state == SessionState::Down
                && remote.state != SessionState::AdminDown;
            self.report(discriminator, failed);
        }
        self.arm(discriminator);
        outcome
    }

    /// Time has passed. To be called at [`Self::poll_timeout`], after the packets that came until then.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, discriminator))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            // One that has gone, or has an earlier entry by now.
            let Some(entry) = self.sessions.get_mut(&discriminator) else { continue };
            if entry.armed != Some(at) {
                continue;
            }
            entry.armed = None;
            if entry.leaves_at.is_some_and(|leaves| leaves <= now) {
                self.forget(discriminator);
                continue;
            }
            let before = entry.session.state();
            entry.session.handle_timeout(now);
            if entry.session.state() != before {
                self.report(discriminator, before == SessionState::Up);
            }
            self.arm(discriminator);
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// A packet to send, and to whom. To be called after all else, until there is none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(Peer, ControlPacket)> {
        while let Some(discriminator) = self.ready.front().copied() {
            if let Some(entry) = self.sessions.get_mut(&discriminator) {
                if let Some(packet) = entry.session.poll_transmit(now) {
                    return Some((entry.peer, packet));
                }
                entry.is_ready = false;
            }
            self.ready.pop_front();
            self.arm(discriminator);
        }
        None
    }

    /// A session that is not as it was.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Sees to it that the session gets its turn.
    fn arm(&mut self, discriminator: u32) {
        let Some(entry) = self.sessions.get_mut(&discriminator) else { return };
        if entry.session.has_transmit() {
            // Its timers follow from what it sends.
            if !std::mem::replace(&mut entry.is_ready, true) {
                self.ready.push_back(discriminator);
            }
            return;
        }
        let next = [entry.session.next_timeout(), entry.leaves_at].into_iter().flatten().min();
        // A later deadline needs nothing: the entry that there is will find out.
        if let Some(next) = next
            && entry.armed.is_none_or(|armed| next < armed)
        {
            entry.armed = Some(next);
            self.timers.push(Reverse((next, discriminator)));
        }
    }

    fn report(&mut self, discriminator: u32, failed: bool) {
        if let Some(entry) = self.sessions.get(&discriminator) {
            self.changes.push_back(Change { session: entry.view(), failed });
        }
    }

    fn forget(&mut self, discriminator: u32) {
        if let Some(entry) = self.sessions.remove(&discriminator)
            && self.by_peer.get(&entry.peer) == Some(&discriminator)
        {
            self.by_peer.remove(&entry.peer);
        }
    }

    fn new_discriminator(&mut self) -> u32 {
        loop {
            let [.., a, b, c, d] = self.numbers.next().to_be_bytes();
            let number = u32::from_be_bytes([a, b, c, d]);
            if number != 0 && !self.sessions.contains_key(&number) {
                return number;
            }
        }
    }
}

impl Entry {
    fn view(&self) -> SessionView {
        let remote = self.session.remote();
        SessionView {
            peer: self.peer,
            state: self.session.state(),
            discriminator: self.session.discriminator(),
            remote_discriminator: remote.discriminator,
            diagnostic: self.session.diagnostic(),
            remote_diagnostic: remote.diagnostic,
            intervals: self.session.intervals(),
            remote_min_tx: remote.min_tx,
            remote_min_rx: remote.min_rx,
            remote_min_echo_rx: remote.min_echo_rx,
            remote_multiplier: remote.multiplier,
            remote_control_plane_independent: remote.control_plane_independent,
        }
    }
}

#[cfg(test)]
mod tests;
