//! Metrics for Prometheus, over HTTP.
//!
//! [`render`] is pure: a [`Snapshot`] in, text out (exposition format 0.0.4, which every scraper reads). [`serve`] answers
//! `GET /metrics` and nothing else; it asks for a snapshot at each scrape, so that nobody counts while nobody looks.
//! [`read_devices`] asks devlink, which blocks. Names and labels are promises: dashboards hang on them.
//!
//! The text is written here rather than by a client library: those keep counters of their own, and ours are the kernel's.

mod devices;
mod families;
mod server;
mod snapshot;
#[cfg(test)]
mod tests;
mod text;

pub use devices::read_devices;
pub use families::render;
pub use server::{MetricsError, listen, serve};
pub use snapshot::{Device, Devices, Entries, KernelTotals, Prefixes, Session, Snapshot};
