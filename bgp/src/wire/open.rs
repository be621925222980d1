//! OPEN (RFC 4271 §4.2), with capabilities (RFC 5492) and the long form of its parameters (RFC 9072).

use std::net::Ipv4Addr;
use std::ops::Deref;

use super::capability::Capability;
use super::header::{HEADER_LEN, MessageType, write_message};
use super::notification::Notification;
use super::reader::Reader;
use crate::types::{Asn, RouterId};

/// The first message of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The speaker's AS number: from the four-octet capability when there is one.
    pub asn: Asn,
    /// Seconds; 0 switches keepalives off.
    pub hold_time: u16,
    /// The speaker's BGP identifier.
    pub router_id: RouterId,
    /// In the order of the message; the same one may be there several times.
    pub capabilities: Vec<Capability>,
}

/// An OPEN as it went over a connection: what it says can be written in more than one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMessage {
    open: Open,
    octets: Box<[u8]>,
}

impl OpenMessage {
    /// The way that we write it.
    pub fn new(open: Open) -> Self {
        let mut octets = Vec::new();
        open.encode(&mut octets);
        Self { open, octets: octets.into_boxed_slice() }
    }

    /// Reads the body of an OPEN, and keeps it.
    ///
    /// # Errors
    /// As [`Open::decode`].
    pub fn decode(body: &[u8]) -> Result<Self, Notification> {
        let open = Open::decode(body)?;
        let mut octets = Vec::with_capacity(body.len() + HEADER_LEN);
        write_message(MessageType::Open, &mut octets, |out| out.extend_from_slice(body));
        Ok(Self { open, octets: octets.into_boxed_slice() })
    }

    /// The whole message.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl Deref for OpenMessage {
    type Target = Open;

    fn deref(&self) -> &Open {
        &self.open
    }
}

const VERSION: u8 = 4;
const CAPABILITIES: u8 = 2;
const EXTENDED: u8 = 255;

impl Open {
    /// What the sender calls itself, if it does.
    pub fn hostname(&self) -> Option<&str> {
        self.capabilities.iter().find_map(|capability| match capability {
            Capability::Hostname { host, .. } if !host.is_empty() => Some(host.as_str()),
            _ => None,
        })
    }

    /// Reads the body of an OPEN.
    ///
    /// # Errors
    /// The NOTIFICATION to send: what every speaker must refuse. Whether the AS number is the expected one, and whether
    /// identifier and capabilities suit us, is for the session to say.
    pub fn decode(body: &[u8]) -> Result<Self, Notification> {
        let mut input = Reader::new(body);
        let fixed = (input.u8(), input.u16(), input.u16(), input.array::<4>());
        let (Some(version), Some(short_asn), Some(hold_time), Some(identifier)) = fixed else {
            return Err(Notification::malformed_open());
        };
        if version != VERSION {
            return Err(Notification::unsupported_version());
        }
        let capabilities = decode_parameters(&mut input)?;
        let asn = four_octet_as(&capabilities).unwrap_or_else(|| Asn(u32::from(short_asn)));
        if short_asn == 0 || asn.0 == 0 {
            return Err(Notification::bad_peer_as());
        }
        if matches!(hold_time, 1 | 2) {
            return Err(Notification::unacceptable_hold_time());
        }
        if identifier == [0; 4] {
            return Err(Notification::bad_bgp_identifier());
        }
        Ok(Self { asn, hold_time, router_id: RouterId(Ipv4Addr::from(identifier)), capabilities })
    }

    /// Appends the whole message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let short_asn = u16::try_from(self.asn.0).map_or(Asn::TRANS, |asn| Asn(u32::from(asn)));
        let [_, _, high, low] = short_asn.0.to_be_bytes();
        let mut capabilities = Vec::new();
        for capability in &self.capabilities {
            capability.encode(&mut capabilities);
        }
        write_message(MessageType::Open, out, |out| {
            out.extend_from_slice(&[VERSION, high, low]);
            out.extend_from_slice(&self.hold_time.to_be_bytes());
            out.extend_from_slice(&self.router_id.0.octets());
            encode_parameters(&capabilities, out);
        });
    }
}

fn four_octet_as(capabilities: &[Capability]) -> Option<Asn> {
    capabilities.iter().find_map(|capability| match capability {
        Capability::FourOctetAs(asn) => Some(*asn),
        _ => None,
    })
}

fn decode_parameters(input: &mut Reader<'_>) -> Result<Vec<Capability>, Notification> {
    let malformed = Notification::malformed_open;
    let length = input.u8().ok_or_else(malformed)?;
    // RFC 9072 §2: a first parameter of type 255 makes the octet before it meaningless.
    let extended = length != 0 && input.rest().first() == Some(&EXTENDED);
    let parameters = if extended {
        input.u8();
        input.take_u16_len()
    } else {
        input.take(usize::from(length))
    };
    let mut parameters = Reader::new(parameters.ok_or_else(malformed)?);
    if !input.is_empty() {
        return Err(malformed());
    }
    let mut capabilities = Vec::new();
    while let Some(kind) = parameters.u8() {
        let value = if extended { parameters.take_u16_len() } else { parameters.take_u8_len() };
        let mut value = Reader::new(value.ok_or_else(malformed)?);
        if kind != CAPABILITIES {
            return Err(Notification::unsupported_optional_parameter());
        }
        while !value.is_empty() {
            capabilities.push(Capability::decode(&mut value).ok_or_else(malformed)?);
        }
    }
    Ok(capabilities)
}

fn encode_parameters(capabilities: &[u8], out: &mut Vec<u8>) {
    let len = capabilities.len();
    match u8::try_from(len) {
        Ok(0) => out.push(0),
        Ok(short @ ..=252) => out.extend_from_slice(&[short + 2, CAPABILITIES, short]),
        _ => {
            let inner = u16::try_from(len).unwrap_or(u16::MAX);
            let outer = inner.saturating_add(3);
            out.extend_from_slice(&[EXTENDED, EXTENDED]);
            out.extend_from_slice(&outer.to_be_bytes());
            out.push(CAPABILITIES);
            out.extend_from_slice(&inner.to_be_bytes());
        }
    }
    out.extend_from_slice(capabilities);
}
