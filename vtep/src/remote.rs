//! Received EVPN routes of types 2 and 3, by what they say of which VNI. Holds every route whether or not a domain wants
//! it now, so that domains and routes may come in any order. Decides nothing between routes: that is `merge`'s.
//!
//! A route belongs to the VNIs that its route targets name (`AS:VNI` with a two-octet AS, any AS: what FRR and Cumulus
//! import automatically). Its label must be the VNI too. A label of the remote VTEP's own choosing (downstream-assigned)
//! is not supported, and such a route is not used: frames sent with our VNI would end in a tenant who has that one there.
//! FRR does not look at the label, and so is looser here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use bgp::types::{Label, MacAddr, RouteDistinguisher};
use bgp::wire::{AttributeSet, EvpnKey, EvpnPayload, PmsiTunnel};
use platform::kernel::Vni;

use crate::merge::Claim;

/// Why a received route is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unused {
    /// No route target names a VNI.
    NoRouteTarget,
    /// No domain of ours in service has the VNI.
    NoDomain(Vni),
    /// The route wants another VNI in the packets than its route target names.
    OtherLabel {
        /// What it wants.
        label: Label,
        /// What the route target names.
        vni: Vni,
    },
    /// It wants another encapsulation than VXLAN.
    NotVxlan,
    /// It wants flooded frames by another tunnel type than ingress replication; the number is IANA's.
    NotIngressReplication(u8),
    /// It says where a multicast or empty MAC is.
    NotUnicast,
    /// Its VTEP address is our own.
    OwnVtep,
    /// Its VTEP address is of another family than ours.
    OtherFamily,
    /// It says that a MAC of this machine is elsewhere.
    OwnMac,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRouteTarget => f.write_str("no route target of the form AS:VNI"),
            Self::NoDomain(vni) => write!(f, "VNI {vni} is not in service here"),
            Self::OtherLabel { label, vni } => {
                write!(f, "label {label} is not the VNI {vni} of its route target")
            }
            Self::NotVxlan => f.write_str("encapsulation is not VXLAN"),
            Self::NotIngressReplication(kind) => {
                write!(f, "flooding by tunnel type {kind}, not by ingress replication")
            }
            Self::NotUnicast => f.write_str("MAC is not of one station"),
            Self::OwnVtep => f.write_str("VTEP address is our own"),
            Self::OtherFamily => f.write_str("VTEP address is of another family than ours"),
            Self::OwnMac => f.write_str("MAC is this machine's own"),
        }
    }
}

/// What a changed route may make different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Mac(Vni, MacAddr),
    Host(Vni, IpAddr),
    Flood(Vni, IpAddr),
}

/// A claim to an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostClaim {
    pub(crate) claim: Claim,
    pub(crate) mac: MacAddr,
    pub(crate) router: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    routes: BTreeMap<EvpnKey, Route>,
    macs: BTreeSet<(Vni, MacAddr, Claim, Name)>,
    hosts: BTreeSet<(Vni, IpAddr, HostClaim, Name)>,
    floods: BTreeSet<(Vni, IpAddr, Name)>,
}

/// What tells routes of one MAC, or of one VTEP, apart.
type Name = (RouteDistinguisher, u32, Option<IpAddr>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    vnis: Box<[Vni]>,
    claim: Claim,
    router: bool,
    /// `None` where the route has none, which is as good as the right one.
    label: Option<Label>,
    fault: Option<Unused>,
}

