//! A BGP speaker that does what a test says, right or wrong, and notes when it hears something.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream},
    os::fd::AsRawFd,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, setns},
    sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket},
};

use crate::{LabError, Node, PATIENCE, Result, ensure, eventually};

const HEADER: usize = 19;
const OPEN: u8 = 1;
const KEEPALIVE: u8 = 4;
const AS_TRANS: u16 = 23456;
/// Multiprotocol, IPv4 unicast.
const IPV4_UNICAST: [u8; 6] = [1, 4, 0, 1, 0, 1];

/// Who it says it is.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// Its address, also its BGP identifier.
    pub address: Ipv4Addr,
    /// Its AS number.
    pub asn: u32,
    /// Seconds; 0: no keepalives.
    pub hold_time: u16,
}

/// An established session of IPv4 unicast. Dropping it closes the connection.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    heard: Arc<Mutex<Heard>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Heard {
    last: Instant,
    longest_silence: Duration,
    over: bool,
}

impl Raw {
    /// Connects from `node` to `device` until a session is established, and reads all that comes.
    ///
    /// # Errors
    /// No session comes about.
    pub fn establish(node: &Node, identity: Identity, device: Ipv4Addr) -> Result<Self> {
        let stream = eventually(PATIENCE, || handshake(node, identity, device))?;
        let heard = Heard { last: Instant::now(), longest_silence: Duration::ZERO, over: false };
        let heard = Arc::new(Mutex::new(heard));
        let reader = thread::spawn({
            let (stream, heard) = (stream.try_clone()?, Arc::clone(&heard));
            move || follow(stream, &heard)
        });
        Ok(Self { stream, heard, reader: Some(reader) })
    }

    /// Sends what was encoded, as fast as it is taken.
    ///
    /// # Errors
    /// The device has closed the connection.
    pub fn send(&self, bytes: &[u8]) -> Result {
        Ok((&self.stream).write_all(bytes)?)
    }

    /// The longest time in which nothing came, until now.
    pub fn longest_silence(&self) -> Duration {
        let heard = lock(&self.heard);
        heard.longest_silence.max(heard.last.elapsed())
    }

    /// The device has closed the connection.
    pub fn is_over(&self) -> bool {
        lock(&self.heard).over
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Closed by the device is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn follow(mut stream: TcpStream, heard: &Mutex<Heard>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let outcome = stream.read(&mut buffer);
        let mut heard = lock(heard);
        match outcome {
            Ok(1..) => {
                heard.longest_silence = heard.longest_silence.max(heard.last.elapsed());
                heard.last = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return heard.over = true,
        }
    }
}

/// Connects and brings a session of IPv4 unicast up, once; nobody reads from it afterwards.
///
/// # Errors
/// The device does not take the connection or the session.
pub fn handshake(node: &Node, identity: Identity, device: Ipv4Addr) -> Result<TcpStream> {
    handshake_with(node, identity, &IPV4_UNICAST, device)
}

/// The same with other capabilities.
///
/// # Errors
/// As [`handshake`].
pub fn handshake_with(
    node: &Node,
    identity: Identity,
    capabilities: &[u8],
    device: Ipv4Addr,
) -> Result<TcpStream> {
    let mut stream = connect_from(node, identity.address, device)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&open(identity, capabilities))?;
    expect(&mut stream, OPEN)?;
    stream.write_all(&keepalive())?;
    expect(&mut stream, KEEPALIVE)?;
    stream.set_read_timeout(None)?;
    Ok(stream)
}

/// A TCP connection to BGP's port and nothing more.
///
/// # Errors
/// The device does not take it.
pub fn connect_from(node: &Node, local: Ipv4Addr, device: Ipv4Addr) -> Result<TcpStream> {
    in_namespace(node, || {
        let stream = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        bind(stream.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(local, 0)))?;
        connect(stream.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(device, 179)))?;
        let stream = TcpStream::from(stream);
        stream.set_nodelay(true)?;
        Ok(stream)
    })
}

/// Sockets belong to the namespace they are made in, and namespaces are a thread's own.
///
/// # Errors
/// The namespace cannot be entered, or what `act` returned.
pub fn in_namespace<T: Send>(node: &Node, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let path = Path::new("/run/netns").join(node.netns());
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            act()
        });
        inside.join().unwrap_or_else(|_| Err(LabError::Unexpected("a thread panicked".into())))
    })
}

/// A message with its header.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX);
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

/// A KEEPALIVE.
pub fn keepalive() -> Vec<u8> {
    message(KEEPALIVE, &[])
}

/// An OPEN with these capabilities, and that of four-octet AS numbers.
fn open(identity: Identity, capabilities: &[u8]) -> Vec<u8> {
    let capabilities = [capabilities, &[65, 4], &identity.asn.to_be_bytes()].concat();
    let length = u8::try_from(capabilities.len()).unwrap_or_default();
    let body = [
        &[4][..],
        &AS_TRANS.to_be_bytes(),
        &identity.hold_time.to_be_bytes(),
        &identity.address.octets(),
        &[length + 2, 2, length],
        &capabilities,
    ];
    message(OPEN, &body.concat())
}

fn expect(stream: &mut TcpStream, kind: u8) -> Result {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let [.., high, low, found] = header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let mut body = vec![0; length.saturating_sub(HEADER)];
    stream.read_exact(&mut body)?;
    ensure!(found == kind, "the device sent message {found} instead of {kind}: {body:x?}");
    Ok(())
}
