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
use crate::policy::{NextHopSetting, Policy, RouteRef, Surroundings, Worked};
use crate::types::{AfiSafi, Asn, Role, RouterId};
use crate::wire::{
    AttributeEditor, AttributeInterner, AttributeSet, ExtCommunity, LocalAttributes, NextHop, code,
    community,
};

/// How to treat all neighbours that have this in common.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The neighbour knows that what is LLGR_STALE is the last choice.
    pub(crate) long_lived: bool,
    /// We are about to go: our routes are the last choice (RFC 8326).
    pub(crate) graceful_shutdown: bool,
    pub(crate) export: Policy,
    /// Our address on the session, for an export policy that names it.
    pub(crate) own_address: Option<NextHop>,
    /// The export policy asks whose path it is.
    pub(crate) asks_for_peer: bool,
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
    policies: Vec<Option<EgressPolicy>>,
    /// By the address of the set, which `Outcomes` keeps alive.
    worked: HashMap<usize, Outcomes, RandomState>,
}

/// What a policy made of a set, depending on where the path is from.
#[derive(Debug)]
struct Outcome {
    policy: PolicyId,
    origination: Origination,
    /// Whose path it is, if the export policy asks for that; otherwise nobody's.
    source: Source,
    told: Told,
}

#[derive(Debug)]
enum Told {
    /// The same for all routes; `None`: nothing.
    Always(Option<Arc<AttributeSet>>),
    /// The export policy asks something of the route.
    ByRoute(Box<Worked>),
}

impl Told {
    /// How often it refers to this very set.
    fn count(&self, set: &Arc<AttributeSet>) -> usize {
        match self {
            Self::Always(Some(told)) => usize::from(Arc::ptr_eq(told, set)),
            Self::Always(None) => 0,
            Self::ByRoute(worked) => worked.count(set),
        }
    }
}

/// What became of a set, for everybody who was told of it.
#[derive(Debug)]
struct Outcomes {
    from: Arc<AttributeSet>,
    results: SmallVec<[Outcome; 2]>,
}

