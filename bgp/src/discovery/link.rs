//! One link: when we advertise and solicit, and who else is there. Constants in capitals are RFC 4861's (§6.2.1, §10).

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use super::{ALL_NODES, ALL_ROUTERS, Interface, Message, Sighting, Transmit};
use crate::session::timers::Jitter;

/// Between two advertisements to all nodes, at most; FRR's for unnumbered neighbours.
pub const MAX_ADVERTISEMENT_INTERVAL: Duration = Duration::from_secs(10);
/// Three of these intervals, as FRR has it.
pub const ROUTER_LIFETIME: u16 = 30;

const MIN_ADVERTISEMENT_INTERVAL: Duration = Duration::from_millis(3300);
/// Between two advertisements to all nodes, at least. The first ones follow each other this closely.
const MIN_DELAY_BETWEEN_RAS: Duration = Duration::from_secs(3);
const MAX_INITIAL_RTR_ADVERTISEMENTS: u32 = 3;
/// An answer to a solicitation waits for up to this long, so that it can answer several.
const MAX_RA_DELAY_TIME: Duration = Duration::from_millis(500);
const MAX_RTR_SOLICITATIONS: u32 = 3;
/// Between two solicitations; an answer takes no longer.
const RTR_SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// A router that was not heard for this long may have another address by now.
const SILENCE: Duration = Duration::from_secs(30);

/// The link of an interface.
#[derive(Debug)]
pub(super) struct Link {
    interface: Interface,
    advertise_at: Instant,
    /// The earliest time for the next one.
    advertise_from: Instant,
    advertised: u32,
    /// An advertisement for one router only: who asked, or who does not know us yet.
    answer: Option<(Instant, Ipv6Addr)>,
    /// Until somebody is found.
    solicit_at: Option<Instant>,
    solicited: u32,
    neighbor: Option<Known>,
    other: Option<Known>,
    doubt: Option<Doubt>,
    /// The earliest time for the next one: whoever makes up routers does not make us ask more often.
    doubt_from: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    address: Ipv6Addr,
    heard: Instant,
}

/// Another router was heard, and the neighbour has until then to be heard as well.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    successor: Ipv6Addr,
    until: Instant,
}

impl Link {
    pub(super) fn new(interface: Interface, now: Instant) -> Self {
        Self {
            interface,
            advertise_at: now,
            advertise_from: now,
            advertised: 0,
            answer: None,
            solicit_at: Some(now),
            solicited: 0,
            neighbor: None,
            other: None,
            doubt: None,
            doubt_from: now,
        }
    }

    pub(super) fn interface(&self) -> Interface {
        self.interface
    }

    pub(super) fn sighting(&self, name: &str) -> Sighting {
        Sighting {
            interface: name.to_owned(),
            index: Some(self.interface.index),
            neighbor: self.neighbor.map(|known| known.address),
            other: self.other.map(|known| known.address),
        }
    }

    /// Somebody asks. Who has no address yet hears the answer that everybody hears.
    pub(super) fn handle_solicitation(
        &mut self,
        source: Ipv6Addr,
        now: Instant,
        jitter: &mut Jitter,
    ) {
        let at = now + jitter.between(Duration::ZERO, MAX_RA_DELAY_TIME);
        if !source.is_unicast_link_local() {
            self.advertise_at = self.advertise_at.min(at.max(self.advertise_from));
        } else if self.answer.is_none() {
            self.answer = Some((at, source));
        }
    }

    /// A router is there. Whether that changes what is known.
    pub(super) fn handle_advertisement(
        &mut self,
        source: Ipv6Addr,
        now: Instant,
        out: &mut VecDeque<Transmit>,
    ) -> bool {
        let heard = Known { address: source, heard: now };
        let Some(neighbor) = &mut self.neighbor else {
            self.find(heard);
            return true;
        };
        if neighbor.address == source {
            *neighbor = heard;
            // Both are there.
            let Some(doubt) = self.doubt.take() else { return false };
            let known = self.other.replace(Known { address: doubt.successor, heard: now });
            return known.map(|known| known.address) != Some(doubt.successor);
        }
        if let Some(other) = &mut self.other
            && other.address == source
        {
            *other = heard;
            if now.duration_since(neighbor.heard) < SILENCE {
                return false;
            }
        }
        if self.doubt.is_none() && self.doubt_from <= now {
            self.doubt_from = now + RTR_SOLICITATION_INTERVAL;
            self.doubt = Some(Doubt { successor: source, until: self.doubt_from });
            self.send(Message::Solicitation, ALL_ROUTERS, out);
        }
        false
    }

    /// Does what is due. Whether something else is known now.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        jitter: &mut Jitter,
        out: &mut VecDeque<Transmit>,
    ) -> bool {
        let advertisement = Message::Advertisement { lifetime: ROUTER_LIFETIME };
        if self.advertise_at <= now {
            self.send(advertisement, ALL_NODES, out);
            self.advertised = self.advertised.saturating_add(1);
            self.advertise_from = now + MIN_DELAY_BETWEEN_RAS;
            self.advertise_at = if self.advertised < MAX_INITIAL_RTR_ADVERTISEMENTS {
                self.advertise_from
            } else {
                now + jitter.between(MIN_ADVERTISEMENT_INTERVAL, MAX_ADVERTISEMENT_INTERVAL)
            };
        }
        if let Some((at, to)) = self.answer
            && at <= now
        {
            self.answer = None;
            self.send(advertisement, to, out);
        }
        if self.solicit_at.is_some_and(|at| at <= now) {
            self.send(Message::Solicitation, ALL_ROUTERS, out);
            self.solicited += 1;
            self.solicit_at =
                (self.solicited < MAX_RTR_SOLICITATIONS).then_some(now + RTR_SOLICITATION_INTERVAL);
        }
        let succession = self.doubt.filter(|doubt| doubt.until <= now);
        if let Some(doubt) = succession {
            self.find(Known { address: doubt.successor, heard: now });
        }
        let forgotten = self.other.is_some_and(|other| other.heard + SILENCE <= now);
        if forgotten {
            self.other = None;
        }
        succession.is_some() || forgotten
    }

    pub(super) fn next_timeout(&self) -> Instant {
        let answer = self.answer.map(|(at, _)| at);
        let doubt = self.doubt.map(|doubt| doubt.until);
        let other = self.other.map(|other| other.heard + SILENCE);
        [answer, self.solicit_at, doubt, other]
            .into_iter()
            .flatten()
            .fold(self.advertise_at, Instant::min)
    }

    /// The neighbour is this one from now on, and hears of us without waiting for the next advertisement.
    fn find(&mut self, found: Known) {
        self.neighbor = Some(found);
        self.other = None;
        self.doubt = None;
        self.solicit_at = None;
        self.answer = Some((found.heard, found.address));
    }

    fn send(&self, message: Message, destination: Ipv6Addr, out: &mut VecDeque<Transmit>) {
        let octets = message.encode(self.interface.mac);
        out.push_back(Transmit { interface: self.interface.index, destination, octets });
    }
}
