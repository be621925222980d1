//! Sessions that outlive this process: what the driver tells whoever keeps their sockets, and takes back from it.

use std::fmt;
use std::net::{Shutdown, TcpStream as StdTcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;

use crate::speaker::SavedSession;

/// Holds duplicates of the sockets of Established sessions, in another process. None of this may block, and none of it
/// can fail for the session: whoever keeps does it as well as it can.
pub trait SessionKeeper: fmt::Debug + Send {
    /// A session is up. It is clean.
    fn keep(&mut self, key: u64, session: &SavedSession, socket: BorrowedFd<'_>);
    /// Whether what we wrote and read so far ends with whole messages. May come for keys that were never kept.
    fn set_clean(&mut self, key: u64, clean: bool);
    /// The session is over. May come for keys that were never kept.
    fn forget(&mut self, key: u64);
}

/// What a keeper gives back to the next process.
#[derive(Debug)]
pub struct KeptSession {
    /// The key it was kept under.
    pub key: u64,
    /// [`SavedSession::encode`].
    pub state: Vec<u8>,
    /// What [`SessionKeeper::set_clean`] said last.
    pub clean: bool,
    /// The connection.
    pub socket: OwnedFd,
}

/// The keeper, for the driver and the writers of all connections.
#[derive(Debug, Clone)]
pub(super) struct SharedKeeper(Arc<Mutex<Box<dyn SessionKeeper>>>);

impl SharedKeeper {
    pub(super) fn new(keeper: Box<dyn SessionKeeper>) -> Self {
        Self(Arc::new(Mutex::new(keeper)))
    }

    pub(super) fn entry(&self, key: u64) -> Kept {
        Kept { keeper: self.clone(), key, unclean: Arc::default() }
    }

    fn with(&self, act: impl FnOnce(&mut dyn SessionKeeper)) {
        // Nothing of ours panics while it holds the lock, and a keeper's own state is its business.
        let mut keeper = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(keeper.as_mut());
    }
}

/// One connection's place at the keeper.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    keeper: SharedKeeper,
    key: u64,
    /// Directions that stand within a message.
    unclean: Arc<AtomicU8>,
}

/// Which half of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    Reading = 1,
    Writing = 2,
}

impl Kept {
    pub(super) fn keep(&self, session: &SavedSession, stream: &TcpStream) {
        self.keeper.with(|keeper| keeper.keep(self.key, session, stream.as_fd()));
    }

    /// Whether this half of the connection stands between two messages. The session is clean if both do.
    pub(super) fn set_clean(&self, direction: Direction, clean: bool) {
        let bit = direction as u8;
        self.keeper.with(|keeper| {
            let before = self.unclean.load(Ordering::Relaxed);
            let after = if clean { before & !bit } else { before | bit };
            self.unclean.store(after, Ordering::Relaxed);
            if (before == 0) != (after == 0) {
                keeper.set_clean(self.key, after == 0);
            }
        });
    }

    pub(super) fn forget(&self) {
        self.keeper.with(|keeper| keeper.forget(self.key));
    }
}

/// The connection of a session that can be gone on with, ready for tokio.
pub(super) fn revive(socket: StdTcpStream) -> std::io::Result<TcpStream> {
    socket.set_nonblocking(true)?;
    TcpStream::from_std(socket)
}

/// Ends a connection although the keeper has not let go of it yet.
pub(super) fn end(socket: &StdTcpStream) {
    if let Err(error) = socket.shutdown(Shutdown::Both) {
        tracing::debug!(%error, "a kept connection had ended already");
    }
}
