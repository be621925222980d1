//! Two FRR that know ways to one prefix: the load is shared in the kernel.

use lab::{
    Lab, Node, PATIENCE, Result, ensure, ensure_eq, eventually, kernel_view::Monitor, peers::Frr,
    switch::Switch,
};
use serde_json::Value;

use crate::row;

const SHARED: &str = "10.88.0.0/16";

/// switchd in the middle, an FRR at each of two ports; both announce [`SHARED`], with a link bandwidth. A link that goes down
/// and comes up again takes no session with it.
struct Fork {
    leaf: Node,
    spines: [Frr; 2],
}

impl Fork {
    fn build(lab: &Lab, bandwidths: [&str; 2]) -> Result<Self> {
        let leaf = lab.node("leaf")?;
        let spine = |index: usize, bandwidth: &str| {
            let node = lab.node(&format!("spine{index}"))?;
            lab.link(&leaf, &format!("up{index}"), &node, "down0")?;
            leaf.run(&format!("ip address add 10.1.{index}.1/24 dev up{index}"))?;
            node.run(&format!("ip address add 10.1.{index}.2/24 dev down0"))?;
            let config = FRR.replace("INDEX", &index.to_string()).replace("BANDWIDTH", bandwidth);
            Frr::start(&node, &config)
        };
        let spines = [spine(1, bandwidths[0])?, spine(2, bandwidths[1])?];
        Ok(Self { leaf, spines })
    }

    /// The kernel's route to [`SHARED`]: number of its nexthop, and its ways as `gateway weight`.
    fn route(&self) -> Result<(u64, Vec<String>)> {
        let routes = self.leaf.json(&format!("ip -j -d route show {SHARED} proto bgp"))?;
        let route = &routes[0];
        let hop = |hop: &Value| {
            format!(
                "{} {}",
                hop["gateway"].as_str().unwrap_or(""),
                hop["weight"].as_u64().unwrap_or(1)
            )
        };
        let mut ways: Vec<String> = match route["nexthops"].as_array() {
            Some(hops) => hops.iter().map(hop).collect(),
            None => vec![hop(route)],
        };
        ways.sort();
        Ok((route["nhid"].as_u64().unwrap_or(0), ways))
    }

    fn wait_for_ways(&self, expected: &[&str]) -> Result<u64> {
        eventually(PATIENCE, || {
            let (id, ways) = self.route()?;
            ensure!(ways == expected, "ways {ways:?}, expected {expected:?}");
            Ok(id)
        })
    }
}

#[test]
fn two_equal_paths_share_the_load_and_a_link_that_goes_and_comes_writes_no_route() -> Result {
    Lab::run(|lab| {
        let fork = Fork::build(lab, ["100", "100"])?;
        let mut switch = Switch::start(&fork.leaf, SWITCHD)?;
        let group = fork.wait_for_ways(&["10.1.1.2 1", "10.1.2.2 1"])?;

        let table = switch.show("bgp ipv4 unicast")?;
        let paths = table["routes"][SHARED].as_array().cloned().unwrap_or_default();
        ensure_eq!(paths.len(), 2, "paths");
        ensure!(paths.iter().all(|path| path["multipath"] == true), "{paths:?}");
        ensure_eq!(paths.iter().filter(|path| path["bestpath"] == true).count(), 1, "best paths");

        fork.leaf.run("ip link set up2 down")?;
        ensure_eq!(
            fork.wait_for_ways(&["10.1.1.2 1"])?,
            group,
            "the number of the group, without the link"
        );
        fork.leaf.run("ip link set up2 up")?;
        ensure_eq!(
            fork.wait_for_ways(&["10.1.1.2 1", "10.1.2.2 1"])?,
            group,
            "the number of the group, with the link again"
        );
        let summary = switch.show("bgp summary")?;
        let peer = &summary["ipv4Unicast"]["peers"]["10.1.2.2"];
        ensure_eq!(peer["connectionsEstablished"], 1, "sessions: the first one stays, {peer}");
        // The kernel reports a route whose group was replaced, as if it had been written: only now is silence to be had.
        let changes = Monitor::routes(&fork.leaf)?;
        switch.kill9()?;
        switch.restart()?;
        eventually(PATIENCE, || {
            let table = switch.show("bgp ipv4 unicast")?;
            let paths = table["routes"][SHARED].as_array().map_or(0, Vec::len);
            ensure!(paths == 2, "{paths} paths after the restart");
            Ok(())
        })?;
        ensure_eq!(
            fork.wait_for_ways(&["10.1.1.2 1", "10.1.2.2 1"])?,
            group,
            "the number of the group, after the restart"
        );
        ensure_eq!(changes.changes("10.88.")?, Vec::<String>::new(), "routes written");

        // One of them has no such prefix any more.
        fork.spines[1].configure(&[
            "router bgp 65002",
            "address-family ipv4",
            "no network 10.88.0.0/16",
        ])?;
        fork.wait_for_ways(&["10.1.1.2 1"]).map(drop)
    })
}

