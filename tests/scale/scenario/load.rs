//! The load alone: what sends and counts must not be what is measured.

use std::net::{TcpListener, TcpStream};

use lab::{LabError, Result, peers::raw::in_namespace};

use super::{Scenario, Size, in_lab, relay};
use crate::{
    device::{self, Device, Kind, Role, SENDERS_ASN},
    feed,
    report::{Bar, Figures},
    session::{Family, Session},
};

pub(crate) const LOAD: Scenario = Scenario {
    name: "load",
    about: "sender and receiver of the real table with nothing between them",
    devices: &[Kind::Nothing],
    run,
    bars: |report| {
        let alone = report.median(Kind::Nothing, TABLE);
        // A third of the fastest device's figure leaves it the slowest part of the chain.
        vec![Bar::at_most(
            "ns per path to send and to count",
            alone.wall.as_secs_f64() * 1e9 / alone.paths.max(1) as f64,
            250.0,
        )]
    },
};

const TABLE: &str = "table alone";

fn run(kind: Kind, size: Size) -> Result<Vec<Figures>> {
    let role = Role::relay(Family::Ipv4Unicast, 1, 0);
    let figures = in_lab(|lab| {
        let device = Device::start(lab, kind, role)?;
        let feed =
            feed::real_table(SENDERS_ASN, device::sender(0), 0, size.of(feed::TABLE_UPDATES))?;
        let listener =
            in_namespace(device.node(), || Ok(TcpListener::bind((device::ADDRESS, 179))?))?;
        let sender =
            in_namespace(device.load(), || Ok(TcpStream::connect((device::ADDRESS, 179))?))?;
        let (receiver, _) = listener.accept()?;
        let (sender, receiver) = (Session::over(sender)?, Session::over(receiver)?);
        let routes = feed.routes + 1;
        let wall = relay(&[sender], &[feed.bytes], &[receiver], routes)?;
        Ok::<_, LabError>(Figures { load: TABLE, paths: routes, wall, ..Figures::default() })
    })?;
    Ok(vec![figures])
}
