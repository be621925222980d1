//! Asks devlink. Blocking: a driver may take milliseconds for each answer.

use platform::devlink::{Devlink, GenetlinkError, Handle};

use super::snapshot::{Device, Devices};

/// All that metrics show of the switch hardware, in the network namespace of this thread.
pub fn read_devices() -> Devices {
    let read = || -> Result<Vec<Device>, GenetlinkError> {
        let mut devlink = Devlink::open()?;
        let devices = devlink.devices()?;
        devices.into_iter().map(|handle| read_device(&mut devlink, handle)).collect()
    };
    match read() {
        Ok(devices) => Devices { readable: true, devices },
        // A kernel without devlink has no such device either.
        Err(GenetlinkError::NoFamily(_)) => Devices { readable: true, devices: Vec::new() },
        Err(error) => {
            tracing::warn!(%error, "metrics lack the switch hardware");
            Devices::default()
        }
    }
}

fn read_device(devlink: &mut Devlink, handle: Handle) -> Result<Device, GenetlinkError> {
    Ok(Device {
        resources: or_none(devlink.resources(&handle))?,
        traps: or_none(devlink.traps(&handle))?,
        policers: or_none(devlink.policers(&handle))?,
        reporters: or_none(devlink.health_reporters(&handle))?,
        handle,
    })
}

/// What a driver does not have, it has none of.
fn or_none<T>(read: Result<Vec<T>, GenetlinkError>) -> Result<Vec<T>, GenetlinkError> {
    match read {
        Err(error) if error.is_unsupported() => Ok(Vec::new()),
        read => read,
    }
}
