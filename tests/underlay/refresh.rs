//! Route refresh with begin and end marks (RFC 7313), both ways with FRR.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::Frr,
    switch::{Switch, switchctl},
};

use crate::session::{self, NEIGHBOR, switchd};
use crate::{Pair, wait_for_kernel_route};

#[test]
fn all_routes_are_sent_again_between_marks_in_both_directions() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let config = format!(
            "debug bgp neighbor-events\ndebug bgp updates\n{}",
            session::frr("10.1.0.1", &[])
        );
        let frr = Frr::start(&pair.right, &config)?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, ""))?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        wait_for_kernel_route(&pair.right, 4, "10.0.0.1")?;
        let ours = &switch.show("bgp neighbor 10.1.0.2")?["10.1.0.2"];
        let theirs = &frr.show("bgp neighbors 10.1.0.1")?["10.1.0.1"];
        for neighbor in [ours, theirs] {
            let enhanced = &neighbor["neighborCapabilities"]["enhancedRouteRefresh"];
            ensure_eq!(*enhanced, "advertisedAndReceived", "enhanced route refresh: {neighbor}");
        }
        let wait_for_log = |words: &[&str]| {
            eventually(PATIENCE, || {
                let log = frr.log()?;
                for words in words {
                    ensure!(log.contains(words), "FRR does not log {words:?}: {log}");
                }
                Ok(())
            })
        };
        frr.vtysh("clear bgp 10.1.0.1 soft in")?;
        wait_for_log(&[
            "rcvd route-refresh (BoRR) for IPv4/unicast, triggering timer",
            "rcvd route-refresh (EoRR) for IPv4/unicast, stopping BoRR timer",
        ])?;
        let output = switchctl(&pair.left, &["clear", "bgp", "10.1.0.2", "soft", "in"])?;
        ensure!(output.status.success(), "{output:?}");
        wait_for_log(&[
            "sending route-refresh (BoRR) for IPv4/unicast",
            "sending route-refresh (EoRR) for IPv4/unicast",
        ])?;
        // And nobody lost anything.
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        wait_for_kernel_route(&pair.right, 4, "10.0.0.1")?;
        let neighbor = &frr.show("bgp neighbors 10.1.0.1")?["10.1.0.1"];
        ensure_eq!(neighbor["connectionsEstablished"], 1, "sessions");
        Ok(())
    })
}
