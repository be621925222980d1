//! What there is to show, as of the last poll. Lists are made when asked for, in the order of their keys.

use std::net::IpAddr;

use bgp::types::{MacAddr, RouteDistinguisher, RouteTarget};
use bgp::wire::EvpnKey;
use platform::kernel::{Ifindex, Vni};

use crate::domain;
use crate::facts::StationKind;
use crate::gateway::{Gateway, Served};
use crate::merge::Location;
use crate::problem::Problem;
use crate::remote::Unused;
use crate::settle::can_reach;

/// A bridge domain (`show evpn vni`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainView {
    /// Its VNI.
    pub vni: Vni,
    /// Its VXLAN device.
    pub vxlan: Device,
    /// Its bridge.
    pub bridge: Device,
    /// The bridge's VLAN that is the domain; `None` where the whole bridge is.
    pub vlan: Option<u16>,
    /// The machine's own device in it.
    pub svi: Option<Device>,
    /// Our VTEP address in it; `None` while it is not in service.
    pub vtep: Option<IpAddr>,
    /// Route distinguisher of our routes.
    pub rd: RouteDistinguisher,
    /// Route target of our routes. Routes with any `AS:VNI` of this VNI are imported.
    pub export_target: RouteTarget,
    /// The VTEPs that get flooded frames.
    pub remote_vteps: Vec<IpAddr>,
    /// How many MACs it has, local and remote.
    pub macs: usize,
    /// How many IP addresses it has, local and remote.
    pub neighbors: usize,
}

/// A device by number and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its number.
    pub index: Ifindex,
    /// Its name.
    pub name: String,
}

/// A MAC of a domain (`show evpn mac vni`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacView {
    /// The MAC.
    pub mac: MacAddr,
    /// Where it is.
    pub place: PlaceView,
    /// Static there.
    pub sticky: bool,
    /// The sequence number that we advertise; 0 if we do not.
    pub local_sequence: u32,
    /// The best sequence number that another VTEP advertises; 0 if none does.
    pub remote_sequence: u32,
    /// Its IP addresses.
    pub neighbors: Vec<IpAddr>,
}

/// An IP address of a domain (`show evpn arp-cache vni`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighborView {
    /// The address.
    pub ip: IpAddr,
    /// Its MAC.
    pub mac: MacAddr,
    /// Where that is.
    pub place: PlaceView,
    /// An IPv6 router.
    pub router: bool,
    /// As advertised, by us or by the other VTEP.
    pub sequence: u32,
}

/// Where a MAC is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceView {
    /// At a port of ours.
    Local(Device),
    /// Behind a VTEP.
    Remote(IpAddr),
}

/// A received route of type 2 or 3 that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedRoute {
    /// The route.
    pub key: EvpnKey,
    /// The VTEP it is about.
    pub vtep: IpAddr,
    /// Why not. A route with several route targets may stand here once for each.
    pub reason: Unused,
}

impl Gateway {
    /// The domains, in service or not.
    pub fn domains(&self) -> impl Iterator<Item = DomainView> {
        self.domains.values().map(|served| self.domain_view(served))
    }

    /// The domain of a VNI.
    pub fn domain(&self, vni: Vni) -> Option<DomainView> {
        self.domains.get(&vni).map(|served| self.domain_view(served))
    }

    /// The MACs of a domain.
    pub fn macs(&self, vni: Vni) -> impl Iterator<Item = MacView> {
        self.macs_of(vni).map(move |(mac, location)| self.mac_view(vni, mac, location))
    }

    /// A MAC of a domain.
    pub fn mac(&self, vni: Vni, mac: MacAddr) -> Option<MacView> {
        self.macs.get(&(vni, mac)).map(|location| self.mac_view(vni, mac, *location))
    }

    /// The IP addresses of a domain.
    pub fn neighbors(&self, vni: Vni) -> impl Iterator<Item = NeighborView> {
        self.hosts_of(vni).filter_map(move |(ip, owner)| {
            let place = self.place_view(*self.macs.get(&(vni, owner.mac))?);
            let (mac, router, sequence) = (owner.mac, owner.router, owner.claim.sequence());
            Some(NeighborView { ip, mac, place, router, sequence })
        })
    }

