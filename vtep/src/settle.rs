//! From facts to what follows: which domains there are, where each MAC is, which MAC each address has. One function per
//! key, used for a single change and for a full pass alike.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bgp::types::{MacAddr, RouteDistinguisher};
use platform::kernel::{Key, Vni};

use crate::domain::{self, Domain};
use crate::facts::StationKind;
use crate::gateway::{Gateway, Served};
use crate::merge::{self, Claim, IpOwner, LocalMac, Location};
use crate::objects;

impl Gateway {
    /// Works out what follows from the facts that came since the last time.
    pub(crate) fn settle(&mut self) {
        let mut appeared = BTreeSet::new();
        while let Some(vni) = self.pending.domains.pop_first() {
            if self.settle_domain(vni) {
                appeared.insert(vni);
            }
        }
        for ((bridge, vlan, mac), learned) in std::mem::take(&mut self.pending.stations) {
            if let Some(&vni) = self.by_bridge.get(&(bridge, vlan)) {
                // Whether the MAC was there before the domain was, no one knows.
                self.settle_mac(vni, mac, learned && !appeared.contains(&vni));
            }
        }
        for (ifindex, ip) in std::mem::take(&mut self.pending.hosts) {
            if let Some(&vni) = self.by_svi.get(&ifindex) {
                self.settle_host(vni, ip);
            }
        }
    }

    /// Whether there is a domain for a VNI, and which. Returns whether it came into service.
    fn settle_domain(&mut self, vni: Vni) -> bool {
        let found = domain::find(&self.facts, vni, self.config.advertise_all_vni);
        let before = self.domains.get(&vni).copied();
        if found == before.map(|served| served.domain) {
            return false;
        }
        let after = self.register(vni, found);
        let (was, is) = (before.filter(Served::is_in_service), after.filter(Served::is_in_service));
        if let Some(was) = was {
            self.mark_difference(&was, is.as_ref());
        }
        let Some(is) = is else {
            self.forget(vni);
            return false;
        };
        self.settle_all_of(&is.domain);
        self.mark_difference(&is, was.as_ref());
        was.is_none()
    }

    /// Works out everything of a domain in service.
    pub(crate) fn settle_all_of(&mut self, domain: &Domain) {
        let vni = domain.vni;
        let known = self.macs_of(vni).map(|(mac, _)| mac);
        let local = self.facts.stations_of(domain.bridge, domain.vlan);
        let macs: BTreeSet<MacAddr> = known.chain(local).chain(self.routes.macs_of(vni)).collect();
        for mac in macs {
            self.settle_mac(vni, mac, false);
        }
        let known = self.hosts_of(vni).map(|(ip, _)| ip);
        let local = domain.svi.into_iter().flat_map(|svi| self.facts.hosts_of(svi));
        let hosts: BTreeSet<IpAddr> = known.chain(local).chain(self.routes.hosts_of(vni)).collect();
        for ip in hosts {
            self.settle_host(vni, ip);
        }
    }

    /// Where a MAC is. `learned`: the bridge saw it at its place just now.
    pub(crate) fn settle_mac(&mut self, vni: Vni, mac: MacAddr, learned: bool) {
        let Some(served) = self.domains.get(&vni).copied() else { return };
        let Some(own_vtep) = served.domain.vtep() else { return };
        let before = self.macs.get(&(vni, mac)).copied();
        let after = self.locate(&served.domain, own_vtep, mac, before, learned);
        if before == after {
            return;
        }
        match after {
            Some(location) => self.macs.insert((vni, mac), location),
            None => self.macs.remove(&(vni, mac)),
        };
        if remote_vtep(before) != remote_vtep(after) {
            self.dirty_entries.extend(objects::mac_keys(&served.domain, mac));
        }
        let claim = |location| local_claim(location, own_vtep);
        if claim(before) != claim(after) {
            self.dirty_routes.insert(served.mac_key(mac, None));
        }
        if claim(before) != claim(after)
            || remote_vtep(before).is_some() != remote_vtep(after).is_some()
        {
            let local =
                served.domain.svi.into_iter().flat_map(|svi| self.facts.hosts_of_mac(svi, mac));
            let hosts: BTreeSet<IpAddr> = local.chain(self.routes.hosts_of_mac(vni, mac)).collect();
            for ip in hosts {
                self.settle_host(vni, ip);
            }
        }
    }

