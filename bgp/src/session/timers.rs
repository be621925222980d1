//! Deadlines of a session: jitter, back-off and liveness. Nothing here reads a clock; jitter comes from a seed, so
//! that a test sees the same times twice.

use std::time::{Duration, Instant};

/// Hold time until the peer's OPEN has told us a better one (RFC 4271 §8.2.2 suggests four minutes).
pub(crate) const LARGE_HOLD_TIME: Duration = Duration::from_secs(240);
/// Wait before the first new attempt after a session that ended without an error.
pub(crate) const RECONNECT: Duration = Duration::from_secs(1);

/// Numbers that need not be secret, only different from one session to the next (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Anything from `low` to `high`.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let per_mille = u32::try_from(self.next() % 1001).unwrap_or(1000);
        low + high.saturating_sub(low) * per_mille / 1000
    }

    /// 75 to 100 per cent of `full` (RFC 4271 §10).
    pub(crate) fn apply(&mut self, full: Duration) -> Duration {
        self.apply_up_to(1000, full)
    }

    /// 75 per cent of `full` to this part of it, in thousandths.
    pub(crate) fn apply_up_to(&mut self, most: u32, full: Duration) -> Duration {
        let range = u64::from(most.saturating_sub(750)) + 1;
        let per_mille = u32::try_from(750 + self.next() % range).unwrap_or(most);
        full * per_mille / 1000
    }
}

/// How long a session that failed stays idle: doubles with each failure, forgotten once a session has lasted
/// (RFC 4271 §8.1.1, DampPeerOscillations).
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const LAST: Duration = Duration::from_secs(60);
    /// A session that was up this long has proven itself.
    const PROVEN: Duration = Duration::from_secs(30);

    pub(crate) fn next(&mut self) -> Duration {
        let hold = Self::FIRST * (1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        hold.min(Self::LAST)
    }

    pub(crate) fn session_lasted(&mut self, duration: Duration) {
        if duration >= Self::PROVEN {
            self.failures = 0;
        }
    }
}

/// Hold, keepalive and send-hold timers of a connection whose hold time is agreed. A hold time of zero means none.
#[derive(Debug, Clone)]
pub(crate) struct Liveness {
    hold: Duration,
    /// Between KEEPALIVEs, at most.
    interval: Duration,
    hold_until: Option<Instant>,
    keepalive_at: Option<Instant>,
    /// Since when a KEEPALIVE waits that the transport did not take.
    stalled_since: Option<Instant>,
}

/// What a due liveness timer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    SendKeepalive,
    HoldTimerExpired,
    /// RFC 9687: the peer has not read for so long that it must be stuck.
    SendHoldTimerExpired,
}

impl Liveness {
    /// RFC 9687 §3.1: the larger of eight minutes and twice the hold time.
    const SEND_HOLD_MINIMUM: Duration = Duration::from_secs(480);

    /// `keepalive`: at most so long between KEEPALIVEs, if that is less than a third of the hold time.
    pub(crate) fn new(
        hold_time: u16,
        keepalive: Option<Duration>,
        now: Instant,
        jitter: &mut Jitter,
    ) -> Self {
        let hold = Duration::from_secs(u64::from(hold_time));
        let interval = keepalive_interval(hold, keepalive);
        let active = hold_time > 0;
        Self {
            hold,
            interval,
            hold_until: active.then(|| now + hold),
            keepalive_at: active.then(|| now + jitter.apply(interval)),
            stalled_since: None,
        }
    }

    /// Another interval: the next KEEPALIVE is not later than it says.
    pub(crate) fn set_keepalive(
        &mut self,
        keepalive: Option<Duration>,
        now: Instant,
        jitter: &mut Jitter,
    ) {
        self.interval = keepalive_interval(self.hold, keepalive);
        if let Some(at) = &mut self.keepalive_at {
            *at = (*at).min(now + jitter.apply(self.interval));
        }
    }

    /// Anything the peer says proves that it lives.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Some(until) = &mut self.hold_until {
            *until = now + self.hold;
        }
    }

    /// At most one timer that is due; `waiting` tells whether the last KEEPALIVE still waits for the transport.
    pub(crate) fn due(&mut self, now: Instant, waiting: bool, jitter: &mut Jitter) -> Option<Due> {
        if self.hold_until.is_some_and(|until| until <= now) {
            return Some(Due::HoldTimerExpired);
        }
        if self.keepalive_at.is_none_or(|at| at > now) {
            return None;
        }
        self.keepalive_at = Some(now + jitter.apply(self.interval));
        if !waiting {
            self.stalled_since = None;
            return Some(Due::SendKeepalive);
        }
        let since = *self.stalled_since.get_or_insert(now);
        let limit = Self::SEND_HOLD_MINIMUM.max(self.hold * 2);
        (now.duration_since(since) >= limit).then_some(Due::SendHoldTimerExpired)
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        [self.hold_until, self.keepalive_at].into_iter().flatten().min()
    }
}

/// A third of the hold time (RFC 4271 §4.4), or less if so configured.
pub(crate) fn keepalive_interval(hold: Duration, configured: Option<Duration>) -> Duration {
    configured.map_or(hold / 3, |configured| configured.min(hold / 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_between_three_quarters_and_the_whole() {
        let mut jitter = Jitter::new(1);
        for _ in 0..1000 {
            let got = jitter.apply(Duration::from_secs(100));
            assert!((75..=100).contains(&got.as_secs()), "{got:?}");
        }
    }

    #[test]
    fn back_off_doubles_to_a_minute_and_is_forgotten_after_a_session_that_lasted() {
        let mut backoff = Backoff::default();
        let seconds: Vec<u64> = (0..8).map(|_| backoff.next().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.session_lasted(Duration::from_secs(5));
        assert_eq!(backoff.next().as_secs(), 60);
        backoff.session_lasted(Duration::from_secs(30));
        assert_eq!(backoff.next().as_secs(), 1);
    }

    #[test]
    fn a_hold_time_of_zero_starts_no_timer() {
        let now = test_clock();
        let mut jitter = Jitter::new(1);
        let mut liveness = Liveness::new(0, None, now, &mut jitter);
        liveness.heard(now);
        assert_eq!(liveness.next_timeout(), None);
        assert_eq!(liveness.due(now + Duration::from_secs(1_000_000), false, &mut jitter), None);
    }

    #[test]
    fn a_peer_that_never_reads_is_given_up_after_eight_minutes() {
        let start = test_clock();
        let mut jitter = Jitter::new(1);
        let mut liveness = Liveness::new(90, None, start, &mut jitter);
        let mut now = start;
        let given_up = loop {
            now += Duration::from_secs(1);
            liveness.heard(now);
            match liveness.due(now, true, &mut jitter) {
                Some(Due::SendHoldTimerExpired) => break now,
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        };
        let after = given_up.duration_since(start).as_secs();
        assert!((480..=540).contains(&after), "{after}");
    }

    #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
    fn test_clock() -> Instant {
        Instant::now()
    }
}
