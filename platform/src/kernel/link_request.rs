//! Making and changing links.
//!
//! A daemon that follows the operator's links needs little of this; tests, the demo and controllers make their own.

use std::os::fd::RawFd;

use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, InfoPortData, InfoPortKind, InfoVeth, InfoVlan, InfoVrf,
    InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};

use super::bridge::PortSettings;
use super::message::{NLM_F_CREATE, NLM_F_EXCL, RTM_DELLINK, RTM_NEWLINK, Request};
use super::{Bridge, Ifindex, Link, LinkKind, MacAddr, VlanProtocol, Vxlan};

/// A link to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Its name.
    pub name: String,
    /// What sort of device.
    pub kind: LinkKind,
    /// The link below, which a VLAN needs.
    pub lower: Option<Ifindex>,
    /// The other end of a veth pair.
    pub peer: Option<VethPeer>,
    /// All that can also be changed later. With a namespace, the link is born there.
    pub settings: LinkSettings,
}

/// The other end of a veth pair. It is born down: the kernel cannot bring it up before the pair is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethPeer {
    /// Its name.
    pub name: String,
    /// Where it is born, if not beside the near end.
    pub namespace: Option<Namespace>,
}

/// What to change of a link; `None` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkSettings {
    /// A new name. The kernel renames only links that are down, or all since Linux 6.2.
    pub name: Option<String>,
    /// Whether the administrator wants it up.
    pub up: Option<bool>,
    /// Largest packet.
    pub mtu: Option<u32>,
    /// Link-layer address.
    pub mac: Option<MacAddr>,
    /// The bridge, bond or VRF that it shall belong to; 0 takes it out of its present one.
    pub master: Option<Ifindex>,
    /// The operator's description.
    pub alias: Option<String>,
    /// What it is as a port of a bridge.
    pub port: PortSettings,
    /// The namespace to which it moves.
    pub namespace: Option<Namespace>,
}

/// A network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// By an open file of `/proc/*/ns/net` or `/run/netns`. It must be open when the request is sent.
    Fd(RawFd),
    /// The one in which a process is.
    Pid(u32),
}

impl NewLink {
    /// A link of a kind that needs nothing else.
    pub fn new(name: impl Into<String>, kind: LinkKind) -> Self {
        Self { name: name.into(), kind, lower: None, peer: None, settings: LinkSettings::default() }
    }

    /// A bridge, as the kernel sets one up.
    pub fn bridge(name: impl Into<String>) -> Self {
        Self::new(name, LinkKind::Bridge(Bridge::default()))
    }

    /// A VXLAN device.
    pub fn vxlan(name: impl Into<String>, vxlan: Vxlan) -> Self {
        Self::new(name, LinkKind::Vxlan(vxlan))
    }

    /// A pair of virtual cables: `name` here, `peer` in the given namespace or here.
    pub fn veth(
        name: impl Into<String>,
        peer: impl Into<String>,
        namespace: Option<Namespace>,
    ) -> Self {
        Self {
            peer: Some(VethPeer { name: peer.into(), namespace }),
            ..Self::new(name, LinkKind::Veth)
        }
    }

    /// The same, with these settings.
    #[must_use]
    pub fn with(mut self, settings: LinkSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Creates it; what exists already under the name is an error. Port settings go in a request of their own, because
    /// the kernel takes them only from a link that is a port already.
    pub(super) fn encode(&self, index: Ifindex) -> Vec<Request> {
        let mut message = self.settings.message(index);
        message.attributes.push(LinkAttribute::IfName(self.name.clone()));
        message.attributes.extend(self.lower.map(LinkAttribute::Link));
        let kind = kind_name(&self.kind);
        let infos = kind
            .into_iter()
            .map(LinkInfo::Kind)
            .chain(self.data().map(LinkInfo::Data))
            .collect::<Vec<_>>();
        if !infos.is_empty() {
            message.attributes.push(LinkAttribute::LinkInfo(infos));
        }
        let create = Request::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &message);
        std::iter::once(create).chain(self.settings.port_request(index, Some(&self.name))).collect()
    }

    fn data(&self) -> Option<InfoData> {
        if let Some(VethPeer { name, namespace }) = &self.peer {
            let mut message =
                LinkSettings { namespace: *namespace, ..LinkSettings::default() }.message(0);
            message.attributes.push(LinkAttribute::IfName(name.clone()));
            return Some(InfoData::Veth(InfoVeth::Peer(message)));
        }
        data(&self.kind, None)
    }
}

impl From<&Link> for NewLink {
    fn from(link: &Link) -> Self {
        Self {
            name: link.name.clone(),
            kind: link.kind.clone(),
            lower: link.lower.filter(|_| link.kind.is_upper()),
            peer: None,
            settings: LinkSettings {
                name: None,
                up: Some(link.up),
                mtu: Some(link.mtu).filter(|mtu| *mtu != 0),
                mac: link.mac,
                master: link.master,
                alias: link.alias.clone(),
                port: link.port.map(|port| PortSettings::between(None, port)).unwrap_or_default(),
                namespace: None,
            },
        }
    }
}

impl LinkSettings {
    /// What turns `from` into `to`.
    pub(super) fn between(from: &Link, to: &Link) -> Self {
        fn changed<T: PartialEq + Clone>(from: &T, to: &T) -> Option<T> {
            (from != to).then(|| to.clone())
        }
        Self {
            name: changed(&from.name, &to.name),
            up: changed(&from.up, &to.up),
            mtu: changed(&from.mtu, &to.mtu).filter(|mtu| *mtu != 0),
            mac: to.mac.filter(|mac| from.mac != Some(*mac)),
            master: changed(&from.master, &to.master).map(Option::unwrap_or_default),
            alias: changed(&from.alias, &to.alias).map(Option::unwrap_or_default),
            port: to.port.map(|port| PortSettings::between(from.port, port)).unwrap_or_default(),
            namespace: None,
        }
    }

