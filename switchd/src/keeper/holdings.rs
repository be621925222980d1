//! What the keeper holds and when it lets go. Pure: the time comes as an argument, a socket is any value.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a keeper without sessions waits for a daemon before it exits.
pub(super) const IDLE: Duration = Duration::from_secs(10);

/// A session without hold time (0) is held this long: its peer would wait for ever, its operator would not.
const NO_HOLD_TIME: Duration = Duration::from_secs(180);

/// Close this much before the hold time ends, so that the peer hears of it from us and not from its timer.
const MARGIN: Duration = Duration::from_secs(1);

/// All sessions, and whether a daemon is there to own them.
#[derive(Debug)]
pub(super) struct Holdings<S> {
    sessions: BTreeMap<u64, Held<S>>,
    daemon: Daemon,
}

/// One session as it was handed over.
#[derive(Debug)]
pub(super) struct Held<S> {
    pub(super) hold: Duration,
    pub(super) clean: bool,
    pub(super) state: Vec<u8>,
    pub(super) socket: S,
}

#[derive(Debug)]
enum Daemon {
    Connected,
    GoneSince(Instant),
}

impl<S> Holdings<S> {
    /// Nothing held, no daemon yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { sessions: BTreeMap::new(), daemon: Daemon::GoneSince(now) }
    }

    pub(super) fn handle_daemon_connected(&mut self) {
        self.daemon = Daemon::Connected;
    }

    pub(super) fn handle_daemon_gone(&mut self, now: Instant) {
        self.daemon = Daemon::GoneSince(now);
    }

    pub(super) fn keep(&mut self, id: u64, held: Held<S>) {
        self.sessions.insert(id, held);
    }

    pub(super) fn forget(&mut self, id: u64) {
        self.sessions.remove(&id);
    }

    /// The daemon may speak of a session that closed meanwhile: nothing to do then.
    pub(super) fn set_clean(&mut self, id: u64, clean: bool) {
        if let Some(held) = self.sessions.get_mut(&id) {
            held.clean = clean;
        }
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = (u64, &Held<S>)> {
        self.sessions.iter().map(|(id, held)| (*id, held))
    }

    /// When to close everything and exit, unless a daemon comes first. None while one is connected.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let Daemon::GoneSince(gone) = self.daemon else { return None };
        let shortest = self.sessions.values().map(Held::patience).min();
        Some(gone + shortest.unwrap_or(IDLE))
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }
}

impl<S> Held<S> {
    fn patience(&self) -> Duration {
        let hold = if self.hold.is_zero() { NO_HOLD_TIME } else { self.hold };
        hold.saturating_sub(MARGIN)
    }
}
