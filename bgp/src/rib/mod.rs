//! The routes: one table per family, written once for all of them.
//!
//! A destination stores its key once and all paths to it. Paths of a neighbour are its Adj-RIB-In, the first path is the
//! Loc-RIB, those that share its load come next, and an Adj-RIB-Out is two bits per destination: sent, and waiting to be sent. What a neighbour is told is
//! worked out when its connection can take it, from what is best then. So a slow neighbour costs no memory, and is told
//! only the last of many changes. If only what forwards may be told, [`fib_gate`] knows which path that is.

mod add_path;
pub(crate) mod adj_out;
pub(crate) mod best_path;
pub(crate) mod egress;
mod family;
mod fib_gate;
mod id_set;
pub(crate) mod import;
pub(crate) mod ingress;
mod multipath;
pub(crate) mod path_rules;
pub(crate) mod peers;
pub(crate) mod roles;
pub(crate) mod table;
pub(crate) mod tables;

pub use add_path::AddPathSend;
pub use family::{RouteFamily, RouteKey};
pub use fib_gate::{FibReport, FibState, FibToken};
pub(crate) use id_set::IdSet;
pub use multipath::Multipath;
pub use path_rules::{LocalAs, RemovePrivateAs};
