//! Spectrum's own driver: what it takes into hardware, what it refuses, and what it never says.
//!
//! Linux forwards the packets here; the flags, and what the chip holds, are the driver's. Each story uses iproute2 alone:
//! a daemon that does the same gets the same.

mod gateway;
mod layer2;
mod layer3;
mod platform;
mod refusals;

use lab::{
    Hardware, Lab, Machine, PATIENCE, Result, ensure, eventually,
    kernel_view::{self, FdbEntry},
};

/// A switch with a VLAN-aware bridge, `port1` in VLAN 10, and VXLAN device vx10 (VNI 10010).
fn gateway(lab: &Lab) -> Result<Machine> {
    let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2", "port3", "up0"]))?;
    machine.shell(GATEWAY)?;
    Ok(machine)
}

const GATEWAY: &str = "set -e
ip address add 10.255.0.1/32 dev lo
ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
ip link set br0 up
ip link set port1 master br0
ip link set port1 up
bridge vlan add dev port1 vid 10 pvid untagged
ip link add vx10 type vxlan id 10010 local 10.255.0.1 dstport 4789 nolearning noudpcsum tos inherit ttl 64
ip link set vx10 master br0
bridge vlan add dev vx10 vid 10 pvid untagged
ip link set vx10 up";

const FLOOD: &str = "00:00:00:00:00:00";

/// Shell commands for a remote station: Linux has two tables, the chip one, and it takes what stands in both.
fn add_station(mac: &str, vtep: &str) -> String {
    format!(
        "bridge fdb add {mac} dev vx10 master static extern_learn vlan 10\n\
         bridge fdb add {mac} dev vx10 self static extern_learn dst {vtep}\n"
    )
}

fn entries(machine: &Machine, mac: &str) -> Result<Vec<FdbEntry>> {
    let all = kernel_view::fdb(&machine.switch(), "vx10")?;
    Ok(all.into_iter().filter(|entry| entry.mac == mac).collect())
}

/// Waits until all entries of a MAC have the flag: a work queue of the driver programs the chip after the command has
/// returned, and nothing tells when.
fn wait_until_offloaded(machine: &Machine, mac: &str, count: usize) -> Result {
    eventually(PATIENCE, || {
        let found = entries(machine, mac)?;
        let offloaded = found.iter().filter(|entry| entry.flags.contains("offload")).count();
        ensure!(offloaded == count && found.len() == count, "{mac} is not in hardware: {found:?}");
        Ok(())
    })
}

/// What the chip itself holds that contains all these words.
fn chip_holds(machine: &Machine, words: &[&str]) -> Result<bool> {
    let lines = machine.spectrum_holds()?;
    Ok(lines.iter().any(|line| words.iter().all(|word| line.contains(word))))
}
