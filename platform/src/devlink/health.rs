//! Health reporters: parts of the device that can report an error and be recovered.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::Handle;
use super::port::DEVLINK_ATTR_PORT_INDEX;
use super::report::DEVLINK_CMD_HEALTH_REPORTER_RECOVER;
use crate::genetlink::{Attributes, Request};

pub(super) const DEVLINK_CMD_HEALTH_REPORTER_GET: u8 = 52;
const DEVLINK_ATTR_HEALTH_REPORTER: u16 = 114;
const DEVLINK_ATTR_HEALTH_REPORTER_NAME: u16 = 115;
const DEVLINK_ATTR_HEALTH_REPORTER_STATE: u16 = 116;
const DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT: u16 = 117;
const DEVLINK_ATTR_HEALTH_REPORTER_RECOVER_COUNT: u16 = 118;
const DEVLINK_ATTR_HEALTH_REPORTER_GRACEFUL_PERIOD: u16 = 120;
const DEVLINK_ATTR_HEALTH_REPORTER_AUTO_RECOVER: u16 = 121;
const DEVLINK_ATTR_HEALTH_REPORTER_DUMP_TS_NS: u16 = 137;
const DEVLINK_ATTR_HEALTH_REPORTER_AUTO_DUMP: u16 = 141;

/// One reporter, of the device or of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReporter {
    /// Its name: `fw_fatal`.
    pub name: String,
    /// The port that it is about ([`Port::index`](super::Port::index)); `None`: the device.
    pub port: Option<u32>,
    /// How it is now.
    pub state: HealthState,
    /// How often it was in error.
    pub errors: u64,
    /// How often it was recovered.
    pub recoveries: u64,
    /// When the dump was taken that is kept for whoever looks into the error.
    pub last_dump: Option<SystemTime>,
    /// For how long after a recovery another error is not recovered by itself. `None` where there is no way to recover.
    pub grace_period: Option<Duration>,
    /// Whether the kernel recovers it by itself.
    pub auto_recover: Option<bool>,
    /// Whether the kernel takes a dump by itself.
    pub auto_dump: Option<bool>,
}

/// How a part of the device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// Well.
    Healthy,
    /// In error, and not recovered.
    Error,
    /// A state that this version does not know.
    Unknown(u8),
}

impl HealthReporter {
    pub(super) fn dump(device: &Handle) -> Request {
        device.request(Request::dump(DEVLINK_CMD_HEALTH_REPORTER_GET))
    }

    pub(super) fn encode_recover(device: &Handle, port: Option<u32>, name: &str) -> Request {
        let mut request = device.request(Request::new(DEVLINK_CMD_HEALTH_REPORTER_RECOVER));
        if let Some(port) = port {
            request = request.u32(DEVLINK_ATTR_PORT_INDEX, port);
        }
        request.text(DEVLINK_ATTR_HEALTH_REPORTER_NAME, name)
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Option<Self> {
        let reporter = attributes.nested(DEVLINK_ATTR_HEALTH_REPORTER);
        let count = |kind| reporter.u64(kind).unwrap_or_default();
        Some(Self {
            name: reporter.text(DEVLINK_ATTR_HEALTH_REPORTER_NAME)?,
            port: attributes.u32(DEVLINK_ATTR_PORT_INDEX),
            state: HealthState::from(reporter.u8(DEVLINK_ATTR_HEALTH_REPORTER_STATE)?),
            errors: count(DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT),
            recoveries: count(DEVLINK_ATTR_HEALTH_REPORTER_RECOVER_COUNT),
            last_dump: reporter
                .u64(DEVLINK_ATTR_HEALTH_REPORTER_DUMP_TS_NS)
                .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(since))),
            grace_period: reporter
                .u64(DEVLINK_ATTR_HEALTH_REPORTER_GRACEFUL_PERIOD)
                .map(Duration::from_millis),
            auto_recover: reporter.truth(DEVLINK_ATTR_HEALTH_REPORTER_AUTO_RECOVER),
            auto_dump: reporter.truth(DEVLINK_ATTR_HEALTH_REPORTER_AUTO_DUMP),
        })
    }
}

impl From<u8> for HealthState {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Healthy,
            1 => Self::Error,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Error => "error",
            Self::Unknown(number) => return write!(f, "state {number}"),
        })
    }
}
