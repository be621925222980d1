//! What the speaker keeps for each neighbour beside its session.

use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::NeighborConfig;
use super::max_prefix::LimitLog;
use super::mrai::Mrai;
use crate::bfd::SessionState;
use crate::rib::import::Imports;
use crate::session::Session;
use crate::session::timers::Jitter;
use crate::types::AfiSafi;
use crate::wire::FamilySet;

#[derive(Debug)]
pub(super) struct Neighbor {
    pub(super) config: NeighborConfig,
    pub(super) session: Session,
    /// It connected from this prefix, and is forgotten when its session is over.
    pub(super) range: Option<IpNet>,
    /// What policy makes of its routes, in this session.
    pub(super) imports: Imports,
    /// Families with routes from before their import policy changed, which cannot be had again.
    pub(super) needs_reset: FamilySet,
    /// Paths from before its restart.
    pub(super) retained: Option<Retained>,
    /// Families whose stale paths may outlive its restart, and for how long after that.
    pub(super) long_lived_times: Vec<(AfiSafi, Duration)>,
    /// Families whose stale paths have outlived it, and until when.
    pub(super) long_lived: Vec<(AfiSafi, Instant)>,
    /// Families of which it has sent all it has, in this session.
    pub(super) complete: FamilySet,
    /// What a resumed session still has to be told.
    pub(super) asked: Asked,
    /// The family of which it had more routes than it may; so its session is down.
    pub(super) over_limit: Option<AfiSafi>,
    pub(super) limit_log: LimitLog,
    /// When it may be told of changes.
    pub(super) mrai: Mrai,
    /// Where its BFD session stands, if there is one.
    pub(super) bfd: Option<SessionState>,
    /// Its session is about to go, or rather stays: what the configuration said last, or the operator (RFC 8326).
    pub(super) graceful_shutdown: bool,
    pub(super) counters: Counters,
}

/// Stale paths, waiting for the neighbour to confirm them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retained {
    pub(super) families: FamilySet,
    pub(super) until: Instant,
}

/// Families of a resumed session whose routes the neighbour was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// It has not sent all of them yet.
    pub(super) families: FamilySet,
    /// It has begun to. An end without this is the end of what our predecessor had asked for, and read half of.
    pub(super) begun: FamilySet,
}

/// Messages since the neighbour was added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) updates_received: u64,
    pub(super) treated_as_withdraw: u64,
    pub(super) established: u64,
}

/// A connection's neighbour, and the beginning of a message whose rest has not come yet.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) neighbor: u32,
    pub(super) rest: Vec<u8>,
}

impl Neighbor {
    pub(super) fn new(config: NeighborConfig, session: Session, jitter: Jitter) -> Self {
        Self {
            mrai: Mrai::new(config.advertisement_interval, jitter),
            graceful_shutdown: config.graceful_shutdown,
            config,
            session,
            range: None,
            imports: Imports::default(),
            needs_reset: FamilySet::EMPTY,
            retained: None,
            long_lived_times: Vec::new(),
            long_lived: Vec::new(),
            complete: FamilySet::EMPTY,
            asked: Asked::default(),
            over_limit: None,
            limit_log: LimitLog::default(),
            bfd: None,
            counters: Counters::default(),
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let retained = self.retained.map(|retained| retained.until);
        let long_lived = self.long_lived.iter().map(|(_, until)| *until).min();
        [self.session.next_timeout(), retained, long_lived, self.mrai.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }
}
