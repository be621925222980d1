//! Reloading the driver: what has been set for the next start takes effect, and all that the driver held is gone.

use std::fmt;

use super::Handle;
use crate::genetlink::Request;

const DEVLINK_CMD_RELOAD: u8 = 37;
const DEVLINK_ATTR_RELOAD_ACTION: u16 = 153;

/// What starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadAction {
    /// The driver: sizes of resources and parameters take effect. Ports disappear and come back without addresses.
    DriverReinit,
    /// The firmware: one that was flashed before runs. The driver starts anew too.
    FirmwareActivate,
}

impl ReloadAction {
    pub(super) fn encode(self, device: &Handle) -> Request {
        let number = match self {
            Self::DriverReinit => 1,
            Self::FirmwareActivate => 2,
        };
        device.request(Request::new(DEVLINK_CMD_RELOAD)).u8(DEVLINK_ATTR_RELOAD_ACTION, number)
    }
}

impl fmt::Display for ReloadAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DriverReinit => "driver_reinit",
            Self::FirmwareActivate => "fw_activate",
        })
    }
}
