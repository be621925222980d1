//! Neighbours that are added, removed or changed while all others go on.

use std::time::Instant;

use super::{NeighborConfig, NeighborError, NeighborId, Speaker};
use crate::wire::CeaseReason;

/// What became of a neighbour when it was told to be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighborChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its session goes on, by other rules.
    Changed,
    /// Its session had to end: what changed is said in an OPEN, or decides where it connects to.
    Reset,
}

impl Speaker {
    /// Makes these the neighbours. One that does not change is not touched; of one that does, the session ends only if it
    /// must. Returns, by name, what happened to which; nothing happens if one of them cannot be.
    ///
    /// # Errors
    /// A neighbour that cannot work, or two that are one.
    pub fn set_neighbors(
        &mut self,
        wanted: Vec<NeighborConfig>,
        now: Instant,
    ) -> Result<Vec<(String, NeighborChange)>, NeighborError> {
        for (place, config) in wanted.iter().enumerate() {
            self.check_neighbor(config)?;
            let twin = wanted.iter().take(place).find(|other| other.is_same_neighbor(config));
            if twin.is_some() {
                return Err(NeighborError::Duplicate(config.address));
            }
        }
        let mut changes = Vec::new();
        for (id, name) in self.without(&wanted) {
            self.remove_neighbor(id, now);
            changes.push((name, NeighborChange::Removed));
        }
        for config in wanted {
            let name = config.name();
            let change = match self.neighbor_like(&config) {
                None => self.add_neighbor(config, now).map(|_| Some(NeighborChange::Added))?,
                Some(id) => self.change_neighbor(id, config, now)?,
            };
            changes.extend(change.map(|change| (name, change)));
        }
        Ok(changes)
    }

    /// Neighbours that were told to exist and are not among these.
    fn without(&self, wanted: &[NeighborConfig]) -> Vec<(NeighborId, String)> {
        let neighbors = self.neighbors.iter().zip(0u32..);
        neighbors
            .filter_map(|(neighbor, index)| {
                let config = &neighbor.as_ref()?.config;
                let is_wanted = wanted.iter().any(|wanted| wanted.is_same_neighbor(config));
                let is_dynamic = neighbor.as_ref()?.range.is_some();
                // One that came by itself stays, unless it gets a name.
                (is_wanted == is_dynamic).then(|| (NeighborId(index), config.name()))
            })
            .collect()
    }

    fn neighbor_like(&self, config: &NeighborConfig) -> Option<NeighborId> {
        let is_it = |neighbor: &super::Neighbor| neighbor.config.is_same_neighbor(config);
        let place = self.neighbors.iter().position(|place| place.as_ref().is_some_and(is_it))?;
        u32::try_from(place).ok().map(NeighborId)
    }

    /// `None`: it was that already.
    fn change_neighbor(
        &mut self,
        id: NeighborId,
        wanted: NeighborConfig,
        now: Instant,
    ) -> Result<Option<NeighborChange>, NeighborError> {
        let Some(Some(neighbor)) = self.neighbors.get(id.0 as usize) else { return Ok(None) };
        let known = neighbor.config.clone();
        let rests = neighbor.over_limit.is_some();
        // Where a neighbour on an interface is, we have found out ourselves.
        let wanted = match wanted.interface {
            Some(_) => {
                NeighborConfig { address: known.address, scope_id: known.scope_id, ..wanted }
            }
            None => wanted,
        };
        if wanted == known {
            return Ok(None);
        }
        let as_it_is = NeighborConfig {
            shutdown: known.shutdown.clone(),
            policy: known.policy.clone(),
            maximum_prefix: if rests {
                // It has no session to lose, and another limit is why it may come back.
                wanted.maximum_prefix.clone()
            } else {
                known.maximum_prefix.clone()
            },
            bfd: known.bfd,
            next_hop_self: known.next_hop_self,
            next_hop_unchanged: known.next_hop_unchanged,
            as_path_unchanged: known.as_path_unchanged,
            med_unchanged: known.med_unchanged,
            as_override: known.as_override,
            remove_private_as: known.remove_private_as,
            sender_side_loop_check: known.sender_side_loop_check,
            passive: known.passive,
            connect_retry: known.connect_retry,
            auth: match (&wanted.auth, &known.auth) {
                // Both ends change it as they like: what was sent meanwhile is sent again.
                (Some(_), Some(_)) => known.auth.clone(),
                _ => wanted.auth.clone(),
            },
            ..wanted.clone()
        };
        if as_it_is != known {
            self.end_neighbor(id, CeaseReason::OtherConfigurationChange, now);
            self.add_neighbor(wanted, now)?;
            return Ok(Some(NeighborChange::Reset));
        }
        let retry = wanted.connect_retry.unwrap_or(self.config.connect_retry);
        let Some(Some(neighbor)) = self.neighbors.get_mut(id.0 as usize) else { return Ok(None) };
        neighbor.config = NeighborConfig { policy: known.policy.clone(), ..wanted.clone() };
        self.with_session(id.0, now, |session| {
            session.set_pace(wanted.passive, retry, now);
            session.handle_timeout(now);
        });
        if wanted.auth != known.auth {
            self.authenticate(id.0);
        }
        if wanted.bfd != known.bfd {
            self.change_bfd(id.0);
        }
        if wanted.maximum_prefix != known.maximum_prefix {
            self.set_limits(id.0);
        }
        if wanted.policy != known.policy {
            self.set_policies([(id, wanted.policy)], now);
        }
        self.change_egress(id.0);
        self.enforce_limits(id.0, now);
        if wanted.shutdown != known.shutdown {
            match &wanted.shutdown {
                Some(text) => self.disable_neighbor(id, Some(text.as_str()), now),
                None => self.enable_neighbor(id, now),
            }
        }
        Ok(Some(NeighborChange::Changed))
    }
}

impl NeighborConfig {
    fn is_same_neighbor(&self, other: &Self) -> bool {
        match (&self.interface, &other.interface) {
            (None, None) => self.address == other.address && self.scope_id == other.scope_id,
            (ours, theirs) => ours == theirs,
        }
    }
}
