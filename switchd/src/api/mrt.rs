//! The BGP tables as an MRT dump, lot by lot: the engine is never asked for a whole table at once.

use std::time::{SystemTime, UNIX_EPOCH};

use bgp::mrt::TableDump;
use bgp::net::{Handle, Stopped};
use bgp::types::AfiSafi;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Lots written ahead of who reads them.
const AHEAD: usize = 2;

/// Dumps these families.
///
/// # Errors
/// The engine was shut down; also in the middle of the dump.
pub(super) async fn dump(
    bgp: Handle,
    families: Vec<AfiSafi>,
) -> Result<ReceiverStream<Result<Vec<u8>, Stopped>>, Stopped> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = u32::try_from(since_1970.as_secs()).unwrap_or(u32::MAX);
    let begin = bgp
        .with(move |speaker, now| (speaker.config().router_id, speaker.dump_peers(now, timestamp)));
    let (collector, peers) = begin.await?;
    let mut index = Vec::new();
    let mut dump = TableDump::begin(timestamp, collector, &peers, &mut index);
    let (chunks, reader) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        // Whoever reads may have enough at any moment; then so have we.
        if chunks.send(Ok(index)).await.is_err() {
            return;
        }
        for family in families {
            let mut from = Some(0);
            while let Some(place) = from {
                let chunk = bgp.routes_from(family, place).await.map(|(routes, next)| {
                    from = next;
                    let mut out = Vec::new();
                    routes.iter().for_each(|route| dump.route(route, &mut out));
                    out
                });
                let over = chunk.is_err();
                if chunks.send(chunk).await.is_err() || over {
                    return;
                }
            }
        }
    });
    Ok(ReceiverStream::new(reader))
}
