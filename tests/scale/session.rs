//! The load's end of a BGP session: sends bytes that were encoded beforehand, and counts what it is told.
//!
//! No more of BGP than that: it connects, agrees to everything, and offers hold time 0 unless keepalives are the point.

use std::{
    hash::BuildHasher,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use foldhash::quality::FixedState;
use hashbrown::HashSet;
use lab::{
    Node, PATIENCE, Result, ensure, eventually,
    peers::raw::{self, Identity},
};

/// How long a device may take to tell everything.
const DEADLINE: Duration = Duration::from_secs(120);
const HEADER: usize = 19;
const UPDATE: u8 = 2;
const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;

/// The family that a session carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4Unicast,
    Evpn,
}

/// Who the load says it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker {
    pub(crate) address: Ipv4Addr,
    pub(crate) asn: u32,
    pub(crate) family: Family,
    /// Seconds; 0: no keepalives.
    pub(crate) hold_time: u16,
}

/// An established session.
#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    told: Arc<Told>,
    reader: Option<JoinHandle<()>>,
}

/// What the device has told, unique routes only.
#[derive(Debug, Default)]
struct Told {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    routes: usize,
    /// When the last bytes came.
    at: Option<Instant>,
    over: bool,
}

impl Session {
    /// Connects from `node` and waits until the session is established.
    pub(crate) fn establish(node: &Node, speaker: Speaker, device: Ipv4Addr) -> Result<Self> {
        let Speaker { address, asn, family, hold_time } = speaker;
        let identity = Identity { address, asn, hold_time };
        let stream = eventually(PATIENCE, || {
            raw::handshake_with(node, identity, &capabilities(family), device)
        })?;
        Self::over(stream)
    }

    /// The same over a connection that stands already.
    pub(crate) fn over(stream: TcpStream) -> Result<Self> {
        let told = Arc::<Told>::default();
        let reader = thread::spawn({
            let (stream, told) = (stream.try_clone()?, Arc::clone(&told));
            move || told.follow(stream)
        });
        Ok(Self { stream, told, reader: Some(reader) })
    }

    /// Sends what was encoded, as fast as the device takes it.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result {
        Ok((&self.stream).write_all(bytes)?)
    }

    /// Says that it is still there.
    pub(crate) fn keep_alive(&self) -> Result {
        self.send(&raw::keepalive())
    }

    /// Waits until the device has told exactly `routes` routes that it has not withdrawn; returns when that was.
    pub(crate) fn wait_for(&self, routes: usize) -> Result<Instant> {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.told.lock();
        loop {
            match state.at {
                Some(at) if state.routes == routes => return Ok(at),
                _ => {}
            }
            let told = state.routes;
            ensure!(!state.over, "the device closed a session after {told} of {routes} routes");
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "the device told {told} of {routes} routes in {DEADLINE:?}");
            let waited = self.told.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closed by the device is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, mut stream: TcpStream) {
        let mut routes = Routes::default();
        let mut buffer = vec![0; 1 << 18];
        let mut held = 0;
        loop {
            let received = match stream.read(&mut buffer[held..]) {
                Ok(0) => break,
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let at = Instant::now();
            let end = held + received;
            let taken = routes.take(&buffer[..end]);
            buffer.copy_within(taken..end, 0);
            held = end - taken;
            let mut state = self.lock();
            (state.routes, state.at) = (routes.known.len(), Some(at));
            self.changed.notify_all();
        }
        self.lock().over = true;
        self.changed.notify_all();
    }
}

/// Routes told and not withdrawn. Of a key only its hash is kept: in a million, two are the same once in 40 million runs.
#[derive(Default)]
struct Routes {
    known: HashSet<u64, foldhash::fast::FixedState>,
}

impl Routes {
    /// Takes the whole messages at the front; returns their length.
    fn take(&mut self, input: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(header) = input.get(taken..taken + HEADER) {
            let length = number(&header[16..18]);
            let Some(message) = input.get(taken..taken + length) else { break };
            if header[18] == UPDATE {
                self.take_update(&message[HEADER..]);
            }
            taken += length.max(HEADER);
        }
        taken
    }

    fn take_update(&mut self, body: &[u8]) {
        let (withdrawn, rest) = counted(body);
        let (mut attributes, announced) = counted(rest);
        prefixes(withdrawn, |key| _ = self.known.remove(&key));
        while let [flags, code, rest @ ..] = attributes {
            let (value, rest) = match flags & 0x10 {
                0 => rest[1..].split_at(usize::from(rest[0])),
                _ => counted(rest),
            };
            match *code {
                MP_REACH => {
                    // AFI, SAFI, next hop with its length, one reserved octet.
                    let skipped = 4 + usize::from(value[3]) + 1;
                    evpn_routes(&value[skipped..], |key| _ = self.known.insert(key));
                }
                MP_UNREACH => evpn_routes(&value[3..], |key| _ = self.known.remove(&key)),
                _ => {}
            }
            attributes = rest;
        }
        prefixes(announced, |key| _ = self.known.insert(key));
    }
}

fn prefixes(mut input: &[u8], mut each: impl FnMut(u64)) {
    while let [length, rest @ ..] = input {
        let octets = usize::from(length.div_ceil(8));
        let mut key = u64::from(*length);
        rest[..octets].iter().for_each(|octet| key = key << 8 | u64::from(*octet));
        each(key);
        input = &rest[octets..];
    }
}

/// Type 2 only: what tells routes apart is all but the ESI and the label (RFC 7432 §7.2).
fn evpn_routes(mut input: &[u8], mut each: impl FnMut(u64)) {
    let hasher = FixedState::default();
    while let [_, length, rest @ ..] = input {
        let (route, rest) = rest.split_at(usize::from(*length));
        each(hasher.hash_one((&route[..8], &route[18..30])));
        input = rest;
    }
}

fn number(octets: &[u8]) -> usize {
    octets.iter().fold(0, |number, octet| number << 8 | usize::from(*octet))
}

/// A field with its length in two octets before it, and what follows.
fn counted(input: &[u8]) -> (&[u8], &[u8]) {
    input[2..].split_at(number(&input[..2]))
}

/// Multiprotocol with the family, and route refresh.
fn capabilities(family: Family) -> [u8; 8] {
    match family {
        Family::Ipv4Unicast => [1, 4, 0, 1, 0, 1, 2, 0],
        Family::Evpn => [1, 4, 0, 25, 0, 70, 2, 0],
    }
}
