//! Which switch this machine has. The only file here that looks at the machine.

use std::fs;
use std::path::Path;

use super::{Driver, KernelVersion, Profile};
use crate::devlink::{Devlink, Handle, Resource};
use crate::kernel::{Link, Model};

/// The switch whose ports are among the links; `None` without one. A driver of which nothing is known here is
/// [`Driver::Other`].
pub fn detect(model: &Model) -> Option<Profile> {
    let port = model.links().filter(|link| link.is_switch_port()).min_by_key(|link| link.index)?;
    let kernel = kernel_version().unwrap_or(NEWEST);
    let told = told_by_devlink(port);
    let driver = told.as_ref().and_then(|told| told.driver).or_else(|| told_by_sysfs(port));
    let profile = Profile::new(driver.unwrap_or(Driver::Other), kernel);
    let mac_profiles = told.and_then(|told| told.mac_profiles).or(profile.mac_profiles);
    Some(Profile { mac_profiles, ..profile })
}

/// What is assumed of a kernel whose version cannot be read: constraints that newer kernels lifted do not hold.
const NEWEST: KernelVersion = KernelVersion::new(u16::MAX, 0);

/// The running kernel's version.
pub fn kernel_version() -> Option<KernelVersion> {
    fs::read_to_string("/proc/sys/kernel/osrelease").ok()?.parse().ok()
}

#[derive(Debug, Default)]
struct Told {
    driver: Option<Driver>,
    mac_profiles: Option<u32>,
}

fn told_by_devlink(port: &Link) -> Option<Told> {
    let parent = port.parent_device()?;
    let handle = Handle { bus: parent.bus.clone(), device: parent.name.clone() };
    let mut devlink = Devlink::open().ok()?;
    let driver = devlink.info(&handle).ok()?.driver.as_deref().and_then(Driver::named);
    let resources = devlink.resources(&handle).unwrap_or_default();
    let mut resources = resources.iter().flat_map(Resource::walk);
    let mac_profiles = resources.find(|resource| resource.path == "rif_mac_profiles");
    let mac_profiles = mac_profiles.and_then(|resource| u32::try_from(resource.size).ok());
    Some(Told { driver, mac_profiles })
}

/// For drivers without devlink.
fn told_by_sysfs(port: &Link) -> Option<Driver> {
    let device = Path::new("/sys/class/net").join(&port.name).join("device");
    let driver = fs::read_link(device.join("driver")).ok()?;
    Driver::named(driver.file_name()?.to_str()?)
}
