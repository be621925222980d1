//! What follows, as EVPN routes of ours (RFC 7432, RFC 8365): type 3 for each domain, type 2 for each local MAC and for
//! each IP address of one. Link-local IPv6 addresses are advertised like any other, as FRR does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bgp::types::{MacAddr, RouteTarget};
use bgp::wire::{
    AttributeSet, EvpnKey, EvpnPayload, ExtCommunity, NeighborFlags, NextHop, PmsiTunnel,
};

use crate::domain::Domain;
use crate::gateway::{Gateway, Served};
use crate::merge::{Claim, Location};

impl Gateway {
    /// The route that we should originate under a key, if we should.
    pub fn desired_route(&self, key: &EvpnKey) -> Option<(EvpnPayload, AttributeSet)> {
        let vni = self.distinguishers.owner(self.config.router_id, key.rd()?)?;
        let served = self.in_service(vni)?;
        let domain = &served.domain;
        let vtep = domain.vtep()?;
        let (route_key, attributes) = match *key {
            EvpnKey::Multicast { .. } => {
                let tunnel = PmsiTunnel::ingress_replication(domain.label(), vtep);
                let mut editor = AttributeSet::builder(NextHop::from(vtep));
                editor.set_pmsi_tunnel(tunnel);
                (served.flood_route_key(vtep), self.with_communities(editor, domain, &[]))
            }
            EvpnKey::MacIp { mac, ip, .. } => {
                let (claim, router) = self.local_claim(domain, mac, ip)?;
                let mut communities = Vec::new();
                if claim.sticky() || claim.sequence() > 0 {
                    communities.push(ExtCommunity::mac_mobility(claim.sticky(), claim.sequence()));
                }
                if router {
                    let flags = NeighborFlags { router, ..NeighborFlags::default() };
                    communities.push(ExtCommunity::neighbor(flags));
                }
                let editor = AttributeSet::builder(NextHop::from(vtep));
                (served.mac_key(mac, ip), self.with_communities(editor, domain, &communities))
            }
            _ => return None,
        };
        let label =
            if matches!(key, EvpnKey::MacIp { .. }) { domain.label() } else { Default::default() };
        (route_key == *key).then(|| (EvpnPayload { label, ..EvpnPayload::default() }, attributes))
    }

    /// All routes that we should originate, as of the last poll.
    pub fn desired_routes(&self) -> BTreeMap<EvpnKey, (EvpnPayload, AttributeSet)> {
        let served = self.domains.values().filter(|served| served.is_in_service());
        let keys = served.flat_map(|served| self.route_keys(served));
        keys.filter_map(|key| self.desired_route(&key).map(|route| (key, route))).collect()
    }

    /// The route target that routes of a domain carry: `AS:VNI`, of a large AS number the low 16 bits, as FRR does.
    pub(crate) fn route_target(&self, domain: &Domain) -> RouteTarget {
        let [_, _, high, low] = self.config.asn.0.to_be_bytes();
        RouteTarget::from_as2(u16::from_be_bytes([high, low]), domain.vni.get())
    }

    /// The keys of all routes of a domain.
    pub(crate) fn route_keys(&self, served: &Served) -> impl Iterator<Item = EvpnKey> {
        let served = *served;
        let vni = served.domain.vni;
        let is_local = |location: &Location| matches!(location, Location::Local { .. });
        let flood = served.domain.vtep().map(|vtep| served.flood_route_key(vtep));
        let macs = self.macs_of(vni).filter(move |(_, location)| is_local(location));
        let hosts = self.hosts_of(vni).filter(|(_, owner)| owner.is_local);
        let macs = macs.map(move |(mac, _)| served.mac_key(mac, None));
        flood
            .into_iter()
            .chain(macs)
            .chain(hosts.map(move |(ip, owner)| served.mac_key(owner.mac, Some(ip))))
    }

    /// Our claim to a MAC or to an IP address of it, and whether that is a router.
    fn local_claim(
        &self,
        domain: &Domain,
        mac: MacAddr,
        ip: Option<IpAddr>,
    ) -> Option<(Claim, bool)> {
        let Some(ip) = ip else {
            let Location::Local { sticky, sequence, .. } = *self.macs.get(&(domain.vni, mac))?
            else {
                return None;
            };
            return Some((Claim::new(sticky, sequence, domain.vtep()?), false));
        };
        let owner = self.hosts.get(&(domain.vni, ip))?;
        (owner.is_local && owner.mac == mac).then_some((owner.claim, owner.router))
    }

    fn with_communities(
        &self,
        mut editor: bgp::wire::AttributeEditor<'_>,
        domain: &Domain,
        more: &[ExtCommunity],
    ) -> AttributeSet {
        editor.add_ext_community(ExtCommunity::route_target(self.route_target(domain)));
        editor.add_ext_community(ExtCommunity::encapsulation_vxlan());
        for community in more {
            editor.add_ext_community(*community);
        }
        editor.build()
    }
}

impl Served {
    /// The key of our type 2 route for a MAC, or for an IP address of it.
    pub(crate) fn mac_key(&self, mac: MacAddr, ip: Option<IpAddr>) -> EvpnKey {
        EvpnKey::MacIp { rd: self.rd, ethernet_tag: 0, mac, ip }
    }

    /// The key of our type 3 route.
    fn flood_route_key(&self, vtep: IpAddr) -> EvpnKey {
        EvpnKey::Multicast { rd: self.rd, ethernet_tag: 0, originator: vtep }
    }
}
