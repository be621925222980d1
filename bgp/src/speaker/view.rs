//! The speaker as its operator sees it. Copies, so that they can leave the engine's task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::neighbor::Neighbor;
use super::output::path_source;
use super::{NeighborConfig, NeighborId, PathSource, Speaker};
use crate::bfd;
use crate::mrt::DumpPeer;
use crate::policy::Policy;
use crate::rib::peers::{Peers, Source};
use crate::rib::table::{Path, Table};
use crate::rib::{RouteFamily, RouteKey};
use crate::session::negotiate::Negotiated;
use crate::session::{DownReason, SessionState};
use crate::types::AfiSafi;
use crate::wire::{AttributeSet, EvpnPayload, FamilySet, Open};

/// One neighbour.
#[derive(Debug, Clone)]
pub struct NeighborSummary {
    /// Which one.
    pub id: NeighborId,
    /// What it was told to be.
    pub config: NeighborConfig,
    /// Where its session stands.
    pub state: SessionState,
    /// It connected from a [`super::ListenRange`], and is forgotten when its session is over.
    pub dynamic: bool,
    /// Taken down by the operator.
    pub shutdown: bool,
    /// Its session is about to go (RFC 8326).
    pub graceful_shutdown: bool,
    /// The family of which it sent more than it may: so the session is down until it rests no more, or is reset.
    pub over_limit: Option<AfiSafi>,
    /// Where its BFD session stands, if there is one.
    pub bfd: Option<bfd::SessionState>,
    /// What both sides agreed on, while routes flow.
    pub negotiated: Option<Arc<Negotiated>>,
    /// Our and its end of the connection, while routes flow.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Since when routes flow.
    pub established_since: Option<Instant>,
    /// How often routes began to flow.
    pub established_count: u64,
    /// Why the last session ended.
    pub last_error: Option<DownReason>,
    /// Why the last attempt to connect failed, until one succeeds.
    pub connect_error: Option<String>,
    /// Messages from it.
    pub messages_received: u64,
    /// Messages to it.
    pub messages_sent: u64,
    /// UPDATEs among those from it.
    pub updates_received: u64,
    /// UPDATEs whose routes were withdrawn because of a defect (RFC 7606).
    pub treated_as_withdraw: u64,
    /// Its families, as configured.
    pub families: Vec<FamilySummary>,
}

/// Routes of one family from and to one neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilySummary {
    /// Which family.
    pub family: AfiSafi,
    /// Paths that we have from it.
    pub received: usize,
    /// Routes that it has from us.
    pub sent: usize,
    /// Destinations of which it still has to be told.
    pub pending: usize,
    /// It has sent its End-of-RIB.
    pub end_of_rib: bool,
    /// Nothing is taken from it because there is no import policy (RFC 8212).
    pub import_missing: bool,
    /// It is told nothing because there is no export policy (RFC 8212).
    pub export_missing: bool,
    /// Its routes are from before the rules for them changed, and cannot be had again without a reset.
    pub needs_reset: bool,
}

/// One destination.
#[derive(Debug, Clone)]
pub struct RouteView {
    /// What it is.
    pub key: RouteKey,
    /// Ways to it, the best one first.
    pub paths: Vec<PathView>,
    /// Neighbours are not told of the best one: it does not forward, or nobody has said that it does.
    pub held: bool,
}

/// What the speaker holds in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Destinations that can be reached.
    pub routes: usize,
    /// Places for destinations, and how many of them are taken: also by those that a neighbour still has to forget.
    pub slots: usize,
    /// See above.
    pub slots_in_use: usize,
    /// Attribute sets, each once.
    pub attribute_sets: usize,
    /// Ways to treat neighbours.
    pub policies: usize,
    /// TCP connections.
    pub connections: usize,
}

/// One way to a destination.
#[derive(Debug, Clone)]
pub struct PathView {
    /// Who told it.
    pub source: PathSource,
    /// Its attributes.
    pub attributes: Arc<AttributeSet>,
    /// Labels and the like; default for unicast.
    pub payload: EvpnPayload,
    /// Not confirmed since its neighbour restarted.
    pub stale: bool,
    /// The neighbour's identifier of it; 0 without ADD-PATH (RFC 7911).
    pub path_id: u32,
    /// It is one of several that share the load, the best one among them.
    pub multipath: bool,
}

