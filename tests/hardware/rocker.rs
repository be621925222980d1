//! QEMU's rocker: frames that cross the chip, not the CPU.

use std::time::Duration;

use lab::{
    Hardware, Lab, Machine, Node, PATIENCE, Result, ensure, ensure_eq, eventually,
    kernel_view::{self, FdbEntry},
    machine::{Frame, Probe, RockerTable},
    ping,
};

const SECONDS: Duration = Duration::from_secs(5);

#[test]
fn frames_between_two_hosts_cross_the_chip_while_the_cpus_counters_stand_still() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::rocker(&["port1", "port2"]))?;
        let switch = machine.switch();
        let hosts = [lab.node("host1")?, lab.node("host2")?];
        switch.run("ip link add br0 type bridge mcast_snooping 0")?;
        switch.run("ip link set br0 up")?;
        for (host, number) in hosts.iter().zip(1..) {
            host.run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")?;
            lab.link(&switch, &format!("port{number}"), host, "eth0")?;
            switch.run(&format!("ip link set port{number} master br0"))?;
            host.run(&format!("ip link set eth0 address 02:00:00:00:00:0{number}"))?;
            host.run(&format!("ip address add 10.0.0.{number}/24 dev eth0"))?;
        }
        ping::reaches(&hosts[0], "10.0.0.2", PATIENCE)?;
        learned_by_the_chip(&switch, "port1", "02:00:00:00:00:01")?;
        learned_by_the_chip(&switch, "port2", "02:00:00:00:00:02")?;

        let (cpu, chip) = (frames_seen_by_cpu(&switch)?, unicast_hits(&machine)?);
        hosts[0].run("ping -n -q -c 50 -i 0.01 10.0.0.2")?;
        let chip = unicast_hits(&machine)? - chip;
        ensure_eq!(frames_seen_by_cpu(&switch)?, cpu, "frames that came to the CPU");
        ensure!(chip >= 100, "the chip counts {chip} of 100 frames");

        // A link that is cut takes the stations with it, and a mended one brings them back.
        machine.cut("port2")?;
        eventually(PATIENCE, || {
            let table = kernel_view::fdb(&switch, "port2")?;
            let left = table.iter().any(|entry| entry.mac == "02:00:00:00:00:02");
            ensure!(!left, "a station behind a cut link: {table:?}");
            Ok(())
        })?;
        machine.mend("port2")?;
        ping::reaches(&hosts[0], "10.0.0.2", PATIENCE)
    })
}

#[test]
fn a_vlan_aware_bridge_tags_untags_and_separates_in_the_chip() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::rocker(&["port1", "port2", "port3"]))?;
        let switch = machine.switch();
        machine.shell(
            "set -e
            ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
            ip link set br0 addrgenmode none up
            for port in port1 port2 port3; do
                ip link set $port addrgenmode none
                ip link set $port master br0
                ip link set $port up
            done
            bridge vlan add dev port1 vid 10 pvid untagged
            bridge vlan add dev port2 vid 10
            bridge vlan add dev port2 vid 20
            bridge vlan add dev port3 vid 20 pvid untagged",
        )?;
        let probes = probes(lab, &switch, ["port1", "port2", "port3"])?;
        let [access10, trunk, access20] = &probes;
        access10.send(&Frame::text(EVERYONE, ONE, None, "to all of ten"))?;
        let frame = trunk.expect("broadcast", SECONDS, |frame| frame.says("to all of ten"))?;
        ensure_eq!(frame.vlan(), Some(10), "tag on the trunk");
        access20.never("a frame of VLAN 10", |frame| frame.says("to all of ten"))?;
        trunk.send(&Frame::text(ONE, TWO, Some(10), "back to one"))?;
        let frame = access10.expect("unicast", SECONDS, |frame| frame.says("back to one"))?;
        ensure_eq!(frame.vlan(), None, "tag on the access port");
        learned_by_the_chip(&switch, "port1", ONE)?;
        learned_by_the_chip(&switch, "port2", TWO)?;

        let (cpu, chip) = (frames_seen_by_cpu(&switch)?, unicast_hits(&machine)?);
        for number in 0..50 {
            let text = format!("number {number} ");
            access10.send(&Frame::text(TWO, ONE, None, &text))?;
            trunk.expect("unicast", SECONDS, |frame| {
                frame.says(&text) && frame.vlan() == Some(10)
            })?;
        }
        ensure_eq!(unicast_hits(&machine)? - chip, 50, "frames counted by the chip");
        ensure_eq!(frames_seen_by_cpu(&switch)?, cpu, "frames that came to the CPU");

        // The same station in another VLAN is nobody's business, and a port out of the VLAN is out.
        trunk.send(&Frame::text(ONE, TWO, Some(20), "wrong VLAN"))?;
        access20.expect("flooded unicast", SECONDS, |frame| frame.says("wrong VLAN"))?;
        access10.never("a frame of VLAN 20", |frame| frame.says("wrong VLAN"))?;
        switch.run("bridge vlan del dev port2 vid 10")?;
        access10.send(&Frame::text(EVERYONE, ONE, None, "after the trunk has left"))?;
        trunk.never("a frame of VLAN 10", |frame| frame.says("after the trunk has left"))
    })
}

