//! Bridge domains: a VXLAN device with a VNI in a bridge is one. Found from links alone, in whatever order they came.
//!
//! Where the operator made two of something that can only be one, the device with the lower number wins: it is the
//! older one, so that a mistake does not disturb what already works. The other one is a [`Problem`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bgp::types::{Label, RouteDistinguisher, RouterId};
use platform::kernel::{Ifindex, Link, Vni};

use crate::facts::Facts;
use crate::problem::Problem;

/// A broadcast domain that spans VTEPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Domain {
    pub(crate) vni: Vni,
    pub(crate) vxlan: Ifindex,
    pub(crate) bridge: Ifindex,
    /// The bridge's VLAN that is the domain; `None` where the whole bridge is.
    pub(crate) vlan: Option<u16>,
    /// The device with which the machine itself takes part. Its neighbour table has the domain's hosts.
    pub(crate) svi: Option<Ifindex>,
    pub(crate) service: Service,
}

/// Whether a domain takes part in the overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// It does, at this VTEP address.
    In(IpAddr),
    /// It does not: down, without VTEP address, or not wanted.
    Out,
}

impl Domain {
    /// The VTEP address, while in service.
    pub(crate) fn vtep(&self) -> Option<IpAddr> {
        match self.service {
            Service::In(vtep) => Some(vtep),
            Service::Out => None,
        }
    }

    /// The VNI as a route carries it.
    pub(crate) fn label(&self) -> Label {
        Label::from_vni(self.vni.get())
    }
}

/// The domain of a VNI, if there is one.
pub(crate) fn find(facts: &Facts, vni: Vni, wanted: bool) -> Option<Domain> {
    let (vxlan, bridge) = facts.vxlans_of_vni(vni).find_map(|device| candidate(facts, device))?;
    let local = vxlan.vxlan().and_then(|vxlan| vxlan.local);
    let is_up = vxlan.up && bridge.up && wanted;
    Some(Domain {
        vni,
        vxlan: vxlan.index,
        bridge: bridge.index,
        vlan: None,
        svi: Some(bridge.index),
        service: local.filter(|_| is_up).map_or(Service::Out, Service::In),
    })
}

/// What is wrong with the links, as far as it keeps a domain from working or from being one.
pub(crate) fn problems(facts: &Facts) -> Vec<Problem> {
    facts.links().flat_map(|device| device_problems(facts, device)).collect()
}

/// A VXLAN device and its bridge, if the device can stand for its VNI: it is the first one in a bridge that is one domain.
fn candidate<'a>(facts: &'a Facts, device: &'a Link) -> Option<(&'a Link, &'a Link)> {
    let bridge = facts.link(device.master?)?;
    let is_first = facts.vxlans_of_bridge(bridge.index).next()?.index == device.index;
    (is_first && !bridge.bridge()?.vlan_filtering).then_some((device, bridge))
}

fn device_problems(facts: &Facts, device: &Link) -> Vec<Problem> {
    let Some(vxlan) = device.vxlan() else { return Vec::new() };
    let Some(bridge) = device.master.and_then(|master| facts.link(master)) else {
        return Vec::new();
    };
    let Some(kind) = bridge.bridge() else { return Vec::new() };
    let name = device.name.clone();
    let Some(vni) = vxlan.vni else {
        return vec![if vxlan.external {
            Problem::SingleVxlanDevice { device: name, bridge: bridge.name.clone() }
        } else {
            Problem::NoVni { device: name }
        }];
    };
    if kind.vlan_filtering {
        return vec![Problem::VlanAwareBridge { vni, bridge: bridge.name.clone() }];
    }
    let mut problems = Vec::new();
    if let Some(first) =
        facts.vxlans_of_bridge(bridge.index).next().filter(|first| first.index != device.index)
    {
        let (bridge, serves) = (bridge.name.clone(), first.name.clone());
        problems.push(Problem::TwoVnisInOneBridge { vni, device: name.clone(), bridge, serves });
    } else if let Some((first, _)) =
        facts.vxlans_of_vni(vni).find_map(|device| candidate(facts, device))
        && first.index != device.index
    {
        problems.push(Problem::VniInTwoBridges {
            vni,
            device: name.clone(),
            serves: first.name.clone(),
        });
    }
    match vxlan.local {
        None => problems.push(Problem::NoLocalAddress { vni, device: name.clone() }),
        Some(address) if !facts.is_own_address(address) => {
            problems.push(Problem::ForeignLocalAddress { vni, device: name.clone(), address });
        }
        Some(_) => {}
    }
    if vxlan.learning {
        problems.push(Problem::KernelLearning { vni, device: name });
    }
    problems
}

/// The second half of automatic route distinguishers, `router-id:index`.
///
/// The index is the low 16 bits of the VNI, so that it is the same after a restart; where two VNIs share them, the
/// later one takes the next free index. It stays with a VNI while the kernel has a domain for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Distinguishers {
    index_of: BTreeMap<Vni, u16>,
    owner_of: BTreeMap<u16, Vni>,
}

impl Distinguishers {
    /// The index of a VNI, a new one if it has none; `None` when all 65536 are taken.
    pub(crate) fn take(&mut self, vni: Vni) -> Option<u16> {
        if let Some(index) = self.index_of.get(&vni) {
            return Some(*index);
        }
        let [_, _, high, low] = vni.get().to_be_bytes();
        let first = u16::from_be_bytes([high, low]);
        let mut indexes = (first..=u16::MAX).chain(0..first);
        let index = indexes.find(|index| !self.owner_of.contains_key(index))?;
        self.index_of.insert(vni, index);
        self.owner_of.insert(index, vni);
        Some(index)
    }

    pub(crate) fn give_back(&mut self, vni: Vni) {
        self.index_of.remove(&vni).map(|index| self.owner_of.remove(&index));
    }

    /// Whose route distinguisher it is, if it is one of ours.
    pub(crate) fn owner(
        &self,
        RouterId(router_id): RouterId,
        rd: RouteDistinguisher,
    ) -> Option<Vni> {
        let RouteDistinguisher([0, 1, a, b, c, d, high, low]) = rd else { return None };
        let is_ours = Ipv4Addr::new(a, b, c, d) == router_id;
        self.owner_of.get(&u16::from_be_bytes([high, low])).copied().filter(|_| is_ours)
    }
}
