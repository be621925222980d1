//! Listens to what changes in devlink.
//!
//! The kernel announces ports, health reporters, traps, groups and policers that appear, change or go; it does *not*
//! announce counters, the occupancy of resources, or an action that someone set: those have to be read again.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{GenetlinkError, Report};
use crate::genetlink::Genetlink;

/// So many datagrams are read before what was read is handed on.
const BURST: usize = 256;

/// Receives notifications, in the network namespace of the thread that opened it.
pub struct Monitor {
    socket: Genetlink,
    stopped: PipeReader,
}

/// Stops a [`Monitor`] when dropped, from any thread.
#[derive(Debug)]
pub struct StopMonitor(#[expect(dead_code, reason = "closing it is what it is for")] PipeWriter);

impl Monitor {
    /// Opens it in the network namespace of this thread.
    pub fn open() -> Result<(Self, StopMonitor), GenetlinkError> {
        let mut socket = Genetlink::open("devlink")?;
        socket.join("config")?;
        let (stopped, stop) = std::io::pipe().map_err(|error| GenetlinkError::Io {
            operation: "open pipe",
            errno: Errno::from_raw(error.raw_os_error().unwrap_or_default()),
        })?;
        Ok((Self { socket, stopped }, StopMonitor(stop)))
    }

    /// Waits for notifications and returns those that are there; `None` once it is stopped. After
    /// [`GenetlinkError::Overrun`], what was still waiting is thrown away, because it may be older than what was lost: read
    /// anew what you know of the devices, and go on receiving.
    pub fn receive(&mut self) -> Result<Option<Vec<Report>>, GenetlinkError> {
        if !self.wait()? {
            return Ok(None);
        }
        let mut reports = Vec::new();
        for _ in 0..BURST {
            let more = self.socket.notifications(|command, attributes| {
                reports.extend(Report::decode(command, attributes));
            });
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(GenetlinkError::Overrun) => {
                    self.discard()?;
                    return Err(GenetlinkError::Overrun);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(reports))
    }

    fn discard(&mut self) -> Result<(), GenetlinkError> {
        loop {
            match self.socket.notifications(|_, _| {}) {
                Ok(true) | Err(GenetlinkError::Overrun) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether there is something to receive; `false` once it is stopped.
    fn wait(&self) -> Result<bool, GenetlinkError> {
        let wants = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [wants(self.socket.as_fd()), wants(self.stopped.as_fd())];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => return Ok(!fds[1].any().unwrap_or(true)),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(GenetlinkError::Io { operation: "poll", errno }),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
