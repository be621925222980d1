//! What follows, as kernel entries.
//!
//! A remote MAC is two entries: in the bridge, behind the VXLAN device, and in the VXLAN device, behind the VTEP. The
//! bridge's is dynamic, for a static MAC too: the kernel ignores the state of an entry with our mark there, and would
//! report another one than was asked for. Nothing ages it, and a frame from a local port moves it there, which is how we
//! learn that a MAC has come to us.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp::types::MacAddr;
use platform::kernel::{FdbEntry, FdbTable, Key, Neighbor, Object, Vni};

use crate::domain::Domain;
use crate::gateway::{Gateway, Served};
use crate::merge::{IpOwner, Location};
use crate::settle::{can_reach, remote_vtep};

impl Gateway {
    /// The kernel entry that should exist under a key, if one should.
    pub fn desired_entry(&self, key: &Key) -> Option<Object> {
        let object = match *key {
            Key::Fdb { ifindex, mac, vni, destination: Some(vtep), .. } if mac.is_zero() => {
                let domain = self.in_service(*self.by_vxlan.get(&(ifindex, vni))?)?.domain;
                let wanted =
                    can_reach(domain.vtep()?, vtep) && self.routes.wants_flood(domain.vni, vtep);
                wanted.then(|| Object::Fdb(flood(&domain, vtep)))?
            }
            Key::Fdb { ifindex, mac, vlan, table: FdbTable::Bridge, .. } => {
                let domain = self.in_service(*self.by_port.get(&(ifindex, vlan))?)?.domain;
                remote_vtep(self.macs.get(&(domain.vni, mac)).copied())?;
                Object::Fdb(in_bridge(&domain, mac))
            }
            Key::Fdb { ifindex, mac, vni, table: FdbTable::Vxlan, .. } => {
                let domain = self.in_service(*self.by_vxlan.get(&(ifindex, vni))?)?.domain;
                let vtep = remote_vtep(self.macs.get(&(domain.vni, mac)).copied())?;
                Object::Fdb(in_vxlan(&domain, mac, vtep))
            }
            Key::Neighbor { ifindex, address } => {
                let domain = self.in_service(*self.by_svi.get(&ifindex)?)?.domain;
                let owner =
                    self.hosts.get(&(domain.vni, address)).filter(|owner| !owner.is_local)?;
                let neighbor = Neighbor::remote(ifindex, address, owner.mac);
                Object::Neighbor(Neighbor { router: owner.router, ..neighbor })
            }
            _ => return None,
        };
        (object.key() == *key).then_some(object)
    }

    /// All kernel entries that should exist, as of the last poll: for a full comparison with the kernel.
    pub fn desired_entries(&self) -> BTreeMap<Key, Object> {
        let keys =
            self.domains.values().filter(|served| served.is_in_service()).flat_map(|served| {
                let domain = &served.domain;
                let macs = self.macs_of(domain.vni).flat_map(|(mac, _)| mac_keys(domain, mac));
                let floods = self.routes.floods(domain.vni).map(|vtep| flood_key(domain, vtep));
                let hosts =
                    self.hosts_of(domain.vni).filter_map(|(ip, _)| neighbor_key(domain, ip));
                macs.chain(floods).chain(hosts)
            });
        keys.filter_map(|key| Some((key, self.desired_entry(&key)?))).collect()
    }

    pub(crate) fn in_service(&self, vni: Vni) -> Option<&Served> {
        self.domains.get(&vni).filter(|served| served.is_in_service())
    }

    pub(crate) fn macs_of(&self, vni: Vni) -> impl Iterator<Item = (MacAddr, Location)> {
        let all = (vni, MacAddr::zero())..=(vni, MacAddr::broadcast());
        self.macs.range(all).map(|((_, mac), location)| (*mac, *location))
    }

    pub(crate) fn hosts_of(&self, vni: Vni) -> impl Iterator<Item = (IpAddr, IpOwner)> {
        let first = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let last = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));
        self.hosts.range((vni, first)..=(vni, last)).map(|((_, ip), owner)| (*ip, *owner))
    }
}

impl Served {
    pub(crate) fn is_in_service(&self) -> bool {
        self.domain.vtep().is_some()
    }
}

/// The two entries of a remote MAC.
pub(crate) fn mac_keys(domain: &Domain, mac: MacAddr) -> [Key; 2] {
    // The destination of a station's MAC is not part of its key.
    let anywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    [in_bridge(domain, mac).key(), in_vxlan(domain, mac, anywhere).key()]
}

/// The entry of a VTEP in the flood list.
pub(crate) fn flood_key(domain: &Domain, vtep: IpAddr) -> Key {
    flood(domain, vtep).key()
}

/// The entry of a host in the neighbour table of the machine's own device in the domain.
pub(crate) fn neighbor_key(domain: &Domain, address: IpAddr) -> Option<Key> {
    domain.svi.map(|ifindex| Key::Neighbor { ifindex, address })
}

fn in_bridge(domain: &Domain, mac: MacAddr) -> FdbEntry {
    FdbEntry { vlan: domain.vlan, ..FdbEntry::remote_in_bridge(domain.vxlan, mac) }
}

fn in_vxlan(domain: &Domain, mac: MacAddr, vtep: IpAddr) -> FdbEntry {
    let vni = domain.entry_vni();
    FdbEntry { vni, ..FdbEntry::remote_in_vxlan(domain.vxlan, mac, vtep) }
}

fn flood(domain: &Domain, vtep: IpAddr) -> FdbEntry {
    FdbEntry { vni: domain.entry_vni(), ..FdbEntry::flood(domain.vxlan, vtep) }
}
