//! One neighbour, as `show bgp neighbor` tells of it.

use std::time::{Duration, Instant};

use bgp::speaker::{DownReason, NeighborSummary, Transport};
use bgp::types::AfiSafi;
use bgp::wire::{Capability, Open};

use super::proto::{BgpNeighbor, NeighborCapability};
use super::views;
use crate::config::Bgp;

/// What the engine knows of one neighbour.
pub(super) struct Facts {
    pub(super) summary: NeighborSummary,
    /// What we say when we open a session.
    pub(super) our_open: Option<Open>,
    pub(super) transport: Transport,
}

pub(super) fn view(config: &Bgp, facts: &Facts, now: Instant) -> BgpNeighbor {
    let Facts { summary, our_open, transport } = facts;
    let negotiated = summary.negotiated.as_deref();
    let hold_time = negotiated.map_or(0, |negotiated| u32::from(negotiated.hold_time));
    let address = |end: fn(&(std::net::SocketAddr, std::net::SocketAddr)) -> String| {
        summary.addresses.as_ref().map(end).unwrap_or_default()
    };
    BgpNeighbor {
        summary: Some(views::neighbor(config, summary, now)),
        external: negotiated.map(|negotiated| negotiated.external),
        local_router_id: config.router_id.to_string(),
        remote_router_id: negotiated.map_or_else(String::new, |peer| peer.router_id.to_string()),
        local_address: address(|(local, _)| local.to_string()),
        remote_address: address(|(_, remote)| remote.to_string()),
        hold_time,
        keepalive_interval: seconds(negotiated.map_or(Duration::ZERO, |negotiated| {
            summary.config.keepalive_interval(negotiated.hold_time)
        })),
        configured_keepalive: summary.config.keepalive.map(seconds),
        configured_hold_time: summary.config.hold_time.unwrap_or(config.hold_time).into(),
        capabilities: capabilities(our_open.as_ref(), negotiated.map(|peer| &peer.peer_open)),
        updates_received: summary.updates_received,
        updates_treated_as_withdraw: summary.treated_as_withdraw,
        last_reset: summary.last_error.as_ref().map(ToString::to_string).unwrap_or_default(),
        last_shutdown_message: match &summary.last_error {
            Some(DownReason::NotificationReceived(notification)) => {
                notification.shutdown_text().unwrap_or_default()
            }
            _ => String::new(),
        },
        shutdown: summary.shutdown,
        max_hops: u32::from(match transport.minimum_ttl {
            Some(minimum) => u8::MAX - minimum + 1,
            None => transport.ttl,
        }),
        ttl_security: transport.minimum_ttl.is_some(),
        signed: transport.auth.is_some(),
        passive: summary.config.passive,
        graceful_shutdown: summary.graceful_shutdown,
        local_as_no_prepend: summary.config.local_as.is_some_and(|local| local.no_prepend),
        local_as_replace_as: summary.config.local_as.is_some_and(|local| local.replace_as),
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Each with whether we say it, and whether the neighbour does.
fn capabilities(ours: Option<&Open>, theirs: Option<&Open>) -> Vec<NeighborCapability> {
    let names = |open: Option<&Open>| -> Vec<(String, String)> {
        open.map(|open| open.capabilities.iter().flat_map(names).collect()).unwrap_or_default()
    };
    let (ours, theirs) = (names(ours), names(theirs));
    let mut all: Vec<&(String, String)> = Vec::new();
    for name in ours.iter().chain(&theirs) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all.into_iter()
        .map(|both| NeighborCapability {
            name: both.0.clone(),
            family: both.1.clone(),
            advertised: ours.contains(both),
            received: theirs.contains(both),
        })
        .collect()
}

/// Name, and family where there is one for each.
fn names(capability: &Capability) -> Vec<(String, String)> {
    let plain = |name: &str| vec![(name.to_owned(), String::new())];
    let with = |name: &str, family: &AfiSafi| (name.to_owned(), family.to_string());
    match capability {
        Capability::Multiprotocol(family) => vec![with("multiprotocol", family)],
        Capability::RouteRefresh => plain("route-refresh"),
        Capability::ExtendedNextHop(entries) => {
            entries.iter().map(|entry| with("extended-next-hop", &entry.family)).collect()
        }
        Capability::ExtendedMessage => plain("extended-message"),
        Capability::Role(_) => plain("role"),
        Capability::FourOctetAs(_) => plain("4-byte-as"),
        Capability::GracefulRestart(_) => plain("graceful-restart"),
        Capability::LongLivedGracefulRestart(entries) => {
            entries.iter().map(|entry| with("long-lived-graceful-restart", &entry.family)).collect()
        }
        Capability::EnhancedRouteRefresh => plain("enhanced-route-refresh"),
        Capability::AddPath(families) => {
            families.iter().map(|(family, _)| with("add-path", family)).collect()
        }
        Capability::Hostname { .. } => plain("hostname"),
        Capability::LinkLocalNextHop => plain("link-local-next-hop"),
        Capability::Unknown { code, .. } => plain(&format!("capability-{code}")),
    }
}
