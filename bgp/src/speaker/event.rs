//! What a speaker tells its owner, and what it asks of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use super::transport::{Auth, Transport};
use super::{BfdRequest, ConnectionId, NeighborId, SavedSession};
use crate::rib::{FibToken, RouteKey};
use crate::session::DownReason;
use crate::session::negotiate::Negotiated;
use crate::types::AfiSafi;
use crate::wire::{AttributeSet, EvpnPayload};

/// Something to do with connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection and report the outcome. It replaces an attempt for this neighbour that is still under way.
    Connect {
        /// For whom.
        neighbor: NeighborId,
        /// Where to.
        remote: SocketAddr,
        /// Where from, if that matters.
        local: Option<IpAddr>,
        /// How.
        transport: Transport,
    },
    /// From now on, connections from this neighbour are signed with this, or with nothing: also those that stand.
    Authenticate {
        /// From where.
        from: IpNet,
        /// With what.
        auth: Option<Auth>,
        /// Those that stand.
        connections: Vec<ConnectionId>,
    },
    /// A session is up that another process could go on with: hand it to whoever keeps sessions, if anybody does.
    Keep {
        /// Which one.
        connection: ConnectionId,
        /// What [`super::Speaker::resume`] needs.
        session: Box<SavedSession>,
    },
    /// Send these bytes after all that was given out before, then close. It is not to be reported back.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// A NOTIFICATION, or nothing.
        last_words: Vec<u8>,
    },
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Routes flow.
    SessionUp {
        /// With whom.
        neighbor: NeighborId,
        /// Its address.
        address: IpAddr,
        /// What both sides agreed on.
        negotiated: Arc<Negotiated>,
    },
    /// No routes flow any more.
    SessionDown {
        /// With whom.
        neighbor: NeighborId,
        /// Its address.
        address: IpAddr,
        /// Why.
        reason: DownReason,
        /// The neighbour's routes are kept until it is back, or too late (RFC 4724).
        routes_kept: bool,
    },
    /// BFD is wanted for a neighbour, or no longer: see [`super::Speaker::handle_bfd`].
    Bfd {
        /// For whom.
        neighbor: NeighborId,
        /// What is wanted.
        request: BfdRequest,
    },
    /// The neighbour has sent all it has.
    EndOfRib {
        /// Who.
        neighbor: NeighborId,
        /// Of which family.
        family: AfiSafi,
    },
    /// Best paths of this family are decided: at once after a fresh start; after a restart, when all peers have spoken
    /// or took too long. What a predecessor has left and no best path wants may go now.
    Converged {
        /// Which family.
        family: AfiSafi,
    },
    /// A best path is another one now, or shares its load with others.
    BestPath(BestPath),
}

/// The latest state of one destination. One that changed ten times between two polls is reported once.
#[derive(Debug, Clone)]
pub struct BestPath {
    /// Which destination.
    pub key: RouteKey,
    /// Labels and the like; default for unicast, and without a best path.
    pub payload: EvpnPayload,
    /// Attributes of the best path; `None` if the destination cannot be reached any more.
    pub best: Option<Arc<AttributeSet>>,
    /// Who told it.
    pub source: Option<PathSource>,
    /// Paths that share its load; none unless [`super::SpeakerConfig::multipath`] allows it.
    pub equal: Vec<EqualPath>,
    /// Neighbours are not told of it before [`super::Speaker::handle_fib`] has an answer with this. Each event wants its
    /// own, also if nothing changes for who installs the route.
    pub fib: Option<FibToken>,
}

/// A path that shares the load with the best one.
#[derive(Debug, Clone)]
pub struct EqualPath {
    /// Its attributes.
    pub attributes: Arc<AttributeSet>,
    /// Labels and the like; default for unicast.
    pub payload: EvpnPayload,
    /// Who told it.
    pub source: PathSource,
}

/// Who told a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathSource {
    /// We did.
    Local,
    /// A neighbour.
    Neighbor {
        /// Which one.
        id: NeighborId,
        /// Its address.
        address: IpAddr,
        /// Interface of the link that the session runs on, if its addresses are link-local; else 0. Link-local next
        /// hops that it tells are on this link.
        scope_id: u32,
        /// It is in another AS.
        external: bool,
    },
}
