//! What host and machine say to each other over the serial port: one JSON object a line.
//!
//! Files carry the bulk: outputs are written where the host can read them, in the lab's directory, which both sides see
//! at the same path.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// From the host.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Start a program. Answered by [`Reply::Started`] and later [`Reply::Ended`], or by [`Reply::Refused`].
    Run {
        /// Chosen by the host, never used twice.
        id: u64,
        /// A named network namespace of the machine; without one, the machine's own.
        netns: Option<String>,
        /// Program and arguments.
        words: Vec<String>,
        /// Where standard output is appended.
        stdout: PathBuf,
        /// Where standard error is appended; may be the same file.
        stderr: PathBuf,
    },
    /// Send a signal to a program that was started. One that has ended meanwhile is not an error.
    Signal {
        /// The program.
        id: u64,
        /// The signal's number.
        signal: i32,
    },
}

/// From the machine.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It is up.
    Ready {
        /// Seconds since the kernel started.
        uptime: f32,
    },
    /// A program runs.
    Started {
        /// The program.
        id: u64,
        /// Its process id in the machine.
        pid: u32,
    },
    /// A program could not be started.
    Refused {
        /// The program.
        id: u64,
        /// Why.
        error: String,
    },
    /// A program has ended, and its output is written.
    Ended {
        /// The program.
        id: u64,
        /// As `waitpid` returns it.
        status: i32,
    },
    /// The kernel said something that no healthy kernel says.
    Complaint {
        /// Its words.
        text: String,
    },
}

/// Whether this line of a kernel log means that something is broken. Levels do not tell: a WARN is only a warning.
pub fn is_complaint(line: &str) -> bool {
    COMPLAINTS.iter().any(|words| line.contains(words))
}

const COMPLAINTS: [&str; 10] = [
    "BUG:",
    "Oops:",
    "WARNING: CPU",
    "general protection fault",
    "Kernel panic",
    "INFO: task",
    "self-detected stall",
    "unregister_netdevice: waiting",
    "refcount_t:",
    "kernel BUG at",
];
