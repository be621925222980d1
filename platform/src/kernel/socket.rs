//! The only module that opens netlink sockets. Blocking: meant for a thread of its own.
//!
//! Changes go out many to a send. Only the last message of a send asks for an acknowledgement; the kernel works through the
//! messages in order and answers a refused one by itself, so a message that got no answer when the last one is acknowledged
//! has succeeded. An answer that does not fit the receive buffer turns up as `ENOBUFS`, never as silence.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

use netlink_packet_core::{DefaultNla, Parseable};
use netlink_packet_route::link::LinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::batch::{Batch, Outcome};
use super::link_request::{self, LinkSettings, NewLink};
use super::message::{
    Acknowledgement, NLM_F_ACK, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, RTM_GETADDR, RTM_GETLINK,
    RTM_GETNEIGH, RTM_GETNEXTHOP, RTM_GETROUTE, RTM_NEWLINK, Replies, Reply, Request,
};
use super::nexthop::NHMSG_LEN;
use super::{
    BridgeVlan, Change, Dataplane, Errno, FdbEntry, Filter, Ifindex, KernelError, Key, Link,
    LinkKind, Model, Notification, Object, Rule,
};

/// A netlink datagram is 32 KiB at most.
pub(super) const DATAGRAM: usize = 65536;
const RECEIVE_BUFFER: usize = 8 << 20;
/// The kernel answers before a send returns; this only keeps a bug from stopping the daemon for good.
const PATIENCE_SECONDS: i64 = 30;
const DUMP_ATTEMPTS: u32 = 5;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IFLA_IFNAME: u16 = 3;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;

/// Writes changes to the kernel and reads its tables, in the network namespace of the thread that opened it.
pub struct Socket {
    socket: netlink_sys::Socket,
    sequence: u32,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens it in the network namespace of this thread, and stays there.
    pub fn open() -> Result<Self, KernelError> {
        let mut socket = open(RECEIVE_BUFFER)?;
        socket.bind_auto().map_err(|error| io_error("bind", &error))?;
        for option in [socket.set_cap_ack(true), socket.set_ext_ack(true)] {
            option.map_err(|error| io_error("set option", &error))?;
        }
        // Before Linux 4.20 filters of dumps are ignored; what comes too much does no harm.
        let _strict = socket.set_netlink_get_strict_chk(true);
        let patience = TimeVal::seconds(PATIENCE_SECONDS);
        setsockopt(&socket, sockopt::ReceiveTimeout, &patience)
            .map_err(|errno| KernelError::Io { operation: "set timeout", errno })?;
        Ok(Self {
            socket,
            sequence: 0,
            out: Vec::with_capacity(DATAGRAM),
            buffer: Vec::with_capacity(DATAGRAM),
        })
    }

    /// Makes a link. With [`NewLink::settings`] naming another namespace, it is born there.
    pub fn create_link(&mut self, link: &NewLink) -> Result<(), KernelError> {
        let refused =
            |(errno, reason)| KernelError::LinkRefused { name: link.name.clone(), errno, reason };
        self.request_all(&link.encode(0))?.map_err(refused)
    }

    /// Changes what `settings` names, in one go as far as the kernel can.
    pub fn change_link(
        &mut self,
        index: Ifindex,
        settings: &LinkSettings,
    ) -> Result<(), KernelError> {
        self.request_all(&settings.encode(index))?.map_err(refusal_of(Key::Link(index)))
    }

    /// Deletes a link. One that is gone already is success.
    pub fn delete_link(&mut self, index: Ifindex) -> Result<(), KernelError> {
        match self.request_all(&[link_request::encode_delete(index)])? {
            Err((Errno::ENODEV, _)) => Ok(()),
            answer => answer.map_err(refusal_of(Key::Link(index))),
        }
    }

    /// Looks a link up by name.
    pub fn link_named(&mut self, name: &str) -> Result<Option<Link>, KernelError> {
        let mut octets = name.as_bytes().to_vec();
        octets.push(0);
        let attributes = [skip_statistics(), DefaultNla::new(IFLA_IFNAME, octets)];
        let request =
            Request { flags: 0, ..Request::dump(RTM_GETLINK, AF_UNSPEC, LINK_HEADER, &attributes) };
        let mut found = None;
        let answer = self.exchange(std::slice::from_ref(&request), |reply| {
            if reply.message_type == RTM_NEWLINK {
                found =
                    LinkMessage::parse(reply.payload).ok().map(|message| Link::decode(&message));
            }
        })?;
        match answer.into_iter().next() {
            Some(Err((Errno::ENODEV, _))) => Ok(None),
            Some(Err((errno, reason))) => {
                Err(KernelError::LinkRefused { name: name.to_owned(), errno, reason })
            }
            _ => Ok(found),
        }
    }

