//! One session: the state machine and the timers of RFC 5880 §6.8.

use std::time::{Duration, Instant};

use super::packet::{ControlPacket, Diagnostic, PacketError, SessionState};
use crate::session::timers::Jitter;

/// Whoever is not up sends no faster (§6.8.3).
const SLOW: Duration = Duration::from_secs(1);
/// The peer's Required Min RX Interval until it has told us (§6.8.1).
const UNKNOWN_MIN_RX: Duration = Duration::from_micros(1);

/// What an operator asks of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// We want to send no slower.
    pub min_tx: Duration,
    /// We take packets no faster. Not zero: a session that hears nothing finds out nothing.
    pub min_rx: Duration,
    /// Packets of ours in a row that may be lost. Not zero.
    pub multiplier: u8,
}

/// Why a packet counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Discard {
    /// It is no packet, or none that means anything.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// It has passed a router, or more of them than may be (RFC 5881 §5, RFC 5883 §5).
    #[error("hop limit {found}, at least {least} expected")]
    HopLimit {
        /// What it came with.
        found: u8,
        /// What it must come with.
        least: u8,
    },
    /// It names a session that does not exist, or comes from somebody with whom we have none.
    #[error("no such session")]
    NoSession,
    /// It names a session that we have with somebody else.
    #[error("not from the peer of this session")]
    WrongPeer,
    /// The session is administratively down.
    #[error("session administratively down")]
    AdminDown,
}

/// What the peer said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) state: SessionState,
    /// 0: not known.
    pub(super) discriminator: u32,
    pub(super) diagnostic: Diagnostic,
    pub(super) min_tx: Duration,
    pub(super) min_rx: Duration,
    pub(super) min_echo_rx: Duration,
    pub(super) multiplier: u8,
    pub(super) control_plane_independent: bool,
    demand: bool,
}

impl Remote {
    const SILENT: Self = Self {
        state: SessionState::Down,
        discriminator: 0,
        diagnostic: Diagnostic::NONE,
        min_tx: Duration::ZERO,
        min_rx: UNKNOWN_MIN_RX,
        min_echo_rx: Duration::ZERO,
        multiplier: 0,
        control_plane_independent: false,
        demand: false,
    };
}

/// A Poll sequence (§6.5): the peer must confirm values before they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poll {
    None,
    Active,
    /// What is asked changed meanwhile: the answer that comes may be to the question before.
    ActiveThenAgain,
}

#[derive(Debug)]
pub(super) struct Session {
    discriminator: u32,
    state: SessionState,
    diagnostic: Diagnostic,
    intervals: Intervals,
    /// What our packets say, slow unless up.
    desired_min_tx: Duration,
    /// What our pace follows: lags behind while a poll for a slower one is unanswered.
    used_min_tx: Duration,
    /// What the detection time follows: lags behind while a poll for a shorter one is unanswered.
    used_min_rx: Duration,
    poll: Poll,
    remote: Remote,
    /// When the last packet that counted came.
    heard_at: Option<Instant>,
    sent_at: Option<Instant>,
    transmit_at: Option<Instant>,
    /// A packet with what is true now is due.
    transmit_due: bool,
    /// The peer polls: a packet with the F bit is due.
    answer_due: bool,
    jitter: Jitter,
}

impl Session {
    pub(super) fn new(discriminator: u32, intervals: Intervals, now: Instant) -> Self {
        let slow = intervals.min_tx.max(SLOW);
        Self {
            discriminator,
            state: SessionState::Down,
            diagnostic: Diagnostic::NONE,
            intervals,
            desired_min_tx: slow,
            used_min_tx: slow,
            used_min_rx: intervals.min_rx,
            poll: Poll::None,
            remote: Remote::SILENT,
            heard_at: None,
            sent_at: None,
            transmit_at: Some(now),
            transmit_due: false,
            answer_due: false,
            jitter: Jitter::new(discriminator.into()),
        }
    }

