//! `switchd.toml`, correct by construction: what parses here needs no further checks anywhere else.
//!
//! [`file`] mirrors the text; this module turns the mirror into types that cannot be wrong. Every refusal names file,
//! line, column and a remedy, and nothing of a refused file takes effect.

mod file;
pub mod reload;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bgp::policy::{NeighborPolicy, PrefixList, RouteMap};
use bgp::speaker::{AddPathSend, AllowOwnAs, MaximumPrefix, Multipath, RemovePrivateAs};
use bgp::types::{AfiSafi, Asn, Role, RouterId};
use ipnet::IpNet;

use crate::desired::fib::Bandwidth;

/// What the daemon runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// BGP, if switchd is to speak it. Without it, switchd follows what others write into the kernel.
    pub bgp: Option<Bgp>,
    /// EVPN policy.
    pub evpn: Evpn,
    /// Lists and route maps, by their names.
    pub policies: Policies,
    /// Metrics over HTTP, if they are wanted.
    pub metrics: Option<Metrics>,
}

/// The BGP speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bgp {
    /// Our AS number.
    pub asn: Asn,
    /// Our BGP identifier.
    pub router_id: RouterId,
    /// Install best unicast paths in the kernel.
    pub fib: bool,
    /// Announce routes of neighbours to others only while they forward: in hardware where there is an ASIC.
    pub suppress_fib_pending: bool,
    /// Which paths share the load with the best one.
    pub multipath: Multipath,
    /// What the link bandwidth of paths does to their shares of it.
    pub bestpath_bandwidth: Bandwidth,
    /// TCP port to listen on and to connect to.
    pub port: u16,
    /// Addresses to listen on.
    pub listen: Vec<IpAddr>,
    /// Hold time to propose, in seconds.
    pub hold_time: u16,
    /// Between keepalives, at most; a third of the agreed hold time if that is less.
    pub keepalive: Option<Duration>,
    /// Wait between two attempts to connect.
    pub connect_retry: Duration,
    /// Offer graceful restart (RFC 4724), so that a restart of switchd loses no forwarding.
    pub graceful_restart: bool,
    /// Keep the TCP connections of BGP sessions open while switchd restarts.
    pub non_stop_routing: bool,
    /// How many seconds peers are asked to keep our routes while we restart.
    pub restart_time: u16,
    /// Keep routes also when a session ends with a NOTIFICATION or an expired hold timer (RFC 8538).
    pub graceful_restart_notification: bool,
    /// Seconds that routes outlive the restart time, as the last choice (RFC 9494); 0 for not at all.
    pub long_lived_stale_time: u32,
    /// We are about to go: neighbours are to prefer other ways (RFC 8326).
    pub graceful_shutdown: bool,
    /// Prefixes to announce.
    pub networks: Vec<IpNet>,
    /// Prefixes to announce while there is a route inside them.
    pub aggregates: Vec<Aggregate>,
    /// Announce a network only while the kernel has a route to exactly that prefix.
    pub import_check: bool,
    /// What to announce of the kernel's.
    pub redistribute: Redistribute,
    /// The peers.
    pub neighbors: Vec<Neighbor>,
    /// Who watches what peers tell us (BMP).
    pub bmp_stations: Vec<BmpStation>,
}

/// One `[[bgp.bmp-station]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BmpStation {
    /// Where it listens.
    pub address: SocketAddr,
    /// How often it gets counts; `None`: never.
    pub statistics_interval: Option<Duration>,
}

/// One `[[bgp.neighbor]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbor {
    /// Who is meant.
    pub peer: Peer,
    /// The group whose keys it has where it has none of its own: for people, they are resolved here.
    pub peer_group: Option<String>,
    /// Which AS it must be in.
    pub remote_as: RemoteAs,
    /// The AS that it takes us for, if it is not ours.
    pub local_as: Option<LocalAs>,
    /// Address families to negotiate.
    pub families: Vec<AfiSafi>,
    /// Wait for the peer to connect.
    pub passive: bool,
    /// Source address of the session.
    pub local_address: Option<IpAddr>,
    /// Hold time for this peer in seconds, if it differs.
    pub hold_time: Option<u16>,
    /// Between keepalives to this peer, if it differs.
    pub keepalive: Option<Duration>,
    /// Wait between two attempts to connect to this peer, if it differs.
    pub connect_retry: Option<Duration>,
    /// Administratively down; the text, which may be empty, is for the peer's operator.
    pub shutdown: Option<String>,
    /// How far away it may be.
    pub distance: Distance,
    /// Watch the path to it by BFD.
    pub bfd: Option<BfdConfig>,
    /// The key of TCP MD5 signatures.
    pub password: Option<Secret>,
    /// Announce iBGP routes with ourselves as next hop.
    pub next_hop_self: bool,
    /// Reflect iBGP routes to this peer (RFC 4456).
    pub route_reflector_client: bool,
    /// Announce a default route to it, of each of its unicast families.
    pub default_originate: bool,
    /// Take several paths of a destination from it (RFC 7911).
    pub add_path_receive: bool,
    /// Tell it several paths of a destination.
    pub add_path_send: Option<AddPathSend>,
    /// What is taken from it and what it is told.
    pub policy: NeighborPolicy,
    /// Which of its routes are taken, and how it is told ours.
    pub route_rules: RouteRules,
}