impl Routes {
    /// Takes in the best route of a key. Returns what may now be different.
    pub(crate) fn handle_route(
        &mut self,
        key: &EvpnKey,
        best: Option<(&EvpnPayload, &AttributeSet)>,
    ) -> Vec<Subject> {
        let route = best.and_then(|(payload, attributes)| read(key, payload, attributes));
        if self.routes.get(key) == route.as_ref() {
            return Vec::new();
        }
        let mut subjects = Vec::new();
        if let Some(before) = self.routes.remove(key) {
            self.index(key, &before, Index::Remove, &mut subjects);
        }
        if let Some(route) = route {
            self.index(key, &route, Index::Insert, &mut subjects);
            self.routes.insert(key.clone(), route);
        }
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    /// The claims to a MAC, the best first.
    pub(crate) fn claims(&self, vni: Vni, mac: MacAddr) -> impl Iterator<Item = Claim> {
        self.routes_of_mac(vni, mac).map(|(.., claim, _)| *claim)
    }

    /// The IP addresses that routes give to a MAC.
    pub(crate) fn hosts_of_mac(&self, vni: Vni, mac: MacAddr) -> impl Iterator<Item = IpAddr> {
        self.routes_of_mac(vni, mac).filter_map(|(.., (_, _, ip))| *ip)
    }

    /// The claims to an IP address, the best first.
    pub(crate) fn host_claims(&self, vni: Vni, ip: IpAddr) -> impl Iterator<Item = HostClaim> {
        let first = HostClaim { claim: Claim::BEST, mac: MacAddr::zero(), router: false };
        self.hosts
            .range((vni, ip, first, FIRST_NAME)..)
            .take_while(move |(of, to, ..)| (*of, *to) == (vni, ip))
            .map(|(.., claim, _)| *claim)
    }

    /// The VTEPs that want flooded frames of a VNI.
    pub(crate) fn floods(&self, vni: Vni) -> impl Iterator<Item = IpAddr> {
        let mut last = None;
        self.floods
            .range((vni, FIRST_IP, FIRST_NAME)..)
            .take_while(move |(of, ..)| *of == vni)
            .map(|(_, vtep, _)| *vtep)
            .filter(move |vtep| last.replace(*vtep) != Some(*vtep))
    }

    /// Whether a VTEP wants flooded frames of a VNI.
    pub(crate) fn wants_flood(&self, vni: Vni, vtep: IpAddr) -> bool {
        let next = self.floods.range((vni, vtep, FIRST_NAME)..).next();
        next.is_some_and(|(of, to, _)| (*of, *to) == (vni, vtep))
    }

    /// The MACs of which routes of a VNI speak; some more than once.
    pub(crate) fn macs_of(&self, vni: Vni) -> impl Iterator<Item = MacAddr> {
        self.macs
            .range((vni, MacAddr::zero(), Claim::BEST, FIRST_NAME)..)
            .take_while(move |(of, ..)| *of == vni)
            .map(|(_, mac, ..)| *mac)
    }

    /// The IP addresses of which routes of a VNI speak; some more than once.
    pub(crate) fn hosts_of(&self, vni: Vni) -> impl Iterator<Item = IpAddr> {
        let first = HostClaim { claim: Claim::BEST, mac: MacAddr::zero(), router: false };
        self.hosts
            .range((vni, FIRST_IP, first, FIRST_NAME)..)
            .take_while(move |(of, ..)| *of == vni)
            .map(|(_, ip, ..)| *ip)
    }

    /// Each route with the VNIs for which it is used as far as the route itself goes, or with why it is not.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = (&EvpnKey, IpAddr, Result<Vni, Unused>)> {
        self.routes.iter().flat_map(|(key, route)| {
            let without_vni = route.vnis.is_empty().then_some(Err(Unused::NoRouteTarget));
            let with_vni = route.vnis.iter().map(|vni| route.fault_in(*vni).map_or(Ok(*vni), Err));
            without_vni
                .into_iter()
                .chain(with_vni)
                .map(move |verdict| (key, route.claim.vtep(), verdict))
        })
    }

    fn routes_of_mac(
        &self,
        vni: Vni,
        mac: MacAddr,
    ) -> impl Iterator<Item = &(Vni, MacAddr, Claim, Name)> {
        self.macs
            .range((vni, mac, Claim::BEST, FIRST_NAME)..)
            .take_while(move |(of, to, ..)| (*of, *to) == (vni, mac))
    }

    fn index(&mut self, key: &EvpnKey, route: &Route, index: Index, subjects: &mut Vec<Subject>) {
        for vni in route.vnis.iter().copied().filter(|vni| route.fault_in(*vni).is_none()) {
            match *key {
                EvpnKey::MacIp { rd, ethernet_tag, mac, ip } => {
                    let name = (rd, ethernet_tag, ip);
                    index.apply(&mut self.macs, (vni, mac, route.claim, name));
                    subjects.push(Subject::Mac(vni, mac));
                    if let Some(ip) = ip {
                        let claim = HostClaim { claim: route.claim, mac, router: route.router };
                        index.apply(&mut self.hosts, (vni, ip, claim, name));
                        subjects.push(Subject::Host(vni, ip));
                    }
                }
                EvpnKey::Multicast { rd, ethernet_tag, originator } => {
                    let vtep = route.claim.vtep();
                    let name = (rd, ethernet_tag, Some(originator));
                    let before = self.wants_flood(vni, vtep);
                    index.apply(&mut self.floods, (vni, vtep, name));
                    if before != self.wants_flood(vni, vtep) {
                        subjects.push(Subject::Flood(vni, vtep));
                    }
                }
                _ => {}
            }
        }
    }
}

