//! Neighbours that are added, removed or changed while all others go on.

use std::time::Instant;

use super::{NeighborConfig, NeighborError, NeighborId, Speaker, Transport};
use crate::types::Asn;
use crate::wire::{CeaseReason, FamilySet};

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
        match self.adapt_neighbor(id, wanted, now) {
            Adapted::Not(wanted) => {
                self.end_neighbor(id, CeaseReason::OtherConfigurationChange, now);
                self.add_neighbor(*wanted, now)?;
                Ok(Some(NeighborChange::Reset))
            }
            Adapted::Changed => Ok(Some(NeighborChange::Changed)),
            Adapted::Same => Ok(None),
        }
    }

    /// Makes a neighbour this one, if its session can go on.
    pub(super) fn adapt_neighbor(
        &mut self,
        id: NeighborId,
        wanted: NeighborConfig,
        now: Instant,
    ) -> Adapted {
        let Some(Some(neighbor)) = self.neighbors.get(id.0 as usize) else { return Adapted::Same };
        let known = neighbor.config.clone();
        // Where a neighbour on an interface is, we have found out ourselves.
        let wanted = match wanted.interface {
            Some(_) => {
                NeighborConfig { address: known.address, scope_id: known.scope_id, ..wanted }
            }
            None => wanted,
        };
        if wanted == known {
            return Adapted::Same;
        }
        let theirs = neighbor.session.established().map(|(negotiated, ..)| negotiated.asn);
        let rests = neighbor.over_limit.is_some();
        let difference = Difference::new(&known, &wanted, self.config.asn, theirs);
        // Another limit is why one that rests may come back; it has no session to lose.
        if difference.session || rests && wanted.maximum_prefix != known.maximum_prefix {
            return Adapted::Not(Box::new(wanted));
        }
        let pace = self.pace(&wanted);
        let Some(Some(neighbor)) = self.neighbors.get_mut(id.0 as usize) else {
            return Adapted::Same;
        };
        neighbor.session.offer_mut().remote_as = wanted.remote_as;
        neighbor.mrai.set_interval(wanted.advertisement_interval, now);
        if wanted.graceful_shutdown != known.graceful_shutdown {
            neighbor.graceful_shutdown = wanted.graceful_shutdown;
        }
        neighbor.config = NeighborConfig { policy: known.policy.clone(), ..wanted.clone() };
        self.advance_mrai(id.0, now);
        self.with_session(id.0, now, |session| {
            session.set_pace(pace, now);
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
        if difference.taken {
            self.ask_again(id.0, FamilySet::ALL);
        }
        self.enforce_limits(id.0, now);
        if wanted.shutdown != known.shutdown {
            match &wanted.shutdown {
                Some(text) => self.disable_neighbor(id, Some(text.as_str()), now),
                None => self.enable_neighbor(id, now),
            }
        }
        Adapted::Changed
    }
}

/// What became of a neighbour that was to be another one without losing its session.
pub(super) enum Adapted {
    /// It was that already.
    Same,
    /// It is that now.
    Changed,
    /// That needs a new session.
    Not(Box<NeighborConfig>),
}

/// What two configurations of one neighbour differ in, as far as more follows than that the other one holds.
///
/// What is told follows from the rules of all neighbours and needs no word here: [`Speaker::change_egress`] sends routes
/// again if it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Difference {
    /// An OPEN says it, or it decides where and how connections are made.
    session: bool,
    /// Which routes are taken, or how they are read: the neighbour has to send them again.
    taken: bool,
}

impl Difference {
    /// `asn` is ours, `theirs` that of a neighbour whose session is up.
    fn new(known: &NeighborConfig, wanted: &NeighborConfig, asn: Asn, theirs: Option<Asn>) -> Self {
        // All of them, so that whoever adds one has to say here what follows from it.
        let NeighborConfig {
            // Who it is.
            address,
            scope_id,
            interface,
            port,
            // Of the session.
            families,
            local_address: _,
            hold_time,
            extended_next_hop,
            role,
            role_strict,
            add_path_receive,
            add_path_send,
            // Whose routes are reflected changes what all others are told, so that FRR resets it too.
            route_reflector_client,
            // Its route is in no table that could be sent again.
            default_originate,
            remote_as,
            local_as,
            distance: _,
            auth: _,
            // Of what is taken.
            allow_own_as,
            graceful_shutdown,
            // Of what is told.
            next_hop_self: _,
            next_hop_unchanged: _,
            as_override: _,
            remove_private_as: _,
            as_path_unchanged: _,
            med_unchanged: _,
            sender_side_loop_check: _,
            advertisement_interval: _,
            // These know by themselves what changes.
            passive: _,
            connect_retry: _,
            keepalive: _,
            maximum_prefix: _,
            policy: _,
            bfd: _,
            shutdown: _,
        } = known;
        let is_other_neighbor = (address, scope_id, interface, port)
            != (&wanted.address, &wanted.scope_id, &wanted.interface, &wanted.port);
        let is_other_open = *families != wanted.families
            || *hold_time != wanted.hold_time
            || *extended_next_hop != wanted.extended_next_hop
            || (*role, *role_strict) != (wanted.role, wanted.role_strict)
            || *add_path_receive != wanted.add_path_receive
            || *add_path_send != wanted.add_path_send
            || local_as.map(|local| local.asn) != wanted.local_as.map(|local| local.asn)
            || *remote_as != wanted.remote_as && !is_still_in(wanted, asn, theirs);
        let way = |config: &NeighborConfig| {
            // Both ends change a key as they like: what was sent meanwhile is sent again.
            let signs = config.auth.is_some();
            let Transport { ttl, minimum_ttl, .. } = config.transport(asn);
            (ttl, minimum_ttl, signs, config.local_address)
        };
        let prepends = |config: &NeighborConfig| config.local_as.map(|local| local.no_prepend);
        Self {
            session: is_other_neighbor
                || is_other_open
                || way(known) != way(wanted)
                || *route_reflector_client != wanted.route_reflector_client
                || *default_originate != wanted.default_originate,
            taken: *allow_own_as != wanted.allow_own_as
                || *graceful_shutdown != wanted.graceful_shutdown
                || prepends(known) != prepends(wanted),
        }
    }
}

/// Whether a neighbour whose session is up is also in the AS that it is to be in from now on.
fn is_still_in(wanted: &NeighborConfig, asn: Asn, theirs: Option<Asn>) -> bool {
    let ours = wanted.local_as.map_or(asn, |local| local.asn);
    theirs.is_some_and(|theirs| wanted.remote_as.accepts(ours, theirs))
}

impl NeighborConfig {
    fn is_same_neighbor(&self, other: &Self) -> bool {
        match (&self.interface, &other.interface) {
            (None, None) => self.address == other.address && self.scope_id == other.scope_id,
            (ours, theirs) => ours == theirs,
        }
    }
}
