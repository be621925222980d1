//! What policy makes of a neighbour's routes before they come into the table, and what it sent where that is something
//! else.

use std::collections::hash_map::{HashMap, RandomState};
use std::sync::Arc;

use super::RouteFamily;
use super::peers::{Peers, Source};
use super::table::{Path, Table};
use super::tables::Tables;
use crate::policy::{NextHopSetting, Permitted, Policy, Surroundings, Worked};
use crate::types::{AfiSafi, Asn};
use crate::wire::{
    AttributeInterner, AttributeSet, Evpn, Family, Ipv4Unicast, Ipv6Unicast, NextHop,
};

/// Of one family from one neighbour, in one session.
#[derive(Debug)]
pub(crate) struct Import<F: RouteFamily> {
    policy: Policy,
    /// Of the attribute set that came last: UPDATEs with the same one come together.
    worked: Option<Worked>,
    kept: Option<Kept<F>>,
}

/// A key, and the neighbour's identifier of the path (RFC 7911).
type PathKey<F> = (<F as Family>::Key, u32);

/// Routes as they were received, where the policy refused or changed them. All others are in the table as they came.
///
/// Another hasher than the tables': hashing a key is inlined there, as long as nobody else does the same.
type Kept<F> = HashMap<PathKey<F>, (Arc<AttributeSet>, <F as Family>::Payload), RandomState>;

/// All families of one neighbour.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    pub(super) ipv4: Import<Ipv4Unicast>,
    pub(super) ipv6: Import<Ipv6Unicast>,
    pub(super) evpn: Import<Evpn>,
}

impl<F: RouteFamily> Default for Import<F> {
    fn default() -> Self {
        Self { policy: Policy::Everything, worked: None, kept: None }
    }
}

impl<F: RouteFamily> Import<F> {
    /// Routes are taken as they come.
    #[inline]
    pub(super) fn is_off(&self) -> bool {
        self.policy == Policy::Everything && self.kept.is_none()
    }

    /// The attributes to keep of a route; `None`: it is refused.
    #[inline]
    pub(super) fn apply(
        &mut self,
        (key, id): (&F::Key, u32),
        payload: &F::Payload,
        received: &Arc<AttributeSet>,
        from: &Surroundings,
        interner: &mut AttributeInterner,
    ) -> Option<Arc<AttributeSet>> {
        let taken = if !F::is_usable(key, payload, received) {
            self.forget(key, id);
            return None;
        } else {
            self.decide(key, payload, received, from, interner)
        };
        if let Some(kept) = &mut self.kept {
            if taken.as_ref().is_some_and(|taken| Arc::ptr_eq(taken, received)) {
                kept.remove(&(key.clone(), id));
            } else {
                kept.insert((key.clone(), id), (Arc::clone(received), payload.clone()));
            }
        }
        taken
    }

    fn decide(
        &mut self,
        key: &F::Key,
        payload: &F::Payload,
        received: &Arc<AttributeSet>,
        from: &Surroundings,
        interner: &mut AttributeInterner,
    ) -> Option<Arc<AttributeSet>> {
        match &self.policy {
            Policy::Everything => Some(Arc::clone(received)),
            Policy::Nothing => None,
            Policy::Map(map) => {
                let worked = match &mut self.worked {
                    Some(worked) => worked.begin(received),
                    none => none.insert(Worked::new(Arc::clone(received))),
                };
                worked.outcome(map, F::route_ref(key, payload), from, |permitted| {
                    Some(interner.intern_set(taken(permitted, from)))
                })
            }
        }
    }

    /// The neighbour has withdrawn a route.
    #[inline]
    pub(super) fn forget(&mut self, key: &F::Key, id: u32) {
        if let Some(kept) = &mut self.kept {
            kept.remove(&(key.clone(), id));
        }
    }

    /// Applies the policy to all that the neighbour has sent in this session.
    fn reapply(
        &mut self,
        table: &mut Table<F>,
        source: Source,
        from: &Surroundings,
        peers: &Peers,
        interner: &mut AttributeInterner,
    ) {
        let Some(kept) = self.kept.replace(Kept::<F>::default()) else { return };
        let mut unchanged = Vec::new();
        for (key, paths) in table.iter() {
            for path in paths.iter().filter(|path| path.source == source && !path.stale) {
                let name = (key.clone(), path.id);
                if !kept.contains_key(&name) {
                    unchanged.push((name, Arc::clone(&path.attributes), path.payload.clone()));
                }
            }
        }
        let kept =
            kept.into_iter().map(|(name, (attributes, payload))| (name, attributes, payload));
        for ((key, id), received, payload) in kept.chain(unchanged) {
            match self.apply((&key, id), &payload, &received, from, interner) {
                Some(attributes) => {
                    table.insert(key, Path::new(attributes, source, id, payload), peers);
                }
                None => table.remove(&key, source, id, peers),
            }
        }
    }
}

/// What is kept of a route that a policy permits.
fn taken(permitted: Permitted, from: &Surroundings) -> AttributeSet {
    let Permitted { attributes, next_hop } = permitted;
    match (next_hop, from.from) {
        (Some(NextHopSetting::PeerAddress), Some(address)) => {
            attributes.edit().set_next_hop(NextHop::from(address)).build()
        }
        _ => Arc::unwrap_or_clone(attributes),
    }
}

/// An import whose family does not matter.
pub(crate) trait AnyImport {
    fn policy(&self) -> &Policy;

    /// Whether what the neighbour sends is kept where the policy refuses or changes it.
    fn keeps(&self) -> bool;

    /// Another policy for what comes from now on. What was kept stays, if it is still to be kept.
    fn change(&mut self, policy: Policy, keep: bool);

    /// The neighbour is about to send everything again, or a new session begins.
    fn forget_all(&mut self);
}

impl<F: RouteFamily> AnyImport for Import<F> {
    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    fn change(&mut self, policy: Policy, keep: bool) {
        self.policy = policy;
        self.worked = None;
        self.kept = keep.then(|| self.kept.take().unwrap_or_default());
    }

    fn forget_all(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.clear();
        }
    }
}

impl Imports {
    pub(crate) fn get_mut(&mut self, family: AfiSafi) -> Option<&mut dyn AnyImport> {
        match family {
            AfiSafi::IPV4_UNICAST => Some(&mut self.ipv4),
            AfiSafi::IPV6_UNICAST => Some(&mut self.ipv6),
            AfiSafi::L2VPN_EVPN => Some(&mut self.evpn),
            _ => None,
        }
    }
}

impl Tables {
    /// Applies an import policy that has changed to what the neighbour sent before.
    pub(crate) fn reapply(
        &mut self,
        family: AfiSafi,
        source: Source,
        asn: Asn,
        imports: &mut Imports,
        peers: &Peers,
        interner: &mut AttributeInterner,
    ) {
        let from = Surroundings { asn, from: Some(peers.get(source).address) };
        match family {
            AfiSafi::IPV4_UNICAST => {
                imports.ipv4.reapply(&mut self.ipv4, source, &from, peers, interner);
            }
            AfiSafi::IPV6_UNICAST => {
                imports.ipv6.reapply(&mut self.ipv6, source, &from, peers, interner);
            }
            AfiSafi::L2VPN_EVPN => {
                imports.evpn.reapply(&mut self.evpn, source, &from, peers, interner);
            }
            _ => {}
        }
    }
}
