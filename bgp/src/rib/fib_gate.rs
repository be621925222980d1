//! Announce only what forwards: FRR's `bgp suppress-fib-pending`, for unicast routes that neighbours told us.
//!
//! Each best path that is reported gets a token, and whoever installs it answers with that token. What neighbours are
//! told of a destination is then the first of these that there is:
//!
//! 1. the best path, if it is our own or has been confirmed to forward;
//! 2. the path that was confirmed last: it forwards until its successor replaces it, so neighbours keep it, and those
//!    that come meanwhile get it;
//! 3. our own path, if a received one is better but waits: own routes are never held back.
//!
//! Otherwise nothing. A path that is gone from the table may so be told a little longer, until the answer for its
//! successor is there; a destination without any path is withdrawn at once.
//!
//! A destination costs 4 bytes and two bits here, one more bit after a restart until it is decided, and a path in a box
//! while (2) applies. Everything is O(1) per change and answer. A table that holds nothing back has no gate.

use std::num::NonZeroU32;

use hashbrown::HashMap;

use super::peers::{Peer, Peers, Source};
use super::table::{DestinationId, Path, Table};
use super::{IdSet, RouteFamily, RouteKey};

/// Names one report of one best path. An answer with it cannot be taken for an answer to a later report of the same
/// destination. (It is a counter of 32 bits per family: an answer would have to be late by 4 billion reports.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FibToken(NonZeroU32);

/// What became of a route in whatever forwards: the kernel, or the ASIC behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FibState {
    /// Packets to the destination go the way of this best path.
    Forwarding,
    /// They do not, nor the way of a best path before it.
    NotForwarding,
}

/// An answer to a reported best path. Later answers may take it back, as often as things change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FibReport {
    /// Which destination.
    pub key: RouteKey,
    /// From the event that is answered.
    pub token: FibToken,
    /// The answer.
    pub state: FibState,
}

/// What is known of each destination's way into the FIB.
#[derive(Debug)]
pub(super) struct FibGate<F: RouteFamily> {
    /// By destination: the token of its best path; 0 if that is not reported yet, or needs no answer.
    tokens: Vec<u32>,
    last_token: u32,
    /// The best path is received and forwards.
    forwarding: IdSet,
    /// What a neighbour has of these is to be withdrawn unless there is something to tell. A destination that is neither
    /// here nor told was never decided: a neighbour that has it, has it from our predecessor, and keeps it.
    refused: IdSet,
    /// Confirmed paths whose successors wait for an answer.
    standing: HashMap<DestinationId, Box<Standing<F>>>,
    /// After our restart: destinations that peers may still have from before, and nobody has answered for.
    owed: Option<IdSet>,
}

/// A path that forwards although another one is best.
#[derive(Debug)]
pub(super) struct Standing<F: RouteFamily> {
    path: Path<F>,
    /// As it was: the neighbour may be gone, and its place another one's.
    peer: Peer,
    token: u32,
}

/// Who has to be told after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    None,
    /// The best path is what neighbours have, but there are others beside it again.
    ForAddPath,
    ForAll,
}

impl<F: RouteFamily> Default for FibGate<F> {
    fn default() -> Self {
        Self {
            tokens: Vec::new(),
            last_token: 0,
            forwarding: IdSet::default(),
            refused: IdSet::default(),
            standing: HashMap::new(),
            owed: None,
        }
    }
}

impl<F: RouteFamily> Table<F> {
    /// From now on only what forwards is told.
    pub(crate) fn hold_until_forwarding(&mut self) {
        self.gate = Some(FibGate::default());
    }

    /// An answer to a best path that was reported. Those to older reports change nothing, but that the path of an older
    /// one no longer forwards.
    pub(crate) fn handle_fib(
        &mut self,
        key: &F::Key,
        token: FibToken,
        state: FibState,
        peers: &Peers,
    ) {
        let Some(id) = self.find(key) else { return };
        let Some(gate) = &mut self.gate else { return };
        let Some(best) = self.destinations[id as usize].paths.first() else { return };
        let news = match state {
            FibState::Forwarding => gate.confirm(id, token, best, peers),
            FibState::NotForwarding if gate.refuse(id, token) => News::ForAll,
            FibState::NotForwarding => News::None,
        };
        match news {
            News::None => {}
            News::ForAddPath => self.tell_other_paths(id),
            News::ForAll => self.tell_neighbors(id),
        }
    }

