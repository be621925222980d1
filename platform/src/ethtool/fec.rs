//! Forward error correction.

use std::fmt;

use super::{bitset, to_port};
use crate::genetlink::{Attributes, Request};
use crate::kernel::Ifindex;

const ETHTOOL_MSG_FEC_GET: u8 = 29;
const ETHTOOL_MSG_FEC_SET: u8 = 30;
const ETHTOOL_A_FEC_MODES: u16 = 2;
const ETHTOOL_A_FEC_AUTO: u16 = 3;
const ETHTOOL_A_FEC_ACTIVE: u16 = 4;

/// Which correction a port is asked for, and which it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fec {
    /// Those that it may use.
    pub modes: Vec<FecMode>,
    /// Whether the driver chooses by the module.
    pub auto: bool,
    /// The one in use; `None` while the link is down, or where the driver does not tell.
    pub active: Option<FecMode>,
}

/// One correction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FecMode {
    /// None.
    Off,
    /// Reed-Solomon (IEEE 802.3 clause 91, 108, 134).
    ReedSolomon,
    /// Fire code (clause 74).
    BaseR,
    /// Low latency Reed-Solomon (25G/50G Ethernet Consortium).
    LowLatencyReedSolomon,
    /// One that this version does not know, as the kernel calls it.
    Other(String),
}

impl Fec {
    pub(super) fn request(port: Ifindex) -> Request {
        to_port(Request::new(ETHTOOL_MSG_FEC_GET), port)
    }

    /// Asks for one of these, or leaves the choice to the driver.
    pub(super) fn encode(port: Ifindex, modes: &[FecMode], auto: bool) -> Request {
        let request = to_port(Request::new(ETHTOOL_MSG_FEC_SET), port);
        bitset::encode(request, ETHTOOL_A_FEC_MODES, modes.iter().map(FecMode::kernel_name))
            .u8(ETHTOOL_A_FEC_AUTO, auto.into())
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Option<Self> {
        let modes = bitset::decode(attributes.nested(ETHTOOL_A_FEC_MODES));
        Some(Self {
            modes: modes
                .filter_map(|(name, chosen)| chosen.then(|| FecMode::from_kernel_name(name)))
                .collect(),
            auto: attributes.truth(ETHTOOL_A_FEC_AUTO)?,
            active: attributes.u32(ETHTOOL_A_FEC_ACTIVE).map(FecMode::from_link_mode),
        })
    }
}

impl FecMode {
    fn kernel_name(&self) -> &str {
        match self {
            Self::Off => "None",
            Self::ReedSolomon => "RS",
            Self::BaseR => "BASER",
            Self::LowLatencyReedSolomon => "LLRS",
            Self::Other(name) => name,
        }
    }

    fn from_kernel_name(name: String) -> Self {
        match name.as_str() {
            "None" => Self::Off,
            "RS" => Self::ReedSolomon,
            "BASER" => Self::BaseR,
            "LLRS" => Self::LowLatencyReedSolomon,
            _ => Self::Other(name),
        }
    }

    /// By its number among the link modes (`ETHTOOL_LINK_MODE_FEC_*_BIT`).
    fn from_link_mode(bit: u32) -> Self {
        match bit {
            49 => Self::Off,
            50 => Self::ReedSolomon,
            51 => Self::BaseR,
            74 => Self::LowLatencyReedSolomon,
            other => Self::Other(format!("mode {other}")),
        }
    }
}

impl fmt::Display for FecMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::ReedSolomon => "rs",
            Self::BaseR => "baser",
            Self::LowLatencyReedSolomon => "llrs",
            Self::Other(name) => name,
        })
    }
}
