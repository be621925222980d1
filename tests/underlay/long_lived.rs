//! Long-lived graceful restart (RFC 9494): whoever is away for longer than its restart time of a second is the last choice of
//! the other, and no more. With BIRD as helper: `graceful_restart`.

use std::time::Duration;

use lab::{
    Lab, PATIENCE, Result, ensure, eventually,
    peers::{Bird, Frr, Gobgp},
    steadily,
    switch::Switch,
};

use crate::session::{self, NEIGHBOR, switchd};
use crate::{Pair, row, wait_for_kernel_route, wait_for_no_kernel_route};

/// switchd that restarts within a second, or else is away for long.
fn restarting() -> String {
    let keys = "non-stop-routing = false\nrestart-time = 1\nlong-lived-stale-time = 3600";
    switchd(NEIGHBOR, "").replacen("asn", &format!("{keys}\nasn"), 1)
}

/// Waits until the restart time of the neighbour is over; its route forwards all the while.
fn wait_until_stale(switch: &Switch) -> Result {
    eventually(PATIENCE, || {
        let log = switch.log()?;
        ensure!(log.contains("its routes are the last choice now"), "not yet: {log}");
        Ok(())
    })?;
    let route = &switch.show("bgp ipv4 unicast")?["routes"]["10.77.0.0/16"][0];
    ensure!(route["stale"] == true, "not stale: {route}");
    wait_for_kernel_route(switch.node(), 4, "10.77.0.0/16")
}

/// Whoever knows what it means is told of them, with the community.
#[test]
fn routes_of_a_bird_that_is_away_are_marked_for_others_until_its_long_time_is_over_too() -> Result {
    Lab::run(|lab| {
        let nodes = row(lab, ["source", "leaf", "sink"])?;
        let options = "graceful restart on; graceful restart time 1;
            long lived graceful restart on; long lived stale time 4;";
        let mut source = Bird::start(&nodes[0], &session::bird("10.1.0.2", options))?;
        let sink = Bird::start(&nodes[2], SINK)?;
        let other = "[[bgp.neighbor]]\naddress = \"10.1.1.2\"\nremote-as = 65003";
        let keys = "restart-time = 1\nlong-lived-stale-time = 3600\nasn";
        let config = switchd("address = \"10.1.0.1\"\nremote-as = 65002", other);
        let switch = Switch::start(&nodes[1], &config.replacen("asn", keys, 1))?;
        sink.wait_for_route("10.77.0.0/16")?;
        source.kill9()?;
        wait_until_stale(&switch)?;
        let at_sink = || sink.birdc("show route for 10.77.0.0/16 all");
        eventually(PATIENCE, || {
            let route = at_sink()?;
            ensure!(route.contains("(65535,6)"), "not marked: {route}");
            Ok(())
        })?;
        wait_for_no_kernel_route(&nodes[1], 4, "10.77.0.0/16")?;
        sink.wait_for_no_route("10.77.0.0/16")
    })
}

#[test]
fn frr_keeps_our_routes_marked_and_we_keep_those_of_frr() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let restart = " bgp graceful-restart\n bgp graceful-restart restart-time 1\n \
                       bgp long-lived-graceful-restart stale-time 3600\n bgp router-id";
        let config = session::frr("10.1.0.1", &[]).replace(" bgp router-id", restart);
        let mut frr = Frr::start(&pair.right, &config)?;
        let mut switch = Switch::start(&pair.left, &restarting())?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        wait_for_kernel_route(&pair.right, 4, "10.0.0.1")?;
        switch.kill9()?;
        eventually(PATIENCE, || {
            let route = frr.show("bgp ipv4 unicast 10.0.0.1/32")?;
            ensure!(route.to_string().contains("llgr-stale"), "not marked: {route}");
            Ok(())
        })?;
        wait_for_kernel_route(&pair.right, 4, "10.0.0.1")?;
        switch.restart()?;
        eventually(PATIENCE, || {
            let route = frr.show("bgp ipv4 unicast 10.0.0.1/32")?;
            let stale = route.to_string().contains("llgr-stale");
            ensure!(!route["paths"][0].is_null() && !stale, "still: {route}");
            Ok(())
        })?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        frr.kill9_bgpd()?;
        wait_until_stale(&switch)
    })
}

#[test]
fn gobgp_keeps_our_routes_marked_and_we_keep_those_of_gobgp() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let mut gobgp = Gobgp::start(&pair.right, &gobgp_with_long_lived_restart())?;
        gobgp.announce("ipv4", "10.77.0.0/16")?;
        let mut switch = Switch::start(&pair.left, &restarting())?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        let at_gobgp = || gobgp.gobgp("global rib 10.0.0.1/32");
        switch.kill9()?;
        eventually(PATIENCE, || {
            let route = at_gobgp()?;
            ensure!(route.contains("llgr-stale"), "not marked: {route}");
            Ok(())
        })?;
        switch.restart()?;
        eventually(PATIENCE, || {
            let route = at_gobgp()?;
            ensure!(route.contains("10.1.0.1") && !route.contains("llgr-stale"), "still: {route}");
            Ok(())
        })?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        gobgp.kill9()?;
        wait_until_stale(&switch)?;
        // Its long time is an hour.
        steadily(Duration::from_secs(1), || wait_until_stale(&switch))
    })
}

const SINK: &str = "
router id 10.0.0.3;
protocol device {}
protocol bgp leaf {
    local as 65003;
    neighbor 10.1.1.1 as 65001;
    connect retry time 1;
    connect delay time 0;
    long lived graceful restart on;
    ipv4 { import all; export none; };
}
";

fn gobgp_with_long_lived_restart() -> String {
    Gobgp::config(65002, "10.0.0.2")
        + &Gobgp::neighbor("neighbor-address = \"10.1.0.1\"", 65001, &["ipv4-unicast"])
        + r#"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = true
    [neighbors.afi-safis.long-lived-graceful-restart.config]
      enabled = true
      restart-time = 3600
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = 1
    long-lived-enabled = true
"#
}
