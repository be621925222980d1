//! Spectrum's own driver: what it takes into hardware, and what it refuses.

use lab::{Hardware, Lab, PATIENCE, Result, ensure, eventually};

#[test]
fn a_vxlan_gateways_entries_are_in_hardware() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2", "up0"]))?;
        let switch = machine.switch();
        machine.shell(
            "set -e
            ip address add 10.255.0.1/32 dev lo
            ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
            ip link set br0 up
            ip link set port1 master br0
            ip link set port1 up
            bridge vlan add dev port1 vid 10 pvid untagged
            ip link add vx10 type vxlan id 10010 local 10.255.0.1 dstport 4789 nolearning noudpcsum tos inherit ttl 64
            ip link set vx10 master br0
            bridge vlan add dev vx10 vid 10 pvid untagged
            ip link set vx10 up
            bridge fdb append 00:00:00:00:00:00 dev vx10 dst 10.255.0.2
            bridge fdb add 02:00:00:00:00:02 dev vx10 master static extern_learn vlan 10
            bridge fdb add 02:00:00:00:00:02 dev vx10 self static extern_learn dst 10.255.0.2",
        )?;
        eventually(PATIENCE, || {
            let table = switch.run("bridge fdb show dev vx10")?;
            for entry in ["00:00:00:00:00:00 dst", "00:02 vlan 10", "00:02 dst"] {
                let offloaded =
                    table.lines().any(|line| line.contains(entry) && line.contains("offload"));
                ensure!(offloaded, "not in hardware: {entry} of {table}");
            }
            Ok(())
        })?;
        let decap = switch.run("ip route show table local 10.255.0.1")?;
        ensure!(decap.contains("offload"), "the chip does not decapsulate: {decap}");
        Ok(())
    })
}
