//! devlink: what the driver tells of the device as a whole, rather than of one of its ports.
//!
//! One file per object, each with its type and its formats; [`Devlink`] is the one that asks. Constants are those of
//! `linux/devlink.h`; words (`Display`) are those of `devlink(8)`. Blocking, like all of `platform`.
//!
//! | object | answers |
//! |---|---|
//! | [`Info`] | which driver, serial number and firmware? |
//! | [`Port`] | which ports are there, of how many lanes, and which can be split? |
//! | [`Resource`] | how large are the tables, and how full? |
//! | [`Trap`], [`TrapGroup`] | which packets come to the CPU or are dropped, why, and how many? |
//! | [`Policer`] | how many packets per second may come to the CPU? (CoPP) |
//! | [`HealthReporter`] | is a part of the device in error, how often was it, was it recovered? |
//!
//! Not here: regions, parameters, rates, line cards, flashing, dpipe.

mod client;
mod counters;
mod health;
mod info;
mod monitor;
mod policer;
mod port;
mod reload;
mod report;
mod resource;
#[cfg(test)]
mod tests;
mod trap;
mod trap_group;

use std::fmt;
use std::str::FromStr;

pub use client::Devlink;
pub use counters::Counters;
pub use health::{HealthReporter, HealthState};
pub use info::{Info, Version, VersionKind};
pub use monitor::{Monitor, StopMonitor};
pub use policer::Policer;
pub use port::{Port, PortFlavour, PortType};
pub use reload::ReloadAction;
pub use report::Report;
pub use resource::{Resource, ResourceUnit};
pub use trap::{Trap, TrapAction, TrapKind};
pub use trap_group::TrapGroup;

pub use crate::genetlink::GenetlinkError;
use crate::genetlink::{Attributes, Request};

const DEVLINK_CMD_GET: u8 = 1;
const DEVLINK_ATTR_BUS_NAME: u16 = 1;
const DEVLINK_ATTR_DEV_NAME: u16 = 2;

/// A device that has devlink: `pci/0000:03:00.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    /// Its bus: `pci`, `netdevsim`.
    pub bus: String,
    /// Its name on the bus.
    pub device: String,
}

impl Handle {
    fn dump() -> Request {
        Request::dump(DEVLINK_CMD_GET)
    }

    fn decode(attributes: Attributes<'_>) -> Option<Self> {
        let bus = attributes.text(DEVLINK_ATTR_BUS_NAME)?;
        Some(Self { bus, device: attributes.text(DEVLINK_ATTR_DEV_NAME)? })
    }

    /// Addresses a request to the device.
    fn request(&self, request: Request) -> Request {
        request.text(DEVLINK_ATTR_BUS_NAME, &self.bus).text(DEVLINK_ATTR_DEV_NAME, &self.device)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bus, self.device)
    }
}

/// What a handle is written like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a devlink device is written BUS/DEVICE, as in pci/0000:03:00.0")]
pub struct NotAHandle;

impl FromStr for Handle {
    type Err = NotAHandle;

    fn from_str(text: &str) -> Result<Self, NotAHandle> {
        let (bus, device) = text.split_once('/').ok_or(NotAHandle)?;
        if bus.is_empty() || device.is_empty() || device.contains('/') || text.contains('\0') {
            return Err(NotAHandle);
        }
        Ok(Self { bus: bus.to_owned(), device: device.to_owned() })
    }
}
