//! What the kernel says, kept as this crate needs to look it up. Holds facts, decides nothing, keeps no history:
//! the same facts in any order give the same content.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bgp::types::MacAddr;
use ipnet::IpNet;
use platform::kernel::{
    BridgeVlan, FdbEntry, FdbState, FdbTable, Ifindex, Key, Link, LinkKind, Neighbor, Object, Vni,
};

/// A MAC in the table of a bridge: bridge, VLAN, MAC. A bridge has each at one port only.
pub(crate) type Place = (Ifindex, Option<u16>, MacAddr);

/// Where a bridge says that a MAC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Station {
    pub(crate) port: Ifindex,
    pub(crate) kind: StationKind,
}

/// Why a bridge has a MAC at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StationKind {
    /// The machine itself: of the bridge, of a port, or of a virtual gateway.
    Own,
    /// Seen in a packet, by the kernel or by the switch hardware.
    Learned,
    /// The operator says so.
    Static,
}

/// An entry of the ARP or neighbour discovery table that can be believed and is not of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) mac: MacAddr,
    pub(crate) router: bool,
}

/// That a VXLAN device carries a broadcast domain of its bridge as a VNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mapping {
    pub(crate) bridge: Ifindex,
    /// The VLAN; `None` where the bridge does not filter VLANs and is one domain.
    pub(crate) vlan: Option<u16>,
    pub(crate) vxlan: Ifindex,
    pub(crate) vni: Vni,
}

/// What an object that changed can make different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touched {
    /// Whether there is a domain for this VNI, or what it is.
    Vni(Vni),
    /// Where a MAC is. `learned`: the bridge just saw it at a place where it was not before.
    Station { place: Place, learned: bool },
    /// Which MAC an address has on a link.
    Host(Ifindex, IpAddr),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    links: BTreeMap<Ifindex, Link>,
    vlans: BTreeMap<(Ifindex, u16), BridgeVlan>,
    vxlans_by_bridge: BTreeSet<(Ifindex, Ifindex)>,
    /// The VLAN devices on top of bridges: bridge, VLAN, device.
    svis: BTreeSet<(Ifindex, u16, Ifindex)>,
    mappings: BTreeSet<Mapping>,
    mappings_by_vni: BTreeSet<(Vni, Ifindex, Mapping)>,
    mappings_by_vxlan: BTreeMap<Ifindex, Vec<Mapping>>,
    stations: BTreeMap<Place, Station>,
    /// The bridge in which the station of a port is: port, VLAN, MAC.
    bridges: BTreeMap<Place, Ifindex>,
    hosts: BTreeMap<(Ifindex, IpAddr), Host>,
    hosts_by_mac: BTreeSet<(Ifindex, MacAddr, IpAddr)>,
    addresses: BTreeSet<(IpAddr, Ifindex, IpNet)>,
}

