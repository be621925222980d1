//! Addresses of links.

use std::net::IpAddr;

use ipnet::IpNet;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};

use super::message::{NLM_F_CREATE, NLM_F_REPLACE, RTM_DELADDR, RTM_NEWADDR, Request};
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
    /// Creates it, or turns what is there under its key into it.
    pub(super) fn encode_create(&self) -> Request {
        let mut message = self.message();
        if self.prefix.addr().is_ipv6() {
            // Ours are chosen by a control plane: there is no one to ask whether another machine has them.
            message.header.flags |= AddressHeaderFlags::Nodad;
        }
        Request::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &message)
    }

    pub(super) fn encode_delete(&self) -> Request {
        Request::new(RTM_DELADDR, 0, &self.message())
    }

    fn message(&self) -> AddressMessage {
        let mut message = AddressMessage::default();
        let local = self.prefix.addr();
        message.header.family =
            if local.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.prefix_len = self.prefix.prefix_len();
        message.header.index = self.ifindex;
        message.header.scope =
            if local.is_loopback() { AddressScope::Host } else { AddressScope::Universe };
        message.attributes.push(AddressAttribute::Local(local));
        message.attributes.push(AddressAttribute::Address(self.peer.unwrap_or(local)));
        message
    }

    pub(super) fn decode(message: &AddressMessage) -> Option<Self> {
        let (mut local, mut address) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(it) => local = Some(*it),
                AddressAttribute::Address(it) => address = Some(*it),
                _ => {}
            }
        }
        // IPv6 says only "address" unless the link is point-to-point; IPv4 says both, and "address" is the other end's.
        let own = local.or(address)?;
        Some(Self {
            ifindex: message.header.index,
            prefix: IpNet::new(own, message.header.prefix_len).ok()?,
            peer: address.filter(|peer| *peer != own),
            tentative: message.header.flags.contains(AddressHeaderFlags::Tentative),
        })
    }
}
