//! The table of one family: destinations, their paths, and which of them each neighbour still has to be told.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use ipnet::IpNet;
use smallvec::SmallVec;

use super::adj_out::AdjOut;
use super::best_path::{self, Decision};
use super::fib_gate::{FibGate, FibToken, Standing};
use super::peers::{Peers, Source};
use super::{IdSet, RouteFamily};
use crate::wire::{AttributeInterner, AttributeSet, community};

/// Dense number of a destination. It is given to another one only when nobody refers to it any more.
pub(crate) type DestinationId = u32;

/// Names a path among those to its destination, from when it appears until it is gone. Neighbours with ADD-PATH know it by
/// this; 0 if there were too many, and then they are not told of it.
pub(super) type PathNumber = u8;

/// The number of our own path: always the same, so that it is known after a restart.
pub(super) const OWN_PATH: PathNumber = 1;

/// Paths of one neighbour to one destination (RFC 7911); what it tells beyond is not taken.
const MOST_PATHS_OF_ONE: usize = 64;

/// One way to a destination.
#[derive(Debug, Clone)]
pub(crate) struct Path<F: RouteFamily> {
    pub(crate) attributes: Arc<AttributeSet>,
    /// The neighbour's identifier of it (RFC 7911); 0 without ADD-PATH. Together with the source, it names the path.
    pub(crate) id: u32,
    pub(crate) source: Source,
    pub(super) number: PathNumber,
    /// From before the neighbour's restart, and not heard of since (RFC 4724 §4.2).
    pub(crate) stale: bool,
    pub(crate) payload: F::Payload,
}

const _: () =
    assert!(size_of::<Path<crate::wire::Ipv4Unicast>>() == 16, "a table has millions of these");

impl<F: RouteFamily> Path<F> {
    /// A path that is heard of now.
    pub(crate) fn new(
        attributes: Arc<AttributeSet>,
        source: Source,
        id: u32,
        payload: F::Payload,
    ) -> Self {
        Self { attributes, id, source, number: 0, stale: false, payload }
    }

    fn is_from(&self, source: Source, id: u32) -> bool {
        self.source == source && self.id == id
    }

    /// The same for everybody who is told of it. Attribute sets that are equal are one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_from(other.source, other.id)
            && Arc::ptr_eq(&self.attributes, &other.attributes)
            && self.payload == other.payload
    }
}

/// A key, all paths to it, and which of them are used.
#[derive(Debug)]
pub(super) struct Destination<F: RouteFamily> {
    pub(super) key: F::Key,
    /// The best one first, then those that share its load, the others in no order.
    pub(super) paths: SmallVec<[Path<F>; 1]>,
    /// How many are used: the best one and those that share its load.
    used: u16,
    /// In how many sets the destination's number is.
    references: u32,
}

impl<F: RouteFamily> Destination<F> {
    /// A neighbour has to be told of it.
    #[inline(always)]
    fn note_for(&mut self, id: DestinationId, adj_out: &mut AdjOut) {
        if self.paths.is_empty() && !adj_out.sent.contains(id) {
            self.references -= u32::from(adj_out.pending.remove(id));
        } else {
            self.references += u32::from(adj_out.pending.insert(id));
        }
    }

    /// Arranges the paths as decided, after the one at `place` was changed, added or removed. Returns whether other ones
    /// are used now, or one of them is not what it was.
    #[inline(always)]
    fn use_as(&mut self, decision: &Decision, place: usize) -> bool {
        let was_used = usize::from(self.used);
        if self.paths.len() < 2 {
            self.used = u16::from(!self.paths.is_empty());
            return place < was_used || was_used != usize::from(self.used);
        }
        self.arrange(decision, place < was_used)
    }

    /// The paths that share the load of the best one.
    #[inline(never)]
    fn equal_paths(&self) -> Vec<Path<F>> {
        self.paths.iter().take(self.used.into()).skip(1).cloned().collect()
    }

    /// A neighbour may tell many paths with ADD-PATH, and each costs a look at all.
    fn is_crowded_by(&self, source: Source) -> bool {
        self.paths.len() >= MOST_PATHS_OF_ONE
            && self.paths.iter().filter(|path| path.source == source).count() >= MOST_PATHS_OF_ONE
    }

