//! What a speaker and its neighbours are told. Values, checked when a neighbour is added.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use super::transport::{Auth, Distance};
use super::{BfdConfig, MaximumPrefix};
use crate::policy::NeighborPolicy;
use crate::rib::{AddPathSend, LocalAs, Multipath, RemovePrivateAs};
use crate::session::timers::keepalive_interval;
use ipnet::IpNet;

use crate::types::{AfiSafi, Asn, Role, RouterId};
use crate::wire::AsPath;

/// Everything that holds for all neighbours.
#[derive(Debug, Clone)]
pub struct SpeakerConfig {
    /// Our AS number.
    pub asn: Asn,
    /// Our identifier; in case of doubt also our cluster identifier.
    pub router_id: RouterId,
    /// Seconds; 0 or at least 3 (RFC 4271 §4.2).
    pub hold_time: u16,
    /// Between attempts to reach a neighbour.
    pub connect_retry: Duration,
    /// Cluster of this route reflector, if it is not the router id (RFC 4456 §8).
    pub cluster_id: Option<Ipv4Addr>,
    /// Keep routes through restarts, ours and the peers'.
    pub graceful_restart: Option<GracefulRestartConfig>,
    /// Our predecessor's routes are still forwarding: say so, and decide only once all peers have spoken.
    pub restarting: bool,
    /// Families whose best paths are wanted as events.
    pub best_path_events: Vec<AfiSafi>,
    /// Tell neighbours a unicast route that another one told us only while it forwards: see
    /// [`Speaker::handle_fib`](super::Speaker::handle_fib), which is then due for each best path.
    pub suppress_fib_pending: bool,
    /// Unicast prefixes inside which neighbours are told of no route, because each is announced as a whole.
    pub summary_only: Vec<IpNet>,
    /// Which paths share the load with the best one.
    pub multipath: Multipath,
    /// We are about to go: neighbours are to prefer other ways (RFC 8326); see
    /// [`Speaker::set_graceful_shutdown`](super::Speaker::set_graceful_shutdown).
    pub graceful_shutdown: bool,
    /// What we call ourselves towards neighbours (draft-walton-bgp-hostname-capability).
    pub hostname: Option<String>,
    /// Makes the jitter of timers differ between speakers.
    pub jitter_seed: u64,
}

impl SpeakerConfig {
    /// RFC 4271's timers, everything optional off.
    pub fn new(asn: Asn, router_id: RouterId) -> Self {
        Self {
            asn,
            router_id,
            hold_time: 90,
            connect_retry: Duration::from_secs(120),
            cluster_id: None,
            graceful_restart: None,
            restarting: false,
            best_path_events: Vec::new(),
            suppress_fib_pending: false,
            summary_only: Vec::new(),
            graceful_shutdown: false,
            multipath: Multipath::OFF,
            hostname: None,
            jitter_seed: u64::from(router_id.0.to_bits()),
        }
    }
}

/// Graceful restart (RFC 4724).
#[derive(Debug, Clone)]
pub struct GracefulRestartConfig {
    /// Seconds that we need to come back, at most 4095: so long peers wait for our new session.
    pub restart_time: u16,
    /// How long a restarted peer may take to send its routes again before the old ones go.
    pub stale_path_time: Duration,
    /// How long we wait for all peers after our own restart before we decide.
    pub selection_deferral: Duration,
    /// Seconds that peers may keep our routes after the restart time if we do not come back, and that we keep theirs if
    /// they ask for it (RFC 9494); 24 bits; 0 for neither.
    pub long_lived: u32,
    /// Keep routes also when a session ends with a NOTIFICATION or an expired hold timer (RFC 8538).
    pub notification: bool,
}

impl Default for GracefulRestartConfig {
    fn default() -> Self {
        Self {
            restart_time: 120,
            stale_path_time: Duration::from_secs(360),
            selection_deferral: Duration::from_secs(60),
            long_lived: 0,
            notification: false,
        }
    }
}

/// Which AS a neighbour may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteAs {
    /// This one.
    Asn(Asn),
    /// Any but ours.
    External,
    /// Ours.
    Internal,
}

impl RemoteAs {
    /// Whether we can tell before its OPEN that the neighbour is not in our AS. If not sure, it may be.
    pub(crate) fn may_be_external(self, ours: Asn) -> bool {
        match self {
            Self::Asn(asn) => asn != ours,
            Self::External => true,
            Self::Internal => false,
        }
    }

