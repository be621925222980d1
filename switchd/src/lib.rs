//! switchd: the wiring of bgp, vtep and platform into a daemon, and `switchctl`, the client of its API.
//!
//! | module | is |
//! |---|---|
//! | [`config`] | `switchd.toml`, correct by construction |
//! | [`core`] | the daemon's state and all its decisions, pure |
//! | [`desired`] | what should be in the kernel and in BGP, one file per question, pure |
//! | [`reconcile`] | the difference between desire and kernel, worked off in batches, pure |
//! | [`ledger`] | what the hardware made of every object, and when we last saw it, pure |
//! | [`hardware`] | asks the box: which ASIC, how full its tables |
//! | [`daemon`] | tasks, threads and channels: moves the data |
//! | [`journal`] | what was announced, for the switchd that resumes the sessions |
//! | [`keeper`] | the process that holds the BGP sockets while the daemon is gone |
//! | [`api`] | gRPC over a unix socket |
//! | [`ctl`] | `switchctl` |
//! | [`metrics`] | what Prometheus scrapes |
//! | [`demo`] | `switchd demo`: the main job on real packets |

pub mod api;
pub mod bfd;
pub mod check;
pub mod config;
pub mod core;
pub mod ctl;
pub mod daemon;
pub mod demo;
pub mod desired;
pub mod hardware;
pub mod journal;
pub mod keeper;
pub mod ledger;
pub mod metrics;
pub mod reconcile;
pub mod unnumbered;
