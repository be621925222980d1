//! A million routes into the kernel, beside the shortest way to do that.

use std::{net::Ipv4Addr, time::Instant};

use lab::Result;

use super::{Scenario, cpu, in_lab, used};
use crate::{
    device::{Device, Kind, Role, SENDERS_ASN},
    feed,
    netlink::{self, Acknowledge},
    report::{Bar, Figures, Report},
    session::Family,
};

pub(crate) const FIB: Scenario = Scenario {
    name: "fib",
    about: "a million prefixes into the kernel by eight nexthop objects, and told to one neighbour",
    devices: &[Kind::Nothing, Kind::Switchd, Kind::Bird, Kind::Frr],
    run: |kind, size| {
        let routes = size.of(1_000_000);
        match kind {
            Kind::Nothing => Ok(vec![
                bare(routes, UNACKNOWLEDGED, Acknowledge::None)?,
                bare(routes, ACKNOWLEDGED, Acknowledge::Each)?,
            ]),
            daemon => Ok(vec![install(daemon, routes)?]),
        }
    },
    bars,
};

const UNACKNOWLEDGED: &str = "no ack";
const ACKNOWLEDGED: &str = "acks";
const ROUTES: &str = "1M routes";
const NEXT_HOPS: u8 = 8;

fn bars(report: &Report) -> Vec<Bar> {
    let seconds = |kind, load| {
        let fib = report.median(kind, load).fib;
        fib.map_or(f64::NAN, |fib| fib.as_secs_f64())
    };
    let ours = report.median(Kind::Switchd, ROUTES);
    let fib = seconds(Kind::Switchd, ROUTES);
    vec![
        Bar::at_most(
            "time until installed as a multiple of a bare writer's without acknowledgements",
            fib / seconds(Kind::Nothing, UNACKNOWLEDGED),
            1.3,
        ),
        Bar::at_most(
            "time until all is told as a part of the time until all is installed",
            ours.wall.as_secs_f64() / fib,
            1.0,
        ),
        report.ratio(ROUTES, Kind::Bird, "CPU", cpu, 1.0),
    ]
}

fn next_hops() -> Vec<Ipv4Addr> {
    (0..NEXT_HOPS).map(|number| Ipv4Addr::new(10, 99, 3, number + 1)).collect()
}

fn bare(routes: usize, load: &'static str, acknowledge: Acknowledge) -> Result<Figures> {
    in_lab(|lab| {
        let role = Role::relay(Family::Ipv4Unicast, 1, 0);
        let device = Device::start(lab, Kind::Nothing, role)?;
        let took = netlink::write(device.node(), routes, &next_hops(), acknowledge)?;
        netlink::wait_for_routes(device.node(), routes)?;
        Ok(Figures { load, paths: routes, wall: took, fib: Some(took), ..Figures::default() })
    })
}

fn install(kind: Kind, routes: usize) -> Result<Figures> {
    let feed = feed::prefixes(routes, SENDERS_ASN, &next_hops());
    let role = Role { fib: true, ..Role::relay(Family::Ipv4Unicast, 1, 1) };
    in_lab(|lab| {
        let device = Device::start(lab, kind, role)?;
        let (senders, receivers) = (device.senders()?, device.receivers()?);
        let before = device.usage_at_rest()?;
        let start = Instant::now();
        let (fib, told) = std::thread::scope(|scope| {
            let told = scope.spawn(|| {
                senders[0].send(&feed.bytes)?;
                receivers[0].wait_for(routes)
            });
            let fib = netlink::wait_for_routes(device.node(), routes)?;
            let told = told.join().unwrap_or(Ok(fib))?;
            Ok::<_, lab::LabError>((fib, told))
        })?;
        let (cpu, peak) = used(&device, before)?;
        let (wall, fib) = (told - start, Some(fib - start));
        Ok(Figures { load: ROUTES, paths: routes, wall, fib, cpu, peak, ..Figures::default() })
    })
}
