//! Routes into the kernel by the shortest way, to compare with; and a look at which are there.

use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, OwnedFd},
    thread::sleep,
    time::{Duration, Instant},
};

use lab::{Node, Result, ensure, peers::raw::in_namespace};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};

use crate::feed::prefix_address;

const NEWROUTE: u16 = 24;
const GETROUTE: u16 = 26;
const NEWNEXTHOP: u16 = 104;
const REQUEST: u16 = 0x01;
const ACK: u16 = 0x04;
const CREATE_EXCL: u16 = 0x600;
const DUMP: u16 = 0x300;
const AF_INET: u8 = 2;
const TABLE_MAIN: u8 = 254;
const PROTOCOL_BGP: u8 = 186;
const UNICAST: u8 = 1;
/// `RTM_F_FIB_MATCH`: the answer is the route itself.
const FIB_MATCH: u32 = 0x2000;
const ROUTE_ANSWER: u16 = 24;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const DESTINATION: u16 = 1;
const PRIORITY: u16 = 6;
const NEXTHOP_ID: u16 = 30;
const GATEWAY: u16 = 6;
const LINK: u16 = 5;
const ID: u16 = 1;
/// Messages per system call: more than 256 make the kernel slower.
const BATCH: usize = 128;

/// Whether the kernel is asked to acknowledge each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    Each,
    None,
}

/// Writes the routes of [`crate::feed::prefixes`] by nexthop objects; returns how long that took.
pub(crate) fn write(
    node: &Node,
    routes: usize,
    next_hops: &[Ipv4Addr],
    acknowledge: Acknowledge,
) -> Result<Duration> {
    let link: u32 = node.run("cat /sys/class/net/load0/ifindex")?.trim().parse().unwrap_or(0);
    in_namespace(node, || {
        let socket = open()?;
        for (id, gateway) in (1..).zip(next_hops) {
            exchange(&socket, &nexthop(id, *gateway, link))?;
        }
        let flag = if acknowledge == Acknowledge::Each { ACK } else { 0 };
        let numbers: Vec<usize> = (0..routes).collect();
        // Encoding is not what is measured.
        let batches: Vec<Vec<u8>> = numbers
            .chunks(BATCH)
            .map(|lot| {
                lot.iter().flat_map(|number| route(*number, next_hops.len(), flag)).collect()
            })
            .collect();
        let start = Instant::now();
        for (batch, lot) in batches.iter().zip(numbers.chunks(BATCH)) {
            send(&socket, batch)?;
            if acknowledge == Acknowledge::Each {
                take_acknowledgements(&socket, lot.len())?;
            }
        }
        Ok(start.elapsed())
    })
}

/// Waits until routes spread over all of [`crate::feed::prefixes`] are in the kernel, then counts all. Looks them up one by
/// one: a listener to the kernel's notifications would slow the writer down.
pub(crate) fn wait_for_routes(node: &Node, routes: usize) -> Result<Instant> {
    const LOOKED_AT: usize = 4_096;
    const DEADLINE: Duration = Duration::from_secs(300);
    const PAUSE: Duration = Duration::from_millis(2);
    in_namespace(node, || {
        let socket = open()?;
        let deadline = Instant::now() + DEADLINE;
        let step = (routes / LOOKED_AT).max(1);
        let mut missing: Vec<usize> = (0..routes).step_by(step).chain([routes - 1]).collect();
        while let Some(number) = missing.last() {
            if is_there(&socket, *number)? {
                missing.pop();
            } else {
                ensure!(Instant::now() < deadline, "the kernel has not all routes in time");
                sleep(PAUSE);
            }
        }
        let end = Instant::now();
        // What was not looked at is there as well, or nearly: the last ones come within a batch.
        while count(&socket)? < routes {
            ensure!(Instant::now() < deadline, "the kernel has not all routes in time");
        }
        Ok(end)
    })
}

