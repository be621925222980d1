//! switchd where there is no switch ASIC: the kernel forwards, and that is as it should be.

use lab::{
    Lab, PATIENCE, Result, ensure, eventually,
    switch::{ask, switchctl},
};

use crate::{switchd_netdevsim::Router, verdicts, witness::offload};

#[test]
fn without_an_asic_offload_says_so_and_a_route_is_announced_once_the_kernel_has_it() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        node.run("ip link add port1 type veth peer name far1")?;
        node.run("ip link set far1 up")?;
        let router = Router::on(lab, node)?;
        let _switchd = router.start("suppress-fib-pending = true")?;
        let switch = &router.switch;
        let left = router.peer(1, &["10.20.0.0/24"])?;
        let right = router.peer(2, &[])?;
        right.wait_for("10.0.0.1/32", true)?;
        right.wait_for("10.20.0.0/24", true)?;

        let said = switchctl(switch, &["offload"])?;
        let text = String::from_utf8_lossy(&said.stdout);
        ensure!(said.status.success() && text.contains("no switch ASIC"), "it says: {text}");
        let told = ask(switch, "offload")?;
        ensure!(told["asic"].is_null(), "an ASIC: {told}");
        let other = offload(switch, true)?.into_iter().find(|line| line.verdict != "software");
        ensure!(other.is_none(), "not in software: {other:?}");
        verdicts::agree_with_iproute2(switch)?;
        verdicts::all_is_well(switch)?;

        // No way to the next hop, no route in the kernel, no word to the neighbour.
        switch.run("ip link set port1 down")?;
        right.wait_for("10.20.0.0/24", false)?;
        left.announce(&["10.20.0.0/24", "10.21.0.0/24"])?;
        eventually(PATIENCE, || {
            let conditions = verdicts::conditions(switch)?;
            let waiting = conditions.iter().any(|(_, message)| message.starts_with("2 BGP routes"));
            ensure!(waiting, "nobody waits for the next hop: {conditions:?}");
            Ok(())
        })?;
        let told = ["10.20.0.0/24", "10.21.0.0/24"].iter().any(|prefix| right.has(prefix));
        ensure!(!told, "a route that does not forward is announced");
        right.wait_for("10.0.0.1/32", true)?;
        router.address_ports()?;
        right.wait_for("10.20.0.0/24", true)?;
        right.wait_for("10.21.0.0/24", true)
    })
}
