//! The keeper process: one thread, one poll loop. Decisions are in `holdings`; here is only what touches sockets.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use rustix::process::{Resource, Rlimit};

use super::holdings::{Held, Holdings};
use super::protocol::{ProtocolError, Reply, Request};
use super::{KeeperError, channel};

/// The line the keeper prints when it listens: what started it waits for that.
pub(super) const READY: &str = "ready\n";

/// How long a daemon that takes its sessions back may leave the keeper waiting.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the keeper in this process until it holds nothing and no daemon needs it, or until SIGTERM.
///
/// Leaves the session of whoever started it, so that what ends the daemon does not end the keeper with it.
/// Says `ready` on stdout once it listens and then lets go of stdin and stdout; stderr stays for its few words.
pub fn run(socket: &Path) -> Result<(), KeeperError> {
    // Fails only where the process already leads a session or a group: then it is detached as far as it wants to be.
    let _already_leader = rustix::process::setsid();
    raise_descriptor_limit();
    let listener = listen(socket)?;
    release_stdio().map_err(KeeperError::System)?;
    let result = serve(&listener);
    // The path goes before the listener, so that a daemon never finds a path that nobody will serve again,
    // and a keeper started by then has its own.
    if let Err(error) = fs::remove_file(socket) {
        say(&format!("cannot remove {}: {error}", socket.display()));
    }
    result
}

/// Listens on `path`, which only this user can open. A path left by a dead keeper is taken over.
pub(crate) fn listen(path: &Path) -> Result<OwnedFd, KeeperError> {
    let fail = |source: io::Error| KeeperError::Listen { path: path.to_owned(), source };
    let address = SocketAddrUnix::new(path).map_err(|error| fail(error.into()))?;
    let open = || -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        // Linux gives the path the mode that the socket has when it is bound: no moment of wider rights.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, 8)?;
        Ok(socket)
    };
    match open() {
        Err(Errno::ADDRINUSE) => {
            remove_stale(path, &address)?;
            open()
        }
        other => other,
    }
    .map_err(|error| fail(error.into()))
}

/// Serves until [`Holdings::is_over`].
pub(super) fn serve(listener: &OwnedFd) -> Result<(), KeeperError> {
    let mut holdings = Holdings::new(Instant::now());
    let mut daemon: Option<OwnedFd> = None;
    while !holdings.is_over(Instant::now()) {
        let ready = wait(listener, daemon.as_ref(), &holdings)?;
        for id in ready.closed_by_peer {
            holdings.forget(id);
        }
        // The daemon before the listener: what a dead daemon said last counts before its successor asks.
        if let Some(connection) = &daemon
            && (ready.daemon || ready.listener)
            && let Err(end) = handle_requests(connection, &mut holdings)
        {
            say(&end.to_string());
            daemon = None;
            holdings.handle_daemon_gone(Instant::now());
        }
        if ready.listener
            && let Some(connection) = accept(listener)
        {
            daemon = Some(connection);
            holdings.handle_daemon_connected();
        }
    }
    say(&format!("ends with {} sessions", holdings.sessions().count()));
    Ok(())
}

/// Which of the sockets the loop waits for have something to say.
struct Ready {
    listener: bool,
    daemon: bool,
    closed_by_peer: Vec<u64>,
}

fn wait(
    listener: &OwnedFd,
    daemon: Option<&OwnedFd>,
    holdings: &Holdings<OwnedFd>,
) -> Result<Ready, KeeperError> {
    let mut ids = Vec::new();
    let mut fds = vec![PollFd::new(listener, PollFlags::IN)];
    if let Some(daemon) = daemon {
        fds.push(PollFd::new(daemon, PollFlags::IN));
    } else {
        // While a daemon is there, the sessions are its business: it forgets the ones that end.
        for (id, held) in holdings.sessions() {
            ids.push(id);
            fds.push(PollFd::new(&held.socket, PollFlags::RDHUP));
        }
    }
    let sessions_from = fds.len() - ids.len();
    let timeout = holdings.deadline().map(|at| at.saturating_duration_since(Instant::now()));
    match poll(&mut fds, timeout.and_then(timespec).as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(KeeperError::System(error.into())),
    }
    let woken = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let closed_by_peer = fds
        .iter()
        .skip(sessions_from)
        .zip(ids)
        .filter(|(fd, _)| woken(fd))
        .map(|(_, id)| id)
        .collect();
    Ok(Ready {
        listener: fds.first().is_some_and(woken),
        daemon: daemon.is_some() && fds.get(1).is_some_and(woken),
        closed_by_peer,
    })
}

