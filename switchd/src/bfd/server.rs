//! The BFD process: one thread, one loop. The protocol is in [`bgp::bfd`], its sockets in [`bgp::net::bfd`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bgp::bfd::{Peer, SessionState, SessionView};
use bgp::net::bfd::Engine;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::Status;
use super::protocol::{Report, Request, intervals};
use crate::keeper::{KeeperError, channel, server};

/// How long a process without a daemon waits for its first one.
const FIRST_DAEMON: Duration = Duration::from_secs(10);
/// How long a daemon that starts may take to ask for the sessions that there are.
const CLAIM: Duration = Duration::from_secs(30);
/// How soon a daemon that has not read is tried again.
const BUSY: Duration = Duration::from_millis(5);
/// Before everything else on the machine, as far as that is ours to say: packets that are late take sessions down.
const NICE: i32 = -20;

/// Runs BFD in this process until no daemon needs it, or until SIGTERM.
///
/// Leaves the session of whoever started it and says `ready` on stdout, like the keeper.
///
/// # Errors
/// BFD's ports are taken, or the socket cannot be listened on.
pub fn run(socket: &Path) -> Result<(), KeeperError> {
    // Fails only where the process already leads a session or a group: then it is detached as far as it wants to be.
    let _already_leader = rustix::process::setsid();
    if let Err(error) = raise_priority() {
        say(&format!("runs with ordinary priority: {error}"));
    }
    let mut engine = Engine::open().map_err(KeeperError::Ports)?;
    let listener = server::listen(socket)?;
    server::release_stdio().map_err(KeeperError::System)?;
    let result = Server::new().serve(&mut engine, &listener);
    // The path before the listener, as the keeper does.
    if let Err(error) = fs::remove_file(socket) {
        say(&format!("cannot remove {}: {error}", socket.display()));
    }
    result
}

