//! What the kernel tells of a device: as an answer, or unasked.

use super::health::DEVLINK_CMD_HEALTH_REPORTER_GET;
use super::info::DEVLINK_CMD_INFO_GET;
use super::port::DEVLINK_ATTR_PORT_INDEX;
use super::resource::DEVLINK_CMD_RESOURCE_DUMP;
use super::trap::{DEVLINK_ATTR_TRAP_GROUP_NAME, DEVLINK_ATTR_TRAP_NAME};
use super::{Handle, HealthReporter, Info, Policer, Port, Resource, Trap, TrapGroup};
use crate::genetlink::{Attributes, Messages};

const DEVLINK_CMD_NEW: u8 = 3;
const DEVLINK_CMD_DEL: u8 = 4;
const DEVLINK_CMD_PORT_NEW: u8 = 7;
const DEVLINK_CMD_PORT_DEL: u8 = 8;
/// Also what announces that a reporter's state changed, for whichever reason.
pub(super) const DEVLINK_CMD_HEALTH_REPORTER_RECOVER: u8 = 54;
const DEVLINK_CMD_TRAP_NEW: u8 = 63;
const DEVLINK_CMD_TRAP_DEL: u8 = 64;
const DEVLINK_CMD_TRAP_GROUP_NEW: u8 = 67;
const DEVLINK_CMD_TRAP_GROUP_DEL: u8 = 68;
const DEVLINK_CMD_TRAP_POLICER_NEW: u8 = 71;

/// What the kernel told of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The device appeared, or came back from a reload.
    Device(Handle),
    /// It went, or is being reloaded.
    DeviceGone(Handle),
    /// A port appeared or changed.
    Port(Handle, Port),
    /// A port went.
    PortGone(Handle, u32),
    /// A health reporter appeared, or its state changed.
    Health(Handle, HealthReporter),
    /// A trap appeared.
    Trap(Handle, Trap),
    /// A trap went.
    TrapGone(Handle, String),
    /// A group appeared.
    TrapGroup(Handle, TrapGroup),
    /// A group went.
    TrapGroupGone(Handle, String),
    /// A policer appeared.
    Policer(Handle, Policer),
    /// Who the device is. Never unasked.
    Info(Handle, Info),
    /// The outermost resources of the device, or some of them. Never unasked.
    Resources(Handle, Vec<Resource>),
}

impl Report {
    /// Reads the messages of one datagram, taking them for devlink's. Other messages are left out.
    pub fn decode_all(datagram: &[u8]) -> Vec<Self> {
        Messages(datagram)
            .filter_map(|message| message.command())
            .filter_map(|(command, attributes)| Self::decode(command, attributes))
            .collect()
    }

    pub(super) fn decode(command: u8, attributes: Attributes<'_>) -> Option<Self> {
        let device = Handle::decode(attributes)?;
        Some(match command {
            // A dump of ports answers with it too.
            DEVLINK_CMD_NEW if attributes.flag(DEVLINK_ATTR_PORT_INDEX) => {
                Self::Port(device, Port::decode(attributes)?)
            }
            DEVLINK_CMD_NEW => Self::Device(device),
            DEVLINK_CMD_DEL => Self::DeviceGone(device),
            DEVLINK_CMD_PORT_NEW => Self::Port(device, Port::decode(attributes)?),
            DEVLINK_CMD_PORT_DEL => {
                Self::PortGone(device, attributes.u32(DEVLINK_ATTR_PORT_INDEX)?)
            }
            DEVLINK_CMD_HEALTH_REPORTER_GET | DEVLINK_CMD_HEALTH_REPORTER_RECOVER => {
                Self::Health(device, HealthReporter::decode(attributes)?)
            }
            DEVLINK_CMD_TRAP_NEW => Self::Trap(device, Trap::decode(attributes)?),
            DEVLINK_CMD_TRAP_DEL => {
                Self::TrapGone(device, attributes.text(DEVLINK_ATTR_TRAP_NAME)?)
            }
            DEVLINK_CMD_TRAP_GROUP_NEW => Self::TrapGroup(device, TrapGroup::decode(attributes)?),
            DEVLINK_CMD_TRAP_GROUP_DEL => {
                Self::TrapGroupGone(device, attributes.text(DEVLINK_ATTR_TRAP_GROUP_NAME)?)
            }
            DEVLINK_CMD_TRAP_POLICER_NEW => Self::Policer(device, Policer::decode(attributes)?),
            DEVLINK_CMD_INFO_GET => Self::Info(device, Info::decode(attributes)),
            DEVLINK_CMD_RESOURCE_DUMP => Self::Resources(device, Resource::decode_all(attributes)),
            _ => return None,
        })
    }
}
