//! What may change while switchd runs.

use super::{Bgp, Config};

/// A change that the running daemon cannot make.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} cannot change while switchd runs, so nothing of the file applies; restart switchd: forwarding and sessions go on"
)]
pub struct NeedsRestart {
    /// Which key.
    what: String,
}

/// Whether a daemon that runs with `known` can go on with `wanted`.
///
/// # Errors
/// A key that is read only at the start is another one.
pub fn check(known: &Config, wanted: &Config) -> Result<(), NeedsRestart> {
    let changed = match (&known.bgp, &wanted.bgp) {
        (None, None) => None,
        (Some(known), Some(wanted)) => changed_key(known, wanted),
        _ => Some("[bgp] as a whole"),
    };
    match changed {
        Some(what) => Err(NeedsRestart { what: what.to_owned() }),
        None => Ok(()),
    }
}

fn changed_key(known: &Bgp, wanted: &Bgp) -> Option<&'static str> {
    let named = [
        ("[bgp] asn", known.asn != wanted.asn),
        ("[bgp] router-id", known.router_id != wanted.router_id),
        ("[bgp] fib", known.fib != wanted.fib),
        ("[bgp] suppress-fib-pending", known.suppress_fib_pending != wanted.suppress_fib_pending),
        ("[bgp] maximum-paths or bestpath-multipath-relax", known.multipath != wanted.multipath),
        ("[bgp] bestpath-bandwidth", known.bestpath_bandwidth != wanted.bestpath_bandwidth),
        ("[[bgp.aggregate]]", known.aggregates != wanted.aggregates),
        ("[bgp] port", known.port != wanted.port),
        ("[bgp] listen", known.listen != wanted.listen),
        ("[bgp] graceful-restart", known.graceful_restart != wanted.graceful_restart),
        ("[bgp] non-stop-routing", known.non_stop_routing != wanted.non_stop_routing),
        ("[bgp] restart-time", known.restart_time != wanted.restart_time),
    ];
    let name = named.into_iter().find(|(_, changed)| *changed).map(|(name, _)| name);
    // Whoever adds a key and forgets it here gets a refusal, not a change that is not made.
    let rest = Bgp {
        hold_time: known.hold_time,
        keepalive: known.keepalive,
        connect_retry: known.connect_retry,
        graceful_shutdown: known.graceful_shutdown,
        networks: known.networks.clone(),
        import_check: known.import_check,
        redistribute: known.redistribute.clone(),
        neighbors: known.neighbors.clone(),
        bmp_stations: known.bmp_stations.clone(),
        ..wanted.clone()
    };
    name.or_else(|| (rest != *known).then_some("a key of [bgp]"))
}
