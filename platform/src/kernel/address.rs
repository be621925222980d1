//! Addresses of links.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Ifindex, Key};

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Whose.
    pub ifindex: Ifindex,
    /// The address with the length of its subnet, host bits kept.
    pub prefix: IpNet,
    /// The other end, on a point-to-point link.
    pub peer: Option<IpAddr>,
    /// Not usable yet: IPv6 still looks whether another machine has it.
    pub tentative: bool,
}

impl Address {
    /// An address of a link with a subnet.
    pub const fn new(ifindex: Ifindex, prefix: IpNet) -> Self {
        Self { ifindex, prefix, peer: None, tentative: false }
    }

    /// Its identity.
    pub fn key(&self) -> Key {
        Key::Address { ifindex: self.ifindex, prefix: self.prefix }
    }

    /// What must exist first.
    pub fn requires(&self) -> Vec<Key> {
        vec![Key::Link(self.ifindex)]
    }
}
