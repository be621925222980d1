//! The configuration as it is read again while the daemon runs.

use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bgp::speaker::{NeighborChange, NeighborError, Speaker, StationConfig, StationId};
use ipnet::IpNet;
use platform::kernel::Model;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{hostname, listen_ranges, named, neighbor_config, scrape};
use crate::api::Query;
use crate::config::{self, Bgp, BmpStation, Config, Metrics};
use crate::core::Core;
use crate::metrics::{self, MetricsError};

/// Bytes that a BMP station may be behind before it is let go.
const STATION_BACKLOG: usize = 64 * 1024 * 1024;

/// What the daemon runs with, and what it has started for it.
pub(super) struct Running {
    path: PathBuf,
    config: Config,
    bgp: Option<bgp::net::Handle>,
    queries: mpsc::Sender<Query>,
    metrics: Option<AbortHandle>,
    stations: Vec<(BmpStation, StationId)>,
}

impl Running {
    /// Starts what stands beside the core: stations and metrics.
    ///
    /// # Errors
    /// Metrics cannot listen.
    pub(super) async fn start(
        config: Config,
        path: PathBuf,
        bgp: Option<bgp::net::Handle>,
        queries: mpsc::Sender<Query>,
    ) -> Result<Self, MetricsError> {
        let stations = config.bgp.as_ref().map(|bgp| bgp.bmp_stations.clone());
        let metrics = config.metrics;
        let mut running = Self { path, config, bgp, queries, metrics: None, stations: Vec::new() };
        running.set_stations(stations.as_deref().unwrap_or_default()).await;
        running.set_metrics(metrics).await?;
        Ok(running)
    }

    /// Reads the file again and makes what differs so; nothing else is touched. Returns what changed, in sentences.
    ///
    /// # Errors
    /// Why nothing of the file applies.
    pub(super) async fn reload(&mut self, core: &mut Core) -> Result<Vec<String>, String> {
        let wanted = Config::read(&self.path).map_err(|error| error.to_string())?;
        config::reload::check(&self.config, &wanted).map_err(|error| error.to_string())?;
        let mut changes = Vec::new();
        if wanted.metrics != self.config.metrics {
            self.set_metrics(wanted.metrics).await.map_err(|error| error.to_string())?;
            changes.push("[metrics] changed".to_owned());
        }
        if let (Some(handle), Some(bgp)) = (self.bgp.clone(), &wanted.bgp) {
            changes.extend(set_neighbors(&handle, bgp, core.model()).await?);
            let goes = bgp.graceful_shutdown;
            if self.config.bgp.as_ref().is_some_and(|known| known.graceful_shutdown != goes) {
                let set = handle.with(move |speaker, _| speaker.set_graceful_shutdown(goes));
                set.await.map_err(|stopped| stopped.to_string())?;
                changes.push("graceful-shutdown changed".to_owned());
            }
            if self.set_stations(&bgp.bmp_stations).await {
                changes.push("BMP stations changed".to_owned());
            }
        }
        core.handle_unnumbered(&wanted);
        if is_other_for_core(&self.config, &wanted) {
            core.handle_config(&wanted);
            changes.push("what is announced changed: networks, redistribute or [evpn]".to_owned());
        }
        self.config = wanted;
        Ok(changes)
    }

    async fn set_metrics(&mut self, wanted: Option<Metrics>) -> Result<(), MetricsError> {
        let listener = match wanted {
            Some(metrics) => Some(metrics::listen(metrics.listen).await?),
            None => None,
        };
        if let Some(running) = self.metrics.take() {
            running.abort();
        }
        self.metrics = listener.map(|listener| {
            let (queries, bgp) = (self.queries.clone(), self.bgp.clone());
            let read = move || scrape(queries.clone(), bgp.clone());
            tokio::spawn(metrics::serve(listener, read)).abort_handle()
        });
        Ok(())
    }

    /// Whether any came or went.
    async fn set_stations(&mut self, wanted: &[BmpStation]) -> bool {
        let Some(bgp) = &self.bgp else { return false };
        // The engine answers until its shutdown, which we order ourselves, at the end.
        let (stay, go): (Vec<_>, Vec<_>) =
            self.stations.drain(..).partition(|(station, _)| wanted.contains(station));
        for (_, id) in &go {
            let _ = bgp.remove_station(*id).await;
        }
        let mut changed = !go.is_empty();
        self.stations = stay;
        for station in wanted {
            let is_known = self.stations.iter().any(|(known, _)| known == station);
            if !is_known
                && let Ok(id) = bgp.add_station(station.address, station_config(station)).await
            {
                self.stations.push((station.clone(), id));
                changed = true;
            }
        }
        changed
    }
}

fn is_other_for_core(known: &Config, wanted: &Config) -> bool {
    let announced = |config: &Config| {
        config
            .bgp
            .as_ref()
            .map(|bgp| (bgp.networks.clone(), bgp.import_check, bgp.redistribute.clone()))
    };
    known.evpn != wanted.evpn || announced(known) != announced(wanted)
}

async fn set_neighbors(
    handle: &bgp::net::Handle,
    bgp: &Bgp,
    model: &Model,
) -> Result<Vec<String>, String> {
    let wanted = named(bgp).map(|neighbor| neighbor_config(bgp, neighbor, model)).collect();
    let ranges = listen_ranges(bgp, model);
    let set = |speaker: &mut Speaker, now| {
        let changes = speaker.set_neighbors(wanted, now)?;
        Ok::<_, NeighborError>((changes, speaker.set_ranges(ranges, now)))
    };
    let (changes, ranges) = handle
        .with(set)
        .await
        .map_err(|stopped| stopped.to_string())?
        .map_err(|error| error.to_string())?;
    let changes = changes.into_iter().map(|(name, change)| tell(&name, change));
    let ranges = ranges.into_iter().map(|(prefix, change)| tell_range(prefix, change));
    Ok(changes.chain(ranges).collect())
}

fn tell(name: &str, change: NeighborChange) -> String {
    match change {
        NeighborChange::Added => format!("neighbor {name} added"),
        NeighborChange::Removed => format!("neighbor {name} removed"),
        NeighborChange::Changed => format!("neighbor {name} changed, its session goes on"),
        NeighborChange::Reset => format!("neighbor {name} changed, its session was reset"),
    }
}

fn tell_range(prefix: IpNet, change: NeighborChange) -> String {
    match change {
        NeighborChange::Added => format!("listen-range {prefix} added"),
        NeighborChange::Removed => {
            format!("listen-range {prefix} removed, the sessions of its neighbors ended")
        }
        NeighborChange::Changed => {
            format!("listen-range {prefix} changed, the sessions of its neighbors go on")
        }
        NeighborChange::Reset => {
            format!("listen-range {prefix} changed, the sessions of its neighbors ended")
        }
    }
}

fn station_config(station: &BmpStation) -> StationConfig {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    StationConfig {
        name: hostname().unwrap_or_default(),
        description: concat!("switchd ", env!("CARGO_PKG_VERSION")).to_owned(),
        backlog: STATION_BACKLOG,
        statistics: station.statistics_interval,
        epoch: (Instant::now(), since_1970),
    }
}