    pub(super) const fn discriminator(&self) -> u32 {
        self.discriminator
    }

    pub(super) const fn state(&self) -> SessionState {
        self.state
    }

    pub(super) const fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    pub(super) const fn intervals(&self) -> Intervals {
        self.intervals
    }

    pub(super) const fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Other intervals from now on, or from the peer's word on.
    pub(super) fn set_intervals(&mut self, intervals: Intervals, now: Instant) {
        if intervals == self.intervals {
            return;
        }
        self.intervals = intervals;
        let up = self.state == SessionState::Up;
        self.desired_min_tx = if up { intervals.min_tx } else { intervals.min_tx.max(SLOW) };
        // §6.8.3: the peer may still count on the faster pace, and may not yet keep the shorter time.
        if !up || self.desired_min_tx < self.used_min_tx {
            self.used_min_tx = self.desired_min_tx;
        }
        if !up || intervals.min_rx > self.used_min_rx {
            self.used_min_rx = intervals.min_rx;
        }
        if up {
            self.start_poll();
        }
        self.reschedule(now);
    }

    /// Down by the operator's wish; the peer is told that this is no failure.
    pub(super) fn take_down(&mut self, now: Instant) {
        self.enter(SessionState::AdminDown, Diagnostic::ADMINISTRATIVELY_DOWN, now);
    }

    /// A packet of this session (§6.8.6, from "set bfd.RemoteDiscr" on).
    pub(super) fn handle_packet(
        &mut self,
        packet: &ControlPacket,
        now: Instant,
    ) -> Result<(), Discard> {
        self.remote = Remote {
            state: packet.state,
            discriminator: packet.my_discriminator,
            diagnostic: packet.diagnostic,
            min_tx: packet.desired_min_tx,
            min_rx: packet.required_min_rx,
            min_echo_rx: packet.required_min_echo_rx,
            multiplier: packet.detect_multiplier,
            control_plane_independent: packet.control_plane_independent,
            demand: packet.demand,
        };
        if packet.is_final {
            self.end_poll();
        }
        if self.state == SessionState::AdminDown {
            self.reschedule(now);
            return Err(Discard::AdminDown);
        }
        self.heard_at = Some(now);
        self.follow(packet.state, now);
        self.answer_due |= packet.poll;
        self.reschedule(now);
        Ok(())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.detect_at().is_some_and(|at| at <= now) {
            self.heard_at = None;
            // What it said of itself last is worth knowing.
            self.remote = Remote {
                diagnostic: self.remote.diagnostic,
                control_plane_independent: self.remote.control_plane_independent,
                ..Remote::SILENT
            };
            if matches!(self.state, SessionState::Init | SessionState::Up) {
                self.enter(SessionState::Down, Diagnostic::DETECTION_TIME_EXPIRED, now);
            }
            self.reschedule(now);
        }
        if self.transmit_at.is_some_and(|at| at <= now) {
            self.transmit_due = true;
            // Set again by what is sent.
            self.transmit_at = None;
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        [self.transmit_at, self.detect_at()].into_iter().flatten().min()
    }

    /// Whether [`Self::poll_transmit`] has something.
    pub(super) const fn has_transmit(&self) -> bool {
        self.transmit_due || self.answer_due
    }

    /// What is to be sent now.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<ControlPacket> {
        let is_final = std::mem::take(&mut self.answer_due);
        if !is_final {
            if !std::mem::take(&mut self.transmit_due) {
                return None;
            }
            self.sent_at = Some(now);
            self.transmit_at = self.interval().map(|interval| now + self.jittered(interval));
        }
        Some(ControlPacket {
            diagnostic: self.diagnostic,
            state: self.state,
            // Not both (§6.5).
            poll: self.poll != Poll::None && !is_final,
            is_final,
            // See `net::bfd`: it runs beside the control plane, and goes on without it.
            control_plane_independent: true,
            demand: false,
            detect_multiplier: self.intervals.multiplier,
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: self.desired_min_tx,
            required_min_rx: self.intervals.min_rx,
            required_min_echo_rx: Duration::ZERO,
        })
    }

