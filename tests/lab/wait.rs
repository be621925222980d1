//! Waiting for the world: polling with a deadline.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{LabError, Result};

/// How long a test waits for something that normally takes a second or two.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Tries `check` until it succeeds, and returns its value.
///
/// # Errors
/// [`LabError::Timeout`] with what the last attempt said, once `timeout` has passed.
pub fn eventually<T>(timeout: Duration, mut check: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match check() {
            Ok(value) => return Ok(value),
            Err(
                hopeless @ (LabError::Ended { .. }
                | LabError::Missing(_)
                | LabError::Machine { .. }),
            ) => {
                return Err(hopeless);
            }
            Err(last) if Instant::now() >= deadline => {
                return Err(LabError::Timeout {
                    seconds: timeout.as_secs_f32(),
                    last: Box::new(last),
                });
            }
            Err(_) => sleep(POLL_INTERVAL),
        }
    }
}

/// Repeats `check` for as long as `duration` and fails at its first failure: for what must stay as it is.
///
/// # Errors
/// The first failure of `check`.
pub fn steadily(duration: Duration, mut check: impl FnMut() -> Result) -> Result {
    let deadline = Instant::now() + duration;
    while Instant::now() < deadline {
        check()?;
        sleep(POLL_INTERVAL);
    }
    check()
}

const POLL_INTERVAL: Duration = Duration::from_millis(50);