    /// The lowest number that no path has.
    #[inline(always)]
    fn free_number(&self, source: Source) -> PathNumber {
        if source.is_local() {
            OWN_PATH
        } else if self.paths.is_empty() {
            OWN_PATH + 1
        } else {
            self.search_free_number()
        }
    }

    #[inline(never)]
    fn search_free_number(&self) -> PathNumber {
        let mut taken = [false; 256];
        for path in &self.paths {
            taken[usize::from(path.number)] = true;
        }
        (OWN_PATH + 1..=PathNumber::MAX).find(|it| !taken[usize::from(*it)]).unwrap_or(0)
    }

    #[inline(never)]
    fn arrange(&mut self, decision: &Decision, used_one_changed: bool) -> bool {
        let Decision { best, equal } = decision;
        let was_used = usize::from(self.used);
        let others = equal.iter().chain([best]).any(|place| *place >= was_used);
        let changed = used_one_changed || equal.len() + 1 != was_used || others;
        self.paths.swap(0, *best);
        let mut places: SmallVec<[usize; 4]> =
            equal.iter().map(|place| if *place == 0 { *best } else { *place }).collect();
        places.sort_unstable();
        // Each is at its new place or behind it, so nothing that is in its place is swapped away again.
        for (to, from) in (1..).zip(places) {
            self.paths.swap(to, from);
        }
        self.used = u16::try_from(equal.len() + 1).unwrap_or(u16::MAX);
        changed
    }
}

/// A best path that is another one now, or shares its load with others now.
#[derive(Debug)]
pub(crate) struct Changed<F: RouteFamily> {
    pub(crate) key: F::Key,
    pub(crate) best: Option<Path<F>>,
    /// Those that share its load.
    pub(crate) equal: Vec<Path<F>>,
    pub(crate) token: Option<FibToken>,
}

/// All routes of one family.
#[derive(Debug)]
pub(crate) struct Table<F: RouteFamily> {
    hasher: RandomState,
    index: HashTable<DestinationId>,
    /// Destinations with a path.
    reachable: usize,
    pub(super) destinations: Vec<Destination<F>>,
    free: Vec<DestinationId>,
    /// Best paths to be reported; `None` if nobody asked for them.
    changed: Option<IdSet>,
    /// The last one that was reported: the search goes on from there.
    reported: DestinationId,
    /// Numbers of the neighbours in `adj_out` that are told routes.
    pub(super) listeners: Vec<u32>,
    pub(super) adj_out: Vec<AdjOut>,
    /// One of them is told several paths of a destination.
    pub(super) has_add_path: bool,
    /// Paths per neighbour.
    received: Vec<u32>,
    /// Most paths per neighbour; who is not in it, or has `u32::MAX`, has no limit.
    limits: Vec<u32>,
    /// Aggregates in the place of all that is inside them: what is inside is not told.
    pub(super) summaries: Vec<IpNet>,
    /// What may be told because it forwards; `None` if that does not matter.
    pub(super) gate: Option<FibGate<F>>,
}

impl<F: RouteFamily> Table<F> {
    pub(crate) fn new(report_changes: bool) -> Self {
        Self {
            hasher: RandomState::default(),
            index: HashTable::new(),
            reachable: 0,
            destinations: Vec::new(),
            free: Vec::new(),
            changed: report_changes.then(IdSet::default),
            reported: 0,
            listeners: Vec::new(),
            adj_out: Vec::new(),
            has_add_path: false,
            received: Vec::new(),
            limits: Vec::new(),
            summaries: Vec::new(),
            gate: None,
        }
    }

    /// Has neighbours told nothing that is inside these prefixes.
    pub(crate) fn summarize(&mut self, summaries: &[IpNet]) {
        self.summaries = summaries.to_vec();
    }

    /// Destinations that can be reached.
    pub(crate) fn len(&self) -> usize {
        self.reachable
    }

    /// Places for destinations.
    pub(crate) fn slots(&self) -> usize {
        self.destinations.len()
    }

    /// Places taken, also by what cannot be reached any more and somebody has yet to be told of.
    pub(crate) fn slots_in_use(&self) -> usize {
        self.index.len()
    }

