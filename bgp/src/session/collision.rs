//! Two connections to one peer: which of them stays (RFC 4271 §6.8, RFC 6286 §2.3).
//!
//! The rule is applied as soon as the first OPEN names the peer's identifier, also when the other connection is still
//! in OpenSent (§6.8 allows that). Waiting until both are in OpenConfirm leaves a race in which each side closes a
//! different one.

use crate::types::{Asn, RouterId};

/// Who opened a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Outgoing,
    Incoming,
}

/// The direction that survives: the connection of the speaker with the higher identifier, then the higher AS number.
pub(crate) fn survivor(local: (RouterId, Asn), remote: (RouterId, Asn)) -> Direction {
    if local > remote { Direction::Outgoing } else { Direction::Incoming }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn id(last: u8) -> RouterId {
        RouterId(Ipv4Addr::new(192, 0, 2, last))
    }

    #[test]
    fn the_connection_of_the_higher_identifier_survives_on_both_sides() {
        assert_eq!(survivor((id(2), Asn(1)), (id(1), Asn(9))), Direction::Outgoing);
        assert_eq!(survivor((id(1), Asn(9)), (id(2), Asn(1))), Direction::Incoming);
    }

    #[test]
    fn the_higher_as_number_decides_between_equal_identifiers() {
        assert_eq!(survivor((id(1), Asn(70_000)), (id(1), Asn(65_000))), Direction::Outgoing);
        assert_eq!(survivor((id(1), Asn(65_000)), (id(1), Asn(70_000))), Direction::Incoming);
    }
}
