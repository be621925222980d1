//! Finding the neighbour at the other end of a link: BGP unnumbered (FRR's `neighbor swp51 interface`).
//!
//! Both routers advertise themselves (RFC 4861 §6.2), and each takes the link-local address that the other's
//! advertisements come from. Nothing else of an advertisement is used, and the kernel need not know of any: no default
//! route, no prefix, no address comes of it.
//!
//! One neighbour per link. If a second router is heard, the first is asked for a sign of life: if it gives none, it has
//! another address now; if it does, it stays, and the other one is named. A router that falls silent stays: only a link
//! that goes down ends its stay here, and BGP's own timers its session. A router lifetime of 0 is no farewell, it says
//! only that the sender is no default router (§4.2), and FRR is configured like that here and there.
//!
//! Pure: packets and `now` in; packets, sightings and deadlines out. `bgp::net::discovery` moves them.

mod link;
mod message;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Instant;

use crate::session::timers::Jitter;
use crate::types::MacAddr;
use link::Link;
pub use link::{MAX_ADVERTISEMENT_INTERVAL, ROUTER_LIFETIME};
pub use message::{HOP_LIMIT, Invalid, Message, Packet};

/// All nodes of a link (RFC 4291 §2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of a link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// An interface that is up and has a link-local address which nobody else has (RFC 4862 §5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's index of it.
    pub index: u32,
    /// Our address on its link.
    pub link_local: Ipv6Addr,
    /// Its MAC, if it has one.
    pub mac: Option<MacAddr>,
}

/// Who is at the other end of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its name.
    pub interface: String,
    /// The interface's index; `None`: it cannot be used.
    pub index: Option<u32>,
    /// The router there, if one was heard.
    pub neighbor: Option<Ipv6Addr>,
    /// A second router on the link, with which there is no session.
    pub other: Option<Ipv6Addr>,
}

/// A message to send, with hop limit 255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// By this interface.
    pub interface: u32,
    /// To this address.
    pub destination: Ipv6Addr,
    /// An ICMPv6 message without checksum.
    pub octets: Vec<u8>,
}

/// Discovery on all interfaces that have an unnumbered neighbour.
#[derive(Debug)]
pub struct Discovery {
    links: BTreeMap<u32, (String, Link)>,
    jitter: Jitter,
    transmits: VecDeque<Transmit>,
    sightings: VecDeque<Sighting>,
}

impl Discovery {
    /// On no interface. The seed makes timers differ between routers.
    pub fn new(seed: u64) -> Self {
        Self {
            links: BTreeMap::new(),
            jitter: Jitter::new(seed),
            transmits: VecDeque::new(),
            sightings: VecDeque::new(),
        }
    }

    /// An interface can be used from now on, or is another one than before under the same name; `None`: it is down, gone,
    /// or has no link-local address.
    pub fn handle_interface(&mut self, name: &str, interface: Option<Interface>, now: Instant) {
        let known = self.links.iter().find(|(_, (known, _))| known == name);
        let before = known.map(|(index, (_, link))| (*index, link.interface()));
        if before.map(|(_, interface)| interface) == interface {
            return;
        }
        if let Some((index, _)) = before {
            self.links.remove(&index);
            self.sight(Sighting {
                interface: name.to_owned(),
                index: None,
                neighbor: None,
                other: None,
            });
        }
        if let Some(interface) = interface {
            let mut link = Link::new(interface, now);
            link.handle_timeout(now, &mut self.jitter, &mut self.transmits);
            self.sight(link.sighting(name));
            self.links.insert(interface.index, (name.to_owned(), link));
        }
    }

    /// A message came in. Those of interfaces without an unnumbered neighbour, and of other types, are none of ours.
    ///
    /// # Errors
    /// A message that has to be discarded.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, now: Instant) -> Result<(), Invalid> {
        let Some((name, link)) = self.links.get_mut(&packet.interface) else { return Ok(()) };
        if packet.source == link.interface().link_local {
            return Ok(());
        }
        let changed = match Message::decode(packet)? {
            Some(Message::Solicitation) => {
                link.handle_solicitation(packet.source, now, &mut self.jitter);
                false
            }
            Some(Message::Advertisement { .. }) => {
                link.handle_advertisement(packet.source, now, &mut self.transmits)
            }
            None => false,
        };
        if changed {
            let sighting = link.sighting(name);
            self.sight(sighting);
        }
        Ok(())
    }

    /// Time has passed. To be called at [`Self::poll_timeout`]; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (name, link) in self.links.values_mut() {
            if link.handle_timeout(now, &mut self.jitter, &mut self.transmits) {
                self.sightings.push_back(link.sighting(name));
            }
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.links.values().map(|(_, link)| link.next_timeout()).min()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next interface of which something else is known now.
    pub fn poll_sighting(&mut self) -> Option<Sighting> {
        self.sightings.pop_front()
    }

    fn sight(&mut self, sighting: Sighting) {
        self.sightings.push_back(sighting);
    }
}

#[cfg(test)]
mod tests;
