//! RFC 8538 with FRR: a NOTIFICATION ends the session and nothing else, unless it is a hard reset.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    kernel_view::Monitor,
    peers::Frr,
    switch::{Switch, switchctl},
};

use crate::session::{self, NEIGHBOR, switchd};
use crate::{Pair, wait_for_kernel_route};

/// Both, with RFC 8538 agreed on and routes in both kernels.
fn start(lab: &Lab) -> Result<(Pair, Switch, Frr)> {
    let pair = Pair::build(lab)?;
    let restart = " bgp graceful-restart\n bgp graceful-restart notification\n \
                   bgp graceful-restart preserve-fw-state\n no bgp hard-administrative-reset\n bgp router-id";
    let config = session::frr("10.1.0.1", &[]).replace(" bgp router-id", restart);
    let frr = Frr::start(&pair.right, &config)?;
    // FRR dials, a second after it has lost a session: time enough for it to forget routes, if it did.
    let config = switchd(NEIGHBOR, "passive = true");
    let config = config.replacen("asn", "graceful-restart-notification = true\nasn", 1);
    let switch = Switch::start(&pair.left, &config)?;
    wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
    wait_for_kernel_route(&pair.right, 4, "10.0.0.1")?;
    Ok((pair, switch, frr))
}

/// Waits until FRR has seen so many sessions, and all routes over the last one.
fn wait_for_session(frr: &Frr, count: u64) -> Result {
    eventually(PATIENCE, || {
        let neighbor = &frr.show("bgp neighbors 10.1.0.1")?["10.1.0.1"];
        ensure_eq!(neighbor["connectionsEstablished"], count, "sessions at FRR");
        let end = &neighbor["gracefulRestartInfo"]["endOfRibRecv"]["ipv4Unicast"];
        ensure!(*end == true, "FRR has not heard all: {neighbor}");
        Ok(())
    })
}

#[test]
fn frr_keeps_our_routes_when_we_reset_the_session() -> Result {
    Lab::run(|lab| {
        let (pair, _switch, frr) = start(lab)?;
        wait_for_session(&frr, 1)?;
        let changes = Monitor::routes(&pair.right)?;
        let output = switchctl(&pair.left, &["clear", "bgp", "10.1.0.2"])?;
        ensure!(output.status.success(), "{output:?}");
        wait_for_session(&frr, 2)?;
        ensure_eq!(changes.changes("10.0.0.1")?, Vec::<String>::new(), "changes in FRR's kernel");
        Ok(())
    })
}

#[test]
fn we_keep_frrs_routes_when_it_resets_the_session_but_not_over_a_hard_reset() -> Result {
    Lab::run(|lab| {
        let (pair, _switch, frr) = start(lab)?;
        wait_for_session(&frr, 1)?;
        let changes = Monitor::routes(&pair.left)?;
        frr.vtysh("clear bgp 10.1.0.1")?;
        wait_for_session(&frr, 2)?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        ensure_eq!(changes.changes("10.77.")?, Vec::<String>::new(), "changes in our kernel");
        frr.configure(&["router bgp 65002", "bgp hard-administrative-reset"])?;
        frr.vtysh("clear bgp 10.1.0.1")?;
        wait_for_session(&frr, 3)?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        let changes = changes.changes("10.77.")?;
        ensure!(changes[0].starts_with("Deleted"), "{changes:?}");
        Ok(())
    })
}
