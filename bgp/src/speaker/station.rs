//! Stations that watch what neighbours tell us (BMP, RFC 7854).
//!
//! A station sees each UPDATE as it came, before any policy. What came before the station did is not stored here as it
//! came: when a station connects, neighbours are asked for all their routes again (RFC 2918), and what they answer is what
//! the station gets. A neighbour that cannot be asked is seen from then on only.
//!
//! What a station has yet to read is bounded: one that falls behind too far is told so and let go; it may come again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{NeighborId, Speaker};
use crate::bmp::{self, PeerDown, PeerHeader, Statistics};
use crate::session::DownReason;
use crate::session::negotiate::Negotiated;
use crate::types::AfiSafi;
use crate::wire::{Notification, UpdatePacker, write_update};

/// One station. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StationId(u32);

/// What a station is told of us, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationConfig {
    /// Our name.
    pub name: String,
    /// What we are.
    pub description: String,
    /// Bytes that it may be behind.
    pub backlog: usize,
    /// How often it gets counts; `None`: never.
    pub statistics: Option<Duration>,
    /// A moment, and the same moment since 1970.
    pub epoch: (Instant, Duration),
}

#[derive(Debug)]
pub(super) struct Station {
    id: StationId,
    config: StationConfig,
    /// There is a connection, and it is not given up.
    connected: bool,
    outbound: Vec<u8>,
    /// When the next counts are due.
    statistics_at: Option<Instant>,
}

/// All stations.
#[derive(Debug, Default)]
pub(super) struct Stations {
    list: Vec<Station>,
    next: u32,
}

impl Speaker {
    /// A station that will be connected to.
    pub fn add_station(&mut self, config: StationConfig) -> StationId {
        let id = StationId(self.stations.next);
        self.stations.next += 1;
        self.stations.list.push(Station {
            id,
            config,
            connected: false,
            outbound: Vec::new(),
            statistics_at: None,
        });
        id
    }

    /// A station that is no longer wanted.
    pub fn remove_station(&mut self, id: StationId) {
        self.stations.list.retain(|station| station.id != id);
    }

    /// A connection to the station stands: it gets to know who we are and which sessions are up, and the routes follow.
    pub fn handle_station_connected(&mut self, id: StationId, now: Instant) {
        let Some(station) = self.stations.get_mut(id) else { return };
        station.connected = true;
        station.outbound.clear();
        station.statistics_at = station.config.statistics.map(|interval| now + interval);
        self.wake_at = [self.wake_at, station.statistics_at].into_iter().flatten().min();
        bmp::initiation(&station.config.name, &station.config.description, &mut station.outbound);
        for index in (0u32..).take(self.neighbors.len()) {
            let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { continue };
            let Some((negotiated, _, _, since)) = neighbor.session.established() else { continue };
            let families = negotiated.families;
            let up = self.peer_up(index, since);
            if let (Some(up), Some(station)) = (up, self.stations.get_mut(id)) {
                up.write(&station.config, &mut station.outbound);
            }
            for family in families.iter() {
                self.request_refresh(NeighborId(index), family);
            }
        }
    }

    /// The connection to the station is gone.
    pub fn handle_station_closed(&mut self, id: StationId) {
        if let Some(station) = self.stations.get_mut(id) {
            station.connected = false;
            station.outbound = Vec::new();
            station.statistics_at = None;
        }
    }

    /// What the station should be sent now. To be called only when its connection can take it.
    pub fn poll_station(&mut self, id: StationId) -> Option<Vec<u8>> {
        let station = self.stations.get_mut(id)?;
        (!station.outbound.is_empty()).then(|| std::mem::take(&mut station.outbound))
    }

    /// The station was told that it is too slow: after these words its connection is to be closed.
    pub fn is_station_given_up(&self, id: StationId) -> bool {
        self.stations.list.iter().any(|station| station.id == id && !station.connected)
    }

    /// An UPDATE of a neighbour, without its header.
    pub(super) fn tell_stations_update(&mut self, index: u32, body: &[u8], now: Instant) {
        if !self.stations.are_connected() {
            return;
        }
        let Some(header) = self.established_header(index) else { return };
        let mut update = Vec::with_capacity(body.len() + crate::wire::HEADER_LEN);
        write_update(body, &mut update);
        self.stations.tell(|config, out| {
            bmp::route_monitoring(&header.at(config, now), &update, out);
        });
    }

    /// The neighbour has sent all that it was asked for.
    pub(super) fn tell_stations_end_of_rib(&mut self, index: u32, family: AfiSafi, now: Instant) {
        if !self.stations.are_connected() {
            return;
        }
        let Some(header) = self.established_header(index) else { return };
        let mut update = Vec::new();
        UpdatePacker { max_len: crate::wire::MAX_MESSAGE, four_octet_as: true }
            .end_of_rib(family, &mut update);
        self.stations.tell(|config, out| {
            bmp::route_monitoring(&header.at(config, now), &update, out);
        });
    }

    pub(super) fn tell_stations_up(&mut self, index: u32, now: Instant) {
        if self.stations.are_connected()
            && let Some(up) = self.peer_up(index, now)
        {
            self.stations.tell(|config, out| up.write(config, out));
        }
    }

