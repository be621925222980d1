//! BFD sessions for the API.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bgp::bfd::SessionState;

use super::proto::BfdPeer;
use crate::bfd::Status;

pub(super) fn peers(sessions: &[Status]) -> Vec<BfdPeer> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    sessions.iter().map(|status| peer(status, now)).collect()
}

fn peer(status: &Status, now: Duration) -> BfdPeer {
    let session = status.session;
    let peer = session.peer;
    BfdPeer {
        peer: peer.address.to_string(),
        local: status.local.to_string(),
        multihop: peer.multihop,
        interface: interface(peer.scope_id),
        id: session.discriminator,
        remote_id: session.remote_discriminator,
        status: status_word(session.state).to_owned(),
        state_age_ms: milliseconds(now.saturating_sub(status.since)),
        diagnostic: session.diagnostic.to_string(),
        remote_diagnostic: session.remote_diagnostic.to_string(),
        receive_interval_ms: milliseconds(session.intervals.min_rx),
        transmit_interval_ms: milliseconds(session.intervals.min_tx),
        detect_multiplier: session.intervals.multiplier.into(),
        remote_receive_interval_ms: milliseconds(session.remote_min_rx),
        remote_transmit_interval_ms: milliseconds(session.remote_min_tx),
        remote_echo_receive_interval_ms: milliseconds(session.remote_min_echo_rx),
        remote_detect_multiplier: session.remote_multiplier.into(),
    }
}

/// FRR's word.
pub(super) const fn status_word(state: SessionState) -> &'static str {
    match state {
        SessionState::AdminDown => "shutdown",
        SessionState::Down => "down",
        SessionState::Init => "init",
        SessionState::Up => "up",
    }
}

/// Of a link-local peer; empty for others, and for an interface that has gone.
fn interface(index: u32) -> String {
    let name = (index != 0).then(|| nix::net::if_::if_indextoname(index).ok()).flatten();
    name.and_then(|name| name.into_string().ok()).unwrap_or_default()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
