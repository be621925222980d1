//! Frames that belong to one link: the same story for every chip.

use std::time::Duration;

use lab::{Lab, Machine, PATIENCE, Process, Result, ensure, eventually, machine::Frame};

/// `port1` and `port2` of the machine are free.
pub(crate) fn bpdus_and_lldp(lab: &Lab, machine: &Machine) -> Result {
    let switch = machine.switch();
    machine.shell(
        "set -e
        ip link add br0 type bridge stp_state 1 forward_delay 200 hello_time 100 mcast_snooping 0
        ip link set br0 up
        for port in port1 port2; do ip link set $port master br0; ip link set $port up; done",
    )?;
    let probes = [lab.probe(&switch, "port1")?, lab.probe(&switch, "port2")?];
    // The bridge speaks for itself on every port ...
    for probe in &probes {
        probe.expect("BPDU", PATIENCE, |frame| frame.is_to(BRIDGE_GROUP))?;
    }
    // ... and listens: a better bridge on port1 becomes the root.
    eventually(PATIENCE, || {
        probes[0].send(&superior_bpdu())?;
        let root = switch.run("cat /sys/class/net/br0/bridge/root_id")?;
        ensure!(root.trim() == "1000.020000000999", "the root is still {root}");
        Ok(())
    })?;
    let watch = watch(&switch, "port1", "ether proto 0x88cc")?;
    eventually(PATIENCE, || {
        probes[0].send(&superior_bpdu())?;
        let text = switch.run("bridge link show")?;
        ensure!(text.matches("forwarding").count() == 2, "not forwarding yet: {text}");
        Ok(())
    })?;
    // LLDP reaches the CPU, a station's frame the other port, and LLDP that port never.
    probes[0].send(&Frame::new(
        LLDP_GROUP,
        "02:00:00:00:00:01",
        None,
        &[0x88, 0xcc],
        b"\x02\x07\x04LLDP-1",
    ))?;
    probes[0].send(&Frame::text("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01", None, "to all"))?;
    probes[1]
        .expect("broadcast", Duration::from_secs(5), |frame| {
            frame.says("to all") || frame.is_to(LLDP_GROUP)
        })
        .and_then(|frame| {
            ensure!(frame.says("to all"), "LLDP was forwarded: {frame:?}");
            Ok(())
        })?;
    probes[1].never("LLDP", |frame| frame.is_to(LLDP_GROUP))?;
    eventually(PATIENCE, || {
        ensure!(
            watch.output()?.contains("LLDP"),
            "LLDP does not reach the CPU: {}",
            watch.output()?
        );
        Ok(())
    })
}

/// Watches what arrives at a port with tcpdump.
fn watch(switch: &lab::Node, port: &str, filter: &str) -> Result<Process> {
    let words = ["tcpdump", "-l", "-n", "-Q", "in", "-i", port, filter];
    let tcpdump = Process::start(switch, &format!("tcpdump-{port}"), &words)?;
    eventually(PATIENCE, || {
        ensure!(tcpdump.output()?.contains("listening on"), "tcpdump does not listen");
        Ok(())
    })?;
    Ok(tcpdump)
}

/// A configuration BPDU (IEEE 802.1D-1998, 9.3.1) of a bridge with priority 0x1000 that says that it is the root.
fn superior_bpdu() -> Frame {
    let bridge = [0x10, 0x00, 0x02, 0x00, 0x00, 0x00, 0x09, 0x99];
    let mut bpdu = vec![0x42, 0x42, 0x03]; // LLC
    bpdu.extend([0, 0, 0, 0, 0]); // protocol, version, type, flags
    bpdu.extend(bridge); // root
    bpdu.extend([0, 0, 0, 0]); // cost
    bpdu.extend(bridge);
    bpdu.extend([0x80, 0x01]); // port
    bpdu.extend([0, 0, 20, 0, 1, 0, 2, 0]); // age, maximum age, hello, forward delay: 256ths of a second
    Frame::new(BRIDGE_GROUP, "02:00:00:00:09:99", None, &[0, 38], &bpdu)
}

const BRIDGE_GROUP: &str = "01:80:c2:00:00:00";
const LLDP_GROUP: &str = "01:80:c2:00:00:0e";