    pub(super) fn tell_stations_down(
        &mut self,
        index: u32,
        negotiated: &Negotiated,
        reason: &DownReason,
        now: Instant,
    ) {
        if !self.stations.are_connected() {
            return;
        }
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        let header = Header::new(neighbor.config.address, negotiated);
        let bytes = |notification: &Notification| {
            let mut bytes = Vec::new();
            notification.encode(&mut bytes);
            bytes
        };
        let notification;
        let why = match reason {
            DownReason::NotificationSent(ours) => {
                notification = bytes(ours);
                PeerDown::WeNotified(&notification)
            }
            DownReason::NotificationReceived(theirs) => {
                notification = bytes(theirs);
                PeerDown::PeerNotified(&notification)
            }
            DownReason::InterfaceDown | DownReason::NeighborMoved => PeerDown::WeClosed,
            DownReason::Closed | DownReason::Restarted => PeerDown::PeerClosed,
        };
        self.stations.tell(|config, out| bmp::peer_down(&header.at(config, now), why, out));
    }

    /// Counts, for stations that are due to get them.
    pub(super) fn tell_stations_counts(&mut self, now: Instant) {
        let due = |station: &Station| station.statistics_at.is_some_and(|at| at <= now);
        if self.stations.list.iter().any(due) {
            let counts = self.counts();
            for station in self.stations.list.iter_mut().filter(|station| due(station)) {
                station.statistics_at = station.config.statistics.map(|interval| now + interval);
                for (header, statistics) in &counts {
                    let header = header.at(&station.config, now);
                    station.write(|_, out| bmp::statistics(&header, statistics, out));
                }
            }
        }
        let next = self.stations.list.iter().filter_map(|station| station.statistics_at).min();
        self.wake_at = [self.wake_at, next].into_iter().flatten().min();
    }

    fn counts(&self) -> Vec<(Header, Statistics)> {
        let summaries = self.neighbors();
        let established = summaries.iter().filter_map(|summary| {
            let header = Header::new(summary.config.address, summary.negotiated.as_ref()?);
            let count = |received: usize| u64::try_from(received).unwrap_or(u64::MAX);
            let families = summary.families.iter();
            let statistics = Statistics {
                adj_rib_in: families.map(|entry| (entry.family, count(entry.received))).collect(),
                treated_as_withdraw: u32::try_from(summary.treated_as_withdraw).unwrap_or(u32::MAX),
            };
            Some((header, statistics))
        });
        established.collect()
    }

    fn established_header(&self, index: u32) -> Option<Header> {
        let neighbor = self.neighbors.get(index as usize)?.as_ref()?;
        let (negotiated, ..) = neighbor.session.established()?;
        Some(Header::new(neighbor.config.address, negotiated))
    }

    fn peer_up(&self, index: u32, since: Instant) -> Option<PeerUp> {
        let neighbor = self.neighbors.get(index as usize)?.as_ref()?;
        let (negotiated, local, remote, _) = neighbor.session.established()?;
        let (ours, theirs) = neighbor.session.opens()?;
        let (sent, received) = (ours.octets().to_vec(), theirs.octets().to_vec());
        let header = Header::new(neighbor.config.address, negotiated);
        Some(PeerUp { header, since, ends: [local, remote], sent, received })
    }
}

/// The per-peer header but for the time.
#[derive(Debug, Clone, Copy)]
struct Header(PeerHeader);

impl Header {
    fn new(address: std::net::IpAddr, negotiated: &Negotiated) -> Self {
        Self(PeerHeader {
            address,
            asn: negotiated.asn,
            router_id: negotiated.router_id,
            four_octet_as: negotiated.four_octet_as,
            time: Duration::ZERO,
        })
    }

    fn at(self, config: &StationConfig, now: Instant) -> PeerHeader {
        let (instant, since_1970) = config.epoch;
        let time = since_1970 + now.saturating_duration_since(instant);
        PeerHeader { time, ..self.0 }
    }
}

struct PeerUp {
    header: Header,
    since: Instant,
    ends: [SocketAddr; 2],
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl PeerUp {
    fn write(&self, config: &StationConfig, out: &mut Vec<u8>) {
        let header = self.header.at(config, self.since);
        bmp::peer_up(&header, self.ends, [&self.sent, &self.received], out);
    }
}

impl Stations {
    fn get_mut(&mut self, id: StationId) -> Option<&mut Station> {
        self.list.iter_mut().find(|station| station.id == id)
    }

    fn are_connected(&self) -> bool {
        self.list.iter().any(|station| station.connected)
    }

    fn tell(&mut self, write: impl Fn(&StationConfig, &mut Vec<u8>)) {
        self.list.iter_mut().for_each(|station| station.write(&write));
    }
}

impl Station {
    fn write(&mut self, write: impl Fn(&StationConfig, &mut Vec<u8>)) {
        if !self.connected {
            return;
        }
        write(&self.config, &mut self.outbound);
        if self.outbound.len() > self.config.backlog {
            self.outbound = Vec::new();
            bmp::out_of_resources(&mut self.outbound);
            self.connected = false;
            self.statistics_at = None;
        }
    }
}
