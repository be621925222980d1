//! An orderly stop and start: entries stay, and the next run adopts them instead of writing them again.

use std::time::Duration;

use lab::{
    Lab, Result, ensure, ensure_eq, fabric::host_address, kernel_view, kernel_view::Monitor,
    ping::Stream, steadily,
};

use crate::World;

#[test]
fn sigterm_leaves_every_entry_and_route_where_it_is() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        let tables = world.fabric.tables(1)?;
        let routes = kernel_view::bgp_routes(world.fabric.leaf(1), 4)?;
        let status = world.switch.terminate()?;
        ensure!(status.success(), "switchd ended with {status}");
        steadily(Duration::from_secs(1), || {
            ensure_eq!(world.fabric.tables(1)?, tables, "entries after SIGTERM (right: before)");
            ensure_eq!(
                kernel_view::bgp_routes(world.fabric.leaf(1), 4)?,
                routes,
                "routes after SIGTERM"
            );
            Ok(())
        })
    })
}

#[test]
fn a_restarted_switchd_adopts_its_entries_without_rewriting_one() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        let tables = world.fabric.tables(1)?;
        world.switch.terminate()?;
        let entries = Monitor::fdb(world.fabric.leaf(1))?;
        let routes = Monitor::routes(world.fabric.leaf(1))?;
        world.switch.restart()?;
        world.wait_until_known()?;
        steadily(Duration::from_secs(2), || {
            ensure_eq!(
                entries.changes("vni100")?,
                Vec::<String>::new(),
                "FDB notifications during the restart"
            );
            ensure_eq!(
                routes.changes("bgp")?,
                Vec::<String>::new(),
                "route notifications during the restart"
            );
            Ok(())
        })?;
        ensure_eq!(world.fabric.tables(1)?, tables, "entries after the restart (right: before)");
        Ok(())
    })
}

#[test]
fn an_orderly_restart_loses_no_packet_of_a_known_flow() -> Result {
    Lab::run(|lab| {
        let mut world = World::start(lab)?;
        let mut stream = Stream::start(world.fabric.host(1), host_address(2))?;
        world.switch.terminate()?;
        stream.wait_for_answers(25)?;
        world.switch.restart()?;
        world.wait_until_known()?;
        stream.wait_for_answers(50)?;
        let tally = stream.stop()?;
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
