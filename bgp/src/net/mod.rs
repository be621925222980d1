//! The engine's only I/O: TCP and the clock, on tokio.
//!
//! One task owns the [`Speaker`]. Each connection has a reader and a writer task; a writer holds a bounded amount, and
//! only then is the speaker asked for more. So a peer that does not read costs neither memory nor the time of others,
//! and a reader stops reading while the speaker is busy: TCP slows the peer down.

#![expect(clippy::disallowed_methods, reason = "the one place of the engine that reads the clock")]

pub mod bfd;
mod connection;
pub mod discovery;
mod driver;
mod interfaces;
mod keep;
mod messages;
mod options;
mod socket;
mod station;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::rib::RouteKey;
use crate::speaker::{
    Event, FibReport, NeighborConfig, NeighborError, NeighborId, NeighborSummary, Route, RouteView,
    Speaker, StationConfig, StationId,
};
use crate::types::AfiSafi;
use driver::{Driver, Input};
pub use interfaces::is_on_link;
pub use keep::{KeptSession, SessionKeeper};

/// Calls on their way to the speaker.
const COMMANDS: usize = 64;
/// FIB reports that the speaker takes at once: between two such lots it looks after its connections.
const FIB_REPORTS: usize = 1024;
/// Routes that are shown at once, for the same reason.
const ROUTES: usize = 4096;
/// Batches of events on their way to the daemon. What does not fit stays in the speaker, where it coalesces.
const EVENT_BATCHES: usize = 4;

/// The engine's task is gone: it was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the BGP engine has been shut down")]
pub struct Stopped;

type Command = Box<dyn FnOnce(&mut Speaker, Instant) + Send>;

/// The way to a running engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    shutdown: mpsc::Sender<oneshot::Sender<()>>,
    inputs: mpsc::Sender<Input>,
}

/// Starts the engine on the current tokio runtime: listens on these addresses and connects where neighbours say so.
///
/// # Errors
/// An address that cannot be listened on.
pub fn spawn(
    speaker: Speaker,
    listen: &[SocketAddr],
) -> io::Result<(Handle, mpsc::Receiver<Vec<Event>>)> {
    start(speaker, listen, |_| {})
}

/// The same with a keeper: sessions that come up are kept, and those of the process before us are gone on with.
///
/// The speaker must have been made with [`restarting`](crate::speaker::SpeakerConfig::restarting) if there are any, and
/// must know its neighbours. What cannot be gone on with is closed. When the process ends without
/// [`Handle::shutdown`], the sessions go on; with it, they end.
///
/// # Errors
/// An address that cannot be listened on. The kept sessions are then neither closed nor forgotten.
pub fn spawn_with_keeper(
    speaker: Speaker,
    listen: &[SocketAddr],
    keeper: Box<dyn SessionKeeper>,
    kept: Vec<KeptSession>,
) -> io::Result<(Handle, mpsc::Receiver<Vec<Event>>)> {
    start(speaker, listen, |driver| driver.use_keeper(keeper, kept))
}

fn start(
    speaker: Speaker,
    listen: &[SocketAddr],
    prepare: impl FnOnce(&mut Driver),
) -> io::Result<(Handle, mpsc::Receiver<Vec<Event>>)> {
    // Before the first connection can come.
    let signers = speaker.signers();
    let listeners = listen
        .iter()
        .map(|address| socket::listen(*address, &signers))
        .collect::<io::Result<Vec<_>>>()?;
    let (commands, command_receiver) = mpsc::channel(COMMANDS);
    let (shutdown, shutdown_receiver) = mpsc::channel(1);
    let (events, event_receiver) = mpsc::channel(EVENT_BATCHES);
    let mut driver = Driver::new(speaker, listeners, events);
    prepare(&mut driver);
    let inputs = driver.input_sender();
    tokio::spawn(driver.run(command_receiver, shutdown_receiver));
    Ok((Handle { commands, shutdown, inputs }, event_receiver))
}

