//! BIRD at the other end. It has no unnumbered neighbours of its own: it advertises itself as a router, and takes whoever
//! connects from a link-local address.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually, peers::Bird, ping, switch::Switch,
};

use super::{Pair, conditions, switchd, wait_established, wait_for_route};

#[test]
fn routes_of_both_families_travel_both_ways() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab, &["up0"])?;
        let bird = Bird::start(&pair.right, BIRD)?;
        let config = switchd(1, &["up0"]).replace(", \"l2vpn-evpn\"", "");
        let switch = Switch::start(&pair.left, &config)?;
        wait_established(&switch, "up0")?;
        for (node, other) in [(&pair.left, 2), (&pair.right, 1)] {
            wait_for_kernel(node, 4, &format!("10.0.0.{other}"))?;
            wait_for_kernel(node, 6, &format!("fd00::{other}"))?;
        }
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0"])?;
        wait_for_route(&pair.left, 6, "fd00::2", &["up0"])?;
        ping::reaches_as(&pair.left, "10.0.0.1", "10.0.0.2", PATIENCE)?;
        ping::reaches_as(&pair.right, "fd00::2", "fd00::1", PATIENCE)?;
        ensure_eq!(conditions(&switch)?, Vec::new(), "conditions");
        bird.birdc("disable loopback")?;
        eventually(PATIENCE, || {
            let left = pair.left.run("ip route show 10.0.0.2")?;
            ensure!(left.is_empty(), "withdrawn, and still there: {left}");
            Ok(())
        })
    })
}

/// By whatever protocol: BIRD's is its own.
fn wait_for_kernel(node: &lab::Node, family: u8, prefix: &str) -> Result {
    eventually(PATIENCE, || {
        let route = node.run(&format!("ip -{family} route show {prefix}"))?;
        ensure!(route.contains("fe80::"), "{}: no {prefix} by fe80::: {route}", node.name());
        Ok(())
    })
}

const BIRD: &str = r#"
router id 10.0.0.2;
protocol device { scan time 1; }
protocol direct loopback { ipv4; ipv6; interface "lo"; }
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }
protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; }
protocol radv { interface "up0" { min ra interval 3; max ra interval 4; }; }
protocol bgp leaves {
    local as 65002;
    neighbor range fe80::/10 external;
    interface "up0";
    hold time 9;
    error wait time 1, 2;
    ipv4 { import all; export all; extended next hop; };
    ipv6 { import all; export all; };
}
"#;
