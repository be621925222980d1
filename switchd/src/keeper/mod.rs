//! The keeper: a tiny process of its own that holds a duplicate of every Established BGP session's TCP socket.
//!
//! A peer that sees the TCP connection close drops its EVPN routes at once, whatever graceful restart promised
//! (FRR does). So the connection must not close: when the daemon dies, even by kill -9, the keeper still holds the
//! sockets, and the next daemon takes them back with what it needs to go on where the last one stopped.
//!
//! The keeper never reads from or writes to those sockets and knows nothing of BGP: the state beside a socket is
//! bytes to it. It serves one daemon at a time. Once the daemon is gone it waits for the shortest hold time among
//! its sessions, because after that a peer has given up by itself; then it closes everything and exits.
//!
//! Losing the keeper costs a daemon nothing but the next crash: the daemon holds its own descriptors.

pub(crate) mod channel;
pub(crate) mod client;
mod holdings;
mod protocol;
pub(crate) mod server;
mod sessions;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use client::{Keeper, KeptSession};
pub use protocol::{MAX_STATE, ProtocolError};
pub use server::run;

/// What can go wrong between the daemon and its keeper, or another process that outlives it.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The keeper cannot listen where it was told to.
    #[error("cannot listen on {}: {source}", path.display())]
    Listen {
        /// The socket's path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process listens on this path already.
    #[error("another process of switchd listens on {}", .0.display())]
    Running(PathBuf),
    /// The daemon cannot reach the process's socket.
    #[error("cannot connect to {}: {source}", path.display())]
    Connect {
        /// The socket's path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process cannot be started.
    #[error("cannot start {} {role}: {source}", program.display())]
    Start {
        /// What it was to be: `keeper` or `bfd`.
        role: &'static str,
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process at the other end of the socket belongs to another user.
    #[error("the other end of the socket belongs to user {0}")]
    Stranger(u32),
    /// The other end says what this version does not understand.
    #[error("keeper protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The connection failed. Reported once: the daemon goes on without a keeper.
    #[error("lost the keeper: {0}")]
    Lost(io::Error),
    /// BFD's ports are not to be had.
    #[error(
        "cannot listen on the UDP ports of BFD, 3784 and 4784: {0}; is another BFD daemon running, FRR's bfdd for example?"
    )]
    Ports(io::Error),
    /// An operating system call failed in the process itself.
    #[error("system call failed: {0}")]
    System(io::Error),
}
