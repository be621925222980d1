//! Unnumbered neighbours: links without any address but the link-local ones, found by router advertisements.

mod bfd;
mod bird;
mod clos;
mod gobgp;

use lab::{
    Lab, LabError, Node, PATIENCE, Process, Result, ensure, ensure_eq, eventually,
    kernel_view::{self, Monitor},
    peers::Frr,
    ping,
    switch::Switch,
};
use serde_json::Value;

/// A node with its loopback, in which links need no time to make sure of their addresses.
fn node(lab: &Lab, name: &str, number: u8) -> Result<Node> {
    let node = lab.node(name)?;
    node.run("sysctl -qw net.ipv6.conf.default.dad_transmits=0")?;
    node.run(&format!("ip address add 10.0.0.{number}/32 dev lo"))?;
    node.run(&format!("ip address add fd00::{number}/128 dev lo nodad"))?;
    Ok(node)
}

/// switchd on `left`, the peer on `right`.
struct Pair {
    left: Node,
    right: Node,
}

impl Pair {
    fn build(lab: &Lab, links: &[&str]) -> Result<Self> {
        let pair = Self { left: node(lab, "left", 1)?, right: node(lab, "right", 2)? };
        for link in links {
            lab.link(&pair.left, link, &pair.right, link)?;
        }
        Ok(pair)
    }
}

/// switchd with an unnumbered neighbour on each of these interfaces.
fn switchd(number: u8, interfaces: &[&str]) -> String {
    let neighbors: String = interfaces
        .iter()
        .map(|interface| {
            format!("[[bgp.neighbor]]\ninterface = \"{interface}\"\npeer-group = \"fabric\"\n")
        })
        .collect();
    format!(
        r#"[bgp]
asn = {asn}
router-id = "10.0.0.{number}"
networks = ["10.0.0.{number}/32", "fd00::{number}/128"]
hold-time = 9
connect-retry = 1

[[bgp.peer-group]]
name = "fabric"
remote-as = "external"
families = ["ipv4-unicast", "ipv6-unicast", "l2vpn-evpn"]

{neighbors}"#,
        asn = 65000 + u32::from(number)
    )
}

/// The same of FRR.
fn frr(number: u8, interfaces: &[&str]) -> String {
    let each = |line: &str| -> String {
        interfaces.iter().map(|name| format!(" neighbor {name} {line}\n")).collect()
    };
    format!(
        "router bgp {asn}
 bgp router-id 10.0.0.{number}
 no bgp ebgp-requires-policy
 bgp bestpath as-path multipath-relax
 timers bgp 3 9
 {neighbors} address-family ipv4 unicast
  network 10.0.0.{number}/32
 exit-address-family
 address-family ipv6 unicast
  network fd00::{number}/128
 {activate} exit-address-family
 address-family l2vpn evpn
 {activate}  advertise-all-vni
 exit-address-family
",
        asn = 65000 + u32::from(number),
        neighbors = each("interface remote-as external").trim_start(),
        activate = each("activate").trim_start(),
    )
}

/// VNI 10 in a bridge.
fn vni(node: &Node, number: u8) -> Result {
    for command in [
        "link add br10 type bridge".to_owned(),
        format!("link add vxlan10 type vxlan id 10 local 10.0.0.{number} dstport 4789 nolearning"),
        "link set vxlan10 master br10".to_owned(),
        "link set br10 up".to_owned(),
        "link set vxlan10 up".to_owned(),
    ] {
        node.run(&format!("ip {command}"))?;
    }
    Ok(())
}

/// Waits until the kernel has the prefix by link-local gateways on exactly these interfaces.
fn wait_for_route(node: &Node, family: u8, prefix: &str, interfaces: &[&str]) -> Result {
    eventually(PATIENCE, || {
        let found = interfaces_of(node, family, prefix)?;
        ensure!(found == interfaces, "{}: {prefix} goes by {found:?}", node.name());
        Ok(())
    })
}

/// The interfaces of a BGP route whose gateways are link-local, sorted.
fn interfaces_of(node: &Node, family: u8, prefix: &str) -> Result<Vec<String>> {
    let routes = node.json(&format!("ip -{family} -j route show {prefix} proto bgp"))?;
    let mut found = Vec::new();
    for route in routes.as_array().into_iter().flatten() {
        let hops = route["nexthops"].as_array().cloned().unwrap_or_else(|| vec![route.clone()]);
        for hop in hops {
            let gateway = hop["via"]["host"].as_str().or_else(|| hop["gateway"].as_str());
            ensure!(
                gateway.is_some_and(|gateway| gateway.starts_with("fe80::")),
                "{prefix}: not by a link-local gateway: {hop}"
            );
            found.extend(hop["dev"].as_str().map(str::to_owned));
        }
    }
    found.sort();
    Ok(found)
}

