//! The emulated hardware itself, seen by tools that we did not write (iproute2, devlink, tc, and QEMU about its own chip):
//! what tests of switchd may rely on. And switchd on it, with the same tools as witnesses.

mod devlink;
mod fabric;
mod lab_itself;
mod link_frames;
mod metrics;
mod netdevsim;
mod platform_kernel;
mod prediction;
mod rocker;
mod single_vxlan_device;
mod spectrum;
mod switchd_netdevsim;
mod switchd_rocker;
mod switchd_spectrum;
mod switchd_without_asic;
mod verdicts;
mod vlan_aware;
mod witness;
