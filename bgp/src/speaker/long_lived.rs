//! Long-lived graceful restart (RFC 9494): routes of a peer that did not come back within its restart time are kept for
//! much longer, as the last choice of everybody who is told of them.
//!
//! It begins where graceful restart ends: when the restart time is over without a session. It ends, family by family,
//! with the peer's End-of-RIB, with its time, or with a session in which the peer says that it forwards no more.

use std::time::{Duration, Instant};

use super::Speaker;
use crate::rib::peers::Source;
use crate::session::negotiate::Negotiated;
use crate::types::AfiSafi;
use crate::wire::FamilySet;

impl Speaker {
    /// The session is gone: notes how long the peer's routes may outlive its restart time.
    pub(super) fn note_long_lived_times(
        &mut self,
        index: u32,
        negotiated: &Negotiated,
        keep: bool,
    ) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        neighbor.long_lived_times.clear();
        if !keep {
            neighbor.long_lived.clear();
            return;
        }
        let families = negotiated.long_lived.iter().flatten().filter(|entry| entry.time > 0);
        let times =
            families.map(|entry| (entry.family, Duration::from_secs(u64::from(entry.time))));
        neighbor.long_lived_times.extend(times);
    }

    /// Whether stale paths of a family are kept beyond the restart time already.
    pub(super) fn is_long_lived(&self, index: u32, family: AfiSafi) -> bool {
        let neighbor = self.neighbors.get(index as usize).and_then(Option::as_ref);
        neighbor.is_some_and(|neighbor| neighbor.long_lived.iter().any(|(of, _)| *of == family))
    }

    /// The restart time is over. Returns whether the stale paths of the family stay: the peer is away, and both sides
    /// want it so.
    pub(super) fn begin_long_lived(&mut self, index: u32, family: AfiSafi, now: Instant) -> bool {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return false };
        let mut times = neighbor.long_lived_times.iter();
        let Some((_, time)) = times.find(|(of, _)| *of == family) else { return false };
        if neighbor.session.established().is_some() {
            return false;
        }
        if !neighbor.long_lived.iter().any(|(of, _)| *of == family) {
            neighbor.long_lived.push((family, now + *time));
        }
        tracing::warn!(
            neighbor = %neighbor.config.address, %family, seconds = time.as_secs(),
            "peer is not back: its routes are the last choice now"
        );
        if let Some(table) = self.tables.get_mut(family) {
            table.begin_long_lived(Source::neighbor(index), &self.peers, &mut self.interner);
        }
        true
    }

    /// The peer is back: what it did not keep forwarding goes now, the rest at its End-of-RIB.
    pub(super) fn keep_forwarding_long_lived(&mut self, index: u32, negotiated: &Negotiated) {
        let entries = negotiated.long_lived.iter().flatten().filter(|entry| entry.forwarding);
        let kept: FamilySet = entries.map(|entry| entry.family).collect();
        let kept = kept.intersection(negotiated.families);
        self.end_long_lived(index, |family, _| !kept.contains(family));
    }

    /// The peer has sent all its routes of a family.
    pub(super) fn drop_unconfirmed_long_lived(&mut self, index: u32, family: AfiSafi) {
        self.end_long_lived(index, |of, _| of == family);
    }

    pub(super) fn expire_long_lived(&mut self, index: u32, now: Instant) {
        self.end_long_lived(index, |_, until| until <= now);
    }

    fn end_long_lived(&mut self, index: u32, ends: impl Fn(AfiSafi, Instant) -> bool) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let ended: Vec<AfiSafi> = neighbor
            .long_lived
            .extract_if(.., |(family, until)| ends(*family, *until))
            .map(|(family, _)| family)
            .collect();
        for family in ended {
            self.flush_stale(index, family);
        }
    }
}