/// Why a daemon's connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the daemon is gone")]
    Gone,
    #[error("refused the daemon's message: {0}")]
    Refused(#[from] ProtocolError),
    #[error("the daemon's connection failed: {0}")]
    Failed(#[from] Errno),
}

/// Does all that the daemon has asked so far.
fn handle_requests(daemon: &OwnedFd, holdings: &mut Holdings<OwnedFd>) -> Result<(), End> {
    loop {
        let packet = match channel::receive(daemon, RecvFlags::DONTWAIT) {
            Ok(Some(packet)) => packet,
            Ok(None) => return Err(End::Gone),
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(End::Failed(error)),
        };
        let request = Request::decode(&packet.bytes)?;
        if request.carries_descriptor() != packet.descriptor.is_some() {
            return Err(End::Refused(ProtocolError::Descriptor(request.kind())));
        }
        match (request, packet.descriptor) {
            (Request::Keep { id, hold, state }, Some(socket)) => {
                holdings.keep(id, Held { hold, clean: true, state, socket });
            }
            (Request::Keep { .. }, None) => {}
            (Request::Forget { id }, _) => holdings.forget(id),
            (Request::Clean { id, clean }, _) => holdings.set_clean(id, clean),
            (Request::Take, _) => give_back(daemon, holdings)?,
        }
    }
}

fn give_back(daemon: &OwnedFd, holdings: &Holdings<OwnedFd>) -> Result<(), Errno> {
    for (id, held) in holdings.sessions() {
        let reply = Reply::Kept { id, clean: held.clean, state: held.state.clone() };
        channel::send(daemon, &reply.encode(), Some(held.socket.as_fd()), SendFlags::empty())?;
    }
    channel::send(daemon, &Reply::End.encode(), None, SendFlags::empty())
}

/// The next daemon, if it is one.
pub(crate) fn accept(listener: &OwnedFd) -> Option<OwnedFd> {
    let connection = match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
        Ok(connection) => connection,
        Err(Errno::AGAIN) => return None,
        Err(error) => {
            say(&format!("cannot accept a daemon: {error}"));
            return None;
        }
    };
    let timeout = Some(SEND_TIMEOUT);
    let checked = channel::refuse_strangers(&connection).and_then(|()| {
        sockopt::set_socket_timeout(&connection, sockopt::Timeout::Send, timeout)
            .map_err(|error| KeeperError::System(error.into()))
    });
    match checked {
        Ok(()) => Some(connection),
        Err(refusal) => {
            say(&refusal.to_string());
            None
        }
    }
}

/// Removes a socket file that nobody listens on any more. Anything else at that path stays.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), KeeperError> {
    let fail = |source: io::Error| KeeperError::Listen { path: path.to_owned(), source };
    let is_socket = fs::symlink_metadata(path).map_err(fail)?.file_type().is_socket();
    let probe = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|error| fail(error.into()))?;
    match rustix::net::connect(&probe, address) {
        Err(Errno::CONNREFUSED) if is_socket => fs::remove_file(path).map_err(fail),
        Ok(()) => Err(KeeperError::Running(path.to_owned())),
        Err(error) => Err(fail(error.into())),
    }
}

/// Says that the keeper listens, and lets go of the terminal or pipe it was started with.
pub(crate) fn release_stdio() -> io::Result<()> {
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let mut stdout = io::stdout();
    // Nobody may be waiting: a keeper started by hand with a closed stdout is as good.
    let _nobody_waits = stdout.write_all(READY.as_bytes()).and_then(|()| stdout.flush());
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// One descriptor per session: the soft limit of 1024 is for programs that use select.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        say(&format!("cannot raise the limit of open files: {error}"));
    }
}

fn say(text: &str) {
    say_as("keeper", text);
}

/// A line on stderr, if anyone still reads it: such a process must not die because its log did.
pub(crate) fn say_as(role: &str, text: &str) {
    let _nobody_reads = writeln!(io::stderr(), "switchd {role}: {text}");
}

fn timespec(duration: Duration) -> Option<Timespec> {
    // Rounded up: waking a moment before the deadline would spin until it has passed.
    Timespec::try_from(duration + Duration::from_millis(1)).ok()
}
