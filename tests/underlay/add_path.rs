//! ADD-PATH (RFC 7911) with BIRD and FRR, both ways: BIRD has two ways to one prefix and tells both, switchd passes both on.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::{Bird, Frr},
    switch::Switch,
};

use crate::row;

const PREFIX: &str = "10.77.0.0/16";

/// Waits until switchd has so many paths to [`PREFIX`]; returns their identifiers, in order.
fn wait_for_paths(switch: &Switch, count: usize) -> Result<Vec<u64>> {
    eventually(PATIENCE, || {
        let table = switch.show("bgp ipv4 unicast")?;
        let paths = table["routes"][PREFIX].as_array().cloned().unwrap_or_default();
        ensure!(paths.len() == count, "{} paths, expected {count}: {paths:?}", paths.len());
        let mut ids: Vec<u64> =
            paths.iter().filter_map(|path| path["addpathRxId"].as_u64()).collect();
        ids.sort_unstable();
        Ok(ids)
    })
}

fn wait_for_paths_at_bird(bird: &Bird, count: usize) -> Result {
    eventually(PATIENCE, || {
        let table = bird.birdc(&format!("show route for {PREFIX} all"))?;
        let paths = table.matches("BGP.as_path").count();
        ensure!(paths == count, "{paths} paths, expected {count}:\n{table}");
        Ok(())
    })
}

fn wait_for_paths_at_frr(frr: &Frr, count: usize) -> Result {
    eventually(PATIENCE, || {
        let table = frr.show(&format!("bgp ipv4 unicast {PREFIX}"))?;
        let paths = table["paths"].as_array().map_or(0, Vec::len);
        ensure!(paths == count, "{paths} paths, expected {count}: {table}");
        Ok(())
    })
}

#[test]
fn both_paths_of_a_bird_reach_a_bird_through_us_and_one_is_withdrawn_alone() -> Result {
    Lab::run(|lab| {
        let nodes = row(lab, ["source", "leaf", "sink"])?;
        let source = Bird::start(&nodes[0], &bird_source("10.1.0.2", 65_001))?;
        let sink = Bird::start(&nodes[2], BIRD_SINK)?;
        let switch = Switch::start(&nodes[1], SWITCHD)?;
        let both = wait_for_paths(&switch, 2)?;
        ensure!(both.len() == 2 && both[0] != both[1], "identifiers {both:?}");
        wait_for_paths_at_bird(&sink, 2)?;
        source.birdc("disable way2")?;
        let left = wait_for_paths(&switch, 1)?;
        ensure!(both.contains(&left[0]), "identifiers {left:?}, before {both:?}");
        wait_for_paths_at_bird(&sink, 1)?;
        source.birdc("enable way2")?;
        wait_for_paths_at_bird(&sink, 2)
    })
}

#[test]
fn both_paths_that_frr_tells_us_reach_an_frr_through_us() -> Result {
    Lab::run(|lab| {
        let nodes = row(lab, ["source", "relay", "leaf", "sink"])?;
        let source = Bird::start(&nodes[0], &bird_source("10.1.0.2", 65_002))?;
        let _relay = Frr::start(&nodes[1], FRR_RELAY)?;
        let sink = Frr::start(&nodes[3], FRR_SINK)?;
        let config = SWITCHD.replace("10.1.1.2", "10.1.2.2").replace("10.1.0.1", "10.1.1.1");
        let switch = Switch::start(&nodes[2], &config)?;
        ensure_eq!(wait_for_paths(&switch, 2)?.len(), 2, "identifiers of FRR");
        wait_for_paths_at_frr(&sink, 2)?;
        source.birdc("disable way2")?;
        wait_for_paths(&switch, 1)?;
        wait_for_paths_at_frr(&sink, 1)
    })
}

/// A BIRD with two routes to [`PREFIX`], told to this neighbour with different MEDs.
fn bird_source(neighbor: &str, asn: u32) -> String {
    format!(
        r#"
router id 10.0.0.1;
protocol device {{}}
protocol static way1 {{ ipv4; route {PREFIX} blackhole; }}
protocol static way2 {{ ipv4; route {PREFIX} blackhole; }}
filter told {{
    if proto = "way1" then bgp_med = 10; else bgp_med = 20;
    accept;
}}
protocol bgp onward {{
    local as 65010;
    neighbor {neighbor} as {asn};
    connect retry time 1;
    connect delay time 0;
    error wait time 1, 2;
    ipv4 {{ import all; export filter told; add paths tx; next hop self; }};
}}
"#
    )
}

const BIRD_SINK: &str = r#"
router id 10.0.0.3;
protocol device {}
protocol bgp leaf {
    local as 65003;
    neighbor 10.1.1.1 as 65001;
    connect retry time 1;
    connect delay time 0;
    error wait time 1, 2;
    ipv4 { import all; export none; add paths rx; };
}
"#;

const FRR_RELAY: &str = "
router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 timers bgp 3 9
 neighbor 10.1.0.1 remote-as 65010
 neighbor 10.1.0.1 timers connect 1
 neighbor 10.1.1.2 remote-as 65001
 neighbor 10.1.1.2 timers connect 1
 address-family ipv4 unicast
  neighbor 10.1.1.2 addpath-tx-all-paths
 exit-address-family
exit
";

const FRR_SINK: &str = "
router bgp 65003
 bgp router-id 10.0.0.4
 no bgp ebgp-requires-policy
 timers bgp 3 9
 neighbor 10.1.2.1 remote-as 65001
 neighbor 10.1.2.1 timers connect 1
exit
";

const SWITCHD: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.100"
hold-time = 9

[[bgp.neighbor]]
address = "10.1.0.1"
remote-as = "external"
addpath-rx = true

[[bgp.neighbor]]
address = "10.1.1.2"
remote-as = "external"
addpath-tx = "all"
"#;
