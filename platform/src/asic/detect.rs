//! Which switch this machine has. The only file here that looks at the machine.

use std::fs;
use std::path::Path;

use super::{Driver, KernelVersion, Profile};
use crate::kernel::Model;

/// The switch whose ports are among the links; `None` without one.
pub fn detect(model: &Model) -> Option<Profile> {
    let port = model.links().filter(|link| link.is_switch_port()).min_by_key(|link| link.index)?;
    let driver = driver_of(&port.name).unwrap_or(Driver::Other);
    Some(Profile::new(driver, kernel_version().unwrap_or(NEWEST)))
}

/// What is assumed of a kernel whose version cannot be read: constraints that newer kernels lifted do not hold.
const NEWEST: KernelVersion = KernelVersion::new(u16::MAX, 0);

/// The running kernel's version.
pub fn kernel_version() -> Option<KernelVersion> {
    fs::read_to_string("/proc/sys/kernel/osrelease").ok()?.parse().ok()
}

fn driver_of(port: &str) -> Option<Driver> {
    let device = Path::new("/sys/class/net").join(port).join("device");
    let driver = fs::read_link(device.join("driver")).ok()?;
    Driver::named(driver.file_name()?.to_str()?)
}
