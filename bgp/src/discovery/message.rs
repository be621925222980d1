//! Router solicitations and advertisements (RFC 4861 §4.1, §4.2), as far as routers need them to find each other.

use std::net::Ipv6Addr;

use crate::types::MacAddr;

/// What nobody beyond the link can send: a router would have counted it down (RFC 4861 §3.1).
pub const HOP_LIMIT: u8 = 255;

const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// Type, code, checksum, four reserved octets.
const SOLICITATION_LEN: usize = 8;
/// Type, code, checksum, hop limit, flags, router lifetime, reachable time, retransmission timer.
const ADVERTISEMENT_LEN: usize = 16;
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;

/// An ICMPv6 message as it came, with what its IPv6 header said.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The interface that it came in by.
    pub interface: u32,
    /// Who sent it.
    pub source: Ipv6Addr,
    /// How far it could still have gone.
    pub hop_limit: u8,
    /// From the type on. Whoever received it has checked the checksum.
    pub octets: &'a [u8],
}

/// A valid message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Somebody asks for routers.
    Solicitation,
    /// The sender is a router. For how many seconds it may be a default router is in here as well, and says nothing about
    /// whether it is a neighbour (§4.2).
    Advertisement {
        /// Seconds; 0: not at all.
        lifetime: u16,
    },
}

/// Why a message is not valid (RFC 4861 §6.1.1, §6.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It has crossed a router.
    #[error("hop limit {0}, which means that it is from beyond the link; 255 expected")]
    HopLimit(u8),
    /// A router must say who it is on this link.
    #[error("router advertisement from {0}, which is not a link-local address")]
    Source(Ipv6Addr),
    /// No other code exists.
    #[error("code {0}, expected 0")]
    Code(u8),
    /// Shorter than its type.
    #[error("{0} octets are too few")]
    Length(usize),
    /// An option without length, or longer than the message.
    #[error("option at octet {0} has a length that cannot be")]
    Option(usize),
    /// Who has no address yet has none to tell.
    #[error("router solicitation from :: with a link-layer address")]
    AddressOfNobody,
}

impl Message {
    /// Reads a message. `None`: one of another type.
    ///
    /// # Errors
    /// A message that §6.1 wants discarded.
    pub fn decode(packet: &Packet<'_>) -> Result<Option<Self>, Invalid> {
        let octets = packet.octets;
        let Some(kind @ (SOLICITATION | ADVERTISEMENT)) = octets.first().copied() else {
            return Ok(None);
        };
        if packet.hop_limit != HOP_LIMIT {
            return Err(Invalid::HopLimit(packet.hop_limit));
        }
        if kind == ADVERTISEMENT && !packet.source.is_unicast_link_local() {
            return Err(Invalid::Source(packet.source));
        }
        let head = if kind == SOLICITATION { SOLICITATION_LEN } else { ADVERTISEMENT_LEN };
        let ([_, code, ..], Some(options)) = (octets, octets.get(head..)) else {
            return Err(Invalid::Length(octets.len()));
        };
        if *code != 0 {
            return Err(Invalid::Code(*code));
        }
        let names_sender = check_options(options, head)?;
        match octets {
            [SOLICITATION, ..] if names_sender && packet.source.is_unspecified() => {
                Err(Invalid::AddressOfNobody)
            }
            [ADVERTISEMENT, _, _, _, _, _, high, low, ..] => {
                Ok(Some(Self::Advertisement { lifetime: u16::from_be_bytes([*high, *low]) }))
            }
            _ => Ok(Some(Self::Solicitation)),
        }
    }

    /// The octets to send; the kernel fills in the checksum. `mac`: the sender's, if its link has such addresses. All
    /// parameters of an advertisement are unspecified: each receiver keeps its own (§4.2).
    pub fn encode(self, mac: Option<MacAddr>) -> Vec<u8> {
        let mut out = match self {
            Self::Solicitation => vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0],
            Self::Advertisement { lifetime } => {
                let [high, low] = lifetime.to_be_bytes();
                vec![ADVERTISEMENT, 0, 0, 0, 0, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0]
            }
        };
        if let Some(MacAddr(a, b, c, d, e, f)) = mac {
            out.extend_from_slice(&[SOURCE_LINK_LAYER_ADDRESS, 1, a, b, c, d, e, f]);
        }
        out
    }
}

/// Whether one of them is the sender's link-layer address. Lengths are in units of eight octets (§4.6).
fn check_options(mut options: &[u8], mut offset: usize) -> Result<bool, Invalid> {
    let mut names_sender = false;
    while let [kind, rest @ ..] = options {
        let len = rest.first().map_or(0, |units| usize::from(*units) * 8);
        let next = options.get(len..).filter(|_| len > 0).ok_or(Invalid::Option(offset))?;
        names_sender |= *kind == SOURCE_LINK_LAYER_ADDRESS;
        options = next;
        offset += len;
    }
    Ok(names_sender)
}
