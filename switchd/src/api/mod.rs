//! The gRPC API over a unix socket: the server, its views, and how a client connects.

mod bfd;
mod clear;
mod explain;
mod fib;
mod mrt;
mod neighbor;
mod offload;
mod policy;
mod server;
pub(crate) mod views;

use std::io;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

pub use server::{Access, BgpAccess, Query, Reload, serve};

/// Where switchd listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/switchd/switchd.sock";

/// What protox and prost make of `proto/switchd/v1/switchd.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated from the proto file, which has the documentation"
)]
#[allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod proto {
    tonic::include_proto!("switchd.v1");
}

/// Connects to the switchd that listens on `socket`.
///
/// # Errors
/// Nobody listens there, or we may not connect.
pub async fn connect(
    socket: &Path,
) -> Result<proto::switch_client::SwitchClient<Channel>, tonic::transport::Error> {
    let socket = socket.to_owned();
    // The URI is required and ignored: the connector below is what connects.
    let channel = Endpoint::from_static("http://switchd")
        .connect_with_connector(service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }))
        .await?;
    Ok(proto::switch_client::SwitchClient::new(channel))
}

/// Why the API's socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another switchd answers on it.
    #[error("another switchd already listens on {}; stop it, or give another --socket", .0.display())]
    InUse(PathBuf),
    /// The system refused.
    #[error("cannot listen on {}: {source}; give a writable path with --socket", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// Opens the API's socket. A socket that a killed switchd left behind is replaced; a living one is not.
///
/// # Errors
/// Another switchd listens there, or the path cannot be used.
pub async fn listen(socket: &Path) -> Result<UnixListener, SocketError> {
    let failed = |source| SocketError::Io { path: socket.to_owned(), source };
    if UnixStream::connect(socket).await.is_ok() {
        return Err(SocketError::InUse(socket.to_owned()));
    }
    if let Some(directory) = socket.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    UnixListener::bind(socket).map_err(failed)
}
