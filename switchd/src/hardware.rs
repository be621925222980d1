//! The switch hardware as far as it must be asked: which ASIC there is, how full its tables are. Blocking, on a thread of
//! its own. Without an ASIC the thread sleeps for good.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use platform::asic::{Driver, KernelVersion, Profile};
use platform::devlink::{Devlink, GenetlinkError, Handle, Resource};
use platform::kernel::Link;

use crate::ledger::Fill;

/// The kernel does not announce how full a table is.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// What the thread tells.
#[derive(Debug)]
pub enum Report {
    /// Which ASIC there is; `None`: there is none.
    Profile(Option<Profile>),
    /// How full its tables are.
    Fills(Vec<Fill>),
}

/// Which ASIC these links are ports of. Makes the kernel tell of routes when hardware takes or drops them.
pub fn detect<'a>(links: impl IntoIterator<Item = &'a Link>) -> Option<Profile> {
    let port = links.into_iter().find(|link| link.is_switch_port())?;
    let name = driver_by_devlink(port).or_else(|| driver_by_sysfs(port));
    let driver = name.as_deref().and_then(Driver::named).unwrap_or(Driver::Other);
    let profile = Profile::new(driver, kernel_version());
    for family in ["ipv4", "ipv6"] {
        let file = format!("/proc/sys/net/{family}/fib_notify_on_flag_change");
        if let Err(error) = std::fs::write(&file, "1") {
            tracing::warn!(%file, %error, "the kernel will not tell when hardware takes or drops a route: its verdicts may be late");
        }
    }
    match name {
        Some(name) if driver == Driver::Other => {
            tracing::warn!(
                driver = name,
                port = port.name,
                "this switch ASIC is not known: nothing can be predicted of it"
            );
        }
        _ => tracing::info!(asic = %profile, port = port.name, "found a switch ASIC"),
    }
    Some(profile)
}

fn driver_by_devlink(port: &Link) -> Option<String> {
    let parent = port.parent_device()?;
    let handle = Handle { bus: parent.bus.clone(), device: parent.name.clone() };
    Devlink::open().ok()?.info(&handle).ok()?.driver
}

/// For drivers without devlink.
fn driver_by_sysfs(port: &Link) -> Option<String> {
    let driver = std::fs::read_link(format!("/sys/class/net/{}/device/driver", port.name)).ok()?;
    Some(driver.file_name()?.to_string_lossy().into_owned())
}

/// Of the running kernel. One that cannot be read counts as the oldest, which has all constraints.
fn kernel_version() -> KernelVersion {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.parse().unwrap_or(KernelVersion::new(0, 0))
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
            Ok(links) => {
                let profile = detect(&links);
                has_asic = profile.is_some();
                Report::Profile(profile)
            }
            Err(RecvTimeoutError::Timeout) => Report::Fills(fills()),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if !tell(report) {
            return;
        }
    }
}

/// Of all devices. A driver without devlink has no tables to tell of.
pub fn fills() -> Vec<Fill> {
    let read = || -> Result<Vec<Fill>, GenetlinkError> {
        let mut devlink = Devlink::open()?;
        let mut fills = Vec::new();
        for device in devlink.devices()? {
            let resources = devlink.resources(&device)?;
            fills.extend(resources.iter().flat_map(Resource::walk).filter_map(fill));
        }
        Ok(fills)
    };
    read().unwrap_or_else(|error| {
        if !error.is_unsupported() {
            tracing::debug!(%error, "cannot read the tables of the ASIC");
        }
        Vec::new()
    })
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
