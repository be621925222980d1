//! BFD's sockets and clock: one loop, for a thread or a process that does little else.
//!
//! Not on the engine's runtime: a session at 3 x 50 ms would be down before a task that reads a full table gives way.
//! Packets are taken before timers are looked at: whoever slept too long finds them waiting, and declares nobody dead
//! whose packets came in time.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::socket::TRAFFIC_CLASS;
use crate::bfd::{Arrival, Change, Intervals, PACKET_LEN, Peer, SessionView, Sessions};

/// RFC 5881 §4.
const SINGLE_HOP_PORT: u16 = 3784;
/// RFC 5883 §5.
const MULTIHOP_PORT: u16 = 4784;
/// Source ports (RFC 5881 §4).
const FIRST_SOURCE_PORT: u16 = 49152;
const HOP_LIMIT: u32 = 255;
/// Packets taken from one socket before others have their turn.
const PACKETS_AT_ONCE: usize = 256;
/// Longer than any packet that means anything to us.
const LONGEST: usize = 128;

/// All sessions, with their sockets.
#[derive(Debug)]
pub struct Engine {
    sessions: Sessions,
    listeners: Vec<Listener>,
    senders: HashMap<Peer, Sender>,
    next_port: u16,
}

#[derive(Debug)]
struct Listener {
    socket: Socket,
    multihop: bool,
}

/// Where a session's packets come from: the same address and port as long as it lasts.
#[derive(Debug)]
struct Sender {
    local: IpAddr,
    /// None while the address is not one of ours.
    socket: Option<Socket>,
}

impl Engine {
    /// Listens on BFD's ports, for IPv4 and, where the machine has it, IPv6.
    ///
    /// # Errors
    /// Another BFD daemon listens there.
    pub fn open() -> io::Result<Self> {
        let mut listeners = Vec::new();
        for (multihop, port) in [(false, SINGLE_HOP_PORT), (true, MULTIHOP_PORT)] {
            listeners.push(listen((Ipv4Addr::UNSPECIFIED, port).into(), multihop)?);
            match listen((Ipv6Addr::UNSPECIFIED, port).into(), multihop) {
                Ok(listener) => listeners.push(listener),
                Err(error) if error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        let seed = u64::from(std::process::id()) << 32 | since_boot();
        Ok(Self {
            sessions: Sessions::new(seed),
            listeners,
            senders: HashMap::new(),
            next_port: FIRST_SOURCE_PORT,
        })
    }

    /// Starts a session from this address of ours, or gives one that runs other intervals.
    pub fn start(&mut self, peer: Peer, local: IpAddr, intervals: Intervals) {
        if self.senders.get(&peer).is_some_and(|sender| sender.local != local) {
            self.senders.remove(&peer);
        }
        self.senders.entry(peer).or_insert(Sender { local, socket: None });
        self.sessions.start(peer, intervals, Instant::now());
    }

    /// Ends a session; the peer is told that this is no failure.
    pub fn stop(&mut self, peer: &Peer) {
        self.sessions.stop(peer, Instant::now());
    }

    /// The peers of all sessions but those that were stopped.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.sessions.peers()
    }

    /// A session, unless it was stopped.
    pub fn get(&self, peer: &Peer) -> Option<SessionView> {
        self.sessions.get(peer)
    }

    /// Where the packets of a session come from.
    pub fn local(&self, peer: &Peer) -> Option<IpAddr> {
        self.senders.get(peer).map(|sender| sender.local)
    }

    /// A session that is not as it was.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.sessions.poll_change()
    }

    /// Sends what is due.
    pub fn transmit(&mut self) {
        let now = Instant::now();
        while let Some((peer, packet)) = self.sessions.poll_transmit(now) {
            self.send(&peer, &packet.encode());
        }
    }

