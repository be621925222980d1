//! What a neighbour is told of a path: whether at all, and with which attributes.
//!
//! Neighbours for which the answer is always the same share a policy, and each policy works an attribute set over once,
//! not once per route or neighbour.

use std::net::Ipv4Addr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::best_path::DEFAULT_LOCAL_PREF;
use super::path_rules::PathRules;
use super::peers::{Peer, Source};
use super::roles;
use crate::types::{AfiSafi, Asn, Role, RouterId};
use crate::wire::{AttributeInterner, AttributeSet, ExtCommunity, NextHop, code, community};

/// How to treat all neighbours that have this in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EgressPolicy {
    pub(crate) family: AfiSafi,
    pub(crate) local_asn: Asn,
    pub(crate) cluster: Ipv4Addr,
    pub(crate) session: SessionKind,
    pub(crate) next_hop: NextHopRule,
    /// The neighbour takes IPv6 next hops where the family's own are IPv4 (RFC 8950).
    pub(crate) extended_next_hop: bool,
    /// What we are to an external neighbour, in the families where that matters.
    pub(crate) role: Option<Role>,
    /// We are about to go: our routes are the last choice (RFC 8326).
    pub(crate) graceful_shutdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SessionKind {
    /// `avoid`: an AS number that must not be in the path.
    External {
        avoid: Option<Asn>,
        path: PathRules,
    },
    Internal {
        client: bool,
    },
}

/// Whose address the next hop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NextHopRule {
    /// As it is.
    Unchanged,
    /// Ours where there is none.
    IfUnspecified(NextHop),
    /// Ours for routes from other AS, and where there is none.
    OfExternal(NextHop),
    /// Ours.
    Always(NextHop),
}

/// A policy's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PolicyId(u32);

/// Where a path is from, as far as it makes a difference to what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origination {
    Local,
    External,
    Internal { client: bool, router_id: RouterId },
}

/// All policies, and what they made of attribute sets.
#[derive(Debug, Default)]
pub(crate) struct Egress {
    policies: Vec<EgressPolicy>,
    /// By the address of the set, which `Worked` keeps alive.
    worked: HashMap<usize, Worked, RandomState>,
}

/// What a policy made of a set, depending on where the path is from; `None` is not told.
type Outcome = (PolicyId, Origination, Option<Arc<AttributeSet>>);

#[derive(Debug)]
struct Worked {
    from: Arc<AttributeSet>,
    results: SmallVec<[Outcome; 2]>,
}

