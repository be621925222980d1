//! Sockets as BGP wants them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use ipnet::IpNet;
use rustix::net::sockopt;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{interfaces, options};
use crate::speaker::{Signer, Transport};

/// An attempt that takes longer is given up; the session tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const BACKLOG: i32 = 128;
/// The kernel doubles it, for its own bookkeeping.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// Internetwork control (CS6), as routers mark their own traffic.
pub(super) const TRAFFIC_CLASS: u32 = 0xc0;

pub(super) fn listen(address: SocketAddr, signers: &[Signer]) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // An IPv4 listener may stand beside it.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    make_room(&socket);
    options::set_farthest(&socket, address)?;
    for signer in signers.iter().filter(|signer| is_heard_on(signer.from, address)) {
        options::set_auth(&socket, signer.from, Some(&signer.auth))?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Whether connections from there can come to a listener at this address.
pub(super) const fn is_heard_on(from: IpNet, listener: SocketAddr) -> bool {
    matches!(
        (from, listener),
        (IpNet::V4(_), SocketAddr::V4(_)) | (IpNet::V6(_), SocketAddr::V6(_))
    )
}

pub(super) async fn connect(
    remote: SocketAddr,
    local: Option<IpAddr>,
    transport: &Transport,
) -> io::Result<TcpStream> {
    if transport.on_link && !interfaces::is_on_link(remote.ip())? {
        return Err(io::Error::new(
            io::ErrorKind::NetworkUnreachable,
            format!(
                "{} is in no prefix of our interfaces; if it is to be reached through a router, set ebgp-multihop",
                remote.ip()
            ),
        ));
    }
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    make_room(&socket);
    options::set_distance(&socket, remote.ip(), transport)?;
    if let Some(auth) = &transport.auth {
        options::set_auth(&socket, remote.ip().into(), Some(auth))?;
    }
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    tokio::time::timeout(CONNECT_TIMEOUT, socket.connect(remote)).await?
}

/// A large receive buffer, from the start, because connections inherit it and agree on its scale. The beginning of a
/// message that waits for its end ([`super::messages`]) keeps all of the kernel's memory that it came in, and that can be
/// much more than its length: a small buffer would then be full, and the end could not come.
fn make_room(socket: impl AsFd) {
    // Beyond the system's limit only with CAP_NET_ADMIN; within it is better than nothing.
    let outcome = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER));
    if let Err(error) = outcome {
        tracing::debug!(%error, "cannot enlarge a receive buffer");
    }
}

/// What makes a connection a BGP connection. Nothing of it is vital.
pub(super) fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let outcomes = [
        stream.set_nodelay(true),
        match stream.peer_addr() {
            Ok(SocketAddr::V4(_)) => socket.set_tos_v4(TRAFFIC_CLASS),
            Ok(SocketAddr::V6(_)) => socket.set_tclass_v6(TRAFFIC_CLASS),
            Err(error) => Err(error),
        },
    ];
    for error in outcomes.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "cannot tune a connection");
    }
}
