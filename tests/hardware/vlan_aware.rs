//! Bridges with VLANs, which the host's kernel has not: switchd with one VXLAN device for each VNI and with one device for
//! all, against FRR with one for each.

use std::collections::BTreeMap;

use lab::{
    Hardware, Lab, Node, PATIENCE, Result, ensure, eventually, kernel_view,
    peers::Frr,
    ping,
    switch::{Switch, ask},
};

/// VLANs 10 and 20 are VNIs 10010 and 10020.
const VLANS: [u16; 2] = [10, 20];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Devices {
    OneForEachVni,
    OneForAll,
}

#[test]
fn one_vxlan_device_for_each_vlan_carries_tenants_to_frr_and_back() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab, Devices::OneForEachVni)?;
        pair.hosts_of_a_vlan_reach_each_other_and_no_one_else()?;

        // A VXLAN device that loses its VLAN while running serves nobody, says so, and does again when it has one.
        pair.ours.run("bridge vlan delete dev vxlan20 vid 20")?;
        eventually(PATIENCE, || {
            let known = kernel_view::remote_fdb(&pair.theirs, "vxlan20")?;
            let left = known.iter().any(|entry| entry.mac == mac(1, 20));
            ensure!(!left, "FRR still has {} behind us: {known:?}", mac(1, 20));
            Ok(())
        })?;
        let conditions = ask(&pair.ours, "show conditions")?.to_string();
        ensure!(conditions.contains("vxlan20 carries no VLAN"), "it says: {conditions}");
        pair.ours.run("bridge vlan add dev vxlan20 vid 20 pvid untagged")?;
        ping::reaches(pair.host(1, 20), &address(2, 20), PATIENCE)
    })
}

#[test]
fn one_vxlan_device_for_all_vlans_carries_tenants_to_frr_and_back() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab, Devices::OneForAll)?;
        pair.hosts_of_a_vlan_reach_each_other_and_no_one_else()?;

        // VNIs come and go while running, in any order.
        pair.ours.run("bridge vlan delete dev vxlan0 vid 20 tunnel_info id 10020")?;
        pair.wait_for_vnis(&["10010"])?;
        eventually(PATIENCE, || {
            let left = pair.ours.run("bridge fdb show dev vxlan0")?;
            let left: Vec<_> = left.lines().filter(|line| line.contains("src_vni 10020")).collect();
            ensure!(left.is_empty(), "entries of a VNI that is gone: {left:?}");
            Ok(())
        })?;
        pair.ours.run("bridge vlan add dev vxlan0 vid 20 tunnel_info id 10020")?;
        pair.wait_for_vnis(&["10010", "10020"])?;
        ping::reaches(pair.host(1, 20), &address(2, 20), PATIENCE)
    })
}

/// Two VTEPs in one machine with a link between them, ours and FRR's, and a host of each VLAN behind each.
struct Pair {
    ours: Node,
    theirs: Node,
    hosts: BTreeMap<(u8, u16), Node>,
    _switchd: Switch,
    _frr: Frr,
}

impl Pair {
    fn build(lab: &Lab, devices: Devices) -> Result<Self> {
        let machine = lab.machine("machine", Hardware::None)?;
        let (ours, theirs) = (machine.node("ours")?, machine.node("theirs")?);
        lab.link(&ours, "up0", &theirs, "up0")?;
        set_up(&ours, 1, devices)?;
        set_up(&theirs, 2, Devices::OneForEachVni)?;
        let mut hosts = BTreeMap::new();
        for (vtep, number) in [(&ours, 1), (&theirs, 2)] {
            for vlan in VLANS {
                let host = machine.node(&format!("host{number}vlan{vlan}"))?;
                lab.link(vtep, &format!("port{vlan}"), &host, "eth0")?;
                vtep.run(&format!("ip link set port{vlan} master br0"))?;
                vtep.run(&format!("bridge vlan add dev port{vlan} vid {vlan} pvid untagged"))?;
                host.run(&format!("ip link set eth0 address {}", mac(number, vlan)))?;
                host.run(&format!("ip address add {}/24 dev eth0", address(number, vlan)))?;
                hosts.insert((number, vlan), host);
            }
        }
        let frr = Frr::start(
            &theirs,
            "router bgp 65002\n bgp router-id 10.0.0.2\n timers bgp 3 9\n no bgp ebgp-requires-policy\n \
             no bgp default ipv4-unicast\n neighbor 10.0.0.1 remote-as 65001\n neighbor 10.0.0.1 timers connect 1\n \
             neighbor 10.0.0.1 advertisement-interval 0\n address-family l2vpn evpn\n  neighbor 10.0.0.1 activate\n  \
             advertise-all-vni\n exit-address-family\n",
        )?;
        let switchd = Switch::start(
            &ours,
            "[bgp]\nasn = 65001\nrouter-id = \"10.0.0.1\"\nprofile = \"datacenter\"\nhold-time = 9\n\n\
             [[bgp.neighbor]]\naddress = \"10.0.0.2\"\nremote-as = 65002\nfamilies = [\"l2vpn-evpn\"]\n\n\
             [evpn]\nadvertise-all-vni = true\n",
        )?;
        Ok(Self { ours, theirs, hosts, _switchd: switchd, _frr: frr })
    }

