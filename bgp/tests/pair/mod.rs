//! Speakers, a virtual clock, and links between them whose bytes move only when the test says so.
//!
//! A link behaves like TCP: bytes arrive in order, a closed end is seen by the other one, and a stalled reader lets
//! nothing more be taken from the writer. Time stands still until `advance`.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may stop where it stands, and needs some instant to count from"
)]

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bgp::speaker::{
    Action, BestPath, ConnectionId, Event, NeighborConfig, NeighborId, NeighborSummary, RemoteAs,
    Route, RouteKey, SavedSession, SessionState, Speaker, SpeakerConfig,
};
use bgp::types::{AfiSafi, Asn, Label, MacAddr, RouteDistinguisher, RouterId};
use bgp::wire::{AttributeEditor, AttributeSet, EvpnKey, EvpnPayload, ExtCommunity, NextHop};

pub(crate) const EVPN: AfiSafi = AfiSafi::L2VPN_EVPN;
pub(crate) const IPV4: AfiSafi = AfiSafi::IPV4_UNICAST;
pub(crate) const IPV6: AfiSafi = AfiSafi::IPV6_UNICAST;

/// Room for bytes under way, as a socket has it.
const WINDOW: usize = 64 * 1024;

/// One speaker and what it has reported.
pub(crate) struct Node {
    pub(crate) speaker: Speaker,
    pub(crate) address: IpAddr,
    pub(crate) events: Vec<Event>,
    /// The newest report of each destination.
    pub(crate) best: HashMap<RouteKey, BestPath>,
    /// What a keeper has of it.
    pub(crate) kept: HashMap<ConnectionId, SavedSession>,
    alive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct End {
    node: usize,
    connection: ConnectionId,
}

#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    closed: bool,
    delivered: u64,
}

/// Two ends; a pipe for each direction, named by the end that writes.
struct Wire {
    nodes: [usize; 2],
    ends: [Option<End>; 2],
    pipes: [Pipe; 2],
    stalled: bool,
}

