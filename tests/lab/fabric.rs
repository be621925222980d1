//! The standard fabric: a spine, two leaves with one VNI each, and a host behind each leaf.
//!
//! ```text
//!   host1 -- port1 [leaf1] up0 -- d1 [spine] d2 -- up0 [leaf2] port1 -- host2
//!                 br100+vni100                   br100+vni100
//! ```
//! Names, addresses and the hosts' MACs are the same in every fabric, so that what two fabrics put into the kernel
//! can be compared as it is.

use std::collections::BTreeSet;

use crate::{
    Lab, Node, PATIENCE, Result, ensure, eventually,
    kernel_view::{self, FdbEntry, Neighbor},
    peers::Frr,
    switch::Switch,
};

/// How the leaves and the spine are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peering {
    /// Every switch has its own AS.
    External,
    /// One AS; the spine is a route reflector.
    Reflector,
}

/// The nodes of the fabric, wired, addressed and without any daemon yet.
#[derive(Debug)]
pub struct Fabric {
    /// The spine.
    pub spine: Node,
    /// leaf1 and leaf2.
    pub leaves: [Node; 2],
    /// host1 and host2.
    pub hosts: [Node; 2],
    peering: Peering,
}

/// Which daemon makes a leaf a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// Debian's FRR, for comparison.
    Frr,
    /// Ours.
    Switchd,
}

/// A leaf's running daemon.
#[derive(Debug)]
pub enum Leaf {
    /// Debian's FRR.
    Frr(Frr),
    /// Ours.
    Switchd(Switch),
}

/// What control planes wrote into the kernel of one leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// FDB of the VXLAN device.
    pub fdb: BTreeSet<FdbEntry>,
    /// Neighbour entries.
    pub neighbors: BTreeSet<Neighbor>,
}

impl Fabric {
    /// Builds it.
    ///
    /// # Errors
    /// The kernel refused something.
    pub fn build(lab: &Lab, peering: Peering) -> Result<Self> {
        let nodes = [lab.node("spine")?, lab.node("leaf1")?, lab.node("leaf2")?];
        Self::on(lab, peering, nodes, [lab.node("host1")?, lab.node("host2")?])
    }

    /// Builds it on nodes (spine, leaf1, leaf2) and hosts that exist, any of which may be in a machine. A machine with
    /// hardware has front panel ports `port1` and `up0`, which are then used.
    ///
    /// # Errors
    /// The kernel refused something.
    pub fn on(lab: &Lab, peering: Peering, nodes: [Node; 3], hosts: [Node; 2]) -> Result<Self> {
        let [spine, left, right] = nodes;
        let fabric = Self { spine, leaves: [left, right], hosts, peering };
        for index in [1, 2] {
            let leaf = fabric.leaf(index);
            lab.link(&fabric.spine, &format!("d{index}"), leaf, "up0")?;
            fabric.spine.run(&format!("ip address add 10.1.{index}.2/30 dev d{index}"))?;
            prepare_leaf(leaf, index)?;
            attach_host(
                lab,
                leaf,
                "port1",
                fabric.host(index),
                host_mac(index),
                host_address(index),
            )?;
        }
        Ok(fabric)
    }

    /// leaf1 or leaf2.
    pub fn leaf(&self, index: usize) -> &Node {
        &self.leaves[index - 1]
    }

    /// host1 or host2.
    pub fn host(&self, index: usize) -> &Node {
        &self.hosts[index - 1]
    }

    /// Gives the leaves an address in the overlay (an SVI), so that they resolve neighbours there.
    ///
    /// # Errors
    /// The kernel refused it.
    pub fn add_overlay_addresses(&self) -> Result {
        for index in [1, 2] {
            self.leaf(index).run(&format!("ip address add {}/24 dev br100", svi_address(index)))?;
        }
        Ok(())
    }

    /// Starts FRR as the spine.
    ///
    /// # Errors
    /// It did not come up.
    pub fn frr_spine(&self) -> Result<Frr> {
        let mut neighbors = String::new();
        let mut unicast = String::new();
        let mut evpn = String::new();
        for index in [1, 2] {
            let peer = uplink_address(index);
            let asn = self.leaf_as(index);
            neighbors +=
                &format!(" neighbor {peer} remote-as {asn}\n neighbor {peer} timers connect 1\n");
            neighbors += &format!(" neighbor {peer} advertisement-interval 0\n");
            evpn += &format!("  neighbor {peer} activate\n");
            if self.peering == Peering::Reflector {
                unicast += &format!(
                    "  neighbor {peer} route-reflector-client\n  neighbor {peer} next-hop-self force\n"
                );
                evpn += &format!("  neighbor {peer} route-reflector-client\n");
            }
        }
        Frr::start(&self.spine, &frr_config(SPINE_AS, "10.0.0.100", &neighbors, &unicast, &evpn))
    }

