//! The control packet (RFC 5880 §4.1), without authentication.

use std::fmt;
use std::time::Duration;

/// Octets of a packet without authentication, the only one that we send.
pub const PACKET_LEN: usize = 24;

const VERSION: u8 = 1;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// Where a session stands, as its packets say it. The numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// Taken down by an operator: no statement about the path.
    AdminDown = 0,
    /// Nothing heard, or nothing any more.
    Down = 1,
    /// We hear the peer; it may not hear us.
    Init = 2,
    /// Both hear each other.
    Up = 3,
}

impl SessionState {
    /// The state with this number on the wire.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            3 => Self::Up,
            _ => return None,
        })
    }

    /// The state in the flags of a packet: two bits, and there are four states.
    const fn from_flags(flags: u8) -> Self {
        match Self::from_number(flags >> 6) {
            Some(state) => state,
            None => Self::AdminDown,
        }
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a session left the state Up last. Displays in FRR's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Diagnostic(pub u8);

impl Diagnostic {
    /// It did not.
    pub const NONE: Self = Self(0);
    /// Nothing was heard for the detection time.
    pub const DETECTION_TIME_EXPIRED: Self = Self(1);
    /// The peer said that it is down.
    pub const NEIGHBOR_SIGNALED_DOWN: Self = Self(3);
    /// An operator took it down.
    pub const ADMINISTRATIVELY_DOWN: Self = Self(7);
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "ok",
            1 => "control detection time expired",
            2 => "echo function failed",
            3 => "neighbor signaled session down",
            4 => "forwarding plane reset",
            5 => "path down",
            6 => "concatenated path down",
            7 => "administratively down",
            8 => "reverse concatenated path down",
            _ => "unknown",
        })
    }
}

/// A control packet. Intervals are whole microseconds on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlPacket {
    /// Why the sender's session went down last.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: SessionState,
    /// The sender wants an answer with [`Self::is_final`] before its new intervals hold.
    pub poll: bool,
    /// The answer to a poll.
    pub is_final: bool,
    /// The sender's BFD goes on when its control plane does not.
    pub control_plane_independent: bool,
    /// The sender wants to hear nothing unless it polls.
    pub demand: bool,
    /// Packets in a row that may be lost.
    pub detect_multiplier: u8,
    /// The sender's number of this session; never 0.
    pub my_discriminator: u32,
    /// The receiver's number of this session; 0 if the sender does not know it.
    pub your_discriminator: u32,
    /// The pace at which the sender would like to send.
    pub desired_min_tx: Duration,
    /// The fastest pace at which the sender takes packets; zero: none at all.
    pub required_min_rx: Duration,
    /// The fastest pace at which the sender returns echo packets; zero: it does not.
    pub required_min_echo_rx: Duration,
}

/// Why octets are not a packet that means anything to us (RFC 5880 §6.8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Not version 1.
    #[error("version {0}")]
    Version(u8),
    /// Shorter than the packet says, or than any packet is.
    #[error("length field {field} in {octets} octets")]
    Length {
        /// What the packet says.
        field: u8,
        /// What came.
        octets: usize,
    },
    /// It carries authentication, and we have no key.
    #[error("authentication present, none configured")]
    Authentication,
    /// A detection time of nothing.
    #[error("detect multiplier 0")]
    Multiplier,
    /// The M bit, which is reserved.
    #[error("multipoint bit set")]
    Multipoint,
    /// A session without a number.
    #[error("my discriminator 0")]
    Discriminator,
    /// Only a session that is not up may not know our number.
    #[error("your discriminator 0 in state {0}")]
    UnknownToPeer(SessionState),
}

impl ControlPacket {
    /// Reads a UDP payload.
    ///
    /// # Errors
    /// A packet that RFC 5880 §6.8.6 has us drop whatever session it belongs to.
    pub fn decode(octets: &[u8]) -> Result<Self, PacketError> {
        let short = || PacketError::Length {
            field: octets.get(3).copied().unwrap_or_default(),
            octets: octets.len(),
        };
        let (head, _) = octets.split_first_chunk::<PACKET_LEN>().ok_or_else(short)?;
        let [first, flags, detect_multiplier, length, numbers @ ..] = *head;
        if first >> 5 != VERSION {
            return Err(PacketError::Version(first >> 5));
        }
        let length_fits = usize::from(length) >= PACKET_LEN && usize::from(length) <= octets.len();
        if !length_fits {
            return Err(short());
        }
        if flags & AUTHENTICATION != 0 {
            return Err(PacketError::Authentication);
        }
        if detect_multiplier == 0 {
            return Err(PacketError::Multiplier);
        }
        if flags & MULTIPOINT != 0 {
            return Err(PacketError::Multipoint);
        }
        let [my_discriminator, your_discriminator, tx, rx, echo] = words(&numbers);
        let packet = Self {
            diagnostic: Diagnostic(first & 0x1f),
            state: SessionState::from_flags(flags),
            poll: flags & POLL != 0,
            is_final: flags & FINAL != 0,
            control_plane_independent: flags & CONTROL_PLANE_INDEPENDENT != 0,
            demand: flags & DEMAND != 0,
            detect_multiplier,
            my_discriminator,
            your_discriminator,
            desired_min_tx: Duration::from_micros(tx.into()),
            required_min_rx: Duration::from_micros(rx.into()),
            required_min_echo_rx: Duration::from_micros(echo.into()),
        };
        packet.check()?;
        Ok(packet)
    }

