//! A gateway with a kernel model on one side and BGP on the other, and what it says as text.

mod domains;
mod local;
mod mobility;
mod random;
mod remote;
mod vlans;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use bgp::types::{Asn, Label, MacAddr, RouteDistinguisher, RouteTarget, RouterId};
use bgp::wire::{AttributeSet, EvpnKey, EvpnPayload, ExtCommunity, NextHop, PmsiTunnel};
use platform::kernel::{
    Address, Bridge, BridgePort, BridgeVlan, FdbEntry, FdbState, FdbTable, Ifindex, Key, Link,
    LinkKind, Model, Neighbor, NeighborState, Notification, Object, Offload, VlanProtocol, Vni,
    Vxlan,
};

use crate::{Gateway, GatewayConfig};

const OWN: &str = "192.0.2.5";
const MAC: &str = "00:00:5e:00:53:01";
const BRIDGE: Ifindex = 100;
const VXLAN: Ifindex = 200;
const PORT: Ifindex = 300;

/// What the gateway has said so far, put together by a reader that knows only what it polled.
struct Lab {
    model: Model,
    gateway: Gateway,
    entries: BTreeMap<Key, Object>,
    routes: BTreeMap<EvpnKey, (EvpnPayload, AttributeSet)>,
}

impl Lab {
    fn empty() -> Self {
        Self::with_asn(65001)
    }

    fn with_asn(asn: u32) -> Self {
        let router_id = RouterId("192.0.2.5".parse().unwrap());
        let config = GatewayConfig { asn: Asn(asn), router_id, advertise_all_vni: true };
        Self {
            model: Model::default(),
            gateway: Gateway::new(config),
            entries: BTreeMap::new(),
            routes: BTreeMap::new(),
        }
    }

    /// VNI 10 in service: br100, vxlan200 and a port 300.
    fn with_vni_10() -> Self {
        let mut lab = Self::empty();
        lab.set(bridge(BRIDGE));
        lab.set(vxlan(VXLAN, 10, BRIDGE));
        lab.set(port(PORT, BRIDGE));
        lab.set(Address::new(1, format!("{OWN}/32").parse().unwrap()));
        lab.poll();
        lab
    }

    fn set(&mut self, object: impl Into<Fact>) {
        let Fact(object) = object.into();
        self.notify(Notification::New(object));
    }

    fn unset(&mut self, object: impl Into<Fact>) {
        let Fact(object) = object.into();
        self.notify(Notification::Gone(object));
    }

    fn notify(&mut self, notification: Notification) {
        for key in self.model.apply(notification) {
            self.gateway.handle_object(&key, self.model.get(&key).as_ref());
        }
    }

    fn receive(&mut self, route: &Received) {
        let attributes = route.attributes();
        self.gateway.handle_route(&route.key, Some((&route.payload, &attributes)));
    }

    fn withdraw(&mut self, route: &Received) {
        self.gateway.handle_route(&route.key, None);
    }

    /// Reads everything that is new. Returns how many entries and routes that were.
    fn poll(&mut self) -> (usize, usize) {
        let (mut entries, mut routes) = (0, 0);
        while let Some((key, object)) = self.gateway.poll_entry() {
            entries += 1;
            match object {
                Some(object) => self.entries.insert(key, object),
                None => self.entries.remove(&key),
            };
        }
        while let Some((key, route)) = self.gateway.poll_route() {
            routes += 1;
            match route {
                Some(route) => self.routes.insert(key, route),
                None => self.routes.remove(&key),
            };
        }
        (entries, routes)
    }

    /// The kernel entries that should exist, one a line.
    fn entries(&mut self) -> String {
        self.poll();
        self.entries.values().fold(String::new(), |mut text, object| {
            match object {
                Object::Fdb(entry) => {
                    write!(text, "{} dev {} {}", entry.mac, entry.ifindex, entry.table).unwrap();
                    if let Some(vlan) = entry.vlan {
                        write!(text, " vlan {vlan}").unwrap();
                    }
                    if let Some(vni) = entry.vni {
                        write!(text, " src_vni {vni}").unwrap();
                    }
                    if let Some(destination) = entry.destination {
                        write!(text, " dst {destination}").unwrap();
                    }
                    assert!(entry.extern_learn, "{entry:?} does not carry our mark");
                }
                Object::Neighbor(neighbor) => {
                    let (ip, mac) = (neighbor.address, neighbor.mac.unwrap());
                    let router = if neighbor.router { " router" } else { "" };
                    write!(text, "{ip} lladdr {mac} dev {}{router}", neighbor.ifindex).unwrap();
                    assert!(neighbor.extern_learn, "{neighbor:?} does not carry our mark");
                }
                other => panic!("{other:?} is no entry of ours"),
            }
            text + "\n"
        })
    }

