//! Bridge domains: a VLAN of a bridge, or a bridge without VLANs, that a VXLAN device carries as a VNI. Found from links and
//! their VLANs alone, in whatever order they came.
//!
//! Where the operator made two of something that can only be one, the device with the lower number wins: it is the
//! older one, so that a mistake does not disturb what already works. The other one is a [`Problem`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bgp::types::{Label, RouteDistinguisher, RouterId};
use platform::kernel::{Ifindex, Link, Vni};

use crate::facts::{Facts, Mapping};
use crate::problem::Problem;

/// A broadcast domain that spans VTEPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Domain {
    pub(crate) vni: Vni,
    pub(crate) vxlan: Ifindex,
    /// Whether the device carries other VNIs too, so that its entries name theirs.
    pub(crate) is_shared: bool,
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

    /// The VNI as an entry of the VXLAN device names it, if it does.
    pub(crate) fn entry_vni(&self) -> Option<Vni> {
        self.is_shared.then_some(self.vni)
    }

    /// The VNI as a route carries it.
    pub(crate) fn label(&self) -> Label {
        Label::from_vni(self.vni.get())
    }
}

/// The domain of a VNI, if there is one.
pub(crate) fn find(facts: &Facts, vni: Vni, wanted: bool) -> Option<Domain> {
    let mapping = serving(facts, vni)?;
    let (vxlan, bridge) = (facts.link(mapping.vxlan)?, facts.link(mapping.bridge)?);
    let kind = vxlan.vxlan()?;
    let is_up = vxlan.up && bridge.up && wanted;
    Some(Domain {
        vni,
        vxlan: vxlan.index,
        is_shared: kind.vni.is_none(),
        bridge: bridge.index,
        vlan: mapping.vlan,
        svi: facts.svi(bridge.index, mapping.vlan),
        service: kind.local.filter(|_| is_up).map_or(Service::Out, Service::In),
    })
}

/// What is wrong with the links, as far as it keeps a domain from working or from being one.
pub(crate) fn problems(facts: &Facts) -> Vec<Problem> {
    facts.links().flat_map(|device| device_problems(facts, device)).collect()
}

/// What stands for a VNI: the first device that carries it and is the first one in its domain.
fn serving(facts: &Facts, vni: Vni) -> Option<Mapping> {
    facts.mappings_of_vni(vni).find(|mapping| rival(facts, mapping).is_none())
}

/// The device that serves the domain of a mapping instead of its own.
fn rival(facts: &Facts, mapping: &Mapping) -> Option<Mapping> {
    let first = facts.mappings_of_domain(mapping.bridge, mapping.vlan).next();
    first.filter(|first| first != mapping)
}

fn device_problems(facts: &Facts, device: &Link) -> Vec<Problem> {
    let Some(vxlan) = device.vxlan() else { return Vec::new() };
    let Some(bridge) = device.master.and_then(|master| facts.link(master)) else {
        return Vec::new();
    };
    let Some(kind) = bridge.bridge() else { return Vec::new() };
    let name = || device.name.clone();
    if vxlan.vni.is_none() && !vxlan.external {
        return vec![Problem::NoVni { device: name() }];
    }
    if vxlan.external && !kind.vlan_filtering {
        return vec![Problem::SharedDeviceWithoutVlans {
            device: name(),
            bridge: bridge.name.clone(),
        }];
    }
    let mappings = facts.mappings_of(device.index);
    let mut problems: Vec<Problem> =
        mappings.iter().filter_map(|mapping| mapping_problem(facts, mapping)).collect();
    if mappings.is_empty() {
        problems.push(Problem::NoVlan { vni: vxlan.vni, device: name() });
    }
    match vxlan.local {
        None => problems.push(Problem::NoLocalAddress { vni: vxlan.vni, device: name() }),
        Some(address) if !facts.is_own_address(address) => {
            problems.push(Problem::ForeignLocalAddress { device: name(), address });
        }
        Some(_) => {}
    }
    if vxlan.learning {
        problems.push(Problem::KernelLearning { device: name() });
    }
    problems
}

/// Why a device does not serve a VNI that it carries.
fn mapping_problem(facts: &Facts, mapping: &Mapping) -> Option<Problem> {
    let vni = mapping.vni;
    let device = facts.name(mapping.vxlan);
    if let Some(rival) = rival(facts, mapping) {
        let (bridge, serves) = (facts.name(mapping.bridge), facts.name(rival.vxlan));
        let vlan = mapping.vlan;
        return Some(Problem::TwoVnisInOneDomain { vni, device, bridge, vlan, serves });
    }
    let serves = serving(facts, vni).filter(|serving| serving != mapping)?;
    Some(Problem::VniCarriedTwice { vni, device, serves: facts.name(serves.vxlan) })
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
