//! Linux tooling makes and removes a VNI while switchd runs; no configuration says so.

use lab::{
    Lab, PATIENCE, Result, ensure, eventually,
    fabric::{Daemon, Fabric, Peering, attach_host, vtep_address},
    kernel_view, ping,
};

use crate::World;

#[test]
fn a_vni_made_with_ip_link_carries_packets_and_one_removed_is_withdrawn() -> Result {
    Lab::run(|lab| {
        let world = World::start(lab, Peering::External, Daemon::Switchd)?;
        let tenants = [lab.node("tenant1")?, lab.node("tenant2")?];
        for index in [1, 2] {
            add_vni(&world.fabric, index)?;
            // The same address as host1 and host2 have in the other VNI: nothing leaks between them.
            let tenant = &tenants[index - 1];
            attach_host(
                lab,
                world.fabric.leaf(index),
                "port2",
                tenant,
                TENANT_MACS[index - 1],
                TENANT_IPS[index - 1],
            )?;
            world.fabric.leaf(index).run("ip link set port2 master br200")?;
        }
        ping::reaches(&tenants[0], TENANT_IPS[1], PATIENCE)?;
        ping::reaches(&tenants[1], TENANT_IPS[0], PATIENCE)?;
        let leaked = kernel_view::remote_fdb(world.fabric.leaf(2), "vni100")?;
        ensure!(
            leaked.iter().all(|entry| entry.mac != TENANT_MACS[0]),
            "VNI 200's MAC in VNI 100: {leaked:?}"
        );

        world.fabric.leaf(1).run("ip link del vni200")?;
        eventually(PATIENCE, || {
            let left = kernel_view::remote_fdb(world.fabric.leaf(2), "vni200")?;
            ensure!(
                left.is_empty(),
                "leaf2 still has {left:?} of the VNI that leaf1 no longer has"
            );
            Ok(())
        })
    })
}

fn add_vni(fabric: &Fabric, index: usize) -> Result {
    let vtep = vtep_address(index);
    for command in [
        "ip link add br200 type bridge",
        "ip link set br200 addrgenmode none",
        "ip link set br200 up",
        &format!("ip link add vni200 type vxlan id 200 local {vtep} dstport 4789 nolearning"),
        "ip link set vni200 addrgenmode none",
        "ip link set vni200 master br200",
        "bridge link set dev vni200 learning off",
        "ip link set vni200 up",
    ] {
        fabric.leaf(index).run(command)?;
    }
    Ok(())
}

const TENANT_MACS: [&str; 2] = ["02:00:00:00:21:01", "02:00:00:00:22:02"];
const TENANT_IPS: [&str; 2] = ["192.168.100.1", "192.168.100.2"];
