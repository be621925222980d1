//! Listens to what changes in the kernel.
//!
//! Start it before the first snapshot: then nothing falls between the two. What it tells twice does no harm.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;

use super::socket::{DATAGRAM, io_error, open, receive};
use super::{Errno, KernelError, Notification};

/// A notification takes 832 bytes of it: room for 160,000.
const RECEIVE_BUFFER: usize = 128 << 20;

/// So many datagrams are read before what was read is handed on.
const BURST: usize = 1024;

/// Whoever waits for a message is woken for each, and that costs the writer that caused it. So after a burst, messages may
/// gather for a moment.
const GATHER: Duration = Duration::from_micros(500);

const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_NEIGH: u32 = 3;
const RTNLGRP_TC: u32 = 4;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV4_RULE: u32 = 8;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_IPV6_ROUTE: u32 = 11;
const RTNLGRP_IPV6_RULE: u32 = 19;
const RTNLGRP_NEXTHOP: u32 = 32;
const RTNLGRP_BRVLAN: u32 = 33;

/// Receives notifications, in the network namespace of the thread that opened it.
pub struct Monitor {
    socket: netlink_sys::Socket,
    stopped: PipeReader,
    buffer: Vec<u8>,
    /// The last look found more than one message.
    is_busy: bool,
}

/// Stops a [`Monitor`] when dropped, from any thread.
#[derive(Debug)]
pub struct StopMonitor(#[expect(dead_code, reason = "closing it is what it is for")] PipeWriter);

impl Monitor {
    /// Opens it in the network namespace of this thread.
    pub fn open() -> Result<(Self, StopMonitor), KernelError> {
        Self::with_receive_buffer(RECEIVE_BUFFER)
    }

    /// Opens it with a buffer of so many bytes.
    pub fn with_receive_buffer(bytes: usize) -> Result<(Self, StopMonitor), KernelError> {
        let mut socket = open(bytes)?;
        socket.bind_auto().map_err(|error| io_error("bind", &error))?;
        for group in [
            RTNLGRP_LINK,
            RTNLGRP_NEIGH,
            RTNLGRP_TC,
            RTNLGRP_IPV4_IFADDR,
            RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV4_RULE,
            RTNLGRP_IPV6_IFADDR,
            RTNLGRP_IPV6_ROUTE,
            RTNLGRP_IPV6_RULE,
            RTNLGRP_NEXTHOP,
        ] {
            socket.add_membership(group).map_err(|error| io_error("join group", &error))?;
        }
        // A kernel before 5.6 has no such group; it tells of most VLAN changes with the port.
        let _since_5_6 = socket.add_membership(RTNLGRP_BRVLAN);
        let (stopped, stop) = std::io::pipe().map_err(|error| io_error("open pipe", &error))?;
        Ok((
            Self { socket, stopped, buffer: Vec::with_capacity(DATAGRAM), is_busy: false },
            StopMonitor(stop),
        ))
    }

    /// Waits for notifications and returns those that are there; `None` once it is stopped. After
    /// [`KernelError::Overrun`], what was still waiting is thrown away, because it may be older than what was lost: take a
    /// snapshot and go on receiving.
    pub fn receive(&mut self) -> Result<Option<Vec<Notification>>, KernelError> {
        if self.is_busy {
            std::thread::sleep(GATHER);
        }
        if !self.wait()? {
            return Ok(None);
        }
        let mut notifications = Vec::new();
        for _ in 0..BURST {
            match self.receive_one() {
                Ok(true) => notifications.extend(Notification::decode_all(&self.buffer)),
                Ok(false) => break,
                Err(KernelError::Overrun) => {
                    self.discard()?;
                    return Err(KernelError::Overrun);
                }
                Err(error) => return Err(error),
            }
        }
        self.is_busy = notifications.len() > 1;
        Ok(Some(notifications))
    }

    /// Whether there is something to receive; `false` once it is stopped.
    fn wait(&self) -> Result<bool, KernelError> {
        let wants = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [wants(self.socket.as_fd()), wants(self.stopped.as_fd())];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => return Ok(!fds[1].any().unwrap_or(true)),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(KernelError::Io { operation: "poll", errno }),
            }
        }
    }

    /// Receives one datagram if one is there.
    fn receive_one(&mut self) -> Result<bool, KernelError> {
        match receive(&self.socket, &mut self.buffer, MsgFlags::MSG_DONTWAIT.bits()) {
            Ok(()) => Ok(true),
            Err(KernelError::Io { errno: Errno::EAGAIN, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn discard(&mut self) -> Result<(), KernelError> {
        loop {
            match self.receive_one() {
                Ok(true) | Err(KernelError::Overrun) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
