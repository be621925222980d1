//! Whole fabrics on machines: switchd on emulated hardware.

use lab::{
    Hardware, Lab, PATIENCE, Result, ensure, eventually,
    fabric::{FLOOD_MAC, Fabric, Peering, attach_host, host_address, host_mac},
    kernel_view,
    machine::RockerTable,
    ping,
};

#[test]
fn two_leaves_on_spectrum_have_each_others_stations_and_flood_lists_in_hardware() -> Result {
    Lab::run(|lab| {
        let hardware = Hardware::spectrum(&["up0", "port1"]);
        let leaves = [lab.machine("leaf1", hardware.clone())?, lab.machine("leaf2", hardware)?];
        let nodes = [lab.node("spine")?, leaves[0].switch(), leaves[1].switch()];
        let hosts = [lab.node("host1")?, lab.node("host2")?];
        let fabric = Fabric::on(lab, Peering::External, nodes, hosts)?;
        let spine = fabric.frr_spine()?;
        let _switches = [fabric.switchd_leaf(1)?, fabric.switchd_leaf(2)?];
        spine.wait_established(2)?;
        ping::reaches(fabric.host(1), host_address(2), PATIENCE)?;
        for leaf in [1, 2] {
            fabric.wait_for_flood_entry(leaf)?;
            fabric.wait_for_mac(leaf, host_mac(3 - leaf))?;
            eventually(PATIENCE, || {
                let entries = kernel_view::remote_fdb(fabric.leaf(leaf), "vni100")?;
                for mac in [FLOOD_MAC, host_mac(3 - leaf)] {
                    let offloaded = entries
                        .iter()
                        .filter(|entry| entry.mac == mac)
                        .all(|entry| entry.flags.contains("offload"));
                    ensure!(offloaded, "leaf{leaf} has {mac} not in hardware: {entries:?}");
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}

#[test]
fn two_hosts_of_a_rocker_leaf_are_switched_by_its_chip_and_reach_a_third_behind_frr() -> Result {
    Lab::run(|lab| {
        // The uplink is a NIC: rocker's chip drops what is routed to the VTEP's address, which is on the loopback.
        let leaf = lab.machine("leaf1", Hardware::rocker(&["port1", "port2"]))?;
        let nodes = [lab.node("spine")?, leaf.switch(), lab.node("leaf2")?];
        let hosts = [lab.node("host1")?, lab.node("host2")?];
        let fabric = Fabric::on(lab, Peering::External, nodes, hosts)?;
        let neighbor = lab.node("host3")?;
        attach_host(lab, &leaf.switch(), "port2", &neighbor, NEIGHBOR_MAC, NEIGHBOR_ADDRESS)?;
        let spine = fabric.frr_spine()?;
        let _right = fabric.frr_leaf(2)?;
        let _switch = fabric.switchd_leaf(1)?;
        spine.wait_established(2)?;
        ping::reaches(fabric.host(1), host_address(2), PATIENCE)?;
        ping::reaches(&neighbor, host_address(2), PATIENCE)?;
        ping::reaches(fabric.host(1), NEIGHBOR_ADDRESS, PATIENCE)?;

        // What the chip has learned is announced, and what FRR announces is in the kernel.
        fabric.wait_for_mac(2, host_mac(1))?;
        fabric.wait_for_mac(2, NEIGHBOR_MAC)?;
        fabric.wait_for_mac(1, host_mac(2))?;

        let hits = || -> Result<u64> {
            let flows = leaf.rocker_flows(RockerTable::Bridging)?;
            let neighbor = flows.iter().filter(|flow| flow["key"]["eth-dst"] == NEIGHBOR_MAC);
            Ok(neighbor.filter_map(|flow| flow["hits"].as_u64()).sum())
        };
        let before = hits()?;
        fabric.host(1).run(&format!("ping -n -q -c 20 -i 0.02 {NEIGHBOR_ADDRESS}"))?;
        let crossed = hits()? - before;
        ensure!(crossed >= 20, "the chip counts {crossed} of 20 frames to the neighbour");
        Ok(())
    })
}

const NEIGHBOR_MAC: &str = "02:00:00:00:01:03";
const NEIGHBOR_ADDRESS: &str = "192.168.100.3";
