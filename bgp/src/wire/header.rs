//! The 19 octets before every message (RFC 4271 §4.1): splitting the stream, and framing what we send.

use super::notification::Notification;

/// Marker, length and type.
pub const HEADER_LEN: usize = 19;
/// The longest message without the extended message capability.
pub const MAX_MESSAGE: usize = 4096;
/// The longest message with the extended message capability (RFC 8654). OPEN and KEEPALIVE stay at [`MAX_MESSAGE`].
pub const MAX_EXTENDED_MESSAGE: usize = 65535;

const MARKER: [u8; 16] = [0xff; 16];

/// The five messages of BGP-4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageType {
    /// First message of a session.
    Open = 1,
    /// Routes.
    Update = 2,
    /// The reason for closing the session.
    Notification = 3,
    /// Nothing but a sign of life.
    Keepalive = 4,
    /// Request to send all routes of a family again (RFC 2918).
    RouteRefresh = 5,
}

impl MessageType {
    const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Open),
            2 => Some(Self::Update),
            3 => Some(Self::Notification),
            4 => Some(Self::Keepalive),
            5 => Some(Self::RouteRefresh),
            _ => None,
        }
    }

    /// The length that a message of this type cannot have (RFC 4271 §6.1). A bad length of ROUTE-REFRESH is an error
    /// of its own (RFC 7313 §5), which its decoder reports.
    const fn forbids_length(self, length: usize) -> bool {
        match self {
            Self::Open => length < 29 || length > MAX_MESSAGE,
            Self::Update => length < 23,
            Self::Notification => length < 21,
            Self::Keepalive => length != HEADER_LEN,
            Self::RouteRefresh => length < HEADER_LEN,
        }
    }
}

/// One message at the front of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the body is.
    pub kind: MessageType,
    /// What follows the header.
    pub body: &'a [u8],
    /// Octets to take off the stream: header and body.
    pub len: usize,
}

/// Looks for one whole message at the front of `input`. `None`: more bytes are needed.
///
/// The header is judged as soon as it is there, so that a hopeless stream is not read on.
///
/// # Errors
/// The NOTIFICATION to send before closing: lost synchronisation, an impossible length, or an unknown type.
pub fn split_message(input: &[u8], max_len: usize) -> Result<Option<Frame<'_>>, Notification> {
    let Some((header, _)) = input.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let [marker @ .., high, low, kind] = header;
    if marker != &MARKER {
        return Err(Notification::connection_not_synchronized());
    }
    let claimed = u16::from_be_bytes([*high, *low]);
    let length = usize::from(claimed);
    if length < HEADER_LEN || length > max_len {
        return Err(Notification::bad_message_length(claimed));
    }
    let Some(kind) = MessageType::from_octet(*kind) else {
        return Err(Notification::bad_message_type(*kind));
    };
    if kind.forbids_length(length) {
        return Err(Notification::bad_message_length(claimed));
    }
    Ok(input.get(HEADER_LEN..length).map(|body| Frame { kind, body, len: length }))
}

/// Appends a KEEPALIVE.
pub fn encode_keepalive(out: &mut Vec<u8>) {
    write_message(MessageType::Keepalive, out, |_| {});
}

/// Appends an UPDATE whose body is there already.
pub(crate) fn write_update(body: &[u8], out: &mut Vec<u8>) {
    write_message(MessageType::Update, out, |out| out.extend_from_slice(body));
}

/// Appends a message: header, then what `body` writes, then the length is filled in.
pub(super) fn write_message(kind: MessageType, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = begin_message(kind, out);
    body(out);
    end_message(start, out);
}

/// Appends a header with an open length; gives the position that [`end_message`] needs.
pub(super) fn begin_message(kind: MessageType, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0, 0, kind as u8]);
    start
}

pub(super) fn end_message(start: usize, out: &mut [u8]) {
    let length = out.len().saturating_sub(start);
    write_u16(out, start + MARKER.len(), length);
}

/// Fills in a length that was not known before. Callers keep `value` within 16 bits.
pub(super) fn write_u16(out: &mut [u8], at: usize, value: usize) {
    let value = u16::try_from(value).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