    /// After our restart, at the moment when all paths are decided: peers are not told the end of our routes before
    /// these have been answered for. Nothing was told until now: what came and went meanwhile does not count.
    pub(crate) fn owe_answers(&mut self) {
        let Some(gate) = &mut self.gate else { return };
        let mut owed = IdSet::default();
        for (id, destination) in (0..).zip(&self.destinations) {
            if destination.paths.first().is_some_and(|best| !best.source.is_local()) {
                owed.insert(id);
                gate.refused.remove(id);
            }
        }
        gate.owed = Some(owed).filter(|owed| !owed.is_empty());
    }

    pub(crate) fn owes_answers(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.owed.is_some())
    }

    /// Nobody has answered for these in time: they do not forward, as far as we know. Returns how many they are.
    pub(crate) fn give_up_on_answers(&mut self) -> usize {
        let Some(gate) = &mut self.gate else { return 0 };
        let Some(owed) = gate.owed.take() else { return 0 };
        for id in owed.iter() {
            gate.refused.insert(id);
        }
        owed.iter().for_each(|id| self.tell_neighbors(id));
        owed.len()
    }

    /// Whether the best path waits for an answer, or has a bad one.
    pub(crate) fn is_best_held(&self, key: &F::Key) -> bool {
        let Some(gate) = &self.gate else { return false };
        let Some(id) = self.find(key) else { return false };
        let best = self.destinations[id as usize].paths.first();
        best.is_some_and(|best| !gate.is_told(id, best))
    }

    /// The path that neighbours are told of, and who it is from.
    #[inline]
    pub(super) fn told<'a>(
        &'a self,
        id: DestinationId,
        peers: &'a Peers,
    ) -> Option<(&'a Path<F>, &'a Peer)> {
        let paths = &self.destinations[id as usize].paths;
        match &self.gate {
            None => paths.first().map(|best| (best, peers.get(best.source))),
            Some(gate) => gate.told(id, paths, peers),
        }
    }

    /// There is nothing to tell, and no reason to withdraw what a neighbour has.
    pub(super) fn is_undecided(&self, id: DestinationId, peers: &Peers) -> bool {
        self.gate.as_ref().is_some_and(|gate| {
            let paths = &self.destinations[id as usize].paths;
            !gate.refused.contains(id) && !paths.is_empty() && gate.told(id, paths, peers).is_none()
        })
    }

    /// To be asked before the paths of a destination change: its best path, if that forwards.
    #[inline]
    pub(super) fn standing(&self, id: DestinationId, peers: &Peers) -> Option<Box<Standing<F>>> {
        let gate = self.gate.as_ref()?;
        gate.standing(id, &self.destinations[id as usize].paths, peers)
    }

    /// The paths of a destination have changed: because `source` told something, and `standing` forwarded until now.
    /// `best_changed`: the best one is another.
    #[inline(never)]
    pub(super) fn pass_gate(
        &mut self,
        id: DestinationId,
        source: Source,
        best_changed: bool,
        standing: Option<Box<Standing<F>>>,
    ) {
        let Some(gate) = &mut self.gate else { return };
        let tell = if best_changed {
            gate.supersede(id, &self.destinations[id as usize].paths, source, standing)
        } else {
            source.is_local() && gate.own_path_changed(id)
        };
        if tell {
            self.tell_neighbors(id);
        }
    }
}

impl<F: RouteFamily> FibGate<F> {
    // These are not inlined, so that tables without a gate do not carry them about.

    #[inline(never)]
    fn standing(
        &self,
        id: DestinationId,
        paths: &[Path<F>],
        peers: &Peers,
    ) -> Option<Box<Standing<F>>> {
        let path = paths.first().filter(|_| self.forwarding.contains(id))?.clone();
        let peer = *peers.get(path.source);
        Some(Box::new(Standing { path, peer, token: self.token(id) }))
    }

