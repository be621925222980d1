//! Takes only whole messages off a connection, so that the next process could go on reading at any moment.
//!
//! Bytes are looked at (`MSG_PEEK`) and stay with the kernel until their message is complete; whole messages are then
//! dropped there in one call (`MSG_TRUNC`). That they are not processed yet does not matter: a process that goes on
//! asks for all routes again, and only has to start at a message.
//!
//! A message whose end does not come is taken apart after a while, and the session counts as unclean until it is whole.
//! The peer may just be slow; but it may also be that the beginning holds so much of the kernel's memory that the window
//! is closed and the end cannot come.

use std::io;
use std::mem;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;

use super::connection::CHUNK;
use super::keep::{Direction, Kept};
use crate::wire::{HEADER_LEN, MAX_EXTENDED_MESSAGE, split_message};

/// How long the beginning of a message may wait for its end.
const PATIENCE: Duration = Duration::from_millis(50);

/// Reads one connection.
#[derive(Debug)]
pub(super) struct MessageReader {
    kept: Kept,
    buffer: Vec<u8>,
    /// The beginning of a message waits in the kernel: looking again makes no sense before so many bytes are there.
    wanted: usize,
    /// The beginning of a message that was taken apart.
    held: Option<Vec<u8>>,
}

impl MessageReader {
    pub(super) fn new(kept: Kept) -> Self {
        // Any message fits, so there is always progress.
        const { assert!(CHUNK >= MAX_EXTENDED_MESSAGE) };
        Self { kept, buffer: vec![0; CHUNK], wanted: 0, held: None }
    }

    /// One or more whole messages; nothing at the end of the connection. What cannot be a message comes as it is.
    pub(super) async fn next(&mut self, stream: &TcpStream) -> io::Result<Vec<u8>> {
        loop {
            let ready = self.ready(stream).await?;
            let taken = match ready {
                // A partial message counts as nothing to read: tokio then waits until more has come.
                Some(_) => stream.try_io(Interest::READABLE, || self.take(stream)),
                None => {
                    self.kept.set_clean(Direction::Reading, false);
                    self.held = Some(Vec::new());
                    self.take(stream)
                }
            };
            match taken {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if ready.is_some_and(Ready::is_read_closed) {
                        return Ok(Vec::new());
                    }
                }
                other => return other,
            }
        }
    }

    /// `None`: the beginning of a message has waited long enough.
    async fn ready(&self, stream: &TcpStream) -> io::Result<Option<Ready>> {
        let ready = stream.ready(Interest::READABLE);
        if self.wanted == 0 || self.held.is_some() {
            return ready.await.map(Some);
        }
        tokio::time::timeout(PATIENCE, ready).await.ok().transpose()
    }

    fn take(&mut self, stream: &TcpStream) -> io::Result<Vec<u8>> {
        match self.held.take() {
            Some(held) => self.take_rest(held, stream),
            None => self.take_whole(stream),
        }
    }

    fn take_whole(&mut self, stream: &TcpStream) -> io::Result<Vec<u8>> {
        let again = || io::Error::from(io::ErrorKind::WouldBlock);
        if self.wanted > 0 && rustix::io::ioctl_fionread(stream)? < self.wanted as u64 {
            return Err(again());
        }
        let (seen, _) = recv(stream, self.buffer.as_mut_slice(), RecvFlags::PEEK)?;
        let seen = self.buffer.get(..seen).unwrap_or_default();
        let Whole { len, wanted } = whole_messages(seen);
        self.wanted = wanted;
        if len == 0 && !seen.is_empty() {
            return Err(again());
        }
        let messages = seen.get(..len).unwrap_or_default().to_vec();
        self.discard(stream, len)?;
        Ok(messages)
    }

    fn discard(&mut self, stream: &TcpStream, len: usize) -> io::Result<()> {
        let Some(buffer @ [_, ..]) = self.buffer.get_mut(..len) else { return Ok(()) };
        let (_, discarded) = recv(stream, buffer, RecvFlags::TRUNC)?;
        if discarded == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The message that was taken apart, and not a byte more.
    fn take_rest(&mut self, mut held: Vec<u8>, stream: &TcpStream) -> io::Result<Vec<u8>> {
        loop {
            let Whole { len, wanted } = whole_messages(&held);
            if len > 0 {
                self.wanted = 0;
                self.kept.set_clean(Direction::Reading, true);
                return Ok(held);
            }
            let missing = wanted.saturating_sub(held.len());
            let buffer = self.buffer.get_mut(..missing).unwrap_or_default();
            match recv(stream, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Vec::new()),
                Ok((received, _)) => {
                    held.extend_from_slice(buffer.get(..received).unwrap_or_default());
                }
                Err(error) => {
                    self.held = Some(mem::take(&mut held));
                    return Err(error.into());
                }
            }
        }
    }
}

/// How many bytes the whole messages at the front have, and how many the first one that is not whole has so far as we
/// know.
#[derive(Debug, PartialEq, Eq)]
struct Whole {
    len: usize,
    wanted: usize,
}

fn whole_messages(input: &[u8]) -> Whole {
    let mut len = 0;
    loop {
        let rest = input.get(len..).unwrap_or_default();
        match split_message(rest, MAX_EXTENDED_MESSAGE) {
            Ok(Some(frame)) => len += frame.len,
            Ok(None) if len == 0 => return Whole { len, wanted: declared_length(rest) },
            Ok(None) => return Whole { len, wanted: 0 },
            // The session answers this with a NOTIFICATION; nothing after it can be read.
            Err(_) => return Whole { len: input.len(), wanted: 0 },
        }
    }
}

/// Of the message that begins here; of its header alone while that is not whole.
fn declared_length(input: &[u8]) -> usize {
    let header = input.first_chunk::<HEADER_LEN>();
    header.map_or(HEADER_LEN, |[.., high, low, _]| usize::from(u16::from_be_bytes([*high, *low])))
}

#[cfg(test)]
#[path = "messages/tests.rs"]
mod tests;
