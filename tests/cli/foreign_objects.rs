//! What switchd did not make it does not touch: not at its start, not while it runs, not when it ends.

use lab::{
    Lab, Node, PATIENCE, Result, ensure,
    fabric::{Fabric, Peering, host_address, host_mac},
    kernel_view, ping,
};

#[test]
fn an_operators_own_entries_and_routes_survive_start_run_restart_and_stop() -> Result {
    Lab::run(|lab| {
        let fabric = Fabric::build(lab, Peering::External)?;
        let leaf = fabric.leaf(1);
        for command in OPERATORS_COMMANDS {
            leaf.run(command)?;
        }
        let _spine = fabric.frr_spine()?;
        let _right = fabric.frr_leaf(2)?;
        let mut switch = fabric.switchd_leaf(1)?;
        ping::reaches(fabric.host(1), host_address(2), PATIENCE)?;
        fabric.wait_for_mac(1, host_mac(2))?;
        all_there(leaf, "while switchd runs")?;
        switch.kill9()?;
        switch.restart()?;
        fabric.wait_for_flood_entry(2)?;
        fabric.wait_for_mac(1, host_mac(2))?;
        all_there(leaf, "after kill -9 and restart")?;
        switch.terminate()?;
        all_there(leaf, "after switchd ended")
    })
}

fn all_there(leaf: &Node, when: &str) -> Result {
    let overlay = kernel_view::fdb(leaf, "vni100")?;
    let port = kernel_view::fdb(leaf, "port1")?;
    let neighbors = kernel_view::neighbors(leaf)?;
    let routes = kernel_view::routes(leaf, 4)?;
    let flooded =
        |entry: &&kernel_view::FdbEntry| entry.destination.as_deref() == Some("10.0.0.99");
    let overlay = overlay.iter().filter(flooded).count();
    ensure!(overlay == 2, "{when}: {overlay} of 2 entries towards the operator's VTEP");
    ensure!(
        port.iter().any(|entry| entry.mac == "02:00:00:00:77:02"),
        "{when}: the static port entry is gone"
    );
    let pinned = neighbors.iter().any(|neighbor| neighbor.address == "192.168.100.77");
    ensure!(pinned, "{when}: the permanent neighbour is gone");
    for prefix in ["10.97.0.0/16", "10.98.0.0/16"] {
        ensure!(
            routes.iter().any(|route| route.prefix == prefix),
            "{when}: the route to {prefix} is gone"
        );
    }
    Ok(())
}

const OPERATORS_COMMANDS: [&str; 6] = [
    "bridge fdb add 02:00:00:00:77:01 dev vni100 dst 10.0.0.99 self static",
    "bridge fdb append 00:00:00:00:00:00 dev vni100 dst 10.0.0.99 self permanent",
    "bridge fdb add 02:00:00:00:77:02 dev port1 master static",
    "ip neigh add 192.168.100.77 lladdr 02:00:00:00:77:03 dev br100 nud permanent",
    "ip route add 10.97.0.0/16 via 10.1.1.2 proto static",
    "ip route add 10.98.0.0/16 via 10.1.1.2",
];