    /// The routes that we originate, one a line.
    fn routes(&mut self) -> String {
        self.poll();
        self.routes.iter().fold(String::new(), |mut text, (key, (payload, attributes))| {
            write!(text, "{key} rd {} via {}", key.rd().unwrap(), attributes.next_hop()).unwrap();
            match attributes.pmsi_tunnel() {
                Some(tunnel) => {
                    let endpoint = tunnel.endpoint.unwrap();
                    write!(text, " flood {} label {}", endpoint, tunnel.label).unwrap();
                }
                None => write!(text, " label {}", payload.label).unwrap(),
            }
            for community in attributes.ext_communities() {
                write!(text, " {community}").unwrap();
            }
            text + "\n"
        })
    }

    /// The type 2 routes that we originate: MAC, IP address if any, and mobility, one a line.
    fn stations(&mut self) -> String {
        self.poll();
        self.routes.iter().fold(String::new(), |mut text, (key, (_, attributes))| {
            let EvpnKey::MacIp { mac, ip, .. } = key else { return text };
            write!(text, "{mac}").unwrap();
            if let Some(ip) = ip {
                write!(text, " {ip}").unwrap();
            }
            let mobility = |one: &ExtCommunity| one.as_mac_mobility().is_some();
            if let Some(mobility) = attributes.ext_communities().find(mobility) {
                write!(text, " {mobility}").unwrap();
            }
            text + "\n"
        })
    }

    fn unused(&self) -> String {
        self.gateway
            .unused_routes()
            .map(|route| format!("{}: {}\n", route.key, route.reason))
            .collect()
    }

    fn problems(&self) -> Vec<String> {
        let with_remedy = |problem: crate::Problem| format!("{problem} [{}]", problem.remedy());
        self.gateway.problems().into_iter().map(with_remedy).collect()
    }
}

/// Anything that the kernel can tell of.
struct Fact(Object);

impl From<Link> for Fact {
    fn from(link: Link) -> Self {
        Self(Object::Link(link))
    }
}

impl From<BridgeVlan> for Fact {
    fn from(vlan: BridgeVlan) -> Self {
        Self(Object::BridgeVlan(vlan))
    }
}

impl From<FdbEntry> for Fact {
    fn from(entry: FdbEntry) -> Self {
        Self(Object::Fdb(entry))
    }
}

impl From<Neighbor> for Fact {
    fn from(neighbor: Neighbor) -> Self {
        Self(Object::Neighbor(neighbor))
    }
}

impl From<Address> for Fact {
    fn from(address: Address) -> Self {
        Self(Object::Address(address))
    }
}

fn link(index: Ifindex, name: &str, kind: LinkKind) -> Link {
    Link::new(index, format!("{name}{index}"), kind)
}

fn bridge(index: Ifindex) -> Link {
    link(index, "br", LinkKind::Bridge(Bridge::default()))
}

fn vlan_aware_bridge(index: Ifindex) -> Link {
    let kind = Bridge { vlan_filtering: true, ..Bridge::default() };
    Link { kind: LinkKind::Bridge(kind), ..bridge(index) }
}

/// The machine's own device in a VLAN of a bridge.
fn svi(index: Ifindex, bridge: Ifindex, id: u16) -> Link {
    let kind = LinkKind::Vlan { id, protocol: VlanProtocol::Dot1q };
    Link { lower: Some(bridge), ..link(index, "vlan", kind) }
}

fn vxlan(index: Ifindex, vni: u32, bridge: Ifindex) -> Link {
    let kind = LinkKind::Vxlan(Vxlan::new(vni_of(vni), ip(OWN)));
    let port = Some(BridgePort::default());
    Link { master: Some(bridge), port, ..link(index, "vxlan", kind) }
}

fn change_vxlan(mut link: Link, change: impl FnOnce(&mut Vxlan)) -> Link {
    let LinkKind::Vxlan(vxlan) = &mut link.kind else { panic!("{link:?} is no VXLAN device") };
    change(vxlan);
    link
}

