//! The box beneath us. [`kernel`] is the dataplane: typed kernel objects over netlink; it uses nothing of the crate
//! around it. [`devlink`] is the switch as a device: tables, traps, policers, health, ports. [`ethtool`] is one port: speed,
//! FEC, module.

pub mod asic;
pub mod devlink;
pub mod ethtool;
mod genetlink;
pub mod kernel;
