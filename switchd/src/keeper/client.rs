//! The daemon's side: find or start the keeper, take back what it holds, tell it what changes.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};

use super::protocol::{MAX_STATE, ProtocolError, Reply, Request};
use super::{KeeperError, channel};

/// How long a keeper may take to start, and to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection to the keeper.
#[derive(Debug)]
pub struct Keeper {
    /// None once the connection failed and that was reported.
    connection: Option<OwnedFd>,
    /// The keeper, where this daemon started it: to reap it, should it die first.
    child: Option<Child>,
}

/// A session that outlived the daemon before this one.
#[derive(Debug)]
pub struct KeptSession {
    /// The id it was kept under. The keeper still holds it: forget it if it is not taken up again.
    pub id: u64,
    /// What [`Keeper::keep`] was given.
    pub state: Vec<u8>,
    /// Whether our side of the stream stands between two messages. If not, nothing sensible can be sent on it.
    pub clean: bool,
    /// The TCP connection.
    pub socket: OwnedFd,
}

impl Keeper {
    /// Connects to the keeper at `path`, after starting `program keeper --socket PATH` if there is none,
    /// and takes back the sessions it holds. Blocks for a few milliseconds, at most some seconds.
    pub fn connect_or_start(
        path: &Path,
        program: &Path,
    ) -> Result<(Self, Vec<KeptSession>), KeeperError> {
        // A second try, because a keeper may have decided to exit in the moment we found it.
        Self::try_once(path, program).or_else(|error| match error {
            KeeperError::Lost(_) | KeeperError::Connect { .. } => Self::try_once(path, program),
            other => Err(other),
        })
    }

    /// Has the keeper hold a duplicate of `socket` for at least `hold` after this daemon is gone.
    pub fn keep(
        &mut self,
        id: u64,
        state: &[u8],
        hold: Duration,
        socket: BorrowedFd<'_>,
    ) -> Result<(), KeeperError> {
        if state.len() > MAX_STATE {
            let message = Request::Keep { id, hold, state: Vec::new() };
            let found = state.len();
            return Err(ProtocolError::Length { kind: message.kind(), found }.into());
        }
        self.send(&Request::Keep { id, hold, state: state.to_vec() }, Some(socket))
    }

    /// Has the keeper close its duplicate: the session ended, and with it the wish to keep it.
    pub fn forget(&mut self, id: u64) -> Result<(), KeeperError> {
        self.send(&Request::Forget { id }, None)
    }

    /// Says whether what we wrote so far ends with a whole message. True after [`Keeper::keep`].
    pub fn set_clean(&mut self, id: u64, clean: bool) -> Result<(), KeeperError> {
        self.send(&Request::Clean { id, clean }, None)
    }

    /// Whether there is still a keeper to talk to.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    fn try_once(path: &Path, program: &Path) -> Result<(Self, Vec<KeptSession>), KeeperError> {
        let (connection, child) = reach(path, program, "keeper")?;
        let kept = take(&connection)?;
        Ok((Self { connection: Some(connection), child }, kept))
    }

    /// Never blocks. A keeper whose queue is full has not read for thousands of messages: it counts as lost.
    fn send(
        &mut self,
        request: &Request,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), KeeperError> {
        let Some(connection) = &self.connection else { return Ok(()) };
        channel::send(connection, &request.encode(), descriptor, SendFlags::DONTWAIT).map_err(
            |error| {
                self.connection = None;
                self.reap();
                KeeperError::Lost(error.into())
            },
        )
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Best effort: a zombie until the daemon ends is all that a failure leaves.
            let _reaped = child.try_wait();
        }
    }
}

/// Connects to the process at `path`, after starting `program ROLE --socket PATH` if there is none.
pub(crate) fn reach(
    path: &Path,
    program: &Path,
    role: &'static str,
) -> Result<(OwnedFd, Option<Child>), KeeperError> {
    let fail = |error: Errno| KeeperError::Connect { path: path.into(), source: error.into() };
    let (connection, child) = match connect(path) {
        Ok(connection) => (connection, None),
        Err(Errno::NOENT | Errno::CONNREFUSED) => {
            let child = start(path, program, role)?;
            (connect(path).map_err(fail)?, Some(child))
        }
        Err(error) => return Err(fail(error)),
    };
    channel::refuse_strangers(&connection)?;
    Ok((connection, child))
}

fn connect(path: &Path) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// Starts the process and returns when it listens.
fn start(path: &Path, program: &Path, role: &'static str) -> Result<Child, KeeperError> {
    let fail = |source: io::Error| KeeperError::Start { role, program: program.into(), source };
    let mut child = Command::new(program)
        .arg(role)
        .arg("--socket")
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    let Some(mut stdout) = child.stdout.take() else {
        return Err(fail(io::ErrorKind::BrokenPipe.into()));
    };
    // It says a line when it listens; if it cannot, it exits, and the pipe ends.
    let mut first = [0];
    let said = wait_readable(&stdout).and_then(|()| stdout.read(&mut first));
    match said {
        Ok(1..) => Ok(child),
        failed => {
            // Not to be left behind half started: it is ours alone, and nothing is kept in it yet.
            let _gone = child.kill().and_then(|()| child.wait());
            Err(fail(failed.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())))
        }
    }
}

fn wait_readable(pipe: impl AsFd) -> io::Result<()> {
    let timeout = Timespec::try_from(PATIENCE).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
    match rustix::io::retry_on_intr(|| poll(&mut fds, Some(&timeout)))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

fn take(connection: &OwnedFd) -> Result<Vec<KeptSession>, KeeperError> {
    let lost = |error: Errno| KeeperError::Lost(error.into());
    channel::send(connection, &Request::Take.encode(), None, SendFlags::empty()).map_err(lost)?;
    let mut sessions = Vec::new();
    loop {
        let packet = channel::receive(connection, RecvFlags::empty()).map_err(lost)?;
        let packet = packet.ok_or_else(|| lost(Errno::CONNRESET))?;
        match (Reply::decode(&packet.bytes)?, packet.descriptor) {
            (Reply::Kept { id, clean, state }, Some(socket)) => {
                sessions.push(KeptSession { id, state, clean, socket });
            }
            (Reply::End, None) => return Ok(sessions),
            (_, _) => {
                let kind = packet.bytes.first().copied().unwrap_or_default();
                return Err(ProtocolError::Descriptor(kind).into());
            }
        }
    }
}
