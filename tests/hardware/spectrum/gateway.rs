//! A VXLAN gateway in hardware: stations, flood lists, decapsulation, routes.

use lab::{
    Hardware, Lab, Machine, PATIENCE, Result, ensure, ensure_eq, eventually,
    kernel_view::{self, routes_of},
    machine::{Chip, SpectrumTable},
    ping,
};

use super::{FLOOD, add_station, chip_holds, entries, gateway, wait_until_offloaded};

const STATION: &str = "02:00:00:00:00:02";

#[test]
fn stations_flood_list_and_decapsulation_are_in_hardware_and_leave_it() -> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        machine.shell(&format!(
            "bridge fdb append {FLOOD} dev vx10 dst 10.255.0.2\n\
             bridge fdb append {FLOOD} dev vx10 dst 10.255.0.3\n{}",
            add_station(STATION, "10.255.0.2")
        ))?;
        wait_until_offloaded(&machine, FLOOD, 2)?;
        wait_until_offloaded(&machine, STATION, 2)?;
        let fid = ["vni 10010 flood", "10.255.0.2", "10.255.0.3"];
        ensure!(chip_holds(&machine, &fid)?, "flood: {:?}", machine.spectrum_holds()?);
        ensure!(chip_holds(&machine, &[STATION, "tunnel 10.255.0.2"])?, "no tunnel entry");
        decapsulates(&machine, true)?;

        // Half an entry is none: the chip has one table where Linux has two.
        machine.shell(&format!("bridge fdb del {STATION} dev vx10 master vlan 10"))?;
        eventually(PATIENCE, || {
            ensure!(!chip_holds(&machine, &[STATION])?, "half an entry stays in the chip");
            Ok(())
        })?;
        machine.shell("ip link del vx10")?;
        eventually(PATIENCE, || {
            ensure!(!chip_holds(&machine, &["tunnel"])?, "tunnels without a device");
            ensure!(!chip_holds(&machine, &["vni"])?, "a VNI without a device");
            Ok(())
        })?;
        decapsulates(&machine, false)
    })
}

#[test]
fn entries_beyond_the_chips_room_are_accepted_without_the_flag_and_taken_after_delete_and_add()
-> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        machine.spectrum_room(SpectrumTable::Fdb, Some(2))?;
        let macs = ["02:00:00:00:aa:01", "02:00:00:00:aa:02", "02:00:00:00:aa:03"];
        for mac in &macs[..2] {
            machine.shell(&add_station(mac, "10.255.0.2"))?;
            wait_until_offloaded(&machine, mac, 2)?;
        }
        // Capacity and one: the command succeeds all the same.
        machine.shell(&add_station(macs[2], "10.255.0.2"))?;
        eventually(PATIENCE, || {
            ensure!(chip_holds(&machine, &["# fdb", "rejected 1"])?, "not tried");
            Ok(())
        })?;
        ensure!(not_offloaded(&machine, macs[2])?, "what does not fit has the flag");
        machine.spectrum_room(SpectrumTable::Fdb, None)?;
        machine.shell(&format!(
            "bridge fdb replace {} dev vx10 self static extern_learn dst 10.255.0.2",
            macs[2]
        ))?;
        ensure!(
            not_offloaded(&machine, macs[2])?,
            "replacing is enough: a daemon could be simpler"
        );
        machine.shell(&format!(
            "bridge fdb del {mac} dev vx10 self dst 10.255.0.2\n\
             bridge fdb add {mac} dev vx10 self static extern_learn dst 10.255.0.2",
            mac = macs[2]
        ))?;
        wait_until_offloaded(&machine, macs[2], 2)
    })
}

#[test]
fn a_refused_station_and_a_failed_flood_list_hold_nothing_else_back() -> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        let refused = "02:00:00:00:bb:01";
        machine.spectrum_refuses(refused, true)?;
        machine.spectrum_fails("tnumt", 1)?;
        machine.shell(&format!(
            "bridge fdb append {FLOOD} dev vx10 dst 10.255.0.2\n{}{}",
            add_station(refused, "10.255.0.2"),
            add_station(STATION, "10.255.0.2")
        ))?;
        wait_until_offloaded(&machine, STATION, 2)?;
        ensure!(not_offloaded(&machine, refused)?, "the refused one has the flag");
        ensure!(not_offloaded(&machine, FLOOD)?, "the failed flood list has the flag");
        machine.shell(&format!("bridge fdb append {FLOOD} dev vx10 dst 10.255.0.3"))?;
        eventually(PATIENCE, || {
            let held = chip_holds(&machine, &["vni 10010 flood 10.255.0.3"])?;
            ensure!(held, "{:?}", machine.spectrum_holds()?);
            Ok(())
        })
    })
}

#[test]
fn an_entry_that_the_chip_loses_keeps_its_flag_so_the_flag_is_not_the_whole_truth() -> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        machine.shell(&add_station(STATION, "10.255.0.2"))?;
        wait_until_offloaded(&machine, STATION, 2)?;
        let lines = machine.spectrum_holds()?;
        let fid = lines.iter().find(|line| line.contains(STATION)).and_then(|line| {
            line.split_whitespace().skip_while(|word| *word != "fid").nth(1)?.parse().ok()
        });
        ensure!(fid.is_some(), "the chip does not hold it: {lines:?}");
        machine.spectrum_loses(STATION, fid.unwrap_or_default())?;
        ensure!(!chip_holds(&machine, &[STATION])?, "not lost");
        wait_until_offloaded(&machine, STATION, 2)
    })
}

