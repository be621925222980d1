//! Speed, and what the two ends of a link offer each other.

use std::fmt;

use super::{bitset, to_port};
use crate::genetlink::{Attributes, Request};
use crate::kernel::Ifindex;

const ETHTOOL_MSG_LINKMODES_GET: u8 = 4;
const ETHTOOL_MSG_LINKMODES_SET: u8 = 5;
const ETHTOOL_A_LINKMODES_AUTONEG: u16 = 2;
const ETHTOOL_A_LINKMODES_OURS: u16 = 3;
const ETHTOOL_A_LINKMODES_PEER: u16 = 4;
const ETHTOOL_A_LINKMODES_SPEED: u16 = 5;
const ETHTOOL_A_LINKMODES_DUPLEX: u16 = 6;
const ETHTOOL_A_LINKMODES_LANES: u16 = 9;

const SPEED_UNKNOWN: u32 = u32::MAX;

/// How a port is set, and what it agreed on with its peer.
///
/// Names are those of `ethtool(8)`'s source: `100000baseKR4/Full`. Among them are some that are no mode but belong to one:
/// `Autoneg`, `FIBRE`, `Pause`, `RS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkModes {
    /// Whether speed and duplex are negotiated.
    pub autoneg: bool,
    /// In Mb/s; `None` while the link is down.
    pub speed: Option<u32>,
    /// `None` while the link is down.
    pub duplex: Option<Duplex>,
    /// How many lanes the link uses; `None` where the driver does not tell.
    pub lanes: Option<u32>,
    /// What the port, with the module in it, can do.
    pub supported: Vec<String>,
    /// What it offers its peer.
    pub advertised: Vec<String>,
    /// What its peer offers; empty where the driver does not tell.
    pub peer: Vec<String>,
}

/// Whether both ends may talk at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplex {
    /// One at a time.
    Half,
    /// Both.
    Full,
}

/// What to change of a port. `None` leaves as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkSettings {
    /// Whether to negotiate. With it, `speed`, `duplex` and `lanes` choose what is offered.
    pub autoneg: Option<bool>,
    /// In Mb/s.
    pub speed: Option<u32>,
    /// Whether both ends may talk at once.
    pub duplex: Option<Duplex>,
    /// How many lanes.
    pub lanes: Option<u32>,
}

impl LinkModes {
    pub(super) fn request(port: Ifindex) -> Request {
        to_port(Request::new(ETHTOOL_MSG_LINKMODES_GET), port)
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Option<Self> {
        let ours: Vec<(String, bool)> =
            bitset::decode(attributes.nested(ETHTOOL_A_LINKMODES_OURS)).collect();
        let advertised = ours.iter().filter(|(_, chosen)| *chosen);
        Some(Self {
            autoneg: attributes.truth(ETHTOOL_A_LINKMODES_AUTONEG)?,
            speed: attributes
                .u32(ETHTOOL_A_LINKMODES_SPEED)
                .filter(|speed| *speed != SPEED_UNKNOWN && *speed != 0),
            duplex: attributes.u8(ETHTOOL_A_LINKMODES_DUPLEX).and_then(Duplex::from_number),
            lanes: attributes.u32(ETHTOOL_A_LINKMODES_LANES).filter(|lanes| *lanes != 0),
            advertised: advertised.map(|(name, _)| name.clone()).collect(),
            supported: ours.into_iter().map(|(name, _)| name).collect(),
            peer: bitset::decode(attributes.nested(ETHTOOL_A_LINKMODES_PEER))
                .filter_map(|(name, chosen)| chosen.then_some(name))
                .collect(),
        })
    }
}

impl LinkSettings {
    pub(super) fn encode(&self, port: Ifindex) -> Request {
        let mut request = to_port(Request::new(ETHTOOL_MSG_LINKMODES_SET), port);
        if let Some(autoneg) = self.autoneg {
            request = request.u8(ETHTOOL_A_LINKMODES_AUTONEG, autoneg.into());
        }
        if let Some(speed) = self.speed {
            request = request.u32(ETHTOOL_A_LINKMODES_SPEED, speed);
        }
        if let Some(duplex) = self.duplex {
            request = request.u8(ETHTOOL_A_LINKMODES_DUPLEX, duplex.number());
        }
        if let Some(lanes) = self.lanes {
            request = request.u32(ETHTOOL_A_LINKMODES_LANES, lanes);
        }
        request
    }
}

impl Duplex {
    const fn number(self) -> u8 {
        match self {
            Self::Half => 0,
            Self::Full => 1,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Half),
            1 => Some(Self::Full),
            _ => None,
        }
    }
}

impl fmt::Display for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Half => "half",
            Self::Full => "full",
        })
    }
}