pub(crate) struct Network {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    wires: Vec<Wire>,
    /// Pairs of nodes that cannot reach each other.
    cut: Vec<(usize, usize)>,
    /// Attempts are answered only when the test says so.
    pub(crate) hold_connects: bool,
    held: Vec<(usize, NeighborId, SocketAddr)>,
    /// Bytes that arrive at a time.
    pub(crate) slice: usize,
    /// Everything that was delivered, as (from, to, bytes).
    pub(crate) captured: Vec<(usize, usize, Vec<u8>)>,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self {
            now: Instant::now(),
            nodes: Vec::new(),
            wires: Vec::new(),
            cut: Vec::new(),
            hold_connects: false,
            held: Vec::new(),
            slice: usize::MAX,
            captured: Vec::new(),
        }
    }

    /// A speaker at 192.0.2.(its number).
    pub(crate) fn add(&mut self, config: SpeakerConfig) -> usize {
        let number = u8::try_from(self.nodes.len() + 1).unwrap();
        let speaker = Speaker::new(config, self.now);
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, number));
        self.nodes.push(Node {
            speaker,
            address,
            events: Vec::new(),
            best: HashMap::new(),
            kept: HashMap::new(),
            alive: true,
        });
        self.nodes.len() - 1
    }

    /// kill -9, and a new process at the same place.
    pub(crate) fn restart(&mut self, node: usize, config: SpeakerConfig) {
        self.kill(node);
        let slot = &mut self.nodes[node];
        slot.speaker = Speaker::new(config, self.now);
        slot.events.clear();
        slot.best.clear();
        slot.alive = true;
    }

    /// kill -9: the kernel closes the connections.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].alive = false;
        self.collect_actions();
        for wire in &mut self.wires {
            for end in 0..2 {
                if wire.ends[end].is_some_and(|end| end.node == node) {
                    wire.ends[end] = None;
                    wire.pipes[end].bytes.clear();
                    wire.pipes[end].closed = true;
                }
            }
        }
    }

    /// kill -9 while somebody keeps the connections open.
    pub(crate) fn kill_kept(&mut self, node: usize) {
        self.nodes[node].alive = false;
    }

    /// A new process that goes on with the sessions it can, after `prepare` has told it its neighbours.
    pub(crate) fn resume(
        &mut self,
        node: usize,
        config: SpeakerConfig,
        prepare: impl FnOnce(&mut Self),
    ) -> usize {
        let slot = &mut self.nodes[node];
        let mut kept = std::mem::take(&mut slot.kept);
        slot.speaker = Speaker::new(config, self.now);
        slot.events.clear();
        slot.best.clear();
        slot.alive = true;
        prepare(self);
        let mut resumed = 0;
        for wire in &mut self.wires {
            for side in 0..2 {
                let Some(end) = wire.ends[side].filter(|end| end.node == node) else { continue };
                let saved = kept.remove(&end.connection);
                let connection =
                    saved.and_then(|saved| self.nodes[node].speaker.resume(&saved, self.now));
                resumed += usize::from(connection.is_some());
                wire.pipes[side].closed = connection.is_none();
                wire.ends[side] = connection.map(|connection| End { node, connection });
            }
        }
        self.settle();
        resumed
    }

    /// A keeper goes on holding what it gave back.
    pub(crate) fn keep_again(&mut self, node: usize, saved: SavedSession) {
        let ends = self.wires.iter().flat_map(|wire| wire.ends.iter().flatten());
        for end in ends.filter(|end| end.node == node) {
            self.nodes[node].kept.insert(end.connection, saved.clone());
        }
    }

    /// Makes two speakers neighbours of each other.
    pub(crate) fn peer(
        &mut self,
        a: usize,
        b: usize,
        families: &[AfiSafi],
    ) -> (NeighborId, NeighborId) {
        self.peer_with(a, b, families, |_| {}, |_| {})
    }

    pub(crate) fn peer_with(
        &mut self,
        a: usize,
        b: usize,
        families: &[AfiSafi],
        change_a: impl FnOnce(&mut NeighborConfig),
        change_b: impl FnOnce(&mut NeighborConfig),
    ) -> (NeighborId, NeighborId) {
        let mut at_a = NeighborConfig::new(self.nodes[b].address, RemoteAs::External, families);
        let mut at_b = NeighborConfig::new(self.nodes[a].address, RemoteAs::External, families);
        change_a(&mut at_a);
        change_b(&mut at_b);
        let at_a = self.nodes[a].speaker.add_neighbor(at_a, self.now).unwrap();
        let at_b = self.nodes[b].speaker.add_neighbor(at_b, self.now).unwrap();
        (at_a, at_b)
    }

    /// Tells one side only of a neighbour: the other one knows it still.
    pub(crate) fn peer_at(
        &mut self,
        node: usize,
        other: usize,
        families: &[AfiSafi],
    ) -> NeighborId {
        let neighbor = NeighborConfig::new(self.nodes[other].address, RemoteAs::External, families);
        self.nodes[node].speaker.add_neighbor(neighbor, self.now).unwrap()
    }

    /// A machine dies: nobody closes its connections.
    pub(crate) fn forget_connections(&mut self, node: usize) {
        for wire in &mut self.wires {
            for end in &mut wire.ends {
                if end.is_some_and(|end| end.node == node) {
                    *end = None;
                }
            }
        }
    }

    /// Moves bytes until nothing happens any more at this moment.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut busy = self.collect_actions();
            for wire in 0..self.wires.len() {
                for end in 0..2 {
                    busy |= self.take(wire, end);
                    busy |= self.deliver(wire, end);
                }
            }
            self.collect_events();
            if !busy {
                return;
            }
        }
        panic!("the speakers never come to rest");
    }

    /// Lets time pass, with every timer at its moment.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        loop {
            let alive = self.nodes.iter().filter(|node| node.alive);
            let next = alive.filter_map(|node| node.speaker.poll_timeout()).min();
            match next {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    for node in self.nodes.iter_mut().filter(|node| node.alive) {
                        node.speaker.handle_timeout(self.now);
                    }
                    self.settle();
                }
                _ => break,
            }
        }
        self.now = end;
        for node in self.nodes.iter_mut().filter(|node| node.alive) {
            node.speaker.handle_timeout(self.now);
        }
        self.settle();
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    /// Nothing gets through between two speakers, and nobody is told.
    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        self.cut.push((a, b));
        self.cut.push((b, a));
    }

    pub(crate) fn mend(&mut self, a: usize, b: usize) {
        self.cut.retain(|pair| *pair != (a, b) && *pair != (b, a));
    }

    /// TCP between two speakers breaks, and both notice.
    pub(crate) fn reset_connections(&mut self, a: usize, b: usize) {
        for wire in &mut self.wires {
            if wire.nodes.contains(&a) && wire.nodes.contains(&b) {
                for pipe in &mut wire.pipes {
                    pipe.bytes.clear();
                    pipe.closed = true;
                }
            }
        }
        self.settle();
    }

    /// A node stops reading what others write to it; what fits the window is still taken from them.
    pub(crate) fn stall(&mut self, reader: usize, stalled: bool) {
        for wire in &mut self.wires {
            if wire.ends.iter().flatten().any(|end| end.node == reader) {
                wire.stalled = stalled;
            }
        }
    }

    /// Answers the connects that were held back.
    pub(crate) fn release_connects(&mut self) {
        self.hold_connects = false;
        for (node, neighbor, remote) in std::mem::take(&mut self.held) {
            self.connect(node, neighbor, remote);
        }
    }

    /// Connections that both sides hold open.
    pub(crate) fn open_connections(&self) -> usize {
        self.wires.iter().filter(|wire| wire.ends.iter().all(Option::is_some)).count()
    }

    fn connect(&mut self, node: usize, neighbor: NeighborId, remote: SocketAddr) {
        let mut local = SocketAddr::new(self.nodes[node].address, 40_000);
        if let (SocketAddr::V6(local), SocketAddr::V6(remote)) = (&mut local, remote) {
            // Both ends of a link give it the same number.
            local.set_scope_id(remote.scope_id());
        }
        let target =
            self.nodes.iter().position(|other| other.address == remote.ip() && other.alive);
        let reachable = target.filter(|target| !self.cut.contains(&(node, *target)));
        let Some(target) = reachable else {
            self.nodes[node].speaker.handle_connect_failed(
                neighbor,
                "refused".to_owned(),
                self.now,
            );
            return;
        };
        let mine = self.nodes[node].speaker.handle_connected(neighbor, local, self.now);
        let theirs = self.nodes[target].speaker.handle_accepted(local, remote, self.now);
        let end = |node, connection: Option<ConnectionId>| {
            connection.map(|connection| End { node, connection })
        };
        let mut wire = Wire {
            nodes: [node, target],
            ends: [end(node, mine), end(target, theirs)],
            pipes: Default::default(),
            stalled: false,
        };
        for side in 0..2 {
            wire.pipes[side].closed = wire.ends[side].is_none();
        }
        self.wires.push(wire);
    }

    fn collect_actions(&mut self) -> bool {
        let mut busy = false;
        for node in 0..self.nodes.len() {
            while let Some(action) = self.nodes[node].speaker.poll_action() {
                busy = true;
                if !self.nodes[node].alive {
                    continue;
                }
                match action {
                    Action::Connect { neighbor, remote, .. } if self.hold_connects => {
                        self.held.push((node, neighbor, remote));
                    }
                    Action::Connect { neighbor, remote, .. } => {
                        self.connect(node, neighbor, remote)
                    }
                    // A wire here signs nothing.
                    Action::Authenticate { .. } => {}
                    Action::Keep { connection, session } => {
                        // Through bytes, as a keeper has it.
                        let session = SavedSession::decode(&session.encode()).unwrap();
                        self.nodes[node].kept.insert(connection, session);
                    }
                    Action::Close { connection, last_words } => {
                        self.close(End { node, connection }, &last_words)
                    }
                }
            }
        }
        busy
    }

    fn close(&mut self, end: End, last_words: &[u8]) {
        for wire in &mut self.wires {
            if let Some(side) = wire.ends.iter().position(|other| *other == Some(end)) {
                wire.pipes[side].bytes.extend(last_words);
                wire.pipes[side].closed = true;
                wire.ends[side] = None;
            }
        }
    }

    /// Takes from the writer what the window has room for.
    fn take(&mut self, wire: usize, side: usize) -> bool {
        let wire = &mut self.wires[wire];
        let Some(end) = wire.ends[side] else { return false };
        if wire.pipes[side].bytes.len() >= WINDOW || !self.nodes[end.node].alive {
            return false;
        }
        match self.nodes[end.node].speaker.poll_transmit(end.connection, WINDOW) {
            Some(bytes) => {
                wire.pipes[side].bytes.extend(bytes);
                true
            }
            None => false,
        }
    }

    fn deliver(&mut self, wire: usize, side: usize) -> bool {
        let now = self.now;
        let wire = &mut self.wires[wire];
        let Some(reader) = wire.ends[1 - side] else { return false };
        let writer = wire.nodes[side];
        let lost = self.cut.contains(&(writer, reader.node));
        if wire.stalled || lost || !self.nodes[reader.node].alive {
            return false;
        }
        let pipe = &mut wire.pipes[side];
        if pipe.bytes.is_empty() {
            if pipe.closed {
                wire.ends[1 - side] = None;
                wire.pipes[1 - side].closed = true;
                self.nodes[reader.node].speaker.handle_closed(reader.connection, now);
                return true;
            }
            return false;
        }
        let count = pipe.bytes.len().min(self.slice);
        let bytes: Vec<u8> = pipe.bytes.drain(..count).collect();
        pipe.delivered += count as u64;
        self.nodes[reader.node].speaker.handle_bytes(reader.connection, &bytes, now);
        self.captured.push((writer, reader.node, bytes));
        true
    }

    fn collect_events(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.alive) {
            while let Some(event) = node.speaker.poll_event() {
                if let Event::BestPath(best) = &event {
                    node.best.insert(best.key.clone(), best.clone());
                }
                node.events.push(event);
            }
        }
    }

    /// Bytes that one node never sent reach another on their connection.
    pub(crate) fn inject(&mut self, reader: usize, writer: usize, bytes: &[u8]) {
        let nodes = [Some(reader), Some(writer)];
        let wire = self.wires.iter().find(|wire| {
            let ends = wire.ends.map(|end| end.map(|end| end.node));
            ends == nodes || ends == [nodes[1], nodes[0]]
        });
        let end = wire
            .and_then(|wire| wire.ends.iter().flatten().find(|end| end.node == reader).copied());
        self.nodes[reader].speaker.handle_bytes(end.unwrap().connection, bytes, self.now);
    }

    // What tests ask.

    pub(crate) fn announce(&mut self, node: usize, route: Route) {
        self.nodes[node].speaker.announce(route);
        self.settle();
    }

    pub(crate) fn withdraw(&mut self, node: usize, key: &RouteKey) {
        self.nodes[node].speaker.withdraw(key);
        self.settle();
    }

    pub(crate) fn neighbor(&self, node: usize, other: usize) -> NeighborSummary {
        let address = self.nodes[other].address;
        let neighbors = self.nodes[node].speaker.neighbors();
        neighbors.into_iter().find(|neighbor| neighbor.config.address == address).unwrap()
    }

    pub(crate) fn state(&self, node: usize, other: usize) -> SessionState {
        self.neighbor(node, other).state
    }

    pub(crate) fn established(&self, a: usize, b: usize) -> bool {
        self.state(a, b) == SessionState::Established
            && self.state(b, a) == SessionState::Established
    }

    /// Attributes of the best path.
    pub(crate) fn best(&self, node: usize, key: &RouteKey) -> Option<AttributeSet> {
        let route = self.nodes[node].speaker.route(key)?;
        route.paths.first().map(|path| AttributeSet::clone(&path.attributes))
    }

    pub(crate) fn knows(&self, node: usize, key: &RouteKey) -> bool {
        self.best(node, key).is_some()
    }

    pub(crate) fn is_stale(&self, node: usize, key: &RouteKey) -> bool {
        let routes = self.nodes[node].speaker.routes(key.family());
        routes.iter().any(|route| route.key == *key && route.paths.iter().any(|path| path.stale))
    }

    pub(crate) fn events<T>(&self, node: usize, pick: impl FnMut(&Event) -> Option<T>) -> Vec<T> {
        self.nodes[node].events.iter().filter_map(pick).collect()
    }

    /// Message types delivered from one node to another, in order; whole messages only.
    pub(crate) fn messages(&self, from: usize, to: usize) -> Vec<(u8, Vec<u8>)> {
        let mut stream: Vec<u8> = Vec::new();
        for (writer, reader, bytes) in &self.captured {
            if (*writer, *reader) == (from, to) {
                stream.extend(bytes);
            }
        }
        let mut messages = Vec::new();
        let mut rest = stream.as_slice();
        while rest.len() >= 19 {
            let len = usize::from(u16::from_be_bytes([rest[16], rest[17]]));
            messages.push((rest[18], rest[19..len].to_vec()));
            rest = &rest[len..];
        }
        messages
    }

    pub(crate) fn updates(&self, from: usize, to: usize) -> usize {
        self.messages(from, to).iter().filter(|(kind, _)| *kind == 2).count()
    }
}