    fn host(&self, number: u8, vlan: u16) -> &Node {
        &self.hosts[&(number, vlan)]
    }

    fn hosts_of_a_vlan_reach_each_other_and_no_one_else(&self) -> Result {
        for vlan in VLANS {
            ping::reaches(self.host(1, vlan), &address(2, vlan), PATIENCE)?;
            ping::reaches(self.host(2, vlan), &address(1, vlan), PATIENCE)?;
        }
        // The same subnet is in both VLANs, so that only the VLAN keeps them apart.
        ping::never_reaches(self.host(1, 10), &address(2, 20))?;
        ping::never_reaches(self.host(2, 20), &address(1, 10))?;
        self.wait_for_vnis(&["10010", "10020"])?;
        eventually(PATIENCE, || {
            for vlan in VLANS {
                let known = kernel_view::remote_fdb(&self.theirs, &format!("vxlan{vlan}"))?;
                let at_theirs = known.iter().filter(|entry| entry.mac == mac(1, vlan)).count();
                ensure!(at_theirs == 2, "FRR has not both halves of {}: {known:?}", mac(1, vlan));
            }
            Ok(())
        })
    }

    fn wait_for_vnis(&self, expected: &[&str]) -> Result {
        eventually(PATIENCE, || {
            let vnis = ask(&self.ours, "show evpn vni")?;
            let known: Vec<_> = vnis.as_object().into_iter().flat_map(|all| all.keys()).collect();
            ensure!(known == expected, "we have {known:?}");
            Ok(())
        })
    }
}

fn set_up(vtep: &Node, number: u8, devices: Devices) -> Result {
    let local = format!("10.0.0.{number}");
    let mut script = format!(
        "set -e
        ip address add {local}/24 dev up0
        ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
        ip link set br0 addrgenmode none
        ip link set br0 up\n"
    );
    match devices {
        Devices::OneForEachVni => VLANS.iter().for_each(|vlan| {
            script += &format!(
                "ip link add vxlan{vlan} type vxlan id 100{vlan} local {local} dstport 4789 nolearning
                ip link set vxlan{vlan} master br0 addrgenmode none
                bridge link set dev vxlan{vlan} learning off
                bridge vlan add dev vxlan{vlan} vid {vlan} pvid untagged
                ip link set vxlan{vlan} up\n"
            );
        }),
        Devices::OneForAll => {
            script += &format!(
                "ip link add vxlan0 type vxlan external vnifilter local {local} dstport 4789 nolearning
                ip link set vxlan0 master br0 addrgenmode none
                bridge link set dev vxlan0 learning off vlan_tunnel on
                ip link set vxlan0 up\n"
            );
            VLANS.iter().for_each(|vlan| {
                script += &format!(
                    "bridge vni add vni 100{vlan} dev vxlan0
                    bridge vlan add dev vxlan0 vid {vlan}
                    bridge vlan add dev vxlan0 vid {vlan} tunnel_info id 100{vlan}\n"
                );
            });
        }
    }
    vtep.run_words(&["sh", "-c", &script]).map(drop)
}

fn address(number: u8, vlan: u16) -> String {
    format!("192.168.0.{number}{vlan}")
}

fn mac(number: u8, vlan: u16) -> String {
    format!("02:00:00:00:0{number}:{vlan}")
}
