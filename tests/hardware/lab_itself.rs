//! A machine is as good a place for a test as a namespace is.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use lab::{
    Hardware, Lab, LabError, PATIENCE, Process, Result, ensure, ensure_eq, eventually,
    fabric::{self, Fabric, Peering, host_address},
    machine::Frame,
    ping,
};
use nix::sys::signal::Signal;

#[test]
fn a_machine_is_up_within_six_seconds() -> Result {
    Lab::run(|lab| {
        let mut took = Vec::new();
        // Another test may have the other core: the best of three counts.
        for name in ["first", "second", "third"] {
            let start = Instant::now();
            let machine = lab.machine(name, Hardware::spectrum(&["port1", "port2"]))?;
            machine.wait_until_up()?;
            took.push(start.elapsed());
            machine.shutdown()?;
            if took.iter().any(|took| *took < Duration::from_secs(6)) {
                return Ok(());
            }
        }
        Err(LabError::Unexpected(format!("booting and loading Spectrum's driver took {took:?}")))
    })
}

#[test]
fn a_machine_runs_the_hosts_programs_and_says_how_they_ended() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::None)?;
        let switch = machine.switch();
        let output = switch.output(&["sh", "-c", "echo out; echo err >&2; exit 42"])?;
        ensure_eq!(output.status.code(), Some(42), "exit code");
        ensure_eq!(output.stdout, b"out\n", "standard output");
        ensure_eq!(output.stderr, b"err\n", "standard error");
        let bytes = switch.output(&["head", "-c", "1000000", "/dev/urandom"])?.stdout;
        ensure_eq!(bytes.len(), 1_000_000, "bytes of a large output");
        ensure!(machine.shell("uname -r")?.contains("amd64"), "not Debian's kernel");
        let missing = switch.output(&["no-such-program"]).err().map(|error| error.to_string());
        ensure!(missing.is_some_and(|said| said.contains("no-such-program")), "it was found");

        // Files pass both ways at the same path, and a daemon's signals and end are its own.
        let (to, from) = (switch.dir().join("to"), switch.dir().join("from"));
        fs::write(&to, "to the machine")?;
        machine.shell(&format!("cat {} && echo from it >{}", to.display(), from.display()))?;
        ensure_eq!(fs::read_to_string(&from)?, "from it\n", "a file of the machine");
        let script = "trap 'echo stopping; exit 7' TERM; echo running; while :; do sleep 0.1; done";
        let mut daemon = Process::start(&switch, "daemon", &["sh", "-c", script])?;
        eventually(PATIENCE, || {
            ensure!(daemon.output()?.contains("running"), "it says nothing");
            Ok(())
        })?;
        daemon.ensure_running()?;
        ensure_eq!(daemon.terminate()?.code(), Some(7), "the daemon's own exit code");
        ensure!(daemon.output()?.contains("stopping"), "its last words are lost");
        let mut daemon = Process::start(&switch, "daemon", &["sh", "-c", script])?;
        daemon.signal(Signal::SIGKILL)?;
        let status = daemon.wait(PATIENCE)?;
        ensure_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "signal");
        Ok(())
    })
}

#[test]
fn a_command_that_hangs_is_given_up_and_the_machine_goes_on() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::None)?;
        machine.wait_until_up()?;
        machine.set_patience(Duration::from_secs(1));
        let error = machine.shell("sleep 1000").err().map(|error| error.to_string());
        ensure!(
            error.as_ref().is_some_and(|said| said.contains("does not end a program within 1 s")),
            "{error:?}"
        );
        machine.set_patience(PATIENCE);
        machine.shell("true").map(drop)
    })
}

