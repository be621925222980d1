//! The kernel's netdevsim: resources, traps, health, and failures on demand.

use lab::{Hardware, Lab, Result, ensure};

#[test]
fn a_route_that_the_hardware_refuses_is_accepted_and_flagged() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::netdevsim(&["port1", "port2"]))?;
        let switch = machine.switch();
        switch.run("ip link set port1 up")?;
        switch.run("ip address add 192.0.2.1/24 dev port1")?;
        switch.run("ip route add 10.1.0.0/16 via 192.0.2.2")?;
        let taken = switch.run("ip route show 10.1.0.0/16")?;
        ensure!(taken.contains("rt_trap"), "the simulator did not take {taken}");
        machine.shell("echo 1 >/sys/kernel/debug/netdevsim/netdevsim10/fib/fail_route_offload")?;
        switch.run("ip route add 10.2.0.0/16 via 192.0.2.2")?;
        let refused = switch.run("ip route show 10.2.0.0/16")?;
        ensure!(refused.contains("rt_offload_failed"), "the refusal is not visible: {refused}");
        Ok(())
    })
}
