//! How far away a neighbour may be: one link, several hops through a router, or so many and no forgery (GTSM).

use lab::{
    Lab, Node, PATIENCE, Result, ensure, eventually,
    peers::{Bird, Frr},
    switch::{Switch, switchctl},
};

use crate::Pair;
use crate::session::{self, NEIGHBOR, state, switchd, wait_established, wait_for_drops};

/// The neighbour of [`Routed`].
const BEHIND_THE_ROUTER: &str = "address = \"10.2.0.2\"\nremote-as = 65002";

/// switchd on `left`, the peer on `right`, a router between them.
struct Routed {
    left: Node,
    router: Node,
    right: Node,
}

impl Routed {
    fn build(lab: &Lab) -> Result<Self> {
        let (left, router, right) = (lab.node("left")?, lab.node("router")?, lab.node("right")?);
        lab.link(&left, "up0", &router, "down0")?;
        lab.link(&right, "up0", &router, "down1")?;
        router.run("sysctl -qw net.ipv4.ip_forward=1")?;
        router.run("ip address add 10.1.0.9/24 dev down0")?;
        router.run("ip address add 10.2.0.9/24 dev down1")?;
        left.run("ip address add 10.1.0.1/24 dev up0")?;
        left.run("ip route add 10.2.0.0/24 via 10.1.0.9")?;
        right.run("ip address add 10.2.0.2/24 dev up0")?;
        right.run("ip route add 10.1.0.0/24 via 10.2.0.9")?;
        Ok(Self { left, router, right })
    }
}

#[test]
fn multihop_reaches_frr_behind_a_router_and_without_it_the_reason_is_told() -> Result {
    Lab::run(|lab| {
        let routed = Routed::build(lab)?;
        let _frr = Frr::start(&routed.right, &session::frr("10.1.0.1", &["ebgp-multihop 2"]))?;
        let mut switch =
            Switch::start(&routed.left, &switchd(BEHIND_THE_ROUTER, "passive = false"))?;
        eventually(PATIENCE, || {
            let output = switchctl(&routed.left, &["show", "bgp", "summary"])?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(text.contains("set ebgp-multihop"), "no reason in {text}");
            Ok(())
        })?;
        ensure!(state(&switch, "10.2.0.2")? != "Established", "a TTL of 1 passed a router");
        switch.terminate()?;
        let switch = Switch::start(&routed.left, &switchd(BEHIND_THE_ROUTER, "ebgp-multihop = 2"))?;
        wait_established(&switch, "10.2.0.2")
    })
}

#[test]
fn gtsm_with_frr_on_the_link() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let _frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &["ttl-security hops 1"]))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "ttl-security-hops = 1"))?;
        wait_established(&switch, "10.1.0.2")
    })
}

#[test]
fn gtsm_with_bird_on_the_link() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let _bird = Bird::start(&pair.right, &session::bird("10.1.0.1", "ttl security on;"))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "ttl-security-hops = 1"))?;
        wait_established(&switch, "10.1.0.2")
    })
}

#[test]
fn gtsm_takes_two_hops_if_it_is_told_to_and_drops_what_comes_farther() -> Result {
    Lab::run(|lab| {
        let routed = Routed::build(lab)?;
        let _frr = Frr::start(&routed.right, &session::frr("10.1.0.1", &["ttl-security hops 2"]))?;
        let mut switch =
            Switch::start(&routed.left, &switchd(BEHIND_THE_ROUTER, "ttl-security-hops = 1"))?;
        wait_for_drops(&routed.left, "TcpExtTCPMinTTLDrop")?;
        ensure!(state(&switch, "10.2.0.2")? != "Established", "it came two hops");
        switch.terminate()?;
        let keys = "ttl-security-hops = 2";
        let switch = Switch::start(&routed.left, &switchd(BEHIND_THE_ROUTER, keys))?;
        wait_established(&switch, "10.2.0.2")
    })
}

/// Loopback to loopback on one link, which FRR wants `disable-connected-check` for as well.
#[test]
fn a_loopback_on_the_link_needs_only_the_check_to_be_off() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        pair.left.run("ip route add 10.0.0.2/32 via 10.1.0.2")?;
        pair.right.run("ip route add 10.0.0.1/32 via 10.1.0.1")?;
        let config =
            session::frr("10.0.0.1", &["disable-connected-check", "update-source 10.0.0.2"]);
        let _frr = Frr::start(&pair.right, &config)?;
        let neighbor = "address = \"10.0.0.2\"\nlocal-address = \"10.0.0.1\"\nremote-as = 65002";
        let switch =
            Switch::start(&pair.left, &switchd(neighbor, "disable-connected-check = true"))?;
        wait_established(&switch, "10.0.0.2")
    })
}

/// Loopback to loopback the usual way: two hops to FRR are what one link is to us.
#[test]
fn loopbacks_behind_a_router_reach_each_other_by_multihop() -> Result {
    Lab::run(|lab| {
        let routed = Routed::build(lab)?;
        for (node, own, other, gateway) in [
            (&routed.left, "10.0.0.1", "10.0.0.2", "10.1.0.9"),
            (&routed.right, "10.0.0.2", "10.0.0.1", "10.2.0.9"),
        ] {
            node.run(&format!("ip address add {own}/32 dev lo"))?;
            node.run(&format!("ip route add {other}/32 via {gateway}"))?;
        }
        routed.router.run("ip route add 10.0.0.1/32 via 10.1.0.1")?;
        routed.router.run("ip route add 10.0.0.2/32 via 10.2.0.2")?;
        let config = session::frr("10.0.0.1", &["ebgp-multihop 2", "update-source 10.0.0.2"]);
        let _frr = Frr::start(&routed.right, &config)?;
        let neighbor = "address = \"10.0.0.2\"\nlocal-address = \"10.0.0.1\"\nremote-as = 65002";
        let switch = Switch::start(&routed.left, &switchd(neighbor, "ebgp-multihop = 2"))?;
        wait_established(&switch, "10.0.0.2")?;
        // The next hop is a loopback too; the kernel's way to it is the way of the route.
        eventually(PATIENCE, || {
            let route = routed.left.run("ip route show 10.77.0.0/16 proto bgp")?;
            ensure!(route.contains("via 10.1.0.9"), "not by the router: {route}");
            Ok(())
        })
    })
}
