//! What the kernel says, kept as this crate needs to look it up. Holds facts, decides nothing, keeps no history:
//! the same facts in any order give the same content.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bgp::types::MacAddr;
use ipnet::IpNet;
use platform::kernel::{FdbEntry, FdbState, FdbTable, Ifindex, Key, Link, Neighbor, Object, Vni};

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
    vxlans_by_vni: BTreeSet<(Vni, Ifindex)>,
    vxlans_by_bridge: BTreeSet<(Ifindex, Ifindex)>,
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

    /// The VXLAN devices of a VNI, in a bridge or not, in the order of their numbers.
    pub(crate) fn vxlans_of_vni(&self, vni: Vni) -> impl Iterator<Item = &Link> {
        self.vxlans_by_vni
            .range((vni, 0)..=(vni, Ifindex::MAX))
            .filter_map(|(_, index)| self.links.get(index))
    }

    /// The VXLAN devices with a VNI in a bridge, in the order of their numbers.
    pub(crate) fn vxlans_of_bridge(&self, bridge: Ifindex) -> impl Iterator<Item = &Link> {
        self.vxlans_by_bridge
            .range((bridge, 0)..=(bridge, Ifindex::MAX))
            .filter_map(|(_, index)| self.links.get(index))
    }

    /// All VNIs that some VXLAN device has.
    pub(crate) fn vnis(&self) -> BTreeSet<Vni> {
        self.vxlans_by_vni.iter().map(|(vni, _)| *vni).collect()
    }

    /// Where a bridge has a MAC, unless it is behind a VXLAN device.
    pub(crate) fn station(&self, place: Place) -> Option<Station> {
        let is_vxlan = |port| self.links.get(&port).is_some_and(|link| link.vxlan().is_some());
        let (bridge, _, mac) = place;
        if self.links.get(&bridge).is_some_and(|link| link.mac == Some(mac)) {
            return Some(Station { port: bridge, kind: StationKind::Own });
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
        for link in before.iter().chain(link) {
            self.touch_domains(link, &mut touched);
        }
        if let Some((vni, bridge)) = before.as_ref().map(vni_and_master) {
            vni.map(|vni| self.vxlans_by_vni.remove(&(vni, index)));
            bridge.map(|bridge| self.vxlans_by_bridge.remove(&(bridge, index)));
        }
        if let Some((vni, bridge)) = link.map(vni_and_master) {
            vni.map(|vni| self.vxlans_by_vni.insert((vni, index)));
            vni.and(bridge).map(|bridge| self.vxlans_by_bridge.insert((bridge, index)));
        }
        let is_vxlan = |link: &Link| link.vxlan().is_some();
        if before.as_ref().is_some_and(is_vxlan) != link.is_some_and(is_vxlan) {
            touched.extend(self.stations_at(index));
        }
        match link {
            Some(link) => self.links.insert(index, link.clone()),
            None => self.links.remove(&index),
        };
        self.touch_own_mac(index, before.as_ref().and_then(|link| link.mac), &mut touched);
        self.touch_own_mac(index, link.and_then(|link| link.mac), &mut touched);
        touched
    }

    /// The VNIs whose domain may depend on a link: those in its bridge, or in it as a bridge, and its own.
    fn touch_domains(&self, link: &Link, touched: &mut Vec<Touched>) {
        let (vni, master) = vni_and_master(link);
        let is_vxlan = link.vxlan().is_some();
        let bridges =
            link.bridge().map(|_| link.index).into_iter().chain(master.filter(|_| is_vxlan));
        for other in bridges.flat_map(|bridge| self.vxlans_of_bridge(bridge)) {
            touched.extend(vni_and_master(other).0.map(Touched::Vni));
        }
        touched.extend(vni.map(Touched::Vni));
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

    fn touch_own_mac(&self, bridge: Ifindex, mac: Option<MacAddr>, touched: &mut Vec<Touched>) {
        let is_bridge_of_a_domain = self.vxlans_of_bridge(bridge).next().is_some();
        let place = mac.filter(|_| is_bridge_of_a_domain).map(|mac| (bridge, None, mac));
        touched.extend(place.map(|place| Touched::Station { place, learned: false }));
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

/// The VNI and the master of a VXLAN device; only the master of another link.
fn vni_and_master(link: &Link) -> (Option<Vni>, Option<Ifindex>) {
    (link.vxlan().and_then(|vxlan| vxlan.vni), link.master)
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