    /// Starts switchd as the spine.
    ///
    /// # Errors
    /// It did not come up.
    pub fn switchd_spine(&self) -> Result<Switch> {
        let client = match self.peering {
            Peering::External => "",
            Peering::Reflector => "route-reflector-client = true\n",
        };
        let neighbor = |index| {
            let (peer, asn) = (uplink_address(index), self.leaf_as(index));
            format!(
                "[[bgp.neighbor]]\naddress = \"{peer}\"\nremote-as = {asn}\n{client}\
                 families = [\"ipv4-unicast\", \"l2vpn-evpn\"]\n"
            )
        };
        let config = format!(
            "[bgp]\nasn = {SPINE_AS}\nrouter-id = \"10.0.0.100\"\nconnect-retry = 1\n{}{}",
            neighbor(1),
            neighbor(2)
        );
        Switch::start(&self.spine, &config)
    }

    /// Starts FRR as a leaf.
    ///
    /// # Errors
    /// It did not come up.
    pub fn frr_leaf(&self, index: usize) -> Result<Frr> {
        let peer = spine_address(index);
        let neighbors = format!(
            " neighbor {peer} remote-as {SPINE_AS}\n neighbor {peer} timers connect 1\n \
             neighbor {peer} advertisement-interval 0\n"
        );
        let unicast = format!("  network {}/32\n", vtep_address(index));
        let evpn = format!("  neighbor {peer} activate\n  advertise-all-vni\n");
        let config =
            frr_config(self.leaf_as(index), &vtep_address(index), &neighbors, &unicast, &evpn);
        Frr::start(self.leaf(index), &config)
    }

    /// Starts the leaf's daemon.
    ///
    /// # Errors
    /// It did not come up.
    pub fn start_leaf(&self, index: usize, daemon: Daemon) -> Result<Leaf> {
        Ok(match daemon {
            Daemon::Frr => Leaf::Frr(self.frr_leaf(index)?),
            Daemon::Switchd => Leaf::Switchd(self.switchd_leaf(index)?),
        })
    }

    /// Starts switchd as a leaf.
    ///
    /// # Errors
    /// It did not come up.
    pub fn switchd_leaf(&self, index: usize) -> Result<Switch> {
        Switch::start(self.leaf(index), &self.switchd_config(index))
    }

    /// The `switchd.toml` of a leaf.
    pub fn switchd_config(&self, index: usize) -> String {
        let (asn, address, peer) = (self.leaf_as(index), vtep_address(index), spine_address(index));
        format!(
            r#"[bgp]
asn = {asn}
router-id = "{address}"
profile = "datacenter"
networks = ["{address}/32"]
hold-time = 9

[[bgp.neighbor]]
address = "{peer}"
remote-as = {SPINE_AS}
families = ["ipv4-unicast", "l2vpn-evpn"]

[evpn]
advertise-all-vni = true
"#
        )
    }

    /// What the control plane of a leaf has written.
    ///
    /// # Errors
    /// iproute2 failed.
    pub fn tables(&self, index: usize) -> Result<Tables> {
        let leaf = self.leaf(index);
        Ok(Tables {
            fdb: kernel_view::remote_fdb(leaf, "vni100")?,
            neighbors: kernel_view::remote_neighbors(leaf)?,
        })
    }

    /// Waits until `leaf` forwards to `mac` through the overlay: bridge half and VXLAN half.
    ///
    /// # Errors
    /// It does not.
    pub fn wait_for_mac(&self, leaf: usize, mac: &str) -> Result {
        eventually(PATIENCE, || {
            let halves = self.halves(leaf, mac)?;
            ensure!(halves == 2, "leaf{leaf} has {halves} of the 2 entries of {mac}");
            Ok(())
        })
    }

    /// Waits until `leaf` has no entry of `mac` on its VXLAN device.
    ///
    /// # Errors
    /// It still has one.
    pub fn wait_for_no_mac(&self, leaf: usize, mac: &str) -> Result {
        eventually(PATIENCE, || {
            let halves = self.halves(leaf, mac)?;
            ensure!(halves == 0, "leaf{leaf} still has {halves} entries of {mac}");
            Ok(())
        })
    }

