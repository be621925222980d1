//! What the kernel tells when something changed.

#[cfg(test)]
mod tests;

use netlink_packet_core::{DecodeError, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::neighbour::NeighbourMessage;

use super::message::{
    RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELNEXTHOP, RTM_DELQDISC, RTM_DELROUTE,
    RTM_DELRULE, RTM_DELTFILTER, RTM_DELVLAN, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH,
    RTM_NEWNEXTHOP, RTM_NEWQDISC, RTM_NEWROUTE, RTM_NEWRULE, RTM_NEWTFILTER, RTM_NEWVLAN, Replies,
};
use super::{
    Address, BridgePort, BridgeVlan, FdbEntry, Filter, FilterPlace, Ifindex, KernelError, Link,
    Neighbor, Nexthop, Object, Route, Rule,
};

/// One thing that changed in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// It exists now, or has changed to this.
    New(Object),
    /// It no longer exists. Carries what the kernel said of it, which may be less than the whole.
    Gone(Object),
    /// A bridge says what a link is as its port, or what it is itself.
    Port {
        /// Which link.
        index: Ifindex,
        /// What it is as a port; `None`: it is the bridge itself.
        port: Option<BridgePort>,
        /// All VLANs that it belongs to.
        vlans: Vec<BridgeVlan>,
    },
    /// These VLANs of a link are new or changed; it keeps its others.
    Vlans(Vec<BridgeVlan>),
    /// These VLANs of a link are gone.
    VlansGone(Vec<BridgeVlan>),
    /// Where filters can hang on a link. Those that hung elsewhere on it are gone.
    FilterPlaces {
        /// Which link.
        index: Ifindex,
        /// All such places now.
        places: Vec<FilterPlace>,
    },
}

impl Notification {
    /// Reads all messages of one datagram. Messages about what this module does not model are skipped, and so are those
    /// that cannot be read: one odd attribute of one link must not blind us to the rest.
    pub fn decode_all(datagram: &[u8]) -> Vec<Self> {
        let mut notifications = Vec::new();
        for reply in Replies(datagram) {
            match Self::decode(reply.message_type, reply.payload) {
                Ok(notification) => notifications.extend(notification),
                Err(error) => tracing::warn!(%error, "skipped a netlink message"),
            }
        }
        notifications
    }

    /// Reads the payload of one message. `None`: about something that this module does not model.
    pub fn decode(message_type: u16, payload: &[u8]) -> Result<Option<Self>, KernelError> {
        let (is_new, object) = match message_type {
            RTM_NEWLINK | RTM_DELLINK => return decode_link(message_type, payload),
            RTM_NEWADDR | RTM_DELADDR => {
                let message: AddressMessage = parse(message_type, payload)?;
                (message_type == RTM_NEWADDR, Address::decode(&message).map(Object::Address))
            }
            RTM_NEWNEIGH | RTM_DELNEIGH => {
                let message: NeighbourMessage = parse(message_type, payload)?;
                (message_type == RTM_NEWNEIGH, decode_neighbor(&message))
            }
            RTM_NEWROUTE | RTM_DELROUTE => {
                (message_type == RTM_NEWROUTE, Route::decode(payload).map(Object::Route))
            }
            RTM_NEWNEXTHOP | RTM_DELNEXTHOP => {
                (message_type == RTM_NEWNEXTHOP, Nexthop::decode(payload).map(Object::Nexthop))
            }
            RTM_NEWRULE | RTM_DELRULE => {
                (message_type == RTM_NEWRULE, Rule::decode(payload).map(Object::Rule))
            }
            RTM_NEWTFILTER | RTM_DELTFILTER => {
                let is_new = message_type == RTM_NEWTFILTER;
                let filter = Filter::decode(payload).filter(|it| !(is_new && it.is_priority()));
                (is_new, filter.map(Object::Filter))
            }
            RTM_NEWVLAN => return Ok(Some(Self::Vlans(BridgeVlan::decode_changed(payload)))),
            RTM_DELVLAN => return Ok(Some(Self::VlansGone(BridgeVlan::decode_changed(payload)))),
            RTM_NEWQDISC | RTM_DELQDISC => {
                let places = Filter::decode_places(payload);
                return Ok(places.map(|(index, places)| Self::FilterPlaces {
                    index,
                    places: if message_type == RTM_NEWQDISC { places } else { Vec::new() },
                }));
            }
            _ => return Ok(None),
        };
        Ok(object.map(|object| match object {
            Object::Neighbor(neighbor) if neighbor.is_internal() => {
                Self::Gone(Object::Neighbor(neighbor))
            }
            object if is_new => Self::New(object),
            object => Self::Gone(object),
        }))
    }
}

/// A bridge announces changes of its ports as messages of its own family; there, "deleted" means "no longer a port", of
/// which the link's own message tells as well.
fn decode_link(message_type: u16, payload: &[u8]) -> Result<Option<Notification>, KernelError> {
    let message: LinkMessage = parse(message_type, payload)?;
    Ok(match (message.header.interface_family, message_type) {
        (AddressFamily::Unspec, RTM_NEWLINK) => {
            Some(Notification::New(Object::Link(Link::decode(&message))))
        }
        (AddressFamily::Unspec, _) => {
            Some(Notification::Gone(Object::Link(Link::decode(&message))))
        }
        (AddressFamily::Bridge, RTM_NEWLINK) => decode_port(&message),
        _ => None,
    })
}

fn decode_port(message: &LinkMessage) -> Option<Notification> {
    let index = message.header.index;
    let (mut port, mut spec, mut master) = (None, [].as_slice(), None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::ProtoInfoBridge(announced) => {
                port = Some(BridgePort::decode_announced(announced));
            }
            LinkAttribute::AfSpecBridge(announced) => spec = announced,
            LinkAttribute::Controller(announced) => master = Some(*announced),
            _ => {}
        }
    }
    // Of itself, a bridge says that it is its own master.
    let of_bridge = master == Some(index);
    let vlans = BridgeVlan::decode_all(index, of_bridge, spec)?;
    (of_bridge || port.is_some()).then_some(Notification::Port { index, port, vlans })
}

fn decode_neighbor(message: &NeighbourMessage) -> Option<Object> {
    match message.header.family {
        AddressFamily::Bridge => FdbEntry::decode(message).map(Object::Fdb),
        AddressFamily::Inet | AddressFamily::Inet6 => {
            Neighbor::decode(message).map(Object::Neighbor)
        }
        _ => None,
    }
}

fn parse<T: Parseable<[u8]>>(message_type: u16, payload: &[u8]) -> Result<T, KernelError> {
    let unreadable =
        |error: DecodeError| KernelError::Unreadable { message_type, reason: error.to_string() };
    T::parse(payload).map_err(unreadable)
}
