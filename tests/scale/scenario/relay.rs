//! From senders to receivers, nothing in the kernel.

use lab::Result;

use super::{ALL, Scenario, Size, cpu, in_lab, peak, relay, used, wall};
use crate::{
    device::{self, Device, Kind, Role, SENDERS_ASN},
    feed::{self, Feed},
    report::{Bar, Figures, Report},
    session::Family,
};

pub(crate) const TABLE: Scenario = Scenario {
    name: "table",
    about: "the real table (577,704 prefixes) from one and from four neighbours, told to one",
    devices: ALL,
    run: |kind, size| Ok(vec![table(kind, size, ONE, 1)?, table(kind, size, FOUR, 4)?]),
    bars: |report| {
        let bars = |load| {
            [
                report.ratio(load, Kind::Bird, "CPU", cpu, 1.0 / 3.0),
                report.ratio(load, Kind::Bird, "wall", wall, 1.0),
                report.ratio(load, Kind::Frr, "wall", wall, 1.0),
                report.ratio(load, Kind::Bird, "peak memory", peak, 1.0),
            ]
        };
        [ONE, FOUR].into_iter().flat_map(bars).collect()
    },
};

/// BIRD has EVPN from 2.19 on, which Debian 12 does not have: if the first `bird` in PATH is one, it is measured too.
pub(crate) const EVPN: Scenario = Scenario {
    name: "evpn",
    about: "a million EVPN routes of type 2, 60 in an UPDATE, from one neighbour to another",
    devices: ALL,
    run: |kind, size| {
        if kind == Kind::Bird && !device::bird_has_evpn()? {
            eprintln!(
                "evpn: this BIRD has no EVPN; put one from 2.19 on first in PATH to measure it"
            );
            return Ok(Vec::new());
        }
        let routes = size.of(1_000_000);
        let feed = feed::macs(routes, SENDERS_ASN, device::sender(0));
        Ok(vec![one_to_many(kind, Family::Evpn, MACS, feed, 1)?])
    },
    bars: |report| {
        let cheap = if report.has(Kind::Bird) {
            report.ratio(MACS, Kind::Bird, "CPU", cpu, 1.0 / 3.0)
        } else {
            report.ratio(MACS, Kind::Frr, "CPU", cpu, 0.1)
        };
        vec![
            cheap,
            report.ratio(MACS, Kind::Frr, "wall", wall, 1.0),
            report.ratio(MACS, Kind::Frr, "peak memory", peak, 1.0),
        ]
    },
};

pub(crate) const FAN_OUT: Scenario = Scenario {
    name: "fan-out",
    about: "100,000 prefixes from one neighbour to twenty",
    devices: ALL,
    run: |kind, size| Ok(vec![prefixes(kind, size.of(100_000), TWENTY, 20)?]),
    bars: |report| {
        vec![
            report.ratio(TWENTY, Kind::Frr, "wall", wall, 1.0),
            report.ratio(TWENTY, Kind::Frr, "CPU", cpu, 1.0),
            report.ratio(TWENTY, Kind::Bird, "peak memory", peak, 2.0),
        ]
    },
};

pub(crate) const LINEAR: Scenario = Scenario {
    name: "linear",
    about: "10,000, 100,000 and 1,000,000 prefixes from one neighbour to another",
    devices: &[Kind::Switchd, Kind::Bird],
    run: |kind, size| {
        let of = |full, load| prefixes(kind, size.of(full), load, 1);
        Ok(vec![of(10_000, TEN_THOUSAND)?, of(100_000, HUNDRED_THOUSAND)?, of(1_000_000, MILLION)?])
    },
    bars: linear,
};

const ONE: &str = "1 neighbour";
const FOUR: &str = "4 neighbours";
const MACS: &str = "1M type 2";
const TWENTY: &str = "20 receivers";
const TEN_THOUSAND: &str = "10k";
const HUNDRED_THOUSAND: &str = "100k";
const MILLION: &str = "1M";

fn linear(report: &Report) -> Vec<Bar> {
    let per_path = |load| report.median(Kind::Switchd, load).per_path();
    let all = [TEN_THOUSAND, HUNDRED_THOUSAND, MILLION].map(per_path);
    let (least, most) = all
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), figure| (least.min(*figure), most.max(*figure)));
    vec![Bar::at_most("dearest CPU per path as a multiple of the cheapest", most / least, 1.2)]
}

fn prefixes(kind: Kind, routes: usize, load: &'static str, receivers: usize) -> Result<Figures> {
    let feed = feed::prefixes(routes, SENDERS_ASN, &[device::sender(0)]);
    one_to_many(kind, Family::Ipv4Unicast, load, feed, receivers)
}

fn one_to_many(
    kind: Kind,
    family: Family,
    load: &'static str,
    feed: Feed,
    receivers: usize,
) -> Result<Figures> {
    let role = Role::relay(family, 1, receivers);
    measure(kind, role, load, &[feed.bytes], feed.routes, feed.routes)
}

fn table(kind: Kind, size: Size, load: &'static str, senders: u8) -> Result<Figures> {
    let role = Role::relay(Family::Ipv4Unicast, senders.into(), 1);
    let feeds = (0..senders)
        .map(|number| {
            let next_hop = device::sender(number.into());
            feed::real_table(SENDERS_ASN, next_hop, number, size.of(feed::TABLE_UPDATES))
        })
        .collect::<Result<Vec<_>>>()?;
    let paths = feeds.iter().map(|feed| feed.routes + 1).sum();
    let routes = feeds.first().map_or(0, |feed| feed.routes) + feeds.len();
    let bytes: Vec<_> = feeds.into_iter().map(|feed| feed.bytes).collect();
    measure(kind, role, load, &bytes, paths, routes)
}

fn measure(
    kind: Kind,
    role: Role,
    load: &'static str,
    feeds: &[Vec<u8>],
    paths: usize,
    routes: usize,
) -> Result<Figures> {
    in_lab(|lab| {
        let device = Device::start(lab, kind, role)?;
        let (senders, receivers) = (device.senders()?, device.receivers()?);
        let before = device.usage_at_rest()?;
        let wall = relay(&senders, feeds, &receivers, routes)?;
        let (cpu, peak) = used(&device, before)?;
        Ok(Figures { load, paths, wall, cpu, peak, ..Figures::default() })
    })
}