impl Speaker {
    /// All neighbours, in the order in which they were added.
    pub fn neighbors(&self) -> Vec<NeighborSummary> {
        let neighbors = self.neighbors.iter().zip(0u32..);
        neighbors
            .filter_map(|(neighbor, index)| {
                let neighbor = neighbor.as_ref()?;
                let established = neighbor.session.established();
                let counters = neighbor.counters;
                Some(NeighborSummary {
                    id: NeighborId(index),
                    config: neighbor.config.clone(),
                    state: neighbor.session.state(),
                    dynamic: neighbor.range.is_some(),
                    shutdown: neighbor.session.is_stopped() && neighbor.over_limit.is_none(),
                    graceful_shutdown: neighbor.graceful_shutdown,
                    over_limit: neighbor.over_limit,
                    bfd: neighbor.bfd,
                    negotiated: established.map(|(negotiated, ..)| Arc::clone(negotiated)),
                    addresses: established.map(|(_, local, remote, _)| (local, remote)),
                    established_since: established.map(|(.., since)| since),
                    established_count: counters.established,
                    last_error: neighbor.session.last_error().cloned(),
                    connect_error: neighbor.session.connect_error().map(str::to_owned),
                    messages_received: counters.received,
                    messages_sent: counters.sent,
                    updates_received: counters.updates_received,
                    treated_as_withdraw: counters.treated_as_withdraw,
                    families: neighbor
                        .config
                        .families
                        .iter()
                        .filter_map(|family| self.family_summary(index, neighbor, *family))
                        .collect(),
                })
            })
            .collect()
    }

    /// What we say when we open a session with this neighbour.
    pub fn our_open(&self, id: NeighborId) -> Option<Open> {
        let neighbor = self.neighbors.get(id.0 as usize)?.as_ref()?;
        Some(neighbor.session.our_open())
    }

    /// All destinations of a family that can be reached, in no order.
    pub fn routes(&self, family: AfiSafi) -> Vec<RouteView> {
        match family {
            AfiSafi::IPV4_UNICAST => routes(&self.tables.ipv4, &self.peers),
            AfiSafi::IPV6_UNICAST => routes(&self.tables.ipv6, &self.peers),
            AfiSafi::L2VPN_EVPN => routes(&self.tables.evpn, &self.peers),
            _ => Vec::new(),
        }
    }

    /// Some destinations of a family that can be reached, in no order: at most `limit`, from `from` on, 0 being the
    /// beginning. With where to go on, if there may be more. What is there from the first call to the last is listed once.
    pub fn routes_from(
        &self,
        family: AfiSafi,
        from: usize,
        limit: usize,
    ) -> (Vec<RouteView>, Option<usize>) {
        match family {
            AfiSafi::IPV4_UNICAST => routes_from(&self.tables.ipv4, from, limit, &self.peers),
            AfiSafi::IPV6_UNICAST => routes_from(&self.tables.ipv6, from, limit, &self.peers),
            AfiSafi::L2VPN_EVPN => routes_from(&self.tables.evpn, from, limit, &self.peers),
            _ => (Vec::new(), None),
        }
    }

    /// Everybody who may have told a path, for a dump. `now_unix` is `now` in seconds since 1970.
    pub fn dump_peers(&self, now: Instant, now_unix: u32) -> Vec<DumpPeer> {
        let local = DumpPeer {
            source: PathSource::Local,
            asn: self.config.asn,
            router_id: self.config.router_id,
            since: now_unix,
        };
        let neighbors = self.neighbors.iter().zip(0u32..);
        let neighbors = neighbors.filter_map(|(neighbor, index)| {
            let since = neighbor.as_ref()?.session.established().map_or(now, |(.., since)| since);
            let age = u32::try_from(now.saturating_duration_since(since).as_secs());
            let source = Source::neighbor(index);
            let peer = self.peers.get(source);
            Some(DumpPeer {
                source: path_source(source, &self.peers),
                asn: peer.asn,
                router_id: peer.router_id,
                since: now_unix.saturating_sub(age.unwrap_or(u32::MAX)),
            })
        });
        std::iter::once(local).chain(neighbors).collect()
    }

