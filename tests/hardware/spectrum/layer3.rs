//! Routes: in hardware, trapped, refused, and by table.

use lab::{
    Hardware, Lab, Machine, PATIENCE, Result, ensure, ensure_eq, eventually,
    kernel_view::{self, Route, routes_of},
    machine::SpectrumTable,
};

use super::chip_holds;

#[test]
fn routes_are_in_hardware_when_their_next_hop_is_known_and_trapped_before() -> Result {
    Lab::run(|lab| {
        let machine = router(lab)?;
        machine.shell(
            "ip route add 10.1.0.0/16 via 192.0.2.2
            ip route add 10.2.0.0/16 via 198.51.100.9
            ip route add 10.3.0.0/16 nexthop via 192.0.2.2 nexthop via 192.0.2.6
            ip route add blackhole 10.4.0.0/16
            ip nexthop add id 1 via 192.0.2.2 dev port1
            ip nexthop add id 2 via 192.0.2.6 dev port2
            ip nexthop add id 10 group 1/2
            ip route add 10.5.0.0/16 nhid 10",
        )?;
        for (prefix, flag) in [
            ("10.1.0.0/16", "rt_offload"),
            ("10.2.0.0/16", "rt_trap"),
            ("10.3.0.0/16", "rt_offload"),
            ("10.4.0.0/16", "rt_offload"),
            ("10.5.0.0/16", "rt_offload"),
            ("192.0.2.0/30", "rt_offload"),
        ] {
            wait_for_flag(&machine, prefix, flag)?;
        }
        // BGP unnumbered: refused inline, taken through a nexthop object.
        let inline = machine
            .switch()
            .output(&words("ip route add 10.6.0.0/16 via inet6 fd00:1::2 dev port1"))?;
        let said = String::from_utf8_lossy(&inline.stderr).into_owned();
        ensure!(said.contains("IPv6 gateway with IPv4 route is not supported"), "{said:?}");
        machine.shell(
            "ip nexthop add id 6 via fd00:1::2 dev port1; ip route add 10.6.0.0/16 nhid 6",
        )?;
        wait_for_flag(&machine, "10.6.0.0/16", "rt_offload")
    })
}

#[test]
fn a_route_beyond_the_chips_room_is_accepted_flagged_and_taken_after_delete_and_add() -> Result {
    Lab::run(|lab| {
        let machine = router(lab)?;
        let switch = machine.switch();
        machine.shell("ip route add 10.1.0.0/16 via 192.0.2.2")?;
        wait_for_flag(&machine, "10.1.0.0/16", "rt_offload")?;
        machine.spectrum_room(SpectrumTable::Ipv4Routes, Some(1))?;
        machine.shell(
            "ip route add 10.2.0.0/16 via 192.0.2.2; ip route add 10.3.0.0/16 via 192.0.2.2",
        )?;
        wait_for_flag(&machine, "10.2.0.0/16", "rt_offload")?;
        wait_for_flag(&machine, "10.3.0.0/16", "rt_offload_failed")?;
        machine.spectrum_room(SpectrumTable::Ipv4Routes, None)?;
        switch.run("ip route replace 10.3.0.0/16 via 192.0.2.2")?;
        wait_for_flag(&machine, "10.3.0.0/16", "rt_offload_failed")?;
        machine.shell("ip route del 10.3.0.0/16; ip route add 10.3.0.0/16 via 192.0.2.2")?;
        wait_for_flag(&machine, "10.3.0.0/16", "rt_offload")?;

        // After success, an error of the register itself: what is in hardware stays there.
        // Every access fails until told otherwise: the kernel writes routes of its own in between.
        machine.spectrum_fails("ralue", u32::MAX)?;
        switch.run("ip route add 10.4.0.0/16 via 192.0.2.2")?;
        wait_for_flag(&machine, "10.4.0.0/16", "rt_offload_failed")?;
        machine.spectrum_fails("ralue", 0)?;
        wait_for_flag(&machine, "10.1.0.0/16", "rt_offload")?;
        ensure!(chip_holds(&machine, &["lpm4", "10.1.0.0/16"])?, "the first route left the chip");
        ensure!(
            !chip_holds(&machine, &["lpm4", "10.4.0.0/16"])?,
            "the failed route is in the chip"
        );
        Ok(())
    })
}

#[test]
fn a_vrfs_routes_are_in_a_table_of_their_own_in_hardware() -> Result {
    Lab::run(|lab| {
        let machine = router(lab)?;
        machine.shell(
            "set -e
            ip link add blue type vrf table 100
            ip link set blue up
            ip link set port3 master blue
            ip link set port3 up
            ip address add 192.0.2.1/30 dev port3
            ip route add vrf blue 10.1.0.0/16 via 192.0.2.2
            ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:33 dev port3 nud permanent
            ip route add 10.1.0.0/16 via 192.0.2.6",
        )?;
        // The same prefix, and the same next hop's address, twice.
        wait_for_flag(&machine, "10.1.0.0/16", "rt_offload")?;
        eventually(PATIENCE, || {
            let routes = routes_of(&machine.switch(), 4, "100")?;
            let route = routes.iter().find(|route| route.prefix == "10.1.0.0/16");
            let flagged = route.is_some_and(|route| route.flags.contains("rt_offload"));
            ensure!(flagged, "the VRF's route is not in hardware: {route:?}");
            Ok(())
        })?;
        let lines = machine.spectrum_holds()?;
        let held = lines.iter().filter(|line| line.contains(" 10.1.0.0/16 remote")).count();
        ensure_eq!(held, 2, "tables with the prefix in the chip: {lines:?}");
        Ok(())
    })
}

/// port1 (192.0.2.1/30) and port2 (192.0.2.5/30) with known neighbours at .2 and .6.
fn router(lab: &Lab) -> Result<Machine> {
    let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2", "port3"]))?;
    machine.shell(
        "set -e
        for n in 1 2 3; do ip link set wire$n up; done
        for n in 1 2; do ip link set port$n up; done
        ip address add 192.0.2.1/30 dev port1
        ip address add 192.0.2.5/30 dev port2
        ip address add 198.51.100.1/24 dev port2
        ip address add fd00:1::1/64 dev port1 nodad
        ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:12 dev port1 nud permanent
        ip neigh add 192.0.2.6 lladdr 02:00:00:00:00:16 dev port2 nud permanent
        ip neigh add fd00:1::2 lladdr 02:00:00:00:00:12 dev port1 nud permanent",
    )?;
    Ok(machine)
}

fn wait_for_flag(machine: &Machine, prefix: &str, flag: &str) -> Result {
    eventually(PATIENCE, || {
        let routes = kernel_view::routes(&machine.switch(), 4)?;
        let route: Option<&Route> = routes.iter().find(|route| route.prefix == prefix);
        let flagged = route.is_some_and(|route| route.flags.contains(flag));
        ensure!(flagged, "{prefix} is not {flag}: {route:?}");
        Ok(())
    })
}

fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().collect()
}