    fn check(&self) -> Result<(), PacketError> {
        if self.my_discriminator == 0 {
            return Err(PacketError::Discriminator);
        }
        let may_not_know = matches!(self.state, SessionState::Down | SessionState::AdminDown);
        if self.your_discriminator == 0 && !may_not_know {
            return Err(PacketError::UnknownToPeer(self.state));
        }
        Ok(())
    }

    /// The UDP payload. Intervals beyond 71 minutes, the most that the field holds, are cut to that.
    pub fn encode(&self) -> [u8; PACKET_LEN] {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = (self.state as u8) << 6
            | flag(self.poll, POLL)
            | flag(self.is_final, FINAL)
            | flag(self.control_plane_independent, CONTROL_PLANE_INDEPENDENT)
            | flag(self.demand, DEMAND);
        let mut out = [0; PACKET_LEN];
        let numbers = [
            self.my_discriminator,
            self.your_discriminator,
            microseconds(self.desired_min_tx),
            microseconds(self.required_min_rx),
            microseconds(self.required_min_echo_rx),
        ];
        let head =
            [VERSION << 5 | (self.diagnostic.0 & 0x1f), flags, self.detect_multiplier, LENGTH];
        let octets = head.into_iter().chain(numbers.into_iter().flat_map(u32::to_be_bytes));
        out.iter_mut().zip(octets).for_each(|(place, octet)| *place = octet);
        out
    }
}

/// [`PACKET_LEN`] as it stands in the packet.
const LENGTH: u8 = 24;

fn words(octets: &[u8; 20]) -> [u32; 5] {
    let (words, _) = octets.as_chunks::<4>();
    let mut numbers = [0; 5];
    numbers.iter_mut().zip(words).for_each(|(number, word)| *number = u32::from_be_bytes(*word));
    numbers
}

fn microseconds(interval: Duration) -> u32 {
    u32::try_from(interval.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What FRR 8.4.4's bfdd sends in the state Up, and what it means by it.
    const FRR: [u8; PACKET_LEN] = [
        0x20, 0xc8, 3, 24, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0x04, 0x93, 0xe0, 0, 0x04, 0x93, 0xe0, 0, 0,
        0xc3, 0x50,
    ];

    fn with(place: usize, octet: u8) -> Result<ControlPacket, PacketError> {
        let mut octets = FRR;
        octets[place] = octet;
        ControlPacket::decode(&octets)
    }

    #[test]
    fn a_packet_is_read_and_written_back_octet_by_octet() {
        let packet = ControlPacket::decode(&FRR).unwrap();
        assert_eq!(
            packet,
            ControlPacket {
                diagnostic: Diagnostic::NONE,
                state: SessionState::Up,
                poll: false,
                is_final: false,
                control_plane_independent: true,
                demand: false,
                detect_multiplier: 3,
                my_discriminator: 1,
                your_discriminator: 2,
                desired_min_tx: Duration::from_millis(300),
                required_min_rx: Duration::from_millis(300),
                required_min_echo_rx: Duration::from_millis(50),
            }
        );
        assert_eq!(packet.encode(), FRR);
    }

    #[test]
    fn every_rule_of_reception_drops_its_packet() {
        assert_eq!(with(0, 0x40), Err(PacketError::Version(2)));
        assert_eq!(with(3, 23), Err(PacketError::Length { field: 23, octets: 24 }));
        assert_eq!(with(3, 25), Err(PacketError::Length { field: 25, octets: 24 }));
        assert_eq!(with(1, 0xc4), Err(PacketError::Authentication));
        assert_eq!(with(2, 0), Err(PacketError::Multiplier));
        assert_eq!(with(1, 0xc1), Err(PacketError::Multipoint));
        assert_eq!(with(7, 0), Err(PacketError::Discriminator));
        assert_eq!(with(11, 0), Err(PacketError::UnknownToPeer(SessionState::Up)));
        assert_eq!(
            ControlPacket::decode(&FRR[..23]),
            Err(PacketError::Length { field: 24, octets: 23 })
        );
        assert!(ControlPacket::decode(&[]).is_err());
    }

    #[test]
    fn a_peer_that_is_down_need_not_know_our_number() {
        for flags in [0x40, 0x00] {
            let mut octets = FRR;
            octets[1] = flags;
            octets[11] = 0;
            assert_eq!(ControlPacket::decode(&octets).unwrap().your_discriminator, 0);
        }
    }
}
