//! Bridges, bonds and the frames of the link itself.

use std::time::Duration;

use lab::{Hardware, Lab, PATIENCE, Result, ensure, eventually, kernel_view, machine::Frame};

use super::chip_holds;

const SECOND: Duration = Duration::from_secs(5);

#[test]
fn a_vlan_aware_bridge_learns_in_hardware_ages_and_keeps_vlans_apart() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2", "port3"]))?;
        let switch = machine.switch();
        machine.shell(
            "set -e
            ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
            ip link set br0 up
            for port in port1 port2 port3; do ip link set $port master br0; ip link set $port up; done
            bridge vlan add dev port1 vid 10 pvid untagged
            bridge vlan add dev port2 vid 10
            bridge vlan add dev port2 vid 20
            bridge vlan add dev port3 vid 20 pvid untagged",
        )?;
        let probes = [
            lab.probe(&switch, "port1")?,
            lab.probe(&switch, "port2")?,
            lab.probe(&switch, "port3")?,
        ];
        links_are_up(&switch, &["port1", "port2", "port3"])?;
        probes[0].send(&Frame::text(
            "ff:ff:ff:ff:ff:ff",
            "02:00:00:00:00:01",
            None,
            "to all of ten",
        ))?;
        let frame = probes[1].expect("broadcast", SECOND, |frame| frame.says("to all of ten"))?;
        ensure!(frame.vlan() == Some(10), "left the trunk as {frame:?}");
        probes[2].never("a frame of VLAN 10", |frame| frame.says("to all of ten"))?;
        probes[1].send(&Frame::text(
            "ff:ff:ff:ff:ff:ff",
            "02:00:00:00:00:02",
            Some(20),
            "of twenty",
        ))?;
        let frame = probes[2].expect("broadcast", SECOND, |frame| frame.says("of twenty"))?;
        ensure!(frame.vlan().is_none(), "left the access port as {frame:?}");

        // A station that the chip has learned looks like one that a control plane wrote, and is on a port.
        let learned = || -> Result<bool> {
            let table = kernel_view::fdb(&switch, "port1")?;
            let entry = table.iter().find(|entry| entry.mac == "02:00:00:00:00:01");
            Ok(entry.is_some_and(|entry| {
                entry.vlan == Some(10)
                    && entry.flags.contains("extern_learn")
                    && entry.flags.contains("offload")
            }))
        };
        eventually(PATIENCE, || {
            ensure!(learned()?, "not learned by the chip: {}", switch.run("bridge fdb")?);
            Ok(())
        })?;
        // The chip, not Linux, ages it.
        switch.run("ip link set br0 type bridge ageing_time 1000")?;
        eventually(Duration::from_secs(30), || {
            ensure!(!learned()?, "never aged");
            ensure!(!chip_holds(&machine, &["02:00:00:00:00:01"])?, "still in the chip");
            Ok(())
        })
    })
}

#[test]
fn a_bond_negotiates_carries_packets_and_learns_as_one_port() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2", "port3"]))?;
        let (switch, peer) = (machine.switch(), machine.node("peer")?);
        lab.link(&switch, "port1", &peer, "eth1")?;
        lab.link(&switch, "port2", &peer, "eth2")?;
        machine.shell(
            "set -e
            for place in 'ip -n switch' 'ip -n peer'; do
                $place link add bond0 type bond mode 802.3ad lacp_rate fast miimon 50
            done
            for port in port1 port2; do ip link set $port down; ip link set $port master bond0; done
            for port in eth1 eth2; do ip -n peer link set $port down; ip -n peer link set $port master bond0; done
            ip link set bond0 up
            ip -n peer link set bond0 up
            ip link add br0 type bridge vlan_filtering 1 mcast_snooping 0
            ip link set br0 up
            ip link set bond0 master br0
            ip address add 192.168.0.1/24 dev br0
            ip -n peer address add 192.168.0.2/24 dev bond0",
        )?;
        let refused = switch.output(&[
            "sh",
            "-ec",
            "ip link add bond1 type bond mode active-backup; ip link set port3 master bond1",
        ])?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(said.contains("LAG device using unsupported Tx type"), "{said:?}");
        eventually(PATIENCE, || {
            let status = switch.run("cat /proc/net/bonding/bond0")?;
            ensure!(status.contains("Number of ports: 2"), "LACP has not joined both: {status}");
            Ok(())
        })?;
        lab::ping::reaches(&peer, "192.168.0.1", PATIENCE)?;
        eventually(PATIENCE, || {
            let table = kernel_view::fdb(&switch, "bond0")?;
            let offloaded = |entry: &&kernel_view::FdbEntry| {
                entry.flags.contains("offload") && entry.state != "permanent"
            };
            ensure!(
                table.iter().any(|entry| offloaded(&entry)),
                "not learned on the bond: {table:?}"
            );
            ensure!(chip_holds(&machine, &["fdb", "lag 0"])?, "{:?}", machine.spectrum_holds()?);
            Ok(())
        })
    })
}

#[test]
fn bpdus_decide_the_spanning_tree_and_lldp_stays_on_its_link() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2"]))?;
        crate::link_frames::bpdus_and_lldp(lab, &machine)
    })
}

fn links_are_up(switch: &lab::Node, ports: &[&str]) -> Result {
    eventually(PATIENCE, || {
        for port in ports {
            let state = switch.run(&format!("cat /sys/class/net/{port}/carrier"))?;
            ensure!(state.trim() == "1", "{port} has no link");
            let text = switch.run(&format!("bridge link show dev {port}"))?;
            ensure!(text.contains("forwarding"), "{text}");
        }
        Ok(())
    })
}