pub(crate) fn id(last: u8) -> RouterId {
    RouterId(Ipv4Addr::new(10, 0, 0, last))
}

pub(crate) fn config(asn: u32, last: u8) -> SpeakerConfig {
    let mut config = SpeakerConfig::new(Asn(asn), id(last));
    config.connect_retry = Duration::from_secs(10);
    config.best_path_events = vec![IPV4, IPV6, EVPN];
    config
}

/// Two speakers in two ASes, up, with these families.
pub(crate) fn pair(families: &[AfiSafi]) -> Network {
    pair_of(config(65_001, 1), config(65_002, 2), families)
}

pub(crate) fn pair_of(left: SpeakerConfig, right: SpeakerConfig, families: &[AfiSafi]) -> Network {
    let mut network = Network::new();
    network.add(left);
    network.add(right);
    let internal = |config: &mut NeighborConfig, same: bool| {
        if same {
            config.remote_as = RemoteAs::Internal;
        }
    };
    let same = asn(&network, 0) == asn(&network, 1);
    network.peer_with(0, 1, families, |c| internal(c, same), |c| internal(c, same));
    network.seconds(3);
    assert!(network.established(0, 1));
    network
}

fn asn(network: &Network, node: usize) -> Asn {
    network.nodes[node].speaker.config().asn
}

