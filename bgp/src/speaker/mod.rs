//! All sessions and all routes behind one `handle_*`/`poll_*` surface.
//!
//! The caller owns the transport and the clock: it tells of connections, bytes and time, and asks what to do, what to
//! send on which connection, and when to call again. Nothing is written before a connection can take it:
//! [`Speaker::poll_transmit`] makes UPDATEs from what is best at that moment.

mod bfd;
mod change;
pub(crate) mod config;
mod dynamic;
mod event;
mod input;
mod long_lived;
mod max_prefix;
mod mrai;
mod neighbor;
mod output;
mod policy;
mod restart;
mod resume;
mod station;
mod transport;
mod unnumbered;
mod view;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use hashbrown::HashMap;

use crate::rib::egress::Egress;
use crate::rib::ingress::Receiver;
use crate::rib::peers::{Peers, Source};
use crate::rib::table::Path;
use crate::rib::tables::Tables;
use crate::session::negotiate::{Offer, RestartOffer};
use crate::session::timers::Jitter;
use crate::session::{Pace, Session, SessionAction};
use crate::types::AfiSafi;
use crate::wire::{
    AttributeInterner, AttributeSet, CeaseReason, EvpnPayload, FamilySet, RouteRefresh,
};

pub use crate::rib::{
    AddPathSend, FibReport, FibState, FibToken, LocalAs, Multipath, RemovePrivateAs, RouteFamily,
    RouteKey,
};
pub use crate::session::negotiate::Negotiated;
pub use crate::session::{DownReason, SessionState};
pub use bfd::{BfdConfig, BfdReport, BfdRequest};
pub use change::NeighborChange;
pub use config::{
    AllowOwnAs, GracefulRestartConfig, NeighborConfig, NeighborError, RemoteAs, SpeakerConfig,
};
pub use dynamic::ListenRange;
pub use event::{Action, BestPath, EqualPath, Event, PathSource};
pub use max_prefix::{LimitAction, MaximumPrefix};
use neighbor::{Inbound, Neighbor};
use restart::Deferral;
pub use resume::SavedSession;
use station::Stations;
pub use station::{StationConfig, StationId};
pub use transport::{Auth, Distance, Secret, Signer, Transport};
pub use view::{FamilySummary, NeighborSummary, PathView, RouteView, Usage};

/// One TCP connection. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// One neighbour. Given again after the neighbour was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighborId(u32);

/// A route that begins here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What it leads to.
    pub key: RouteKey,
    /// Labels and the like; default for unicast.
    pub payload: EvpnPayload,
    /// Its attributes. A next hop of 0.0.0.0 or :: stands for our address on each session (unicast only).
    pub attributes: AttributeSet,
}

/// The BGP speaker. Reads no clock, opens no socket.
#[derive(Debug)]
pub struct Speaker {
    config: SpeakerConfig,
    neighbors: Vec<Option<Neighbor>>,
    /// Where neighbours may come from that are not named.
    ranges: Vec<ListenRange>,
    connections: HashMap<ConnectionId, Inbound>,
    next_connection: u64,
    tables: Tables,
    peers: Peers,
    interner: AttributeInterner,
    /// Attribute sets after which unused ones are looked for.
    sweep_at: usize,
    egress: Egress,
    deferral: Deferral,
    /// Families whose local routes are all announced.
    ready: FamilySet,
    /// What the process before us announced, as far as it was written down.
    predecessor: Vec<RouteKey>,
    stations: Stations,
    /// No timer of any neighbour is due before.
    wake_at: Option<Instant>,
    /// A moment in the past: a timer set to it asks for the clock.
    born: Instant,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    stopped: bool,
}

impl Speaker {
    /// A speaker without neighbours.
    pub fn new(config: SpeakerConfig, now: Instant) -> Self {
        let deferral = Deferral::new(&config, now);
        let mut speaker = Self {
            neighbors: Vec::new(),
            ranges: Vec::new(),
            connections: HashMap::new(),
            next_connection: 0,
            tables: Tables::new(
                config.best_path_events.iter().copied().collect(),
                config.suppress_fib_pending,
            ),
            peers: Peers::new(config.asn, config.router_id, config.multipath),
            interner: AttributeInterner::default(),
            sweep_at: MINIMUM_SWEEP,
            egress: Egress::default(),
            ready: if config.restarting { FamilySet::EMPTY } else { FamilySet::ALL },
            predecessor: Vec::new(),
            stations: Stations::default(),
            wake_at: deferral.until(),
            born: now,
            deferral,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            stopped: false,
            config,
        };
        speaker.tables.summarize(&speaker.config.summary_only);
        speaker.report_ready_families();
        speaker
    }

