//! Who the device is.

use std::fmt;

use super::Handle;
use crate::genetlink::{Attributes, Request};

pub(super) const DEVLINK_CMD_INFO_GET: u8 = 51;
const DEVLINK_ATTR_INFO_DRIVER_NAME: u16 = 98;
const DEVLINK_ATTR_INFO_SERIAL_NUMBER: u16 = 99;
const DEVLINK_ATTR_INFO_VERSION_FIXED: u16 = 100;
const DEVLINK_ATTR_INFO_VERSION_RUNNING: u16 = 101;
const DEVLINK_ATTR_INFO_VERSION_STORED: u16 = 102;
const DEVLINK_ATTR_INFO_VERSION_NAME: u16 = 103;
const DEVLINK_ATTR_INFO_VERSION_VALUE: u16 = 104;
const DEVLINK_ATTR_INFO_BOARD_SERIAL_NUMBER: u16 = 146;

/// Driver, serial numbers and versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The driver's name; `None` from a kernel that leaves it to others to know (6.6 and later, for some drivers).
    pub driver: Option<String>,
    /// Of the ASIC.
    pub serial_number: Option<String>,
    /// Of the board.
    pub board_serial_number: Option<String>,
    /// In the driver's order.
    pub versions: Vec<Version>,
}

/// The version of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// In which sense.
    pub kind: VersionKind,
    /// Of what: `fw.version`, `asic.rev`, `hw.revision`.
    pub name: String,
    /// Which.
    pub value: String,
}

/// What a version tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionKind {
    /// Of what cannot change.
    Fixed,
    /// Of what runs now.
    Running,
    /// Of what is in flash and may run after the next reset.
    Stored,
}

impl fmt::Display for VersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::Running => "running",
            Self::Stored => "stored",
        })
    }
}

impl Info {
    pub(super) fn request(device: &Handle) -> Request {
        device.request(Request::new(DEVLINK_CMD_INFO_GET))
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Self {
        Self {
            driver: attributes.text(DEVLINK_ATTR_INFO_DRIVER_NAME),
            serial_number: attributes.text(DEVLINK_ATTR_INFO_SERIAL_NUMBER),
            board_serial_number: attributes.text(DEVLINK_ATTR_INFO_BOARD_SERIAL_NUMBER),
            versions: attributes.iter().filter_map(Version::decode).collect(),
        }
    }
}

impl Version {
    fn decode((kind, value): (u16, &[u8])) -> Option<Self> {
        let kind = match kind {
            DEVLINK_ATTR_INFO_VERSION_FIXED => VersionKind::Fixed,
            DEVLINK_ATTR_INFO_VERSION_RUNNING => VersionKind::Running,
            DEVLINK_ATTR_INFO_VERSION_STORED => VersionKind::Stored,
            _ => return None,
        };
        let value = Attributes::new(value);
        let name = value.text(DEVLINK_ATTR_INFO_VERSION_NAME)?;
        Some(Self { kind, name, value: value.text(DEVLINK_ATTR_INFO_VERSION_VALUE)? })
    }
}