    /// Sends a few requests; the first refusal is the answer.
    fn request_all(&mut self, requests: &[Request]) -> Result<Acknowledgement, KernelError> {
        let answers = self.exchange(requests, |_| {})?;
        Ok(answers.into_iter().collect())
    }

    /// Sends requests in one go and waits until the kernel has answered the last. One answer per request.
    pub(super) fn exchange(
        &mut self,
        requests: &[Request],
        mut other: impl FnMut(Reply<'_>),
    ) -> Result<Vec<Acknowledgement>, KernelError> {
        let mut answers = vec![Ok(()); requests.len()];
        let Some(last) = requests.len().checked_sub(1) else { return Ok(answers) };
        let first = self.take_sequence(requests.len());
        self.out.clear();
        for (index, (request, sequence)) in requests.iter().zip(first..).enumerate() {
            request.write(if index == last { NLM_F_ACK } else { 0 }, sequence, &mut self.out);
        }
        self.send()?;
        loop {
            receive(&self.socket, &mut self.buffer, 0)?;
            for reply in Replies(&self.buffer) {
                let index =
                    usize::try_from(reply.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let Some(answer) = answers.get_mut(index) else { continue };
                if reply.message_type != NLMSG_ERROR {
                    other(reply);
                    continue;
                }
                *answer = reply.acknowledgement();
                if index == last {
                    return Ok(answers);
                }
            }
        }
    }

    /// Reads one table. What changes under the dump makes it start over.
    pub(super) fn dump(&mut self, request: &Request) -> Result<Vec<Notification>, KernelError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut notifications = Vec::new();
            if self.dump_once(request, &mut notifications)? {
                return Ok(notifications);
            }
        }
        Err(KernelError::Unsettled(DUMP_ATTEMPTS))
    }

    fn dump_once(
        &mut self,
        request: &Request,
        notifications: &mut Vec<Notification>,
    ) -> Result<bool, KernelError> {
        let sequence = self.take_sequence(1);
        self.out.clear();
        request.write(0, sequence, &mut self.out);
        self.send()?;
        let mut settled = true;
        loop {
            receive(&self.socket, &mut self.buffer, 0)?;
            for reply in Replies(&self.buffer).filter(|reply| reply.sequence == sequence) {
                settled &= reply.flags & NLM_F_DUMP_INTR == 0;
                if matches!(reply.message_type, NLMSG_DONE | NLMSG_ERROR) {
                    let io = |(errno, _)| KernelError::Io { operation: "dump", errno };
                    return reply.acknowledgement().map(|()| settled).map_err(io);
                }
                match Notification::decode(reply.message_type, reply.payload) {
                    Ok(notification) => notifications.extend(notification),
                    Err(error) => tracing::warn!(%error, "skipped a message of a dump"),
                }
            }
        }
    }

    fn take_sequence(&mut self, count: usize) -> u32 {
        let first = self.sequence.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX));
        first
    }

    fn send(&self) -> Result<(), KernelError> {
        loop {
            match self.socket.send(&self.out, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("send", &error)),
            }
        }
    }
}

impl Dataplane for Socket {
    fn apply(&mut self, changes: &[Change]) -> Vec<Result<(), KernelError>> {
        let mut answers = Vec::with_capacity(changes.len());
        let mut rest = changes;
        while !rest.is_empty() {
            let batch = Batch::fill(rest);
            let (now, later) = rest.split_at(batch.changes().min(rest.len()));
            if let Err(broken) = self.apply_batch(&batch, now, &mut answers) {
                answers.resize(changes.len(), Err(broken));
                return answers;
            }
            rest = later;
        }
        answers
    }

    fn read(&mut self, keys: &[Key]) -> Result<Vec<Object>, KernelError> {
        self.read_each(keys)
    }

