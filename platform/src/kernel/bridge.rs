//! Bridges and what a link is as a port of one.

use netlink_packet_core::{DefaultNla, Emitable, Nla, NlaBuffer, Parseable};
use netlink_packet_route::link::{
    self, BridgePortState, BridgeStpState, InfoBridge, InfoBridgePort, LinkProtoInfoBridge,
};

/// What a bridge is, beyond being a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    /// Whether it separates VLANs.
    pub vlan_filtering: bool,
    /// Whether it listens to IGMP and MLD. Hardware that bridges VXLAN wants it off.
    pub multicast_snooping: bool,
    /// Seconds that an unused MAC stays.
    pub ageing_seconds: Option<u32>,
    /// Which tags it separates VLANs by.
    pub vlan_protocol: VlanProtocol,
    /// The VLAN that a new port gets as its PVID, untagged; 0: none.
    pub default_pvid: u16,
    /// Whether a spanning tree runs, the kernel's or a daemon's.
    pub spanning_tree: bool,
}

/// The tag that marks a frame's VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VlanProtocol {
    /// The customer tag, 0x8100.
    #[default]
    Dot1q,
    /// The service tag, 0x88a8: a VLAN around VLANs.
    Dot1ad,
}

impl Default for Bridge {
    /// As the kernel sets up a new bridge.
    fn default() -> Self {
        Self {
            vlan_filtering: false,
            multicast_snooping: true,
            ageing_seconds: None,
            vlan_protocol: VlanProtocol::Dot1q,
            default_pvid: 1,
            spanning_tree: false,
        }
    }
}

/// What a link is as a port of its bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgePort {
    /// Whether the bridge learns MACs here. Off on VXLAN ports: the control plane says who is behind them.
    pub learning: bool,
    /// Whether the bridge answers ARP and neighbour discovery from its own table instead of sending them here.
    pub neigh_suppress: bool,
    /// Whether packets to unknown MACs go here.
    pub flood: bool,
    /// Whether multicast packets without a known listener go here.
    pub multicast_flood: bool,
    /// Whether broadcast packets go here.
    pub broadcast_flood: bool,
    /// Whether packets between isolated ports are dropped.
    pub isolated: bool,
    /// Whether the bridge takes packets only from MACs that it knows here.
    pub locked: bool,
    /// Whether packets may leave where they came in.
    pub hairpin: bool,
    /// Whether multicast packets go out as one unicast packet per listener.
    pub multicast_to_unicast: bool,
    /// Spanning tree state.
    pub state: PortState,
}

impl Default for BridgePort {
    /// As the kernel sets up a new port.
    fn default() -> Self {
        Self {
            learning: true,
            neigh_suppress: false,
            flood: true,
            multicast_flood: true,
            broadcast_flood: true,
            isolated: false,
            locked: false,
            hairpin: false,
            multicast_to_unicast: false,
            state: PortState::Disabled,
        }
    }
}

/// Spanning tree state of a bridge port; `Forwarding` when its link is up and no spanning tree runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortState {
    /// Down.
    Disabled,
    /// Listens for the tree.
    Listening,
    /// Learns MACs, does not forward.
    Learning,
    /// Forwards.
    Forwarding,
    /// Held back by the tree.
    Blocking,
}

/// What to change of a bridge port; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortSettings {
    /// See [`BridgePort::learning`].
    pub learning: Option<bool>,
    /// See [`BridgePort::neigh_suppress`].
    pub neigh_suppress: Option<bool>,
    /// See [`BridgePort::flood`].
    pub flood: Option<bool>,
    /// See [`BridgePort::multicast_flood`].
    pub multicast_flood: Option<bool>,
    /// See [`BridgePort::broadcast_flood`].
    pub broadcast_flood: Option<bool>,
    /// See [`BridgePort::isolated`].
    pub isolated: Option<bool>,
    /// See [`BridgePort::locked`].
    pub locked: Option<bool>,
}

impl Bridge {
    /// What differs from `before`; against the default for a new bridge.
    pub(super) fn encode(&self, before: &Self) -> Vec<InfoBridge> {
        let mut attributes = Vec::new();
        if self.vlan_filtering != before.vlan_filtering {
            attributes.push(InfoBridge::VlanFiltering(self.vlan_filtering));
        }
        if self.multicast_snooping != before.multicast_snooping {
            attributes.push(InfoBridge::MulticastSnooping(self.multicast_snooping));
        }
        if let Some(seconds) =
            self.ageing_seconds.filter(|_| self.ageing_seconds != before.ageing_seconds)
        {
            attributes.push(InfoBridge::AgeingTime(seconds.saturating_mul(USER_HZ)));
        }
        if self.vlan_protocol != before.vlan_protocol {
            attributes.push(InfoBridge::VlanProtocol(self.vlan_protocol.into()));
        }
        if self.default_pvid != before.default_pvid {
            attributes.push(InfoBridge::VlanDefaultPvid(self.default_pvid));
        }
        if self.spanning_tree != before.spanning_tree {
            let state = if self.spanning_tree {
                BridgeStpState::KernelStp
            } else {
                BridgeStpState::Disabled
            };
            attributes.push(InfoBridge::StpState(state));
        }
        attributes
    }

