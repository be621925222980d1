//! The switch hardware as far as it must be asked: which ASIC there is, how full its tables are. Blocking, on a thread of
//! its own. Without an ASIC the thread sleeps for good.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use platform::asic::{self, Driver, Profile};
use platform::devlink::{Devlink, GenetlinkError, Resource};
use platform::kernel::{Link, Model, Object};

use crate::ledger::Fill;

/// The kernel does not announce how full a table is.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// So long no port may come or go before we ask which ASIC there is.
const QUIET: Duration = Duration::from_millis(300);

/// What the thread tells.
#[derive(Debug)]
pub enum Report {
    /// Which ASIC there is; `None`: there is none.
    Profile(Option<Profile>),
    /// How full its tables are.
    Fills(Vec<Fill>),
}

/// Which ASIC the links are ports of. Makes the kernel tell of routes when hardware takes or drops them.
pub fn detect(model: &Model) -> Option<Profile> {
    let profile = asic::detect(model)?;
    for family in ["ipv4", "ipv6"] {
        let file = format!("/proc/sys/net/{family}/fib_notify_on_flag_change");
        if let Err(error) = std::fs::write(&file, "1") {
            tracing::warn!(%file, %error, "the kernel will not tell when hardware takes or drops a route: its verdicts may be late");
        }
    }
    match profile.driver {
        Driver::Other => tracing::warn!(
            "the driver of this switch ASIC is not known: what it takes is reported, nothing is predicted"
        ),
        _ => tracing::info!(asic = %profile, "found a switch ASIC"),
    }
    Some(profile)
}

/// Answers each set of links with the ASIC behind it, and keeps telling how full its tables are, until nobody asks or
/// listens any more.
pub fn watch(has_asic: bool, ports: &Receiver<Vec<Link>>, tell: impl Fn(Report) -> bool) {
    let mut has_asic = has_asic;
    loop {
        let asked = if has_asic {
            ports.recv_timeout(ASK_EVERY)
        } else {
            ports.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let report = match asked {
            Ok(mut links) => {
                // A driver that comes or goes does so port by port.
                while let Ok(more) = ports.recv_timeout(QUIET) {
                    links = more;
                }
                let profile = detect(&links.into_iter().map(Object::Link).collect());
                has_asic = profile.is_some();
                Report::Profile(profile)
            }
            Err(RecvTimeoutError::Timeout) => match fills() {
                Some(fills) => Report::Fills(fills),
                None => continue,
            },
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if !tell(report) {
            return;
        }
    }
}

/// Of all devices; `None`: they could not be read. A driver without devlink has no tables to tell of.
pub fn fills() -> Option<Vec<Fill>> {
    let read = || -> Result<Vec<Fill>, GenetlinkError> {
        let mut devlink = Devlink::open()?;
        let devices = devlink.devices()?;
        let mut fills = Vec::new();
        for device in &devices {
            let resources = match devlink.resources(device) {
                Err(error) if error.is_unsupported() => continue,
                resources => resources?,
            };
            let of_device = resources.iter().flat_map(Resource::walk).filter_map(fill);
            fills.extend(of_device.map(|fill| match devices.len() {
                1 => fill,
                _ => Fill { path: format!("{device} {}", fill.path), ..fill },
            }));
        }
        Ok(fills)
    };
    read().inspect_err(|error| tracing::debug!(%error, "cannot read the tables of the ASIC")).ok()
}

/// Unlimited tables and those that do not count their entries have nothing to tell.
fn fill(resource: &Resource) -> Option<Fill> {
    let size = Some(resource.size).filter(|size| *size != u64::MAX)?;
    Some(Fill {
        path: resource.path.clone(),
        size,
        occupied: resource.occupancy?,
        unit: resource.unit.to_string(),
    })
}
