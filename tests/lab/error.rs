//! What can go wrong in a lab, said so that a failing test explains itself.

use std::fmt;

/// Result of a lab operation, and of a whole test.
pub type Result<T = ()> = std::result::Result<T, LabError>;

/// Why a test failed or could not run.
#[derive(thiserror::Error)]
pub enum LabError {
    /// The machine lacks something that the suite needs; never a reason to pass.
    #[error("cannot run: {0}. `cargo xtask check` sets everything up")]
    Missing(String),
    /// A command did not exit with 0.
    #[error("{node}: `{command}` failed ({status}): {stderr}")]
    Command {
        /// Where it ran.
        node: String,
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// A condition did not come true in time.
    #[error("not within {seconds} s: {last}")]
    Timeout {
        /// The deadline.
        seconds: f32,
        /// What the last attempt said.
        last: Box<Self>,
    },
    /// A daemon ended on its own; waiting longer is of no use.
    #[error("{name} ended with {status}: {said}")]
    Ended {
        /// Which one.
        name: String,
        /// How.
        status: std::process::ExitStatus,
        /// The last line of its log.
        said: String,
    },
    /// A machine did not boot, does not answer, or its kernel complains; trying again is of no use.
    #[error("{name}: {problem}")]
    Machine {
        /// Which one.
        name: String,
        /// What happened, with the kernel's own words if it said any.
        problem: String,
    },
    /// Something is not as the test wants it.
    #[error("{0}")]
    Unexpected(String),
    /// A file or a process could not be handled.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A signal could not be sent.
    #[error("signal: {0}")]
    Signal(#[from] nix::Error),
    /// A tool printed something that is not JSON.
    #[error("{what}: {error} in {text:?}")]
    Json {
        /// Which tool.
        what: String,
        /// The parser's complaint.
        error: serde_json::Error,
        /// What was printed.
        text: String,
    },
}

/// The test harness prints a returned error by `Debug`; people want to read the sentence.
impl fmt::Debug for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns from the function with [`LabError::Unexpected`] unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::LabError::Unexpected(format!($($message)+)));
        }
    };
}

/// As [`ensure!`](crate::ensure), for two values that must be equal; prints both.
#[macro_export]
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => $crate::ensure!(
                left == right,
                "{}\n  left:  {left:?}\n  right: {right:?}",
                format_args!($($message)+)
            ),
        }
    };
}
