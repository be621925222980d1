//! The wiring diagram as code: which tasks and threads there are, and which channel goes where.
//!
//! ```text
//!  kernel monitor (thread) ──notifications──►┐
//!  bgp::net (task) ──────────best paths─────►│ core (task) ──batches──► kernel writer (thread)
//!  hardware (thread) ────────ASIC, tables───►│             ◄─outcomes──
//!  gRPC server (task) ───────queries────────►│
//!                                            └──originations──► bgp::net
//! ```
//! One thread writes to the kernel; one reads what changed. Both block, so the core never does.

mod reload;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgp::discovery::Sighting;
use bgp::net::discovery::InterfaceChange;
use bgp::speaker::{
    Auth, GracefulRestartConfig, ListenRange, NeighborConfig, NeighborError, RouteKey, Speaker,
    SpeakerConfig,
};
use platform::kernel::{
    Change, Dataplane, KernelError, Key, Link, Model, Monitor, Notification, Object, Retry, Socket,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use self::reload::Running;
use crate::api::{self, Access, BgpAccess, Query, Reload, SocketError, views};
use crate::bfd;
use crate::config::{Bgp, Config, Neighbor, Peer};
use crate::core::{Core, Originations, has_leftovers};
use crate::hardware;
use crate::journal::Journal;
use crate::keeper::{Keeper, KeptSession};
use crate::metrics;
use crate::unnumbered::usable;

/// Messages that may wait in a channel: enough to ride out a burst, few enough to bound memory. A full channel stops the
/// reader of the kernel, and then the kernel tells us of the overrun.
const QUEUE: usize = 1024;

/// How long BFD goes on without us where BGP has no hold time: as long as the keeper.
const FOREVER: Duration = Duration::from_secs(180);

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The kernel could not be read.
    #[error("cannot read the kernel's state: {0}; switchd needs root (CAP_NET_ADMIN)")]
    Kernel(#[from] KernelError),
    /// The API's socket could not be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Metrics could not listen.
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
    /// BGP could not listen.
    #[error(
        "BGP cannot listen on port {port}: {source}; is another BGP daemon running, or `listen` not an address of this machine?"
    )]
    Listen {
        /// The port.
        port: u16,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A neighbour of the configuration that the speaker refuses.
    #[error("neighbor {peer}: {reason}")]
    Neighbor {
        /// Which.
        peer: Peer,
        /// Why.
        reason: String,
    },
    /// No socket for router advertisements.
    #[error(
        "cannot find unnumbered neighbors: no raw ICMPv6 socket: {0}; switchd needs root (CAP_NET_RAW)"
    )]
    Discovery(std::io::Error),
    /// A thread or a signal handler could not be had.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// What the kernel threads tell the core.
enum FromKernel {
    Notifications(Vec<Notification>),
    Overrun,
    Applied(Vec<Change>, Vec<Result<(), KernelError>>),
    Snapshot(Model),
    Read(Vec<Key>, Vec<Object>),
    Hardware(hardware::Report),
    Failed(KernelError),
}

/// What the core asks of the kernel writer.
enum ToKernel {
    Apply(Vec<Change>),
    Read(Vec<Key>),
    Snapshot,
}

/// The way to the threads that may block.
struct ToThreads {
    kernel: std::sync::mpsc::Sender<ToKernel>,
    /// Which ASIC are these links ports of?
    hardware: std::sync::mpsc::Sender<Vec<Link>>,
}

/// The running BGP engine.
struct Engine {
    handle: bgp::net::Handle,
    /// Where interfaces with an unnumbered neighbour are told, if there are any.
    interfaces: Option<mpsc::UnboundedSender<InterfaceChange>>,
}

