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

mod channel;
mod client;
mod holdings;
mod protocol;
mod server;
mod sessions;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use client::{Keeper, KeptSession};
pub use protocol::{MAX_STATE, ProtocolError};
pub use server::run;

/// What can go wrong between the daemon and its keeper.
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
    /// Another process is already the keeper of this path.
    #[error("another keeper listens on {}", .0.display())]
    Running(PathBuf),
    /// The daemon cannot reach the keeper's socket.
    #[error("cannot connect to the keeper at {}: {source}", path.display())]
    Connect {
        /// The socket's path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The keeper process cannot be started.
    #[error("cannot start {} as keeper: {source}", program.display())]
    Start {
        /// The program that was to be the keeper.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process at the other end of the socket belongs to another user.
    #[error("the other end of the keeper's socket belongs to user {0}")]
    Stranger(u32),
    /// The other end says what this version does not understand.
    #[error("keeper protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The connection failed. Reported once: the daemon goes on without a keeper.
    #[error("lost the keeper: {0}")]
    Lost(io::Error),
    /// An operating system call failed in the keeper itself.
    #[error("keeper: {0}")]
    System(io::Error),
}