    /// Which MAC an address has.
    pub(crate) fn settle_host(&mut self, vni: Vni, ip: IpAddr) {
        let Some(served) = self.domains.get(&vni).copied() else { return };
        let Some(own_vtep) = served.domain.vtep() else { return };
        let before = self.hosts.get(&(vni, ip)).copied();
        let after = self.owner(&served.domain, own_vtep, ip);
        if before == after {
            return;
        }
        match after {
            Some(owner) => self.hosts.insert((vni, ip), owner),
            None => self.hosts.remove(&(vni, ip)),
        };
        let installed = |owner: Option<IpOwner>| {
            owner.filter(|owner| !owner.is_local).map(|owner| (owner.mac, owner.router))
        };
        if installed(before) != installed(after) {
            self.dirty_entries.extend(objects::neighbor_key(&served.domain, ip));
        }
        for owner in before.into_iter().chain(after).filter(|owner| owner.is_local) {
            self.dirty_routes.insert(served.mac_key(owner.mac, Some(ip)));
        }
    }

    fn locate(
        &self,
        domain: &Domain,
        own_vtep: IpAddr,
        mac: MacAddr,
        before: Option<Location>,
        learned: bool,
    ) -> Option<Location> {
        let station = self.facts.station((domain.bridge, domain.vlan, mac));
        // The machine's own MAC, which may be a gateway MAC that others have too, is neither ours to advertise nor
        // anyone else's to take.
        if station.is_some_and(|station| station.kind == StationKind::Own) {
            return None;
        }
        let local = station.map(|station| LocalMac {
            port: station.port,
            sticky: station.kind == StationKind::Static,
            learned,
        });
        let mut remote = self.routes.claims(domain.vni, mac);
        let remote = remote.find(|claim| can_reach(own_vtep, claim.vtep()));
        merge::locate(before, local, remote, own_vtep)
    }

    /// An address belongs to its MAC: a local claim counts while its MAC is local, a remote one while its MAC is remote.
    fn owner(&self, domain: &Domain, own_vtep: IpAddr, ip: IpAddr) -> Option<IpOwner> {
        let svi = domain.svi?;
        if self.facts.has_address(svi, ip) {
            return None;
        }
        let location = |mac| self.macs.get(&(domain.vni, mac)).copied();
        let local = self.facts.host(svi, ip).and_then(|host| {
            let claim = local_claim(location(host.mac), own_vtep)?;
            Some(IpOwner { mac: host.mac, router: host.router, claim, is_local: true })
        });
        let mut claims = self.routes.host_claims(domain.vni, ip);
        let usable = claims.find(|host| {
            can_reach(own_vtep, host.claim.vtep()) && remote_vtep(location(host.mac)).is_some()
        });
        let remote = usable.map(|host| IpOwner {
            mac: host.mac,
            router: host.router,
            claim: host.claim,
            is_local: false,
        });
        merge::own_address(local, remote)
    }

    /// Writes a domain down under its devices, and gives it a route distinguisher for as long as it exists.
    fn register(&mut self, vni: Vni, domain: Option<Domain>) -> Option<Served> {
        let before = self.domains.remove(&vni);
        if let Some(Served { domain, .. }) = before {
            release(&mut self.by_bridge, (domain.bridge, domain.vlan), vni);
            release(&mut self.by_port, (domain.vxlan, domain.vlan), vni);
            release(&mut self.by_vxlan, (domain.vxlan, domain.entry_vni()), vni);
            if let Some(svi) = domain.svi {
                release(&mut self.by_svi, svi, vni);
            }
        }
        let Some(domain) = domain else {
            self.distinguishers.give_back(vni);
            return None;
        };
        let index = self.distinguishers.take(vni)?;
        let rd = RouteDistinguisher::from_ipv4(self.config.router_id.0, index);
        let served = Served { domain, rd };
        self.domains.insert(vni, served);
        self.by_bridge.insert((domain.bridge, domain.vlan), vni);
        self.by_port.insert((domain.vxlan, domain.vlan), vni);
        self.by_vxlan.insert((domain.vxlan, domain.entry_vni()), vni);
        domain.svi.map(|svi| self.by_svi.insert(svi, vni));
        Some(served)
    }