fn port(index: Ifindex, bridge: Ifindex) -> Link {
    let port = Some(BridgePort::default());
    Link { master: Some(bridge), port, ..link(index, "swp", LinkKind::Physical) }
}

fn down(link: Link) -> Link {
    Link { up: false, running: false, ..link }
}

/// A MAC that the bridge learned at a port.
fn station(mac_text: &str, port: Ifindex) -> FdbEntry {
    FdbEntry {
        ifindex: port,
        mac: mac(mac_text),
        vlan: None,
        table: FdbTable::Bridge,
        destination: None,
        vni: None,
        nexthop: None,
        state: FdbState::Dynamic,
        extern_learn: false,
        sticky: false,
        detour: None,
        offload: Offload::default(),
        master: Some(BRIDGE),
    }
}

fn neighbor(ip_text: &str, mac_text: &str) -> Neighbor {
    Neighbor {
        state: NeighborState::Reachable,
        extern_learn: false,
        ..Neighbor::remote(BRIDGE, ip(ip_text), mac(mac_text))
    }
}

/// A route as a neighbour sends it.
#[derive(Debug, Clone)]
struct Received {
    key: EvpnKey,
    payload: EvpnPayload,
    vtep: IpAddr,
    communities: Vec<ExtCommunity>,
    tunnel: Option<PmsiTunnel>,
}

impl Received {
    /// A type 2 route of VNI 10 from a VTEP in AS 65002.
    fn mac(mac_text: &str, vtep: &str) -> Self {
        let rd = rd_of(vtep, 2);
        let key = EvpnKey::MacIp { rd, ethernet_tag: 0, mac: mac(mac_text), ip: None };
        Self {
            key,
            payload: EvpnPayload::default(),
            vtep: ip(vtep),
            communities: vec![],
            tunnel: None,
        }
        .in_vni(10)
    }

    fn mac_ip(mac_text: &str, ip_text: &str, vtep: &str) -> Self {
        let key = EvpnKey::MacIp {
            rd: rd_of(vtep, 2),
            ethernet_tag: 0,
            mac: mac(mac_text),
            ip: Some(ip(ip_text)),
        };
        Self { key, ..Self::mac(mac_text, vtep) }
    }

    /// A type 3 route of VNI 10 from a VTEP in AS 65002.
    fn flood(vtep: &str) -> Self {
        let key = EvpnKey::Multicast { rd: rd_of(vtep, 2), ethernet_tag: 0, originator: ip(vtep) };
        let tunnel = PmsiTunnel::ingress_replication(Label::from_vni(10), ip(vtep));
        let payload = EvpnPayload::default();
        Self { key, payload, tunnel: Some(tunnel), ..Self::mac(MAC, vtep) }
    }

    fn in_vni(self, vni: u32) -> Self {
        let payload = EvpnPayload { label: Label::from_vni(vni), ..self.payload };
        let tunnel = self.tunnel.map(|tunnel| PmsiTunnel { label: payload.label, ..tunnel });
        let target = ExtCommunity::route_target(RouteTarget::from_as2(65002, vni));
        let communities = vec![target, ExtCommunity::encapsulation_vxlan()];
        Self { payload, tunnel, communities, ..self }
    }

    fn moved(self, sequence: u32) -> Self {
        self.with(ExtCommunity::mac_mobility(false, sequence))
    }

    fn sticky(self) -> Self {
        self.with(ExtCommunity::mac_mobility(true, 0))
    }

    fn with(mut self, community: ExtCommunity) -> Self {
        self.communities.push(community);
        self
    }

    fn attributes(&self) -> AttributeSet {
        let mut editor = AttributeSet::builder(NextHop::from(self.vtep));
        for community in &self.communities {
            editor.add_ext_community(*community);
        }
        if let Some(tunnel) = self.tunnel {
            editor.set_pmsi_tunnel(tunnel);
        }
        editor.build()
    }
}

fn rd_of(vtep: &str, number: u16) -> RouteDistinguisher {
    match ip(vtep) {
        IpAddr::V4(address) => RouteDistinguisher::from_ipv4(address, number),
        IpAddr::V6(_) => RouteDistinguisher([0, 1, 192, 0, 2, 66, 0, 2]),
    }
}

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn vni_of(number: u32) -> Vni {
    Vni::try_from(number).unwrap()
}