    /// How long the peer may be silent. `None`: nothing was heard yet that could end.
    pub(super) fn detection_time(&self) -> Option<Duration> {
        let pace = self.used_min_rx.max(self.remote.min_tx);
        self.heard_at.map(|_| pace * u32::from(self.remote.multiplier))
    }

    fn detect_at(&self) -> Option<Instant> {
        Some(self.heard_at? + self.detection_time()?)
    }

    fn follow(&mut self, theirs: SessionState, now: Instant) {
        use SessionState::{AdminDown, Down, Init, Up};
        match (self.state, theirs) {
            (Init | Up, AdminDown) | (Up, Down) => {
                self.enter(Down, Diagnostic::NEIGHBOR_SIGNALED_DOWN, now);
            }
            (Down, Down) => self.enter(Init, self.diagnostic, now),
            (Down, Init) | (Init, Init | Up) => self.enter(Up, Diagnostic::NONE, now),
            (AdminDown, _) | (Down, AdminDown | Up) | (Init, Down) | (Up, Init | Up) => {}
        }
    }

    fn enter(&mut self, state: SessionState, diagnostic: Diagnostic, now: Instant) {
        self.state = state;
        self.diagnostic = diagnostic;
        let up = state == SessionState::Up;
        self.desired_min_tx =
            if up { self.intervals.min_tx } else { self.intervals.min_tx.max(SLOW) };
        self.used_min_tx = self.desired_min_tx;
        self.used_min_rx = self.intervals.min_rx;
        self.poll = Poll::None;
        if up {
            self.start_poll();
        }
        // At once: the peer waits for it (§6.8.7).
        self.transmit_due = true;
        self.reschedule(now);
    }

    fn start_poll(&mut self) {
        self.poll = match self.poll {
            Poll::None => Poll::Active,
            Poll::Active | Poll::ActiveThenAgain => Poll::ActiveThenAgain,
        };
    }

    fn end_poll(&mut self) {
        self.poll = match self.poll {
            Poll::ActiveThenAgain => Poll::Active,
            Poll::Active => {
                self.used_min_tx = self.desired_min_tx;
                self.used_min_rx = self.intervals.min_rx;
                Poll::None
            }
            Poll::None => Poll::None,
        };
    }

    /// Between two packets, before jitter. `None`: the peer wants none (§6.8.7).
    fn interval(&self) -> Option<Duration> {
        let up = self.state == SessionState::Up && self.remote.state == SessionState::Up;
        let silenced = self.remote.demand && up && self.poll == Poll::None;
        let wanted = !self.remote.min_rx.is_zero() && !silenced;
        wanted.then(|| self.used_min_tx.max(self.remote.min_rx))
    }

    /// §6.8.7: with a multiplier of 1 the peer's detection time is as long as our interval.
    fn jittered(&mut self, interval: Duration) -> Duration {
        let most = if self.intervals.multiplier == 1 { 900 } else { 1000 };
        self.jitter.apply_up_to(most, interval)
    }

    /// The interval may be another one: a packet that is planned too late comes earlier, and one that is no longer
    /// wanted does not come.
    fn reschedule(&mut self, now: Instant) {
        let Some(interval) = self.interval() else {
            self.transmit_at = None;
            return;
        };
        if self.transmit_due {
            // What is sent plans the next one.
            return;
        }
        let latest = self.sent_at.map_or(now, |sent| sent + interval);
        if self.transmit_at.is_none_or(|at| at > latest) {
            let jittered = self.jittered(interval);
            self.transmit_at = Some(self.sent_at.map_or(now, |sent| sent + jittered));
        }
    }
}

#[cfg(test)]
mod tests;
