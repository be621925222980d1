//! The uplink goes down, with everything that is reached through it.

use lab::{Lab, PATIENCE, Result, ensure_eq, eventually, fabric::host_address, kernel_view, ping};

use crate::World;

#[test]
fn the_fabric_recovers_when_the_uplink_goes_down_and_comes_back() -> Result {
    Lab::run(|lab| {
        let world = World::start(lab)?;
        let leaf = world.fabric.leaf(1);
        let tables = world.fabric.tables(1)?;
        let routes = kernel_view::bgp_routes(leaf, 4)?;
        // The kernel flushes every route through a device that goes down, ours among them.
        leaf.run("ip link set up0 down")?;
        ping::never_reaches(world.fabric.host(1), host_address(2))?;
        leaf.run("ip link set up0 up")?;
        ping::reaches(world.fabric.host(1), host_address(2), PATIENCE)?;
        world.wait_until_known()?;
        eventually(PATIENCE, || {
            ensure_eq!(
                world.fabric.tables(1)?,
                tables,
                "entries after the uplink's return (right: before)"
            );
            ensure_eq!(
                kernel_view::bgp_routes(leaf, 4)?,
                routes,
                "routes after the uplink's return"
            );
            Ok(())
        })
    })
}
