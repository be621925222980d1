//! NOTIFICATION: why a session ends (RFC 4271 §4.5), in words that an operator reads.

use std::fmt;

use super::header::{HEADER_LEN, MAX_MESSAGE, MessageType, write_message};
use crate::types::AfiSafi;

/// The error that ends a session: received from the peer, or to be sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What kind of error.
    pub code: u8,
    /// Which error of that kind; 0 is unspecific.
    pub subcode: u8,
    /// What the error was about; its meaning depends on code and subcode.
    pub data: Vec<u8>,
}

/// Why a session is ended without an error of the protocol (RFC 4486, 8538, 9384).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CeaseReason {
    /// The peer sent more routes than we accept.
    MaximumPrefixes = 1,
    /// An operator shut the neighbour down.
    AdministrativeShutdown = 2,
    /// The neighbour is no longer configured.
    PeerDeconfigured = 3,
    /// An operator asked for a new session.
    AdministrativeReset = 4,
    /// We do not want this connection.
    ConnectionRejected = 5,
    /// A change of configuration needs a new session.
    OtherConfigurationChange = 6,
    /// The other one of two connections is kept (RFC 4271 §6.8).
    ConnectionCollision = 7,
    /// Not enough memory.
    OutOfResources = 8,
    /// The session is not to be restarted gracefully (RFC 8538).
    HardReset = 9,
    /// BFD says that the peer is gone (RFC 9384).
    BfdDown = 10,
}

