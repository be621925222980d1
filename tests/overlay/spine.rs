//! switchd as the spine of two gateways of FRR, as a router between three ASes and as route reflector of one.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    fabric::{Fabric, Peering, host_address, host_mac, spine_address, vtep_address},
    peers::Frr,
    ping,
};
use serde_json::Value;

/// FRR's path to the flood entry of the other gateway.
fn path(frr: &Frr, other: usize) -> Result<Value> {
    let table = frr.show("bgp l2vpn evpn route type multicast")?;
    let routes = table.as_object().into_iter().flatten().filter_map(|(_, rd)| rd.as_object());
    let wanted = format!("[32]:[{}]", vtep_address(other));
    let mut routes = routes.flatten();
    let route = routes.find(|(prefix, _)| prefix.ends_with(&wanted));
    Ok(route.map(|(_, route)| route["paths"][0][0].clone()).unwrap_or_default())
}

fn hosts_reach_each_other(fabric: &Fabric) -> Result {
    fabric.wait_for_flood_entry(1)?;
    fabric.wait_for_flood_entry(2)?;
    ping::reaches(fabric.host(1), host_address(2), PATIENCE)?;
    fabric.wait_for_mac(1, host_mac(2))?;
    fabric.wait_for_mac(2, host_mac(1))
}

#[test]
fn an_external_spine_keeps_the_vteps_next_hop() -> Result {
    Lab::run(|lab| {
        let fabric = Fabric::build(lab, Peering::External)?;
        let leaves = [fabric.frr_leaf(1)?, fabric.frr_leaf(2)?];
        let _spine = fabric.switchd_spine()?;
        hosts_reach_each_other(&fabric)?;
        for (leaf, other) in [(1, 2), (2, 1)] {
            let path = path(&leaves[leaf - 1], other)?;
            ensure_eq!(path["nexthops"][0]["ip"], vtep_address(other), "next hop in {path}");
            ensure_eq!(path["path"], format!("65000 6500{other}"), "AS path in {path}");
        }
        Ok(())
    })
}

#[test]
fn a_route_reflector_says_who_began_a_route_and_leaves_it_as_it_is() -> Result {
    Lab::run(|lab| {
        let fabric = Fabric::build(lab, Peering::Reflector)?;
        // A reflector leaves the next hop alone: the leaves know by themselves how to get to each other's links.
        for (leaf, other) in [(1, 2), (2, 1)] {
            let spine = spine_address(leaf);
            fabric.leaf(leaf).run(&format!("ip route add 10.1.{other}.0/30 via {spine}"))?;
        }
        let leaves = [fabric.frr_leaf(1)?, fabric.frr_leaf(2)?];
        let _spine = fabric.switchd_spine()?;
        hosts_reach_each_other(&fabric)?;
        for (leaf, other) in [(1, 2), (2, 1)] {
            let path = path(&leaves[leaf - 1], other)?;
            ensure_eq!(path["nexthops"][0]["ip"], vtep_address(other), "next hop in {path}");
            let loopback = format!("bgp ipv4 unicast {}/32", vtep_address(other));
            let unicast = &leaves[leaf - 1].show(&loopback)?["paths"][0];
            ensure_eq!(unicast["originatorId"], vtep_address(other), "{unicast}");
            ensure!(unicast["clusterList"].to_string().contains("10.0.0.100"), "{unicast}");
        }
        eventually(PATIENCE, || {
            let table = leaves[0].vtysh("show bgp l2vpn evpn route detail")?;
            let wanted = format!("Originator: {}, Cluster list: 10.0.0.100", vtep_address(2));
            ensure!(table.contains(&wanted), "no {wanted} in {table}");
            Ok(())
        })
    })
}
