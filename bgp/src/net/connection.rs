//! The two tasks of a connection: one reads, one writes.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

use super::driver::Input;
use super::keep::{Direction, Kept};
use super::messages::MessageReader;
use super::options;
use crate::speaker::{Auth, ConnectionId, SavedSession};

/// Bytes read, and given out to be written, at a time.
pub(super) const CHUNK: usize = 64 * 1024;
/// Chunks that a writer holds: one on its way, one to follow.
const CHUNKS_IN_FLIGHT: usize = 2;
/// How long a peer may take to read our last words.
const FAREWELL: Duration = Duration::from_secs(3);

/// The driver's end of a connection.
#[derive(Debug)]
pub(super) struct Link {
    chunks: mpsc::Sender<Vec<u8>>,
    in_flight: usize,
    reader: AbortHandle,
    writer: JoinHandle<()>,
    /// Not split into halves: those shut the connection down when they are dropped, also when the process only ends.
    stream: Arc<TcpStream>,
    kept: Option<Kept>,
}

impl Link {
    pub(super) fn new(
        connection: ConnectionId,
        stream: TcpStream,
        kept: Option<Kept>,
        inputs: &mpsc::Sender<Input>,
    ) -> Self {
        let stream = Arc::new(stream);
        // One more than in flight: the last words always find room.
        let (chunks, waiting) = mpsc::channel(CHUNKS_IN_FLIGHT + 1);
        let reader =
            tokio::spawn(read(connection, Arc::clone(&stream), kept.clone(), inputs.clone()));
        let writer = Writer { connection, stream: Arc::clone(&stream), kept: kept.clone() };
        let writer = tokio::spawn(writer.run(waiting, inputs.clone()));
        Self { chunks, in_flight: 0, reader: reader.abort_handle(), writer, stream, kept }
    }

    /// Its segments are signed with this from now on.
    pub(super) fn authenticate(&self, from: IpNet, auth: Option<&Auth>) -> io::Result<()> {
        options::set_auth(&self.stream, from, auth)
    }

    /// The session is up: another process may go on with it.
    pub(super) fn keep(&self, session: &SavedSession) {
        if let Some(kept) = &self.kept {
            kept.keep(session, &self.stream);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < CHUNKS_IN_FLIGHT
    }

    pub(super) fn send(&mut self, chunk: Vec<u8>) {
        if self.chunks.try_send(chunk).is_ok() {
            self.in_flight += 1;
        }
    }

    pub(super) fn written(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Sends the last words after what is on its way, then closes. A peer that does not read them in time misses them.
    pub(super) fn close(self, last_words: Vec<u8>) -> JoinHandle<()> {
        self.reader.abort();
        if let Some(kept) = &self.kept {
            kept.forget();
        }
        // No room only if the writer has ended, and then there is nobody to tell.
        let _ = self.chunks.try_send(last_words);
        drop(self.chunks);
        let mut writer = self.writer;
        tokio::spawn(async move {
            if tokio::time::timeout(FAREWELL, &mut writer).await.is_err() {
                writer.abort();
            }
        })
    }
}

async fn read(
    connection: ConnectionId,
    stream: Arc<TcpStream>,
    kept: Option<Kept>,
    inputs: mpsc::Sender<Input>,
) {
    let mut messages = kept.map(MessageReader::new);
    loop {
        let received = match &mut messages {
            Some(messages) => messages.next(&stream).await,
            None => read_some(&stream).await,
        };
        let input = match received {
            Ok(bytes) if bytes.is_empty() => Input::Closed { connection, error: None },
            Ok(bytes) => Input::Received { connection, bytes },
            Err(error) => Input::Closed { connection, error: Some(error) },
        };
        let over = matches!(input, Input::Closed { .. });
        if inputs.send(input).await.is_err() || over {
            return;
        }
    }
}

/// Nobody will go on reading after us: cut anywhere.
async fn read_some(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(CHUNK);
    loop {
        stream.readable().await?;
        match stream.try_read_buf(&mut bytes) {
            Ok(_) => return Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes chunks of whole messages.
#[derive(Debug)]
struct Writer {
    connection: ConnectionId,
    stream: Arc<TcpStream>,
    kept: Option<Kept>,
}

impl Writer {
    async fn run(self, mut chunks: mpsc::Receiver<Vec<u8>>, inputs: mpsc::Sender<Input>) {
        let connection = self.connection;
        while let Some(chunk) = chunks.recv().await {
            let input = match self.write(&chunk).await {
                Ok(()) => Input::Written { connection },
                Err(error) => Input::Closed { connection, error: Some(error) },
            };
            let over = matches!(input, Input::Closed { .. });
            if inputs.send(input).await.is_err() || over {
                return;
            }
        }
        // Not only by dropping it: a keeper may still hold the socket.
        if let Err(error) = SockRef::from(&*self.stream).shutdown(Shutdown::Write) {
            tracing::debug!(?connection, %error, "connection ended before it was closed");
        }
    }

    async fn write(&self, mut rest: &[u8]) -> io::Result<()> {
        let mut clean = true;
        while !rest.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            // If we died now: would the next message begin where the peer expects one?
            if clean != rest.is_empty()
                && let Some(kept) = &self.kept
            {
                clean = rest.is_empty();
                kept.set_clean(Direction::Writing, clean);
            }
        }
        Ok(())
    }
}
