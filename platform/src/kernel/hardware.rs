//! What a driver says of the device behind a link.

use std::fmt;

use netlink_packet_route::link::LinkAttribute;

/// What a driver says of the device behind a link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hardware {
    /// The switch that the link is a port of.
    pub switch_id: Option<SwitchId>,
    /// The driver's name of the port: `p1`, or `p1s0` for a part of a split one.
    pub port_name: Option<String>,
    /// The device on whose bus the link sits.
    pub parent: Option<ParentDevice>,
}

/// Names one switch: all of its ports have the same (`IFLA_PHYS_SWITCH_ID`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwitchId {
    /// What is behind `length` is zero.
    octets: [u8; Self::MAX],
    length: u8,
}

impl SwitchId {
    /// The longest that the kernel has, in octets (`MAX_PHYS_ITEM_ID_LEN`).
    pub const MAX: usize = 32;

    /// `None`: no octets, or more than [`Self::MAX`].
    pub fn new(id: &[u8]) -> Option<Self> {
        let length = u8::try_from(id.len()).ok().filter(|length| *length != 0)?;
        let mut octets = [0; Self::MAX];
        octets.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { octets, length })
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Display for SwitchId {
    /// As `ip -d link` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.octets().iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for SwitchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A device on a bus, as devlink names it: `pci/0000:03:00.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ParentDevice {
    /// For instance `pci`.
    pub bus: String,
    /// For instance `0000:03:00.0`.
    pub name: String,
}

impl fmt::Display for ParentDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bus, self.name)
    }
}

impl Hardware {
    pub(super) fn take(&mut self, attribute: &LinkAttribute) {
        match attribute {
            LinkAttribute::PhysSwitchId(id) => {
                self.switch_id = SwitchId::new(id.id.get(..id.len).unwrap_or_default());
            }
            LinkAttribute::PhysPortName(name) => self.port_name = Some(name.clone()),
            LinkAttribute::ParentDevName(name) => self.parent_mut().name.clone_from(name),
            LinkAttribute::ParentDevBusName(bus) => self.parent_mut().bus.clone_from(bus),
            _ => {}
        }
    }

    fn parent_mut(&mut self) -> &mut ParentDevice {
        self.parent.get_or_insert_default()
    }
}
