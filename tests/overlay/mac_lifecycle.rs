//! A station comes, goes and moves; the other gateway follows.

use lab::{
    Lab, Node, PATIENCE, Result, ensure, eventually,
    fabric::{Daemon, Peering, attach_host, host_address, host_mac},
    kernel_view, ping,
};

use crate::World;

#[test]
fn frr_forgets_a_mac_when_its_port_at_switchd_goes_down_and_learns_it_again() -> Result {
    Lab::run(|lab| {
        let world = World::start(lab, Peering::External, Daemon::Switchd)?;
        a_port_goes_down_and_up(&world, 1)
    })
}

#[test]
fn switchd_forgets_a_mac_when_its_port_at_frr_goes_down_and_learns_it_again() -> Result {
    Lab::run(|lab| {
        let world = World::start(lab, Peering::External, Daemon::Switchd)?;
        a_port_goes_down_and_up(&world, 2)
    })
}

#[test]
fn a_station_that_moves_from_switchd_to_frr_and_back_is_followed() -> Result {
    Lab::run(|lab| {
        let world = World::start(lab, Peering::External, Daemon::Switchd)?;
        let guest = Guest::attach(lab, &world)?;
        guest.appears_at(&world, 1)?;
        guest.appears_at(&world, 2)?;
        guest.appears_at(&world, 1)
    })
}

fn a_port_goes_down_and_up(world: &World, leaf: usize) -> Result {
    let (other, mac) = (3 - leaf, host_mac(leaf));
    world.fabric.leaf(leaf).run("ip link set port1 down")?;
    world.fabric.wait_for_no_mac(other, mac)?;
    world.fabric.leaf(leaf).run("ip link set port1 up")?;
    ping::reaches(world.fabric.host(leaf), host_address(other), PATIENCE)?;
    world.fabric.wait_for_mac(other, mac)
}

/// One MAC and IP behind a port of each leaf, as a virtual machine before and after its migration.
struct Guest {
    places: [Node; 2],
}

impl Guest {
    fn attach(lab: &Lab, world: &World) -> Result<Self> {
        let places = [lab.node("guest1")?, lab.node("guest2")?];
        for index in [1, 2] {
            attach_host(
                lab,
                world.fabric.leaf(index),
                "port2",
                &places[index - 1],
                GUEST_MAC,
                GUEST_ADDRESS,
            )?;
        }
        Ok(Self { places })
    }

    /// Speaks from there, without a word of goodbye from where it was.
    fn appears_at(&self, world: &World, leaf: usize) -> Result {
        let other = 3 - leaf;
        eventually(PATIENCE, || {
            ping::reaches(&self.places[leaf - 1], host_address(leaf), PATIENCE)?;
            ping::reaches(
                &self.places[leaf - 1],
                host_address(other),
                std::time::Duration::from_secs(1),
            )
        })?;
        world.fabric.wait_for_mac(other, GUEST_MAC)?;
        let there = kernel_view::fdb(world.fabric.leaf(leaf), "port2")?;
        ensure!(
            there.iter().any(|entry| entry.mac == GUEST_MAC),
            "leaf{leaf} did not learn it: {there:?}"
        );
        // FRR leaves the VXLAN half of a station that became local behind; switchd tidies up.
        if leaf == 1 {
            world.fabric.wait_for_no_mac(leaf, GUEST_MAC)?;
        }
        // The bridge at the old place must not point at the port the guest has left.
        let stale = kernel_view::fdb(world.fabric.leaf(other), "port2")?;
        ensure!(
            stale.iter().all(|entry| entry.mac != GUEST_MAC),
            "leaf{other} still points to its port: {stale:?}"
        );
        ping::reaches(world.fabric.host(leaf), GUEST_ADDRESS, PATIENCE)?;
        ping::reaches(world.fabric.host(other), GUEST_ADDRESS, PATIENCE)
    }
}

const GUEST_MAC: &str = "02:00:00:00:09:09";
const GUEST_ADDRESS: &str = "192.168.100.9";