    pub(super) fn encode(&self, index: Ifindex) -> Vec<Request> {
        let mut message = self.message(index);
        message.attributes.extend(self.name.clone().map(LinkAttribute::IfName));
        let change = Request::new(RTM_NEWLINK, 0, &message);
        let nothing = Self { port: self.port, ..Self::default() } == *self;
        let change = (!nothing).then_some(change);
        change.into_iter().chain(self.port_request(index, None)).collect()
    }

    fn message(&self, index: Ifindex) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        if let Some(up) = self.up {
            message.header.flags.set(LinkFlags::Up, up);
            message.header.change_mask = LinkFlags::Up;
        }
        let mut add = |attribute: Option<LinkAttribute>| message.attributes.extend(attribute);
        add(self.mtu.map(LinkAttribute::Mtu));
        add(self.mac.map(|mac| LinkAttribute::Address(mac.octets().to_vec())));
        add(self.master.map(LinkAttribute::Controller));
        add(self.alias.clone().map(LinkAttribute::IfAlias));
        add(self.namespace.map(|namespace| match namespace {
            Namespace::Fd(fd) => LinkAttribute::NetNsFd(fd),
            Namespace::Pid(pid) => LinkAttribute::NetNsPid(pid),
        }));
        message
    }

    fn port_request(&self, index: Ifindex, name: Option<&str>) -> Option<Request> {
        let port = self.port.encode();
        if port.is_empty() {
            return None;
        }
        let mut message = LinkMessage::default();
        message.header.index = index;
        message
            .attributes
            .extend(name.filter(|_| index == 0).map(|name| LinkAttribute::IfName(name.to_owned())));
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(port)),
        ]));
        Some(Request::new(RTM_NEWLINK, 0, &message))
    }
}

/// Turns one link into another. What the kind cannot change, the kernel refuses and says so.
pub(super) fn encode_replace(from: &Link, to: &Link) -> Vec<Request> {
    let mut requests = Vec::new();
    if from.kind != to.kind
        && let Some(kind) = kind_name(&to.kind)
    {
        let mut message = LinkMessage::default();
        message.header.index = to.index;
        let data = data(&to.kind, Some(&from.kind)).map(LinkInfo::Data);
        let infos = std::iter::once(LinkInfo::Kind(kind)).chain(data).collect();
        message.attributes.push(LinkAttribute::LinkInfo(infos));
        requests.push(Request::new(RTM_NEWLINK, 0, &message));
    }
    requests.extend(LinkSettings::between(from, to).encode(to.index));
    requests
}

pub(super) fn encode_delete(index: Ifindex) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    Request::new(RTM_DELLINK, 0, &message)
}

fn data(kind: &LinkKind, before: Option<&LinkKind>) -> Option<InfoData> {
    Some(match (kind, before) {
        (LinkKind::Bridge(bridge), Some(LinkKind::Bridge(before))) => {
            InfoData::Bridge(bridge.encode(before))
        }
        (LinkKind::Bridge(bridge), _) => InfoData::Bridge(bridge.encode(&Bridge::default())),
        (LinkKind::Vxlan(vxlan), Some(LinkKind::Vxlan(before))) => {
            let before = before.encode();
            InfoData::Vxlan(
                vxlan
                    .encode()
                    .into_iter()
                    .filter(|it| is_identity(it) || !before.contains(it))
                    .collect(),
            )
        }
        (LinkKind::Vxlan(vxlan), _) => InfoData::Vxlan(vxlan.encode()),
        (LinkKind::Vlan { id, protocol }, _) => {
            // The kernel knows 802.1Q by itself, and old ones nothing else.
            let protocol =
                (*protocol != VlanProtocol::Dot1q).then(|| InfoVlan::Protocol((*protocol).into()));
            InfoData::Vlan(std::iter::once(InfoVlan::Id(*id)).chain(protocol).collect())
        }
        (LinkKind::Bond(bond), _) => InfoData::Bond(bond.encode()),
        // Bridge mode, as for a gateway that several machines share.
        (LinkKind::Macvlan, None) => {
            InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Bridge)])
        }
        (LinkKind::Vrf { table }, _) => InfoData::Vrf(vec![InfoVrf::TableId(*table)]),
        _ => return None,
    })
}

/// The kernel compares these with what it has, and wants to see them in every change.
fn is_identity(attribute: &InfoVxlan) -> bool {
    matches!(attribute, InfoVxlan::Id(_) | InfoVxlan::CollectMetadata(_))
}

/// `None`: a device that a driver brings along, and nobody can make.
fn kind_name(kind: &LinkKind) -> Option<InfoKind> {
    Some(match kind {
        LinkKind::Bridge(_) => InfoKind::Bridge,
        LinkKind::Vxlan(_) => InfoKind::Vxlan,
        LinkKind::Veth => InfoKind::Veth,
        LinkKind::Vlan { .. } => InfoKind::Vlan,
        LinkKind::Vrf { .. } => InfoKind::Vrf,
        LinkKind::Bond(_) => InfoKind::Bond,
        LinkKind::Macvlan => InfoKind::MacVlan,
        LinkKind::Dummy => InfoKind::Dummy,
        LinkKind::Other(name) => InfoKind::Other(name.clone()),
        LinkKind::Loopback | LinkKind::Physical => return None,
    })
}
