//! The daemon's side: a task that tells the BFD process what BGP wants, and BGP what BFD says.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bgp::bfd::{Intervals, Peer, SessionState};
use bgp::speaker::{BfdReport, BfdRequest, NeighborId};
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;

use super::Status;
use super::protocol::{Report, Request, micros};
use crate::keeper::{KeeperError, channel, client};

/// Between attempts to start the process.
const RETRY: Duration = Duration::from_secs(5);

/// What is known of all sessions, for whoever shows them.
#[derive(Debug, Clone, Default)]
pub struct Table(Arc<Mutex<HashMap<Peer, Status>>>);

impl Table {
    /// All sessions, by address.
    pub fn sessions(&self) -> Vec<Status> {
        let mut all: Vec<Status> = self.with(|table| table.values().copied().collect());
        all.sort_by_key(|status| (status.session.peer.address, status.session.peer.scope_id));
        all
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Peer, Status>) -> T) -> T {
        // Nothing panics while it holds the lock.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The way to the task.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::UnboundedSender<(NeighborId, BfdRequest)>,
    table: Table,
}

impl Client {
    /// Starts the task. The process is started when the first session is wanted: `socket` is where it listens, and its
    /// sessions go on for `linger` after this daemon.
    pub fn spawn(engine: bgp::net::Handle, socket: PathBuf, linger: Duration) -> Self {
        // Unbounded, because there is at most one session for each neighbour, and the core must not wait.
        let (requests, wanted) = mpsc::unbounded_channel();
        let table = Table::default();
        let task = Task { engine, socket, linger, wanted: HashMap::new(), table: table.clone() };
        tokio::spawn(task.run(wanted));
        Self { requests, table }
    }

    /// What BGP asks for a neighbour.
    pub fn request(&self, neighbor: NeighborId, request: BfdRequest) {
        // The task lives as long as this.
        let _ = self.requests.send((neighbor, request));
    }

    /// What is known of all sessions.
    pub fn table(&self) -> Table {
        self.table.clone()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    peer: Peer,
    local: IpAddr,
    intervals: Intervals,
}

struct Task {
    engine: bgp::net::Handle,
    socket: PathBuf,
    linger: Duration,
    wanted: HashMap<NeighborId, Wanted>,
    table: Table,
}

type Requests = mpsc::UnboundedReceiver<(NeighborId, BfdRequest)>;

impl Task {
    /// Until the daemon ends. Whatever becomes of the process, BGP goes on: a session of which nothing is known has not failed.
    async fn run(mut self, mut requests: Requests) {
        loop {
            if self.wanted.is_empty() {
                let Some((neighbor, request)) = requests.recv().await else { return };
                self.note(neighbor, request);
                continue;
            }
            match self.reach().await {
                Ok(connection) => {
                    let Err(error) = self.converse(&connection, &mut requests).await else {
                        return;
                    };
                    tracing::warn!(%error, "lost the BFD process; starting another one");
                    self.table.with(HashMap::clear);
                }
                Err(error) => tracing::error!(%error, "no BFD: paths to neighbors are not watched"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn reach(&self) -> Result<UnixDatagram, KeeperError> {
        let socket = self.socket.clone();
        let reached = tokio::task::spawn_blocking(move || reach(&socket)).await;
        let connection = reached.map_err(|error| KeeperError::System(error.into()))??;
        // tokio has no type for SEQPACKET sockets. It waits for this one as for any other, and does nothing else with it.
        UnixDatagram::from_std(connection.into()).map_err(KeeperError::System)
    }

    /// `Ok`: the daemon ends.
    async fn converse(
        &mut self,
        connection: &UnixDatagram,
        requests: &mut Requests,
    ) -> io::Result<()> {
        send(connection, &Request::Hello { linger: micros(self.linger) })?;
        for Wanted { peer, local, intervals } in self.wanted.values() {
            send(connection, &Request::start(*peer, *local, *intervals))?;
        }
        loop {
            // Both arms are cancel-safe.
            tokio::select! {
                request = requests.recv() => {
                    let Some((neighbor, request)) = request else { return Ok(()) };
                    for request in self.note(neighbor, request) {
                        send(connection, &request)?;
                    }
                }
                readable = connection.readable() => {
                    readable?;
                    while let Some(report) = receive(connection)? {
                        self.handle_report(&report).await;
                    }
                }
            }
        }
    }

    /// What the process is to be told of this.
    fn note(&mut self, neighbor: NeighborId, request: BfdRequest) -> Vec<Request> {
        let wanted = wanted(request);
        let before = match wanted {
            Some(wanted) => self.wanted.insert(neighbor, wanted),
            None => self.wanted.remove(&neighbor),
        };
        let peer = wanted.map(|wanted| wanted.peer);
        let given_up = before.map(|before| before.peer).filter(|before| Some(*before) != peer);
        if let Some(given_up) = given_up {
            self.table.with(|table| table.remove(&given_up));
        }
        let stop = given_up.map(|peer| Request::Stop { peer: peer.into() });
        let start =
            wanted.map(|Wanted { peer, local, intervals }| Request::start(peer, local, intervals));
        stop.into_iter().chain(start).collect()
    }

    async fn handle_report(&self, report: &Report) {
        let Some(status) = report.status() else { return };
        let session = status.session;
        let neighbor = self.wanted.iter().find(|(_, wanted)| wanted.peer == session.peer);
        // What was given up says goodbye.
        let Some((neighbor, _)) = neighbor else { return };
        let before = self.table.with(|table| table.insert(session.peer, status));
        let state = session.state;
        if before.map(|before| before.session.state) != Some(state) {
            let diagnostic = session.diagnostic.to_string();
            tracing::info!(peer = %session.peer.address, %state, diagnostic, "BFD session");
        }
        let (neighbor, report) = (
            *neighbor,
            BfdReport {
                state,
                failed: report.failed && state != SessionState::Up,
                control_plane_independent: session.remote_control_plane_independent,
            },
        );
        // Fails only after the shutdown of the engine, which ends this task as well.
        let _ =
            self.engine.with(move |speaker, now| speaker.handle_bfd(neighbor, report, now)).await;
    }
}

/// `None`: nothing.
fn wanted(request: BfdRequest) -> Option<Wanted> {
    let BfdRequest::Start { local, remote, scope_id, multihop, intervals } = request else {
        return None;
    };
    // An address that cannot be looked up is one hop away: the hop limit is then checked.
    let is_far = || bgp::net::is_on_link(remote).is_ok_and(|on_link| !on_link);
    let peer = Peer::new(remote, scope_id, multihop.unwrap_or_else(is_far));
    Some(Wanted { peer, local, intervals })
}

fn reach(socket: &Path) -> Result<OwnedFd, KeeperError> {
    let program = std::env::current_exe().map_err(KeeperError::System)?;
    let (connection, _child) = client::reach(socket, &program, "bfd")?;
    rustix::io::ioctl_fionbio(&connection, true)
        .map_err(|error| KeeperError::System(error.into()))?;
    Ok(connection)
}

fn send(connection: &UnixDatagram, request: &Request) -> io::Result<()> {
    let bytes = serde_json::to_vec(request)?;
    channel::send(connection, &bytes, None, SendFlags::DONTWAIT)?;
    Ok(())
}

/// `None`: nothing more for now.
fn receive(connection: &UnixDatagram) -> io::Result<Option<Report>> {
    let received = connection
        .try_io(Interest::READABLE, || Ok(channel::receive(connection, RecvFlags::DONTWAIT)?));
    match received {
        Ok(Some(packet)) => Ok(Some(serde_json::from_slice(&packet.bytes)?)),
        Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
