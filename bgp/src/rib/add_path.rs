//! Several paths of a destination told to one neighbour (RFC 7911).
//!
//! Every path has a number within its destination, from when it appears until it is gone; that is the path identifier that
//! neighbours get, and ours is always the same one. A neighbour with ADD-PATH has a list of what it was told of each
//! destination; one without it costs nothing here.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::RouteFamily;
use super::adj_out::Transmit;
use super::best_path;
use super::peers::{Peer, Peers, Source};
use super::table::{DestinationId, Path, PathNumber, Table};
use crate::wire::AttributeSet;

/// Which paths a neighbour with ADD-PATH is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddPathSend {
    /// All.
    All,
    /// The best one of each neighbouring AS.
    BestPerAs,
    /// So many of the best.
    Best(u8),
}

/// What a neighbour has from us.
#[derive(Debug)]
pub(super) struct SentPaths {
    choice: AddPathSend,
    told: HashMap<DestinationId, SmallVec<[SentPath; 2]>, RandomState>,
}

#[derive(Debug)]
struct SentPath {
    number: PathNumber,
    /// As which it was told; `None` if it has to be told again in any case.
    version: Option<Arc<AttributeSet>>,
}

/// A path to tell.
struct Chosen<F: RouteFamily> {
    id: DestinationId,
    number: PathNumber,
    attributes: Arc<AttributeSet>,
    payload: F::Payload,
}

impl SentPaths {
    pub(super) fn new(choice: AddPathSend) -> Self {
        Self { choice, told: HashMap::default() }
    }

    /// Everything has to be told again.
    pub(super) fn forget_versions(&mut self) {
        for path in self.told.values_mut().flatten() {
            path.version = None;
        }
    }

    /// A path has changed, or its number is another one's.
    pub(super) fn forget_version(&mut self, id: DestinationId, number: PathNumber) {
        let paths = self.told.get_mut(&id);
        if let Some(path) = paths.and_then(|paths| paths.iter_mut().find(|it| it.number == number))
        {
            path.version = None;
        }
    }

    /// The neighbour has a path from our predecessor.
    pub(super) fn presume(&mut self, id: DestinationId, number: PathNumber) {
        self.told.entry(id).or_default().push(SentPath { number, version: None });
    }

    /// The numbers of what the neighbour has of a destination.
    fn numbers(&self, id: DestinationId) -> SmallVec<[PathNumber; 8]> {
        self.told.get(&id).into_iter().flatten().map(|path| path.number).collect()
    }

    fn has(&self, id: DestinationId, number: PathNumber, version: &Arc<AttributeSet>) -> bool {
        self.told.get(&id).into_iter().flatten().any(|path| {
            path.number == number
                && path.version.as_ref().is_some_and(|told| Arc::ptr_eq(told, version))
        })
    }

    fn note(&mut self, id: DestinationId, number: PathNumber, version: &Arc<AttributeSet>) {
        let version = Some(Arc::clone(version));
        let paths = self.told.entry(id).or_default();
        match paths.iter_mut().find(|path| path.number == number) {
            Some(path) => path.version = version,
            None => paths.push(SentPath { number, version }),
        }
    }

    /// Returns whether the neighbour has nothing of the destination any more.
    fn remove(&mut self, id: DestinationId, number: PathNumber) -> bool {
        let Some(paths) = self.told.get_mut(&id) else { return false };
        paths.retain(|path| path.number != number);
        let is_empty = paths.is_empty();
        if is_empty {
            self.told.remove(&id);
        }
        is_empty
    }
}

impl<F: RouteFamily> Table<F> {
    /// A path appeared, changed or went: neighbours with ADD-PATH have to be told, whether it is the best one or not.
    #[inline(never)]
    pub(super) fn tell_add_path_neighbors(&mut self, id: DestinationId, number: PathNumber) {
        for place in 0..self.listeners.len() {
            let neighbor = self.listeners[place];
            if let Some(paths) = &mut self.adj_out[neighbor as usize].paths {
                paths.forget_version(id, number);
                self.tell_neighbor(neighbor, id);
            }
        }
    }

    /// Neighbours with ADD-PATH may be told of other paths than until now; none of them has changed.
    pub(super) fn tell_other_paths(&mut self, id: DestinationId) {
        for place in 0..self.listeners.len() {
            let neighbor = self.listeners[place];
            if self.adj_out[neighbor as usize].paths.is_some() {
                self.tell_neighbor(neighbor, id);
            }
        }
    }

    /// Writes what a neighbour with ADD-PATH has to be told of these destinations.
    pub(super) fn write_paths(
        &mut self,
        neighbor: u32,
        batch: &[DestinationId],
        hold: bool,
        context: &mut Transmit<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut withdrawn: Vec<(DestinationId, PathNumber)> = Vec::new();
        let mut groups: Vec<Vec<Chosen<F>>> = Vec::new();
        let mut by_address: HashMap<usize, usize, RandomState> = HashMap::default();
        for id in batch {
            let Some(chosen) = self.paths_for(neighbor, *id, context) else { continue };
            let Some(sent) = &self.adj_out[neighbor as usize].paths else { continue };
            let is_chosen = |number: &PathNumber| chosen.iter().any(|path| path.number == *number);
            let gone = sent.numbers(*id).into_iter().filter(|number| !is_chosen(number));
            withdrawn.extend(gone.map(|number| (*id, number)));
            let mut news = chosen;
            news.retain(|path| !sent.has(*id, path.number, &path.attributes));
            if hold && !news.is_empty() {
                self.defer(neighbor, *id);
                continue;
            }
            for path in news {
                let address = Arc::as_ptr(&path.attributes).addr();
                let group = *by_address.entry(address).or_insert(groups.len());
                match groups.get_mut(group) {
                    Some(group) => group.push(path),
                    None => groups.push(vec![path]),
                }
            }
        }
        for group in groups {
            self.announce_paths(neighbor, &group, &mut withdrawn, context, out);
        }
        self.withdraw_paths(neighbor, &withdrawn, context, out);
        for id in batch {
            self.release(*id);
        }
    }

