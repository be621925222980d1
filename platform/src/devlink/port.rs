//! The ports of the device, and their splits.

use std::fmt;

use super::Handle;
use crate::genetlink::{Attributes, Request};
use crate::kernel::Ifindex;

const DEVLINK_CMD_PORT_GET: u8 = 5;
const DEVLINK_CMD_PORT_SPLIT: u8 = 9;
const DEVLINK_CMD_PORT_UNSPLIT: u8 = 10;
pub(super) const DEVLINK_ATTR_PORT_INDEX: u16 = 3;
const DEVLINK_ATTR_PORT_TYPE: u16 = 4;
const DEVLINK_ATTR_PORT_NETDEV_IFINDEX: u16 = 6;
const DEVLINK_ATTR_PORT_NETDEV_NAME: u16 = 7;
const DEVLINK_ATTR_PORT_SPLIT_COUNT: u16 = 9;
const DEVLINK_ATTR_PORT_SPLIT_GROUP: u16 = 10;
const DEVLINK_ATTR_PORT_FLAVOUR: u16 = 77;
const DEVLINK_ATTR_PORT_NUMBER: u16 = 78;
const DEVLINK_ATTR_PORT_SPLIT_SUBPORT_NUMBER: u16 = 79;
const DEVLINK_ATTR_PORT_LANES: u16 = 147;
const DEVLINK_ATTR_PORT_SPLITTABLE: u16 = 148;

/// One port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its number within the device, which splits and unsplits name.
    pub index: u32,
    /// What it speaks.
    pub port_type: PortType,
    /// The network device of it, in the network namespace that asked.
    pub ifindex: Option<Ifindex>,
    /// The name of the network device.
    pub netdev: Option<String>,
    /// What it is for.
    pub flavour: Option<PortFlavour>,
    /// The number that stands on the front panel.
    pub number: Option<u32>,
    /// The front-panel port that it is a part of, after a split.
    pub split_group: Option<u32>,
    /// Which part it is, after a split: from 0.
    pub split_subport: Option<u32>,
    /// Whether it can be split now.
    pub splittable: bool,
    /// How many lanes it has.
    pub lanes: Option<u32>,
}

/// What a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortType {
    /// Nothing: it has no network device now.
    NotSet,
    /// What it finds.
    Auto,
    /// Ethernet.
    Ethernet,
    /// InfiniBand.
    InfiniBand,
    /// A type that this version does not know.
    Unknown(u16),
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortFlavour {
    /// On the front panel.
    Physical,
    /// To the CPU.
    Cpu,
    /// Between switch chips.
    Dsa,
    /// Stands for a PCI physical function.
    PciPf,
    /// Stands for a PCI virtual function.
    PciVf,
    /// Virtual.
    Virtual,
    /// For nothing.
    Unused,
    /// Stands for a PCI subfunction.
    PciSf,
    /// A flavour that this version does not know.
    Unknown(u16),
}

impl Port {
    pub(super) fn dump(device: &Handle) -> Request {
        device.request(Request::dump(DEVLINK_CMD_PORT_GET))
    }

    pub(super) fn encode_split(device: &Handle, index: u32, count: u32) -> Request {
        device
            .request(Request::new(DEVLINK_CMD_PORT_SPLIT))
            .u32(DEVLINK_ATTR_PORT_INDEX, index)
            .u32(DEVLINK_ATTR_PORT_SPLIT_COUNT, count)
    }

    pub(super) fn encode_unsplit(device: &Handle, index: u32) -> Request {
        device.request(Request::new(DEVLINK_CMD_PORT_UNSPLIT)).u32(DEVLINK_ATTR_PORT_INDEX, index)
    }

    pub(super) fn decode(attributes: Attributes<'_>) -> Option<Self> {
        Some(Self {
            index: attributes.u32(DEVLINK_ATTR_PORT_INDEX)?,
            port_type: PortType::from(attributes.u16(DEVLINK_ATTR_PORT_TYPE).unwrap_or_default()),
            ifindex: attributes.u32(DEVLINK_ATTR_PORT_NETDEV_IFINDEX),
            netdev: attributes.text(DEVLINK_ATTR_PORT_NETDEV_NAME),
            flavour: attributes.u16(DEVLINK_ATTR_PORT_FLAVOUR).map(PortFlavour::from),
            number: attributes.u32(DEVLINK_ATTR_PORT_NUMBER),
            split_group: attributes.u32(DEVLINK_ATTR_PORT_SPLIT_GROUP),
            split_subport: attributes.u32(DEVLINK_ATTR_PORT_SPLIT_SUBPORT_NUMBER),
            splittable: attributes.truth(DEVLINK_ATTR_PORT_SPLITTABLE).unwrap_or_default(),
            lanes: attributes.u32(DEVLINK_ATTR_PORT_LANES),
        })
    }
}

impl From<u16> for PortType {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::NotSet,
            1 => Self::Auto,
            2 => Self::Ethernet,
            3 => Self::InfiniBand,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSet => "notset",
            Self::Auto => "auto",
            Self::Ethernet => "eth",
            Self::InfiniBand => "ib",
            Self::Unknown(number) => return write!(f, "type {number}"),
        })
    }
}

impl From<u16> for PortFlavour {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::Physical,
            1 => Self::Cpu,
            2 => Self::Dsa,
            3 => Self::PciPf,
            4 => Self::PciVf,
            5 => Self::Virtual,
            6 => Self::Unused,
            7 => Self::PciSf,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for PortFlavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Physical => "physical",
            Self::Cpu => "cpu",
            Self::Dsa => "dsa",
            Self::PciPf => "pcipf",
            Self::PciVf => "pcivf",
            Self::Virtual => "virtual",
            Self::Unused => "unused",
            Self::PciSf => "pcisf",
            Self::Unknown(number) => return write!(f, "flavour {number}"),
        })
    }
}
