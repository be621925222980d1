//! BFD beside switchd: a small process of its own that goes on while switchd restarts.
//!
//! A session at 3 x 300 ms does not survive a restart of the daemon, and to tell the peer AdminDown first does not help:
//! FRR's bfdd takes that for a failure (8.4.4 and later, by its pull request 20151). So `switchd bfd`, like the keeper,
//! is another process: it has the sockets and the clock ([`bgp::net::bfd`]), serves one daemon at a time, and sends on
//! when that is gone, for as long as the keeper holds the BGP sessions. So its C bit is set, and true: BFD does not share
//! the fate of the control plane. It also keeps its times while the daemon reads a full table.
//!
//! The daemon says which sessions it wants; the process says what they are. What failed while no daemon was there is told
//! to the next one. Sessions that it does not ask for soon are ended with AdminDown, and so are all when nobody comes.

mod client;
mod protocol;
mod server;

use std::net::IpAddr;
use std::time::Duration;

pub use client::{Client, Table};
pub use server::run;

use bgp::bfd::SessionView;

/// A session, for people.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// What the engine knows of it.
    pub session: SessionView,
    /// Our end.
    pub local: IpAddr,
    /// When its state changed, since 1970.
    pub since: Duration,
}
