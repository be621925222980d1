//! What the driver refuses, in its own words, and what it accepts in silence without doing it.

use lab::{Lab, Machine, PATIENCE, Result, ensure, eventually};

use super::{add_station, chip_holds, entries, gateway, wait_until_offloaded};

#[test]
fn a_vxlan_device_that_the_chip_cannot_do_is_refused_with_a_reason() -> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        machine.shell("ip link del vx10; ip link add dummy0 type dummy")?;
        for (options, reason) in [
            ("ttl 64 noudpcsum", "TOS must be configured to inherit"),
            ("ttl inherit tos inherit noudpcsum", "TTL must not be configured to inherit"),
            ("ttl 64 tos inherit", "Zero UDP checksum must be allowed for TX"),
            ("ttl 64 tos inherit noudpcsum dev dummy0", "Local interface is not supported"),
            (
                "ttl 64 tos inherit noudpcsum srcport 1000 2000",
                "Only default UDP source port range",
            ),
            ("ttl 64 tos inherit noudpcsum proxy", "Unsupported flag"),
        ] {
            let said = refusal(
                &machine,
                &format!(
                    "ip link add vx10 type vxlan id 10010 local 10.255.0.1 dstport 4789 nolearning {options}
                    ip link set vx10 master br0
                    ip link set vx10 up
                    bridge vlan add dev vx10 vid 10 pvid untagged"
                ),
            )?;
            ensure!(said.contains(reason), "{options}: {said:?} instead of {reason:?}");
            machine.shell("ip link del vx10")?;
        }
        Ok(())
    })
}

#[test]
fn all_vnis_must_agree_and_snooping_must_be_off() -> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        let said = refusal(
            &machine,
            "ip link add vx20 type vxlan id 10020 local 10.255.0.9 dstport 4789 nolearning noudpcsum tos inherit ttl 64
            ip link set vx20 master br0
            ip link set vx20 up
            bridge vlan add dev vx20 vid 20 pvid untagged",
        )?;
        ensure!(said.contains("Conflicting NVE tunnels configuration"), "{said}");
        let said = refusal(
            &machine,
            "ip link del vx20
            ip link set vx10 nomaster
            ip link set br0 type bridge mcast_snooping 1
            ip link set vx10 master br0",
        )?;
        ensure!(
            said.contains("Multicast can not be enabled on a bridge with a VxLAN device"),
            "{said}"
        );
        Ok(())
    })
}

#[test]
fn stations_behind_a_group_of_vteps_are_refused_and_others_stay() -> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        machine.shell(&add_station("02:00:00:00:00:02", "10.255.0.2"))?;
        wait_until_offloaded(&machine, "02:00:00:00:00:02", 2)?;
        let said = refusal(&machine, "ip nexthop add id 100 via 10.255.0.2 fdb")?;
        ensure!(said.contains("FDB nexthops are not supported"), "{said}");
        wait_until_offloaded(&machine, "02:00:00:00:00:02", 2)
    })
}

#[test]
fn a_single_vxlan_device_is_accepted_in_silence_and_offloads_nothing() -> Result {
    Lab::run(|lab| {
        let machine = gateway(lab)?;
        machine.shell(
            "set -e
            ip link del vx10
            ip link add vx10 type vxlan external vnifilter local 10.255.0.1 dstport 4789 nolearning \
                noudpcsum tos inherit ttl 64
            ip link set vx10 master br0
            ip link set vx10 up
            bridge link set dev vx10 vlan_tunnel on learning off
            bridge vni add vni 10010 dev vx10
            bridge vlan add dev vx10 vid 10
            bridge vlan add dev vx10 vid 10 tunnel_info id 10010
            bridge fdb add 02:00:00:00:00:02 dev vx10 master static extern_learn vlan 10",
        )?;
        let said = refusal(
            &machine,
            "bridge fdb add 02:00:00:00:00:02 dev vx10 self static extern_learn dst 10.255.0.2 src_vni 10010",
        )?;
        ensure!(said.is_empty() || said.contains("Non-default VNI"), "{said}");
        // A port's entry made after it is in the chip: so these would have been, too.
        machine.shell("bridge fdb add 02:00:00:00:00:03 dev port1 master static vlan 10")?;
        eventually(PATIENCE, || {
            ensure!(chip_holds(&machine, &["02:00:00:00:00:03"])?, "not even a port's entry");
            Ok(())
        })?;
        let found = entries(&machine, "02:00:00:00:00:02")?;
        ensure!(
            !found.is_empty() && found.iter().all(|entry| !entry.flags.contains("offload")),
            "{found:?}"
        );
        ensure!(!chip_holds(&machine, &["tunnel"])?, "the chip has a tunnel after all");
        Ok(())
    })
}

/// Runs commands until one is refused and returns what it said; nothing if none was.
fn refusal(machine: &Machine, commands: &str) -> Result<String> {
    let output = machine.switch().output(&["sh", "-ec", commands])?;
    Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
