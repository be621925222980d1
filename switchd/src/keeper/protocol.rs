//! What daemon and keeper say to each other: one message per packet of a unix SEQPACKET socket.
//!
//! Only the bytes. The file descriptor of `Keep` and `Kept` travels beside them (`channel`). Unknown messages and
//! wrong lengths are errors: the daemon that starts may be of another version than the keeper it finds.

use std::time::Duration;

/// The longest state a session may leave with the keeper: two OPENs (at most 4096 bytes each) and addresses.
pub const MAX_STATE: usize = 16 * 1024;

/// The longest message: type, id, hold time or flag, state.
pub(super) const MAX_MESSAGE: usize = MAX_STATE + 16;

/// Daemon to keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Hold the descriptor that comes with this message. Replaces what was held under the same id.
    Keep { id: u64, hold: Duration, state: Vec<u8> },
    /// Close what is held under this id.
    Forget { id: u64 },
    /// Whether the stream the daemon writes stands between two messages.
    Clean { id: u64, clean: bool },
    /// Send back everything that is held.
    Take,
}

/// Keeper to daemon: the answer to `Take`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// One session; its descriptor comes with this message. The keeper goes on holding its own.
    Kept { id: u64, clean: bool, state: Vec<u8> },
    /// That was all.
    End,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The first byte names no message.
    #[error("unknown message {0}")]
    Unknown(u8),
    /// A message of this type is longer or shorter.
    #[error("message {kind} with {found} bytes")]
    Length {
        /// The message's type.
        kind: u8,
        /// How long it is.
        found: usize,
    },
    /// A flag that is neither 0 nor 1.
    #[error("message {kind} with flag {value}")]
    Flag {
        /// The message's type.
        kind: u8,
        /// The flag.
        value: u8,
    },
    /// A message that hands over a session came without its descriptor, or another message with one.
    #[error("message {0} has no descriptor where one belongs, or one where none does")]
    Descriptor(u8),
}

impl Request {
    /// Whether a descriptor belongs to this message.
    pub(super) fn carries_descriptor(&self) -> bool {
        matches!(self, Self::Keep { .. })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.kind()];
        match self {
            Self::Keep { id, hold, state } => {
                out.extend_from_slice(&id.to_be_bytes());
                let seconds = u16::try_from(hold.as_secs()).unwrap_or(u16::MAX);
                out.extend_from_slice(&seconds.to_be_bytes());
                out.extend_from_slice(state);
            }
            Self::Forget { id } => out.extend_from_slice(&id.to_be_bytes()),
            Self::Clean { id, clean } => {
                out.extend_from_slice(&id.to_be_bytes());
                out.push(u8::from(*clean));
            }
            Self::Take => {}
        }
        out
    }

    pub(super) fn decode(input: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(input)?;
        let request = match fields.kind {
            KEEP => Self::Keep {
                id: fields.id()?,
                hold: Duration::from_secs(fields.seconds()?.into()),
                state: fields.state()?,
            },
            FORGET => Self::Forget { id: fields.id()? },
            CLEAN => Self::Clean { id: fields.id()?, clean: fields.flag()? },
            TAKE => Self::Take,
            unknown => return Err(ProtocolError::Unknown(unknown)),
        };
        fields.finish()?;
        Ok(request)
    }

    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Keep { .. } => KEEP,
            Self::Forget { .. } => FORGET,
            Self::Clean { .. } => CLEAN,
            Self::Take => TAKE,
        }
    }
}

impl Reply {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Kept { id, clean, state } => {
                let mut out = vec![KEPT];
                out.extend_from_slice(&id.to_be_bytes());
                out.push(u8::from(*clean));
                out.extend_from_slice(state);
                out
            }
            Self::End => vec![END],
        }
    }

    pub(super) fn decode(input: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields::new(input)?;
        let reply = match fields.kind {
            KEPT => Self::Kept { id: fields.id()?, clean: fields.flag()?, state: fields.state()? },
            END => Self::End,
            unknown => return Err(ProtocolError::Unknown(unknown)),
        };
        fields.finish()?;
        Ok(reply)
    }
}

/// The fields of one message, taken from the front.
struct Fields<'a> {
    kind: u8,
    total: usize,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(input: &'a [u8]) -> Result<Self, ProtocolError> {
        let (&kind, rest) =
            input.split_first().ok_or(ProtocolError::Length { kind: 0, found: 0 })?;
        Ok(Self { kind, total: input.len(), rest })
    }

    fn id(&mut self) -> Result<u64, ProtocolError> {
        self.take().map(u64::from_be_bytes)
    }

    fn seconds(&mut self) -> Result<u16, ProtocolError> {
        self.take().map(u16::from_be_bytes)
    }

    fn flag(&mut self) -> Result<bool, ProtocolError> {
        match self.take()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [value] => Err(ProtocolError::Flag { kind: self.kind, value }),
        }
    }

    fn state(&mut self) -> Result<Vec<u8>, ProtocolError> {
        if self.rest.len() > MAX_STATE {
            return Err(self.wrong_length());
        }
        Ok(std::mem::take(&mut self.rest).to_vec())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let (field, rest) =
            self.rest.split_first_chunk::<N>().ok_or_else(|| self.wrong_length())?;
        self.rest = rest;
        Ok(*field)
    }

    fn finish(self) -> Result<(), ProtocolError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong_length()) }
    }

    fn wrong_length(&self) -> ProtocolError {
        ProtocolError::Length { kind: self.kind, found: self.total }
    }
}

const KEEP: u8 = 1;
const FORGET: u8 = 2;
const CLEAN: u8 = 3;
const TAKE: u8 = 4;
const KEPT: u8 = 129;
const END: u8 = 130;
