//! Groups of traps, which share a policer.

use super::policer::DEVLINK_ATTR_TRAP_POLICER_ID;
use super::trap::{
    DEVLINK_ATTR_TRAP_ACTION, DEVLINK_ATTR_TRAP_GENERIC, DEVLINK_ATTR_TRAP_GROUP_NAME,
};
use super::{Counters, Handle, TrapAction};
use crate::genetlink::{Attributes, Request};

const DEVLINK_CMD_TRAP_GROUP_GET: u8 = 65;
const DEVLINK_CMD_TRAP_GROUP_SET: u8 = 66;
const NO_POLICER: u32 = 0;

/// Traps of one cause: `l2_drops`, `bgp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrapGroup {
    /// Its name.
    pub name: String,
    /// Whether the name means the same for every driver.
    pub generic: bool,
    /// The policer that its packets pass on their way to the CPU.
    pub policer: Option<u32>,
    /// What its traps have counted together.
    pub counters: Counters,
}

impl TrapGroup {
    pub(super) fn dump(device: &Handle) -> Request {
        device.request(Request::dump(DEVLINK_CMD_TRAP_GROUP_GET))
    }

    /// Sets the action of every trap of the group that may be set.
    pub(super) fn encode_action(device: &Handle, name: &str, action: TrapAction) -> Request {
        Self::set(device, name).u8(DEVLINK_ATTR_TRAP_ACTION, action.number())
    }

    pub(super) fn encode_policer(device: &Handle, name: &str, policer: Option<u32>) -> Request {
        Self::set(device, name).u32(DEVLINK_ATTR_TRAP_POLICER_ID, policer.unwrap_or(NO_POLICER))
    }

    fn set(device: &Handle, name: &str) -> Request {
        device
            .request(Request::new(DEVLINK_CMD_TRAP_GROUP_SET))
            .text(DEVLINK_ATTR_TRAP_GROUP_NAME, name)
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Option<Self> {
        Some(Self {
            name: attributes.text(DEVLINK_ATTR_TRAP_GROUP_NAME)?,
            generic: attributes.flag(DEVLINK_ATTR_TRAP_GENERIC),
            policer: attributes.u32(DEVLINK_ATTR_TRAP_POLICER_ID),
            counters: Counters::decode(attributes),
        })
    }
}
