//! How many routes a neighbour may have here, and what happens beyond (RFC 4486 §4; FRR's `maximum-prefix`).
//!
//! Paths count that passed all checks and are kept. The table looks after each route that it takes, so a neighbour that
//! announces ten million routes costs the memory of its limit, and the rest of the UPDATE is not read.

use std::time::{Duration, Instant};

use super::Speaker;
use crate::rib::ingress::Refusal;
use crate::rib::peers::Source;
use crate::types::AfiSafi;
use crate::wire::FamilySet;

/// The limit of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaximumPrefix {
    /// Which family.
    pub family: AfiSafi,
    /// Most paths; at least 1.
    pub limit: u32,
    /// Per cent of the limit from which on a warning stands in the log, 1 to 100.
    pub warning: u8,
    /// What happens beyond the limit.
    pub action: LimitAction,
}

/// What happens when a neighbour has more routes than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitAction {
    /// The session ends until the operator resets it.
    Teardown,
    /// The session ends for this long.
    Restart(Duration),
    /// The log says so, and all routes are taken.
    WarningOnly,
}

/// Families of a neighbour whose state against the limit was logged: once each time that it changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LimitLog {
    near: FamilySet,
    beyond: FamilySet,
}

impl MaximumPrefix {
    /// Where the table stops.
    pub(super) const fn hard_limit(&self) -> Option<u32> {
        match self.action {
            LimitAction::Teardown | LimitAction::Restart(_) => Some(self.limit),
            LimitAction::WarningOnly => None,
        }
    }
}

impl Speaker {
    /// Tells the tables how much they may take from a neighbour.
    pub(super) fn set_limits(&mut self, index: u32) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        neighbor.over_limit = None;
        neighbor.limit_log = LimitLog::default();
        for family in FamilySet::ALL.iter() {
            let mut limits = neighbor.config.maximum_prefix.iter();
            let limit = limits.find(|maximum| maximum.family == family);
            if let Some(table) = self.tables.get_mut(family) {
                table.set_limit(index, limit.and_then(MaximumPrefix::hard_limit));
            }
        }
    }

    /// Logs what has come near the limit or gone beyond it.
    pub(super) fn check_limits(&mut self, index: u32) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        for maximum in &neighbor.config.maximum_prefix {
            let MaximumPrefix { family, limit, warning, .. } = *maximum;
            let received = self.tables.get(family).map_or(0, |table| table.received(index));
            let address = neighbor.config.address;
            let near = received as u64 * 100 >= u64::from(limit) * u64::from(warning);
            if became(&mut neighbor.limit_log.near, family, near) {
                tracing::warn!(neighbor = %address, %family, received, limit, "close to the maximum number of prefixes");
            }
            if became(&mut neighbor.limit_log.beyond, family, received as u64 > u64::from(limit)) {
                tracing::warn!(neighbor = %address, %family, received, limit, "more than the maximum number of prefixes");
            }
        }
    }

    /// The limits or the import policies of a neighbour are other ones: if it has more than it may, its session ends as
    /// for one announcement too many.
    pub(super) fn enforce_limits(&mut self, index: u32, now: Instant) {
        self.check_limits(index);
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        let session = &neighbor.session;
        let Some(connection) = session.established_connection() else { return };
        let Some((negotiated, ..)) = session.established() else { return };
        let hard = negotiated.notification_restart;
        let refusal = neighbor.config.maximum_prefix.iter().find_map(|maximum| {
            let (family, limit) = (maximum.family, maximum.hard_limit()? as usize);
            let table = self.tables.get_mut(family)?;
            let beyond = table.is_beyond_limit(Source::neighbor(index), &self.peers);
            beyond.then_some(Refusal::TooMany { family, limit })
        });
        if let Some(refusal) = refusal {
            self.end_session(index, connection, refusal, hard, now);
        }
    }

    /// A neighbour went beyond a limit that ends the session: until when it rests; `None` inside until the operator
    /// resets it.
    pub(super) fn note_over_limit(
        &mut self,
        index: u32,
        family: AfiSafi,
        now: Instant,
    ) -> Option<Instant> {
        let neighbor = self.neighbors.get_mut(index as usize)?.as_mut()?;
        neighbor.over_limit = Some(family);
        let mut limits = neighbor.config.maximum_prefix.iter();
        let maximum = limits.find(|maximum| maximum.family == family)?;
        tracing::warn!(
            neighbor = %neighbor.config.address, %family, limit = maximum.limit,
            "more than the maximum number of prefixes: session ends"
        );
        match maximum.action {
            LimitAction::Restart(after) => Some(now + after),
            LimitAction::Teardown | LimitAction::WarningOnly => None,
        }
    }
}

/// Notes whether something holds for a family; tells whether it did not before.
fn became(noted: &mut FamilySet, family: AfiSafi, holds: bool) -> bool {
    let before = noted.contains(family);
    if holds {
        noted.insert(family);
    } else {
        noted.remove(family);
    }
    holds && !before
}
