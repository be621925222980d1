//! switchd is killed, stopped and started again; what it has put into the kernel goes on forwarding.

mod adoption;
mod crash;
mod hostile_peers;
mod uplink;

use lab::{
    Lab, PATIENCE, Result,
    fabric::{Fabric, Peering, host_address, host_mac},
    peers::Frr,
    ping,
    switch::Switch,
};

/// A fabric that runs: FRR as spine and as leaf2, switchd as leaf1.
struct World {
    fabric: Fabric,
    spine: Frr,
    switch: Switch,
    _right: Frr,
}

impl World {
    fn start(lab: &Lab) -> Result<Self> {
        let fabric = Fabric::build(lab, Peering::External)?;
        let spine = fabric.frr_spine()?;
        let right = fabric.frr_leaf(2)?;
        let switch = fabric.switchd_leaf(1)?;
        let world = Self { fabric, spine, switch, _right: right };
        ping::reaches(world.fabric.host(1), host_address(2), PATIENCE)?;
        ping::reaches(world.fabric.host(2), host_address(1), PATIENCE)?;
        world.wait_until_known()?;
        Ok(world)
    }

    /// Waits until every switch knows what it knows in a quiet fabric.
    fn wait_until_known(&self) -> Result {
        self.spine.wait_established(2)?;
        self.fabric.wait_for_mac(1, host_mac(2))?;
        self.fabric.wait_for_mac(2, host_mac(1))?;
        self.fabric.wait_for_flood_entry(1)?;
        self.fabric.wait_for_flood_entry(2)
    }
}
