//! switchd on QEMU's rocker: a chip that moves frames, with a driver that knows no VXLAN and no nexthop objects.

use std::{collections::BTreeSet, time::Duration};

use lab::{
    Hardware, Lab, Machine, Node, PATIENCE, Result, ensure, ensure_eq, eventually,
    fabric::{self, Fabric, Peering, host_address, host_mac},
    kernel_view::{self, Monitor},
    machine::RockerTable,
    peers::Bird,
    ping, steadily,
    switch::Switch,
};

use crate::{verdicts, witness::offload};

#[test]
fn a_gateway_switches_locally_in_hardware_and_says_that_tunnels_are_the_kernels() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("leaf1", Hardware::rocker(&["up0", "port1", "port2"]))?;
        let nodes = [lab.node("spine")?, machine.switch(), lab.node("leaf2")?];
        let hosts = [lab.node("host1")?, lab.node("host2")?];
        let fabric = Fabric::on(lab, Peering::External, nodes, hosts)?;
        let leaf = fabric.leaf(1);
        // The driver has no entry for an address that is on no port: the chip would drop the tunnels' packets.
        machine.shell("ip address del 10.0.0.1/32 dev lo; ip address add 10.0.0.1/32 dev up0")?;
        let neighbor = lab.node("neighbor")?;
        fabric::attach_host(lab, leaf, "port2", &neighbor, NEIGHBOR_MAC, NEIGHBOR)?;
        let spine = fabric.frr_spine()?;
        let _right = fabric.frr_leaf(2)?;
        let _switchd = fabric.switchd_leaf(1)?;
        spine.wait_established(2)?;

        // Through the tunnel, which the CPU makes; and the far end knows both local stations.
        ping::reaches(fabric.host(1), host_address(2), PATIENCE)?;
        ping::reaches(&neighbor, host_address(2), PATIENCE)?;
        fabric.wait_for_mac(2, host_mac(1))?;
        fabric.wait_for_mac(2, NEIGHBOR_MAC)?;
        fabric.wait_for_mac(1, host_mac(2))?;

        // From port to port: the CPU sees nothing of it.
        ping::reaches(fabric.host(1), NEIGHBOR, PATIENCE)?;
        let count = || hits(&machine, RockerTable::Bridging, "eth-dst", NEIGHBOR_MAC);
        let (cpu, chip) = (frames_seen_by_cpu(leaf)?, count()?);
        fabric.host(1).run(&format!("ping -n -q -c 50 -i 0.01 {NEIGHBOR}"))?;
        ensure_eq!(frames_seen_by_cpu(leaf)?, cpu, "frames that came to the CPU");
        let chip = count()? - chip;
        ensure!(chip >= 50, "the chip has forwarded {chip} of 50 frames");

        for mac in [host_mac(1), NEIGHBOR_MAC] {
            verdicts::wait_for(leaf, mac, "in-hardware")?;
        }
        for part in ["vni100", host_mac(2), fabric::FLOOD_MAC] {
            for line in verdicts::on(leaf, part)? {
                let own = line.reason.contains("an address of this machine");
                let software = line.verdict == "software" && !line.expected;
                ensure!(
                    software && (own || line.reason.contains("does not offload VXLAN")),
                    "not the truth: {line:?}"
                );
            }
        }
        verdicts::agree_but_for_lies(leaf)?;
        verdicts::all_is_well(leaf)
    })
}

#[test]
fn a_router_forwards_in_hardware_and_tells_the_chips_truth_when_links_fail_and_when_it_is_killed()
-> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::rocker(&["port1", "port2"]))?;
        let switch = machine.switch();
        let (host, router) = (lab.node("host")?, lab.node("router")?);
        attach(lab, &switch, &host, 1)?;
        attach(lab, &switch, &router, 2)?;
        router.run("ip address add 10.20.0.1/24 dev lo")?;
        let routes = ["10.20.0.0/24", "10.21.0.0/24", "10.22.0.0/16"];
        let bird = Bird::start(&router, &bird_config(&routes))?;
        let mut switchd = Switch::start(&switch, SWITCHD)?;
        bird.wait_established("switch")?;

        // Through the chip: nothing but the peers' own talk comes to the CPU, and none of it by the host's port.
        ping::reaches(&host, "10.20.0.1", PATIENCE)?;
        let count = || hits(&machine, RockerTable::UnicastRouting, "ip-dst", "10.20.0.0/24");
        let (cpu, chip) = (received_by_cpu(&switch, "port1")?, count()?);
        host.run("ping -n -q -c 50 -i 0.01 10.20.0.1")?;
        ensure_eq!(received_by_cpu(&switch, "port1")?, cpu, "packets of the host at the CPU");
        let chip = count()? - chip;
        ensure_eq!(chip, 50, "packets that the chip has routed");

        // Gateways stand in the routes, and the driver flags them.
        for prefix in routes {
            verdicts::wait_for(&switch, prefix, "in-hardware")?;
            let route = switch.run(&format!("ip route show {prefix}"))?;
            ensure!(route.contains("via 10.1.2.2 dev port2 proto bgp"), "no gateway: {route}");
        }
        for prefix in ["10.1.1.0/24", "10.1.2.0/24"] {
            verdicts::wait_for(&switch, prefix, "trapped")?;
        }
        verdicts::agree_but_for_lies(&switch)?;
        agrees_with_the_chip(&machine)?;
        verdicts::all_is_well(&switch)?;

        // A cable is pulled and put in again.
        machine.cut("port2")?;
        eventually(PATIENCE, || {
            let routes = kernel_view::bgp_routes(&switch, 4)?;
            ensure!(routes.is_empty(), "routes by a port without link: {routes:?}");
            Ok(())
        })?;
        verdicts::agree_but_for_lies(&switch)?;
        agrees_with_the_chip(&machine)?;
        machine.mend("port2")?;
        for prefix in routes {
            verdicts::wait_for(&switch, prefix, "in-hardware")?;
        }
        ping::reaches(&host, "10.20.0.1", PATIENCE)?;
        verdicts::agree_but_for_lies(&switch)?;
        agrees_with_the_chip(&machine)?;

        // A crash: the next switchd finds all in place, and leaves it there.
        let monitor = Monitor::routes(&switch)?;
        switchd.kill9()?;
        switchd.restart()?;
        bird.wait_established("switch")?;
        verdicts::agree_but_for_lies(&switch)?;
        steadily(Duration::from_secs(2), || {
            ensure_eq!(monitor.changes("proto bgp")?, Vec::<String>::new(), "rewritten routes");
            Ok(())
        })?;
        agrees_with_the_chip(&machine)?;

        // The driver takes the flag from all routes by a gateway when one of them goes; the chip keeps the others.
        bird.reconfigure(&bird_config(&routes[..2]))?;
        eventually(PATIENCE, || {
            let gone = monitor.changes("Deleted 10.22.0.0/16")?.len() == 1;
            ensure!(gone, "a withdrawn route is still there");
            Ok(())
        })?;
        agrees_with_the_chip(&machine)?;
        verdicts::all_is_well(&switch)?;
        ping::reaches(&host, "10.20.0.1", PATIENCE)
    })
}

