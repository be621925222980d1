//! Who is on top of whom, and what of it leads to a port of the switch. Drivers see only that.

use std::collections::{HashMap, HashSet};

use crate::kernel::{BridgeVlan, Ifindex, Link, LinkKind, Model};

use super::{Ports, Profile};

pub(super) struct Topology<'a> {
    pub(super) model: &'a Model,
    pub(super) profile: &'a Profile,
    ports: HashSet<Ifindex>,
    /// Links with a port somewhere below, and the ports themselves.
    on_ports: HashSet<Ifindex>,
    members: HashMap<Ifindex, Vec<&'a Link>>,
    uppers: HashMap<Ifindex, Vec<&'a Link>>,
}

impl<'a> Topology<'a> {
    pub(super) fn new(model: &'a Model, profile: &'a Profile) -> Self {
        let mut topology = Self {
            model,
            profile,
            ports: HashSet::new(),
            on_ports: HashSet::new(),
            members: HashMap::new(),
            uppers: HashMap::new(),
        };
        let mut links: Vec<&Link> = model.links().collect();
        links.sort_unstable_by_key(|link| link.index);
        for link in &links {
            if profile.ports.contains(link) {
                topology.ports.insert(link.index);
            }
            if let Some(master) = link.master {
                topology.members.entry(master).or_default().push(link);
            }
            if let Some(lower) = stands_on(link) {
                topology.uppers.entry(lower).or_default().push(link);
            }
        }
        let mut todo: Vec<Ifindex> = topology.ports.iter().copied().collect();
        while let Some(index) = todo.pop() {
            if topology.on_ports.insert(index) {
                todo.extend(model.link(index).and_then(|link| link.master));
                todo.extend(topology.uppers_of(index).map(|upper| upper.index));
            }
        }
        topology
    }

    pub(super) fn is_port(&self, link: &Link) -> bool {
        self.ports.contains(&link.index)
    }

    /// Whether the driver has anything to do with it: it is a port, or one is below it.
    pub(super) fn is_on_ports(&self, link: &Link) -> bool {
        self.on_ports.contains(&link.index)
    }

    /// Ports that stand-ins were given for count even when all are gone.
    pub(super) fn has_ports(&self) -> bool {
        let given = matches!(&self.profile.ports, Ports::Numbered(ports) if !ports.is_empty());
        given || !self.ports.is_empty()
    }

    /// The links whose master it is, by number.
    pub(super) fn members_of(
        &self,
        index: Ifindex,
    ) -> impl Iterator<Item = &'a Link> + use<'a, '_> {
        self.members.get(&index).into_iter().flatten().copied()
    }

    /// The links that stand on it, by number: VLANs, macvlans and their like. Not its master.
    pub(super) fn uppers_of(&self, index: Ifindex) -> impl Iterator<Item = &'a Link> + use<'a, '_> {
        self.uppers.get(&index).into_iter().flatten().copied()
    }

    pub(super) fn vlan_uppers_of(
        &self,
        index: Ifindex,
    ) -> impl Iterator<Item = &'a Link> + use<'a, '_> {
        self.uppers_of(index).filter(|upper| matches!(upper.kind, LinkKind::Vlan { .. }))
    }

    pub(super) fn master_of(&self, link: &Link) -> Option<&'a Link> {
        self.model.link(link.master?)
    }

    /// The bridge that it is a port of.
    pub(super) fn bridge_of(&self, link: &Link) -> Option<&'a Link> {
        self.master_of(link).filter(|master| master.bridge().is_some())
    }

    /// The VLAN that a VXLAN device is mapped to in a bridge with VLANs: its PVID, if that goes out untagged.
    pub(super) fn mapped_vlan(&self, vxlan: &Link) -> Option<u16> {
        let mapped = |vlan: &&BridgeVlan| vlan.pvid && vlan.untagged;
        self.model.vlans_of(vxlan.index).iter().find(mapped).map(|vlan| vlan.vlan)
    }

    pub(super) fn name(&self, index: Ifindex) -> String {
        self.model.link(index).map_or_else(|| format!("if{index}"), |link| link.name.clone())
    }
}

/// The link that the kernel links it to as an upper device.
fn stands_on(link: &Link) -> Option<Ifindex> {
    let lower = match &link.kind {
        LinkKind::Vlan { .. } | LinkKind::Macvlan => link.lower,
        LinkKind::Vxlan(vxlan) => vxlan.underlay,
        LinkKind::Other(kind) if STACKED.contains(&kind.as_str()) => link.lower,
        _ => None,
    };
    lower.filter(|_| link.lower_namespace.is_none())
}

/// Kinds without a model of their own that sit on another link. (`ip link` names the link below of many kinds; only these
/// become its upper devices.)
const STACKED: [&str; 5] = ["macvtap", "ipvlan", "ipvtap", "macsec", "lowpan"];

pub(super) fn is_macvlan(link: &Link) -> bool {
    match &link.kind {
        LinkKind::Macvlan => true,
        LinkKind::Other(kind) => kind == "macvtap",
        _ => false,
    }
}