impl Notification {
    /// An error with nothing to say in the data field.
    pub const fn new(code: u8, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    /// An error with its data field.
    pub const fn with_data(code: u8, subcode: u8, data: Vec<u8>) -> Self {
        Self { code, subcode, data }
    }

    /// The marker is not all ones: the stream lost its place.
    pub const fn connection_not_synchronized() -> Self {
        Self::new(HEADER, 1)
    }

    /// A length that no such message has; the data is that length.
    pub fn bad_message_length(length: u16) -> Self {
        Self::with_data(HEADER, 2, length.to_be_bytes().to_vec())
    }

    /// A message type that does not exist.
    pub fn bad_message_type(kind: u8) -> Self {
        Self::with_data(HEADER, 3, vec![kind])
    }

    /// An OPEN that cannot be read.
    pub const fn malformed_open() -> Self {
        Self::new(OPEN, 0)
    }

    /// Not BGP-4; the data is the version that we speak.
    pub fn unsupported_version() -> Self {
        Self::with_data(OPEN, 1, vec![0, 4])
    }

    /// The AS number is not the one that we expect, or 0 (RFC 7607).
    pub const fn bad_peer_as() -> Self {
        Self::new(OPEN, 2)
    }

    /// The BGP identifier is zero, or our own within the same AS (RFC 6286).
    pub const fn bad_bgp_identifier() -> Self {
        Self::new(OPEN, 3)
    }

    /// An optional parameter of the OPEN that is not a capability.
    pub const fn unsupported_optional_parameter() -> Self {
        Self::new(OPEN, 4)
    }

    /// A hold time of one or two seconds.
    pub const fn unacceptable_hold_time() -> Self {
        Self::new(OPEN, 6)
    }

    /// The peer lacks capabilities that we cannot do without; the data is those capabilities, as in an OPEN.
    pub const fn unsupported_capability(capabilities: Vec<u8>) -> Self {
        Self::with_data(OPEN, 7, capabilities)
    }

    /// An UPDATE whose lengths contradict each other, or with two MP_REACH_NLRI.
    pub const fn malformed_attribute_list() -> Self {
        Self::new(UPDATE, 1)
    }

    /// An attribute that claims to be known to everyone, and is not; the data is the attribute.
    pub const fn unrecognized_well_known_attribute(attribute: Vec<u8>) -> Self {
        Self::with_data(UPDATE, 2, attribute)
    }

    /// Optional and transitive bits that are not those of the attribute; the data is the attribute.
    pub const fn attribute_flags_error(attribute: Vec<u8>) -> Self {
        Self::with_data(UPDATE, 4, attribute)
    }

    /// An MP_REACH_NLRI or MP_UNREACH_NLRI whose routes cannot be named; the data is the attribute.
    pub const fn optional_attribute_error(attribute: Vec<u8>) -> Self {
        Self::with_data(UPDATE, 9, attribute)
    }

    /// Prefixes that cannot be read.
    pub const fn invalid_network_field() -> Self {
        Self::new(UPDATE, 10)
    }

    /// The peer was silent for longer than the hold time.
    pub const fn hold_timer_expired() -> Self {
        Self::new(HOLD_TIMER, 0)
    }

    /// A message that the state of the session does not allow (RFC 6608): 1 in OpenSent, 2 in OpenConfirm, 3 in
    /// Established.
    pub const fn unexpected_message(state: u8) -> Self {
        Self::new(STATE_MACHINE, state)
    }

    /// The peer's role does not go with ours (RFC 9234 §4.2).
    pub const fn role_mismatch() -> Self {
        Self::new(OPEN, 11)
    }

    /// The end of the session is wanted.
    pub const fn cease(reason: CeaseReason) -> Self {
        Self::new(CEASE, reason as u8)
    }

    /// The peer sent more routes of a family than it may; the data names family and limit (RFC 4486 §4).
    pub fn maximum_prefixes(family: AfiSafi, limit: usize) -> Self {
        let mut data = family.afi.to_be_bytes().to_vec();
        data.push(family.safi);
        data.extend_from_slice(&u32::try_from(limit).unwrap_or(u32::MAX).to_be_bytes());
        Self::with_data(CEASE, CeaseReason::MaximumPrefixes as u8, data)
    }

    /// The end of the session is wanted, and the operator says why (RFC 9003). Meant for
    /// [`CeaseReason::AdministrativeShutdown`] and [`CeaseReason::AdministrativeReset`]. Text beyond 255 octets is cut.
    pub fn cease_with_text(reason: CeaseReason, text: &str) -> Self {
        let mut end = text.len().min(255);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        let mut data = vec![u8::try_from(text.len()).unwrap_or(0)];
        data.extend_from_slice(text.as_bytes());
        Self::with_data(CEASE, reason as u8, data)
    }

    /// The same end of session, with the word that routes are not to be kept for a graceful restart (RFC 8538 §3.1).
    #[must_use]
    pub fn into_hard_reset(self) -> Self {
        let mut data = vec![self.code, self.subcode];
        data.extend_from_slice(&self.data);
        Self::with_data(CEASE, CeaseReason::HardReset as u8, data)
    }

    /// A ROUTE-REFRESH of the wrong length; the data is the message (RFC 7313 §5).
    pub const fn bad_route_refresh_length(message: Vec<u8>) -> Self {
        Self::with_data(ROUTE_REFRESH, 1, message)
    }

    /// The peer did not take our data for longer than the hold time (RFC 9687).
    pub const fn send_hold_timer_expired() -> Self {
        Self::new(SEND_HOLD_TIMER, 0)
    }

    /// Whether the peer must not keep our routes through a graceful restart (RFC 8538).
    pub const fn is_hard_reset(&self) -> bool {
        self.code == CEASE && self.subcode == CeaseReason::HardReset as u8
    }

    /// The words of the peer's operator, if this is a shutdown or reset that brought some (RFC 9003).
    pub fn shutdown_text(&self) -> Option<String> {
        if self.code != CEASE || !matches!(self.subcode, 2 | 4) {
            return None;
        }
        let (len, text) = self.data.split_first()?;
        let text = text.get(..usize::from(*len))?;
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// Reads the body of a NOTIFICATION. A body without code and subcode does not get here: the header check refuses
    /// it. Should it, it reads as an unspecific error.
    pub fn decode(body: &[u8]) -> Self {
        match body {
            [code, subcode, data @ ..] => Self::with_data(*code, *subcode, data.to_vec()),
            _ => Self::new(body.first().copied().unwrap_or_default(), 0),
        }
    }

    /// Appends the whole message. Data that does not fit is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let room = MAX_MESSAGE - HEADER_LEN - 2;
        write_message(MessageType::Notification, out, |out| {
            out.extend_from_slice(&[self.code, self.subcode]);
            out.extend(self.data.iter().take(room));
        });
    }

    fn words(&self) -> (&'static str, Option<&'static str>) {
        match self.code {
            HEADER => ("Message Header Error", header_error(self.subcode)),
            OPEN => ("OPEN Message Error", open_error(self.subcode)),
            UPDATE => ("UPDATE Message Error", update_error(self.subcode)),
            HOLD_TIMER => ("Hold Timer Expired", None),
            STATE_MACHINE => ("Finite State Machine Error", state_machine_error(self.subcode)),
            CEASE => ("Cease", cease_reason(self.subcode)),
            ROUTE_REFRESH => (
                "ROUTE-REFRESH Message Error",
                (self.subcode == 1).then_some("Invalid Message Length"),
            ),
            SEND_HOLD_TIMER => ("Send Hold Timer Expired", None),
            _ => ("Unknown error", None),
        }
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, subcode) = self.words();
        f.write_str(code)?;
        match subcode {
            Some(subcode) => write!(f, "/{subcode}")?,
            None if matches!(self.code, 1..=8) && self.subcode == 0 => {}
            None => write!(f, " ({}/{})", self.code, self.subcode)?,
        }
        if let Some(text) = self.shutdown_text() {
            // Debug quotes the text and escapes control characters: it comes from outside and goes to logs.
            return write!(f, ": {text:?}");
        }
        if self.is_hard_reset()
            && let [code, subcode, data @ ..] = self.data.as_slice()
            && (*code, *subcode) != (CEASE, CeaseReason::HardReset as u8)
        {
            return write!(f, ": {}", Self::with_data(*code, *subcode, data.to_vec()));
        }
        if !self.data.is_empty() {
            f.write_str(", data")?;
            for octet in self.data.iter().take(32) {
                write!(f, " {octet:02x}")?;
            }
            if self.data.len() > 32 {
                f.write_str(" ..")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Notification {}

const HEADER: u8 = 1;
const OPEN: u8 = 2;
const UPDATE: u8 = 3;
const HOLD_TIMER: u8 = 4;
const STATE_MACHINE: u8 = 5;
const CEASE: u8 = 6;
const ROUTE_REFRESH: u8 = 7;
const SEND_HOLD_TIMER: u8 = 8;

fn header_error(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        1 => "Connection Not Synchronized",
        2 => "Bad Message Length",
        3 => "Bad Message Type",
        _ => return None,
    })
}

fn open_error(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        1 => "Unsupported Version Number",
        2 => "Bad Peer AS",
        3 => "Bad BGP Identifier",
        4 => "Unsupported Optional Parameter",
        6 => "Unacceptable Hold Time",
        7 => "Unsupported Capability",
        11 => "Role Mismatch",
        _ => return None,
    })
}

fn update_error(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        1 => "Malformed Attribute List",
        2 => "Unrecognized Well-known Attribute",
        3 => "Missing Well-known Attribute",
        4 => "Attribute Flags Error",
        5 => "Attribute Length Error",
        6 => "Invalid ORIGIN Attribute",
        8 => "Invalid NEXT_HOP Attribute",
        9 => "Optional Attribute Error",
        10 => "Invalid Network Field",
        11 => "Malformed AS_PATH",
        _ => return None,
    })
}

fn state_machine_error(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        1 => "Receive Unexpected Message in OpenSent State",
        2 => "Receive Unexpected Message in OpenConfirm State",
        3 => "Receive Unexpected Message in Established State",
        _ => return None,
    })
}

fn cease_reason(subcode: u8) -> Option<&'static str> {
    Some(match subcode {
        1 => "Maximum Number of Prefixes Reached",
        2 => "Administrative Shutdown",
        3 => "Peer Unconfigured",
        4 => "Administrative Reset",
        5 => "Connection Rejected",
        6 => "Other Configuration Change",
        7 => "Connection Collision Resolution",
        8 => "Out of Resource",
        9 => "Hard Reset",
        10 => "BFD Down",
        _ => return None,
    })
}
