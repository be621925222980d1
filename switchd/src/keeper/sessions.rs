//! The keeper as the BGP engine sees it: sessions in, sessions out, and never a reason to stop.

use std::os::fd::BorrowedFd;

use bgp::net::SessionKeeper;
use bgp::speaker::SavedSession;

use super::{Keeper, KeeperError, KeptSession};

impl SessionKeeper for Keeper {
    fn keep(&mut self, key: u64, session: &SavedSession, socket: BorrowedFd<'_>) {
        let outcome = Self::keep(self, key, &session.encode(), session.hold_time(), socket);
        report(outcome);
    }

    fn set_clean(&mut self, key: u64, clean: bool) {
        report(Self::set_clean(self, key, clean));
    }

    fn forget(&mut self, key: u64) {
        report(Self::forget(self, key));
    }
}

impl From<KeptSession> for bgp::net::KeptSession {
    fn from(kept: KeptSession) -> Self {
        Self { key: kept.id, state: kept.state, clean: kept.clean, socket: kept.socket }
    }
}

fn report(outcome: Result<(), KeeperError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "BGP sessions will not survive a crash of this daemon");
    }
}