    /// Paths of a neighbour.
    pub(crate) fn received(&self, neighbor: u32) -> usize {
        self.received.get(neighbor as usize).map_or(0, |count| *count as usize)
    }

    /// The same of a source.
    pub(super) fn received_from(&self, source: Source) -> usize {
        source.neighbor_index().map_or(0, |neighbor| self.received(neighbor))
    }

    /// From now on a neighbour may have at most so many paths.
    pub(crate) fn set_limit(&mut self, neighbor: u32, limit: Option<u32>) {
        let index = neighbor as usize;
        if index >= self.limits.len() {
            self.limits.resize(index + 1, u32::MAX);
        }
        self.limits[index] = limit.unwrap_or(u32::MAX);
    }

    /// The most paths that a source may have.
    pub(super) fn limit(&self, source: Source) -> usize {
        let neighbor = source.neighbor_index();
        let limit = neighbor.and_then(|neighbor| self.limits.get(neighbor as usize));
        limit.map_or(usize::MAX, |limit| *limit as usize)
    }

    /// Whether a source has more paths than it may. Its stale ones are not held against it: with ADD-PATH, they may stand
    /// beside the new ones under other identifiers, and go now if there is no room for both.
    #[inline(never)]
    pub(super) fn is_beyond_limit(&mut self, source: Source, peers: &Peers) -> bool {
        let limit = self.limit(source);
        if self.received_from(source) > limit {
            self.flush(source, true, peers);
        }
        self.received_from(source) > limit
    }