/// Runs until SIGTERM or SIGINT. Leaves what it installed: forwarding goes on without it.
///
/// # Errors
/// It could not start, or the kernel can no longer be read.
pub async fn run(config: Config, file: &Path, socket: &Path) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let listener = api::listen(socket).await?;

    // Subscribe before reading, so that nothing falls between the two.
    let (monitor, _stop_monitor_at_the_end) = Monitor::open()?;
    let mut kernel = Socket::open()?;
    let model = read_all(&mut kernel)?;
    let (inheritance, mut journal) = take_over(&config, socket).unzip();
    let restarting = has_leftovers(&model)
        || inheritance.as_ref().is_some_and(|inheritance| !inheritance.sessions.is_empty());
    let profile = hardware::detect(&model);
    let has_asic = profile.is_some();
    // Flags of routes may have changed before the kernel was told to tell of them.
    let model = if has_asic { read_all(&mut kernel)? } else { model };
    let mut core = Core::new(&config, model, profile, Instant::now());
    if has_asic {
        core.handle_fills(hardware::fills().unwrap_or_default(), Instant::now());
    }

    let (kernel_events, mut from_kernel) = mpsc::channel(QUEUE);
    let (to_kernel, kernel_requests) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("kernel-monitor".into()).spawn({
        let events = kernel_events.clone();
        move || watch(monitor, &events)
    })?;
    let (to_hardware, ports) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("hardware".into()).spawn({
        let events = kernel_events.clone();
        let tell = move |report| events.blocking_send(FromKernel::Hardware(report)).is_ok();
        move || hardware::watch(has_asic, &ports, tell)
    })?;
    std::thread::Builder::new()
        .name("kernel-writer".into())
        .spawn(move || write(kernel, &kernel_requests, &kernel_events))?;
    let kernel = ToThreads { kernel: to_kernel, hardware: to_hardware };

    let (bgp, mut bgp_events) = match &config.bgp {
        Some(bgp) => start_bgp(bgp, restarting, inheritance, journal.as_mut(), &mut core)
            .map(|(handle, events)| (Some(handle), events))?,
        None => (None, mpsc::channel(1).1),
    };
    let (interfaces, mut sightings) = match (&bgp, &config.bgp) {
        (Some(handle), Some(bgp)) => start_discovery(handle, bgp)?,
        _ => None,
    }
    .map_or_else(|| (None, mpsc::channel(1).1), |(told, seen)| (Some(told), seen));
    let (queries, mut asked) = mpsc::channel::<Query>(QUEUE);
    let bfd = start_bfd(&config, bgp.as_ref(), journal.is_some(), socket);
    let (reload, mut reloads) = mpsc::channel::<Reload>(1);
    let bgp_access = access_to_bgp(&config, bgp.as_ref(), bfd.as_ref());
    let access = Access { core: queries.clone(), reload, bgp: bgp_access };
    let mut running = Running::start(config, file.to_owned(), bgp.clone(), queries).await?;
    tokio::spawn(serve_api(listener, access));
    tracing::info!(socket = %socket.display(), bgp = bgp.is_some(), restarting, "switchd is running");

    let engine = bgp.map(|handle| Engine { handle, interfaces });
    loop {
        act(&mut core, &kernel, engine.as_ref(), journal.as_mut()).await;
        let deadline = core.poll_timeout();
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(event) = from_kernel.recv() => handle_kernel(&mut core, event)?,
            Some(events) = bgp_events.recv() => handle_bgp(&mut core, bfd.as_ref(), events),
            _ = hangup.recv() => drop(reread(&mut running, &mut core).await),
            Some(reply) = reloads.recv() => drop(reply.send(reread(&mut running, &mut core).await)),
            Some(sighting) = sightings.recv() => core.handle_sighting(sighting),
            Some(query) = asked.recv() => views::answer(&core, query, Instant::now()),
            () = sleep_until(deadline) => core.handle_timeout(Instant::now()),
        }
    }
    tracing::info!("stopping; what is installed stays, forwarding goes on");
    // With a keeper, sessions go on without us; a peer that hears nothing more closes them after its hold time.
    if let (Some(engine), None) = (engine, journal) {
        engine.handle.shutdown().await;
    }
    let _ = std::fs::remove_file(socket);
    Ok(())
}

