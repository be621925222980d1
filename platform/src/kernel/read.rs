//! Reads single objects anew: the kernel does not tell when a driver sets or clears an offload flag of an FDB entry, a
//! neighbour or a nexthop, and dumping a large device to see one flag costs seconds.
//!
//! What cannot be asked for one by one:
//! - a flood list with several VTEPs (the kernel shows the first only): the others take a dump of their device;
//! - a filter (which the kernel finds by a number that it does not always tell): all of its place are dumped;
//! - a route below which a more specific one covers its first address (the kernel looks addresses up, not prefixes), and
//!   a route of a table that no rule leads to. These stay unread; a snapshot has them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage};

use super::message::{RTM_GETNEIGH, RTM_GETROUTE, Request};
use super::nexthop;
use super::{
    Errno, FdbEntry, FdbTable, Filter, FilterPlace, Ifindex, KernelError, Key, Notification,
    Object, Socket,
};

/// Requests per send. Each answer is at most a few hundred bytes; together they fit the socket's buffer many times over.
const BATCH: usize = 64;

/// Dumps per call: a dump of a device's FDB costs in proportion to the square of its entries. What this leaves unread is not
/// among the answers.
const DUMPS: usize = 4;

impl Socket {
    pub(super) fn read_each(&mut self, keys: &[Key]) -> Result<Vec<Object>, KernelError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut dumps: BTreeSet<Dump> = BTreeSet::new();
        let mut requests = Vec::with_capacity(keys.len());
        for key in keys {
            match request(key) {
                Question::Ask(request) => requests.push(request),
                Question::AskOrDump(request, _) => requests.push(request),
                Question::Dump(_) | Question::No => {}
            }
        }
        for requests in requests.chunks(BATCH) {
            self.exchange(requests, |reply| {
                match Notification::decode(reply.message_type, reply.payload) {
                    Ok(Some(Notification::New(object))) => found.push(object),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "skipped an answer"),
                }
            })?;
        }
        let wanted: BTreeSet<&Key> = keys.iter().collect();
        // A lookup answers with what it found, which may be another object than the one asked for.
        found.retain(|object| wanted.contains(&object.key()));
        // Each question about one flood list has the same answer.
        let mut answered: BTreeSet<Key> = BTreeSet::new();
        found.retain(|object| answered.insert(object.key()));
        for key in keys.iter().filter(|key| !answered.contains(key)) {
            if let Question::AskOrDump(_, dump) | Question::Dump(dump) = request(key)
                && (dumps.len() < DUMPS || dumps.contains(&dump))
            {
                dumps.insert(dump);
            }
        }
        for dump in dumps {
            let request = match dump {
                Dump::Fdb(ifindex) => FdbEntry::dump_of(ifindex),
                Dump::Filters(place) => Filter::dump_of(place),
            };
            let entries = match self.dump(&request) {
                Ok(entries) => entries,
                // Gone, or changing all the time: its notifications tell more than we could read.
                Err(
                    KernelError::Io { errno: Errno::ENODEV | Errno::EINVAL, .. }
                    | KernelError::Unsettled(_),
                ) => continue,
                Err(error) => return Err(error),
            };
            let entries = entries.into_iter().filter_map(|entry| match entry {
                Notification::New(object) => Some(object),
                _ => None,
            });
            found.extend(entries.filter(|object| {
                let key = object.key();
                wanted.contains(&key) && !answered.contains(&key)
            }));
        }
        Ok(found)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dump {
    /// The FDB of a device.
    Fdb(Ifindex),
    /// The filters of a place.
    Filters(FilterPlace),
}

enum Question {
    Ask(Request),
    /// The answer may be about another one of the list.
    AskOrDump(Request, Dump),
    Dump(Dump),
    /// Its flags do not change in silence, or it has none.
    No,
}

fn request(key: &Key) -> Question {
    match *key {
        Key::Filter(id) => Question::Dump(Dump::Filters(id.place)),
        Key::Fdb { ifindex, mac, vlan, table, vni, destination } => {
            let mut message = neighbour_message(AddressFamily::Bridge, ifindex);
            message.header.flags = match table {
                FdbTable::Bridge => NeighbourFlags::Controller,
                FdbTable::Vxlan => NeighbourFlags::Own,
            };
            let mut add = |attribute| message.attributes.push(attribute);
            add(NeighbourAttribute::LinkLayerAddress(mac.octets().to_vec()));
            if let Some(vlan) = vlan {
                add(NeighbourAttribute::Vlan(vlan));
            }
            if let Some(vni) = vni {
                add(NeighbourAttribute::Vni(vni.get()));
            }
            let request = Request::new(RTM_GETNEIGH, 0, &message);
            match destination {
                Some(_) => Question::AskOrDump(request, Dump::Fdb(ifindex)),
                None => Question::Ask(request),
            }
        }
        Key::Neighbor { ifindex, address } => {
            let mut message = neighbour_message(family_of(address), ifindex);
            message.attributes.push(NeighbourAttribute::Destination(address.into()));
            Question::Ask(Request::new(RTM_GETNEIGH, 0, &message))
        }
        Key::Nexthop(id) => Question::Ask(nexthop::encode_get(id)),
        Key::Route { prefix, .. } => Question::Ask(route_request(prefix)),
        _ => Question::No,
    }
}

fn neighbour_message(family: AddressFamily, ifindex: Ifindex) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    message.header.ifindex = ifindex;
    message.header.state = NeighbourState::from(0);
    message
}

/// Looks up the first address of the prefix, in the tables that the rules lead to.
fn route_request(prefix: IpNet) -> Request {
    let mut message = RouteMessage::default();
    let address = prefix.network();
    message.header.address_family = family_of(address);
    message.header.destination_prefix_length = prefix.max_prefix_len();
    message.header.flags = RouteFlags::from_bits_retain(RTM_F_FIB_MATCH);
    message.attributes.push(RouteAttribute::Destination(address.into()));
    Request::new(RTM_GETROUTE, 0, &message)
}

/// Show the FIB entry, not the route that a packet would get (linux/rtnetlink.h).
const RTM_F_FIB_MATCH: u32 = 0x2000;

fn family_of(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