    /// Does what is due, then waits for the next thing to do: a packet, a timer, one of these descriptors, or this
    /// moment. Says which of the descriptors have something to say.
    ///
    /// # Errors
    /// The system's poll failed.
    pub fn wait(
        &mut self,
        others: &[BorrowedFd<'_>],
        until: Option<Instant>,
    ) -> io::Result<Vec<bool>> {
        self.transmit();
        let wake_at = [self.sessions.poll_timeout(), until].into_iter().flatten().min();
        let timeout = wake_at.map(|at| at.saturating_duration_since(Instant::now()));
        let mut fds: Vec<PollFd<'_>> = self
            .listeners
            .iter()
            .map(|listener| PollFd::new(&listener.socket, PollFlags::IN))
            .chain(others.iter().map(|fd| PollFd::new(fd, PollFlags::IN)))
            .collect();
        match poll(&mut fds, timeout.and_then(timespec).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let woken: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let (packets, ready) = woken.split_at(self.listeners.len());
        for (listener, _) in self.listeners.iter().zip(packets).filter(|(_, woken)| **woken) {
            receive(listener, &mut self.sessions);
        }
        self.sessions.handle_timeout(Instant::now());
        self.transmit();
        Ok(ready.to_vec())
    }

    fn send(&mut self, peer: &Peer, octets: &[u8]) {
        let Some(sender) = self.senders.get_mut(peer) else { return };
        let outcome = match &sender.socket {
            Some(socket) => transmit(socket, peer, octets),
            None => open_sender(peer, sender.local, &mut self.next_port).and_then(|socket| {
                let outcome = transmit(&socket, peer, octets);
                sender.socket = Some(socket);
                outcome
            }),
        };
        if let Err(error) = outcome {
            // No route, or no such address of ours: the peer will notice, and so shall we.
            tracing::debug!(peer = %peer.address, %error, "cannot send a BFD packet");
        }
    }
}

fn transmit(socket: &Socket, peer: &Peer, octets: &[u8]) -> io::Result<()> {
    let port = if peer.multihop { MULTIHOP_PORT } else { SINGLE_HOP_PORT };
    socket.send_to(octets, &scoped(peer.address, port, peer.scope_id).into()).map(drop)
}

fn scoped(address: IpAddr, port: u16, scope_id: u32) -> SocketAddr {
    match address {
        IpAddr::V4(address) => (address, port).into(),
        IpAddr::V6(address) => {
            let scope_id = if address.is_unicast_link_local() { scope_id } else { 0 };
            SocketAddrV6::new(address, port, 0, scope_id).into()
        }
    }
}

fn listen(address: SocketAddr, multihop: bool) -> io::Result<Listener> {
    let socket = open_socket(address)?;
    if address.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    socket.bind(&address.into())?;
    Ok(Listener { socket, multihop })
}

fn open_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A port that nobody has, for this session alone (RFC 5881 §4).
fn open_sender(peer: &Peer, local: IpAddr, next_port: &mut u16) -> io::Result<Socket> {
    let socket = open_socket((local, 0).into())?;
    if local.is_ipv4() {
        socket.set_ttl_v4(HOP_LIMIT)?;
        socket.set_tos_v4(TRAFFIC_CLASS)?;
    } else {
        socket.set_unicast_hops_v6(HOP_LIMIT)?;
        socket.set_tclass_v6(TRAFFIC_CLASS)?;
    }
    loop {
        let port = *next_port;
        *next_port = port.checked_add(1).unwrap_or(FIRST_SOURCE_PORT);
        match socket.bind(&scoped(local, port, peer.scope_id).into()) {
            Ok(()) => return Ok(socket),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && *next_port != FIRST_SOURCE_PORT => {}
            Err(error) => return Err(error),
        }
    }
}

fn receive(listener: &Listener, sessions: &mut Sessions) {
    for _ in 0..PACKETS_AT_ONCE {
        let mut octets = [0; LONGEST];
        match receive_one(listener, &mut octets) {
            Ok(Some((arrival, octets))) => {
                if let Err(discard) = sessions.handle_packet(&arrival, octets, Instant::now()) {
                    tracing::debug!(source = %arrival.source, %discard, "BFD packet discarded");
                }
            }
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                tracing::debug!(%error, "cannot receive a BFD packet");
                return;
            }
        }
    }
}

/// A packet, and how it came. `None`: the kernel did not say how.
fn receive_one<'a>(
    listener: &Listener,
    octets: &'a mut [u8; LONGEST],
) -> io::Result<Option<(Arrival, &'a [u8])>> {
    let mut space = nix::cmsg_space!(i32, nix::libc::in6_pktinfo);
    let mut slices = [IoSliceMut::new(octets)];
    let fd = listener.socket.as_fd().as_raw_fd();
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut space), flags)?;
    let mut hop_limit = None;
    let mut interface = 0;
    for message in received.cmsgs()? {
        match message {
            ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
                hop_limit = u8::try_from(limit).ok();
            }
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                interface = u32::try_from(info.ipi_ifindex).unwrap_or_default();
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => interface = info.ipi6_ifindex,
            _ => {}
        }
    }
    let source = received.address.and_then(|address| {
        let ipv4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        ipv4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
    });
    let length = received.bytes;
    let (Some(source), Some(hop_limit)) = (source, hop_limit) else { return Ok(None) };
    let arrival = Arrival { source, interface, multihop: listener.multihop, hop_limit };
    Ok(Some((arrival, octets.get(..length).unwrap_or_default())))
}

fn timespec(duration: Duration) -> Option<Timespec> {
    Timespec::try_from(duration).ok()
}

/// Something that differs from one start to the next.
fn since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// The engine's packets are of this length; the buffer has room for longer ones, which are read as far as they matter.
const _: () = assert!(PACKET_LEN < LONGEST);
