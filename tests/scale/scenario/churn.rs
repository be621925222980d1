//! Everything goes and comes back, again and again.

use std::time::Duration;

use lab::Result;

use super::{ALL, Scenario, Size, cpu, in_lab, relay, used};
use crate::{
    device::{self, Device, Kind, Role, SENDERS_ASN},
    feed,
    report::{Bar, Figures},
    session::Family,
};

const TIMES: usize = 10;
const CHURN_LOAD: &str = "10 x 100k";

pub(crate) const CHURN: Scenario = Scenario {
    name: "churn",
    about: "100,000 prefixes withdrawn and announced again ten times, and told to one neighbour",
    devices: ALL,
    run,
    bars: |report| {
        let growth = report.median(Kind::Switchd, CHURN_LOAD).growth.unwrap_or(f64::MAX);
        vec![
            report.ratio(CHURN_LOAD, Kind::Bird, "CPU", cpu, 1.0),
            Bar::at_most("memory afterwards as a multiple of the start's", growth, 1.05),
        ]
    },
};

fn run(kind: Kind, size: Size) -> Result<Vec<Figures>> {
    let routes = size.of(100_000);
    let feed = feed::prefixes(routes, SENDERS_ASN, &[device::sender(0)]);
    let (announce, withdraw) = ([feed.bytes], [feed::withdrawn_prefixes(routes)]);
    let figures = in_lab(|lab| {
        let device = Device::start(lab, kind, Role::relay(Family::Ipv4Unicast, 1, 1))?;
        let (senders, receivers) = (device.senders()?, device.receivers()?);
        relay(&senders, &announce, &receivers, routes)?;
        let before = device.usage_at_rest()?;
        let mut wall = Duration::ZERO;
        for _ in 0..TIMES {
            wall += relay(&senders, &withdraw, &receivers, 0)?;
            wall += relay(&senders, &announce, &receivers, routes)?;
        }
        let (cpu, peak) = used(&device, before)?;
        let growth = Some(device.usage()?.rss as f64 / before.rss as f64);
        let paths = 2 * TIMES * routes;
        Ok(Figures { load: CHURN_LOAD, paths, wall, cpu, peak, growth, ..Figures::default() })
    })?;
    Ok(vec![figures])
}
