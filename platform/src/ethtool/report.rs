//! What the kernel tells of a port.

use super::{EepromPage, Fec, LinkModes, LinkState, port_of};
use crate::genetlink::{Attributes, Messages};
use crate::kernel::Ifindex;

const ETHTOOL_MSG_LINKMODES_GET_REPLY: u8 = 4;
const ETHTOOL_MSG_LINKSTATE_GET_REPLY: u8 = 6;
const ETHTOOL_MSG_FEC_GET_REPLY: u8 = 30;
const ETHTOOL_MSG_MODULE_EEPROM_GET_REPLY: u8 = 32;

/// What the kernel told of one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Speed and modes.
    LinkModes(Ifindex, LinkModes),
    /// Up or down.
    LinkState(Ifindex, LinkState),
    /// Error correction.
    Fec(Ifindex, Fec),
    /// A part of the module's memory; the answer does not say which.
    Eeprom(Ifindex, Vec<u8>),
}

impl Report {
    /// Reads the messages of one datagram, taking them for answers of ethtool. Other messages are left out.
    pub fn decode_all(datagram: &[u8]) -> Vec<Self> {
        Messages(datagram)
            .filter_map(|message| message.command())
            .filter_map(|(command, attributes)| Self::decode(command, attributes))
            .collect()
    }

    fn decode(command: u8, attributes: Attributes<'_>) -> Option<Self> {
        let port = port_of(attributes)?;
        Some(match command {
            ETHTOOL_MSG_LINKMODES_GET_REPLY => {
                Self::LinkModes(port, LinkModes::decode(attributes)?)
            }
            ETHTOOL_MSG_LINKSTATE_GET_REPLY => Self::LinkState(port, LinkState::decode(attributes)),
            ETHTOOL_MSG_FEC_GET_REPLY => Self::Fec(port, Fec::decode(attributes)?),
            ETHTOOL_MSG_MODULE_EEPROM_GET_REPLY => {
                Self::Eeprom(port, EepromPage::decode(attributes)?)
            }
            _ => return None,
        })
    }
}