impl Route {
    fn fault_in(&self, vni: Vni) -> Option<Unused> {
        let other_label = || self.label.filter(|label| label.vni() != vni.get());
        self.fault.or_else(|| other_label().map(|label| Unused::OtherLabel { label, vni }))
    }
}

#[derive(Clone, Copy)]
enum Index {
    Insert,
    Remove,
}

impl Index {
    fn apply<T: Ord>(self, set: &mut BTreeSet<T>, element: T) {
        match self {
            Self::Insert => set.insert(element),
            Self::Remove => set.remove(&element),
        };
    }
}

/// What a route says, if it is of a type that says where stations or VTEPs are.
fn read(key: &EvpnKey, payload: &EvpnPayload, attributes: &AttributeSet) -> Option<Route> {
    match *key {
        EvpnKey::MacIp { mac, .. } => Some(read_mac_ip(mac, payload, attributes)),
        EvpnKey::Multicast { .. } => Some(read_multicast(attributes)),
        EvpnKey::EthernetAd { .. }
        | EvpnKey::EthernetSegment { .. }
        | EvpnKey::Prefix { .. }
        | EvpnKey::Unknown { .. } => None,
    }
}

fn read_mac_ip(mac: MacAddr, payload: &EvpnPayload, attributes: &AttributeSet) -> Route {
    let mobility = attributes.ext_communities().find_map(|community| community.as_mac_mobility());
    let (sticky, sequence) = mobility.unwrap_or_default();
    let flags = attributes.ext_communities().find_map(|community| community.as_neighbor());
    let not_unicast = (mac.is_multicast() || mac.is_zero()).then_some(Unused::NotUnicast);
    Route {
        vnis: vnis(attributes),
        claim: Claim::new(sticky, sequence, attributes.next_hop().address()),
        router: flags.is_some_and(|flags| flags.router),
        label: Some(payload.label),
        fault: not_unicast.or_else(|| not_vxlan(attributes)),
    }
}

/// Without a PMSI tunnel attribute the next hop gets the copies, and a label of 0 in it is taken as none: old speakers
/// of both kinds exist.
fn read_multicast(attributes: &AttributeSet) -> Route {
    let tunnel = attributes.pmsi_tunnel();
    let other = |tunnel: &PmsiTunnel| tunnel.kind != PmsiTunnel::INGRESS_REPLICATION;
    let not_ingress = tunnel.filter(other).map(|tunnel| Unused::NotIngressReplication(tunnel.kind));
    let endpoint = tunnel.and_then(|tunnel| tunnel.endpoint);
    let vtep = endpoint.unwrap_or_else(|| attributes.next_hop().address());
    Route {
        vnis: vnis(attributes),
        claim: Claim::new(false, 0, vtep),
        router: false,
        label: tunnel.map(|tunnel| tunnel.label).filter(|label| *label != Label::default()),
        fault: not_ingress.or_else(|| not_vxlan(attributes)),
    }
}

/// The VNIs that the route targets name, each once.
fn vnis(attributes: &AttributeSet) -> Box<[Vni]> {
    let targets = attributes.ext_communities().filter_map(|community| community.as_route_target());
    let numbers = targets.filter_map(|target| target.local_administrator());
    let mut vnis: Vec<Vni> = numbers.filter_map(|number| Vni::try_from(number).ok()).collect();
    vnis.sort_unstable();
    vnis.dedup();
    vnis.into_boxed_slice()
}

/// A route that names encapsulations must name VXLAN; one that names none leaves it to us (RFC 8365 §5.1.3).
fn not_vxlan(attributes: &AttributeSet) -> Option<Unused> {
    let mut named = attributes.ext_communities().filter(|one| one.as_encapsulation().is_some());
    let first = named.next()?;
    (!first.is_vxlan() && !named.any(|one| one.is_vxlan())).then_some(Unused::NotVxlan)
}

const FIRST_IP: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const FIRST_NAME: Name = (RouteDistinguisher([0; 8]), 0, None);
