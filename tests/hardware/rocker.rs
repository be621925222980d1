//! QEMU's rocker: frames that cross the chip, not the CPU.

use lab::{
    Hardware, Lab, Node, PATIENCE, Result, ensure, ensure_eq, eventually,
    machine::{Machine, RockerTable},
    ping,
};

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
        learned_by_the_chip(&switch, "02:00:00:00:00:01")?;
        learned_by_the_chip(&switch, "02:00:00:00:00:02")?;

        let (cpu, chip) = (frames_seen_by_cpu(&switch)?, unicast_hits(&machine)?);
        hosts[0].run("ping -n -q -c 50 -i 0.01 10.0.0.2")?;
        let chip = unicast_hits(&machine)? - chip;
        ensure_eq!(frames_seen_by_cpu(&switch)?, cpu, "frames that came to the CPU");
        ensure!(chip >= 100, "the chip counts {chip} of 100 frames");
        Ok(())
    })
}

fn learned_by_the_chip(switch: &Node, mac: &str) -> Result {
    eventually(PATIENCE, || {
        let table = switch.run("bridge fdb show br br0")?;
        let found = table.lines().any(|line| line.contains(mac) && line.contains("extern_learn"));
        ensure!(found, "{mac} is not learned: {table}");
        Ok(())
    })
}

fn frames_seen_by_cpu(switch: &Node) -> Result<String> {
    switch.run(
        "cat /sys/class/net/port1/statistics/rx_packets /sys/class/net/port2/statistics/rx_packets",
    )
}

/// Frames that the chip has forwarded by an entry of its bridging table.
fn unicast_hits(machine: &Machine) -> Result<u64> {
    let flows = machine.rocker_flows(RockerTable::Bridging)?;
    let unicast = |flow: &&serde_json::Value| {
        flow["key"]["eth-dst"].as_str().is_some_and(|mac| mac.starts_with("02:00:00:00:00:0"))
    };
    Ok(flows.iter().filter(unicast).filter_map(|flow| flow["hits"].as_u64()).sum())
}