/// Which routes of a peer are taken, and how it is told ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteRules {
    /// Most routes of a family.
    pub maximum_prefix: Vec<MaximumPrefix>,
    /// Seconds between two announcements, at least.
    pub advertisement_interval: u16,
    /// What we are to it (RFC 9234).
    pub role: Option<Role>,
    /// It has to say its role.
    pub role_strict: bool,
    /// When its paths may have our own AS number.
    pub allow_own_as: AllowOwnAs,
    /// Put our AS number in the place of its own.
    pub as_override: bool,
    /// Do not tell it private AS numbers.
    pub remove_private_as: Option<RemovePrivateAs>,
    /// Do not put our AS number in front.
    pub as_path_unchanged: bool,
    /// Do not put our address in the place of the next hop.
    pub next_hop_unchanged: bool,
    /// Tell it also the MED of a third AS.
    pub med_unchanged: bool,
    /// The session with it is about to go (RFC 8326).
    pub graceful_shutdown: bool,
}

/// Who a neighbour is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// The one with this address.
    Address(IpAddr),
    /// Whoever is at the other end of this interface (BGP unnumbered).
    Interface(String),
    /// Whoever connects from this prefix.
    Range {
        /// From where.
        prefix: IpNet,
        /// So many at a time.
        limit: u16,
    },
}

impl Peer {
    /// Whether its sessions run over IPv4.
    pub const fn is_ipv4(&self) -> bool {
        match self {
            Self::Address(address) => address.is_ipv4(),
            Self::Interface(_) => false,
            Self::Range { prefix, .. } => matches!(prefix, IpNet::V4(_)),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Interface(name) => name.fmt(f),
            Self::Range { prefix, .. } => prefix.fmt(f),
        }
    }
}

pub use bgp::speaker::{BfdConfig, Distance, LocalAs, RemoteAs, Secret};

/// A prefix that is announced while BGP has a route inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    /// Which.
    pub prefix: IpNet,
    /// What is inside it is not announced.
    pub summary_only: bool,
}

/// From where the kernel's routes are announced, and what is asked of each before.
pub type Redistribute = BTreeMap<RouteSource, Option<Arc<RouteMap>>>;

/// Where the kernel has a route from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteSource {
    /// The subnet of an interface that is up.
    Connected,
    /// Static routes (protocol `static`).
    Static,
    /// All others that no routing daemon made.
    Kernel,
}

/// EVPN policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evpn {
    /// Every VNI found in the kernel is advertised.
    pub advertise_all_vni: bool,
}

/// Prefix lists by their names.
pub type PrefixLists = BTreeMap<String, Arc<PrefixList>>;
/// Route maps by their names.
pub type RouteMaps = BTreeMap<String, Arc<RouteMap>>;

/// What neighbours and redistribution refer to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies {
    /// `[[policy.prefix-list]]`.
    pub prefix_lists: PrefixLists,
    /// `[[policy.route-map]]`. Each holds the lists and maps that it refers to.
    pub route_maps: RouteMaps,
}

/// Metrics for Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Where to answer `GET /metrics`. There is no password: give an address that only those may reach who may read.
    pub listen: SocketAddr,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read at all.
    #[error("cannot read {}: {source}; give the path of a switchd.toml with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Something in the file is wrong.
    #[error("{}:{place}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: Place,
        /// What is wrong, and what to write instead.
        message: String,
    },
}

/// A position in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Place {
    /// The place of byte `offset` in `text`.
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or says something that cannot be meant; nothing of it applies then.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a file; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        file::parse(text).map_err(|refusal| ConfigError::Invalid {
            path: path.to_owned(),
            place: Place::of(text, refusal.offset),
            message: refusal.message,
        })
    }
}