    pub(crate) fn accepts(self, ours: Asn, theirs: Asn) -> bool {
        match self {
            Self::Asn(asn) => asn == theirs,
            Self::External => ours != theirs,
            Self::Internal => ours == theirs,
        }
    }
}

/// When a path may have our own AS number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowOwnAs {
    /// So often; never with 0.
    Times(u8),
    /// However often, if the route began in our AS.
    Origin,
}

impl Default for AllowOwnAs {
    fn default() -> Self {
        Self::Times(0)
    }
}

impl AllowOwnAs {
    pub(crate) fn allows(self, path: AsPath<'_>, ours: Asn) -> bool {
        match self {
            Self::Times(times) => path.count(ours) <= usize::from(times),
            Self::Origin => path.origin_as() == Some(ours) || !path.contains(ours),
        }
    }
}

/// One neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighborConfig {
    /// Its address; also what it connects from. `::` for one on an interface that nobody has seen there.
    pub address: IpAddr,
    /// For link-local addresses: index of the interface. Otherwise 0.
    pub scope_id: u32,
    /// It is whoever is at the other end of this interface: see
    /// [`Speaker::handle_sighting`](super::Speaker::handle_sighting).
    pub interface: Option<String>,
    /// Its port.
    pub port: u16,
    /// The AS that it must be in.
    pub remote_as: RemoteAs,
    /// The AS that this external neighbour takes us for, if it is not our own.
    pub local_as: Option<LocalAs>,
    /// Families offered.
    pub families: Vec<AfiSafi>,
    /// Wait for the neighbour to connect.
    pub passive: bool,
    /// Source address of our connections.
    pub local_address: Option<IpAddr>,
    /// Instead of the speaker's.
    pub hold_time: Option<u16>,
    /// Instead of the speaker's.
    pub connect_retry: Option<Duration>,
    /// Between KEEPALIVEs, at most; a third of the agreed hold time if that is less.
    pub keepalive: Option<Duration>,
    /// It is a client of this route reflector (RFC 4456).
    pub route_reflector_client: bool,
    /// Tell it a default route of each of its unicast families, with ourselves as next hop, whatever the tables have.
    pub default_originate: bool,
    /// Name ourselves as next hop of unicast routes from other AS towards this internal neighbour.
    pub next_hop_self: bool,
    /// Leave the next hop of unicast routes as it is towards this external neighbour. EVPN always leaves it.
    pub next_hop_unchanged: bool,
    /// When a path of this neighbour may have our own AS number in it.
    pub allow_own_as: AllowOwnAs,
    /// Put our AS number in the place of this external neighbour's own.
    pub as_override: bool,
    /// Do not tell this external neighbour private AS numbers.
    pub remove_private_as: Option<RemovePrivateAs>,
    /// Do not put our AS number in front of the path for this external neighbour.
    pub as_path_unchanged: bool,
    /// Tell this external neighbour also the MED of a third AS.
    pub med_unchanged: bool,
    /// What we are to this external neighbour (RFC 9234).
    pub role: Option<Role>,
    /// Refuse a neighbour that does not say its role.
    pub role_strict: bool,
    /// Do not send an external neighbour what has its own AS number in the path: it would drop it.
    pub sender_side_loop_check: bool,
    /// Offer IPv6 next hops for IPv4 routes (RFC 8950).
    pub extended_next_hop: bool,
    /// The least time between two announcements; zero: none.
    pub advertisement_interval: Duration,
    /// Limits, at most one per family.
    pub maximum_prefix: Vec<MaximumPrefix>,
    /// What is taken from it and what it is told.
    pub policy: NeighborPolicy,
    /// How far away it may be.
    pub distance: Distance,
    /// What signs its connections.
    pub auth: Option<Auth>,
    /// Take several paths of a destination from it (RFC 7911), in all its families.
    pub add_path_receive: bool,
    /// Tell it several paths of a destination, in all its families.
    pub add_path_send: Option<AddPathSend>,
    /// Watch the path to it by BFD.
    pub bfd: Option<BfdConfig>,
    /// The session with it is about to go: see
    /// [`Speaker::set_neighbor_graceful_shutdown`](super::Speaker::set_neighbor_graceful_shutdown).
    pub graceful_shutdown: bool,
    /// Administratively down; the text is for the neighbour's operator (RFC 9003), and may be empty.
    pub shutdown: Option<String>,
}

impl NeighborConfig {
    /// Between KEEPALIVEs, at most, with this hold time.
    pub fn keepalive_interval(&self, hold_time: u16) -> Duration {
        keepalive_interval(Duration::from_secs(hold_time.into()), self.keepalive)
    }

