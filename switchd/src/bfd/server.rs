//! The BFD process: one thread, one loop. The protocol is in [`bgp::bfd`], its sockets in [`bgp::net::bfd`].

use std::collections::{HashMap, HashSet};
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
    if let Err(error) = rustix::process::nice(NICE) {
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

struct Server {
    daemon: Option<OwnedFd>,
    /// How long sessions go on without a daemon.
    linger: Duration,
    /// When they end unless a daemon comes; without meaning while one is there.
    ends_at: Instant,
    /// When sessions end that the daemon that came last has not asked for.
    claim_until: Option<Instant>,
    claimed: HashSet<Peer>,
    /// Sessions that failed while no daemon was there.
    missed: HashSet<Peer>,
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
            missed: HashSet::new(),
            since: HashMap::new(),
        }
    }

    fn serve(&mut self, engine: &mut Engine, listener: &OwnedFd) -> Result<(), KeeperError> {
        while self.daemon.is_some() || Instant::now() < self.ends_at {
            let mut fds = vec![listener.as_fd()];
            fds.extend(self.daemon.as_ref().map(|daemon| daemon.as_fd()));
            let until = if self.daemon.is_some() { self.claim_until } else { Some(self.ends_at) };
            let ready = engine.wait(&fds, until).map_err(KeeperError::System)?;
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
            self.report_changes(engine);
        }
        let peers: Vec<Peer> = engine.peers().collect();
        peers.iter().for_each(|peer| engine.stop(peer));
        engine.transmit();
        say(&format!("ends with {} sessions", peers.len()));
        Ok(())
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
                if let Some(session) = engine.get(&peer) {
                    let failed = self.missed.remove(&peer);
                    self.report(&session, local, failed);
                }
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

    fn report_changes(&mut self, engine: &mut Engine) {
        while let Some(change) = engine.poll_change() {
            let peer = change.session.peer;
            if change.failed && self.daemon.is_none() {
                self.missed.insert(peer);
            }
            if let Some(local) = engine.local(&peer) {
                self.report(&change.session, local, change.failed);
            }
        }
    }

    fn report(&mut self, session: &SessionView, local: std::net::IpAddr, failed: bool) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let known = self.since.entry(session.peer).or_insert((session.state, now));
        if known.0 != session.state {
            *known = (session.state, now);
        }
        let status = Status { session: *session, local, since: known.1 };
        let Some(daemon) = &self.daemon else { return };
        let sent = serde_json::to_vec(&Report::new(&status, failed))
            .map_err(|error| error.to_string())
            .and_then(|bytes| {
                // A daemon that does not read must not hold up packets.
                channel::send(daemon, &bytes, None, SendFlags::DONTWAIT)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = sent {
            self.lose_daemon(&format!("cannot tell the daemon: {error}"));
        }
    }
}

fn say(text: &str) {
    server::say_as("bfd", text);
}
