//! The memory of a module (transceiver or cable), by pages of 128 octets.
//!
//! Octets 0 to 127 are the same on every page; 128 to 255 are those of the page (SFF-8636, CMIS). An SFP has no pages but
//! two I²C addresses (SFF-8472).

use super::to_port;
use crate::genetlink::{Attributes, Request};
use crate::kernel::Ifindex;

const ETHTOOL_MSG_MODULE_EEPROM_GET: u8 = 31;
const ETHTOOL_A_MODULE_EEPROM_OFFSET: u16 = 2;
const ETHTOOL_A_MODULE_EEPROM_LENGTH: u16 = 3;
const ETHTOOL_A_MODULE_EEPROM_PAGE: u16 = 4;
const ETHTOOL_A_MODULE_EEPROM_BANK: u16 = 5;
const ETHTOOL_A_MODULE_EEPROM_I2C_ADDRESS: u16 = 6;
const ETHTOOL_A_MODULE_EEPROM_DATA: u16 = 7;

/// Half a page: 128 octets of a module's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EepromPage {
    /// 0x50, or 0x51 for the diagnostics of an SFP.
    pub i2c_address: u8,
    /// Of a CMIS module with more than 8 lanes; 0 otherwise.
    pub bank: u8,
    /// Which page.
    pub page: u8,
    /// Whether octets 128 to 255, rather than 0 to 127.
    pub upper: bool,
}

impl EepromPage {
    /// How many octets it has.
    pub const OCTETS: u32 = 128;

    /// Octets 0 to 127: what the module is, and how it is now.
    pub const LOWER: Self = Self { i2c_address: 0x50, bank: 0, page: 0, upper: false };

    /// Octets 128 to 255 of a page. Page 0 names vendor, part and serial number.
    pub const fn upper(page: u8) -> Self {
        Self { page, upper: true, ..Self::LOWER }
    }

    pub(super) fn request(self, port: Ifindex) -> Request {
        to_port(Request::new(ETHTOOL_MSG_MODULE_EEPROM_GET), port)
            .u32(ETHTOOL_A_MODULE_EEPROM_OFFSET, if self.upper { Self::OCTETS } else { 0 })
            .u32(ETHTOOL_A_MODULE_EEPROM_LENGTH, Self::OCTETS)
            .u8(ETHTOOL_A_MODULE_EEPROM_PAGE, self.page)
            .u8(ETHTOOL_A_MODULE_EEPROM_BANK, self.bank)
            .u8(ETHTOOL_A_MODULE_EEPROM_I2C_ADDRESS, self.i2c_address)
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Option<Vec<u8>> {
        attributes.get(ETHTOOL_A_MODULE_EEPROM_DATA).map(<[u8]>::to_vec)
    }
}
