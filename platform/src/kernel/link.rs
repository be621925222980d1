//! Network devices.

use netlink_packet_route::link::{
    InfoData, InfoKind, InfoPortData, InfoVlan, InfoVrf, LinkAttribute, LinkFlags, LinkInfo,
    LinkLayerType, LinkMessage,
};

use super::bond::Bond;
use super::hardware::{Hardware, ParentDevice, SwitchId};
use super::message;
use super::{Bridge, BridgePort, Ifindex, Key, MacAddr, VlanProtocol, Vxlan};

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number; 0 in a link that is yet to be created lets the kernel choose.
    pub index: Ifindex,
    /// Its name.
    pub name: String,
    /// What sort of device.
    pub kind: LinkKind,
    /// The bridge, bond or VRF that it belongs to.
    pub master: Option<Ifindex>,
    /// Whether the administrator wants it up.
    pub up: bool,
    /// Whether it can carry packets (`IFF_LOWER_UP`).
    pub running: bool,
    /// Link-layer address, if it is six octets.
    pub mac: Option<MacAddr>,
    /// Largest packet.
    pub mtu: u32,
    /// What it is as a port, if its master is a bridge.
    pub port: Option<BridgePort>,
    /// The operator's description.
    pub alias: Option<String>,
    /// The link below it, for instance a VLAN's. Not the other end of a veth, which the kernel does not announce.
    pub lower: Option<Ifindex>,
    /// The kernel's id of the namespace in which `lower` is, when it is not this one.
    pub lower_namespace: Option<i32>,
    /// What its driver says of the device behind it; `None` for most software devices.
    pub hardware: Option<Box<Hardware>>,
}

/// What sort of device a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge(Bridge),
    /// A VXLAN tunnel end.
    Vxlan(Vxlan),
    /// One end of a pair of virtual cables.
    Veth,
    /// A VLAN on top of [`Link::lower`].
    Vlan {
        /// VLAN id.
        id: u16,
        /// The tag it puts on.
        protocol: VlanProtocol,
    },
    /// A routing domain.
    Vrf {
        /// Its table.
        table: u32,
    },
    /// A link aggregation.
    Bond(Bond),
    /// Another MAC on top of [`Link::lower`]: the gateway that several machines share.
    Macvlan,
    /// A device that swallows packets.
    Dummy,
    /// The loopback device.
    Loopback,
    /// A device of a driver that reports no kind: front-panel ports.
    Physical,
    /// Any other kind, by the kernel's name.
    Other(String),
}

impl Link {
    /// A link that is up and runs, in no bridge, without anything special.
    pub fn new(index: Ifindex, name: impl Into<String>, kind: LinkKind) -> Self {
        Self {
            index,
            name: name.into(),
            kind,
            master: None,
            up: true,
            running: true,
            mac: None,
            mtu: 1500,
            port: None,
            alias: None,
            lower: None,
            lower_namespace: None,
            hardware: None,
        }
    }

    /// The switch that it is a port of, if its driver says so. That there is one does not mean that the switch can offload.
    pub fn switch_id(&self) -> Option<SwitchId> {
        self.hardware.as_ref()?.switch_id
    }

    /// Whether it is a port of a switch itself.
    pub fn is_switch_port(&self) -> bool {
        self.switch_id().is_some()
            && (self.parent_device().is_some() || self.physical_port().is_some())
    }

    /// What the driver calls the port: `p1`, or `p1s0` for a part of a split one.
    pub fn physical_port(&self) -> Option<&str> {
        self.hardware.as_ref()?.port_name.as_deref()
    }

    /// The device on whose bus it sits.
    pub fn parent_device(&self) -> Option<&ParentDevice> {
        self.hardware.as_ref()?.parent.as_ref()
    }

    /// Its identity.
    pub fn key(&self) -> Key {
        Key::Link(self.index)
    }

    /// What must exist first.
    pub fn requires(&self) -> Vec<Key> {
        let underlay = match &self.kind {
            LinkKind::Vxlan(vxlan) => vxlan.underlay,
            _ => None,
        };
        let lower = self.lower.filter(|_| self.kind.is_upper());
        self.master.into_iter().chain(underlay).chain(lower).map(Key::Link).collect()
    }

