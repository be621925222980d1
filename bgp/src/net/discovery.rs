//! The I/O of [`crate::discovery`]: one raw ICMPv6 socket for all interfaces, and a task that owns it.
//!
//! The socket hears of router solicitations and advertisements only. What the kernel makes of them by itself does not
//! matter here: with forwarding on, as on every router, it ignores advertisements (`accept_ra` 1, its default).

use std::io::{self, IoSliceMut};
use std::net::SocketAddrV6;
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Instant;

use nix::sys::socket::sockopt::{Ipv6RecvHopLimit, Ipv6RecvPacketInfo};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::Handle;
use crate::discovery::{ALL_ROUTERS, Discovery, HOP_LIMIT, Interface, Packet, Sighting, Transmit};

/// Sightings on their way to the daemon.
const SIGHTINGS: usize = 64;
/// Packets read before timers get their turn.
const PACKETS_AT_ONCE: usize = 64;
/// Longer than any valid message: options beyond the MTU of the link cannot come.
const PACKET: usize = 9216;

/// An interface, and what became of it: see [`Discovery::handle_interface`].
pub type InterfaceChange = (String, Option<Interface>);

/// Starts to find neighbours: the engine is told where they are, and the caller hears of it as well. To be told of every
/// interface that has an unnumbered neighbour, as it comes and goes.
///
/// # Errors
/// No raw socket can be had: it takes `CAP_NET_RAW`.
pub fn spawn(
    engine: Handle,
    seed: u64,
) -> io::Result<(mpsc::UnboundedSender<InterfaceChange>, mpsc::Receiver<Sighting>)> {
    let socket = UdpSocket::from_std(open()?.into())?;
    // Unbounded, because interfaces change no faster than the kernel says so, and the caller must not wait for us while we
    // wait for it to hear of a sighting.
    let (interfaces, changes) = mpsc::unbounded_channel();
    let (told, sightings) = mpsc::channel(SIGHTINGS);
    let task = Task { discovery: Discovery::new(seed), socket, joined: Vec::new(), engine, told };
    tokio::spawn(task.run(changes));
    Ok((interfaces, sightings))
}

struct Task {
    discovery: Discovery,
    /// tokio has no type for raw sockets. It waits for this one as for any other, and does nothing else with it.
    socket: UdpSocket,
    /// Names and indexes of interfaces on which we are one of all routers.
    joined: Vec<(String, u32)>,
    engine: Handle,
    told: mpsc::Sender<Sighting>,
}

impl Task {
    async fn run(mut self, mut changes: mpsc::UnboundedReceiver<InterfaceChange>) {
        loop {
            self.discovery.handle_timeout(Instant::now());
            while let Some(transmit) = self.discovery.poll_transmit() {
                send(&SockRef::from(&self.socket), &transmit);
            }
            while let Some(sighting) = self.discovery.poll_sighting() {
                if !self.tell(sighting).await {
                    return;
                }
            }
            let wake_at = self.discovery.poll_timeout().map(tokio::time::Instant::from_std);
            // All arms are cancel-safe: receiving, waiting and sleeping lose nothing.
            tokio::select! {
                change = changes.recv() => match change {
                    Some((name, interface)) => self.change(&name, interface),
                    None => return,
                },
                outcome = self.receive() => if let Err(error) = outcome {
                    tracing::debug!(%error, "cannot receive router advertisements");
                },
                () = super::driver::sleep_until(wake_at) => {}
            }
        }
    }

    /// `false`: the engine or the daemon has ended.
    async fn tell(&self, sighting: Sighting) -> bool {
        let copy = sighting.clone();
        let told = self.engine.with(move |speaker, now| speaker.handle_sighting(&copy, now)).await;
        told.is_ok() && self.told.send(sighting).await.is_ok()
    }

    fn change(&mut self, name: &str, interface: Option<Interface>) {
        self.discovery.handle_interface(name, interface, Instant::now());
        let socket = SockRef::from(&self.socket);
        let stays = |index: u32| interface.is_some_and(|interface| interface.index == index);
        self.joined.retain(|(known, index)| {
            let keep = known != name || stays(*index);
            if !keep {
                // Gone with its interface, mostly.
                let _ = socket.leave_multicast_v6(&ALL_ROUTERS, *index);
            }
            keep
        });
        let joined = self.joined.iter().any(|(known, _)| known == name);
        if let Some(Interface { index, .. }) = interface
            && !joined
        {
            // The kernel is one of all routers already where it forwards.
            match socket.join_multicast_v6(&ALL_ROUTERS, index) {
                Ok(()) => self.joined.push((name.to_owned(), index)),
                Err(error) => tracing::debug!(name, %error, "cannot listen to solicitations"),
            }
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        self.socket.readable().await?;
        let mut octets = [0; PACKET];
        for _ in 0..PACKETS_AT_ONCE {
            let socket = self.socket.as_raw_fd();
            match self.socket.try_io(Interest::READABLE, || receive(socket, &mut octets)) {
                Ok(Some(packet)) => {
                    if let Err(invalid) = self.discovery.handle_packet(&packet, Instant::now()) {
                        tracing::debug!(source = %packet.source, %invalid, "router message discarded");
                    }
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.set_nonblocking(true)?;
    socket.attach_filter(&router_messages_only())?;
    socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
    socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
    socket.set_multicast_loop_v6(false)?;
    setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
    setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
    Ok(socket)
}

/// Classic BPF: types 133 and 134 of ICMPv6 pass. A switch gets thousands of other ones.
fn router_messages_only() -> [SockFilter; 5] {
    const LOAD_OCTET: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_OCTET, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, 133),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, 134),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// What cannot be sent now, because the link is just going down, is sent with the next timer.
fn send(socket: &Socket, transmit: &Transmit) {
    let to = SocketAddrV6::new(transmit.destination, 0, 0, transmit.interface);
    if let Err(error) = socket.send_to(&transmit.octets, &to.into()) {
        tracing::debug!(interface = transmit.interface, %error, "cannot send a router message");
    }
}

/// `None`: something without a sender, hop limit or interface, which the kernel does not do.
fn receive(socket: RawFd, octets: &mut [u8]) -> io::Result<Option<Packet<'_>>> {
    let mut control = nix::cmsg_space!(nix::libc::in6_pktinfo, nix::libc::c_int);
    let mut buffers = [IoSliceMut::new(octets)];
    let message =
        recvmsg::<SockaddrIn6>(socket, &mut buffers, Some(&mut control), MsgFlags::empty())?;
    let (mut hop_limit, mut interface) = (None, None);
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
            ControlMessageOwned::Ipv6PacketInfo(info) => interface = Some(info.ipi6_ifindex),
            _ => {}
        }
    }
    let source = message.address.map(|address| address.ip());
    let length = message.bytes;
    let octets = octets.get(..length).unwrap_or_default();
    Ok(match (interface, source, hop_limit) {
        (Some(interface), Some(source), Some(hop_limit)) => {
            Some(Packet { interface, source, hop_limit, octets })
        }
        _ => None,
    })
}
