//! What switchd says of the hardware, beside what iproute2 says of it.

use lab::{
    Hardware, Lab, PATIENCE, Result,
    fabric::{Fabric, Peering, host_address, host_mac},
    ping, switch,
};

#[test]
fn explore() -> Result {
    Lab::run(|lab| {
        let leaf = lab.machine("leaf1", Hardware::spectrum(&["up0", "port1"]))?;
        let nodes = [lab.node("spine")?, leaf.switch(), lab.node("leaf2")?];
        let fabric =
            Fabric::on(lab, Peering::External, nodes, [lab.node("host1")?, lab.node("host2")?])?;
        let spine = fabric.frr_spine()?;
        let _right = fabric.frr_leaf(2)?;
        let leaf1 = fabric.switchd_leaf(1)?;
        spine.wait_established(2)?;
        ping::reaches(fabric.host(1), host_address(2), PATIENCE)?;
        fabric.wait_for_mac(1, host_mac(2))?;
        fabric.wait_for_mac(2, host_mac(1))?;
        std::thread::sleep(std::time::Duration::from_secs(8));
        for words in ["offload --all", "offload", "check", "show conditions", "explain vni 100"] {
            let words: Vec<&str> = words.split(' ').collect();
            let out = switch::switchctl(leaf1.node(), &words)?;
            println!(
                "$ {words:?}\n{}{}",
                String::from_utf8_lossy(&out.stdout),
                String::from_utf8_lossy(&out.stderr)
            );
        }
        let mac = host_mac(2).to_string();
        let out = switch::switchctl(leaf1.node(), &["explain", "mac", &mac])?;
        println!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        println!(
            "{}",
            leaf1
                .node()
                .run("sh -c 'bridge fdb; ip route show table all; ip nexthop; ip neigh'")
                .unwrap_or_default()
        );
        println!("{}", leaf1.node().run("cat /sys/kernel/debug/mlxfake/tables")?);
        println!("{}", leaf1.log()?);
        Ok(())
    })
}
