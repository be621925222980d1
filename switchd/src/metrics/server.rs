//! Answers `GET /metrics`.
//!
//! Bounded, as whoever reaches the address may ask: a few connections at a time, each for one request and a limited time,
//! and one scrape at a time reads the hardware.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};

use super::text::MEDIA_TYPE;
use super::{Snapshot, render};

/// A scraper or two, and somebody with curl. More wait in the kernel's queue.
const CONNECTIONS: usize = 8;
/// From the first octet of a request to the last of its answer.
const PATIENCE: Duration = Duration::from_secs(20);
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
/// The smallest that hyper takes; a scraper's request has a few hundred octets.
const REQUEST_LIMIT: usize = 8192;
/// So that a full table of file descriptors does not become a busy loop.
const AFTER_A_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// Why there can be no metrics.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve metrics on {address}: {source}; give another `listen` in [metrics], or remove the table"
)]
pub struct MetricsError {
    /// Where we wanted to listen.
    address: SocketAddr,
    /// What the system answered.
    source: std::io::Error,
}

/// Opens the address of `[metrics]`.
///
/// # Errors
/// It is taken, or is no address of this machine.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, MetricsError> {
    TcpListener::bind(address).await.map_err(|source| MetricsError { address, source })
}

/// Serves until it is dropped. `read` is asked for a snapshot at each scrape; `None`: the daemon is going down.
pub async fn serve<Read, Reading>(listener: TcpListener, read: Read)
where
    Read: Fn() -> Reading + Send + Sync + 'static,
    Reading: Future<Output = Option<Snapshot>> + Send + 'static,
{
    let read = Arc::new(Mutex::new(read));
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let read = Arc::clone(&read);
                tokio::spawn(async move {
                    let _place = place;
                    if tokio::time::timeout(PATIENCE, converse(stream, &read)).await.is_err() {
                        tracing::debug!("a reader of metrics took too long");
                    }
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take a connection for metrics");
                tokio::time::sleep(AFTER_A_FAILED_ACCEPT).await;
            }
        }
    }
}

/// One connection, one request.
async fn converse<Read, Reading>(stream: TcpStream, read: &Mutex<Read>)
where
    Read: Fn() -> Reading,
    Reading: Future<Output = Option<Snapshot>>,
{
    let answer = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(answer(request.method(), request.uri().path(), read).await)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .max_buf_size(REQUEST_LIMIT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a reader of metrics went away");
    }
}

async fn answer<Read, Reading>(
    method: &Method,
    path: &str,
    read: &Mutex<Read>,
) -> Response<Full<Bytes>>
where
    Read: Fn() -> Reading,
    Reading: Future<Output = Option<Snapshot>>,
{
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "metrics are only read\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/metrics" => {
            let snapshot = {
                let read = read.lock().await;
                read().await
            };
            match snapshot {
                Some(snapshot) => text(StatusCode::OK, MEDIA_TYPE, render(&snapshot)),
                None => plain(StatusCode::SERVICE_UNAVAILABLE, "switchd is going down\n"),
            }
        }
        "/" => plain(StatusCode::OK, "metrics of switchd are at /metrics\n"),
        _ => plain(StatusCode::NOT_FOUND, "metrics of switchd are at /metrics\n"),
    }
}

fn plain(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    text(status, "text/plain; charset=utf-8", words)
}

fn text(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
