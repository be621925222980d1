//! What neighbours have been told, and what they still have to be: UPDATEs are written when a connection can take them.

use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use super::add_path::{AddPathSend, SentPaths};
use super::egress::{Egress, PolicyId};
use super::peers::{Peers, Source};
use super::table::{DestinationId, OWN_PATH, Table};
use super::{IdSet, RouteFamily};
use crate::wire::{AttributeInterner, AttributeSet, RouteRefresh, UpdatePacker};

/// Destinations looked at before something is written: what has the same attributes among them shares UPDATEs.
const BATCH: usize = 1024;

/// One neighbour's view of one family.
#[derive(Debug, Default)]
pub(crate) struct AdjOut {
    /// The neighbour has a route from us.
    pub(super) sent: IdSet,
    /// The neighbour has to be told what is best now.
    pub(super) pending: IdSet,
    /// The neighbour has to be told of a better path, once announcements may go out again.
    deferred: IdSet,
    /// Where to go on in `pending`: in circles, so that nothing waits for ever.
    cursor: DestinationId,
    round: Option<Round>,
    pub(super) listening: Option<Listening>,
    /// Which paths it has, if it is told several of a destination (RFC 7911).
    pub(super) paths: Option<Box<SentPaths>>,
    /// It is told the default route, whatever is in the table.
    originates_default: bool,
}

/// A neighbour that is told routes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listening {
    pub(super) policy: PolicyId,
    /// Never a next hop for the neighbour itself (RFC 4271 §5.1.3).
    pub(super) address: IpAddr,
}

/// The whole table is being sent.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// Destinations below this number belong to it.
    until: DestinationId,
    begun: bool,
    mark: Mark,
}

/// What is said around a whole table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// End-of-RIB (RFC 4724 §2).
    EndOfRib,
    /// Begin and end of a route refresh (RFC 7313).
    Refresh,
    /// The same around all that a resumed session is told, because our predecessor may have told more; and the
    /// End-of-RIB that it may not have got to.
    Resume,
    /// Nothing.
    Silent,
}

/// What writing needs from the speaker.
#[derive(Debug)]
pub(crate) struct Transmit<'a> {
    pub(crate) peers: &'a Peers,
    pub(crate) egress: &'a mut Egress,
    pub(crate) interner: &'a mut AttributeInterner,
    pub(crate) packer: UpdatePacker,
    /// Whether the end of the initial routes may be said: not before ours are all in (RFC 4724 §4.1).
    pub(crate) may_end: bool,
    /// Announcements have to wait, withdrawals not.
    pub(crate) hold: bool,
    /// Something was announced.
    pub(crate) announced: bool,
    /// Stop once so many bytes are written.
    pub(crate) enough: usize,
}

/// Routes of one batch with the same attributes.
#[derive(Debug)]
struct Group {
    attributes: Arc<AttributeSet>,
    routes: Vec<DestinationId>,
}

impl<F: RouteFamily> Table<F> {
    /// A neighbour is up: it gets everything.
    pub(crate) fn listen(
        &mut self,
        neighbor: u32,
        policy: PolicyId,
        address: IpAddr,
        add_path: Option<AddPathSend>,
        mark: Mark,
    ) {
        self.stop_listening(neighbor);
        let index = neighbor as usize;
        if index >= self.adj_out.len() {
            self.adj_out.resize_with(index + 1, AdjOut::default);
        }
        self.adj_out[index].listening = Some(Listening { policy, address });
        self.adj_out[index].paths = add_path.map(|choice| Box::new(SentPaths::new(choice)));
        self.listeners.push(neighbor);
        self.note_add_path();
        self.send_all(neighbor, mark);
    }

    /// From the next whole table on, a neighbour that is up is told a default route that is in no table, and the table's own
    /// is not told.
    pub(crate) fn originate_default(&mut self, neighbor: u32) {
        if let Some(adj_out) = self.adj_out.get_mut(neighbor as usize) {
            adj_out.originates_default = F::default_route().is_some();
        }
    }

    /// Another policy applies to a neighbour that is up: it gets everything again.
    pub(crate) fn change_policy(&mut self, neighbor: u32, policy: PolicyId) {
        let adj_out = self.adj_out.get_mut(neighbor as usize);
        if let Some(listening) = adj_out.and_then(|adj_out| adj_out.listening.as_mut())
            && listening.policy != policy
        {
            listening.policy = policy;
            self.send_all(neighbor, Mark::Silent);
        }
    }

    /// The policies of all neighbours that are up.
    pub(crate) fn policies(&self) -> Vec<PolicyId> {
        let listening = self.adj_out.iter().filter_map(|adj_out| adj_out.listening);
        listening.map(|listening| listening.policy).collect()
    }

