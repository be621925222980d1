//! A machine is as good a place for a test as a namespace is.

use lab::{
    Hardware, Lab, PATIENCE, Result, ensure, ensure_eq,
    fabric::{self, Fabric, Peering, host_address},
    ping,
};

#[test]
fn a_machine_runs_the_hosts_programs_and_says_how_they_ended() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::None)?;
        let start = std::time::Instant::now();
        machine.wait_until_up()?;
        eprintln!("up after {:?}", start.elapsed());
        let start = std::time::Instant::now();
        let output = machine.switch().output(&["sh", "-c", "echo out; echo err >&2; exit 42"])?;
        ensure_eq!(output.status.code(), Some(42), "exit code");
        ensure_eq!(output.stdout, b"out\n", "standard output");
        ensure_eq!(output.stderr, b"err\n", "standard error");
        eprintln!("ran after {:?}", start.elapsed());
        for _ in 0..10 {
            machine.switch().run("ip link")?;
        }
        eprintln!("10 more after {:?}", start.elapsed());
        ensure!(machine.shell("uname -r")?.contains("amd64"), "not Debian's kernel");
        Ok(())
    })
}

#[test]
fn the_same_fabric_runs_with_a_leaf_in_a_machine() -> Result {
    Lab::run(|lab| {
        let leaf = lab.machine("leaf1", Hardware::None)?;
        let nodes = [lab.node("spine")?, leaf.switch(), lab.node("leaf2")?];
        let fabric =
            Fabric::on(lab, Peering::External, nodes, [lab.node("host1")?, lab.node("host2")?])?;
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