fn open() -> Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    setsockopt(&socket, sockopt::SndBuf, &(1 << 20))?;
    setsockopt(&socket, sockopt::RcvBuf, &(1 << 20))?;
    Ok(socket)
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> Result {
    sendto(socket.as_raw_fd(), bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    Ok(())
}

fn exchange(socket: &OwnedFd, request: &[u8]) -> Result {
    send(socket, request)?;
    take_acknowledgements(socket, 1)
}

fn take_acknowledgements(socket: &OwnedFd, mut missing: usize) -> Result {
    let mut buffer = vec![0; 1 << 16];
    while missing > 0 {
        let received = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        for (kind, body) in messages(&buffer[..received]) {
            let refused = kind == ERROR && body[..4] != [0; 4];
            ensure!(!refused, "the kernel refused a route: {body:x?}");
            missing -= 1;
        }
    }
    Ok(())
}

fn is_there(socket: &OwnedFd, number: usize) -> Result<bool> {
    let header = [AF_INET, 32, 0, 0, 0, 0, 0, 0];
    let body = [
        &header[..],
        &FIB_MATCH.to_ne_bytes(),
        &attribute(DESTINATION, &prefix_address(number).octets()),
    ]
    .concat();
    send(socket, &request(GETROUTE, 0, &body))?;
    let mut buffer = vec![0; 4_096];
    let received = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    // The second octet of the answer is the length of the prefix found.
    Ok(messages(&buffer[..received]).any(|(kind, body)| kind == ROUTE_ANSWER && body[1] == 24))
}

/// Routes of a length that only the load's have.
fn count(socket: &OwnedFd) -> Result<usize> {
    let header = [AF_INET, 0, 0, 0, TABLE_MAIN, 0, 0, UNICAST, 0, 0, 0, 0];
    send(socket, &request(GETROUTE, DUMP, &header))?;
    let mut buffer = vec![0; 1 << 18];
    let mut routes = 0;
    loop {
        let received = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        for (kind, body) in messages(&buffer[..received]) {
            match kind {
                DONE | ERROR => return Ok(routes),
                _ => routes += usize::from(body[1] == 24),
            }
        }
    }
}

fn messages(mut input: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = input.first_chunk::<6>()?;
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let body = input.get(16..length)?;
        input = input.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn nexthop(id: u32, gateway: Ipv4Addr, link: u32) -> Vec<u8> {
    let body = [
        &[AF_INET, 0, PROTOCOL_BGP, 0, 0, 0, 0, 0][..],
        &attribute(ID, &id.to_ne_bytes()),
        &attribute(LINK, &link.to_ne_bytes()),
        &attribute(GATEWAY, &gateway.octets()),
    ]
    .concat();
    request(NEWNEXTHOP, ACK | CREATE_EXCL, &body)
}

fn route(number: usize, next_hops: usize, flag: u16) -> Vec<u8> {
    let id = u32::try_from(number / 8 % next_hops + 1).unwrap_or_default();
    let body = [
        &[AF_INET, 24, 0, 0, TABLE_MAIN, PROTOCOL_BGP, 0, UNICAST, 0, 0, 0, 0][..],
        &attribute(DESTINATION, &prefix_address(number).octets()),
        &attribute(PRIORITY, &20_u32.to_ne_bytes()),
        &attribute(NEXTHOP_ID, &id.to_ne_bytes()),
    ]
    .concat();
    request(NEWROUTE, flag | CREATE_EXCL, &body)
}

fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    [
        &length.to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &(flags | REQUEST).to_ne_bytes(),
        &[0; 8],
        body,
    ]
    .concat()
}

/// Of four octets.
fn attribute(kind: u16, value: &[u8; 4]) -> [u8; 8] {
    let ([l0, l1], [k0, k1], [a, b, c, d]) = (8_u16.to_ne_bytes(), kind.to_ne_bytes(), *value);
    [l0, l1, k0, k1, a, b, c, d]
}
