//! `[[bgp.bmp-station]]`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::{in_range, refuse};
use crate::config::BmpStation;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BmpStationTable {
    address: Spanned<String>,
    statistics_interval: Option<Spanned<u16>>,
}

/// Seconds between counts, unless the file says otherwise.
const STATISTICS_INTERVAL: u16 = 60;

pub(super) fn check_stations(tables: Vec<BmpStationTable>) -> Result<Vec<BmpStation>, Refusal> {
    let mut stations: Vec<BmpStation> = Vec::with_capacity(tables.len());
    for table in tables {
        let span = table.address.span();
        let station = table.check()?;
        if stations.iter().any(|known| known.address == station.address) {
            let message =
                format!("station {} is configured twice; remove one of the two", station.address);
            return Err(refuse(&span, &message));
        }
        stations.push(station);
    }
    Ok(stations)
}

impl BmpStationTable {
    fn check(self) -> Result<BmpStation, Refusal> {
        let address: Option<SocketAddr> = self.address.get_ref().parse().ok();
        let Some(address) = address.filter(|address| address.port() != 0) else {
            return Err(refuse(
                &self.address.span(),
                "address must be an address and a port, such as \"192.0.2.9:11019\" or \"[2001:db8::9]:11019\"",
            ));
        };
        let statistics = match self.statistics_interval {
            None => Some(STATISTICS_INTERVAL),
            Some(seconds) if *seconds.get_ref() == 0 => None,
            Some(seconds) => Some(in_range(seconds, "statistics-interval", 1..=u16::MAX)?),
        };
        let statistics_interval = statistics.map(|seconds| Duration::from_secs(seconds.into()));
        Ok(BmpStation { address, statistics_interval })
    }
}
