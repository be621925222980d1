//! Addresses that mean something only together with a link.

use std::fmt;
use std::net::IpAddr;

use platform::kernel::Ifindex;

/// An address, with its link if it is link-local: the same link-local address may be on every link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopedAddress {
    /// The address.
    pub address: IpAddr,
    /// The link that a link-local address is on.
    pub link: Option<Ifindex>,
}

impl ScopedAddress {
    /// Where the packets of a route go. `scope_id`: the interface of the session that it was learnt on, 0 if that is not
    /// on link-local addresses. On such a session the link-local address counts, also beside a global one (RFC 2545 §3):
    /// nobody need have an address in the subnet of the global one.
    pub fn of_next_hop(next_hop: bgp::wire::NextHop, scope_id: u32) -> Self {
        match next_hop.link_local() {
            Some(address) if scope_id != 0 => {
                Self { address: address.into(), link: Some(scope_id) }
            }
            _ => next_hop.address().into(),
        }
    }

    /// A link-local address on a link that nobody knows.
    pub(super) fn is_ambiguous(self) -> bool {
        match self.address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => self.link.is_none() && address.is_unicast_link_local(),
        }
    }
}

impl From<IpAddr> for ScopedAddress {
    fn from(address: IpAddr) -> Self {
        Self { address, link: None }
    }
}

impl fmt::Display for ScopedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.link {
            Some(link) => write!(f, "{}%{link}", self.address),
            None => self.address.fmt(f),
        }
    }
}