#[test]
fn a_kernel_that_complains_fails_the_test_and_all_evidence_is_kept() -> Result {
    let outcome = Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::rocker(&["port1"]))?;
        let probe = lab.probe(&machine.switch(), "port1")?;
        probe.send(&Frame::text("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01", None, "seen"))?;
        // The test itself is content.
        machine.shell("echo 'BUG: only said to see who listens' >/dev/kmsg").map(drop)
    });
    let said = outcome.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(said.contains("BUG: only said to see who listens"), "nobody has heard it: {said:?}");
    let kept = failures_of_this_test().join("switch");
    for (file, content) in
        [("kernel.log", "only said to see"), ("commands.log", "ip link"), ("rocker1.pcap", "seen")]
    {
        let bytes = fs::read(kept.join(file))?;
        let found = bytes.windows(content.len()).any(|window| window == content.as_bytes());
        ensure!(found, "{} does not contain {content:?}", kept.join(file).display());
    }
    ensure!(kept.join("console.log").exists(), "no console");
    fs::remove_dir_all(failures_of_this_test())?;

    // A kernel that dies says so on its console, and nobody waits for it.
    let start = Instant::now();
    let outcome = Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::None)?;
        machine.shell("echo c >/proc/sysrq-trigger").map(drop)
    });
    let said = outcome.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(said.contains("sysrq") || said.contains("panic"), "the panic was not heard: {said:?}");
    ensure!(start.elapsed() < Duration::from_secs(30), "waited for a dead machine");
    Ok(fs::remove_dir_all(failures_of_this_test())?)
}

#[test]
fn two_machines_and_a_namespace_in_one_of_them_are_joined_by_cables_that_carry_all_frames() -> Result
{
    Lab::run(|lab| {
        let machines = [lab.machine("one", Hardware::None)?, lab.machine("two", Hardware::None)?];
        let (one, two) = (machines[0].switch(), machines[1].switch());
        let guest = machines[1].node("guest")?;
        let host = lab.node("host")?;
        lab.link(&one, "up0", &two, "up0")?;
        lab.link(&two, "port1", &guest, "eth0")?;
        lab.link(&guest, "eth1", &host, "eth0")?;
        let probe = lab.probe(&one, "port1")?;
        // A chain of bridges, which passes on all but what belongs to a link, and a host at its end.
        for (node, ports) in [(&one, "port1 up0"), (&two, "up0 port1"), (&guest, "eth0 eth1")] {
            node.run("ip link add br0 type bridge mcast_snooping 0 group_fwd_mask 0x4000")?;
            node.run("ip link set br0 up")?;
            for port in ports.split(' ') {
                node.run(&format!("ip link set {port} master br0"))?;
            }
        }
        host.run("ip address add 10.0.0.2/24 dev eth0")?;
        one.run("ip address add 10.0.0.1/24 dev br0")?;
        ping::reaches(&host, "10.0.0.1", PATIENCE)?;
        ping::reaches(&one, "10.0.0.2", PATIENCE)?;
        let far = lab.probe(&two, "port2")?;
        two.run("ip link set port2 master br0")?;
        for (destination, vlan) in [(EVERYONE, None), (EVERYONE, Some(77)), (LLDP, None)] {
            eventually(PATIENCE, || {
                probe.send(&Frame::text(destination, "02:00:00:00:00:01", vlan, "across"))?;
                far.expect("frame", Duration::from_millis(500), |frame| {
                    frame.is_to(destination) && frame.says("across") && frame.vlan() == vlan
                })
            })?;
        }
        Ok(())
    })
}

#[test]
fn the_same_fabric_runs_with_a_leaf_in_a_machine() -> Result {
    Lab::run(|lab| {
        let leaf = lab.machine("leaf1", Hardware::None)?;
        let nodes = [lab.node("spine")?, leaf.switch(), lab.node("leaf2")?];
        let hosts = [lab.node("host1")?, lab.node("host2")?];
        let fabric = Fabric::on(lab, Peering::External, nodes, hosts)?;
        let spine = fabric.frr_spine()?;
        let _right = fabric.frr_leaf(2)?;
        let mut switch = fabric.switchd_leaf(1)?;
        spine.wait_established(2)?;
        ping::reaches(fabric.host(1), host_address(2), PATIENCE)?;
        fabric.wait_for_mac(1, fabric::host_mac(2))?;
        fabric.wait_for_mac(2, fabric::host_mac(1))?;
        switch.kill9()?;
        switch.restart()?;
        ensure!(switch.terminate()?.success(), "switchd did not end well");
        Ok(())
    })
}

/// Where `Lab` keeps what is left of this test.
fn failures_of_this_test() -> PathBuf {
    let target = std::env::current_exe().unwrap_or_default();
    let target = target.ancestors().nth(3).map(PathBuf::from).unwrap_or_default();
    let name = std::thread::current().name().unwrap_or_default().replace("::", "-");
    target.join("lab-failures").join(name)
}

const EVERYONE: &str = "ff:ff:ff:ff:ff:ff";
const LLDP: &str = "01:80:c2:00:00:0e";