    /// The destination has another best path, or none: because `source` told something, and `standing` forwarded until
    /// now. Returns whether neighbours are to be told.
    fn supersede(
        &mut self,
        id: DestinationId,
        paths: &[Path<F>],
        source: Source,
        standing: Option<Box<Standing<F>>>,
    ) -> bool {
        self.set_token(id, 0);
        self.forwarding.remove(id);
        if paths.first().is_none_or(|best| best.source.is_local()) {
            self.standing.remove(&id);
            // Neither of the two waits for an answer, and whatever received path comes next starts from nothing.
            self.refused.insert(id);
            self.decided(id);
            return true;
        }
        if let Some(standing) = standing {
            self.standing.insert(id, standing);
        }
        !self.standing.contains_key(&id) && (self.refused.contains(id) || source.is_local())
    }

    /// Our own path is another one, or gone, and a received one is better. Returns whether neighbours are to be told.
    fn own_path_changed(&mut self, id: DestinationId) -> bool {
        if self.forwarding.contains(id) || self.standing.contains_key(&id) {
            return false;
        }
        self.refused.insert(id);
        true
    }

    /// The best path is being reported.
    #[inline(never)]
    pub(super) fn report(&mut self, id: DestinationId, best: &Path<F>) -> Option<FibToken> {
        if best.source.is_local() {
            return None;
        }
        let token = NonZeroU32::new(self.last_token.wrapping_add(1)).unwrap_or(NonZeroU32::MIN);
        self.last_token = token.get();
        self.set_token(id, token.get());
        Some(FibToken(token))
    }

    /// The number will be another destination's.
    pub(super) fn forget(&mut self, id: DestinationId) {
        self.set_token(id, 0);
        self.forwarding.remove(id);
        self.refused.remove(id);
        self.standing.remove(&id);
        self.decided(id);
    }

    fn confirm(
        &mut self,
        id: DestinationId,
        token: FibToken,
        best: &Path<F>,
        peers: &Peers,
    ) -> News {
        if self.token(id) != token.0.get() || !self.forwarding.insert(id) {
            return News::None;
        }
        self.refused.remove(id);
        self.decided(id);
        // It may have come back to what it was, and then neighbours have heard of no other best path.
        let same = |standing: Box<Standing<F>>| {
            standing.path.is_same(best) && standing.peer == *peers.get(best.source)
        };
        if self.standing.remove(&id).is_some_and(same) { News::ForAddPath } else { News::ForAll }
    }

    fn refuse(&mut self, id: DestinationId, token: FibToken) -> bool {
        let token = token.0.get();
        if self.token(id) == token {
            self.forwarding.remove(id);
            self.decided(id);
        } else if self.standing.get(&id).is_none_or(|standing| standing.token != token) {
            return false;
        }
        self.standing.remove(&id);
        self.refused.insert(id)
    }

    #[inline(never)]
    fn told<'a>(
        &'a self,
        id: DestinationId,
        paths: &'a [Path<F>],
        peers: &'a Peers,
    ) -> Option<(&'a Path<F>, &'a Peer)> {
        let best = paths.first()?;
        if self.is_told(id, best) {
            return Some((best, peers.get(best.source)));
        }
        if let Some(standing) = self.standing.get(&id) {
            return Some((&standing.path, &standing.peer));
        }
        let own = paths.iter().find(|path| path.source.is_local())?;
        Some((own, peers.get(own.source)))
    }

    fn is_told(&self, id: DestinationId, best: &Path<F>) -> bool {
        best.source.is_local() || self.forwarding.contains(id)
    }

    fn decided(&mut self, id: DestinationId) {
        if let Some(owed) = &mut self.owed
            && owed.remove(id)
            && owed.is_empty()
        {
            self.owed = None;
        }
    }

    fn token(&self, id: DestinationId) -> u32 {
        self.tokens.get(id as usize).copied().unwrap_or(0)
    }

    fn set_token(&mut self, id: DestinationId, token: u32) {
        let index = id as usize;
        if let Some(place) = self.tokens.get_mut(index) {
            *place = token;
        } else if token != 0 {
            self.tokens.resize(index + 1, 0);
            self.tokens[index] = token;
        }
    }
}