/// Reads the configuration again. Whoever asked hears what the log says.
async fn reread(running: &mut Running, core: &mut Core) -> Result<Vec<String>, String> {
    let outcome = running.reload(core).await;
    match &outcome {
        Ok(changes) if changes.is_empty() => tracing::info!("configuration read again: no change"),
        Ok(changes) => {
            for change in changes {
                tracing::info!(change, "configuration read again");
            }
        }
        Err(reason) => {
            tracing::error!(reason, "configuration read again and refused; the old one goes on");
        }
    }
    outcome
}

/// Sends out what follows from the last event.
async fn act(
    core: &mut Core,
    threads: &ToThreads,
    engine: Option<&Engine>,
    journal: Option<&mut Journal>,
) {
    let bgp = engine.map(|engine| &engine.handle);
    // No send can fail while the loop runs: the receivers live until their senders are dropped.
    if core.poll_profile_due() {
        let _ = threads.hardware.send(core.ledger().ports(core.model()));
    }
    if core.poll_snapshot_due() {
        let _ = threads.kernel.send(ToKernel::Snapshot);
    }
    let write = |core: &mut Core| {
        if let Some(batch) = core.poll_batch(Instant::now()) {
            let _ = threads.kernel.send(ToKernel::Apply(batch));
        }
    };
    // Programming comes first; and what comes to light when there is time for it may want to be made again.
    write(core);
    if let Some(keys) = core.poll_read(Instant::now()) {
        let _ = threads.kernel.send(ToKernel::Read(keys));
    }
    write(core);
    for family in core.poll_wanted() {
        if let Some(bgp) = bgp {
            let _ = bgp.with(move |speaker, _| speaker.report_best_paths(family)).await;
        }
    }
    if let (Some(originations), Some(bgp)) = (core.poll_originations(), bgp) {
        write_down(&originations, journal);
        let Originations { announce, withdraw } = originations;
        // Fails only after the shutdown of the engine, which we order ourselves, at the end.
        let _ = bgp.announce(announce).await;
        let _ = bgp.withdraw(withdraw).await;
    }
    for family in core.poll_ready_families() {
        if let Some(bgp) = bgp {
            let _ = bgp.local_routes_ready(family).await;
        }
    }
    for change in core.poll_interfaces() {
        let told = engine.and_then(|engine| engine.interfaces.as_ref());
        // Discovery ends after the engine.
        let _ = told.map(|told| told.send(change));
    }
    if let Some(bgp) = bgp {
        let _ = bgp.report_fib(core.poll_fib_reports(Instant::now())).await;
    }
}

/// What BGP asks of BFD, and then what it tells the core.
fn handle_bgp(core: &mut Core, bfd: Option<&bfd::Client>, events: Vec<bgp::speaker::Event>) {
    for event in &events {
        if let (bgp::speaker::Event::Bfd { neighbor, request }, Some(bfd)) = (event, bfd) {
            bfd.request(*neighbor, request.clone());
        }
    }
    core.handle_bgp(events);
}

fn access_to_bgp(
    config: &Config,
    bgp: Option<&bgp::net::Handle>,
    bfd: Option<&bfd::Client>,
) -> Option<BgpAccess> {
    let config = Arc::new(config.bgp.clone()?);
    Some(BgpAccess { handle: bgp?.clone(), config, bfd: bfd?.table() })
}

/// The way to BFD, which begins to work when BGP asks for the first session.
fn start_bfd(
    config: &Config,
    bgp: Option<&bgp::net::Handle>,
    has_keeper: bool,
    socket: &Path,
) -> Option<bfd::Client> {
    let (bgp, config) = bgp.zip(config.bgp.as_ref())?;
    let linger = bfd_linger(config, has_keeper);
    Some(bfd::Client::spawn(bgp.clone(), socket.with_added_extension("bfd"), linger))
}

/// How long BFD goes on without us: as long as the keeper holds the sessions that it watches.
fn bfd_linger(config: &Bgp, has_keeper: bool) -> Duration {
    if !has_keeper {
        return Duration::ZERO;
    }
    let hold_times = config.neighbors.iter().filter(|neighbor| neighbor.bfd.is_some());
    let shortest = hold_times.map(|neighbor| neighbor.hold_time.unwrap_or(config.hold_time)).min();
    match shortest {
        None | Some(0) => FOREVER,
        Some(seconds) => Duration::from_secs(seconds.into()),
    }
}