    /// Keys with all their paths, the best one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&F::Key, &[Path<F>])> {
        self.destinations
            .iter()
            .filter(|destination| !destination.paths.is_empty())
            .map(|destination| (&destination.key, destination.paths.as_slice()))
    }

    /// As [`Self::iter`], from a place on.
    pub(crate) fn iter_from(
        &self,
        place: usize,
    ) -> impl Iterator<Item = (usize, &F::Key, &[Path<F>])> {
        let rest = self.destinations.iter().enumerate().skip(place);
        rest.filter(|(_, destination)| !destination.paths.is_empty())
            .map(|(place, destination)| (place, &destination.key, destination.paths.as_slice()))
    }

    /// All paths to a destination, the best one first.
    pub(crate) fn get(&self, key: &F::Key) -> Option<&[Path<F>]> {
        let paths = &self.destinations[self.find(key)? as usize].paths;
        (!paths.is_empty()).then_some(paths)
    }

    /// How many of the paths to a destination are used: the first ones of [`Self::get`].
    pub(crate) fn used(&self, key: &F::Key) -> usize {
        self.find(key).map_or(0, |id| self.destinations[id as usize].used.into())
    }

    /// Takes a path: a new one, or a new version of what the source has told under its identifier.
    pub(crate) fn insert(&mut self, key: F::Key, path: Path<F>, peers: &Peers) {
        let id = self.find_or_create(key);
        let source = path.source;
        let standing = self.standing(id, peers);
        let destination = &mut self.destinations[id as usize];
        let place = destination.paths.iter().position(|old| old.is_from(source, path.id));
        let place = match place {
            Some(index) => {
                let old = &mut destination.paths[index];
                if Arc::ptr_eq(&old.attributes, &path.attributes) && old.payload == path.payload {
                    old.stale = path.stale;
                    return;
                }
                *old = Path { number: old.number, ..path };
                index
            }
            // One path more of a neighbour that has told more than anybody needs is as good as withdrawn.
            None if destination.is_crowded_by(source) => return,
            None => {
                count(&mut self.received, path.source, 1);
                let number = destination.free_number(source);
                destination.paths.push(Path { number, ..path });
                let index = destination.paths.len() - 1;
                self.reachable += usize::from(index == 0);
                index
            }
        };
        let number = destination.paths[place].number;
        self.reselect(id, source, place, standing, peers);
        if self.has_add_path {
            self.tell_add_path_neighbors(id, number);
        }
    }

    /// Forgets a path.
    pub(crate) fn remove(&mut self, key: &F::Key, source: Source, path_id: u32, peers: &Peers) {
        if let Some(id) = self.find(key) {
            self.remove_from(id, source, |path| path.id == path_id, peers);
        }
    }

    /// Forgets all paths of a source, or only its stale ones.
    pub(crate) fn flush(&mut self, source: Source, only_stale: bool, peers: &Peers) {
        for id in 0..self.destinations.len() {
            let Ok(id) = DestinationId::try_from(id) else { return };
            // With ADD-PATH it may have several.
            while self.remove_from(id, source, |path| path.stale || !only_stale, peers) {}
        }
    }

    /// From now on the source has to confirm each of its paths.
    pub(crate) fn mark_stale(&mut self, source: Source) {
        for path in self.destinations.iter_mut().flat_map(|destination| &mut destination.paths) {
            if path.source == source {
                path.stale = true;
            }
        }
    }

    /// The source's stale paths are the last choice from now on, and so for everybody who is told of them; those that say
    /// so themselves go (RFC 9494 §4.2).
    pub(crate) fn begin_long_lived(
        &mut self,
        source: Source,
        peers: &Peers,
        interner: &mut AttributeInterner,
    ) {
        let mut marked: HashMap<usize, Arc<AttributeSet>, RandomState> = HashMap::default();
        for id in 0..self.destinations.len() {
            let Ok(id) = DestinationId::try_from(id) else { return };
            let destination = &self.destinations[id as usize];
            let stale = |path: &&Path<F>| path.source == source && path.stale;
            // With ADD-PATH it may have several.
            let paths: SmallVec<[Path<F>; 1]> =
                destination.paths.iter().filter(stale).cloned().collect();
            if paths.is_empty() {
                continue;
            }
            let key = destination.key.clone();
            for path in paths {
                if path.attributes.communities().any(|community| community == community::NO_LLGR) {
                    self.remove(&key, source, path.id, peers);
                    continue;
                }
                let address = Arc::as_ptr(&path.attributes).addr();
                let attributes = marked.entry(address).or_insert_with(|| {
                    let mut editor = path.attributes.edit();
                    interner.intern_set(editor.add_community(community::LLGR_STALE).build())
                });
                let attributes = Arc::clone(attributes);
                self.insert(key.clone(), Path { attributes, ..path }, peers);
            }
        }
    }

    /// From now on best paths are reported, beginning with all that there are.
    pub(crate) fn report_all(&mut self) {
        self.changed.get_or_insert_default();
        for id in 0..self.destinations.len() {
            let Ok(id) = DestinationId::try_from(id) else { return };
            if !self.destinations[id as usize].paths.is_empty() {
                self.report(id);
            }
        }
    }

    /// The next best path that changed since it was last reported, or shares its load with others now: `None` inside if
    /// there is none any more. With a token, if neighbours are told of it only after [`Self::handle_fib`].
    pub(crate) fn poll_changed(&mut self) -> Option<Changed<F>> {
        let changed = self.changed.as_ref()?;
        let id = changed.next_from(self.reported).or_else(|| changed.next_from(0))?;
        self.reported = id;
        let destination = &self.destinations[id as usize];
        let key = destination.key.clone();
        let best = destination.paths.first().cloned();
        let equal = if destination.used > 1 { destination.equal_paths() } else { Vec::new() };
        let token = match (&mut self.gate, &best) {
            (Some(gate), Some(best)) => gate.report(id, best),
            _ => None,
        };
        if let Some(changed) = &mut self.changed {
            changed.remove(id);
        }
        self.release(id);
        Some(Changed { key, best, equal, token })
    }

    pub(crate) fn has_changes(&self) -> bool {
        self.changed.as_ref().is_some_and(|changed| !changed.is_empty())
    }

    /// One reference less: the destination may go.
    pub(super) fn release(&mut self, id: DestinationId) {
        let destination = &mut self.destinations[id as usize];
        destination.references = destination.references.saturating_sub(1);
        self.free_if_unused(id);
    }

    pub(super) fn refer(&mut self, id: DestinationId) {
        self.destinations[id as usize].references += 1;
    }

    /// Neighbours have to be told of this destination. Who does not know it needs not hear that it is gone: so what
    /// comes and goes while a neighbour does not read leaves nothing behind.
    #[inline(always)]
    pub(super) fn tell_neighbors(&mut self, id: DestinationId) {
        let destination = &mut self.destinations[id as usize];
        for neighbor in &self.listeners {
            destination.note_for(id, &mut self.adj_out[*neighbor as usize]);
        }
    }

    pub(super) fn tell_neighbor(&mut self, neighbor: u32, id: DestinationId) {
        self.destinations[id as usize].note_for(id, &mut self.adj_out[neighbor as usize]);
    }

    #[inline(always)]
    fn report(&mut self, id: DestinationId) {
        if let Some(changed) = &mut self.changed {
            self.destinations[id as usize].references += u32::from(changed.insert(id));
        }
    }

    pub(super) fn find(&self, key: &F::Key) -> Option<DestinationId> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |id| self.destinations[*id as usize].key == *key).copied()
    }

    pub(super) fn find_or_create(&mut self, key: F::Key) -> DestinationId {
        let hash = self.hasher.hash_one(&key);
        let destinations = &mut self.destinations;
        if let Some(id) = self.index.find(hash, |id| destinations[*id as usize].key == key) {
            return *id;
        }
        let destination = Destination { key, paths: SmallVec::new(), used: 0, references: 0 };
        let id = match self.free.pop() {
            Some(id) => {
                destinations[id as usize] = destination;
                id
            }
            None => {
                let id = DestinationId::try_from(destinations.len()).unwrap_or(DestinationId::MAX);
                destinations.push(destination);
                id
            }
        };
        let hasher = &self.hasher;
        self.index.insert_unique(hash, id, |id| hasher.hash_one(&destinations[*id as usize].key));
        id
    }

    /// Removes one path of a source that is to go. Returns whether there was one.
    #[inline(always)]
    fn remove_from(
        &mut self,
        id: DestinationId,
        source: Source,
        is_to_go: impl Fn(&Path<F>) -> bool,
        peers: &Peers,
    ) -> bool {
        let gone = |path: &Path<F>| path.source == source && is_to_go(path);
        let paths = &self.destinations[id as usize].paths;
        let Some(place) = paths.iter().position(gone) else { return false };
        let standing = self.standing(id, peers);
        let destination = &mut self.destinations[id as usize];
        let number = destination.paths.remove(place).number;
        if self.has_add_path {
            self.tell_add_path_neighbors(id, number);
        }
        let destination = &mut self.destinations[id as usize];
        count(&mut self.received, source, -1);
        self.reachable -= usize::from(destination.paths.is_empty());
        self.reselect(id, source, place, standing, peers);
        true
    }

    /// Brings the best path to the front, and those that share its load next, after `source` has changed or withdrawn its
    /// own, at `place`. `standing`: what was best, if it forwarded.
    fn reselect(
        &mut self,
        id: DestinationId,
        source: Source,
        place: usize,
        standing: Option<Box<Standing<F>>>,
        peers: &Peers,
    ) {
        let destination = &mut self.destinations[id as usize];
        let decision = best_path::decide::<F>(&destination.key, &destination.paths, peers);
        let best_changed = place == 0 || decision.best != 0;
        let changed = destination.use_as(&decision, place) || best_changed;
        if self.gate.is_some() {
            self.pass_gate(id, source, best_changed, standing);
        } else if best_changed {
            self.tell_neighbors(id);
        }
        if changed {
            self.report(id);
            self.free_if_unused(id);
        }
    }

    #[inline(always)]
    fn free_if_unused(&mut self, id: DestinationId) {
        let destination = &self.destinations[id as usize];
        if destination.references == 0 && destination.paths.is_empty() {
            self.free(id);
        }
    }

    #[inline(never)]
    fn free(&mut self, id: DestinationId) {
        let hash = self.hasher.hash_one(&self.destinations[id as usize].key);
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == id) {
            entry.remove();
            self.free.push(id);
            if let Some(gate) = &mut self.gate {
                gate.forget(id);
            }
        }
    }
}

fn count(received: &mut Vec<u32>, source: Source, change: i32) {
    let Some(neighbor) = source.neighbor_index() else { return };
    let neighbor = neighbor as usize;
    if neighbor >= received.len() {
        received.resize(neighbor + 1, 0);
    }
    received[neighbor] = received[neighbor].saturating_add_signed(change);
}
