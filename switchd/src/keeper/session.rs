//! The keeper as `bgp::net` knows it.

use std::os::fd::BorrowedFd;
use std::path::Path;

use bgp::net::SessionKeeper;
use bgp::speaker::SavedSession;

use super::{Keeper, KeeperError};

/// Hands the sockets of BGP sessions to the keeper process.
#[derive(Debug)]
pub struct SocketKeeper(Keeper);

impl SocketKeeper {
    /// As [`Keeper::connect_or_start`], with the sessions in the engine's terms.
    ///
    /// # Errors
    /// There is no keeper and none can be started.
    pub fn connect_or_start(
        path: &Path,
        program: &Path,
    ) -> Result<(Self, Vec<bgp::net::KeptSession>), KeeperError> {
        let (keeper, sessions) = Keeper::connect_or_start(path, program)?;
        let sessions = sessions
            .into_iter()
            .map(|kept| bgp::net::KeptSession {
                key: kept.id,
                state: kept.state,
                clean: kept.clean,
                socket: kept.socket,
            })
            .collect();
        Ok((Self(keeper), sessions))
    }
}

impl SessionKeeper for SocketKeeper {
    fn keep(&mut self, key: u64, session: &SavedSession, socket: BorrowedFd<'_>) {
        report(self.0.keep(key, &session.encode(), session.hold_time(), socket));
    }

    fn set_clean(&mut self, key: u64, clean: bool) {
        report(self.0.set_clean(key, clean));
    }

    fn forget(&mut self, key: u64) {
        report(self.0.forget(key));
    }
}

/// The session itself has lost nothing.
fn report(outcome: Result<(), KeeperError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "if switchd is killed now, its BGP sessions end");
    }
}