    /// A neighbour is down.
    pub(crate) fn stop_listening(&mut self, neighbor: u32) {
        self.listeners.retain(|listener| *listener != neighbor);
        let Some(adj_out) = self.adj_out.get_mut(neighbor as usize) else { return };
        let AdjOut { sent, pending, deferred, .. } = mem::take(adj_out);
        self.note_add_path();
        for id in sent.iter().chain(pending.iter()).chain(deferred.iter()) {
            self.release(id);
        }
    }

    fn note_add_path(&mut self) {
        self.has_add_path = self.adj_out.iter().any(|adj_out| adj_out.paths.is_some());
    }

    /// Sends the whole table, again if it was sent before.
    pub(crate) fn send_all(&mut self, neighbor: u32, mark: Mark) {
        let Some(adj_out) = self.adj_out.get_mut(neighbor as usize) else { return };
        if adj_out.listening.is_none() {
            return;
        }
        // An End-of-RIB that is still due stays due.
        let mark = match adj_out.round {
            Some(Round { mark: due @ (Mark::EndOfRib | Mark::Resume), .. }) => due,
            _ => mark,
        };
        let until = DestinationId::try_from(self.destinations.len()).unwrap_or(DestinationId::MAX);
        adj_out.round = Some(Round { until, begun: false, mark });
        adj_out.cursor = 0;
        if let Some(paths) = &mut adj_out.paths {
            paths.forget_versions();
        }
        for id in 0..until {
            let known = !self.destinations[id as usize].paths.is_empty();
            if known && self.adj_out[neighbor as usize].pending.insert(id) {
                self.refer(id);
            }
        }
    }

    /// What had to wait may be told.
    pub(crate) fn release_deferred(&mut self, neighbor: u32) {
        let Some(adj_out) = self.adj_out.get_mut(neighbor as usize) else { return };
        let deferred = mem::take(&mut adj_out.deferred);
        for id in deferred.iter() {
            if !self.adj_out[neighbor as usize].pending.insert(id) {
                self.release(id);
            }
        }
    }

    /// The neighbour has this route from our predecessor: if we do not announce it again, it is withdrawn at the end of
    /// the resumed table.
    pub(crate) fn presume_sent(&mut self, neighbor: u32, key: F::Key) {
        let ignores = |adj_out: &AdjOut| {
            adj_out.listening.is_none() || adj_out.originates_default && is_default::<F>(&key)
        };
        if self.adj_out.get(neighbor as usize).is_none_or(ignores) {
            return;
        }
        let id = self.find_or_create(key);
        let adj_out = &mut self.adj_out[neighbor as usize];
        if adj_out.sent.insert(id) {
            if let Some(paths) = &mut adj_out.paths {
                paths.presume(id, OWN_PATH);
            }
            self.refer(id);
        }
    }

    /// Routes that the neighbour has from us.
    pub(crate) fn sent(&self, neighbor: u32) -> usize {
        self.adj_out
            .get(neighbor as usize)
            .map_or(0, |adj_out| adj_out.sent.len() + usize::from(adj_out.originates_default))
    }

    /// Destinations of which the neighbour has to be told.
    pub(crate) fn pending(&self, neighbor: u32) -> usize {
        let pending = |adj_out: &AdjOut| adj_out.pending.len() + adj_out.deferred.len();
        self.adj_out.get(neighbor as usize).map_or(0, pending)
    }

    /// Keys of the routes that the neighbour has from us.
    pub(crate) fn sent_keys(&self, neighbor: u32) -> impl Iterator<Item = &F::Key> {
        let sent =
            self.adj_out.get(neighbor as usize).into_iter().flat_map(|adj_out| adj_out.sent.iter());
        sent.map(|id| &self.destinations[id as usize].key)
    }

    /// Writes UPDATEs for a neighbour until it knows everything or there is enough.
    pub(crate) fn transmit(
        &mut self,
        neighbor: u32,
        context: &mut Transmit<'_>,
        out: &mut Vec<u8>,
    ) {
        while out.len() < context.enough {
            self.begin_round(neighbor, context, out);
            let (batch, round_ended) = self.next_batch(neighbor);
            if !batch.is_empty() {
                self.write_batch(neighbor, &batch, context, out);
            }
            if round_ended && self.end_round(neighbor, context, out) {
                continue;
            }
            if batch.is_empty() {
                return;
            }
        }
    }

