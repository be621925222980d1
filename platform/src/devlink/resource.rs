//! The tables of the device: how large, how full.
//!
//! A resource may be divided into others (mlxsw's `kvd` into `linear`, `hash_single`, `hash_double`). Full is a resource
//! whose occupancy is its size; a driver tells the occupancy of some only. A new size takes effect at the next reload.

use std::fmt;

use super::Handle;
use crate::genetlink::{Attributes, Request};

const DEVLINK_CMD_RESOURCE_SET: u8 = 35;
pub(super) const DEVLINK_CMD_RESOURCE_DUMP: u8 = 36;
const DEVLINK_ATTR_RESOURCE_LIST: u16 = 63;
const DEVLINK_ATTR_RESOURCE: u16 = 64;
const DEVLINK_ATTR_RESOURCE_NAME: u16 = 65;
const DEVLINK_ATTR_RESOURCE_ID: u16 = 66;
const DEVLINK_ATTR_RESOURCE_SIZE: u16 = 67;
const DEVLINK_ATTR_RESOURCE_SIZE_NEW: u16 = 68;
const DEVLINK_ATTR_RESOURCE_SIZE_VALID: u16 = 69;
const DEVLINK_ATTR_RESOURCE_SIZE_MIN: u16 = 70;
const DEVLINK_ATTR_RESOURCE_SIZE_MAX: u16 = 71;
const DEVLINK_ATTR_RESOURCE_SIZE_GRAN: u16 = 72;
const DEVLINK_ATTR_RESOURCE_UNIT: u16 = 73;
const DEVLINK_ATTR_RESOURCE_OCC: u16 = 74;

/// How many resources may lie within each other. Drivers have three at most; this bounds the recursion.
const DEPTH: usize = 8;

/// One table, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Names from the outermost to this one, as `devlink resource set` wants them: `kvd/linear/singles`.
    pub path: String,
    /// The driver's number of it.
    pub id: u64,
    /// How many units it holds. All ones: without limit (netdevsim).
    pub size: u64,
    /// How many it will hold after the next reload, if another number than now.
    pub new_size: Option<u64>,
    /// Of a resource with children: whether their new sizes together fit into it.
    pub size_valid: Option<bool>,
    /// The smallest size it may be given.
    pub size_min: Option<u64>,
    /// The largest size it may be given; if that is the smallest too, the size is fixed.
    pub size_max: Option<u64>,
    /// Sizes are multiples of it.
    pub granularity: Option<u64>,
    /// In what sizes and occupancy count.
    pub unit: ResourceUnit,
    /// How many units are taken; `None` where the driver does not tell.
    pub occupancy: Option<u64>,
    /// Into what it is divided.
    pub children: Vec<Self>,
}

/// In what a resource counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceUnit {
    /// Entries.
    Entry,
    /// A unit that this version does not know.
    Unknown(u8),
}

impl Resource {
    /// This one and all that lie within, each before its own.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            let next = waiting.pop()?;
            waiting.extend(next.children.iter().rev());
            Some(next)
        })
    }

    /// Whether it holds as many units as it can.
    pub fn is_full(&self) -> bool {
        self.occupancy.is_some_and(|occupancy| occupancy >= self.size)
    }

    /// Whether a reload would change its size.
    pub const fn needs_reload(&self) -> bool {
        self.new_size.is_some()
    }

    pub(super) fn request(device: &Handle) -> Request {
        device.request(Request::new(DEVLINK_CMD_RESOURCE_DUMP))
    }

    pub(super) fn encode_size(device: &Handle, id: u64, size: u64) -> Request {
        device
            .request(Request::new(DEVLINK_CMD_RESOURCE_SET))
            .u64(DEVLINK_ATTR_RESOURCE_ID, id)
            .u64(DEVLINK_ATTR_RESOURCE_SIZE, size)
    }

    /// The outermost resources of one message. A device with many answers in several.
    pub(super) fn decode_all(attributes: Attributes<'_>) -> Vec<Self> {
        Self::decode_list(attributes, "", DEPTH)
    }

    fn decode_list(attributes: Attributes<'_>, parent: &str, depth: usize) -> Vec<Self> {
        let Some(depth) = depth.checked_sub(1) else { return Vec::new() };
        let list = attributes.nested(DEVLINK_ATTR_RESOURCE_LIST);
        list.all(DEVLINK_ATTR_RESOURCE)
            .filter_map(|resource| Self::decode(resource, parent, depth))
            .collect()
    }

    fn decode(attributes: Attributes<'_>, parent: &str, depth: usize) -> Option<Self> {
        let name = attributes.text(DEVLINK_ATTR_RESOURCE_NAME)?;
        let path = if parent.is_empty() { name } else { format!("{parent}/{name}") };
        Some(Self {
            id: attributes.u64(DEVLINK_ATTR_RESOURCE_ID)?,
            size: attributes.u64(DEVLINK_ATTR_RESOURCE_SIZE)?,
            new_size: attributes.u64(DEVLINK_ATTR_RESOURCE_SIZE_NEW),
            size_valid: attributes.truth(DEVLINK_ATTR_RESOURCE_SIZE_VALID),
            size_min: attributes.u64(DEVLINK_ATTR_RESOURCE_SIZE_MIN),
            size_max: attributes.u64(DEVLINK_ATTR_RESOURCE_SIZE_MAX),
            granularity: attributes.u64(DEVLINK_ATTR_RESOURCE_SIZE_GRAN),
            unit: ResourceUnit::from(attributes.u8(DEVLINK_ATTR_RESOURCE_UNIT).unwrap_or_default()),
            occupancy: attributes.u64(DEVLINK_ATTR_RESOURCE_OCC),
            children: Self::decode_list(attributes, &path, depth),
            path,
        })
    }
}

impl From<u8> for ResourceUnit {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Entry,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for ResourceUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry => f.write_str("entry"),
            Self::Unknown(number) => write!(f, "unit {number}"),
        }
    }
}