impl Handle {
    /// Runs something on the speaker, in order with everything else.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Speaker, Instant) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let command: Command = Box::new(move |speaker, now| {
            // Whoever asked may have gone away meanwhile.
            let _ = answer.send(call(speaker, now));
        });
        self.commands.send(command).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// Starts a session with a neighbour.
    ///
    /// # Errors
    /// The engine was shut down; inside: what is wrong with the neighbour.
    pub async fn add_neighbor(
        &self,
        config: NeighborConfig,
    ) -> Result<Result<NeighborId, NeighborError>, Stopped> {
        self.with(|speaker, now| speaker.add_neighbor(config, now)).await
    }

    /// Ends the session with a neighbour and forgets it.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn remove_neighbor(&self, id: NeighborId) -> Result<(), Stopped> {
        self.with(move |speaker, now| speaker.remove_neighbor(id, now)).await
    }

    /// Announces routes that begin here, or changes them.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn announce(&self, routes: Vec<Route>) -> Result<(), Stopped> {
        self.with(|speaker, _| routes.into_iter().for_each(|route| speaker.announce(route))).await
    }

    /// Withdraws routes that begin here.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn withdraw(&self, keys: Vec<RouteKey>) -> Result<(), Stopped> {
        self.with(move |speaker, _| keys.iter().for_each(|key| speaker.withdraw(key))).await
    }

    /// Tells what became of best paths in the kernel or in hardware, for a speaker with
    /// [`suppress_fib_pending`](crate::speaker::SpeakerConfig::suppress_fib_pending). As many as there are: they go in
    /// lots, so that connections are looked after in between, and the caller waits until the last one is taken. The
    /// engine itself waits for no report.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn report_fib(&self, reports: Vec<FibReport>) -> Result<(), Stopped> {
        let mut reports = reports.into_iter();
        loop {
            let lot: Vec<FibReport> = reports.by_ref().take(FIB_REPORTS).collect();
            if lot.is_empty() {
                return Ok(());
            }
            self.with(move |speaker, _| lot.iter().for_each(|report| speaker.handle_fib(report)))
                .await?;
        }
    }

    /// Has a station at `remote` told what neighbours tell us (BMP, RFC 7854), and goes on connecting to it.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn add_station(
        &self,
        remote: SocketAddr,
        config: StationConfig,
    ) -> Result<StationId, Stopped> {
        let (reply, id) = oneshot::channel();
        let input = Input::AddStation { remote, config, reply };
        self.inputs.send(input).await.map_err(|_| Stopped)?;
        id.await.map_err(|_| Stopped)
    }

    /// Forgets a station. Its connection ends.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn remove_station(&self, id: StationId) -> Result<(), Stopped> {
        self.inputs.send(Input::RemoveStation { id }).await.map_err(|_| Stopped)
    }

    /// After a restart: all our routes of this family are announced.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn local_routes_ready(&self, family: AfiSafi) -> Result<(), Stopped> {
        self.with(move |speaker, _| speaker.local_routes_ready(family)).await
    }

    /// All neighbours.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn neighbors(&self) -> Result<Vec<NeighborSummary>, Stopped> {
        self.with(|speaker, _| speaker.neighbors()).await
    }

    /// All destinations of a family.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn routes(&self, family: AfiSafi) -> Result<Vec<RouteView>, Stopped> {
        let mut routes = Vec::new();
        let mut from = Some(0);
        while let Some(place) = from {
            let (lot, next) = self.routes_from(family, place).await?;
            routes.extend(lot);
            from = next;
        }
        Ok(routes)
    }

    /// Some destinations of a family, and where to go on, as [`Speaker::routes_from`]: connections are looked after
    /// between one call and the next.
    ///
    /// # Errors
    /// The engine was shut down.
    pub async fn routes_from(
        &self,
        family: AfiSafi,
        from: usize,
    ) -> Result<(Vec<RouteView>, Option<usize>), Stopped> {
        self.with(move |speaker, _| speaker.routes_from(family, from, ROUTES)).await
    }

    /// Closes all connections without a NOTIFICATION and ends the engine: what it has announced and installed stays
    /// as far as graceful restart was agreed on. Returns when the connections are closed.
    pub async fn shutdown(&self) {
        let (done, wait) = oneshot::channel();
        if self.shutdown.send(done).await.is_ok() {
            // The sender is dropped with the task: both ways it is over.
            let _ = wait.await;
        }
    }
}
