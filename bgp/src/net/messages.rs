//! Takes only whole messages off a connection, so that the next process could go on reading at any moment.
//!
//! Bytes are looked at (`MSG_PEEK`) and stay with the kernel until their message is complete; whole messages are then
//! dropped there in one call (`MSG_TRUNC`). That they are not processed yet does not matter: a process that goes on
//! asks for all routes again, and only has to start at a message.

use std::io;

use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::connection::CHUNK;
use crate::wire::{HEADER_LEN, MAX_EXTENDED_MESSAGE, split_message};

/// The kernel's window may be as small as the longest message; with messages of this size it is made larger.
const LARGE: usize = 16 * 1024;
const LARGE_BUFFER: usize = 4 * MAX_EXTENDED_MESSAGE;

/// Reads one connection.
#[derive(Debug)]
pub(super) struct MessageReader {
    buffer: Vec<u8>,
    /// Looking again makes no sense before so many bytes are there.
    wanted: usize,
    enlarged: bool,
}

impl MessageReader {
    pub(super) fn new() -> Self {
        // Any message fits, so there is always progress.
        const { assert!(CHUNK >= MAX_EXTENDED_MESSAGE) };
        Self { buffer: vec![0; CHUNK], wanted: 0, enlarged: false }
    }

    /// One or more whole messages; nothing at the end of the connection. What cannot be a message comes as it is.
    pub(super) async fn next(&mut self, stream: &TcpStream) -> io::Result<Vec<u8>> {
        loop {
            let ready = stream.ready(Interest::READABLE).await?;
            // A partial message counts as nothing to read: tokio then waits until more has come.
            match stream.try_io(Interest::READABLE, || self.take(stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if ready.is_read_closed() {
                        return Ok(Vec::new());
                    }
                }
                other => return other,
            }
        }
    }

    fn take(&mut self, stream: &TcpStream) -> io::Result<Vec<u8>> {
        let again = || io::Error::from(io::ErrorKind::WouldBlock);
        if self.wanted > 0 && rustix::io::ioctl_fionread(stream)? < self.wanted as u64 {
            return Err(again());
        }
        let (seen, _) = recv(stream, self.buffer.as_mut_slice(), RecvFlags::PEEK)?;
        let seen = self.buffer.get(..seen).unwrap_or_default();
        let Whole { len, wanted } = whole_messages(seen);
        self.wanted = wanted;
        if len == 0 && !seen.is_empty() {
            self.make_room(stream);
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

    fn make_room(&mut self, stream: &TcpStream) {
        if self.wanted >= LARGE && !self.enlarged {
            self.enlarged = true;
            if let Err(error) = SockRef::from(stream).set_recv_buffer_size(LARGE_BUFFER) {
                tracing::debug!(%error, "cannot enlarge the receive buffer");
            }
        }
    }
}

/// How many bytes the whole messages at the front have, and how many the first one that is not whole.
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
            Ok(None) if len == 0 => {
                let declared = rest.get(16..18).and_then(|field| <[u8; 2]>::try_from(field).ok());
                let wanted = declared.map_or(0, |field| usize::from(u16::from_be_bytes(field)));
                return Whole { len, wanted: wanted.max(HEADER_LEN) };
            }
            Ok(None) => return Whole { len, wanted: 0 },
            // The session answers this with a NOTIFICATION; nothing after it can be read.
            Err(_) => return Whole { len: input.len(), wanted: 0 },
        }
    }
}

#[cfg(test)]
#[path = "messages/tests.rs"]
mod tests;
