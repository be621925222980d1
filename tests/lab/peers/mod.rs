//! Routing daemons of others, run as they come from Debian.

mod bird;
mod frr;
mod gobgp;
pub mod raw;

pub use bird::Bird;
pub use frr::Frr;
pub use gobgp::Gobgp;