impl Egress {
    pub(crate) fn policy(&mut self, policy: EgressPolicy) -> PolicyId {
        let index = self.policies.iter().position(|known| *known == policy).unwrap_or_else(|| {
            self.policies.push(policy);
            self.policies.len() - 1
        });
        PolicyId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The attributes to send, or `None` if the neighbour is not told of this path.
    pub(crate) fn attributes(
        &mut self,
        id: PolicyId,
        from: &Arc<AttributeSet>,
        source: Source,
        peer: &Peer,
        interner: &mut AttributeInterner,
    ) -> Option<Arc<AttributeSet>> {
        let origination = origination(source, peer);
        let address = Arc::as_ptr(from).addr();
        let worked = self
            .worked
            .entry(address)
            .or_insert_with(|| Worked { from: Arc::clone(from), results: SmallVec::new() });
        let known =
            worked.results.iter().find(|(policy, by, _)| *policy == id && *by == origination);
        if let Some((_, _, result)) = known {
            return result.clone();
        }
        let policy = self.policies.get(id.0 as usize)?;
        let result = apply(policy, from, origination, interner);
        worked.results.push((id, origination, result.clone()));
        result
    }

    pub(crate) fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// Forgets what was made of sets that no route has any more.
    pub(crate) fn sweep(&mut self) {
        const INTERNER_AND_HERE: usize = 2;
        self.worked.retain(|_, worked| Arc::strong_count(&worked.from) > INTERNER_AND_HERE);
    }
}

fn origination(source: Source, peer: &Peer) -> Origination {
    if source.is_local() {
        Origination::Local
    } else if peer.external {
        Origination::External
    } else {
        Origination::Internal { client: peer.client, router_id: peer.router_id }
    }
}

fn apply(
    policy: &EgressPolicy,
    from: &Arc<AttributeSet>,
    origination: Origination,
    interner: &mut AttributeInterner,
) -> Option<Arc<AttributeSet>> {
    if !may_be_told(policy, from, origination) {
        return None;
    }
    let mut editor = from.edit();
    let next_hop = next_hop(policy.next_hop, from.next_hop(), origination);
    if !is_usable(policy, next_hop) {
        return None;
    }
    editor.set_next_hop(next_hop);
    match policy.session {
        SessionKind::External { path, .. } => {
            path.apply(from.as_path(), policy.local_asn, &mut editor);
            if !path.as_path_unchanged {
                editor.prepend_as(policy.local_asn);
            }
            editor.remove(code::LOCAL_PREF).remove(code::ORIGINATOR_ID).remove(code::CLUSTER_LIST);
            // RFC 4271 §5.1.4: what one neighbouring AS says in MED is not for a third one.
            if !from.as_path().is_empty() && !path.med_unchanged {
                editor.remove(code::MED);
            }
            editor.retain_ext_communities(ExtCommunity::is_transitive);
            if policy.role.is_some_and(roles::marks) && from.only_to_customer().is_none() {
                editor.set_only_to_customer(policy.local_asn);
            }
        }
        SessionKind::Internal { .. } => {
            if from.local_pref().is_none() {
                editor.set_local_pref(DEFAULT_LOCAL_PREF);
            }
            if let Origination::Internal { router_id, .. } = origination {
                // RFC 4456 §8: the originator is named once, clusters add up.
                if from.originator_id().is_none() {
                    editor.set_originator_id(router_id);
                }
                editor.prepend_cluster(policy.cluster);
            }
        }
    }
    if policy.graceful_shutdown {
        editor.add_community(community::GRACEFUL_SHUTDOWN);
        if let SessionKind::Internal { .. } = policy.session {
            editor.set_local_pref(0);
        }
    }
    Some(interner.intern_set(editor.build()))
}

fn may_be_told(policy: &EgressPolicy, attributes: &AttributeSet, origination: Origination) -> bool {
    let has = |wanted| attributes.communities().any(|community| community == wanted);
    if has(community::NO_ADVERTISE) {
        return false;
    }
    match (policy.session, origination) {
        (SessionKind::External { avoid, .. }, _) => {
            // Whoever asks us to drop traffic asks nobody beyond us (RFC 7999 §3.2).
            let for_us = origination != Origination::Local && has(community::BLACKHOLE);
            let leaks = policy.role.is_some_and(|role| {
                attributes.only_to_customer().is_some() && !roles::may_send_marked(role)
            });
            !for_us
                && !leaks
                && !has(community::NO_EXPORT)
                && !has(community::NO_EXPORT_SUBCONFED)
                && !avoid.is_some_and(|asn| attributes.as_path().contains(asn))
        }
        // Internal routes go to internal neighbours only by reflection: from or to a client (RFC 4456 §6).
        (SessionKind::Internal { client: to }, Origination::Internal { client: from, .. }) => {
            from || to
        }
        (SessionKind::Internal { .. }, Origination::Local | Origination::External) => true,
    }
}

fn next_hop(rule: NextHopRule, current: NextHop, origination: Origination) -> NextHop {
    let unspecified = current.address().is_unspecified();
    match rule {
        NextHopRule::Always(ours) => ours,
        NextHopRule::OfExternal(ours) if unspecified || origination == Origination::External => {
            ours
        }
        NextHopRule::IfUnspecified(ours) if unspecified => ours,
        NextHopRule::Unchanged | NextHopRule::OfExternal(_) | NextHopRule::IfUnspecified(_) => {
            current
        }
    }
}

/// Whether the neighbour can read this next hop in this family.
fn is_usable(policy: &EgressPolicy, next_hop: NextHop) -> bool {
    if next_hop.address().is_unspecified() {
        return false;
    }
    match (policy.family, next_hop) {
        (AfiSafi::IPV4_UNICAST, NextHop::V6 { .. }) => policy.extended_next_hop,
        (AfiSafi::IPV6_UNICAST, NextHop::V4(_)) => false,
        _ => true,
    }
}