fn raise_priority() -> std::io::Result<()> {
    rustix::process::nice(NICE)?;
    // With a session of its own goes a scheduling group, and a process is only nice to others of its group (sched(7)).
    match fs::write("/proc/self/autogroup", NICE.to_string()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

struct Server {
    daemon: Option<OwnedFd>,
    /// How long sessions go on without a daemon.
    linger: Duration,
    /// When they end unless a daemon comes; without meaning while one is there.
    ends_at: Instant,
    /// When sessions end that the daemon that came last has not asked for.
    claim_until: Option<Instant>,
    claimed: HashSet<Peer>,
    /// Sessions that a daemon has not been told of as they are: each once, however often it changed.
    untold: VecDeque<Peer>,
    /// Sessions that have failed, which no daemon has been told.
    failed: HashSet<Peer>,
    /// The state of each session, and since when.
    since: HashMap<Peer, (SessionState, Duration)>,
}

impl Server {
    fn new() -> Self {
        Self {
            daemon: None,
            linger: FIRST_DAEMON,
            ends_at: Instant::now() + FIRST_DAEMON,
            claim_until: None,
            claimed: HashSet::new(),
            untold: VecDeque::new(),
            failed: HashSet::new(),
            since: HashMap::new(),
        }
    }

    fn serve(&mut self, engine: &mut Engine, listener: &OwnedFd) -> Result<(), KeeperError> {
        while self.daemon.is_some() || Instant::now() < self.ends_at {
            let mut fds = vec![listener.as_fd()];
            fds.extend(self.daemon.as_ref().map(|daemon| daemon.as_fd()));
            let ready = engine.wait(&fds, self.wake_at()).map_err(KeeperError::System)?;
            // The daemon before the listener: what a dead daemon said last counts before its successor asks.
            if ready.get(1) == Some(&true)
                && let Err(end) = self.handle_requests(engine)
            {
                self.lose_daemon(&end);
            }
            if ready.first() == Some(&true) {
                self.accept(listener);
            }
            self.end_unclaimed(engine);
            self.note_changes(engine);
            self.tell_daemon(engine);
        }
        let peers: Vec<Peer> = engine.peers().collect();
        peers.iter().for_each(|peer| engine.stop(peer));
        engine.transmit();
        say(&format!("ends with {} sessions", peers.len()));
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        match (&self.daemon, self.untold.is_empty()) {
            (None, _) => Some(self.ends_at),
            (Some(_), true) => self.claim_until,
            (Some(_), false) => Some(Instant::now() + BUSY),
        }
    }

    fn accept(&mut self, listener: &OwnedFd) {
        if let Some(connection) = server::accept(listener) {
            self.daemon = Some(connection);
            self.claimed.clear();
            self.claim_until = Some(Instant::now() + CLAIM);
        }
    }

    fn lose_daemon(&mut self, why: &str) {
        say(why);
        self.daemon = None;
        self.untold.clear();
        self.ends_at = Instant::now() + self.linger;
    }

    /// Does all that the daemon has asked so far.
    fn handle_requests(&mut self, engine: &mut Engine) -> Result<(), String> {
        loop {
            let Some(daemon) = &self.daemon else { return Ok(()) };
            let packet = match channel::receive(daemon, RecvFlags::DONTWAIT) {
                Ok(Some(packet)) => packet,
                Ok(None) => return Err("the daemon is gone".to_owned()),
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(format!("the daemon's connection failed: {error}")),
            };
            let request = serde_json::from_slice(&packet.bytes)
                .map_err(|error| format!("refused the daemon's message: {error}"))?;
            self.handle_request(request, engine);
        }
    }

    fn handle_request(&mut self, request: Request, engine: &mut Engine) {
        match request {
            Request::Hello { linger } => self.linger = Duration::from_micros(linger),
            Request::Start { peer, local, min_tx, min_rx, multiplier } => {
                let peer = Peer::from(peer);
                engine.start(peer, local, intervals(min_tx, min_rx, multiplier));
                self.claimed.insert(peer);
                // Also if nothing changed: this daemon may be a new one.
                self.note(peer);
            }
            Request::Stop { peer } => {
                let peer = Peer::from(peer);
                engine.stop(&peer);
                self.claimed.remove(&peer);
            }
        }
    }

    fn end_unclaimed(&mut self, engine: &mut Engine) {
        if self.daemon.is_none() || self.claim_until.is_none_or(|until| Instant::now() < until) {
            return;
        }
        self.claim_until = None;
        let unclaimed: Vec<Peer> =
            engine.peers().filter(|peer| !self.claimed.contains(peer)).collect();
        unclaimed.iter().for_each(|peer| engine.stop(peer));
    }

    fn note_changes(&mut self, engine: &mut Engine) {
        while let Some(change) = engine.poll_change() {
            let SessionView { peer, state, .. } = change.session;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let known = self.since.entry(peer).or_insert((state, now));
            if known.0 != state {
                *known = (state, now);
            }
            if change.failed {
                self.failed.insert(peer);
            }
            self.note(peer);
        }
    }

    fn note(&mut self, peer: Peer) {
        if self.daemon.is_some() && !self.untold.contains(&peer) {
            self.untold.push_back(peer);
        }
    }

    /// As much as it takes: a daemon that does not read must not hold up packets, and hears the rest later.
    fn tell_daemon(&mut self, engine: &Engine) {
        while let (Some(daemon), Some(peer)) = (&self.daemon, self.untold.front().copied()) {
            let outcome = match self.report(&peer, engine) {
                Some(report) => send(daemon, &report),
                // Ended meanwhile.
                None => Ok(true),
            };
            match outcome {
                Ok(true) => {
                    self.untold.pop_front();
                    self.failed.remove(&peer);
                }
                Ok(false) => return,
                Err(error) => self.lose_daemon(&format!("cannot tell the daemon: {error}")),
            }
        }
    }

    fn report(&self, peer: &Peer, engine: &Engine) -> Option<Report> {
        let (session, local) = (engine.get(peer)?, engine.local(peer)?);
        let since = self.since.get(peer).map(|(_, since)| *since).unwrap_or_default();
        Some(Report::new(&Status { session, local, since }, self.failed.contains(peer)))
    }
}

/// `false`: it has not read what was sent before.
fn send(daemon: &OwnedFd, report: &Report) -> Result<bool, String> {
    let bytes = serde_json::to_vec(report).map_err(|error| error.to_string())?;
    match channel::send(daemon, &bytes, None, SendFlags::DONTWAIT) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn say(text: &str) {
    server::say_as("bfd", text);
}