/// Before peers hear of it, so that no crash in between makes a route that nobody remembers.
fn write_down(originations: &Originations, journal: Option<&mut Journal>) {
    let Some(journal) = journal else { return };
    let announced = originations.announce.iter().map(|route| &route.key);
    if let Err(error) =
        journal.announce(announced).and_then(|()| journal.withdraw(&originations.withdraw))
    {
        tracing::warn!(%error, "cannot write the journal: after a crash, peers may keep routes that are gone");
    }
}

fn handle_kernel(core: &mut Core, event: FromKernel) -> Result<(), DaemonError> {
    let now = Instant::now();
    match event {
        FromKernel::Notifications(notifications) => core.handle_notifications(notifications, now),
        FromKernel::Overrun => {
            tracing::warn!("the kernel dropped notifications; reading its state anew");
            core.handle_overrun();
        }
        FromKernel::Applied(batch, results) => core.handle_outcome(&batch, results, now),
        FromKernel::Snapshot(model) => core.handle_snapshot(model, now),
        FromKernel::Hardware(hardware::Report::Profile(profile)) => {
            core.handle_profile(profile, now);
        }
        FromKernel::Hardware(hardware::Report::Fills(fills)) => core.handle_fills(fills, now),
        FromKernel::Read(asked, found) => core.handle_read(&asked, found, now),
        FromKernel::Failed(error) => return Err(error.into()),
    }
    Ok(())
}

fn start_bgp(
    config: &Bgp,
    restarting: bool,
    inheritance: Option<Inheritance>,
    journal: Option<&mut Journal>,
    core: &mut Core,
) -> Result<(bgp::net::Handle, mpsc::Receiver<Vec<bgp::speaker::Event>>), DaemonError> {
    let now = Instant::now();
    let mut speaker = Speaker::new(speaker_config(config, restarting), now);
    for family in core.poll_wanted() {
        speaker.report_best_paths(family);
    }
    speaker.set_ranges(listen_ranges(config, core.model()), now);
    for neighbor in named(config) {
        let refused = |error: NeighborError| DaemonError::Neighbor {
            peer: neighbor.peer.clone(),
            reason: error.to_string(),
        };
        let neighbor = neighbor_config(config, neighbor, core.model());
        speaker.add_neighbor(neighbor, now).map_err(refused)?;
    }
    if let Some(originations) = core.poll_originations() {
        write_down(&originations, journal);
        originations.announce.into_iter().for_each(|route| speaker.announce(route));
    }
    let listen: Vec<SocketAddr> =
        config.listen.iter().map(|address| (*address, config.port).into()).collect();
    match inheritance {
        Some(Inheritance { keeper, sessions, announced }) => {
            speaker.predecessor_announced(announced);
            let sessions = sessions.into_iter().map(Into::into).collect();
            bgp::net::spawn_with_keeper(speaker, &listen, Box::new(keeper), sessions)
        }
        None => bgp::net::spawn(speaker, &listen),
    }
    .map_err(|source| DaemonError::Listen { port: config.port, source })
}

/// Finds the neighbours of interfaces: also when there are none yet, because a reload may bring some.
#[expect(clippy::type_complexity, reason = "the two ends of one thing, taken apart at once")]
fn start_discovery(
    handle: &bgp::net::Handle,
    config: &Bgp,
) -> Result<Option<(mpsc::UnboundedSender<InterfaceChange>, mpsc::Receiver<Sighting>)>, DaemonError>
{
    let wanted =
        config.neighbors.iter().any(|neighbor| matches!(neighbor.peer, Peer::Interface(_)));
    let seed = config.router_id.0.to_bits().into();
    match bgp::net::discovery::spawn(handle.clone(), seed) {
        Ok(ends) => Ok(Some(ends)),
        Err(error) if wanted => Err(DaemonError::Discovery(error)),
        Err(error) => {
            tracing::debug!(%error, "no raw ICMPv6 socket: unnumbered neighbors could not be found");
            Ok(None)
        }
    }
}