    pub(super) fn decode(attributes: &[InfoBridge]) -> Self {
        let mut bridge = Self { multicast_snooping: false, ..Self::default() };
        for attribute in attributes {
            match *attribute {
                InfoBridge::VlanFiltering(on) => bridge.vlan_filtering = on,
                InfoBridge::MulticastSnooping(on) => bridge.multicast_snooping = on,
                InfoBridge::AgeingTime(ticks) => bridge.ageing_seconds = Some(ticks / USER_HZ),
                InfoBridge::VlanProtocol(protocol) => bridge.vlan_protocol = protocol.into(),
                InfoBridge::VlanDefaultPvid(pvid) => bridge.default_pvid = pvid,
                InfoBridge::StpState(state) => {
                    bridge.spanning_tree = state != BridgeStpState::Disabled
                }
                _ => {}
            }
        }
        bridge
    }
}

/// The kernel counts bridge times for user space in hundredths of a second.
const USER_HZ: u32 = 100;

impl PortSettings {
    /// What turns `from` into `to`.
    pub(super) fn between(from: Option<BridgePort>, to: BridgePort) -> Self {
        let from = from.unwrap_or_default();
        let changed = |from: bool, to: bool| (from != to).then_some(to);
        Self {
            learning: changed(from.learning, to.learning),
            neigh_suppress: changed(from.neigh_suppress, to.neigh_suppress),
            flood: changed(from.flood, to.flood),
            multicast_flood: changed(from.multicast_flood, to.multicast_flood),
            broadcast_flood: changed(from.broadcast_flood, to.broadcast_flood),
            isolated: changed(from.isolated, to.isolated),
            locked: changed(from.locked, to.locked),
        }
    }

    pub(super) fn encode(&self) -> Vec<InfoBridgePort> {
        [
            self.learning.map(InfoBridgePort::Learning),
            self.neigh_suppress.map(InfoBridgePort::NeighSupress),
            self.flood.map(InfoBridgePort::UnicastFlood),
            self.multicast_flood.map(InfoBridgePort::MulticastFlood),
            self.broadcast_flood.map(InfoBridgePort::BroadcastFlood),
            self.isolated.map(InfoBridgePort::Isolated),
            self.locked.map(InfoBridgePort::Locked),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl BridgePort {
    pub(super) fn decode(attributes: &[InfoBridgePort]) -> Self {
        let mut port = Self::default();
        for attribute in attributes {
            match *attribute {
                InfoBridgePort::Learning(on) => port.learning = on,
                InfoBridgePort::NeighSupress(on) => port.neigh_suppress = on,
                InfoBridgePort::UnicastFlood(on) => port.flood = on,
                InfoBridgePort::MulticastFlood(on) => port.multicast_flood = on,
                InfoBridgePort::BroadcastFlood(on) => port.broadcast_flood = on,
                InfoBridgePort::Isolated(on) => port.isolated = on,
                InfoBridgePort::Locked(on) => port.locked = on,
                InfoBridgePort::HairpinMode(on) => port.hairpin = on,
                InfoBridgePort::MulticastToUnicast(on) => port.multicast_to_unicast = on,
                InfoBridgePort::State(state) => port.state = state.into(),
                _ => {}
            }
        }
        port
    }

    /// The same attributes, as the bridge itself announces them (`IFLA_PROTINFO`).
    pub(super) fn decode_announced(attributes: &[LinkProtoInfoBridge]) -> Self {
        let known = |attribute: &LinkProtoInfoBridge| {
            let mut value = vec![0; attribute.value_len()];
            attribute.emit_value(&mut value);
            let same = DefaultNla::new(attribute.kind(), value);
            let mut bytes = vec![0; same.buffer_len()];
            same.emit(&mut bytes);
            InfoBridgePort::parse(&NlaBuffer::new(bytes.as_slice())).ok()
        };
        Self::decode(&attributes.iter().filter_map(known).collect::<Vec<_>>())
    }
}

impl From<link::VlanProtocol> for VlanProtocol {
    fn from(protocol: link::VlanProtocol) -> Self {
        match protocol {
            link::VlanProtocol::Ieee8021Ad => Self::Dot1ad,
            _ => Self::Dot1q,
        }
    }
}

impl From<VlanProtocol> for link::VlanProtocol {
    fn from(protocol: VlanProtocol) -> Self {
        match protocol {
            VlanProtocol::Dot1q => Self::Ieee8021Q,
            VlanProtocol::Dot1ad => Self::Ieee8021Ad,
        }
    }
}

impl From<BridgePortState> for PortState {
    fn from(state: BridgePortState) -> Self {
        match state {
            BridgePortState::Listening => Self::Listening,
            BridgePortState::Learning => Self::Learning,
            BridgePortState::Forwarding => Self::Forwarding,
            BridgePortState::Blocking => Self::Blocking,
            _ => Self::Disabled,
        }
    }
}