#[test]
fn routes_are_in_the_chip_but_its_flag_also_stands_on_what_the_cpu_does() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::rocker(&["port1", "port2"]))?;
        let switch = machine.switch();
        let hosts = [lab.node("host1")?, lab.node("host2")?];
        for (host, number) in hosts.iter().zip(1..) {
            host.run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")?;
            lab.link(&switch, &format!("port{number}"), host, "eth0")?;
            switch.run(&format!("ip address add 10.{number}.0.1/24 dev port{number}"))?;
            host.run(&format!("ip address add 10.{number}.0.2/24 dev eth0"))?;
            host.run(&format!("ip route add default via 10.{number}.0.1"))?;
        }
        hosts[1].run("ip address add 10.9.0.1/32 dev lo")?;
        switch.run("ip route add 10.9.0.0/24 via 10.2.0.2")?;
        ping::reaches(&hosts[0], "10.9.0.1", PATIENCE)?;
        ping::reaches(&hosts[1], "10.1.0.2", PATIENCE)?;
        // Both next hops are known now: what follows needs no CPU. The way back is a connected route, which the flag
        // claims and the chip leaves to the CPU.
        eventually(PATIENCE, || {
            let routes = kernel_view::routes(&switch, 4)?;
            for prefix in ["10.9.0.0/24", "10.1.0.0/24"] {
                let route = routes.iter().find(|route| route.prefix == prefix);
                let flagged = route.is_some_and(|route| route.flags.contains("offload"));
                ensure!(flagged, "{prefix} has no flag: {route:?}");
            }
            Ok(())
        })?;
        let flows = machine.rocker_flows(RockerTable::UnicastRouting)?;
        let in_chip = flows.iter().any(|flow| flow["key"]["ip-dst"] == "10.9.0.0/24");
        ensure!(in_chip, "the chip has no such route: {flows:?}");

        // What would take the unpatched driver down.
        machine.shell(
            "ip route add blackhole 10.8.0.0/16
            ip link add blue type vrf table 100
            ip link set blue up
            ip route add blackhole 10.7.0.0/16 vrf blue
            ip link del blue",
        )?;
        ping::reaches(&hosts[0], "10.9.0.1", PATIENCE)
    })
}

#[test]
fn bpdus_decide_the_spanning_tree_and_lldp_stays_on_its_link() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::rocker(&["port1", "port2"]))?;
        crate::link_frames::bpdus_and_lldp(lab, &machine)
    })
}

fn probes<const N: usize>(lab: &Lab, switch: &Node, ports: [&str; N]) -> Result<[Probe; N]> {
    let mut probes = Vec::new();
    for port in ports {
        probes.push(lab.probe(switch, port)?);
        eventually(PATIENCE, || {
            let text = switch.run(&format!("bridge link show dev {port}"))?;
            ensure!(text.contains("forwarding"), "{port} does not forward: {text}");
            Ok(())
        })?;
    }
    probes.try_into().map_err(|_| lab::LabError::Unexpected("a probe for each port".into()))
}

fn learned_by_the_chip(switch: &Node, port: &str, mac: &str) -> Result {
    eventually(PATIENCE, || {
        let table = kernel_view::fdb(switch, port)?;
        let learned = |entry: &&FdbEntry| entry.mac == mac && entry.flags.contains("extern_learn");
        ensure!(table.iter().any(|entry| learned(&entry)), "{mac} is not learned: {table:?}");
        Ok(())
    })
}

fn frames_seen_by_cpu(switch: &Node) -> Result<String> {
    switch.run_words(&["sh", "-c", "cat /sys/class/net/port*/statistics/rx_packets"])
}

/// Frames that the chip has forwarded by entries of its bridging table for single stations.
fn unicast_hits(machine: &Machine) -> Result<u64> {
    let flows = machine.rocker_flows(RockerTable::Bridging)?;
    let unicast = |flow: &&serde_json::Value| {
        flow["key"]["eth-dst"].as_str().is_some_and(|mac| mac.starts_with("02:00:00:00:00:0"))
    };
    Ok(flows.iter().filter(unicast).filter_map(|flow| flow["hits"].as_u64()).sum())
}

const EVERYONE: &str = "ff:ff:ff:ff:ff:ff";
const ONE: &str = "02:00:00:00:00:01";
const TWO: &str = "02:00:00:00:00:02";