#[test]
fn link_bandwidth_weighs_the_ways_in_the_kernel() -> Result {
    Lab::run(|lab| {
        let fork = Fork::build(lab, ["1000", "2500"])?;
        let _switch = Switch::start(&fork.leaf, SWITCHD)?;
        fork.wait_for_ways(&["10.1.1.2 2", "10.1.2.2 5"])?;
        fork.spines[1].configure(&["route-map LB permit 10", "set extcommunity bandwidth 3000"])?;
        fork.wait_for_ways(&["10.1.1.2 1", "10.1.2.2 3"]).map(drop)
    })
}

/// The other way round: what we say of our links is what FRR makes of it.
#[test]
fn frr_weighs_two_switchd_by_the_bandwidth_that_they_tell() -> Result {
    Lab::run(|lab| {
        let nodes = row(lab, ["first", "leaf", "second"])?;
        let _frr = Frr::start(&nodes[1], FRR_LEAF)?;
        let switchd = |index: usize, number: usize, bandwidth: u32| {
            let config = SWITCHD_SPINE
                .replace("INDEX", &index.to_string())
                .replace("NEIGHBOR", &format!("10.1.{index}.{number}"))
                .replace("BANDWIDTH", &bandwidth.to_string());
            Switch::start(&nodes[index * 2], &config)
        };
        let _first = switchd(0, 2, 1000)?;
        let _second = switchd(1, 1, 3000)?;
        eventually(PATIENCE, || {
            let routes = nodes[1].json("ip -j route show 10.88.0.0/16 proto bgp")?;
            let hops = routes[0]["nexthops"].as_array().cloned().unwrap_or_default();
            let weight = |gateway: &str| {
                let hop = hops.iter().find(|hop| hop["gateway"] == gateway);
                hop.and_then(|hop| hop["weight"].as_u64()).unwrap_or(0)
            };
            let (first, second) = (weight("10.1.0.1"), weight("10.1.1.2"));
            ensure!(first > 0 && second == 3 * first, "FRR's kernel: {routes}");
            Ok(())
        })
    })
}

const FRR_LEAF: &str = "
router bgp 65002
 bgp router-id 10.0.0.9
 no bgp ebgp-requires-policy
 neighbor 10.1.0.1 remote-as 65001
 neighbor 10.1.0.1 timers connect 1
 neighbor 10.1.1.2 remote-as 65001
 neighbor 10.1.1.2 timers connect 1
";

const SWITCHD_SPINE: &str = r#"[bgp]
asn = 65001
router-id = "10.0.1.INDEX"
networks = ["10.88.0.0/16"]
connect-retry = 1

[[bgp.neighbor]]
address = "NEIGHBOR"
remote-as = "external"
export = "bandwidth"

[[policy.route-map]]
name = "bandwidth"
entry = [{ action = "permit", set = { bandwidth = BANDWIDTH } }]
"#;

const FRR: &str = "
bgp route-map delay-timer 1
router bgp 65002
 bgp router-id 10.0.0.INDEX
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp fast-external-failover
 timers bgp 3 9
 neighbor 10.1.INDEX.1 remote-as 65001
 neighbor 10.1.INDEX.1 timers connect 1
 address-family ipv4 unicast
  network 10.88.0.0/16
  neighbor 10.1.INDEX.1 route-map LB out
 exit-address-family
exit
route-map LB permit 10
 set extcommunity bandwidth BANDWIDTH
exit
";

const SWITCHD: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.100"
hold-time = 9

[[bgp.neighbor]]
address = "10.1.1.2"
remote-as = 65002

[[bgp.neighbor]]
address = "10.1.2.2"
remote-as = 65002
"#;