    /// Drops what followed for a domain that is out of service. The facts stay.
    fn forget(&mut self, vni: Vni) {
        for mac in self.macs_of(vni).map(|(mac, _)| mac).collect::<Vec<_>>() {
            self.macs.remove(&(vni, mac));
        }
        for ip in self.hosts_of(vni).map(|(ip, _)| ip).collect::<Vec<_>>() {
            self.hosts.remove(&(vni, ip));
        }
    }

    /// Marks what a domain says and `other`, the same one before or after, says not or otherwise.
    fn mark_difference(&mut self, one: &Served, other: Option<&Served>) {
        let entries = self.different_entries(one, other);
        self.dirty_entries.extend(entries);
        if differ(one, other, |served| (served.rd, served.domain.vtep())) {
            let keys: Vec<_> = self.route_keys(one).collect();
            self.dirty_routes.extend(keys);
        }
    }

    fn different_entries(&self, one: &Served, other: Option<&Served>) -> Vec<Key> {
        let mut keys = Vec::new();
        let Served { domain, .. } = one;
        if differ(one, other, Served::place) {
            let is_remote = |location| remote_vtep(Some(location)).is_some();
            let remote = self.macs_of(domain.vni).filter(|(_, location)| is_remote(*location));
            keys.extend(remote.flat_map(|(mac, _)| objects::mac_keys(domain, mac)));
        }
        if differ(one, other, |served| (served.place(), served.domain.vtep())) {
            let vteps = self.routes.floods(domain.vni);
            keys.extend(vteps.map(|vtep| objects::flood_key(domain, vtep)));
        }
        if differ(one, other, |served| served.domain.svi) {
            let remote = self.hosts_of(domain.vni).filter(|(_, owner)| !owner.is_local);
            keys.extend(remote.filter_map(|(ip, _)| objects::neighbor_key(domain, ip)));
        }
        keys
    }

    pub(crate) fn mark_flood(&mut self, vni: Vni, vtep: IpAddr) {
        if let Some(served) = self.domains.get(&vni).filter(|served| served.is_in_service()) {
            self.dirty_entries.insert(objects::flood_key(&served.domain, vtep));
        }
    }
}

/// Whether a VTEP can send to another one: not to itself, nor to one of the other address family.
pub(crate) fn can_reach(own: IpAddr, other: IpAddr) -> bool {
    own != other && own.is_ipv4() == other.is_ipv4()
}

pub(crate) fn remote_vtep(location: Option<Location>) -> Option<IpAddr> {
    match location {
        Some(Location::Remote { vtep, .. }) => Some(vtep),
        Some(Location::Local { .. }) | None => None,
    }
}

fn local_claim(location: Option<Location>, own_vtep: IpAddr) -> Option<Claim> {
    match location {
        Some(Location::Local { sticky, sequence, .. }) => {
            Some(Claim::new(sticky, sequence, own_vtep))
        }
        Some(Location::Remote { .. }) | None => None,
    }
}

fn differ<T: PartialEq>(
    one: &Served,
    other: Option<&Served>,
    shape: impl Fn(&Served) -> T,
) -> bool {
    other.map(&shape) != Some(shape(one))
}

/// Takes a device from a VNI, unless it belongs to another one by now.
fn release<K: Ord>(owners: &mut BTreeMap<K, Vni>, device: K, vni: Vni) {
    if owners.get(&device) == Some(&vni) {
        owners.remove(&device);
    }
}