impl Facts {
    /// Takes in the object that the kernel has for a key now.
    pub(crate) fn handle_object(&mut self, key: &Key, object: Option<&Object>) -> Vec<Touched> {
        match (*key, object) {
            (Key::Link(index), Some(Object::Link(link))) => self.set_link(index, Some(link)),
            (Key::Link(index), _) => self.set_link(index, None),
            (Key::BridgeVlan { ifindex, vlan }, Some(Object::BridgeVlan(entry))) => {
                self.set_vlan(ifindex, vlan, Some(*entry))
            }
            (Key::BridgeVlan { ifindex, vlan }, _) => self.set_vlan(ifindex, vlan, None),
            (
                Key::Fdb { table: FdbTable::Bridge, ifindex, mac, vlan, .. },
                Some(Object::Fdb(entry)),
            ) => self.set_station((ifindex, vlan, mac), entry),
            (Key::Fdb { table: FdbTable::Bridge, ifindex, mac, vlan, .. }, _) => {
                self.remove_station((ifindex, vlan, mac)).into_iter().collect()
            }
            (Key::Neighbor { ifindex, address }, Some(Object::Neighbor(neighbor))) => {
                self.set_host(ifindex, address, host(neighbor)).into_iter().collect()
            }
            (Key::Neighbor { ifindex, address }, _) => {
                self.set_host(ifindex, address, None).into_iter().collect()
            }
            (Key::Address { ifindex, prefix }, object) => {
                let entry = (prefix.addr(), ifindex, prefix);
                let changed = match object {
                    Some(_) => self.addresses.insert(entry),
                    None => self.addresses.remove(&entry),
                };
                changed.then_some(Touched::Host(ifindex, prefix.addr())).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn link(&self, index: Ifindex) -> Option<&Link> {
        self.links.get(&index)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// A link's name for people.
    pub(crate) fn name(&self, index: Ifindex) -> String {
        self.links.get(&index).map_or_else(|| format!("if{index}"), |link| link.name.clone())
    }

    /// Where a VNI is carried, in the order of the devices' numbers.
    pub(crate) fn mappings_of_vni(&self, vni: Vni) -> impl Iterator<Item = Mapping> {
        self.mappings_by_vni
            .range((vni, 0, Mapping::FIRST)..)
            .take_while(move |(of, ..)| *of == vni)
            .map(|(.., mapping)| *mapping)
    }

    /// What carries a broadcast domain of a bridge, in the order of the devices' numbers.
    pub(crate) fn mappings_of_domain(
        &self,
        bridge: Ifindex,
        vlan: Option<u16>,
    ) -> impl Iterator<Item = Mapping> {
        self.mappings
            .range(Mapping { bridge, vlan, ..Mapping::FIRST }..)
            .take_while(move |mapping| (mapping.bridge, mapping.vlan) == (bridge, vlan))
            .copied()
    }

    /// What a VXLAN device carries of its bridge.
    pub(crate) fn mappings_of(&self, vxlan: Ifindex) -> &[Mapping] {
        self.mappings_by_vxlan.get(&vxlan).map_or(&[], Vec::as_slice)
    }

    /// All VNIs that some VXLAN device carries.
    pub(crate) fn vnis(&self) -> BTreeSet<Vni> {
        self.mappings_by_vni.iter().map(|(vni, ..)| *vni).collect()
    }

    /// The device with which the machine itself takes part in a domain: the bridge where it is one domain, else a VLAN
    /// device on top of it, or the bridge itself where its untagged packets are of that VLAN.
    pub(crate) fn svi(&self, bridge: Ifindex, vlan: Option<u16>) -> Option<Ifindex> {
        let Some(vlan) = vlan else { return Some(bridge) };
        let mut on_top = self.svis.range((bridge, vlan, 0)..=(bridge, vlan, Ifindex::MAX));
        let is_untagged = || self.vlans.get(&(bridge, vlan)).is_some_and(|vlan| vlan.pvid);
        on_top.next().map(|(.., svi)| *svi).or_else(|| is_untagged().then_some(bridge))
    }

    /// Where a bridge has a MAC, unless it is behind a VXLAN device.
    pub(crate) fn station(&self, place: Place) -> Option<Station> {
        let is_vxlan = |port| self.links.get(&port).is_some_and(|link| link.vxlan().is_some());
        let (bridge, vlan, mac) = place;
        let mut own = std::iter::once(bridge).chain(self.svi(bridge, vlan));
        if let Some(port) =
            own.find(|own| self.link(*own).is_some_and(|link| link.mac == Some(mac)))
        {
            return Some(Station { port, kind: StationKind::Own });
        }
        self.stations
            .get(&place)
            .copied()
            .filter(|station| station.kind == StationKind::Own || !is_vxlan(station.port))
    }

    /// The MACs that a bridge has somewhere.
    pub(crate) fn stations_of(
        &self,
        bridge: Ifindex,
        vlan: Option<u16>,
    ) -> impl Iterator<Item = MacAddr> {
        let broadcast = MacAddr::broadcast();
        self.stations
            .range((bridge, vlan, MacAddr::zero())..=(bridge, vlan, broadcast))
            .map(|((.., mac), _)| *mac)
    }

    /// Which MAC an address has on a link.
    pub(crate) fn host(&self, ifindex: Ifindex, address: IpAddr) -> Option<Host> {
        self.hosts.get(&(ifindex, address)).copied()
    }

    /// Whether a link has the address itself.
    pub(crate) fn has_address(&self, ifindex: Ifindex, address: IpAddr) -> bool {
        let mut from = self.addresses.range((address, ifindex, lowest(address))..);
        from.next().is_some_and(|(ip, on, _)| (*ip, *on) == (address, ifindex))
    }

    /// The addresses of which a link knows the MAC.
    pub(crate) fn hosts_of(&self, ifindex: Ifindex) -> impl Iterator<Item = IpAddr> {
        let first = (ifindex, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        self.hosts
            .range(first..)
            .take_while(move |((on, _), _)| *on == ifindex)
            .map(|((_, ip), _)| *ip)
    }

    /// The addresses that a MAC has on a link.
    pub(crate) fn hosts_of_mac(
        &self,
        ifindex: Ifindex,
        mac: MacAddr,
    ) -> impl Iterator<Item = IpAddr> {
        let first = (ifindex, mac, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        self.hosts_by_mac
            .range(first..)
            .take_while(move |(on, of, _)| (*on, *of) == (ifindex, mac))
            .map(|(.., ip)| *ip)
    }

    /// Whether some link of this machine has the address.
    pub(crate) fn is_own_address(&self, address: IpAddr) -> bool {
        let mut from = self.addresses.range((address, 0, lowest(address))..);
        from.next().is_some_and(|(ip, ..)| *ip == address)
    }

    fn set_link(&mut self, index: Ifindex, link: Option<&Link>) -> Vec<Touched> {
        let before = self.links.get(&index).cloned();
        if before.as_ref() == link {
            return Vec::new();
        }
        let mut touched = Vec::new();
        for link in before.iter() {
            self.touch_domains(link, &mut touched);
            if let Some(bridge) = vxlan_bridge(link) {
                self.vxlans_by_bridge.remove(&(bridge, index));
            }
            if let Some((bridge, vlan)) = svi_place(link) {
                self.svis.remove(&(bridge, vlan, index));
            }
        }
        let is_vxlan = |link: &Link| link.vxlan().is_some();
        if before.as_ref().is_some_and(is_vxlan) != link.is_some_and(is_vxlan) {
            touched.extend(self.stations_at(index));
        }
        match link {
            Some(link) => self.links.insert(index, link.clone()),
            None => self.links.remove(&index),
        };
        if let Some(bridge) = link.and_then(vxlan_bridge) {
            self.vxlans_by_bridge.insert((bridge, index));
        }
        if let Some((bridge, vlan)) = link.and_then(svi_place) {
            self.svis.insert((bridge, vlan, index));
        }
        let below = self.vxlans_by_bridge.range((index, 0)..=(index, Ifindex::MAX));
        for vxlan in below.map(|(_, vxlan)| *vxlan).chain([index]).collect::<Vec<_>>() {
            self.map(vxlan, &mut touched);
        }
        if let Some(link) = link {
            self.touch_domains(link, &mut touched);
        }
        for link in before.iter().chain(link) {
            self.touch_own_mac(link, &mut touched);
        }
        touched
    }

    fn set_vlan(&mut self, ifindex: Ifindex, vlan: u16, entry: Option<BridgeVlan>) -> Vec<Touched> {
        let before = match entry {
            Some(entry) => self.vlans.insert((ifindex, vlan), entry),
            None => self.vlans.remove(&(ifindex, vlan)),
        };
        let mut touched = Vec::new();
        if before != entry {
            self.map(ifindex, &mut touched);
            self.touch_domain(ifindex, Some(vlan), &mut touched);
        }
        touched
    }

    /// Works out anew what a link carries, if it is a VXLAN device.
    fn map(&mut self, vxlan: Ifindex, touched: &mut Vec<Touched>) {
        let after = self.links.get(&vxlan).map(|link| self.carried(link)).unwrap_or_default();
        let before = match after.is_empty() {
            true => self.mappings_by_vxlan.remove(&vxlan),
            false => self.mappings_by_vxlan.insert(vxlan, after.clone()),
        };
        let before = before.unwrap_or_default();
        for gone in before.iter().filter(|mapping| !after.contains(mapping)) {
            self.mappings.remove(gone);
            self.mappings_by_vni.remove(&(gone.vni, vxlan, *gone));
            touched.push(Touched::Vni(gone.vni));
            self.touch_domain(gone.bridge, gone.vlan, touched);
        }
        for new in after.iter().filter(|mapping| !before.contains(mapping)) {
            self.mappings.insert(*new);
            self.mappings_by_vni.insert((new.vni, vxlan, *new));
            self.touch_domain(new.bridge, new.vlan, touched);
        }
    }

    /// What a VXLAN device carries: the whole of a bridge without VLANs; in a bridge with VLANs, that of the untagged
    /// packets at its port, or, of a device for many VNIs, each VLAN that the port maps to one. In the order of the VLANs.
    fn carried(&self, device: &Link) -> Vec<Mapping> {
        let (Some(vxlan), Some(bridge)) =
            (device.vxlan(), device.master.and_then(|master| self.links.get(&master)))
        else {
            return Vec::new();
        };
        let Some(kind) = bridge.bridge() else { return Vec::new() };
        let mapping = |vlan, vni| Mapping { bridge: bridge.index, vlan, vxlan: device.index, vni };
        let vlans = self.vlans.range((device.index, 0)..=(device.index, u16::MAX));
        let mut vlans = vlans.map(|(_, vlan)| vlan);
        match vxlan.vni {
            Some(vni) if !kind.vlan_filtering => vec![mapping(None, vni)],
            Some(vni) => {
                let untagged = vlans.find(|vlan| vlan.pvid);
                untagged.map(|vlan| mapping(Some(vlan.vlan), vni)).into_iter().collect()
            }
            None if vxlan.external && kind.vlan_filtering => {
                vlans.filter_map(|vlan| Some(mapping(Some(vlan.vlan), vlan.tunnel?))).collect()
            }
            None => Vec::new(),
        }
    }

    /// The VNIs whose domain may depend on a link: what it carries, what is in it as a bridge, what it is the SVI of.
    fn touch_domains(&self, link: &Link, touched: &mut Vec<Touched>) {
        let carried = self.mappings_of(link.index).iter().copied();
        let in_bridge = link.bridge().into_iter().flat_map(|_| self.mappings_of_bridge(link.index));
        touched.extend(carried.chain(in_bridge).map(|mapping| Touched::Vni(mapping.vni)));
        if let Some((bridge, vlan)) = svi_place(link) {
            self.touch_domain(bridge, Some(vlan), touched);
        }
    }

    fn touch_domain(&self, bridge: Ifindex, vlan: Option<u16>, touched: &mut Vec<Touched>) {
        let carried = self.mappings_of_domain(bridge, vlan);
        touched.extend(carried.map(|mapping| Touched::Vni(mapping.vni)));
    }

    fn mappings_of_bridge(&self, bridge: Ifindex) -> impl Iterator<Item = Mapping> {
        self.mappings
            .range(Mapping { bridge, ..Mapping::FIRST }..)
            .take_while(move |mapping| mapping.bridge == bridge)
            .copied()
    }

    /// What is at a port whose kind becomes known, or no longer is: behind a VXLAN device nothing is local.
    fn stations_at(&self, port: Ifindex) -> impl Iterator<Item = Touched> {
        let first = (port, None, MacAddr::zero());
        let at_port = self.bridges.range(first..).take_while(move |((at, ..), _)| *at == port);
        at_port.map(|(&(_, vlan, mac), &bridge)| Touched::Station {
            place: (bridge, vlan, mac),
            learned: false,
        })
    }

    /// The MAC of a bridge or of an SVI is this machine's own, in each domain that it takes part in.
    fn touch_own_mac(&self, link: &Link, touched: &mut Vec<Touched>) {
        let Some(mac) = link.mac else { return };
        let as_bridge = self.mappings_of_bridge(link.index);
        let as_svi = svi_place(link).into_iter();
        let as_svi = as_svi.flat_map(|(bridge, vlan)| self.mappings_of_domain(bridge, Some(vlan)));
        touched.extend(as_bridge.chain(as_svi).map(|mapping| Touched::Station {
            place: (mapping.bridge, mapping.vlan, mac),
            learned: false,
        }));
    }

    fn set_station(&mut self, at_port: Place, entry: &FdbEntry) -> Vec<Touched> {
        let (port, vlan, mac) = at_port;
        let master = || self.links.get(&port).and_then(|link| link.master);
        let Some(bridge) = entry.master.or_else(master) else {
            return self.remove_station(at_port).into_iter().collect();
        };
        let mut touched = Vec::new();
        if self.bridges.get(&at_port).is_some_and(|before| *before != bridge) {
            touched.extend(self.remove_station(at_port));
        }
        let place = (bridge, vlan, mac);
        let before = self.stations.get(&place).copied();
        let behind_vxlan = self.links.get(&port).is_some_and(|link| link.vxlan().is_some());
        let station = station_kind(entry, behind_vxlan).map(|kind| Station { port, kind });
        if before == station {
            return touched;
        }
        if let Some(before) = before {
            self.bridges.remove(&(before.port, vlan, mac));
        }
        match station {
            Some(station) => {
                self.stations.insert(place, station);
                self.bridges.insert(at_port, bridge);
            }
            None => {
                self.stations.remove(&place);
            }
        }
        touched.push(Touched::Station { place, learned: station.is_some() });
        touched
    }

    /// Forgets a MAC at a port. Nothing is touched if the bridge has since seen the MAC at another port.
    fn remove_station(&mut self, at_port: Place) -> Option<Touched> {
        let (_, vlan, mac) = at_port;
        let place = (self.bridges.remove(&at_port)?, vlan, mac);
        self.stations.remove(&place);
        Some(Touched::Station { place, learned: false })
    }

    fn set_host(
        &mut self,
        ifindex: Ifindex,
        address: IpAddr,
        host: Option<Host>,
    ) -> Option<Touched> {
        let before = match host {
            Some(host) => self.hosts.insert((ifindex, address), host),
            None => self.hosts.remove(&(ifindex, address)),
        };
        if before == host {
            return None;
        }
        if let Some(before) = before {
            self.hosts_by_mac.remove(&(ifindex, before.mac, address));
        }
        if let Some(host) = host {
            self.hosts_by_mac.insert((ifindex, host.mac, address));
        }
        Some(Touched::Host(ifindex, address))
    }
}

impl Mapping {
    /// Sorts before every other one.
    const FIRST: Self = Self { bridge: 0, vlan: None, vxlan: 0, vni: Vni::MIN };
}

/// The bridge that a VXLAN device is in.
fn vxlan_bridge(link: &Link) -> Option<Ifindex> {
    link.master.filter(|_| link.vxlan().is_some())
}

/// The bridge and VLAN of which a link is the SVI, if what is below it is a bridge.
fn svi_place(link: &Link) -> Option<(Ifindex, u16)> {
    match link.kind {
        LinkKind::Vlan { id, .. } => Some((link.lower?, id)),
        _ => None,
    }
}

/// What an entry of a bridge's table says of a MAC, if anything that concerns us.
///
/// `NTF_EXT_LEARNED` behind a VXLAN device is a control plane's, perhaps ours, and says nothing of a local MAC. On any other
/// port it is how a switch's hardware hands the MACs that it learned to the bridge; the offload flag follows in silence, so
/// that nothing depends on it here.
fn station_kind(entry: &FdbEntry, behind_vxlan: bool) -> Option<StationKind> {
    if entry.mac.is_multicast() || entry.mac.is_zero() {
        return None;
    }
    match entry.state {
        FdbState::Permanent => Some(StationKind::Own),
        _ if entry.extern_learn && behind_vxlan => None,
        FdbState::Static => Some(StationKind::Static),
        FdbState::Dynamic if entry.sticky => Some(StationKind::Static),
        FdbState::Dynamic => Some(StationKind::Learned),
    }
}

fn host(neighbor: &Neighbor) -> Option<Host> {
    let believable = neighbor.state.is_valid() && !neighbor.extern_learn;
    let names_a_host = !neighbor.address.is_multicast() && !neighbor.address.is_unspecified();
    let mac = neighbor.mac.filter(|mac| believable && names_a_host && !mac.is_zero())?;
    Some(Host { mac, router: neighbor.router })
}

/// What sorts before every prefix of an address.
fn lowest(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(_) => IpNet::from(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
        IpAddr::V6(_) => IpNet::from(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)),
    }
}