/// One neighbour of one family, as `switchctl show bgp summary --json` or FRR has it.
fn neighbor(summary: &Value, family: &str, name: &str) -> Result<Value> {
    match &summary[family]["peers"][name] {
        Value::Null => Err(LabError::Unexpected(format!("no {name} in {summary}"))),
        found => Ok(found.clone()),
    }
}

fn wait_established(switch: &Switch, name: &str) -> Result {
    eventually(PATIENCE, || {
        let peer = neighbor(&switch.show("bgp summary")?, "ipv4Unicast", name)?;
        ensure!(peer["state"] == "Established", "{name}: {peer}");
        Ok(())
    })
}

fn wait_for_conditions(switch: &Switch, wanted: &[&str]) -> Result {
    eventually(PATIENCE, || {
        let found = conditions(switch)?;
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        ensure!(names == wanted, "conditions are {found:?}");
        Ok(())
    })
}

/// The conditions of BGP's interfaces: name and remedy.
fn conditions(switch: &Switch) -> Result<Vec<(String, String)>> {
    let conditions = switch.show("conditions")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(conditions
        .as_array()
        .into_iter()
        .flatten()
        .map(|condition| (text(&condition["name"]), text(&condition["remedy"])))
        .filter(|(name, _)| name.starts_with("bgp-interface"))
        .collect())
}

#[test]
fn routes_of_all_families_travel_both_ways_over_a_link_without_addresses() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab, &["up0"])?;
        vni(&pair.left, 1)?;
        vni(&pair.right, 2)?;
        let frr = Frr::start(&pair.right, &frr(2, &["up0"]))?;
        let switch = Switch::start(&pair.left, &switchd(1, &["up0"]))?;
        for (node, other) in [(&pair.left, 2), (&pair.right, 1)] {
            wait_for_route(node, 4, &format!("10.0.0.{other}"), &["up0"])?;
            wait_for_route(node, 6, &format!("fd00::{other}"), &["up0"])?;
            eventually(PATIENCE, || {
                let flood = kernel_view::remote_fdb(node, "vxlan10")?;
                let to = format!("10.0.0.{other}");
                ensure!(
                    flood.iter().any(|entry| entry.destination.as_ref() == Some(&to)),
                    "{}: nothing is flooded to {to}: {flood:?}",
                    node.name()
                );
                Ok(())
            })?;
        }
        ping::reaches_as(&pair.left, "10.0.0.1", "10.0.0.2", PATIENCE)?;
        ping::reaches_as(&pair.right, "fd00::2", "fd00::1", PATIENCE)?;
        // Named as FRR names it, with the name that the other one gives itself.
        let ours = neighbor(&switch.show("bgp summary")?, "ipv4Unicast", "up0")?;
        let theirs = neighbor(&frr.show("bgp summary")?, "ipv4Unicast", "up0")?;
        ensure_eq!(ours["idType"], theirs["idType"], "ours (right: FRR's)");
        ensure_eq!(ours["hostname"], Value::from(pair.right.name()), "hostname of FRR");
        ensure!(theirs["hostname"].is_string(), "FRR knows our name: {theirs}");
        ensure_eq!(conditions(&switch)?, Vec::new(), "conditions");
        Ok(())
    })
}

#[test]
fn advertisements_have_hop_limit_255_and_two_links_share_the_load() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab, &["up0", "up1"])?;
        let capture = Process::start(
            &pair.right,
            "tcpdump",
            &[
                "tcpdump",
                "-vlni",
                "up0",
                "-Q",
                "in",
                "icmp6 and (ip6[40] == 133 or ip6[40] == 134)",
            ],
        )?;
        eventually(PATIENCE, || {
            ensure!(capture.output()?.contains("listening on"), "tcpdump does not listen");
            Ok(())
        })?;
        let _frr = Frr::start(&pair.right, &frr(2, &["up0", "up1"]))?;
        let config = switchd(1, &["up0", "up1"]);
        let _switch = Switch::start(&pair.left, &config)?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0", "up1"])?;
        wait_for_route(&pair.right, 6, "fd00::1", &["up0", "up1"])?;
        eventually(PATIENCE, || {
            let seen = capture.output()?;
            for kind in ["router advertisement", "router solicitation"] {
                ensure!(seen.contains(kind), "no {kind} in {seen}");
            }
            ensure!(seen.contains("hlim 255") && !seen.contains("bad icmp6"), "{seen}");
            Ok(())
        })?;
        // One of the links fails: what remains carries all.
        pair.right.run("ip link set up1 down")?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0"])?;
        ping::reaches_as(&pair.left, "10.0.0.1", "10.0.0.2", PATIENCE)?;
        pair.right.run("ip link set up1 up")?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0", "up1"])
    })
}