#[test]
fn after_a_reload_of_the_driver_nothing_is_in_hardware_until_it_is_made_again() -> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        machine.shell(&add_station(STATION, "10.255.0.2"))?;
        wait_until_offloaded(&machine, STATION, 2)?;
        machine.shell("devlink dev reload platform/mlxfake.0")?;
        machine.name_ports()?;
        // Bridge and VXLAN device are Linux's and stay, with their flags; the ports are new.
        ensure!(!chip_holds(&machine, &[STATION])?, "survived the reload");
        let bridged = machine.switch().run("bridge link show")?;
        ensure!(!bridged.contains("port1"), "port1 stayed in the bridge: {bridged}");
        machine.shell("ip link del vx10; ip link del br0; ip address del 10.255.0.1/32 dev lo")?;
        machine.shell(super::GATEWAY)?;
        machine.shell(&add_station(STATION, "10.255.0.2"))?;
        wait_until_offloaded(&machine, STATION, 2)?;
        ensure!(chip_holds(&machine, &[STATION, "tunnel 10.255.0.2"])?, "not in the chip");

        // The driver can go, too, and leaves nothing that would keep it.
        machine.shell("ip link del vx10; ip link del br0; rmmod mlxfake; rmmod mlxsw_spectrum")?;
        ensure!(
            !machine.switch().run("devlink dev")?.contains("mlxfake"),
            "the chip is still there"
        );
        Ok(())
    })
}

#[test]
fn an_ipv6_underlay_is_offloaded_by_the_first_and_by_the_third_generation_of_the_chip() -> Result {
    Lab::run(|lab| {
        let chips = [Chip::Spectrum1, Chip::Spectrum3];
        for chip in chips {
            let ports = vec!["port1".into()];
            let machine = lab.machine(&format!("{chip:?}"), Hardware::Spectrum { chip, ports })?;
            machine.shell(
                "set -e
                ip address add fd00::1/128 dev lo nodad
                ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
                ip link set br0 up
                ip link set port1 master br0
                ip link set port1 up
                bridge vlan add dev port1 vid 10 pvid untagged
                ip link add vx10 type vxlan id 10010 local fd00::1 dstport 4789 nolearning \
                    udp6zerocsumtx udp6zerocsumrx tos inherit ttl 64
                ip link set vx10 master br0
                bridge vlan add dev vx10 vid 10 pvid untagged
                ip link set vx10 up",
            )?;
            machine.shell(&add_station(STATION, "fd00::2"))?;
            wait_until_offloaded(&machine, STATION, 2)?;
            machine.shutdown()?;
        }
        Ok(())
    })
}

#[test]
fn packets_of_hosts_cross_two_gateways_and_a_spine_through_the_chips_ports() -> Result {
    Lab::run(|lab| {
        // One machine is the chip; the other gateway, the spine and the hosts are namespaces in it: the cheapest way.
        let machine = gateway(lab)?;
        let (switch, spine) = (machine.switch(), machine.node("spine")?);
        let hosts = [machine.node("host1")?, machine.node("host2")?];
        let far = machine.node("far")?;
        lab.link(&switch, "port1", &hosts[0], "eth0")?;
        lab.link(&switch, "up0", &spine, "left")?;
        lab.link(&far, "up0", &spine, "right")?;
        lab.link(&far, "port1", &hosts[1], "eth0")?;
        machine.shell(&format!(
            "set -e
            ip address add 10.1.0.1/30 dev up0
            ip route add 10.255.0.2/32 via 10.1.0.2
            bridge fdb append {FLOOD} dev vx10 dst 10.255.0.2
            ip -n spine address add 10.1.0.2/30 dev left
            ip -n spine address add 10.2.0.2/30 dev right
            ip -n spine route add 10.255.0.1/32 via 10.1.0.1
            ip -n spine route add 10.255.0.2/32 via 10.2.0.1
            ip -n far address add 10.255.0.2/32 dev lo
            ip -n far address add 10.2.0.1/30 dev up0
            ip -n far route add 10.255.0.1/32 via 10.2.0.2
            ip -n far link add br0 type bridge
            ip -n far link set br0 up
            ip -n far link set port1 master br0
            ip -n far link add vx10 type vxlan id 10010 local 10.255.0.2 dstport 4789
            ip -n far link set vx10 master br0
            ip -n far link set vx10 up
            bridge -n far fdb append {FLOOD} dev vx10 dst 10.255.0.1
            ip -n host1 address add 192.168.0.1/24 dev eth0
            ip -n host2 address add 192.168.0.2/24 dev eth0"
        ))?;
        ping::reaches(&hosts[0], "192.168.0.2", PATIENCE)?;
        // A resolved next hop brings the underlay's route into hardware.
        eventually(PATIENCE, || {
            let routes = kernel_view::routes(&switch, 4)?;
            let route = routes.iter().find(|route| route.prefix == "10.255.0.2");
            let offloaded = route.is_some_and(|route| route.flags.contains("rt_offload"));
            ensure!(offloaded, "the way to the other VTEP is not in hardware: {route:?}");
            Ok(())
        })
    })
}

/// Whether the chip unpacks what arrives for the VTEP's address: no error says so anywhere, only a flag.
fn decapsulates(machine: &Machine, wanted: bool) -> Result {
    eventually(PATIENCE, || {
        let held = chip_holds(machine, &["10.255.0.1/32", "decap"])?;
        let routes = routes_of(&machine.switch(), 4, "local")?;
        let route = routes.iter().find(|route| route.prefix == "10.255.0.1");
        let flagged = route.is_some_and(|route| route.flags.contains("rt_offload"));
        ensure_eq!((held, flagged), (wanted, wanted), "decapsulation in (chip, kernel): {route:?}");
        Ok(())
    })
}

fn not_offloaded(machine: &Machine, mac: &str) -> Result<bool> {
    let found = entries(machine, mac)?;
    Ok(!found.is_empty() && found.iter().all(|entry| !entry.flags.contains("offload")))
}
