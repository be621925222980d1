//! The two tasks of a connection: one reads, one writes.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

use super::driver::Input;
use crate::speaker::ConnectionId;

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
}

impl Link {
    pub(super) fn new(
        connection: ConnectionId,
        stream: TcpStream,
        inputs: &mpsc::Sender<Input>,
    ) -> Self {
        let (from_peer, to_peer) = stream.into_split();
        // One more than in flight: the last words always find room.
        let (chunks, waiting) = mpsc::channel(CHUNKS_IN_FLIGHT + 1);
        let reader = tokio::spawn(read(connection, from_peer, inputs.clone())).abort_handle();
        let writer = tokio::spawn(write(connection, to_peer, waiting, inputs.clone()));
        Self { chunks, in_flight: 0, reader, writer }
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

async fn read(connection: ConnectionId, mut stream: OwnedReadHalf, inputs: mpsc::Sender<Input>) {
    loop {
        let mut bytes = Vec::with_capacity(CHUNK);
        let input = match stream.read_buf(&mut bytes).await {
            Ok(1..) => Input::Received { connection, bytes },
            Ok(0) => Input::Closed { connection, error: None },
            Err(error) => Input::Closed { connection, error: Some(error) },
        };
        let over = matches!(input, Input::Closed { .. });
        if inputs.send(input).await.is_err() || over {
            return;
        }
    }
}

async fn write(
    connection: ConnectionId,
    mut stream: OwnedWriteHalf,
    mut chunks: mpsc::Receiver<Vec<u8>>,
    inputs: mpsc::Sender<Input>,
) {
    while let Some(chunk) = chunks.recv().await {
        let input = match stream.write_all(&chunk).await {
            Ok(()) => Input::Written { connection },
            Err(error) => Input::Closed { connection, error: Some(error) },
        };
        let over = matches!(input, Input::Closed { .. });
        if inputs.send(input).await.is_err() || over {
            return;
        }
    }
    if let Err(error) = shutdown(&mut stream).await {
        tracing::debug!(?connection, %error, "connection ended before it was closed");
    }
}

async fn shutdown(stream: &mut OwnedWriteHalf) -> io::Result<()> {
    stream.flush().await?;
    stream.shutdown().await
}
