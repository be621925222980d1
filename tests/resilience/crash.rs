//! kill -9, with packets on the wire.

use std::time::Duration;

use lab::{
    Lab, PATIENCE, Result, ensure_eq,
    fabric::{FLOOD_MAC, attach_host, host_address, host_mac},
    kernel_view::Monitor,
    ping::{self, Stream},
};

use crate::World;

#[test]
fn a_known_flow_loses_no_packet_when_switchd_is_killed_and_restarted() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        let far_side = Monitor::fdb(world.fabric.leaf(2))?;
        let mut stream = Stream::start(world.fabric.host(1), host_address(2))?;
        for _ in 0..2 {
            world.switch.kill9()?;
            stream.wait_for_answers(25)?;
            world.switch.restart()?;
            world.wait_until_known()?;
            stream.wait_for_answers(25)?;
        }
        let tally = stream.stop()?;
        ensure_eq!(
            far_side.changes(host_mac(1))?,
            Vec::<String>::new(),
            "FRR at leaf2 lost sight of host1"
        );
        ensure_eq!(
            tally.lost,
            Vec::<u32>::new(),
            "{} of {} packets were answered",
            tally.received,
            tally.sent
        );
        Ok(())
    })
}

#[test]
fn a_switchd_killed_in_the_middle_of_its_start_again_and_again_loses_no_packet_either() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        let tables = world.fabric.tables(1)?;
        let mut stream = Stream::start(world.fabric.host(1), host_address(2))?;
        world.switch.kill9()?;
        for milliseconds in [1, 5, 10, 20, 30, 40, 60, 100, 200] {
            world.switch.restart_for(Duration::from_millis(milliseconds))?;
        }
        world.switch.restart()?;
        world.wait_until_known()?;
        stream.wait_for_answers(100)?;
        let tally = stream.stop()?;
        ensure_eq!(
            tally.lost,
            Vec::<u32>::new(),
            "{} of {} packets were answered",
            tally.received,
            tally.sent
        );
        ensure_eq!(world.fabric.tables(1)?, tables, "entries after the last start (right: before)");
        Ok(())
    })
}

#[test]
fn a_station_that_left_while_switchd_was_dead_is_swept_after_the_restart() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        world.switch.kill9()?;
        world.fabric.leaf(2).run("ip link set port1 down")?;
        // Nobody tells the kernel of leaf1: the entry is still there when switchd starts.
        world.fabric.wait_for_mac(1, host_mac(2))?;
        world.switch.restart()?;
        world.fabric.wait_for_no_mac(1, host_mac(2))?;
        world.fabric.wait_for_flood_entry(1)
    })
}

#[test]
fn a_station_of_ours_that_came_while_switchd_was_dead_is_announced_after_the_restart() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        world.switch.kill9()?;
        let newcomer = lab.node("newcomer")?;
        let leaf = world.fabric.leaf(1);
        attach_host(lab, leaf, "port2", &newcomer, NEWCOMER_MAC, "192.168.100.7")?;
        ping::reaches(&newcomer, host_address(1), PATIENCE)?;
        world.switch.restart()?;
        world.fabric.wait_for_mac(2, NEWCOMER_MAC)?;
        ping::reaches(&newcomer, host_address(2), PATIENCE)
    })
}

#[test]
fn a_station_of_ours_that_left_while_switchd_was_dead_is_withdrawn_after_the_restart() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        world.switch.kill9()?;
        world.fabric.leaf(1).run("ip link set port1 down")?;
        world.switch.restart()?;
        world.fabric.wait_for_no_mac(2, host_mac(1))?;
        // Only what left is gone: the VTEP itself is still announced.
        world.fabric.wait_for_flood_entry(2)
    })
}

#[test]
fn a_switchd_that_does_not_come_back_is_given_up_after_the_hold_time() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        world.switch.kill9()?;
        world.fabric.wait_for_no_mac(2, host_mac(1))?;
        world.fabric.wait_for_no_mac(2, FLOOD_MAC)
    })
}

#[test]
fn the_fabric_recovers_when_every_process_of_switchd_is_killed() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        world.switch.kill9_everything()?;
        world.switch.restart()?;
        ping::reaches(world.fabric.host(2), host_address(1), PATIENCE)?;
        world.wait_until_known()
    })
}

const NEWCOMER_MAC: &str = "02:00:00:00:07:07";