fn hostname() -> Option<String> {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok())
}

/// What a former switchd left to go on with.
struct Inheritance {
    keeper: Keeper,
    sessions: Vec<KeptSession>,
    /// What its peers may have from it.
    announced: Vec<RouteKey>,
}

/// Takes over from a former switchd, if there was one, and prepares for the next. Without keeper and journal switchd
/// runs as well; only the next crash costs more.
fn take_over(config: &Config, socket: &Path) -> Option<(Inheritance, Journal)> {
    config.bgp.as_ref().filter(|bgp| bgp.non_stop_routing)?;
    let start = || -> Result<_, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let (keeper, sessions) =
            Keeper::connect_or_start(&socket.with_added_extension("keeper"), &program)
                .map_err(|error| error.to_string())?;
        let (journal, announced) = Journal::open(&socket.with_added_extension("announced"))
            .map_err(|error| error.to_string())?;
        Ok((Inheritance { keeper, sessions, announced }, journal))
    };
    start()
        .inspect_err(|reason| {
            tracing::warn!(reason, "no session keeper: if switchd is killed, its BGP sessions end");
        })
        .ok()
}

fn speaker_config(config: &Bgp, restarting: bool) -> SpeakerConfig {
    SpeakerConfig {
        hostname: hostname(),
        hold_time: config.hold_time,
        connect_retry: config.connect_retry,
        graceful_restart: config.graceful_restart.then(|| GracefulRestartConfig {
            restart_time: config.restart_time,
            notification: config.graceful_restart_notification,
            long_lived: config.long_lived_stale_time,
            // A peer that is alive is back after one more try to connect; a dead one must not hold up the others longer.
            selection_deferral: config.connect_retry + Duration::from_secs(config.hold_time.into()),
            ..GracefulRestartConfig::default()
        }),
        restarting,
        suppress_fib_pending: config.suppress_fib_pending,
        multipath: config.multipath,
        summary_only: config
            .aggregates
            .iter()
            .filter(|aggregate| aggregate.summary_only)
            .map(|aggregate| aggregate.prefix)
            .collect(),
        graceful_shutdown: config.graceful_shutdown,
        ..SpeakerConfig::new(config.asn, config.router_id)
    }
}

/// Neighbours that are there whether they connect or not.
fn named(config: &Bgp) -> impl Iterator<Item = &Neighbor> {
    config.neighbors.iter().filter(|neighbor| !matches!(neighbor.peer, Peer::Range { .. }))
}

fn listen_ranges(config: &Bgp, model: &Model) -> Vec<ListenRange> {
    let range = |neighbor: &Neighbor| match neighbor.peer {
        Peer::Range { prefix, limit } => Some(ListenRange {
            prefix,
            limit: limit.into(),
            template: neighbor_config(config, neighbor, model),
        }),
        Peer::Address(_) | Peer::Interface(_) => None,
    };
    config.neighbors.iter().filter_map(range).collect()
}