    /// One destination, if it can be reached.
    pub fn route(&self, key: &RouteKey) -> Option<RouteView> {
        match key {
            RouteKey::Ipv4(key) => route(&self.tables.ipv4, key, &self.peers),
            RouteKey::Ipv6(key) => route(&self.tables.ipv6, key, &self.peers),
            RouteKey::Evpn(key) => route(&self.tables.evpn, key, &self.peers),
        }
    }

    /// Destinations of a family that can be reached.
    pub fn route_count(&self, family: AfiSafi) -> usize {
        self.tables.get(family).map_or(0, |table| table.len())
    }

    /// The routes of a family that a neighbour has from us.
    pub fn advertised(&self, neighbor: NeighborId, family: AfiSafi) -> Vec<RouteKey> {
        match family {
            AfiSafi::IPV4_UNICAST => advertised(&self.tables.ipv4, neighbor),
            AfiSafi::IPV6_UNICAST => advertised(&self.tables.ipv6, neighbor),
            AfiSafi::L2VPN_EVPN => advertised(&self.tables.evpn, neighbor),
            _ => Vec::new(),
        }
    }

    /// What is held in memory.
    pub fn usage(&self) -> Usage {
        let tables = FamilySet::ALL.iter().filter_map(|family| self.tables.get(family));
        let mut usage = Usage {
            routes: 0,
            slots: 0,
            slots_in_use: 0,
            attribute_sets: self.interner.len(),
            policies: self.egress.policy_count(),
            connections: self.connections.len(),
        };
        for table in tables {
            usage.routes += table.len();
            usage.slots += table.slots();
            usage.slots_in_use += table.slots_in_use();
        }
        usage
    }

    fn family_summary(
        &self,
        index: u32,
        neighbor: &Neighbor,
        family: AfiSafi,
    ) -> Option<FamilySummary> {
        let table = self.tables.get(family)?;
        let policy = &neighbor.config.policy;
        let session = neighbor.session.established();
        let external = session.is_some_and(|(negotiated, ..)| negotiated.external);
        Some(FamilySummary {
            family,
            received: table.received(index),
            sent: table.sent(index),
            pending: table.pending(index),
            end_of_rib: neighbor.complete.contains(family),
            import_missing: policy.import(family, external) == Policy::Nothing,
            export_missing: policy.export(family, external) == Policy::Nothing,
            needs_reset: neighbor.needs_reset.contains(family),
        })
    }
}

fn routes<F: RouteFamily>(table: &Table<F>, peers: &Peers) -> Vec<RouteView> {
    table.iter().map(|(key, paths)| route_view(table, key, paths, peers)).collect()
}

fn routes_from<F: RouteFamily>(
    table: &Table<F>,
    from: usize,
    limit: usize,
    peers: &Peers,
) -> (Vec<RouteView>, Option<usize>) {
    let mut routes = Vec::new();
    for (place, key, paths) in table.iter_from(from) {
        if routes.len() == limit {
            return (routes, Some(place));
        }
        routes.push(route_view(table, key, paths, peers));
    }
    (routes, None)
}

fn route<F: RouteFamily>(table: &Table<F>, key: &F::Key, peers: &Peers) -> Option<RouteView> {
    table.get(key).map(|paths| route_view(table, key, paths, peers))
}

fn route_view<F: RouteFamily>(
    table: &Table<F>,
    key: &F::Key,
    paths: &[Path<F>],
    peers: &Peers,
) -> RouteView {
    let used = table.used(key);
    let view = |(place, path): (usize, &Path<F>)| PathView {
        source: path_source(path.source, peers),
        attributes: Arc::clone(&path.attributes),
        payload: F::payload(&path.payload),
        stale: path.stale,
        path_id: path.id,
        multipath: used > 1 && place < used,
    };
    let paths = paths.iter().enumerate().map(view).collect();
    RouteView { key: F::route_key(key), paths, held: table.is_best_held(key) }
}

fn advertised<F: RouteFamily>(table: &Table<F>, neighbor: NeighborId) -> Vec<RouteKey> {
    table.sent_keys(neighbor.0).map(F::route_key).collect()
}