    fn begin_round(&mut self, neighbor: u32, context: &mut Transmit<'_>, out: &mut Vec<u8>) {
        let Some(adj_out) = self.adj_out.get_mut(neighbor as usize) else { return };
        if let Some(round @ Round { begun: false, .. }) = &mut adj_out.round {
            round.begun = true;
            if matches!(round.mark, Mark::Refresh | Mark::Resume) {
                RouteRefresh { family: F::FAMILY, subtype: RouteRefresh::BEGIN }.encode(out);
            }
            if adj_out.originates_default
                && let Some(listening) = adj_out.listening
            {
                let id = adj_out.paths.as_ref().map(|_| OWN_PATH.into());
                announce_default::<F>(listening.policy, id, context, out);
            }
        }
    }

    /// Takes destinations off the pending set; tells whether those of a round are all taken.
    fn next_batch(&mut self, neighbor: u32) -> (Vec<DestinationId>, bool) {
        let mut batch = Vec::new();
        let Some(adj_out) = self.adj_out.get_mut(neighbor as usize) else { return (batch, false) };
        while batch.len() < BATCH {
            let next = adj_out.pending.next_from(adj_out.cursor);
            let ends_round =
                adj_out.round.is_some_and(|round| next.is_none_or(|id| id >= round.until));
            if ends_round {
                return (batch, true);
            }
            match next {
                Some(id) => {
                    adj_out.cursor = id + 1;
                    batch.push(id);
                }
                None if adj_out.cursor == 0 => break,
                None => adj_out.cursor = 0,
            }
            if let Some(id) = next {
                adj_out.pending.remove(id);
            }
        }
        (batch, false)
    }

    /// Says what is to be said after a whole table. `false`: it may not be said yet.
    fn end_round(&mut self, neighbor: u32, context: &Transmit<'_>, out: &mut Vec<u8>) -> bool {
        let may_end = context.may_end && !self.owes_answers();
        let adj_out = &mut self.adj_out[neighbor as usize];
        let Some(round) = adj_out.round else { return false };
        match round.mark {
            // What came in since belongs to the round too.
            Mark::EndOfRib | Mark::Resume if !may_end || waited(round, adj_out) => {
                adj_out.round = Some(Round { until: DestinationId::MAX, ..round });
                adj_out.cursor = 0;
                return !adj_out.pending.is_empty();
            }
            Mark::Resume if self.withdraw_orphans(neighbor) => return true,
            Mark::EndOfRib => context.packer.end_of_rib(F::FAMILY, out),
            Mark::Refresh => {
                RouteRefresh { family: F::FAMILY, subtype: RouteRefresh::END }.encode(out);
            }
            Mark::Resume => {
                RouteRefresh { family: F::FAMILY, subtype: RouteRefresh::END }.encode(out);
                context.packer.end_of_rib(F::FAMILY, out);
            }
            Mark::Silent => {}
        }
        self.adj_out[neighbor as usize].round = None;
        true
    }

    /// Has withdrawn what the neighbour has from our predecessor and nobody announces. Returns whether there is any.
    fn withdraw_orphans(&mut self, neighbor: u32) -> bool {
        let adj_out = &self.adj_out[neighbor as usize];
        let is_orphan = |id: &DestinationId| self.destinations[*id as usize].paths.is_empty();
        let orphans: Vec<DestinationId> = adj_out.sent.iter().filter(is_orphan).collect();
        for id in &orphans {
            if self.adj_out[neighbor as usize].pending.insert(*id) {
                self.refer(*id);
            }
        }
        let adj_out = &mut self.adj_out[neighbor as usize];
        if let Some(round) = &mut adj_out.round {
            round.until = DestinationId::MAX;
            adj_out.cursor = 0;
        }
        !orphans.is_empty()
    }

    fn write_batch(
        &mut self,
        neighbor: u32,
        batch: &[DestinationId],
        context: &mut Transmit<'_>,
        out: &mut Vec<u8>,
    ) {
        // A whole table is not a change.
        let hold = context.hold && self.adj_out[neighbor as usize].round.is_none();
        if self.adj_out[neighbor as usize].paths.is_some() {
            return self.write_paths(neighbor, batch, hold, context, out);
        }
        let mut withdrawn = Vec::new();
        let mut groups = Groups::default();
        for id in batch {
            match self.attributes_for(neighbor, *id, context) {
                Some(_) if hold => self.defer(neighbor, *id),
                Some(attributes) => groups.add(attributes, *id),
                None if self.is_undecided(*id, context.peers) => {}
                None if self.adj_out[neighbor as usize].sent.contains(*id) => withdrawn.push(*id),
                None => {}
            }
        }
        let peers = context.peers;
        for group in groups.list {
            let routes = group.routes.iter().filter_map(|id| {
                let (path, _) = self.told(*id, peers)?;
                Some((&self.destinations[*id as usize].key, &path.payload))
            });
            if context.packer.announce::<F>(&group.attributes, routes, out).is_ok() {
                self.note_sent(neighbor, &group.routes);
                context.announced = true;
            } else {
                // RFC 8654 §4: what cannot be told to this neighbour is not left as it was before.
                let sent = &self.adj_out[neighbor as usize].sent;
                withdrawn.extend(group.routes.iter().filter(|id| sent.contains(**id)));
            }
        }
        if !withdrawn.is_empty() {
            let keys = withdrawn.iter().map(|id| &self.destinations[*id as usize].key);
            context.packer.withdraw::<F>(keys, out);
        }
        for id in &withdrawn {
            if self.adj_out[neighbor as usize].sent.remove(*id) {
                self.release(*id);
            }
        }
        for id in batch {
            self.release(*id);
        }
    }