    fn snapshot(&mut self) -> Result<Model, KernelError> {
        let mut model = Model::default();
        let links = Request::dump(RTM_GETLINK, AF_UNSPEC, LINK_HEADER, &[skip_statistics()]);
        self.dump_into(&links, &mut model)?;
        self.dump_into(&Request::dump(RTM_GETADDR, AF_UNSPEC, ADDRESS_HEADER, &[]), &mut model)?;
        match self.dump_into(&Request::dump(RTM_GETNEXTHOP, AF_UNSPEC, NHMSG_LEN, &[]), &mut model)
        {
            // A kernel before 5.3 has no nexthop objects.
            Ok(()) | Err(KernelError::Io { errno: Errno::EOPNOTSUPP, .. }) => {}
            Err(error) => return Err(error),
        }
        for family in [AF_INET, AF_INET6] {
            self.dump_into(&Request::dump(RTM_GETROUTE, family, ROUTE_HEADER, &[]), &mut model)?;
            self.dump_into(&Request::dump(RTM_GETNEIGH, family, NEIGHBOR_HEADER, &[]), &mut model)?;
            self.dump_if_known(&Rule::dump(family), &mut model)?;
        }
        self.dump_if_known(&BridgeVlan::dump_all(), &mut model)?;
        self.dump_if_known(&Filter::dump_places(), &mut model)?;
        for place in model.filter_places().collect::<BTreeSet<_>>() {
            self.dump_if_known(&Filter::dump_of(place), &mut model)?;
        }
        for index in links_with_fdb(&model) {
            match self.dump_into(&FdbEntry::dump_of(index), &mut model) {
                // Deleted since the links were read.
                Ok(()) | Err(KernelError::Io { errno: Errno::ENODEV, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(model)
    }
}

const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;
const NEIGHBOR_HEADER: usize = 12;

impl Socket {
    fn apply_batch(
        &mut self,
        batch: &Batch,
        changes: &[Change],
        answers: &mut Vec<Result<(), KernelError>>,
    ) -> Result<(), KernelError> {
        let acknowledgements = self.exchange(&batch.requests, |_| {})?;
        for (change, outcome) in changes.iter().zip(batch.outcomes(changes, acknowledgements)) {
            match outcome {
                Outcome::Done(answer) => answers.push(answer),
                Outcome::Alone => {
                    self.apply_batch(&Batch::single(change), std::slice::from_ref(change), answers)?
                }
            }
        }
        Ok(())
    }

    fn dump_into(&mut self, request: &Request, model: &mut Model) -> Result<(), KernelError> {
        for notification in self.dump(request)? {
            model.apply(notification);
        }
        Ok(())
    }
}

impl Socket {
    /// As `dump_into`, of what not every kernel is built with, or what may have been deleted since it was named.
    fn dump_if_known(&mut self, request: &Request, model: &mut Model) -> Result<(), KernelError> {
        match self.dump_into(request, model) {
            Err(KernelError::Io {
                errno: Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::ENODEV | Errno::EINVAL,
                ..
            }) => Ok(()),
            answer => answer,
        }
    }
}

fn links_with_fdb(model: &Model) -> Vec<Ifindex> {
    let bridges: Vec<Ifindex> =
        model.links().filter(|link| link.bridge().is_some()).map(|link| link.index).collect();
    let has_fdb = |link: &&Link| {
        let in_bridge = link.master.is_some_and(|master| bridges.contains(&master));
        in_bridge || matches!(link.kind, LinkKind::Bridge(_) | LinkKind::Vxlan(_))
    };
    model.links().filter(has_fdb).map(|link| link.index).collect()
}

fn skip_statistics() -> DefaultNla {
    DefaultNla::new(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS.to_ne_bytes().to_vec())
}

fn refusal_of(key: Key) -> impl Fn((Errno, Option<String>)) -> KernelError {
    move |(errno, reason)| KernelError::Refused { key, errno, reason }
}

pub(super) fn open(receive_buffer: usize) -> Result<netlink_sys::Socket, KernelError> {
    let socket =
        netlink_sys::Socket::new(NETLINK_ROUTE).map_err(|error| io_error("open", &error))?;
    // Beyond the system's limit where we may, up to the limit where not.
    let _enlarged = setsockopt(&socket.as_fd(), sockopt::RcvBufForce, &receive_buffer)
        .or_else(|_| setsockopt(&socket.as_fd(), sockopt::RcvBuf, &receive_buffer));
    Ok(socket)
}

/// Receives one datagram into `buffer`.
pub(super) fn receive(
    socket: &netlink_sys::Socket,
    buffer: &mut Vec<u8>,
    flags: i32,
) -> Result<(), KernelError> {
    buffer.clear();
    loop {
        match socket.recv(buffer, flags) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(match io_error("receive", &error) {
                    KernelError::Io { errno: Errno::ENOBUFS, .. } => KernelError::Overrun,
                    error => error,
                });
            }
        }
    }
}

pub(super) fn io_error(operation: &'static str, error: &io::Error) -> KernelError {
    KernelError::Io { operation, errno: Errno::from_raw(error.raw_os_error().unwrap_or_default()) }
}