    /// Paths with one attribute set. What has no room beside it is withdrawn (RFC 8654 §4).
    fn announce_paths(
        &mut self,
        neighbor: u32,
        group: &[Chosen<F>],
        withdrawn: &mut Vec<(DestinationId, PathNumber)>,
        context: &mut Transmit<'_>,
        out: &mut Vec<u8>,
    ) {
        let Some(first) = group.first() else { return };
        let paths = group.iter().map(|path| {
            let key = &self.destinations[path.id as usize].key;
            (u32::from(path.number), key, &path.payload)
        });
        if context.packer.announce_paths::<F>(&first.attributes, paths, out).is_err() {
            if let Some(sent) = &self.adj_out[neighbor as usize].paths {
                let told = group.iter().filter(|path| sent.numbers(path.id).contains(&path.number));
                withdrawn.extend(told.map(|path| (path.id, path.number)));
            }
            return;
        }
        context.announced = true;
        for path in group {
            let adj_out = &mut self.adj_out[neighbor as usize];
            if let Some(sent) = &mut adj_out.paths {
                sent.note(path.id, path.number, &path.attributes);
            }
            if adj_out.sent.insert(path.id) {
                self.refer(path.id);
            }
        }
    }

    fn withdraw_paths(
        &mut self,
        neighbor: u32,
        withdrawn: &[(DestinationId, PathNumber)],
        context: &Transmit<'_>,
        out: &mut Vec<u8>,
    ) {
        if withdrawn.is_empty() {
            return;
        }
        let paths = withdrawn
            .iter()
            .map(|(id, number)| (u32::from(*number), &self.destinations[*id as usize].key));
        context.packer.withdraw_paths::<F>(paths, out);
        for (id, number) in withdrawn {
            let adj_out = &mut self.adj_out[neighbor as usize];
            let has_nothing = adj_out.paths.as_mut().is_some_and(|sent| sent.remove(*id, *number));
            if has_nothing && adj_out.sent.remove(*id) {
                self.release(*id);
            }
        }
    }

    /// What the neighbour is to be told of a destination; `None`: that is not decided yet.
    fn paths_for(
        &self,
        neighbor: u32,
        id: DestinationId,
        context: &mut Transmit<'_>,
    ) -> Option<SmallVec<[Chosen<F>; 4]>> {
        let adj_out = &self.adj_out[neighbor as usize];
        let (listening, sent) = (adj_out.listening?, adj_out.paths.as_ref()?);
        if self.hides(neighbor, id) {
            return Some(SmallVec::new());
        }
        let destination = &self.destinations[id as usize];
        let Some((told, peer)) = self.told(id, context.peers) else {
            return (!self.is_undecided(id, context.peers)).then(SmallVec::new);
        };
        let is_best = destination.paths.first().is_some_and(|best| std::ptr::eq(best, told));
        // While something else than the best path forwards, there is but that.
        let paths: SmallVec<[(&Path<F>, &Peer); 8]> = if is_best {
            choose(&destination.key, &destination.paths, sent.choice, context.peers)
        } else {
            SmallVec::from_slice(&[(told, peer)])
        };
        let mut chosen = SmallVec::new();
        for (path, peer) in paths {
            if path.source == Source::neighbor(neighbor) || path.number == PathNumber::MIN {
                continue;
            }
            let attributes = context.egress.attributes(
                listening.policy,
                F::route_ref(&destination.key, &path.payload),
                &path.attributes,
                path.source,
                peer,
                context.interner,
            );
            let usable = attributes.filter(|it| it.next_hop().address() != listening.address);
            if let Some(attributes) = usable {
                let payload = path.payload.clone();
                chosen.push(Chosen { id, number: path.number, attributes, payload });
            }
        }
        Some(chosen)
    }
}

fn choose<'a, F: RouteFamily>(
    key: &F::Key,
    paths: &'a [Path<F>],
    choice: AddPathSend,
    peers: &'a Peers,
) -> SmallVec<[(&'a Path<F>, &'a Peer); 8]> {
    let all: SmallVec<[usize; 8]> = (0..paths.len()).collect();
    let chosen: SmallVec<[usize; 8]> = match choice {
        AddPathSend::All => all,
        AddPathSend::BestPerAs => best_per_as(key, paths, all, peers),
        AddPathSend::Best(count) => {
            let mut left = all;
            let best = std::iter::from_fn(|| {
                let best = best_path::best_among(key, paths, &left, peers)?;
                left.retain(|place| *place != best);
                Some(best)
            });
            best.take(count.into()).collect()
        }
    };
    let path = |place: usize| paths.get(place).map(|path| (path, peers.get(path.source)));
    chosen.into_iter().filter_map(path).collect()
}

fn best_per_as<F: RouteFamily>(
    key: &F::Key,
    paths: &[Path<F>],
    mut left: SmallVec<[usize; 8]>,
    peers: &Peers,
) -> SmallVec<[usize; 8]> {
    let neighbor_as = |place: usize| paths.get(place).and_then(|path| path.attributes.first_as());
    let mut chosen = SmallVec::new();
    while let Some(first) = left.first() {
        let asn = neighbor_as(*first);
        let of_as: SmallVec<[usize; 8]> =
            left.iter().copied().filter(|place| neighbor_as(*place) == asn).collect();
        left.retain(|place| neighbor_as(*place) != asn);
        chosen.extend(best_path::best_among(key, paths, &of_as, peers));
    }
    chosen
}