pub(crate) fn internal(config: &mut NeighborConfig) {
    config.remote_as = RemoteAs::Internal;
}

pub(crate) fn client(config: &mut NeighborConfig) {
    config.remote_as = RemoteAs::Internal;
    config.route_reflector_client = true;
}

pub(crate) fn next_hop(last: u8) -> NextHop {
    NextHop::V4(Ipv4Addr::new(198, 51, 100, last))
}

pub(crate) fn prefix(text: &str) -> RouteKey {
    RouteKey::Ipv4(text.parse().unwrap())
}

/// An IPv4 route that begins here; its next hop is whoever announces it.
pub(crate) fn ipv4(text: &str) -> Route {
    ipv4_with(text, |_| {})
}

pub(crate) fn ipv4_with(text: &str, change: impl FnOnce(&mut AttributeEditor<'_>)) -> Route {
    let mut editor = AttributeSet::builder(NextHop::V4(Ipv4Addr::UNSPECIFIED));
    change(&mut editor);
    Route { key: prefix(text), payload: EvpnPayload::default(), attributes: editor.build() }
}

pub(crate) fn mac_key(rd: u8, last: u8) -> RouteKey {
    RouteKey::Evpn(EvpnKey::MacIp {
        rd: RouteDistinguisher::from_ipv4(Ipv4Addr::new(10, 0, 0, rd), 100),
        ethernet_tag: 0,
        mac: MacAddr::new(0, 0, 0x5e, 0, 0x53, last),
        ip: None,
    })
}

/// A MAC route of the VTEP 198.51.100.(rd).
pub(crate) fn mac(rd: u8, last: u8) -> Route {
    mac_with(rd, last, rd, |_| {})
}

pub(crate) fn mac_with(
    rd: u8,
    last: u8,
    vtep: u8,
    change: impl FnOnce(&mut AttributeEditor<'_>),
) -> Route {
    let mut editor = AttributeSet::builder(next_hop(vtep));
    editor.add_ext_community(ExtCommunity::encapsulation_vxlan());
    change(&mut editor);
    Route {
        key: mac_key(rd, last),
        payload: EvpnPayload { label: Label::from_vni(100), ..EvpnPayload::default() },
        attributes: editor.build(),
    }
}
