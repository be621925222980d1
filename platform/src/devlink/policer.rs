//! Policers of what comes to the CPU (control plane policing).
//!
//! Which rates and bursts a driver takes it tells only when it refuses one: mlxsw wants a power of two for the burst.

use super::{Counters, Handle};
use crate::genetlink::{Attributes, Request};

const DEVLINK_CMD_TRAP_POLICER_GET: u8 = 69;
const DEVLINK_CMD_TRAP_POLICER_SET: u8 = 70;
pub(super) const DEVLINK_ATTR_TRAP_POLICER_ID: u16 = 142;
const DEVLINK_ATTR_TRAP_POLICER_RATE: u16 = 143;
const DEVLINK_ATTR_TRAP_POLICER_BURST: u16 = 144;

/// One policer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policer {
    /// Its number, which trap groups name.
    pub id: u32,
    /// Packets per second that it lets through.
    pub rate: u64,
    /// Packets that it lets through at once.
    pub burst: u64,
    /// Packets that it did not let through; `None` where the driver does not count them.
    pub dropped: Option<u64>,
}

impl Policer {
    pub(super) fn dump(device: &Handle) -> Request {
        device.request(Request::dump(DEVLINK_CMD_TRAP_POLICER_GET))
    }

    /// Sets what is given, and leaves the other as it is.
    pub(super) fn encode_set(
        device: &Handle,
        id: u32,
        rate: Option<u64>,
        burst: Option<u64>,
    ) -> Request {
        let mut request = device
            .request(Request::new(DEVLINK_CMD_TRAP_POLICER_SET))
            .u32(DEVLINK_ATTR_TRAP_POLICER_ID, id);
        if let Some(rate) = rate {
            request = request.u64(DEVLINK_ATTR_TRAP_POLICER_RATE, rate);
        }
        if let Some(burst) = burst {
            request = request.u64(DEVLINK_ATTR_TRAP_POLICER_BURST, burst);
        }
        request
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Option<Self> {
        Some(Self {
            id: attributes.u32(DEVLINK_ATTR_TRAP_POLICER_ID)?,
            rate: attributes.u64(DEVLINK_ATTR_TRAP_POLICER_RATE)?,
            burst: attributes.u64(DEVLINK_ATTR_TRAP_POLICER_BURST)?,
            dropped: Counters::drops(attributes),
        })
    }
}