    /// An active neighbour on port 179.
    pub fn new(address: IpAddr, remote_as: RemoteAs, families: impl Into<Vec<AfiSafi>>) -> Self {
        Self {
            address,
            scope_id: 0,
            interface: None,
            port: 179,
            remote_as,
            local_as: None,
            families: families.into(),
            passive: false,
            local_address: None,
            hold_time: None,
            connect_retry: None,
            keepalive: None,
            route_reflector_client: false,
            default_originate: false,
            next_hop_self: false,
            next_hop_unchanged: false,
            allow_own_as: AllowOwnAs::Times(0),
            as_override: false,
            remove_private_as: None,
            as_path_unchanged: false,
            med_unchanged: false,
            role: None,
            role_strict: false,
            sender_side_loop_check: false,
            extended_next_hop: address.is_ipv6(),
            advertisement_interval: Duration::ZERO,
            maximum_prefix: Vec::new(),
            policy: NeighborPolicy::default(),
            distance: Distance::Default,
            auth: None,
            add_path_receive: false,
            add_path_send: None,
            bfd: None,
            graceful_shutdown: false,
            shutdown: None,
        }
    }

    /// Whoever is found at the other end of an interface. `scope_id`: its index, as far as it is known.
    pub fn on_interface(
        name: impl Into<String>,
        scope_id: u32,
        remote_as: RemoteAs,
        families: impl Into<Vec<AfiSafi>>,
    ) -> Self {
        let nowhere = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        Self { scope_id, interface: Some(name.into()), ..Self::new(nowhere, remote_as, families) }
    }

    /// Whether it can take us for another AS: it is in neither of the two.
    pub(crate) fn local_as_fits(&self, ours: Asn) -> bool {
        self.local_as.is_none_or(|local| {
            local.asn != ours
                && match self.remote_as {
                    RemoteAs::Asn(theirs) => theirs != local.asn && theirs != ours,
                    RemoteAs::External => true,
                    RemoteAs::Internal => false,
                }
        })
    }

    /// What operators call it: its interface, or its address.
    pub fn name(&self) -> String {
        self.interface.clone().unwrap_or_else(|| self.address.to_string())
    }

    /// Where to connect to.
    pub(crate) fn remote(&self) -> SocketAddr {
        match self.address {
            IpAddr::V4(address) => SocketAddr::from((address, self.port)),
            IpAddr::V6(address) => SocketAddrV6::new(address, self.port, 0, self.scope_id).into(),
        }
    }

    /// Whether a connection from there is this neighbour's. Link-local addresses mean something only on their link, and
    /// a listener for both families sees IPv4 addresses as mapped ones.
    pub(crate) fn is_at(&self, remote: SocketAddr) -> bool {
        let same_link = match remote {
            SocketAddr::V6(remote) if remote.ip().is_unicast_link_local() => {
                remote.scope_id() == self.scope_id
            }
            _ => true,
        };
        // Nobody has been seen on the link: then it is whoever comes from there. Who signs has to be known before.
        let unseen = self.auth.is_none() && self.may_be_at(remote);
        same_link && remote.ip().to_canonical() == self.address || unseen
    }

    /// Whether nobody has been seen on the link that this address is on.
    pub(crate) fn may_be_at(&self, remote: SocketAddr) -> bool {
        self.interface.is_some()
            && self.address.is_unspecified()
            && matches!(remote, SocketAddr::V6(remote)
                if remote.ip().is_unicast_link_local() && remote.scope_id() == self.scope_id)
    }
}

/// Why a neighbour cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NeighborError {
    /// There is one already.
    #[error("neighbor {0} exists already")]
    Duplicate(IpAddr),
    /// An interface has one neighbour.
    #[error("neighbor {0} exists already")]
    DuplicateInterface(String),
    /// No family, or one that this engine does not know.
    #[error("neighbor {0}: no usable address family")]
    NoFamily(IpAddr),
    /// More than can be told apart.
    #[error("neighbor {0}: there are {1} neighbors already, and there cannot be more")]
    TooMany(IpAddr, usize),
    /// One or two seconds.
    #[error("neighbor {0}: a hold time of {1} s is neither 0 nor at least 3")]
    HoldTime(IpAddr, u16),
    /// It would be in the AS that it is to take us for, or in ours; or that AS is ours.
    #[error(
        "neighbor {0}: local-as {1} must be neither our AS number nor the neighbor's, and the neighbor must be external"
    )]
    LocalAs(IpAddr, Asn),
}
