//! RFC 4724 with BIRD: whoever is killed and comes back, the other's kernel routes do not move.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    kernel_view::{Monitor, bgp_routes},
    peers::Bird,
    ping,
    ping::Stream,
    switch::Switch,
};

use crate::{Pair, SWITCHD, bird::CONFIG, wait_for_kernel_route, wait_for_no_kernel_route};

#[test]
fn bird_keeps_our_routes_while_switchd_is_killed_and_restarted() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let bird = Bird::start(&pair.right, CONFIG)?;
        let mut switch = Switch::start(&pair.left, SWITCHD)?;
        wait_until_routed(&pair)?;
        let theirs = Monitor::routes(&pair.right)?;
        let ours = Monitor::routes(&pair.left)?;
        let mut stream = Stream::start(&pair.right, "10.0.0.1")?;
        switch.kill9()?;
        stream.wait_for_answers(25)?;
        switch.restart()?;
        bird.wait_established("leaf4")?;
        bird.wait_established("leaf6")?;
        stream.wait_for_answers(25)?;
        let tally = stream.stop()?;
        ensure_eq!(
            tally.lost,
            Vec::<u32>::new(),
            "{} of {} packets were answered",
            tally.received,
            tally.sent
        );
        ensure_eq!(theirs.changes("bird")?, Vec::<String>::new(), "changes in BIRD's kernel");
        ensure_eq!(ours.changes("bgp")?, Vec::<String>::new(), "changes in switchd's kernel");
        Ok(())
    })
}

#[test]
fn switchd_keeps_birds_routes_while_bird_is_killed_and_restarted_and_drops_what_did_not_return()
-> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let mut bird = Bird::start(&pair.right, CONFIG)?;
        let _switch = Switch::start(&pair.left, SWITCHD)?;
        wait_until_routed(&pair)?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        let before = bgp_routes(&pair.left, 4)?;
        bird.kill9()?;
        ping::reaches_as(&pair.left, "10.0.0.1", "10.0.0.2", PATIENCE)?;
        ensure_eq!(bgp_routes(&pair.left, 4)?, before, "while BIRD is dead (right: before)");
        // One of the prefixes does not come back.
        let file = pair.right.dir().join("bird.conf");
        std::fs::write(file, CONFIG.replace("route 10.77.0.0/16 blackhole;", ""))?;
        bird.start_again()?;
        bird.wait_established("leaf4")?;
        wait_for_no_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        wait_for_kernel_route(&pair.left, 4, "10.0.0.2")
    })
}

/// RFC 9494: both stay away for longer than their restart time of a second.
#[test]
fn long_lived_graceful_restart_with_bird_outlives_the_restart_time() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let long = "graceful restart on; graceful restart time 1;
            long lived graceful restart on; long lived stale time 3600;";
        let bird = Bird::start(
            &pair.right,
            &CONFIG.replace("graceful restart on;\n}", &format!("{long}\n}}")),
        )?;
        let keys = "non-stop-routing = false\nrestart-time = 1\nlong-lived-stale-time = 3600";
        let config = SWITCHD.replacen("asn", &format!("{keys}\nasn"), 1);
        let mut switch = Switch::start(&pair.left, &config)?;
        wait_until_routed(&pair)?;
        switch.kill9()?;
        eventually(PATIENCE, || {
            let route = bird.birdc("show route 10.0.0.1/32 all")?;
            ensure!(route.contains("(65535,6)"), "not marked as long-lived stale: {route}");
            Ok(())
        })?;
        switch.restart()?;
        bird.wait_established("leaf4")?;
        eventually(PATIENCE, || {
            let route = bird.birdc("show route 10.0.0.1/32 all")?;
            ensure!(route.contains("10.1.0.1") && !route.contains("(65535,6)"), "still: {route}");
            Ok(())
        })
    })
}

fn wait_until_routed(pair: &Pair) -> Result {
    wait_for_kernel_route(&pair.left, 4, "10.0.0.2")?;
    wait_for_kernel_route(&pair.left, 6, "fd00::2")?;
    ping::reaches_as(&pair.right, "10.0.0.2", "10.0.0.1", PATIENCE)?;
    ping::reaches_as(&pair.right, "fd00::2", "fd00::1", PATIENCE)
}
