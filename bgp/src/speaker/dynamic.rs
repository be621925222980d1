//! Neighbours that nobody names: whoever connects from a prefix, for as long as its session lasts.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ipnet::IpNet;

use super::change::Adapted;
use super::{NeighborChange, NeighborConfig, NeighborId, Speaker};
use crate::wire::CeaseReason;

/// A prefix whose inhabitants may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenRange {
    /// From where.
    pub prefix: IpNet,
    /// So many at a time; who comes then is refused.
    pub limit: usize,
    /// What each of them is. Its address is not looked at.
    pub template: NeighborConfig,
}

impl ListenRange {
    /// Whoever connects from there.
    fn inhabitant(&self, address: IpAddr) -> NeighborConfig {
        NeighborConfig { address, passive: true, ..self.template.clone() }
    }
}

impl Speaker {
    /// Makes these the prefixes from which neighbours may come. Those from a prefix that goes lose their sessions, and those
    /// that are to be different if that needs a new one. Returns what happened to the prefixes that are not as they were.
    pub fn set_ranges(
        &mut self,
        wanted: Vec<ListenRange>,
        now: Instant,
    ) -> Vec<(IpNet, NeighborChange)> {
        let known = std::mem::take(&mut self.ranges);
        let gone = known.iter().filter(|range| !wanted.contains(range));
        let new = wanted.iter().filter(|range| !known.contains(range));
        let mut changed: Vec<IpNet> = gone.chain(new).map(|range| range.prefix).collect();
        changed.sort();
        changed.dedup();
        self.ranges = wanted;
        let mut changes = Vec::with_capacity(changed.len());
        for prefix in &changed {
            changes.push((*prefix, self.adapt_all_of(*prefix, &known, now)));
            let signs = |range: &&ListenRange| range.prefix == *prefix;
            let auth_of = |ranges: &[ListenRange]| {
                ranges.iter().find(signs).and_then(|range| range.template.auth.clone())
            };
            let (before, after) = (auth_of(&known), auth_of(&self.ranges));
            if before != after {
                self.authenticate_from(*prefix, after, Vec::new());
            }
        }
        changes
    }

    /// The narrowest prefix that this address is in.
    pub(super) fn range_of(&self, remote: SocketAddr) -> Option<&ListenRange> {
        let address = remote.ip().to_canonical();
        let ranges = self.ranges.iter().filter(|range| range.prefix.contains(&address));
        ranges.max_by_key(|range| range.prefix.prefix_len())
    }

    /// Makes whoever connects from there a neighbour, if it may be one.
    pub(super) fn admit(&mut self, remote: SocketAddr, now: Instant) -> Option<u32> {
        let range = self.range_of(remote)?;
        let (prefix, limit) = (range.prefix, range.limit);
        let config = range.inhabitant(remote.ip().to_canonical());
        let neighbors = self.neighbors.iter().flatten();
        if neighbors.filter(|neighbor| neighbor.range == Some(prefix)).count() >= limit {
            tracing::warn!(%remote, %prefix, limit, "refused: the listen range has as many neighbors as it may");
            return None;
        }
        let NeighborId(index) = self.add_neighbor(config, now).ok()?;
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            neighbor.range = Some(prefix);
        }
        Some(index)
    }

    /// Forgets a neighbour of a range that has no connection any more, nor routes that are kept for its return.
    pub(super) fn dismiss_if_over(&mut self, index: u32, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let is_over = neighbor.range.is_some()
            && neighbor.retained.is_none()
            && !neighbor.session.has_connections();
        if is_over {
            self.dismiss(index, CeaseReason::PeerDeconfigured, now);
        }
    }

    /// Neighbours from this prefix become what it says now.
    fn adapt_all_of(
        &mut self,
        prefix: IpNet,
        known: &[ListenRange],
        now: Instant,
    ) -> NeighborChange {
        let was_there = known.iter().any(|range| range.prefix == prefix);
        let range = self.ranges.iter().find(|range| range.prefix == prefix).cloned();
        let Some(range) = range else {
            self.dismiss_all_of(prefix, now);
            return NeighborChange::Removed;
        };
        let mut change = if was_there { NeighborChange::Changed } else { NeighborChange::Added };
        for index in (0u32..).take(self.neighbors.len()) {
            let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { continue };
            if neighbor.range != Some(prefix) {
                continue;
            }
            let wanted = range.inhabitant(neighbor.config.address);
            if let Adapted::Not(_) = self.adapt_neighbor(NeighborId(index), wanted, now) {
                self.dismiss(index, CeaseReason::OtherConfigurationChange, now);
                change = NeighborChange::Reset;
            }
        }
        change
    }

    fn dismiss(&mut self, index: u32, reason: CeaseReason, now: Instant) {
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            neighbor.range = None;
            self.end_neighbor(NeighborId(index), reason, now);
        }
    }

    fn dismiss_all_of(&mut self, prefix: IpNet, now: Instant) {
        for index in 0..self.neighbors.len() {
            let Some(Some(neighbor)) = self.neighbors.get(index) else { continue };
            let Ok(id) = u32::try_from(index) else { break };
            if neighbor.range == Some(prefix) {
                self.dismiss(id, CeaseReason::OtherConfigurationChange, now);
            }
        }
    }
}