    /// Waits until `leaf` floods to the other leaf.
    ///
    /// # Errors
    /// It does not.
    pub fn wait_for_flood_entry(&self, leaf: usize) -> Result {
        let other = vtep_address(3 - leaf);
        eventually(PATIENCE, || {
            let entries = kernel_view::remote_fdb(self.leaf(leaf), "vni100")?;
            let found = entries
                .iter()
                .any(|entry| entry.mac == FLOOD_MAC && entry.destination.as_ref() == Some(&other));
            ensure!(found, "leaf{leaf} does not flood to {other}: {entries:?}");
            Ok(())
        })
    }

    fn halves(&self, leaf: usize, mac: &str) -> Result<usize> {
        Ok(kernel_view::remote_fdb(self.leaf(leaf), "vni100")?
            .iter()
            .filter(|entry| entry.mac == mac)
            .count())
    }

    fn leaf_as(&self, index: usize) -> u32 {
        match (self.peering, index) {
            (Peering::Reflector, _) => SPINE_AS,
            (Peering::External, 1) => 65001,
            (Peering::External, _) => 65002,
        }
    }
}

/// Puts a host with one address behind a port of a leaf. IPv6 is off, so that it speaks only when a test makes it.
///
/// # Errors
/// The kernel refused something.
pub fn attach_host(
    lab: &Lab,
    leaf: &Node,
    port: &str,
    host: &Node,
    mac: &str,
    address: &str,
) -> Result {
    host.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")?;
    lab.link(leaf, port, host, "eth0")?;
    leaf.run(&format!("ip link set {port} master br100"))?;
    host.run(&format!("ip link set eth0 address {mac}"))?;
    host.run(&format!("ip address add {address}/24 dev eth0"))?;
    Ok(())
}

fn prepare_leaf(leaf: &Node, index: usize) -> Result {
    let vtep = vtep_address(index);
    for command in [
        &format!("ip address add {vtep}/32 dev lo"),
        &format!("ip address add {}/30 dev up0", uplink_address(index)),
        "ip link add br100 type bridge mcast_snooping 0",
        "ip link set br100 addrgenmode none",
        &format!("ip link set br100 address 02:00:00:00:ff:0{index}"),
        "ip link set br100 up",
        // As Spectrum wants it; a leaf without hardware does not mind.
        &format!(
            "ip link add vni100 type vxlan id 100 local {vtep} dstport 4789 nolearning ttl 64 tos inherit noudpcsum"
        ),
        "ip link set vni100 addrgenmode none",
        "ip link set vni100 master br100",
        "bridge link set dev vni100 learning off",
        "ip link set vni100 up",
    ] {
        leaf.run(command)?;
    }
    Ok(())
}

fn frr_config(asn: u32, router_id: &str, neighbors: &str, unicast: &str, evpn: &str) -> String {
    format!(
        "router bgp {asn}\n bgp router-id {router_id}\n timers bgp 3 9\n no bgp ebgp-requires-policy\n{neighbors} \
         address-family ipv4 unicast\n{unicast} exit-address-family\n \
         address-family l2vpn evpn\n{evpn} exit-address-family\n"
    )
}

/// The VTEP address and router id of a leaf.
pub fn vtep_address(index: usize) -> String {
    format!("10.0.0.{index}")
}

/// The leaf's end of its uplink.
pub fn uplink_address(index: usize) -> String {
    format!("10.1.{index}.1")
}

/// The spine's end of a leaf's uplink.
pub fn spine_address(index: usize) -> String {
    format!("10.1.{index}.2")
}

/// The leaf's own address in the overlay, see [`Fabric::add_overlay_addresses`].
pub fn svi_address(index: usize) -> String {
    format!("192.168.100.25{index}")
}

/// The overlay address of a host.
pub const fn host_address(index: usize) -> &'static str {
    ["192.168.100.1", "192.168.100.2"][index - 1]
}

/// The MAC of a host.
pub const fn host_mac(index: usize) -> &'static str {
    ["02:00:00:00:01:01", "02:00:00:00:02:02"][index - 1]
}

/// The MAC of a flood entry.
pub const FLOOD_MAC: &str = "00:00:00:00:00:00";

const SPINE_AS: u32 = 65000;
