//! Sessions that outlive the process: what must be known to go on with one, and going on with it.
//!
//! The TCP connection is kept by somebody else; here is what the engine does with it. A resumed session is Established
//! at once, and neither side knows what the other one remembers: so we ask for all routes (ROUTE-REFRESH) and, once we
//! have decided, send all ours between the marks of RFC 7313. What the peer has from our predecessor and we do not
//! confirm vanishes at the end mark. Until all resumed peers have sent their end mark, decisions wait as they do after
//! a graceful restart.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use super::neighbor::Asked;
use super::{Action, ConnectionId, NeighborId, Speaker};
use crate::rib::RouteKey;
use crate::session::negotiate::Negotiated;
use crate::types::AfiSafi;
use crate::wire::{FamilySet, MAX_MESSAGE, MessageType, OpenMessage, split_message};

/// An Established session, as another process needs it to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSession {
    /// Our end of the connection.
    pub local: SocketAddr,
    /// The neighbour's end.
    pub remote: SocketAddr,
    /// What we said.
    pub our_open: OpenMessage,
    /// What the neighbour said.
    pub peer_open: OpenMessage,
}

impl SavedSession {
    /// How long the neighbour waits for a sign of life; zero: for ever.
    pub fn hold_time(&self) -> Duration {
        Duration::from_secs(u64::from(self.our_open.hold_time.min(self.peer_open.hold_time)))
    }

    /// As bytes, for whoever keeps them.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        encode_address(self.local, &mut out);
        encode_address(self.remote, &mut out);
        out.extend_from_slice(self.our_open.octets());
        out.extend_from_slice(self.peer_open.octets());
        out
    }

    /// Back from bytes. `None` if they are not ours, or of another version of us.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let input = &mut bytes;
        let [FORMAT] = take(input)? else { return None };
        let local = decode_address(input)?;
        let remote = decode_address(input)?;
        let our_open = decode_open(input)?;
        let peer_open = decode_open(input)?;
        input.is_empty().then_some(Self { local, remote, our_open, peer_open })
    }
}

impl Speaker {
    /// Goes on with a session that is Established for the neighbour, on a connection that stands at a message boundary
    /// in both directions. To be called after its neighbour was added and before the first [`Self::poll_action`].
    ///
    /// `None`: close the connection. We did not start as restarting, the neighbour is gone, its configuration is
    /// another one, or it does not know enhanced route refresh.
    pub fn resume(&mut self, saved: &SavedSession, now: Instant) -> Option<ConnectionId> {
        let known = self.neighbor_at(saved.remote).or_else(|| self.unseen_at(saved.remote));
        let index = match known {
            Some(index) => index,
            None => self.admit(saved.remote, now)?,
        };
        self.found_at(index, saved.remote, now);
        let config = &self.neighbors.get(index as usize)?.as_ref()?.config;
        let same_source = config.local_address.is_none_or(|local| local == saved.local.ip());
        if !self.config.restarting || !same_source {
            return None;
        }
        let id = self.new_connection(index);
        let mut taken = false;
        self.with_session(index, now, |session| taken = session.resume(id, saved, now));
        if taken {
            // A new connection would tell the neighbour that the old one is dead.
            let neighbor = NeighborId(index);
            self.actions.retain(
                |action| !matches!(action, Action::Connect { neighbor: of, .. } if *of == neighbor),
            );
        }
        self.keep_connection(id, taken)
    }

    /// Routes that the process before us announced. A resumed neighbour has them; what we do not announce again is
    /// withdrawn from it by name, because not everybody drops EVPN routes at the end mark (FRR 8.4.4 does not). To be
    /// called before [`Self::resume`]. A route too many does no harm.
    pub fn predecessor_announced(&mut self, keys: Vec<RouteKey>) {
        self.predecessor = keys;
    }

    /// The neighbour has what our predecessor announced.
    pub(super) fn presume_sent(&mut self, index: u32) {
        for key in &self.predecessor {
            match key.clone() {
                RouteKey::Ipv4(key) => self.tables.ipv4.presume_sent(index, key),
                RouteKey::Ipv6(key) => self.tables.ipv6.presume_sent(index, key),
                RouteKey::Evpn(key) => self.tables.evpn.presume_sent(index, key),
            }
        }
    }

    /// The neighbour was asked for its routes: what it has said so far counts for nothing.
    pub(super) fn expect_answers(&mut self, index: u32, negotiated: &Negotiated) {
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            neighbor.asked = Asked { families: negotiated.families, begun: FamilySet::EMPTY };
        }
    }

    pub(super) fn handle_answer_begun(&mut self, index: u32, family: AfiSafi) {
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            neighbor.asked.begun.insert(family);
        }
    }

    /// The end mark after a whole table is as good as an End-of-RIB.
    pub(super) fn handle_answer_ended(&mut self, index: u32, family: AfiSafi) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let asked = &mut neighbor.asked;
        if asked.families.contains(family) && asked.begun.contains(family) {
            asked.families.remove(family);
            self.handle_end_of_rib(index, family);
        }
    }
}

/// Changes when the layout does: a daemon does not take up what another version of it has left.
const FORMAT: u8 = 1;
const IPV4: u8 = 4;
const IPV6: u8 = 6;

fn encode_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address {
        SocketAddr::V4(address) => {
            out.push(IPV4);
            out.extend_from_slice(&address.ip().octets());
        }
        SocketAddr::V6(address) => {
            out.push(IPV6);
            out.extend_from_slice(&address.ip().octets());
            out.extend_from_slice(&address.scope_id().to_be_bytes());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

fn decode_address(input: &mut &[u8]) -> Option<SocketAddr> {
    match take(input)? {
        [IPV4] => {
            let ip: [u8; 4] = take(input)?;
            Some(SocketAddr::new(IpAddr::from(ip), u16::from_be_bytes(take(input)?)))
        }
        [IPV6] => {
            let ip: [u8; 16] = take(input)?;
            let scope = u32::from_be_bytes(take(input)?);
            let port = u16::from_be_bytes(take(input)?);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope).into())
        }
        _ => None,
    }
}

fn decode_open(input: &mut &[u8]) -> Option<OpenMessage> {
    let frame = split_message(input, MAX_MESSAGE).ok()??;
    let open = (frame.kind == MessageType::Open).then(|| OpenMessage::decode(frame.body))?.ok()?;
    *input = input.get(frame.len..)?;
    Some(open)
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*field)
}