    /// What the speaker was told when it was made.
    pub const fn config(&self) -> &SpeakerConfig {
        &self.config
    }

    /// Starts a session with a neighbour.
    ///
    /// # Errors
    /// A neighbour that exists, or that cannot work.
    pub fn add_neighbor(
        &mut self,
        config: NeighborConfig,
        now: Instant,
    ) -> Result<NeighborId, NeighborError> {
        let address = config.address;
        match &config.interface {
            Some(name) if self.neighbor_on(name).is_some() => {
                return Err(NeighborError::DuplicateInterface(name.clone()));
            }
            None if self.neighbor_at(config.remote()).is_some() => {
                return Err(NeighborError::Duplicate(address));
            }
            Some(_) | None => {}
        }
        let hold_time = self.check_neighbor(&config)?;
        let signs = config.auth.is_some();
        let place = self.neighbors.iter().position(Option::is_none).unwrap_or(self.neighbors.len());
        if place == Source::MAX_NEIGHBORS {
            return Err(NeighborError::TooMany(address, place));
        }
        let index = u32::try_from(place).unwrap_or(u32::MAX);
        let session = self.session(&config, hold_time, index, now);
        let jitter = Jitter::new(self.config.jitter_seed ^ u64::from(index).rotate_left(16));
        let neighbor = Some(Neighbor::new(config, session, jitter));
        match self.neighbors.get_mut(place) {
            Some(free) => *free = neighbor,
            None => self.neighbors.push(neighbor),
        }
        if signs {
            self.authenticate(index);
        }
        self.with_session(index, now, |session| session.handle_timeout(now));
        Ok(NeighborId(index))
    }

    /// What is wrong with a neighbour by itself; otherwise its hold time.
    fn check_neighbor(&self, config: &NeighborConfig) -> Result<u16, NeighborError> {
        let families: FamilySet = config.families.iter().copied().collect();
        if families.is_empty()
            || config.families.iter().any(|family| !FamilySet::ALL.contains(*family))
        {
            return Err(NeighborError::NoFamily(config.address));
        }
        let hold_time = config.hold_time.unwrap_or(self.config.hold_time);
        if let Some(local) = config.local_as
            && !config.local_as_fits(self.config.asn)
        {
            return Err(NeighborError::LocalAs(config.address, local.asn));
        }
        if matches!(hold_time, 1 | 2) {
            return Err(NeighborError::HoldTime(config.address, hold_time));
        }
        Ok(hold_time)
    }

    /// Ends the session with a neighbour and forgets it and its routes.
    pub fn remove_neighbor(&mut self, id: NeighborId, now: Instant) {
        self.end_neighbor(id, CeaseReason::PeerDeconfigured, now);
    }

    fn end_neighbor(&mut self, id: NeighborId, reason: CeaseReason, now: Instant) {
        self.stop_bfd(id.0);
        self.with_session(id.0, now, |session| session.stop(reason, None));
        self.forget_routes(id.0);
        if let Some(Some(neighbor)) = self.neighbors.get_mut(id.0 as usize)
            && neighbor.config.auth.take().is_some()
        {
            let address = neighbor.config.address;
            self.forget_key(address);
        }
        if let Some(place) = self.neighbors.get_mut(id.0 as usize) {
            *place = None;
        }
        self.check_deferral();
    }

    /// Takes a neighbour down until [`Self::enable_neighbor`]; the text is shown to its operator (RFC 9003).
    pub fn disable_neighbor(&mut self, id: NeighborId, text: Option<&str>, now: Instant) {
        self.forget_limit(id);
        self.stop_bfd(id.0);
        self.with_session(id.0, now, |session| {
            session.stop(CeaseReason::AdministrativeShutdown, text)
        });
        self.forget_routes(id.0);
        self.check_deferral();
    }

    /// Takes a neighbour up again.
    pub fn enable_neighbor(&mut self, id: NeighborId, now: Instant) {
        self.forget_limit(id);
        self.with_session(id.0, now, |session| {
            session.start(now);
            session.handle_timeout(now);
        });
    }

