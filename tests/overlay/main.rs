//! The overlay against FRR: FRR as the other gateway and FRR as the spine, seen by real packets and by the kernel; and
//! switchd as the spine of others.

mod frr_restarts;
mod json_contract;
mod mac_lifecycle;
mod policy;
mod reachability;
mod relay;
mod same_as_frr;
mod spine;
mod vni_lifecycle;

use lab::{
    Lab, PATIENCE, Result,
    fabric::{Daemon, Fabric, Leaf, Peering, host_address, host_mac},
    peers::Frr,
    ping,
};

/// A fabric that runs: FRR as spine and as leaf2, and leaf1 under test.
struct World {
    fabric: Fabric,
    spine: Frr,
    left: Leaf,
    right: Frr,
}

impl World {
    /// Starts all three switches and waits until both hosts know each other and both leaves know both hosts.
    fn start(lab: &Lab, peering: Peering, left: Daemon) -> Result<Self> {
        let fabric = Fabric::build(lab, peering)?;
        Self::start_on(fabric, left)
    }

    fn start_on(fabric: Fabric, left: Daemon) -> Result<Self> {
        let spine = fabric.frr_spine()?;
        let right = fabric.frr_leaf(2)?;
        let left = fabric.start_leaf(1, left)?;
        let world = Self { fabric, spine, left, right };
        world.wait_until_forwarding()?;
        Ok(world)
    }

    fn wait_until_forwarding(&self) -> Result {
        self.spine.wait_established(2)?;
        self.fabric.wait_for_flood_entry(1)?;
        self.fabric.wait_for_flood_entry(2)?;
        ping::reaches(self.fabric.host(1), host_address(2), PATIENCE)?;
        ping::reaches(self.fabric.host(2), host_address(1), PATIENCE)?;
        self.fabric.wait_for_mac(1, host_mac(2))?;
        self.fabric.wait_for_mac(2, host_mac(1))
    }
}