    pub(super) fn defer(&mut self, neighbor: u32, id: DestinationId) {
        if self.adj_out[neighbor as usize].deferred.insert(id) {
            self.refer(id);
        }
    }

    fn note_sent(&mut self, neighbor: u32, routes: &[DestinationId]) {
        for id in routes {
            if self.adj_out[neighbor as usize].sent.insert(*id) {
                self.refer(*id);
            }
        }
    }

    /// The neighbour gets our own default route instead of the table's, and summaries instead of what is in them.
    pub(super) fn hides(&self, neighbor: u32, id: DestinationId) -> bool {
        let key = &self.destinations[id as usize].key;
        self.adj_out[neighbor as usize].originates_default && is_default::<F>(key)
            || self.summaries.iter().any(|summary| F::is_inside(key, summary))
    }

    /// What the neighbour is to be told of a destination: attributes, or that it cannot be reached through us.
    fn attributes_for(
        &self,
        neighbor: u32,
        id: DestinationId,
        context: &mut Transmit<'_>,
    ) -> Option<Arc<AttributeSet>> {
        let listening = self.adj_out[neighbor as usize].listening?;
        if self.hides(neighbor, id) {
            return None;
        }
        let (path, peer) = self.told(id, context.peers)?;
        if path.source == Source::neighbor(neighbor) {
            return None;
        }
        let attributes = context.egress.attributes(
            listening.policy,
            F::route_ref(&self.destinations[id as usize].key, &path.payload),
            &path.attributes,
            path.source,
            peer,
            context.interner,
        )?;
        (attributes.next_hop().address() != listening.address).then_some(attributes)
    }
}

/// The default route, of which the export policy is not asked, as in FRR.
/// `id`: its path identifier, for a neighbour with ADD-PATH.
fn announce_default<F: RouteFamily>(
    policy: PolicyId,
    id: Option<u32>,
    context: &mut Transmit<'_>,
    out: &mut Vec<u8>,
) {
    let Some((key, next_hop)) = F::default_route() else { return };
    let attributes = Arc::new(AttributeSet::builder(next_hop).build());
    if let Some(attributes) =
        context.egress.attributes_beside_policy(policy, &attributes, context.interner)
    {
        // A few octets fit into any message.
        let payload = F::Payload::default();
        let _ = match id {
            Some(id) => {
                context.packer.announce_paths::<F>(&attributes, [(id, &key, &payload)], out)
            }
            None => context.packer.announce::<F>(&attributes, [(&key, &payload)], out),
        };
    }
}

fn is_default<F: RouteFamily>(key: &F::Key) -> bool {
    F::default_route().is_some_and(|(default, _)| default == *key)
}

/// Whether a round that had to wait for its end has more to send.
fn waited(round: Round, adj_out: &AdjOut) -> bool {
    round.until == DestinationId::MAX && !adj_out.pending.is_empty()
}

/// Routes by attributes, in the order of their first route.
#[derive(Debug, Default)]
struct Groups {
    list: Vec<Group>,
    by_address: HashMap<usize, usize, foldhash::fast::RandomState>,
}

impl Groups {
    fn add(&mut self, attributes: Arc<AttributeSet>, route: DestinationId) {
        // Neighbours in the table mostly came in one UPDATE.
        if let Some(last) = self.list.last_mut()
            && Arc::ptr_eq(&last.attributes, &attributes)
        {
            return last.routes.push(route);
        }
        let next = self.list.len();
        let index = *self.by_address.entry(Arc::as_ptr(&attributes).addr()).or_insert(next);
        match self.list.get_mut(index) {
            Some(group) => group.routes.push(route),
            None => self.list.push(Group { attributes, routes: vec![route] }),
        }
    }
}
