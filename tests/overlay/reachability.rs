//! Hosts reach each other through the overlay, whatever the fabric's BGP looks like.

use lab::{
    Lab, PATIENCE, Result, ensure, eventually,
    fabric::{Daemon, FLOOD_MAC, Fabric, Peering, host_address, host_mac},
    kernel_view, ping,
};

use crate::World;

#[test]
fn hosts_reach_each_other_both_ways_when_every_switch_has_its_own_as() -> Result {
    Lab::run(|lab| hosts_reach_each_other(lab, Peering::External))
}

#[test]
fn hosts_reach_each_other_both_ways_through_a_route_reflector() -> Result {
    Lab::run(|lab| hosts_reach_each_other(lab, Peering::Reflector))
}

#[test]
fn nothing_crosses_the_overlay_before_switchd_runs() -> Result {
    Lab::run(|lab| {
        let fabric = Fabric::build(lab, Peering::External)?;
        let spine = fabric.frr_spine()?;
        let _right = fabric.frr_leaf(2)?;
        spine.wait_established(1)?;
        ping::never_reaches(fabric.host(1), host_address(2))?;
        let _switch = fabric.switchd_leaf(1)?;
        ping::reaches(fabric.host(1), host_address(2), PATIENCE)
    })
}

#[test]
fn switchd_announces_its_own_vtep_to_the_underlay_and_installs_the_other() -> Result {
    Lab::run(|lab| {
        let world = World::start(lab, Peering::External, Daemon::Switchd)?;
        for (leaf, vtep) in [(1, "10.0.0.2"), (2, "10.0.0.1")] {
            let routes = kernel_view::bgp_routes(world.fabric.leaf(leaf), 4)?;
            let route = routes.iter().find(|route| route.prefix == vtep);
            ensure!(route.is_some(), "leaf{leaf} has no BGP route to {vtep}: {routes:?}");
        }
        Ok(())
    })
}

fn hosts_reach_each_other(lab: &Lab, peering: Peering) -> Result {
    let world = World::start(lab, peering, Daemon::Switchd)?;
    // Known stations travel by unicast: with the flood entries gone, packets still arrive.
    for leaf in [1, 2] {
        let vtep = lab::fabric::vtep_address(3 - leaf);
        world
            .fabric
            .leaf(leaf)
            .run(&format!("bridge fdb del {FLOOD_MAC} dev vni100 dst {vtep} self"))?;
    }
    for host in [1, 2] {
        let (mac, address) = (host_mac(3 - host), host_address(3 - host));
        world
            .fabric
            .host(host)
            .run(&format!("ip neigh replace {address} lladdr {mac} dev eth0 nud permanent"))?;
    }
    ping::reaches(world.fabric.host(1), host_address(2), PATIENCE)?;
    ping::reaches(world.fabric.host(2), host_address(1), PATIENCE)?;
    // What the kernel lost is put back: the kernel's state is the truth, not what was once sent.
    eventually(PATIENCE, || world.fabric.wait_for_flood_entry(1))
}
