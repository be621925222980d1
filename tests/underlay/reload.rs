//! The configuration read again: what changes does, what does not is not touched, and a mistake changes nothing.

use lab::{
    Lab, PATIENCE, Result, ensure, eventually,
    peers::Frr,
    switch::{Switch, switchctl},
};

use crate::session::{self, NEIGHBOR, switchd, wait_established};
use crate::{Pair, wait_for_kernel_route, wait_for_no_kernel_route};

#[test]
fn networks_and_neighbors_change_and_the_session_that_stays_is_not_touched() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &[]))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, ""))?;
        wait_established(&switch, "10.1.0.2")?;

        let more = "[[bgp.neighbor]]\naddress = \"10.1.0.7\"\nremote-as = 65007";
        let changed = switchd(NEIGHBOR, more).replace("\"10.0.0.1/32\"", "\"10.88.0.0/16\"");
        let said = switch.reload(&changed)?;
        ensure!(said.contains("neighbor 10.1.0.7 added"), "{said}");
        ensure!(!said.contains("10.1.0.2"), "{said}");
        eventually(PATIENCE, || {
            let routes = frr.show("bgp ipv4 unicast")?;
            let routes = &routes["routes"];
            ensure!(routes.get("10.88.0.0/16").is_some(), "no new network in {routes}");
            ensure!(routes.get("10.0.0.1/32").is_none(), "the old network in {routes}");
            Ok(())
        })?;
        let said = switch.reload(&changed)?;
        ensure!(said == "nothing changed\n", "{said}");
        ensure_one_session(&frr)
    })
}

#[test]
fn a_file_with_a_mistake_is_refused_with_its_place_and_the_old_one_goes_on() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &[]))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, ""))?;
        wait_established(&switch, "10.1.0.2")?;
        let bad = switchd(NEIGHBOR, "hold-time = 2").replace("\"10.0.0.1/32\"", "");
        let refusal = switch.reload(&bad).expect_err("must be refused").to_string();
        ensure!(refusal.contains("switchd.toml:10:13: hold-time is 2 s"), "{refusal}");
        let other = switchd(NEIGHBOR, "").replace("asn = 65001", "asn = 65009");
        let refusal = switch.reload(&other).expect_err("must be refused").to_string();
        ensure!(refusal.contains("[bgp] asn cannot change while switchd runs"), "{refusal}");
        ensure!(frr.show("bgp ipv4 unicast")?["routes"].get("10.0.0.1/32").is_some(), "withdrawn");
        ensure_one_session(&frr)
    })
}

#[test]
fn sighup_rereads_the_file_and_a_changed_family_resets_that_session_by_name() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &[]))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, ""))?;
        wait_established(&switch, "10.1.0.2")?;
        switch
            .write_config(&switchd(NEIGHBOR, "families = [\"ipv4-unicast\", \"ipv6-unicast\"]"))?;
        switch.hang_up()?;
        eventually(PATIENCE, || {
            let log = switch.log()?;
            ensure!(log.contains("neighbor 10.1.0.2 changed, its session was reset"), "{log}");
            let neighbors = frr.show("bgp neighbors")?;
            let count = &neighbors["10.1.0.1"]["connectionsEstablished"];
            ensure!(count == 2, "FRR has seen {count} sessions");
            Ok(())
        })
    })
}

#[test]
fn another_allowas_in_is_held_against_routes_that_frr_is_asked_for_again() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let looped = "route-map looped permit 10\n set as-path prepend 65001 65001\n";
        let config = session::frr("10.1.0.1", &[]);
        let config =
            config.replace("  network", "  neighbor 10.1.0.1 route-map looped out\n  network");
        let frr = Frr::start(&pair.right, &format!("{config}exit\n{looped}"))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "allowas-in = 2"))?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        for (keys, taken) in [("allowas-in = 1", false), ("allowas-in = 2", true)] {
            let said = switch.reload(&switchd(NEIGHBOR, keys))?;
            ensure!(said == "neighbor 10.1.0.2 changed, its session goes on\n", "{said}");
            if taken {
                wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
            } else {
                wait_for_no_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
            }
        }
        let said =
            switch.reload(&switchd(NEIGHBOR, "allowas-in = 2\nadvertisement-interval = 5"))?;
        ensure!(said == "neighbor 10.1.0.2 changed, its session goes on\n", "{said}");
        ensure_one_session(&frr)
    })
}

