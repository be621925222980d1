//! Many neighbours, many routes, and nothing happens.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use lab::Result;

use super::{Scenario, Size, in_lab};
use crate::{
    device::{self, Device, Kind, Role, SENDERS_ASN},
    feed,
    report::{Bar, Figures},
    session::Family,
};

pub(crate) const IDLE: Scenario = Scenario {
    name: "idle",
    about: "100 neighbours with keepalives every three seconds, 500,000 routes, 30 s",
    devices: &[Kind::Switchd, Kind::Bird, Kind::Frr],
    run,
    bars: |report| {
        let idle = report.median(Kind::Switchd, NEIGHBORS).idle.unwrap_or(f64::MAX);
        vec![Bar::at_most("part of a CPU that is used", idle, 0.005)]
    },
};

const NEIGHBORS: &str = "100 neighbours";
const HOLD_TIME: u16 = 9;
const KEEPALIVE: Duration = Duration::from_secs(3);

fn run(kind: Kind, size: Size) -> Result<Vec<Figures>> {
    let (neighbors, routes) = (size.of(100), size.of(500_000));
    let (watched, settling) = match size {
        Size::Full => (Duration::from_secs(30), KEEPALIVE),
        Size::Smoke => (Duration::ZERO, Duration::from_millis(100)),
    };
    let feed = feed::prefixes(routes, SENDERS_ASN, &[device::sender(0)]);
    let relay = Role::relay(Family::Ipv4Unicast, neighbors, 1);
    let role = Role { hold_time: HOLD_TIME, ..relay };
    let figures = in_lab(|lab| {
        let device = Device::start(lab, kind, role)?;
        let (senders, receivers) = (device.senders()?, device.receivers()?);
        let keep_alive =
            || senders.iter().chain(&receivers).try_for_each(crate::session::Session::keep_alive);
        let start = Instant::now();
        senders[0].send(&feed.bytes)?;
        let wall = receivers[0].wait_for(routes)? - start;
        keep_alive()?;
        // Whatever it still had to do is done.
        sleep(settling);
        keep_alive()?;
        let (before, start) = (device.usage()?, Instant::now());
        while start.elapsed() < watched {
            sleep(KEEPALIVE);
            keep_alive()?;
        }
        let after = device.usage()?;
        let cpu = after.cpu.saturating_sub(before.cpu);
        let idle = Some(cpu.as_secs_f64() / start.elapsed().as_secs_f64());
        let peak = after.peak;
        Ok(Figures { load: NEIGHBORS, paths: routes, wall, cpu, peak, idle, ..Figures::default() })
    })?;
    Ok(vec![figures])
}