#[test]
fn a_session_survives_kill_9_and_a_neighbour_with_another_mac_is_found_again() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab, &["up0"])?;
        let frr = Frr::start(&pair.right, &frr(2, &["up0"]))?;
        let mut switch = Switch::start(&pair.left, &switchd(1, &["up0"]))?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0"])?;
        wait_for_route(&pair.right, 4, "10.0.0.1", &["up0"])?;
        let theirs = Monitor::routes(&pair.right)?;
        switch.kill9()?;
        switch.restart()?;
        wait_established(&switch, "up0")?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0"])?;
        let peer = neighbor(&frr.show("bgp summary")?, "ipv4Unicast", "up0")?;
        ensure_eq!(peer["connectionsEstablished"], Value::from(1), "FRR has noticed: {peer}");
        ensure_eq!(theirs.changes("bgp")?, Vec::<String>::new(), "changes in FRR's kernel");
        // Another MAC is another link-local address.
        pair.right.run("ip link set up0 down address 02:00:00:00:00:99")?;
        pair.right.run("ip link set up0 up")?;
        eventually(PATIENCE, || {
            let route = pair.left.run("ip -4 route show 10.0.0.2")?;
            ensure!(route.contains("fe80::ff:fe00:99"), "not by the new address: {route}");
            Ok(())
        })?;
        ping::reaches_as(&pair.left, "10.0.0.1", "10.0.0.2", PATIENCE)
    })
}

#[test]
fn what_keeps_an_interface_from_having_a_session_is_named_and_mended_by_the_command_given() -> Result
{
    Lab::run(|lab| {
        let pair = Pair::build(lab, &[])?;
        let _frr = Frr::start(&pair.right, &frr(2, &["up0"]))?;
        let switch = Switch::start(&pair.left, &switchd(1, &["up0"]))?;
        wait_for_conditions(&switch, &["bgp-interface-missing"])?;
        pair.left.run("sysctl -qw net.ipv6.conf.default.addr_gen_mode=1")?;
        lab.link(&pair.left, "up0", &pair.right, "up0")?;
        wait_for_conditions(&switch, &["bgp-interface-no-link-local"])?;
        pair.left.run("ip link set up0 down")?;
        wait_for_conditions(&switch, &["bgp-interface-down"])?;
        for name in ["bgp-interface-down", "bgp-interface-no-link-local"] {
            wait_for_conditions(&switch, &[name])?;
            let (_, remedy) = conditions(&switch)?.remove(0);
            pair.left.run(&remedy)?;
        }
        wait_established(&switch, "up0")?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0"])
    })
}

#[test]
fn a_neighbour_that_stops_and_starts_again_is_found_again_and_its_routes_return() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab, &["up0", "up1"])?;
        let mut frr = Frr::start(&pair.right, &frr(2, &["up0", "up1"]))?;
        let switch = Switch::start(&pair.left, &switchd(1, &["up0", "up1"]))?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0", "up1"])?;
        frr.stop()?;
        for family in [4, 6] {
            let prefix = if family == 4 { "10.0.0.2" } else { "fd00::2" };
            eventually(PATIENCE, || {
                let ways = interfaces_of(&pair.left, family, prefix)?;
                ensure!(ways.is_empty(), "{prefix} still goes by {ways:?}");
                Ok(())
            })?;
        }
        frr.start_again()?;
        for (node, other) in [(&pair.left, 2), (&pair.right, 1)] {
            wait_for_route(node, 4, &format!("10.0.0.{other}"), &["up0", "up1"])?;
            wait_for_route(node, 6, &format!("fd00::{other}"), &["up0", "up1"])?;
        }
        ping::reaches_as(&pair.left, "10.0.0.1", "10.0.0.2", PATIENCE)?;
        ensure_eq!(conditions(&switch)?, Vec::new(), "conditions");
        Ok(())
    })
}