#[test]
fn a_password_changes_on_both_ends_and_the_session_stays() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let left = |key: &str| switchd(NEIGHBOR, &format!("password = \"{key}\"\nhold-time = 3"));
        let right = |key: &str| {
            left(key)
                .replace("65002", "65003")
                .replace("65001", "65002")
                .replace("65003", "65001")
                .replace("10.1.0.2", "10.1.0.1")
                .replace("10.0.0.1", "10.0.0.2")
        };
        let here = Switch::start(&pair.left, &left("quicksand"))?;
        let there = Switch::start(&pair.right, &right("quicksand"))?;
        wait_established(&here, "10.1.0.2")?;
        let said = here.reload(&left("granite"))?;
        ensure!(said == "neighbor 10.1.0.2 changed, its session goes on\n", "{said}");
        there.reload(&right("granite"))?;
        // Keepalives go out every second: two more than now must be signed with the new key.
        let received = messages_received(&here)?;
        eventually(PATIENCE, || {
            let now = messages_received(&here)?;
            ensure!(now >= received + 2, "{now} messages after {received}");
            Ok(())
        })?;
        let peer = here.show("bgp neighbor 10.1.0.2")?;
        let count = &peer["10.1.0.2"]["connectionsEstablished"];
        ensure!(count == 1, "{count} sessions");
        Ok(())
    })
}

#[test]
fn the_words_of_a_shutdown_reach_frr_and_those_of_frr_reach_us() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let config = session::frr("10.1.0.1", &[]);
        let config = config.replace(" bgp router-id", " bgp log-neighbor-changes\n bgp router-id");
        let frr = Frr::start(&pair.right, &config)?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, ""))?;
        wait_established(&switch, "10.1.0.2")?;
        let capabilities = switch.show("bgp neighbor 10.1.0.2")?;
        let four_octets = &capabilities["10.1.0.2"]["neighborCapabilities"]["4byteAs"];
        ensure!(four_octets == "advertisedAndReceived", "{capabilities}");

        let words = ["neighbor", "10.1.0.2", "shutdown", "--message", "fan tray swap"];
        let output = switchctl(&pair.left, &words)?;
        ensure!(output.status.success(), "{output:?}");
        eventually(PATIENCE, || {
            // Its show command has the words only for a moment: they are in its log.
            let log = frr.log()?;
            ensure!(log.contains("fan tray swap"), "{log}");
            Ok(())
        })?;
        ensure!(switch.show("bgp neighbor 10.1.0.2")?["10.1.0.2"]["adminShutDown"] == true, "up");
        switchctl(&pair.left, &["neighbor", "10.1.0.2", "no-shutdown"])?;
        wait_established(&switch, "10.1.0.2")?;

        frr.configure(&["router bgp 65002", "neighbor 10.1.0.1 shutdown message power feed B"])?;
        eventually(PATIENCE, || {
            let neighbor = switch.show("bgp neighbor 10.1.0.2")?;
            let text = &neighbor["10.1.0.2"]["lastShutdownDescription"];
            ensure!(text == "power feed B", "{neighbor}");
            Ok(())
        })
    })
}

fn messages_received(switch: &Switch) -> Result<u64> {
    let neighbor = switch.show("bgp neighbor 10.1.0.2")?;
    Ok(neighbor["10.1.0.2"]["messageStats"]["totalRecv"].as_u64().unwrap_or(0))
}

fn ensure_one_session(frr: &Frr) -> Result {
    let neighbors = frr.show("bgp neighbors")?;
    let count = &neighbors["10.1.0.1"]["connectionsEstablished"];
    ensure!(count == 1, "FRR has seen {count} sessions");
    Ok(())
}