    /// Ends the session with a neighbour and begins a new one, also one that went beyond its limit. One that was taken
    /// down stays down.
    pub fn reset_neighbor(&mut self, id: NeighborId, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get(id.0 as usize) else { return };
        if neighbor.session.is_stopped() && neighbor.over_limit.is_none() {
            return;
        }
        self.forget_limit(id);
        self.with_session(id.0, now, |session| {
            session.reset(now);
            session.handle_timeout(now);
        });
    }

    /// Asks a neighbour for all its routes again (soft reset, inbound).
    pub fn request_refresh(&mut self, id: NeighborId, family: AfiSafi) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(id.0 as usize) else { return };
        neighbor.session.send(|negotiated, out| {
            if negotiated.route_refresh && negotiated.families.contains(family) {
                RouteRefresh { family, subtype: RouteRefresh::REQUEST }.encode(out);
            }
        });
    }

    /// Sends a neighbour all our routes again (soft reset, outbound).
    pub fn resend(&mut self, id: NeighborId, family: AfiSafi) {
        if let Some(table) = self.tables.get_mut(family) {
            table.send_all(id.0, crate::rib::adj_out::Mark::Silent);
        }
    }

    /// Says that we are about to go, or stay after all: all our routes are sent again, with or without the community
    /// GRACEFUL_SHUTDOWN and, to internal neighbours, a LOCAL_PREF of 0 (RFC 8326).
    pub fn set_graceful_shutdown(&mut self, on: bool) {
        if self.config.graceful_shutdown == on {
            return;
        }
        self.config.graceful_shutdown = on;
        for index in 0..self.neighbors.len() {
            if let Ok(index) = u32::try_from(index) {
                self.change_egress(index);
            }
        }
    }

    /// Says of one neighbour's session that it is about to go, or stays after all (RFC 8326 §4): the neighbour is told all
    /// our routes again, with or without the community, and asked for all of its own, which are everybody's last choice
    /// meanwhile.
    pub fn set_neighbor_graceful_shutdown(&mut self, id: NeighborId, on: bool) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(id.0 as usize) else { return };
        if neighbor.graceful_shutdown != on {
            neighbor.graceful_shutdown = on;
            self.change_egress(id.0);
            self.ask_again(id.0, FamilySet::ALL);
        }
    }

    /// Closes all connections without a NOTIFICATION and says nothing more: peers with graceful restart keep our
    /// routes, and what we have installed stays (RFC 4724 §4).
    pub fn shutdown(&mut self) {
        self.stopped = true;
        self.events.clear();
        for neighbor in self.neighbors.iter_mut().flatten() {
            neighbor.session.abandon();
            while let Some(action) = neighbor.session.poll_action() {
                if let SessionAction::Close { connection, last_words } = action {
                    self.connections.remove(&connection);
                    self.actions.push_back(Action::Close { connection, last_words });
                }
            }
        }
    }

    /// Announces a route that begins here, or changes it.
    pub fn announce(&mut self, route: Route) {
        let attributes = self.interner.intern_set(route.attributes);
        let source = Source::LOCAL;
        match route.key {
            RouteKey::Ipv4(key) => {
                self.tables.ipv4.insert(key, Path::new(attributes, source, 0, ()), &self.peers);
            }
            RouteKey::Ipv6(key) => {
                self.tables.ipv6.insert(key, Path::new(attributes, source, 0, ()), &self.peers);
            }
            RouteKey::Evpn(key) => {
                let path = Path::new(attributes, source, 0, route.payload);
                self.tables.evpn.insert(key, path, &self.peers);
            }
        }
        self.sweep_if_due();
    }

    /// Withdraws a route that begins here.
    pub fn withdraw(&mut self, key: &RouteKey) {
        match key {
            RouteKey::Ipv4(key) => self.tables.ipv4.remove(key, Source::LOCAL, 0, &self.peers),
            RouteKey::Ipv6(key) => self.tables.ipv6.remove(key, Source::LOCAL, 0, &self.peers),
            RouteKey::Evpn(key) => self.tables.evpn.remove(key, Source::LOCAL, 0, &self.peers),
        }
    }

    /// From now on best paths of this family are [events](Event::BestPath), beginning with all that there are: for who
    /// had no use for them before ([`SpeakerConfig::best_path_events`]), or has lost them.
    pub fn report_best_paths(&mut self, family: AfiSafi) {
        if let Some(table) = self.tables.get_mut(family) {
            table.report_all();
        }
    }

    /// An answer to [`Event::BestPath`], for a speaker that tells neighbours only what forwards
    /// ([`SpeakerConfig::suppress_fib_pending`]): what became of the route in the kernel or in hardware.
    ///
    /// `Forwarding` lets neighbours be told of the route, `NotForwarding` withdraws it; either can be given again when
    /// that changes. An answer to an earlier report of the destination does not release what is best now. Until that is
    /// answered for, neighbours keep the path that was confirmed last, unless it gets a `NotForwarding` of its own; a
    /// destination without any path is withdrawn at once. EVPN routes and our own are never held back.
    pub fn handle_fib(&mut self, report: &FibReport) {
        let FibReport { key, token, state } = report;
        match key {
            RouteKey::Ipv4(key) => self.tables.ipv4.handle_fib(key, *token, *state, &self.peers),
            RouteKey::Ipv6(key) => self.tables.ipv6.handle_fib(key, *token, *state, &self.peers),
            RouteKey::Evpn(_) => {}
        }
    }

    /// After a restart: all our routes of this family are announced, so that peers may be told the end of them.
    pub fn local_routes_ready(&mut self, family: AfiSafi) {
        self.ready.insert(family);
    }

    fn session(
        &self,
        config: &NeighborConfig,
        hold_time: u16,
        index: u32,
        now: Instant,
    ) -> Session {
        let restart = self.config.graceful_restart.as_ref();
        let offer = Offer {
            asn: config.local_as.map_or(self.config.asn, |local| local.asn),
            own_as: self.config.asn,
            router_id: self.config.router_id,
            remote_as: config.remote_as,
            hold_time,
            families: config.families.iter().copied().collect(),
            add_path_receive: config.add_path_receive,
            add_path_send: config.add_path_send.is_some(),
            extended_next_hop: config.extended_next_hop,
            link_local_next_hop: config.interface.is_some(),
            hostname: self.config.hostname.clone(),
            graceful_restart: restart.map(|restart| RestartOffer {
                time: restart.restart_time,
                notification: restart.notification,
                restarting: self.deferral.is_restarting(),
                forwarding: self.config.restarting,
                long_lived: restart.long_lived,
            }),
            role: config.role,
            role_strict: config.role_strict,
        };
        let jitter = Jitter::new(self.config.jitter_seed ^ (u64::from(index) << 32));
        let mut session = Session::new(offer, self.pace(config), jitter, now);
        if config.address.is_unspecified() {
            session.lose(DownReason::InterfaceDown);
        }
        if config.shutdown.is_some() {
            session.stop(CeaseReason::AdministrativeShutdown, None);
        }
        session
    }

    fn pace(&self, config: &NeighborConfig) -> Pace {
        Pace {
            passive: config.passive,
            connect_retry: config.connect_retry.unwrap_or(self.config.connect_retry),
            keepalive: config.keepalive,
        }
    }

    fn forget_limit(&mut self, id: NeighborId) {
        if let Some(Some(neighbor)) = self.neighbors.get_mut(id.0 as usize) {
            neighbor.over_limit = None;
        }
    }

    fn neighbor_at(&self, remote: SocketAddr) -> Option<u32> {
        let is_it = |neighbor: &Option<Neighbor>| {
            neighbor.as_ref().is_some_and(|neighbor| neighbor.config.is_at(remote))
        };
        self.neighbors.iter().position(is_it).and_then(|index| u32::try_from(index).ok())
    }

    fn forget_routes(&mut self, index: u32) {
        for table in self.tables.all_mut() {
            table.flush(Source::neighbor(index), false, &self.peers);
        }
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            neighbor.retained = None;
            neighbor.long_lived.clear();
        }
    }

    fn receiver(&self, neighbor: &Neighbor, local: SocketAddr) -> Receiver {
        Receiver {
            asn: self.config.asn,
            router_id: self.config.router_id,
            cluster: self.config.cluster_id.unwrap_or(self.config.router_id.0),
            address: local.ip(),
            allow_own_as: neighbor.config.allow_own_as,
            local_as: neighbor.config.local_as,
            graceful_shutdown: neighbor.graceful_shutdown,
            role: neighbor.session.established().and_then(|(negotiated, ..)| negotiated.role),
        }
    }

    /// Now and then drops attribute sets that no route has any more: when their number has doubled.
    fn sweep_if_due(&mut self) {
        if self.interner.len() >= self.sweep_at {
            self.egress.sweep();
            self.interner.sweep();
            self.sweep_at = MINIMUM_SWEEP.max(2 * self.interner.len());
        }
    }
}

const MINIMUM_SWEEP: usize = 1024;
