//! Out of the speaker: what to send, what to do, what happened, when to call again.

use std::time::Instant;

use super::{Action, BestPath, ConnectionId, EqualPath, Event, NeighborId, PathSource, Speaker};
use crate::rib::RouteFamily;
use crate::rib::adj_out::Transmit;
use crate::rib::peers::{Peers, Source};
use crate::rib::table::{Changed, Path, Table};
use crate::types::AfiSafi;
use crate::wire::{EvpnPayload, FamilySet, HEADER_LEN, UpdatePacker};

impl Speaker {
    /// What this connection should be sent now. To be called only when the transport can take it: UPDATEs are made
    /// here, from what is best now. About `max_bytes`; the last message may go beyond.
    pub fn poll_transmit(&mut self, connection: ConnectionId, max_bytes: usize) -> Option<Vec<u8>> {
        let index = self.connections.get(&connection)?.neighbor;
        let neighbor = self.neighbors.get_mut(index as usize)?.as_mut()?;
        let mut out = neighbor.session.take_outbound(connection);
        if let Some(negotiated) = neighbor.session.established_on(connection) {
            let packer = UpdatePacker {
                max_len: negotiated.max_message(),
                four_octet_as: negotiated.four_octet_as,
            };
            let hold = neighbor.mrai.holds();
            let (mut announced, mut all_told) = (false, true);
            for family in negotiated.families.iter().filter(|family| !self.deferral.holds(*family))
            {
                let mut context = Transmit {
                    peers: &self.peers,
                    egress: &mut self.egress,
                    interner: &mut self.interner,
                    packer,
                    may_end: self.ready.contains(family),
                    hold,
                    announced: false,
                    enough: max_bytes,
                };
                if let Some(table) = self.tables.get_mut(family) {
                    table.transmit(index, &mut context, &mut out);
                    announced |= context.announced;
                    all_told &= table.pending(index) == 0;
                }
            }
            if neighbor.mrai.note_written(announced, all_told) {
                self.wake_at = Some(self.born);
            }
        }
        neighbor.counters.sent += count_messages(&out);
        (!out.is_empty()).then_some(out)
    }

    /// The next thing to do with a connection.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing that happened; best paths last, each with its latest state.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.stopped {
            return None;
        }
        // Best paths before the word that they are all decided.
        if matches!(self.events.front(), Some(Event::Converged { .. })) {
            return self.poll_best_path().or_else(|| self.events.pop_front());
        }
        self.events.pop_front().or_else(|| self.poll_best_path())
    }

    /// Whether [`Self::poll_event`] has something.
    pub fn has_events(&self) -> bool {
        !self.stopped
            && (!self.events.is_empty()
                || self
                    .undeferred()
                    .any(|family| self.tables.get(family).is_some_and(|table| table.has_changes())))
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wake_at
    }

    fn undeferred(&self) -> impl Iterator<Item = AfiSafi> {
        FamilySet::ALL.iter().filter(|family| !self.deferral.holds(*family))
    }

    fn poll_best_path(&mut self) -> Option<Event> {
        let holds = |family| self.deferral.holds(family);
        let evpn = !holds(AfiSafi::L2VPN_EVPN);
        let ipv4 = !holds(AfiSafi::IPV4_UNICAST);
        let ipv6 = !holds(AfiSafi::IPV6_UNICAST);
        let tables = &mut self.tables;
        let best = ipv4.then(|| best_path(&mut tables.ipv4, &self.peers)).flatten();
        let best =
            best.or_else(|| ipv6.then(|| best_path(&mut tables.ipv6, &self.peers)).flatten());
        let best =
            best.or_else(|| evpn.then(|| best_path(&mut tables.evpn, &self.peers)).flatten());
        best.map(Event::BestPath)
    }
}

fn best_path<F: RouteFamily>(table: &mut Table<F>, peers: &Peers) -> Option<BestPath> {
    let Changed { key, best, equal, token } = table.poll_changed()?;
    let key = F::route_key(&key);
    Some(match best {
        Some(Path { attributes, source, payload, .. }) => BestPath {
            key,
            payload: F::payload(&payload),
            best: Some(attributes),
            source: Some(path_source(source, peers)),
            equal: if equal.is_empty() { Vec::new() } else { equal_paths(equal, peers) },
            fib: token,
        },
        None => BestPath {
            key,
            payload: EvpnPayload::default(),
            best: None,
            source: None,
            equal: Vec::new(),
            fib: None,
        },
    })
}

#[inline(never)]
fn equal_paths<F: RouteFamily>(paths: Vec<Path<F>>, peers: &Peers) -> Vec<EqualPath> {
    let equal_path = |Path { attributes, source, payload, .. }: Path<F>| EqualPath {
        attributes,
        payload: F::payload(&payload),
        source: path_source(source, peers),
    };
    paths.into_iter().map(equal_path).collect()
}

pub(super) fn path_source(source: Source, peers: &Peers) -> PathSource {
    source.neighbor_index().map_or(PathSource::Local, |index| {
        let peer = peers.get(source);
        PathSource::Neighbor {
            id: NeighborId(index),
            address: peer.address,
            scope_id: peer.scope_id,
            external: peer.external,
        }
    })
}

/// Whole messages in what we are about to send.
fn count_messages(mut out: &[u8]) -> u64 {
    let mut count = 0;
    while let Some([high, low]) = out.get(16..18) {
        let len = usize::from(u16::from_be_bytes([*high, *low])).max(HEADER_LEN);
        out = out.get(len..).unwrap_or_default();
        count += 1;
    }
    count
}
