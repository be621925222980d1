//! UPDATEs into a table: what is announced, withdrawn, or refused because it would loop.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::RouteFamily;
use super::import::Import;
use super::path_rules::LocalAs;
use super::peers::{Peer, Peers, Source};
use super::roles::{self, Received};
use super::table::{Path, Table};
use crate::policy::Surroundings;
use crate::speaker::config::AllowOwnAs;
use crate::types::{AfiSafi, Asn, Role, RouterId};
use crate::wire::{
    AttributeInterner, AttributeSet, NextHop, NlriError, Notification, Routes, UpdateView, Verdict,
    community,
};

/// Who we are, for the peer that sent an UPDATE.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receiver {
    pub(crate) asn: Asn,
    pub(crate) router_id: RouterId,
    pub(crate) cluster: Ipv4Addr,
    /// Our address on the session.
    pub(crate) address: IpAddr,
    /// Where our AS number may be in a path.
    pub(crate) allow_own_as: AllowOwnAs,
    /// What the peer knows us by instead.
    pub(crate) local_as: Option<LocalAs>,
    /// What we are to an external peer.
    pub(crate) role: Option<Role>,
    /// The session is about to go: what comes over it is the last choice (RFC 8326 §4).
    pub(crate) graceful_shutdown: bool,
}

impl Receiver {
    /// Whether a route with these attributes may be used (RFC 4271 §9.1.2 and §5.1.3, RFC 4456 §8).
    fn accepts(&self, attributes: &AttributeSet, from: &Peer, next_hop_is_router: bool) -> bool {
        let other = self.local_as.map(|local| local.asn);
        let mut ours = std::iter::once(self.asn).chain(other);
        if !ours.all(|asn| self.allow_own_as.allows(attributes.as_path(), asn)) {
            return false;
        }
        if next_hop_is_router && attributes.next_hop().address() == self.address {
            return false;
        }
        if from.external {
            // RFC 4271 §6.3: the peer has put itself in front.
            attributes.first_as() == Some(from.asn)
        } else {
            attributes.originator_id() != Some(self.router_id)
                && attributes.cluster_list().all(|cluster| cluster != self.cluster)
        }
    }
}

impl Receiver {
    /// What is made of a peer's routes before any policy: they leaked, or bear no mark against that (RFC 9234),
    /// are about to go (RFC 8326), or have come through the AS that the peer takes us for.
    fn interpret<F: RouteFamily>(
        &self,
        attributes: Arc<AttributeSet>,
        from: &Peer,
        interner: &mut AttributeInterner,
    ) -> Option<Arc<AttributeSet>> {
        let peer = from.asn;
        let role = self.role.filter(|_| roles::apply_to(F::FAMILY));
        let received = role.map_or(Received::Take, |role| {
            roles::received(role, attributes.only_to_customer(), peer)
        });
        if received == Received::Refuse {
            return None;
        }
        let passed = self.local_as.filter(|local| !local.no_prepend);
        let leaves = self.graceful_shutdown || from.external && attributes.graceful_shutdown();
        if received == Received::Take && !leaves && passed.is_none() {
            return Some(attributes);
        }
        let mut editor = attributes.edit();
        if let Some(local) = passed {
            editor.prepend_as(local.asn);
        }
        if received == Received::Mark {
            editor.set_only_to_customer(peer);
        }
        if leaves {
            editor.add_community(community::GRACEFUL_SHUTDOWN).set_local_pref(0);
        }
        Some(interner.intern_set(editor.build()))
    }
}

/// Why the session with a neighbour has to end after its UPDATE.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Routes that cannot be named (RFC 7606 §5.3).
    Broken(Notification),
    /// More routes than the neighbour may have; the last one was one too many.
    TooMany { family: AfiSafi, limit: usize },
}

impl From<Notification> for Refusal {
    fn from(notification: Notification) -> Self {
        Self::Broken(notification)
    }
}

/// Takes the routes of one family out of an UPDATE.
///
/// # Errors
/// The session has to end; of the UPDATE no more was taken.
pub(crate) fn update<F: RouteFamily>(
    table: &mut Table<F>,
    view: &UpdateView<'_>,
    source: Source,
    receiver: &Receiver,
    import: &mut Import<F>,
    peers: &Peers,
    interner: &mut AttributeInterner,
) -> Result<(), Refusal> {
    // First these: a route in both is announced (RFC 4271 §4.3).
    for path in view.withdrawn_paths::<F>() {
        let (id, (key, _)) = path.map_err(refuse::<F>)?;
        import.forget(&key, id);
        table.remove(&key, source, id, peers);
    }
    let from = Surroundings { asn: receiver.asn, from: Some(peers.get(source).address) };
    for announced in view.announced::<F>() {
        let attributes = match announced.next_hop {
            Some(next_hop) => {
                shared_attributes::<F>(view, next_hop, source, receiver, peers, interner)
            }
            None => None,
        };
        match attributes {
            Some(attributes) if import.is_off() => {
                announce(table, announced.routes, source, peers, |_, key, payload| {
                    F::is_usable(key, payload, &attributes).then(|| Arc::clone(&attributes))
                })?;
            }
            Some(attributes) => {
                announce(table, announced.routes, source, peers, |id, key, payload| {
                    import.apply((key, id), payload, &attributes, &from, interner)
                })?;
            }
            None => announce(table, announced.routes, source, peers, |id, key, _| {
                import.forget(key, id);
                None
            })?,
        }
    }
    Ok(())
}

/// `None`: the routes count as withdrawn.
fn shared_attributes<F: RouteFamily>(
    view: &UpdateView<'_>,
    next_hop: NextHop,
    source: Source,
    receiver: &Receiver,
    peers: &Peers,
    interner: &mut AttributeInterner,
) -> Option<Arc<AttributeSet>> {
    if let Verdict::TreatAsWithdraw(_) = view.verdict {
        return None;
    }
    let attributes = interner.intern(view, next_hop);
    let from = peers.get(source);
    if !receiver.accepts(&attributes, from, F::NEXT_HOP_IS_ROUTER) {
        return None;
    }
    receiver.interpret::<F>(attributes, from, interner)
}

/// `attributes`: what is kept of a route; of one that has none, nothing.
#[inline(always)]
fn announce<F: RouteFamily>(
    table: &mut Table<F>,
    routes: Routes<'_, F>,
    source: Source,
    peers: &Peers,
    mut attributes: impl FnMut(u32, &F::Key, &F::Payload) -> Option<Arc<AttributeSet>>,
) -> Result<(), Refusal> {
    let limit = table.limit(source);
    // So many routes fit whatever they are; from there on somebody has to count.
    let room = limit.saturating_sub(table.received_from(source));
    let mut taken = 0;
    // No adapter around it: a route is decoded in place only if this call is inlined.
    for path in routes.paths() {
        let (id, (key, payload)) = path.map_err(refuse::<F>)?;
        match attributes(id, &key, &payload) {
            Some(attributes) => {
                table.insert(key, Path::new(attributes, source, id, payload), peers);
            }
            None => table.remove(&key, source, id, peers),
        }
        taken += 1;
        if taken > room && table.is_beyond_limit(source, peers) {
            return Err(Refusal::TooMany { family: F::FAMILY, limit });
        }
    }
    Ok(())
}

fn refuse<F: RouteFamily>(_: NlriError) -> Notification {
    if F::FAMILY == AfiSafi::IPV4_UNICAST {
        Notification::invalid_network_field()
    } else {
        Notification::optional_attribute_error(Vec::new())
    }
}
