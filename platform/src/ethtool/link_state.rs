//! Whether a link is up, and if not, why.

use std::fmt;

use super::to_port;
use crate::genetlink::{Attributes, Request};
use crate::kernel::Ifindex;

const ETHTOOL_MSG_LINKSTATE_GET: u8 = 6;
const ETHTOOL_A_LINKSTATE_LINK: u16 = 2;
const ETHTOOL_A_LINKSTATE_EXT_STATE: u16 = 5;
const ETHTOOL_A_LINKSTATE_EXT_SUBSTATE: u16 = 6;

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkState {
    /// Whether there is a link; `None` where the driver does not tell, as while the port is administratively down.
    pub up: Option<bool>,
    /// Why not, where the driver knows.
    pub down_reason: Option<DownReason>,
}

/// Why a link is down: the kernel's extended state, and what it says more precisely. `Display` gives words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownReason {
    /// `ETHTOOL_LINK_EXT_STATE_*`.
    pub state: u8,
    /// `ETHTOOL_LINK_EXT_SUBSTATE_*` of the state.
    pub substate: Option<u8>,
}

impl LinkState {
    pub(super) fn request(port: Ifindex) -> Request {
        to_port(Request::new(ETHTOOL_MSG_LINKSTATE_GET), port)
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Self {
        let substate = attributes.u8(ETHTOOL_A_LINKSTATE_EXT_SUBSTATE);
        Self {
            up: attributes.truth(ETHTOOL_A_LINKSTATE_LINK),
            down_reason: attributes
                .u8(ETHTOOL_A_LINKSTATE_EXT_STATE)
                .map(|state| DownReason { state, substate }),
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((state, substates)) = WORDS.get(usize::from(self.state)) else {
            return write!(f, "state {}", self.state);
        };
        f.write_str(state)?;
        let Some(number) = self.substate else { return Ok(()) };
        // Counted from 1.
        match usize::from(number).checked_sub(1).and_then(|index| substates.get(index)) {
            Some(words) => write!(f, ": {words}"),
            None => write!(f, ": substate {number}"),
        }
    }
}

/// By state, from 0; each with its substates, from 1 (`linux/ethtool.h`).
const WORDS: [(&str, &[&str]); 11] = [
    (
        "autonegotiation failed",
        &[
            "no partner detected",
            "the partner does not acknowledge",
            "next page exchange failed",
            "no partner detected during force mode",
            "FEC mismatch during override",
            "no common speed",
        ],
    ),
    (
        "link training failed",
        &[
            "KR frame lock not acquired",
            "KR link inhibit timeout",
            "the partner did not set receiver ready",
            "remote fault",
        ],
    ),
    (
        "logical mismatch",
        &[
            "PCS did not acquire block lock",
            "PCS did not acquire alignment marker lock",
            "PCS did not get align status",
            "FC FEC is not locked",
            "RS FEC is not locked",
        ],
    ),
    (
        "bad signal integrity",
        &[
            "large number of physical errors",
            "unsupported rate",
            "SerDes reference clock lost",
            "SerDes analog loss of signal",
        ],
    ),
    ("no cable", &[]),
    ("cable issue", &["unsupported cable", "cable test failed"]),
    ("module EEPROM issue", &[]),
    ("calibration failed", &[]),
    ("power budget exceeded", &[]),
    ("module overheated", &[]),
    ("module", &["CMIS module is not in the ready state"]),
];