fn attach(lab: &Lab, switch: &Node, node: &Node, index: u32) -> Result {
    node.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")?;
    lab.link(switch, &format!("port{index}"), node, "eth0")?;
    switch.run(&format!("ip address add 10.1.{index}.1/24 dev port{index}"))?;
    node.run(&format!("ip address add 10.1.{index}.2/24 dev eth0"))?;
    node.run(&format!("ip route add default via 10.1.{index}.1"))?;
    Ok(())
}

/// Waits until the chip's routing table is what switchd says: in hardware what it forwards by a gateway, trapped what it
/// sends to the CPU, and nothing else but some neighbours, of which the driver does not tell.
fn agrees_with_the_chip(machine: &Machine) -> Result {
    let switch = machine.switch();
    eventually(PATIENCE, || {
        let mut chip = BTreeSet::new();
        for flow in machine.rocker_flows(RockerTable::UnicastRouting)? {
            let prefix = flow["key"]["ip-dst"].as_str().unwrap_or_default().to_owned();
            let group = flow["action"]["group-id"].as_u64().unwrap_or_default() >> 28;
            let verdict = if group == L3_UNICAST { "in-hardware" } else { "trapped" };
            chip.insert((prefix, verdict.to_owned()));
        }
        let (mut told, mut neighbors) = (BTreeSet::new(), BTreeSet::new());
        for line in offload(&switch, true)? {
            let address = line.entry.split(' ').find(|word| word.starts_with("10."));
            let address = address.unwrap_or_default();
            match line.kind.as_str() {
                "route" if line.verdict != "software" => {
                    told.insert((address.to_owned(), line.verdict));
                }
                "neighbor" => {
                    neighbors.insert((format!("{address}/32"), "in-hardware".to_owned()));
                }
                _ => {}
            }
        }
        chip.retain(|entry| !neighbors.contains(entry));
        ensure_eq!(told, chip, "switchd and the chip differ");
        Ok(())
    })
}

/// Packets that the chip itself has forwarded by the entry of this key.
fn hits(machine: &Machine, table: RockerTable, field: &str, key: &str) -> Result<u64> {
    let flows = machine.rocker_flows(table)?;
    let of_key = flows.iter().filter(|flow| flow["key"][field] == key);
    Ok(of_key.filter_map(|flow| flow["hits"].as_u64()).sum())
}

fn frames_seen_by_cpu(switch: &Node) -> Result<[u64; 2]> {
    Ok([received_by_cpu(switch, "port1")?, received_by_cpu(switch, "port2")?])
}

fn received_by_cpu(switch: &Node, port: &str) -> Result<u64> {
    let count = switch.run(&format!("cat /sys/class/net/{port}/statistics/rx_packets"))?;
    Ok(count.trim().parse().unwrap_or_default())
}

fn bird_config(prefixes: &[&str]) -> String {
    let routes: String =
        prefixes.iter().map(|prefix| format!("route {prefix} blackhole; ")).collect();
    format!(
        "router id 10.1.2.2;
protocol device {{}}
protocol static {{ ipv4; {routes}}}
protocol bgp switch {{
    local as 65102;
    neighbor 10.1.2.1 as 65001;
    hold time 9;
    keepalive time 3;
    connect retry time 1;
    connect delay time 0;
    error wait time 1, 2;
    graceful restart on;
    ipv4 {{ import all; export all; }};
}}
"
    )
}

const SWITCHD: &str = r#"[bgp]
asn = 65001
router-id = "10.1.2.1"
profile = "datacenter"
redistribute = ["connected"]

[[bgp.neighbor]]
address = "10.1.2.2"
remote-as = 65102
families = ["ipv4-unicast"]
"#;

const NEIGHBOR: &str = "192.168.100.3";
const NEIGHBOR_MAC: &str = "02:00:00:00:03:03";

/// The kind of OF-DPA group that has a gateway's MAC; others lead to the CPU.
const L3_UNICAST: u64 = 2;