fn neighbor_config(config: &Bgp, neighbor: &Neighbor, model: &Model) -> NeighborConfig {
    let (remote_as, families) = (neighbor.remote_as, neighbor.families.clone());
    let base = match &neighbor.peer {
        Peer::Address(address) => NeighborConfig::new(*address, remote_as, families),
        Peer::Range { prefix, .. } => NeighborConfig::new(prefix.addr(), remote_as, families),
        Peer::Interface(name) => {
            // A session that was kept is on this one.
            let scope_id = usable(model, name).map_or(0, |interface| interface.index);
            NeighborConfig::on_interface(name, scope_id, remote_as, families)
        }
    };
    let rules = &neighbor.route_rules;
    NeighborConfig {
        port: config.port,
        passive: neighbor.passive,
        local_as: neighbor.local_as,
        local_address: neighbor.local_address,
        hold_time: Some(neighbor.hold_time.unwrap_or(config.hold_time)),
        connect_retry: Some(neighbor.connect_retry.unwrap_or(config.connect_retry)),
        keepalive: neighbor.keepalive.or(config.keepalive),
        shutdown: neighbor.shutdown.clone(),
        bfd: neighbor.bfd,
        distance: neighbor.distance,
        auth: neighbor.password.clone().map(Auth::Md5),
        next_hop_self: neighbor.next_hop_self,
        route_reflector_client: neighbor.route_reflector_client,
        default_originate: neighbor.default_originate,
        maximum_prefix: rules.maximum_prefix.clone(),
        advertisement_interval: Duration::from_secs(rules.advertisement_interval.into()),
        role: rules.role,
        role_strict: rules.role_strict,
        allow_own_as: rules.allow_own_as,
        as_override: rules.as_override,
        remove_private_as: rules.remove_private_as,
        as_path_unchanged: rules.as_path_unchanged,
        next_hop_unchanged: rules.next_hop_unchanged,
        med_unchanged: rules.med_unchanged,
        graceful_shutdown: rules.graceful_shutdown,
        policy: neighbor.policy.clone(),
        add_path_receive: neighbor.add_path_receive,
        add_path_send: neighbor.add_path_send,
        ..base
    }
}

fn watch(mut monitor: Monitor, events: &mpsc::Sender<FromKernel>) {
    loop {
        let event = match monitor.receive() {
            Ok(None) => return,
            Ok(Some(notifications)) => FromKernel::Notifications(notifications),
            Err(KernelError::Overrun) => FromKernel::Overrun,
            Err(error) => FromKernel::Failed(error),
        };
        if events.blocking_send(event).is_err() {
            return;
        }
    }
}

fn write(
    mut kernel: Socket,
    requests: &std::sync::mpsc::Receiver<ToKernel>,
    events: &mpsc::Sender<FromKernel>,
) {
    for request in requests {
        let event = match request {
            ToKernel::Apply(batch) => {
                let results = kernel.apply(&batch);
                FromKernel::Applied(batch, results)
            }
            ToKernel::Read(keys) => match kernel.read(&keys) {
                Ok(found) => FromKernel::Read(keys, found),
                Err(error) => {
                    tracing::warn!(%error, "could not look at entries; trying again by and by");
                    FromKernel::Read(keys, Vec::new())
                }
            },
            ToKernel::Snapshot => match read_all(&mut kernel) {
                Ok(model) => FromKernel::Snapshot(model),
                Err(error) => FromKernel::Failed(error),
            },
        };
        if events.blocking_send(event).is_err() {
            return;
        }
    }
}

/// Reads all that the kernel holds. Tables that change faster than they can be read are read again until they hold still
/// for a moment: there is nothing better to do meanwhile.
fn read_all(kernel: &mut Socket) -> Result<Model, KernelError> {
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        match kernel.snapshot() {
            Err(error) if error.retry() != Retry::AfterChange => {
                tracing::warn!(%error, "could not read the kernel's state; trying again");
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// What metrics show, gathered where it is; `None`: the daemon is going down.
async fn scrape(
    queries: mpsc::Sender<Query>,
    bgp: Option<bgp::net::Handle>,
) -> Option<metrics::Snapshot> {
    let (reply, answer) = oneshot::channel();
    queries.send(Query::Metrics(reply)).await.ok()?;
    let (entries, kernel) = answer.await.ok()?;
    let sessions = match bgp {
        Some(bgp) => bgp.neighbors().await.ok()?,
        None => Vec::new(),
    };
    let sessions = sessions.iter().map(Into::into).collect();
    let devices = tokio::task::spawn_blocking(metrics::read_devices).await.ok()?;
    Some(metrics::Snapshot { entries, kernel, sessions, devices })
}

async fn serve_api(listener: tokio::net::UnixListener, access: Access) {
    if let Err(error) = api::serve(listener, access).await {
        tracing::error!(%error, "the API stopped");
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
