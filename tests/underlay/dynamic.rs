//! Neighbours that connect from a prefix, with no line of their own: to us, and ours to FRR; and who waits for whom.

use std::time::Duration;

use lab::{
    Lab, PATIENCE, Result, ensure, eventually,
    peers::Frr,
    steadily,
    switch::{Switch, switchctl},
};

use crate::session::{self, NEIGHBOR, state, switchd, wait_established};
use crate::{Pair, row, wait_for_kernel_route};

#[test]
fn frr_dials_in_from_a_range_with_a_password_and_is_forgotten_when_it_goes() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let range = "listen-range = \"10.1.0.0/24\"\npeer-group = \"servers\"";
        let group = "[[bgp.peer-group]]\nname = \"servers\"\nremote-as = \"external\"\npassword = \"quicksand\"";
        let switch = Switch::start(&pair.left, &switchd(range, group))?;
        let mut frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &["password quicksand"]))?;
        wait_established(&switch, "10.1.0.2")?;
        let summary = switch.show("bgp summary")?;
        ensure!(summary["ipv4Unicast"]["peers"]["10.1.0.2"]["dynamicPeer"] == true, "{summary}");
        let output = switchctl(&pair.left, &["show", "bgp", "summary"])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_it = |line: &str| line.starts_with('*') && line.contains("(10.1.0.2)");
        ensure!(text.lines().any(is_it), "{text}");
        frr.stop()?;
        eventually(PATIENCE, || {
            let summary = switch.show("bgp summary")?;
            let peers = &summary["ipv4Unicast"]["peers"];
            ensure!(peers.get("10.1.0.2").is_none(), "still there: {peers}");
            Ok(())
        })
    })
}

/// The keys of a peer group of ours count for all of the range, and so do those of FRR's group for us.
#[test]
fn we_dial_into_a_range_of_frr_whose_peer_group_has_the_rules() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, FRR_RANGE)?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "password = \"quicksand\""))?;
        wait_established(&switch, "10.1.0.2")?;
        eventually(PATIENCE, || {
            let summary = frr.show("bgp summary")?;
            let peer = &summary["ipv4Unicast"]["peers"]["10.1.0.1"];
            ensure!(peer["state"] == "Established" && peer["dynamicPeer"] == true, "{summary}");
            Ok(())
        })?;
        // The group's policy is what we get.
        eventually(PATIENCE, || {
            let route = &switch.show("bgp ipv4 unicast")?["routes"]["10.77.0.0/16"][0];
            ensure!(route["metric"] == 700, "{route}");
            Ok(())
        })
    })
}

#[test]
fn a_range_takes_so_many_and_the_next_one_when_there_is_room_again() -> Result {
    Lab::run(|lab| {
        let nodes = row(lab, ["first", "leaf", "second"])?;
        let range = "listen-range = \"10.1.0.0/16\"\nlisten-limit = 1\nremote-as = \"external\"";
        let switch = Switch::start(&nodes[1], &switchd(range, ""))?;
        let mut first = Frr::start(&nodes[0], &session::frr("10.1.0.2", &[]))?;
        wait_established(&switch, "10.1.0.1")?;
        let second = session::frr("10.1.1.1", &[]).replace("65002", "65003");
        let _second = Frr::start(&nodes[2], &second.replace("10.0.0.2", "10.0.0.3"))?;
        eventually(PATIENCE, || {
            let log = switch.log()?;
            ensure!(log.contains("the listen range has as many neighbors as it may"), "{log}");
            Ok(())
        })?;
        ensure!(state(&switch, "10.1.1.2")? != "Established", "two, where one may be");
        first.stop()?;
        wait_established(&switch, "10.1.1.2")
    })
}

#[test]
fn two_that_wait_have_no_session_until_one_of_them_dials() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &["passive"]))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "passive = true"))?;
        steadily(Duration::from_secs(2), || {
            let state = state(&switch, "10.1.0.2")?;
            ensure!(state == "Active", "{state}");
            Ok(())
        })?;
        frr.configure(&["router bgp 65002", "no neighbor 10.1.0.1 passive"])?;
        wait_established(&switch, "10.1.0.2")?;
        switch.reload(&switchd(NEIGHBOR, "passive = false"))?;
        frr.configure(&["router bgp 65002", "neighbor 10.1.0.1 passive"])?;
        frr.vtysh("clear bgp 10.1.0.1")?;
        eventually(PATIENCE, || {
            let neighbor = frr.show("bgp neighbors 10.1.0.1")?;
            let count = &neighbor["10.1.0.1"]["connectionsEstablished"];
            ensure!(count.as_u64() >= Some(2), "{count} sessions");
            Ok(())
        })?;
        wait_established(&switch, "10.1.0.2")
    })
}

#[test]
fn two_frr_have_the_keys_of_one_peer_group_and_one_of_them_its_own() -> Result {
    Lab::run(|lab| {
        let nodes = row(lab, ["first", "leaf", "second"])?;
        let second = session::frr("10.1.1.1", &["password granite"]).replace("65002", "65003");
        let _second = Frr::start(&nodes[2], &second.replace("10.0.0.2", "10.0.0.3"))?;
        let first = session::frr("10.1.0.2", &["password quicksand", "timers 1 3"]);
        let first = Frr::start(&nodes[0], &first)?;
        let switch = Switch::start(&nodes[1], PEER_GROUP)?;
        wait_established(&switch, "10.1.0.1")?;
        wait_established(&switch, "10.1.1.2")?;
        let neighbor = &first.show("bgp neighbors 10.1.0.2")?["10.1.0.2"];
        // Of the group: a hold time that we alone know, below what FRR's default would be.
        ensure!(neighbor["bgpTimerHoldTimeMsecs"] == 3000, "{neighbor}");
        let neighbor = switch.show("bgp neighbor 10.1.1.2")?;
        ensure!(neighbor["10.1.1.2"]["bgpTimerHoldTimeMsecs"] == 6000, "{neighbor}");
        wait_for_kernel_route(&nodes[1], 4, "10.77.0.0/16")
    })
}

const FRR_RANGE: &str = "
router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor leaves peer-group
 neighbor leaves remote-as external
 neighbor leaves password quicksand
 bgp listen range 10.1.0.0/24 peer-group leaves
 address-family ipv4 unicast
  network 10.77.0.0/16
  neighbor leaves route-map OUT out
 exit-address-family
exit
route-map OUT permit 10
 set metric 700
exit
";

const PEER_GROUP: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.1"
connect-retry = 1

[[bgp.peer-group]]
name = "spines"
remote-as = "external"
password = "quicksand"
hold-time = 6

[[bgp.neighbor]]
address = "10.1.0.1"
peer-group = "spines"

[[bgp.neighbor]]
address = "10.1.1.2"
peer-group = "spines"
password = "granite"
"#;
