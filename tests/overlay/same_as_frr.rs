//! The same fabric twice, once with FRR on leaf1 and once with switchd: both kernels must hold the same.

use std::time::Duration;

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    fabric::{Daemon, FLOOD_MAC, Fabric, Peering, Tables, host_address, svi_address},
    kernel_view::FdbEntry,
    ping, steadily,
};

use crate::World;

#[test]
fn both_leaves_kernels_hold_what_they_hold_between_two_frr() -> Result {
    let expected = tables_with(Daemon::Frr, None)?;
    let found = tables_with(Daemon::Switchd, Some(&expected))?;
    ensure_eq!(
        found,
        expected,
        "kernel entries differ from those of FRR to FRR (left: switchd, right: FRR)"
    );
    Ok(())
}

/// The tables of both leaves once they hold what is expected, or once nothing changes any more.
fn tables_with(left: Daemon, expected: Option<&[Tables; 2]>) -> Result<[Tables; 2]> {
    let mut found = None;
    Lab::run(|lab| {
        let fabric = Fabric::build(lab, Peering::External)?;
        fabric.add_overlay_addresses()?;
        let world = World::start_on(fabric, left)?;
        // Every leaf resolves its own host, which makes a MAC+IP route of it.
        for index in [1, 2] {
            ping::reaches(world.fabric.leaf(index), host_address(index), PATIENCE)?;
            ping::reaches(world.fabric.host(index), &svi_address(index), PATIENCE)?;
        }
        let tables = || -> Result<[Tables; 2]> {
            Ok([unmarked(world.fabric.tables(1)?), unmarked(world.fabric.tables(2)?)])
        };
        let settled = eventually(PATIENCE, || {
            let now = tables()?;
            match expected {
                Some(expected) => ensure_eq!(&now, expected, "not (yet) as between two FRR"),
                None => {
                    ensure!(
                        now.iter().all(|leaf| !leaf.neighbors.is_empty()),
                        "no neighbours yet: {now:?}"
                    );
                    steadily(Duration::from_secs(1), || {
                        ensure_eq!(tables()?, now, "still changing");
                        Ok(())
                    })?;
                }
            }
            Ok(now)
        })?;
        found = Some(settled);
        Ok(())
    })?;
    found.ok_or_else(|| lab::LabError::Unexpected("the lab did not run".into()))
}

/// The one wanted difference: switchd marks flood entries as its own (`extern_learn`), so that it can tell them from
/// an operator's after a restart. FRR leaves them unmarked.
fn unmarked(mut tables: Tables) -> Tables {
    let unmark = |mut entry: FdbEntry| {
        if entry.mac == FLOOD_MAC {
            entry.flags.remove("extern_learn");
        }
        entry
    };
    tables.fdb = tables.fdb.into_iter().map(unmark).collect();
    tables
}
