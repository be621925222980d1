//! The least time between two announcements to a neighbour (RFC 4271 §9.2.1.1, MinRouteAdvertisementInterval).
//!
//! Once a neighbour has been told all there was, what changes afterwards waits until the interval is over, and then only
//! the last change is told. Withdrawals never wait, nor does a table that the neighbour asked for.

use std::time::{Duration, Instant};

use super::Speaker;
use crate::session::timers::Jitter;
use crate::wire::FamilySet;

/// How far one neighbour is.
#[derive(Debug)]
pub(super) struct Mrai {
    interval: Duration,
    jitter: Jitter,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Announcements may go out.
    Free,
    /// Some went out, and there are more.
    Announcing,
    /// All went out; the interval begins when the clock is read next.
    Begun,
    /// Nothing may be announced until then.
    Until(Instant),
}

impl Mrai {
    pub(super) fn new(interval: Duration, jitter: Jitter) -> Self {
        Self { interval, jitter, phase: Phase::Free }
    }

    /// Another interval, from the next announcement on: what waits for the end of this one waits no longer.
    pub(super) fn set_interval(&mut self, interval: Duration, now: Instant) {
        self.interval = interval;
        if self.holds() {
            self.phase = Phase::Until(now);
        }
    }

    /// A new session owes nothing to the last one.
    pub(super) fn reset(&mut self) {
        self.phase = Phase::Free;
    }

    /// Whether announcements have to wait.
    pub(super) fn holds(&self) -> bool {
        matches!(self.phase, Phase::Begun | Phase::Until(_))
    }

    /// UPDATEs were written. Tells whether the clock has to be read because the interval begins.
    pub(super) fn note_written(&mut self, announced: bool, all_told: bool) -> bool {
        if self.interval.is_zero() || self.holds() {
            return false;
        }
        if announced {
            self.phase = Phase::Announcing;
        }
        if self.phase == Phase::Announcing && all_told {
            self.phase = Phase::Begun;
        }
        self.holds()
    }

    /// Time has passed. Tells whether the interval is over.
    fn handle_timeout(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Begun => self.phase = Phase::Until(now + self.jitter.apply(self.interval)),
            Phase::Until(at) if at <= now => {
                self.phase = Phase::Free;
                return true;
            }
            Phase::Free | Phase::Announcing | Phase::Until(_) => {}
        }
        false
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Until(at) => Some(at),
            Phase::Free | Phase::Announcing | Phase::Begun => None,
        }
    }
}

impl Speaker {
    pub(super) fn advance_mrai(&mut self, index: u32, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        if !neighbor.mrai.handle_timeout(now) {
            return;
        }
        for family in FamilySet::ALL.iter() {
            if let Some(table) = self.tables.get_mut(family) {
                table.release_deferred(index);
            }
        }
    }
}