    /// The received routes of types 2 and 3 that are not used, and why.
    pub fn unused_routes(&self) -> impl Iterator<Item = UnusedRoute> {
        self.routes.verdicts().filter_map(|(key, vtep, verdict)| {
            let reason = verdict.map_or_else(Some, |vni| self.unused_in(vni, key, vtep))?;
            Some(UnusedRoute { key: key.clone(), vtep, reason })
        })
    }

    /// What the operator should know and can mend.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = domain::problems(&self.facts);
        let exists = |vni: &Vni| domain::find(&self.facts, *vni, true).is_some();
        let nameless = self.facts.vnis().into_iter().filter(|vni| !self.domains.contains_key(vni));
        problems.extend(nameless.filter(exists).map(|vni| Problem::NoRouteDistinguisher { vni }));
        problems.extend(self.macs.iter().filter_map(|((vni, mac), location)| {
            let Location::Remote { vtep, sticky: true, .. } = *location else { return None };
            let domain = &self.domains.get(vni)?.domain;
            let station = self.facts.station((domain.bridge, domain.vlan, *mac))?;
            let port = self.facts.name(station.port);
            Some(Problem::StaticElsewhere { vni: *vni, mac: *mac, vtep, port })
        }));
        problems.sort();
        problems
    }

    fn unused_in(&self, vni: Vni, key: &EvpnKey, vtep: IpAddr) -> Option<Unused> {
        let Some(Served { domain, .. }) = self.in_service(vni) else {
            return Some(Unused::NoDomain(vni));
        };
        let own_vtep = domain.vtep()?;
        let is_own_mac = |mac| {
            let station = self.facts.station((domain.bridge, domain.vlan, mac));
            station.is_some_and(|station| station.kind == StationKind::Own)
        };
        match *key {
            _ if vtep == own_vtep => Some(Unused::OwnVtep),
            _ if !can_reach(own_vtep, vtep) => Some(Unused::OtherFamily),
            EvpnKey::MacIp { mac, .. } if is_own_mac(mac) => Some(Unused::OwnMac),
            _ => None,
        }
    }

    fn domain_view(&self, served: &Served) -> DomainView {
        let domain = &served.domain;
        let own = domain.vtep();
        let wanted = |vtep: &IpAddr| own.is_some_and(|own| can_reach(own, *vtep));
        DomainView {
            vni: domain.vni,
            vxlan: self.device(domain.vxlan),
            bridge: self.device(domain.bridge),
            vlan: domain.vlan,
            svi: domain.svi.map(|svi| self.device(svi)),
            vtep: own,
            rd: served.rd,
            export_target: self.route_target(domain),
            remote_vteps: self.routes.floods(domain.vni).filter(wanted).collect(),
            macs: self.macs_of(domain.vni).count(),
            neighbors: self.hosts_of(domain.vni).count(),
        }
    }

    fn mac_view(&self, vni: Vni, mac: MacAddr, location: Location) -> MacView {
        let best_claim = || {
            let own = self.domains.get(&vni)?.domain.vtep()?;
            self.routes.claims(vni, mac).find(|claim| can_reach(own, claim.vtep()))
        };
        let (sticky, local_sequence) = match location {
            Location::Local { sticky, sequence, .. } => (sticky, sequence),
            Location::Remote { sticky, .. } => (sticky, 0),
        };
        let svi = self.domains.get(&vni).and_then(|served| served.domain.svi);
        let local = svi.into_iter().flat_map(|svi| self.facts.hosts_of_mac(svi, mac));
        let mut neighbors: Vec<IpAddr> = local.chain(self.routes.hosts_of_mac(vni, mac)).collect();
        neighbors.sort_unstable();
        neighbors.dedup();
        neighbors.retain(|ip| self.hosts.get(&(vni, *ip)).is_some_and(|owner| owner.mac == mac));
        MacView {
            mac,
            place: self.place_view(location),
            sticky,
            local_sequence,
            remote_sequence: best_claim().map_or(0, |claim| claim.sequence()),
            neighbors,
        }
    }

    fn place_view(&self, location: Location) -> PlaceView {
        match location {
            Location::Local { port, .. } => PlaceView::Local(self.device(port)),
            Location::Remote { vtep, .. } => PlaceView::Remote(vtep),
        }
    }

    fn device(&self, index: Ifindex) -> Device {
        Device { index, name: self.facts.name(index) }
    }
}
