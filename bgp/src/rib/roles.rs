//! Route leaks, prevented and found by roles (RFC 9234 §5), for IPv4 and IPv6 unicast with external neighbours.
//!
//! A route that went down to a customer or across to a peer is marked ONLY_TO_CUSTOMER with the AS that sent it there,
//! and must not go up or across again. `role` is always ours.

use crate::types::{AfiSafi, Asn, Role};

/// What becomes of a received route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// It is as it should be.
    Take,
    /// The neighbour should have marked it.
    Mark,
    /// It leaked.
    Refuse,
}

pub(crate) fn apply_to(family: AfiSafi) -> bool {
    matches!(family, AfiSafi::IPV4_UNICAST | AfiSafi::IPV6_UNICAST)
}

/// Judges a route from `neighbor` by its mark.
pub(super) fn received(role: Role, mark: Option<Asn>, neighbor: Asn) -> Received {
    match (role, mark) {
        (Role::Provider | Role::RsServer, Some(_)) => Received::Refuse,
        (Role::Peer, Some(asn)) if asn != neighbor => Received::Refuse,
        (Role::Customer | Role::Peer | Role::RsClient, None) => Received::Mark,
        _ => Received::Take,
    }
}

/// Whether the neighbour may be told of a marked route.
pub(super) fn may_send_marked(role: Role) -> bool {
    matches!(role, Role::Provider | Role::RsServer)
}

/// Whether a route that has no mark gets one with our AS number.
pub(super) fn marks(role: Role) -> bool {
    matches!(role, Role::Provider | Role::RsServer | Role::Peer)
}