impl Egress {
    pub(crate) fn policy(&mut self, policy: EgressPolicy) -> PolicyId {
        let policy = Some(policy);
        let known = self.policies.iter().position(|known| *known == policy);
        let index = known.unwrap_or_else(|| {
            let free = self.policies.iter().position(Option::is_none);
            let index = free.unwrap_or(self.policies.len());
            self.policies.resize(self.policies.len().max(index + 1), None);
            self.policies[index] = policy;
            index
        });
        PolicyId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Forgets all policies but these, and what they made.
    pub(crate) fn retain(&mut self, used: &[PolicyId]) {
        let mut keep = vec![false; self.policies.len()];
        for id in used {
            keep[id.0 as usize] = true;
        }
        for (policy, keep) in self.policies.iter_mut().zip(&keep) {
            policy.take_if(|_| !keep);
        }
        for outcomes in self.worked.values_mut() {
            outcomes.results.retain(|outcome| keep[outcome.policy.0 as usize]);
        }
    }

    /// The attributes to send, or `None` if the neighbour is not told of this path.
    pub(crate) fn attributes(
        &mut self,
        id: PolicyId,
        route: RouteRef<'_>,
        from: &Arc<AttributeSet>,
        source: Source,
        peer: &Peer,
        interner: &mut AttributeInterner,
    ) -> Option<Arc<AttributeSet>> {
        let policy = self.policies.get(id.0 as usize)?.as_ref()?;
        let origination = origination(source, peer);
        let source = if policy.asks_for_peer { source } else { Source::LOCAL };
        let address = Arc::as_ptr(from).addr();
        let Outcomes { from, results } = self
            .worked
            .entry(address)
            .or_insert_with(|| Outcomes { from: Arc::clone(from), results: SmallVec::new() });
        let is_it = |outcome: &Outcome| {
            (outcome.policy, outcome.origination, outcome.source) == (id, origination, source)
        };
        let index = results.iter().position(is_it).unwrap_or_else(|| {
            let told = begin(policy, from, origination, interner);
            results.push(Outcome { policy: id, origination, source, told });
            results.len() - 1
        });
        let told = &mut results.get_mut(index)?.told;
        let worked = match told {
            Told::Always(attributes) => return attributes.clone(),
            Told::ByRoute(worked) => worked,
        };
        let Policy::Map(map) = &policy.export else { return None };
        let surroundings = Surroundings { asn: policy.local_asn, from: Some(peer.address) };
        let attributes = worked.outcome(map, route, &surroundings, |permitted| {
            let mut editor = permitted.attributes.edit();
            finish(policy, &mut editor, &permitted.attributes, permitted.next_hop, origination)?;
            Some(interner.intern_set(editor.build()))
        });
        if let Some(always) = worked.answer_for_all() {
            *told = Told::Always(always);
        }
        attributes
    }

    /// The attributes to send of a route that begins here and of which no export policy is asked.
    pub(crate) fn attributes_beside_policy(
        &self,
        id: PolicyId,
        from: &Arc<AttributeSet>,
        interner: &mut AttributeInterner,
    ) -> Option<Arc<AttributeSet>> {
        let policy = self.policies.get(id.0 as usize)?.as_ref()?;
        let policy = EgressPolicy { export: Policy::Everything, ..policy.clone() };
        match begin(&policy, from, Origination::Local, interner) {
            Told::Always(attributes) => attributes,
            Told::ByRoute(_) => None,
        }
    }

    pub(crate) fn policy_count(&self) -> usize {
        self.policies.iter().flatten().count()
    }

    /// Forgets what was made of sets that no route has any more.
    pub(crate) fn sweep(&mut self) {
        const INTERNER_AND_HERE: usize = 2;
        self.worked.retain(|_, outcomes| {
            // What a policy leaves as it is, it refers to again.
            let again: usize =
                outcomes.results.iter().map(|outcome| outcome.told.count(&outcomes.from)).sum();
            Arc::strong_count(&outcomes.from) > INTERNER_AND_HERE + again
        });
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

/// Works a set over as far as no export policy has a say.
fn begin(
    policy: &EgressPolicy,
    from: &Arc<AttributeSet>,
    origination: Origination,
    interner: &mut AttributeInterner,
) -> Told {
    if policy.export == Policy::Nothing || !may_be_told(policy, from, origination) {
        return Told::Always(None);
    }
    let mut editor = from.edit();
    prepare(policy, &mut editor, from);
    if let Policy::Map(_) = policy.export {
        return Told::ByRoute(Box::new(Worked::new(Arc::new(editor.build()))));
    }
    let told = finish(policy, &mut editor, from, None, origination);
    Told::Always(told.map(|()| interner.intern_set(editor.build())))
}

/// What is changed before the export policy sees the route, as FRR has it: it can put in what is taken out here.
fn prepare(policy: &EgressPolicy, editor: &mut AttributeEditor<'_>, from: &AttributeSet) {
    match policy.session {
        SessionKind::External { path, .. } => {
            path.apply(from.as_path(), policy.local_asn, editor);
            // RFC 4271 §5.1.4: what one neighbouring AS says in MED is not for a third one.
            if !from.as_path().is_empty() && !path.med_unchanged {
                editor.remove(code::MED);
            }
            editor.retain_ext_communities(ExtCommunity::is_transitive);
            if policy.role.is_some_and(roles::marks) && from.only_to_customer().is_none() {
                // The AS that the neighbour knows us by: it holds the mark against that one (RFC 9234 §5).
                editor.set_only_to_customer(
                    path.local_as.map_or(policy.local_asn, |local| local.asn),
                );
            }
        }
        SessionKind::Internal { .. } => {
            if from.local_pref().is_none() {
                editor.set_local_pref(DEFAULT_LOCAL_PREF);
            }
        }
    }
}

/// What is changed after the export policy. `None`: the neighbour cannot be told after all.
fn finish(
    policy: &EgressPolicy,
    editor: &mut AttributeEditor<'_>,
    from: &AttributeSet,
    chosen: Option<NextHopSetting>,
    origination: Origination,
) -> Option<()> {
    let next_hop = match chosen {
        None => next_hop(policy.next_hop, from.next_hop(), origination),
        Some(NextHopSetting::Own | NextHopSetting::PeerAddress) => policy.own_address?,
        Some(NextHopSetting::Address(_)) => from.next_hop(),
        // A link-local address means nothing on another link (RFC 2545 §2).
        Some(NextHopSetting::Unchanged) => from.next_hop().without_link_local(),
    };
    if !is_usable(policy, next_hop) {
        return None;
    }
    editor.set_next_hop(next_hop);
    *editor.local() = LocalAttributes::default();
    match policy.session {
        SessionKind::External { path, .. } => {
            path.prepend(policy.local_asn, editor);
            // Set by a policy, it would still mean nothing there (RFC 4271 §5.1.5).
            editor.remove(code::LOCAL_PREF).remove(code::ORIGINATOR_ID).remove(code::CLUSTER_LIST);
        }
        SessionKind::Internal { .. } => {
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
    Some(())
}

fn may_be_told(policy: &EgressPolicy, attributes: &AttributeSet, origination: Origination) -> bool {
    let has = |wanted| attributes.communities().any(|community| community == wanted);
    // RFC 9494 §4.3: whoever does not know the mark might prefer the route.
    let unread = attributes.long_lived_stale() && !policy.long_lived;
    if unread || has(community::NO_ADVERTISE) {
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
    // Whoever is not on the link of a link-local address has no use for it (RFC 2545 §2).
    let current = current.without_link_local();
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
