//! When to look at what again. Pure bookkeeping: keys and times in, keys out.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use platform::kernel::Key;

/// Waits before an entry without its flag is looked at for the first, second, ... time. A driver programs in the
/// background, within milliseconds when idle and within a few seconds behind a burst.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
];

/// How many looks an entry gets before it counts as left out.
pub(super) const LAST_LOOK: u8 = 4;

/// Entries that wait to be looked at. Within one stage all wait equally long, so each queue is in the order of time.
#[derive(Debug, Default)]
pub(super) struct Looks([VecDeque<(Instant, Key)>; LOOKS.len()]);

impl Looks {
    /// Looks at `key` for the `look`th time (0 is the first) in a while.
    pub(super) fn add(&mut self, key: Key, look: u8, now: Instant) {
        let look = usize::from(look);
        if let (Some(queue), Some(wait)) = (self.0.get_mut(look), LOOKS.get(look)) {
            queue.push_back((now + *wait, key));
        }
    }

    /// Takes up to `most` keys whose time has come, each with the number of the look.
    pub(super) fn take_due(&mut self, most: usize, now: Instant) -> Vec<(Key, u8)> {
        let mut due = Vec::new();
        for (queue, look) in self.0.iter_mut().zip(0..) {
            while due.len() < most && queue.front().is_some_and(|(at, _)| *at <= now) {
                due.extend(queue.pop_front().map(|(_, key)| (key, look)));
            }
        }
        due
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().filter_map(|queue| queue.front()).map(|(at, _)| *at).min()
    }
}

/// Waits between two attempts to get left-out entries into hardware, while nothing says that there is room.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// While they succeed.
const RETRY_NEXT: Duration = Duration::from_millis(200);
const RETRY_MOST: usize = 512;
/// All entries have their turn within so many attempts, if there are not too many.
const ATTEMPTS_FOR_ALL: usize = 8;

/// Entries that the hardware did not take, in the order in which they came or were last tried, and when to try the first of
/// them again.
///
/// An eighth of them goes first. If the hardware takes one, more follow at once, and still more; if not, the next attempt
/// waits twice as long, and is others': some that can never fit (tables that hash have such) do not stand in the way of all.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    queue: BTreeMap<u64, Key>,
    places: HashMap<Key, u64>,
    last: u64,
    attempt: Option<Attempt>,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    at: Instant,
    wait: Duration,
    size: usize,
}

impl LeftOut {
    pub(super) fn has(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    /// The hardware did not take it, or not when it was tried again.
    pub(super) fn add(&mut self, key: Key, now: Instant) {
        if !self.places.contains_key(&key) {
            self.append(key);
        }
        self.attempt.get_or_insert(Attempt { at: now + RETRY_FIRST, wait: RETRY_FIRST, size: 1 });
    }

    /// It is in hardware now.
    pub(super) fn taken(&mut self, key: &Key, now: Instant) {
        if self.remove(key)
            && let Some(attempt) = &mut self.attempt
        {
            attempt.at = attempt.at.min(now + RETRY_NEXT);
            attempt.wait = RETRY_FIRST;
            attempt.size = (attempt.size * 2).min(RETRY_MOST);
        }
        self.forget_attempt_if_empty();
    }

    /// It no longer exists.
    pub(super) fn gone(&mut self, key: &Key) {
        self.remove(key);
        self.forget_attempt_if_empty();
    }

    /// Something left the hardware: there may be room.
    pub(super) fn room(&mut self, now: Instant) {
        if let Some(attempt) = &mut self.attempt {
            attempt.at = attempt.at.min(now + RETRY_NEXT);
        }
    }

    /// The entries to try again now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Key> {
        let Some(attempt) = &mut self.attempt else { return Vec::new() };
        if attempt.at > now {
            return Vec::new();
        }
        attempt.at = now + attempt.wait;
        attempt.wait = (attempt.wait * 2).min(RETRY_LONGEST);
        let size = attempt.size.max(self.queue.len() / ATTEMPTS_FOR_ALL).min(RETRY_MOST);
        let keys: Vec<Key> = self.queue.values().take(size).copied().collect();
        attempt.size = 1;
        for key in &keys {
            self.remove(key);
            self.append(*key);
        }
        keys
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.attempt.map(|attempt| attempt.at)
    }

    fn forget_attempt_if_empty(&mut self) {
        if self.places.is_empty() {
            self.attempt = None;
        }
    }

    fn append(&mut self, key: Key) {
        self.last += 1;
        self.queue.insert(self.last, key);
        self.places.insert(key, self.last);
    }

    fn remove(&mut self, key: &Key) -> bool {
        // Mostly there is nothing, and then nothing to look up.
        !self.places.is_empty()
            && self.places.remove(key).is_some_and(|place| self.queue.remove(&place).is_some())
    }
}
