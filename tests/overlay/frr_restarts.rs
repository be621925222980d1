//! FRR goes away and comes back, at the other end of the tunnel and in the middle.

use lab::{
    Lab, PATIENCE, Result, ensure_eq, eventually,
    fabric::{Daemon, FLOOD_MAC, Peering, host_address, host_mac},
    ping,
};

use crate::World;

#[test]
fn entries_go_and_return_when_the_other_gateway_restarts() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab, Peering::External, Daemon::Switchd)?;
        let before = world.fabric.tables(1)?;
        world.right.stop()?;
        world.fabric.wait_for_no_mac(1, host_mac(2))?;
        world.fabric.wait_for_no_mac(1, FLOOD_MAC)?;
        world.right.start_again()?;
        world.wait_until_forwarding()?;
        ensure_eq!(
            world.fabric.tables(1)?,
            before,
            "leaf1 after the restart of leaf2 (right: before)"
        );
        Ok(())
    })
}

#[test]
fn entries_return_when_the_spine_restarts_and_nothing_stale_stays() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab, Peering::External, Daemon::Switchd)?;
        let before = world.fabric.tables(1)?;
        world.spine.stop()?;
        // While the spine is away, one station leaves: it must not come back with the session.
        world.fabric.leaf(2).run("ip link set port1 down")?;
        world.spine.start_again()?;
        world.spine.wait_established(2)?;
        world.fabric.wait_for_flood_entry(1)?;
        world.fabric.wait_for_no_mac(1, host_mac(2))?;
        world.fabric.leaf(2).run("ip link set port1 up")?;
        ping::reaches(world.fabric.host(2), host_address(1), PATIENCE)?;
        world.wait_until_forwarding()?;
        eventually(PATIENCE, || {
            ensure_eq!(
                world.fabric.tables(1)?,
                before,
                "leaf1 after the restart of the spine (right: before)"
            );
            Ok(())
        })
    })
}
