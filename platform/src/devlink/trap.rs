//! Traps: why the device drops a packet or sends it to the CPU.

use std::fmt;

use super::{Counters, Handle};
use crate::genetlink::{Attributes, Request};

const DEVLINK_CMD_TRAP_GET: u8 = 61;
const DEVLINK_CMD_TRAP_SET: u8 = 62;
pub(super) const DEVLINK_ATTR_TRAP_NAME: u16 = 130;
pub(super) const DEVLINK_ATTR_TRAP_ACTION: u16 = 131;
const DEVLINK_ATTR_TRAP_TYPE: u16 = 132;
pub(super) const DEVLINK_ATTR_TRAP_GENERIC: u16 = 133;
const DEVLINK_ATTR_TRAP_METADATA: u16 = 134;
pub(super) const DEVLINK_ATTR_TRAP_GROUP_NAME: u16 = 135;
const DEVLINK_ATTR_TRAP_METADATA_TYPE_IN_PORT: u16 = 0;
const DEVLINK_ATTR_TRAP_METADATA_TYPE_FA_COOKIE: u16 = 1;

/// One reason for which a packet leaves the fast path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The reason: `blackhole_route`, `ttl_value_is_too_small`.
    pub name: String,
    /// What becomes of the packet.
    pub kind: TrapKind,
    /// Whether the name means the same for every driver.
    pub generic: bool,
    /// What the device does with such packets now.
    pub action: TrapAction,
    /// The group that it belongs to, which has the policer.
    pub group: String,
    /// Whether the driver says with each packet at which port it came in.
    pub reports_port: bool,
    /// Whether the driver says with each packet which flow action dropped it.
    pub reports_flow_action: bool,
    /// What it has counted.
    pub counters: Counters,
}

/// What becomes of a packet that meets a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrapKind {
    /// It is dropped.
    Drop,
    /// The kernel goes on with it in software: an unresolved neighbour, a TTL that ran out.
    Exception,
    /// The kernel needs it: ARP, LACP, BGP.
    Control,
    /// A kind that this version does not know.
    Unknown(u8),
}

/// What the device does with a packet that meets a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrapAction {
    /// Drops it; the CPU gets no copy.
    Drop,
    /// Sends it to the CPU, and nowhere else.
    Trap,
    /// Forwards it and sends a copy to the CPU.
    Mirror,
    /// An action that this version does not know.
    Unknown(u8),
}

impl Trap {
    pub(super) fn dump(device: &Handle) -> Request {
        device.request(Request::dump(DEVLINK_CMD_TRAP_GET))
    }

    pub(super) fn encode_action(device: &Handle, name: &str, action: TrapAction) -> Request {
        device
            .request(Request::new(DEVLINK_CMD_TRAP_SET))
            .text(DEVLINK_ATTR_TRAP_NAME, name)
            .u8(DEVLINK_ATTR_TRAP_ACTION, action.number())
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Option<Self> {
        let metadata = attributes.nested(DEVLINK_ATTR_TRAP_METADATA);
        Some(Self {
            name: attributes.text(DEVLINK_ATTR_TRAP_NAME)?,
            kind: TrapKind::from(attributes.u8(DEVLINK_ATTR_TRAP_TYPE)?),
            generic: attributes.flag(DEVLINK_ATTR_TRAP_GENERIC),
            action: TrapAction::from(attributes.u8(DEVLINK_ATTR_TRAP_ACTION)?),
            group: attributes.text(DEVLINK_ATTR_TRAP_GROUP_NAME)?,
            reports_port: metadata.flag(DEVLINK_ATTR_TRAP_METADATA_TYPE_IN_PORT),
            reports_flow_action: metadata.flag(DEVLINK_ATTR_TRAP_METADATA_TYPE_FA_COOKIE),
            counters: Counters::decode(attributes),
        })
    }
}

impl From<u8> for TrapKind {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Drop,
            1 => Self::Exception,
            2 => Self::Control,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drop",
            Self::Exception => "exception",
            Self::Control => "control",
            Self::Unknown(number) => return write!(f, "type {number}"),
        })
    }
}

impl TrapAction {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Drop => 0,
            Self::Trap => 1,
            Self::Mirror => 2,
            Self::Unknown(number) => number,
        }
    }
}

impl From<u8> for TrapAction {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Drop,
            1 => Self::Trap,
            2 => Self::Mirror,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for TrapAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drop",
            Self::Trap => "trap",
            Self::Mirror => "mirror",
            Self::Unknown(number) => return write!(f, "action {number}"),
        })
    }
}
