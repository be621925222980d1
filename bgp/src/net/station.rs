//! The task of a BMP station: connects, writes, and connects again when the connection ends (RFC 7854 §3.2).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::driver::Input;
use super::socket;
use crate::speaker::{StationId, Transport};

/// Chunks on their way to a station.
const CHUNKS_IN_FLIGHT: usize = 2;
/// Between two attempts (RFC 7854 §3.2: at least 30 s, at most 720 s). Each connection has all neighbours send all their
/// routes again.
const RETRY: Duration = Duration::from_secs(30);
const MAX_RETRY: Duration = Duration::from_secs(720);

/// The driver's end of a station's task, which ends with it.
#[derive(Debug)]
pub(super) struct StationLink {
    task: AbortHandle,
    /// The connection, if there is one.
    chunks: Option<mpsc::Sender<Vec<u8>>>,
}

impl StationLink {
    pub(super) fn new(id: StationId, remote: SocketAddr, inputs: mpsc::Sender<Input>) -> Self {
        Self { task: tokio::spawn(run(id, remote, inputs)).abort_handle(), chunks: None }
    }

    pub(super) fn connected(&mut self, chunks: mpsc::Sender<Vec<u8>>) {
        self.chunks = Some(chunks);
    }

    /// Ends the connection after what is on its way.
    pub(super) fn close(&mut self) {
        self.chunks = None;
    }

    pub(super) fn has_room(&self) -> bool {
        self.chunks.as_ref().is_some_and(|chunks| chunks.capacity() > 0)
    }

    pub(super) fn send(&mut self, chunk: Vec<u8>) {
        if let Some(chunks) = &self.chunks {
            // Fails only if the connection has just ended, and then the chunk is of no use.
            let _ = chunks.try_send(chunk);
        }
    }
}

impl Drop for StationLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(id: StationId, remote: SocketAddr, inputs: mpsc::Sender<Input>) {
    let mut retry = RETRY;
    loop {
        match socket::connect(remote, None, &Transport::ANYWHERE).await {
            Ok(stream) => {
                tracing::info!(%remote, "connected to a BMP station");
                retry = RETRY;
                let (chunks, waiting) = mpsc::channel(CHUNKS_IN_FLIGHT);
                if inputs.send(Input::StationConnected { id, chunks }).await.is_err() {
                    return;
                }
                let outcome = serve(&stream, waiting, &inputs).await;
                tracing::warn!(%remote, ?outcome, "the connection to a BMP station ended");
                if inputs.send(Input::StationClosed { id }).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::debug!(%remote, %error, "cannot connect to a BMP station"),
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(MAX_RETRY);
    }
}

/// Until either side ends the connection.
async fn serve(
    stream: &TcpStream,
    mut chunks: mpsc::Receiver<Vec<u8>>,
    inputs: &mpsc::Sender<Input>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            chunk = chunks.recv() => {
                let Some(chunk) = chunk else { return Ok(()) };
                write(stream, &chunk).await?;
                // Only to be asked for more; fails when the driver has ended.
                let _ = inputs.send(Input::StationWritten).await;
            }
            outcome = said(stream) => return outcome,
        }
    }
}

async fn write(stream: &TcpStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Stations have nothing to say (RFC 7854 §3.2): what they send is thrown away until they close.
async fn said(stream: &TcpStream) -> io::Result<()> {
    let mut ignored = [0; 512];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut ignored) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
