//! The task that owns the speaker: moves bytes, keeps time, passes events on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::connection::{CHUNK, Link};
use super::keep::{self, Kept, KeptSession, SessionKeeper, SharedKeeper};
use super::station::StationLink;
use super::{Command, options, socket};
use crate::speaker::{
    Action, Auth, ConnectionId, Event, NeighborId, SavedSession, Speaker, StationConfig, StationId,
};

/// What tasks have for the driver and it has not looked at. Each holds at most a chunk.
const INPUTS: usize = 64;
/// Events in one batch.
const EVENTS: usize = 1024;
/// Inputs taken before the speaker is asked what to send: enough to coalesce, too few to be late.
const INPUTS_AT_ONCE: usize = 16;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// From the tasks of connections, listeners and attempts.
#[derive(Debug)]
pub(super) enum Input {
    Accepted { stream: TcpStream, remote: SocketAddr },
    Connected { neighbor: NeighborId, attempt: u64, outcome: io::Result<TcpStream> },
    Received { connection: ConnectionId, bytes: Vec<u8> },
    Written { connection: ConnectionId },
    Closed { connection: ConnectionId, error: Option<io::Error> },
    AddStation { remote: SocketAddr, config: StationConfig, reply: oneshot::Sender<StationId> },
    RemoveStation { id: StationId },
    StationConnected { id: StationId, chunks: mpsc::Sender<Vec<u8>> },
    StationWritten,
    StationClosed { id: StationId },
}

#[derive(Debug)]
pub(super) struct Driver {
    speaker: Speaker,
    links: HashMap<ConnectionId, Link>,
    attempts: HashMap<NeighborId, (u64, AbortHandle)>,
    next_attempt: u64,
    stations: HashMap<StationId, StationLink>,
    listeners: Vec<Listener>,
    keeper: Option<SharedKeeper>,
    next_key: u64,
    inputs: mpsc::Receiver<Input>,
    /// For the tasks to come.
    input_sender: mpsc::Sender<Input>,
    events: mpsc::Sender<Vec<Event>>,
}

impl Driver {
    pub(super) fn new(
        speaker: Speaker,
        listeners: Vec<TcpListener>,
        events: mpsc::Sender<Vec<Event>>,
    ) -> Self {
        let (input_sender, inputs) = mpsc::channel(INPUTS);
        let listeners = listeners
            .into_iter()
            .map(|listener| Listener::new(listener, input_sender.clone()))
            .collect();
        Self {
            speaker,
            links: HashMap::new(),
            attempts: HashMap::new(),
            next_attempt: 0,
            listeners,
            stations: HashMap::new(),
            keeper: None,
            next_key: 0,
            inputs,
            input_sender,
            events,
        }
    }

    /// For what is not about the speaker alone.
    pub(super) fn input_sender(&self) -> mpsc::Sender<Input> {
        self.input_sender.clone()
    }

    /// Goes on with sessions of the process before us, as far as they can be gone on with, and has its own kept.
    pub(super) fn use_keeper(&mut self, keeper: Box<dyn SessionKeeper>, kept: Vec<KeptSession>) {
        let keeper = SharedKeeper::new(keeper);
        let last = kept.iter().map(|session| session.key).max();
        self.next_key = last.map_or(0, |key| key.wrapping_add(1));
        for session in kept {
            self.resume(session, &keeper);
        }
        self.keeper = Some(keeper);
    }

    fn resume(&mut self, session: KeptSession, keeper: &SharedKeeper) {
        let kept = keeper.entry(session.key);
        let socket = std::net::TcpStream::from(session.socket);
        let saved = SavedSession::decode(&session.state).filter(|_| session.clean);
        let connection = saved.and_then(|saved| self.speaker.resume(&saved, Instant::now()));
        let remote = socket.peer_addr().ok();
        let Some(connection) = connection else {
            tracing::info!(?remote, clean = session.clean, "a kept session cannot be resumed");
            keep::end(&socket);
            return kept.forget();
        };
        match keep::revive(socket) {
            Ok(stream) => {
                self.secure_kept(&stream);
                self.link(connection, stream, Some(kept));
            }
            Err(error) => {
                tracing::warn!(?remote, %error, "cannot take up a kept connection");
                kept.forget();
                self.speaker.handle_closed(connection, Instant::now());
            }
        }
    }

