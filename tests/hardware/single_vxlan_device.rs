//! One VXLAN device for all VNIs (`external vnifilter`), as Linux forwards it; no chip takes it, see `spectrum::refusals`.

use lab::{Hardware, Lab, PATIENCE, Result, ping};

#[test]
fn a_single_vxlan_device_carries_two_vnis_between_vlan_aware_bridges() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("machine", Hardware::None)?;
        let vteps = [machine.node("vtep1")?, machine.node("vtep2")?];
        lab.link(&vteps[0], "up0", &vteps[1], "up0")?;
        for (vtep, number) in vteps.iter().zip(1..) {
            let other = 3 - number;
            let script = format!(
                "set -e
                ip address add 10.0.0.{number}/24 dev up0
                ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
                ip link set br0 up
                ip link add vxlan0 type vxlan external vnifilter local 10.0.0.{number} dstport 4789 nolearning
                ip link set vxlan0 master br0
                ip link set vxlan0 up
                bridge link set dev vxlan0 vlan_tunnel on
                for vlan in 10 20; do
                    bridge vni add vni 100$vlan dev vxlan0
                    bridge vlan add dev vxlan0 vid $vlan
                    bridge vlan add dev vxlan0 vid $vlan tunnel_info id 100$vlan
                    bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 10.0.0.{other} src_vni 100$vlan
                done"
            );
            vtep.run_words(&["sh", "-c", &script])?;
            for vlan in [10, 20] {
                let host = machine.node(&format!("host{number}vlan{vlan}"))?;
                lab.link(vtep, &format!("port{vlan}"), &host, "eth0")?;
                vtep.run(&format!("ip link set port{vlan} master br0"))?;
                vtep.run(&format!("bridge vlan add dev port{vlan} vid {vlan} pvid untagged"))?;
                host.run(&format!("ip address add 192.168.0.{number}{vlan}/24 dev eth0"))?;
                if number == 2 {
                    ping::reaches(&host, &format!("192.168.0.1{vlan}"), PATIENCE)?;
                    let stranger = if vlan == 10 { 20 } else { 10 };
                    ping::never_reaches(&host, &format!("192.168.0.1{stranger}"))?;
                }
            }
        }
        Ok(())
    })
}
