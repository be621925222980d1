//! Whole fabrics on machines: switchd on emulated hardware.

use lab::{
    Hardware, Lab, PATIENCE, Result, ensure, eventually,
    fabric::{FLOOD_MAC, Fabric, Peering, host_address},
    kernel_view, ping,
};

#[test]
fn two_leaves_on_spectrum_carry_their_hosts_packets_and_flood_in_hardware() -> Result {
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
            eventually(PATIENCE, || {
                let entries = kernel_view::remote_fdb(fabric.leaf(leaf), "vni100")?;
                let offloaded = entries
                    .iter()
                    .any(|entry| entry.mac == FLOOD_MAC && entry.flags.contains("offload"));
                ensure!(offloaded, "leaf{leaf} does not flood in hardware: {entries:?}");
                Ok(())
            })?;
        }
        Ok(())
    })
}
