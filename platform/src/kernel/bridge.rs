//! Bridges and what a link is as a port of one.

/// What a bridge is, beyond being a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bridge {
    /// Whether it separates VLANs.
    pub vlan_filtering: bool,
    /// Whether it listens to IGMP and MLD. Hardware that bridges VXLAN wants it off.
    pub multicast_snooping: bool,
    /// Seconds that an unused MAC stays.
    pub ageing_seconds: Option<u32>,
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
