//! The decision between paths to one destination: RFC 4271 §9.1.2.2, step by step.
//!
//! Step (e), the cost to the next hop, does not exist here: next hops are resolved by the kernel. Before step (a) come
//! the weight that policy gave, degree of preference (§9.1.1: LOCAL_PREF) and, for MAC routes, mobility (RFC 7432 §15: sticky, then the higher
//! sequence number, then the lower next hop). Paths are ruled out step by step instead of compared in pairs, because
//! MED, which counts only between paths of one neighbouring AS, does not order them.
//!
//! What is left before the tie-breaks of step (f) is as good as the best path, and may share its load: see [`Multipath`].

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::multipath::Multipath;
use super::peers::{Peer, Peers};
use super::table::Path;
use crate::rib::RouteFamily;
use crate::wire::{AttributeSet, ExtCommunity};

/// LOCAL_PREF of a path that has none, as everybody does it.
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

/// Which of the paths to a destination are used, by their places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Decision {
    /// The best one; 0 if there are none.
    pub(crate) best: usize,
    /// Those that share its load, in ascending order.
    pub(crate) equal: SmallVec<[usize; 4]>,
}

/// Decides between the paths to one destination.
pub(crate) fn decide<F: RouteFamily>(key: &F::Key, paths: &[Path<F>], peers: &Peers) -> Decision {
    if paths.len() < 2 {
        return Decision::default();
    }
    decide_among::<F>(key, paths.iter().enumerate(), peers)
}

/// The best of the paths at these places.
pub(crate) fn best_among<F: RouteFamily>(
    key: &F::Key,
    paths: &[Path<F>],
    places: &[usize],
    peers: &Peers,
) -> Option<usize> {
    let path = |place: &usize| paths.get(*place).map(|path| (*place, path));
    (!places.is_empty()).then(|| decide_among::<F>(key, places.iter().filter_map(path), peers).best)
}

#[inline(always)]
fn decide_among<'a, F: RouteFamily>(
    key: &F::Key,
    paths: impl Iterator<Item = (usize, &'a Path<F>)>,
    peers: &'a Peers,
) -> Decision {
    let candidates = paths.map(|(index, path)| Candidate {
        index,
        id: path.id,
        local: path.source.is_local(),
        attributes: &path.attributes,
        peer: peers.get(path.source),
    });
    let mut left = Candidates(candidates.collect());
    // RFC 9494 §4.3: the last choice, whatever else is said.
    left.keep_least(|path| path.attributes.long_lived_stale());
    if F::is_mobile(key) {
        left.keep_least(|path| Reverse(mobility(path.attributes)));
        left.keep_least(|path| path.attributes.next_hop());
    }
    left.keep_least(|path| Reverse(path.attributes.local().weight));
    left.keep_least(|path| Reverse(path.attributes.local_pref().unwrap_or(DEFAULT_LOCAL_PREF)));
    left.keep_least(|path| !path.local);
    left.keep_least(|path| path.attributes.as_path_length());
    left.keep_least(|path| path.attributes.origin());
    left.rule_out_by_med();
    left.keep_least(|path| !path.peer.external);
    let multipath = peers.multipath();
    let as_good =
        if multipath.is_on() && left.0.len() > 1 { left.0.clone() } else { SmallVec::new() };
    left.keep_least(|path| path.attributes.originator_id().unwrap_or(path.peer.router_id));
    left.keep_least(|path| path.attributes.cluster_list().len());
    left.keep_least(|path| (path.peer.address, path.peer.scope_id));
    left.keep_least(|path| path.id);
    left.0.first().map_or_else(Decision::default, |best| Decision {
        best: best.index,
        equal: equal(best, &as_good, multipath),
    })
}

/// Of the paths that are as good as the best one, those that may share its load; the same ones whatever their order.
fn equal(
    best: &Candidate<'_>,
    as_good: &[Candidate<'_>],
    rules: Multipath,
) -> SmallVec<[usize; 4]> {
    let is_equal = |path: &&Candidate<'_>| {
        path.index != best.index
            && rules.allows((best.peer, best.attributes), (path.peer, path.attributes))
    };
    let mut equal: SmallVec<[&Candidate<'_>; 8]> = as_good.iter().filter(is_equal).collect();
    let most = usize::from(rules.most(best.peer)).saturating_sub(1);
    if equal.len() > most {
        equal.sort_unstable_by_key(|path| (path.peer.address, path.peer.scope_id, path.id));
        equal.truncate(most);
    }
    let mut places: SmallVec<[usize; 4]> = equal.iter().map(|path| path.index).collect();
    places.sort_unstable();
    places
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    index: usize,
    /// Path identifier: after all else, the lower one of a neighbour's is better.
    id: u32,
    local: bool,
    attributes: &'a AttributeSet,
    peer: &'a Peer,
}

struct Candidates<'a>(SmallVec<[Candidate<'a>; 8]>);

impl Candidates<'_> {
    fn keep_least<K: Ord>(&mut self, key: impl Fn(&Candidate<'_>) -> K) {
        if self.0.len() < 2 {
            return;
        }
        if let Some(least) = self.0.iter().map(&key).min() {
            self.0.retain(|path| key(path) == least);
        }
    }

    /// Step (c): of the paths through one neighbouring AS, only those with the lowest MED stay; none counts as 0.
    fn rule_out_by_med(&mut self) {
        if self.0.len() < 2 {
            return;
        }
        let entry =
            |path: &Candidate<'_>| (path.attributes.first_as(), path.attributes.med().unwrap_or(0));
        // The lowest of each AS comes first.
        let mut lowest: SmallVec<[_; 8]> = self.0.iter().map(entry).collect();
        lowest.sort_unstable();
        lowest.dedup_by_key(|(neighbor_as, _)| *neighbor_as);
        self.0.retain(|path| lowest.binary_search(&entry(path)).is_ok());
    }
}

/// Sticky beats any sequence number; none counts as 0.
fn mobility(attributes: &AttributeSet) -> (bool, u32) {
    attributes.ext_communities().find_map(ExtCommunity::as_mac_mobility).unwrap_or((false, 0))
}

#[cfg(test)]
#[path = "best_path/tests.rs"]
mod tests;