    /// Whether `held` is all that this asks for: what a writer can set, less what the kernel decides (carrier).
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        self.name == held.name
            && self.kind == held.kind
            && self.master == held.master
            && self.up == held.up
            && self.mac.is_none_or(|mac| held.mac == Some(mac))
            && (self.mtu == 0 || self.mtu == held.mtu)
            && self.alias == held.alias
            && self.port.is_none_or(|port| {
                held.port.is_some_and(|held| port == BridgePort { state: port.state, ..held })
            })
    }

    /// Its VXLAN part, if it is a VXLAN device.
    pub fn vxlan(&self) -> Option<&Vxlan> {
        match &self.kind {
            LinkKind::Vxlan(vxlan) => Some(vxlan),
            _ => None,
        }
    }

    /// Its bridge part, if it is a bridge.
    pub fn bridge(&self) -> Option<&Bridge> {
        match &self.kind {
            LinkKind::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }
    pub(super) fn decode(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let kind = match message.header.link_layer_type {
            LinkLayerType::Loopback => LinkKind::Loopback,
            _ => LinkKind::Physical,
        };
        let mut link = Self {
            up: flags.contains(LinkFlags::Up),
            running: flags.contains(LinkFlags::LowerUp),
            mtu: 0,
            ..Self::new(message.header.index, "", kind)
        };
        let mut hardware = Hardware::default();
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Controller(master) => {
                    link.master = Some(*master).filter(|master| *master != 0)
                }
                LinkAttribute::Address(octets) => link.mac = message::mac(octets),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
                LinkAttribute::Link(lower) => link.lower = Some(*lower).filter(|lower| *lower != 0),
                LinkAttribute::LinkNetNsId(id) => link.lower_namespace = Some(*id),
                LinkAttribute::LinkInfo(infos) => link.take_infos(infos),
                other => hardware.take(other),
            }
        }
        link.hardware = (hardware != Hardware::default()).then(|| Box::new(hardware));
        if link.kind == LinkKind::Veth {
            (link.lower, link.lower_namespace) = (None, None);
        }
        link
    }

    fn take_infos(&mut self, infos: &[LinkInfo]) {
        for info in infos {
            match info {
                LinkInfo::Kind(kind) => self.kind = LinkKind::named(kind),
                LinkInfo::Data(data) => {
                    if let Some(kind) = LinkKind::described(data) {
                        self.kind = kind;
                    }
                }
                LinkInfo::PortData(InfoPortData::BridgePort(port)) => {
                    self.port = Some(BridgePort::decode(port))
                }
                _ => {}
            }
        }
    }
}

impl LinkKind {
    /// Whether it sits on top of [`Link::lower`] and cannot be made without it.
    pub fn is_upper(&self) -> bool {
        matches!(self, Self::Vlan { .. } | Self::Macvlan)
    }

    /// The kind by its name alone. The kernel says the name before the data.
    fn named(kind: &InfoKind) -> Self {
        match kind {
            InfoKind::Bridge => Self::Bridge(Bridge::default()),
            InfoKind::Vxlan => Self::Vxlan(Vxlan::decode(&[])),
            InfoKind::Veth => Self::Veth,
            InfoKind::Vlan => Self::Vlan { id: 0, protocol: VlanProtocol::default() },
            InfoKind::Vrf => Self::Vrf { table: 0 },
            InfoKind::Bond => Self::Bond(Bond::default()),
            InfoKind::MacVlan => Self::Macvlan,
            InfoKind::Dummy => Self::Dummy,
            other => Self::Other(other.to_string()),
        }
    }

    fn described(data: &InfoData) -> Option<Self> {
        Some(match data {
            InfoData::Bridge(bridge) => Self::Bridge(Bridge::decode(bridge)),
            InfoData::Vxlan(vxlan) => Self::Vxlan(Vxlan::decode(vxlan)),
            InfoData::Vlan(vlan) => Self::Vlan {
                id: vlan.iter().find_map(|vlan| match vlan {
                    InfoVlan::Id(id) => Some(*id),
                    _ => None,
                })?,
                protocol: vlan
                    .iter()
                    .find_map(|vlan| match vlan {
                        InfoVlan::Protocol(protocol) => Some((*protocol).into()),
                        _ => None,
                    })
                    .unwrap_or_default(),
            },
            InfoData::Bond(bond) => Self::Bond(Bond::decode(bond)),
            InfoData::Vrf(vrf) => Self::Vrf {
                table: vrf.iter().find_map(|vrf| match vrf {
                    InfoVrf::TableId(table) => Some(*table),
                    _ => None,
                })?,
            },
            _ => return None,
        })
    }
}