    /// The configuration may be another one by now. If the peer does not agree, it is silent, and its hold timer ends it.
    fn secure_kept(&self, stream: &TcpStream) {
        let Ok(remote) = stream.peer_addr() else { return };
        let Some(transport) = self.speaker.transport(remote) else { return };
        let outcome = options::set_distance(stream, remote.ip(), &transport)
            .and_then(|()| options::set_auth(stream, remote.ip().into(), transport.auth.as_ref()));
        if let Err(error) = outcome {
            tracing::warn!(%remote, %error, "cannot secure a kept connection anew");
        }
    }

    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut shutdown: mpsc::Receiver<oneshot::Sender<()>>,
    ) {
        let events = self.events.clone();
        let done = loop {
            self.act();
            self.transmit();
            let wake_at = self.speaker.poll_timeout().map(tokio::time::Instant::from_std);
            let has_events = self.speaker.has_events() && !events.is_closed();
            // All arms are cancel-safe: receiving, reserving and sleeping lose nothing.
            tokio::select! {
                done = shutdown.recv() => break done,
                command = commands.recv() => match command {
                    Some(command) => command(&mut self.speaker, Instant::now()),
                    None => break None,
                },
                Some(input) = self.inputs.recv() => self.handle_inputs(input),
                () = sleep_until(wake_at) => {}
                permit = events.reserve(), if has_events => {
                    if let Ok(permit) = permit {
                        permit.send(next_events(&mut self.speaker));
                    }
                }
            }
            self.speaker.handle_timeout(Instant::now());
        };
        self.stop().await;
        if let Some(done) = done {
            // Whoever asked may have gone away.
            let _ = done.send(());
        }
    }

    fn handle_inputs(&mut self, first: Input) {
        self.handle_input(first);
        for _ in 1..INPUTS_AT_ONCE {
            match self.inputs.try_recv() {
                Ok(input) => self.handle_input(input),
                Err(_) => return,
            }
        }
    }

    fn handle_input(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Received { connection, bytes } => {
                self.speaker.handle_bytes(connection, &bytes, now)
            }
            Input::Written { connection } => {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.written();
                }
            }
            Input::Closed { connection, error } => {
                if let Some(link) = self.links.remove(&connection) {
                    tracing::debug!(?connection, ?error, "connection closed by the peer");
                    link.close(Vec::new());
                    self.speaker.handle_closed(connection, now);
                }
            }
            Input::AddStation { remote, config, reply } => {
                let id = self.speaker.add_station(config);
                let link = StationLink::new(id, remote, self.input_sender.clone());
                self.stations.insert(id, link);
                // Whoever asked may have gone away.
                let _ = reply.send(id);
            }
            Input::RemoveStation { id } => {
                self.speaker.remove_station(id);
                self.stations.remove(&id);
            }
            Input::StationConnected { id, chunks } => {
                if let Some(link) = self.stations.get_mut(&id) {
                    link.connected(chunks);
                    self.speaker.handle_station_connected(id, now);
                }
            }
            // There is room for more.
            Input::StationWritten => {}
            Input::StationClosed { id } => {
                if let Some(link) = self.stations.get_mut(&id) {
                    link.close();
                    self.speaker.handle_station_closed(id);
                }
            }
            Input::Accepted { stream, remote } => self.accepted(stream, remote, now),
            Input::Connected { neighbor, attempt, outcome } => {
                if self.attempts.get(&neighbor).is_some_and(|(latest, _)| *latest == attempt) {
                    self.attempts.remove(&neighbor);
                    self.connected(neighbor, outcome, now);
                }
            }
        }
    }

    fn accepted(&mut self, stream: TcpStream, remote: SocketAddr, now: Instant) {
        let Ok(local) = stream.local_addr() else { return };
        let Some(transport) = self.speaker.transport(remote) else {
            tracing::debug!(%remote, "connection refused: not a neighbor");
            return;
        };
        if let Err(error) = options::set_distance(&stream, remote.ip(), &transport) {
            tracing::warn!(%remote, %error, "cannot limit how far a connection comes; refused");
            return;
        }
        match self.speaker.handle_accepted(remote, local, now) {
            Some(connection) => self.link_new(connection, stream),
            None => tracing::debug!(%remote, "connection refused: not now"),
        }
    }

    fn connected(&mut self, neighbor: NeighborId, outcome: io::Result<TcpStream>, now: Instant) {
        let outcome = outcome.and_then(|stream| stream.local_addr().map(|local| (stream, local)));
        match outcome {
            Ok((stream, local)) => {
                if let Some(connection) = self.speaker.handle_connected(neighbor, local, now) {
                    self.link_new(connection, stream);
                }
            }
            Err(error) => {
                tracing::debug!(?neighbor, %error, "cannot connect");
                self.speaker.handle_connect_failed(neighbor, error.to_string(), now);
            }
        }
    }

    fn link_new(&mut self, connection: ConnectionId, stream: TcpStream) {
        let key = self.next_key;
        self.next_key = key.wrapping_add(1);
        let kept = self.keeper.as_ref().map(|keeper| keeper.entry(key));
        socket::tune(&stream);
        self.link(connection, stream, kept);
    }

    fn link(&mut self, connection: ConnectionId, stream: TcpStream, kept: Option<Kept>) {
        let link = Link::new(connection, stream, kept, &self.input_sender);
        self.links.insert(connection, link);
    }

    fn act(&mut self) {
        while let Some(action) = self.speaker.poll_action() {
            match action {
                Action::Connect { neighbor, remote, local, transport } => {
                    self.next_attempt += 1;
                    let attempt = self.next_attempt;
                    let inputs = self.input_sender.clone();
                    let task = tokio::spawn(async move {
                        let outcome = socket::connect(remote, local, &transport).await;
                        // Fails only when the driver has ended.
                        let _ = inputs.send(Input::Connected { neighbor, attempt, outcome }).await;
                    });
                    if let Some((_, older)) =
                        self.attempts.insert(neighbor, (attempt, task.abort_handle()))
                    {
                        older.abort();
                    }
                }
                Action::Authenticate { from, auth, connections } => {
                    self.authenticate(from, auth.as_ref(), &connections);
                }
                Action::Keep { connection, session } => {
                    if let Some(link) = self.links.get(&connection) {
                        link.keep(&session);
                    }
                }
                Action::Close { connection, last_words } => {
                    if let Some(link) = self.links.remove(&connection) {
                        link.close(last_words);
                    }
                }
            }
        }
    }

    fn authenticate(&self, from: IpNet, auth: Option<&Auth>, connections: &[ConnectionId]) {
        let links = connections.iter().filter_map(|connection| self.links.get(connection));
        let outcomes = self
            .listeners
            .iter()
            .map(|listener| listener.authenticate(from, auth))
            .chain(links.map(|link| link.authenticate(from, auth)));
        for error in outcomes.filter_map(Result::err) {
            tracing::warn!(%from, %error, "cannot change the key of a neighbor");
        }
    }

    /// Gives every connection that can take it what it should be sent.
    fn transmit(&mut self) {
        for (connection, link) in &mut self.links {
            while link.has_room()
                && let Some(chunk) = self.speaker.poll_transmit(*connection, CHUNK)
            {
                link.send(chunk);
            }
        }
        for (id, link) in &mut self.stations {
            if link.has_room()
                && let Some(chunk) = self.speaker.poll_station(*id)
            {
                link.send(chunk);
                if self.speaker.is_station_given_up(*id) {
                    link.close();
                }
            }
        }
    }

    async fn stop(mut self) {
        let listening = self.listeners.iter().map(|listener| &listener.task);
        for task in listening.chain(self.attempts.values().map(|(_, task)| task)) {
            task.abort();
        }
        self.speaker.shutdown();
        let mut closing = Vec::new();
        while let Some(action) = self.speaker.poll_action() {
            if let Action::Close { connection, last_words } = action
                && let Some(link) = self.links.remove(&connection)
            {
                closing.push(link.close(last_words));
            }
        }
        // Writers report what they wrote; nobody listens any more.
        self.inputs.close();
        for task in closing {
            // Ends by itself, or after its time limit.
            let _ = task.await;
        }
    }
}

fn next_events(speaker: &mut Speaker) -> Vec<Event> {
    std::iter::from_fn(|| speaker.poll_event()).take(EVENTS).collect()
}

pub(super) async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A socket on which neighbours connect, and the task that accepts them.
#[derive(Debug)]
struct Listener {
    socket: Arc<TcpListener>,
    task: AbortHandle,
}

impl Listener {
    fn new(socket: TcpListener, inputs: mpsc::Sender<Input>) -> Self {
        let socket = Arc::new(socket);
        let task = tokio::spawn(accept(Arc::clone(&socket), inputs)).abort_handle();
        Self { socket, task }
    }

    /// Connections from there must be signed with this from now on.
    fn authenticate(&self, from: IpNet, auth: Option<&Auth>) -> io::Result<()> {
        if socket::is_heard_on(from, self.socket.local_addr()?) {
            options::set_auth(&self.socket, from, auth)?;
        }
        Ok(())
    }
}

async fn accept(listener: Arc<TcpListener>, inputs: mpsc::Sender<Input>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                if inputs.send(Input::Accepted { stream, remote }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Out of file descriptors, mostly: trying again at once would only burn time.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
