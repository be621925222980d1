//! A fabric of three tiers in which no link has an address: in each tier one switch of ours and one of FRR, and each of them
//! linked with both of the next tier. Switches of one tier above the leaves share an AS, so that nothing goes down and up
//! again.

use lab::{
    Lab, Node, PATIENCE, Result, ensure, ensure_eq, eventually,
    kernel_view::{self, Monitor},
    peers::Frr,
    ping,
    switch::Switch,
};

use super::{frr, node, switchd, vni, wait_for_route};

/// Names; their numbers are one more than their places, and are in their loopback's address.
const OURS: [&str; 3] = ["leaf1", "spine1", "top1"];
const FRRS: [&str; 3] = ["leaf2", "spine2", "top2"];
const LEAF1: &str = "10.0.0.1";
const LEAF2: &str = "10.0.0.2";

struct Clos {
    nodes: Vec<(&'static str, Node)>,
    ours: Vec<Switch>,
    frrs: Vec<Frr>,
}

impl Clos {
    fn start(lab: &Lab) -> Result<Self> {
        let names = [OURS[0], FRRS[0], OURS[1], FRRS[1], OURS[2], FRRS[2]];
        let mut clos = Self { nodes: Vec::new(), ours: Vec::new(), frrs: Vec::new() };
        for (name, number) in names.into_iter().zip(1..) {
            clos.nodes.push((name, node(lab, name, number)?));
        }
        for (lower, upper) in [("leaf", "spine"), ("spine", "top")] {
            for (low, up) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                let (low, up) = (format!("{lower}{low}"), format!("{upper}{up}"));
                lab.link(clos.node(&low), &up, clos.node(&up), &low)?;
            }
        }
        for (leaf, number) in [("leaf1", 1), ("leaf2", 2)] {
            vni(clos.node(leaf), number)?;
        }
        for (name, number) in names.into_iter().zip(1u8..) {
            let interfaces: &[&str] = match &name[..3] {
                "lea" => &["spine1", "spine2"],
                "spi" => &["leaf1", "leaf2", "top1", "top2"],
                _ => &["spine1", "spine2"],
            };
            // Leaves are in 65001 and 65002, spines in 65010, the top is in 65020.
            let asn = match number {
                1 | 2 => 65000 + u32::from(number),
                3 | 4 => 65010,
                _ => 65020,
            };
            let own = format!("{}", 65000 + u32::from(number));
            let asn = asn.to_string();
            let at = clos.node(name).clone();
            if OURS.contains(&name) {
                let config = switchd(number, interfaces).replacen(&own, &asn, 1);
                clos.ours.push(Switch::start(&at, &config)?);
            } else {
                let config = frr(number, interfaces).replacen(&own, &asn, 1);
                clos.frrs.push(Frr::start(&at, &config)?);
            }
        }
        Ok(clos)
    }

    fn node(&self, name: &str) -> &Node {
        let place = self.nodes.iter().position(|(other, _)| *other == name).unwrap_or_default();
        &self.nodes[place].1
    }

    /// Waits until a switch goes to a loopback by these ways, in both families.
    fn wait_for_ways(&self, from: &str, number: u8, ways: &[&str]) -> Result {
        wait_for_route(self.node(from), 4, &format!("10.0.0.{number}"), ways)?;
        wait_for_route(self.node(from), 6, &format!("fd00::{number}"), ways)
    }

    /// From leaf to leaf, from the leaves to the top, and from the top to the leaves.
    fn wait_for_both_ways(&self) -> Result {
        for (from, others) in
            [("leaf1", [2, 5, 6]), ("leaf2", [1, 5, 6]), ("top1", [1, 2, 2]), ("top2", [1, 2, 2])]
        {
            for other in others {
                self.wait_for_ways(from, other, &["spine1", "spine2"])?;
            }
        }
        Ok(())
    }

    fn leaves_reach_each_other(&self) -> Result {
        ping::reaches_as(self.node("leaf1"), LEAF1, LEAF2, PATIENCE)?;
        ping::reaches_as(self.node("leaf2"), "fd00::2", "fd00::1", PATIENCE)
    }
}

#[test]
fn load_is_shared_in_every_tier_and_links_and_switches_may_fail() -> Result {
    Lab::run(|lab| {
        let mut clos = Clos::start(lab)?;
        clos.wait_for_both_ways()?;
        clos.leaves_reach_each_other()?;
        // Through spines of both kinds the VTEP stays the next hop.
        for (leaf, other) in [("leaf1", LEAF2), ("leaf2", LEAF1)] {
            eventually(PATIENCE, || {
                let flood = kernel_view::remote_fdb(clos.node(leaf), "vxlan10")?;
                let to = flood.iter().filter_map(|entry| entry.destination.as_deref());
                ensure!(to.eq([other]), "{leaf} floods to {flood:?}");
                Ok(())
            })?;
        }

        // A link of a leaf: nobody sends what goes there to that spine.
        clos.node("spine1").run("ip link set leaf1 down")?;
        clos.wait_for_ways("leaf1", 2, &["spine2"])?;
        for other in ["leaf2", "top1", "top2"] {
            clos.wait_for_ways(other, 1, &["spine2"])?;
        }
        clos.leaves_reach_each_other()?;
        clos.node("spine1").run("ip link set leaf1 up")?;
        clos.wait_for_both_ways()?;

        // A spine of FRR.
        clos.frrs[1].stop()?;
        clos.wait_for_ways("leaf1", 2, &["spine1"])?;
        clos.wait_for_ways("top1", 2, &["spine1"])?;
        clos.leaves_reach_each_other()?;
        clos.frrs[1].start_again()?;
        clos.wait_for_both_ways()?;

        // A spine of ours, with all that it has: its kernel goes on forwarding, and nobody takes another way.
        let changes = [Monitor::routes(clos.node("leaf1"))?, Monitor::routes(clos.node("top2"))?];
        clos.ours[1].kill9_everything()?;
        clos.leaves_reach_each_other()?;
        clos.ours[1].restart()?;
        for other in ["leaf1", "leaf2", "top1", "top2"] {
            super::wait_established(&clos.ours[1], other)?;
        }
        for changes in changes {
            ensure_eq!(changes.changes("proto bgp")?, Vec::<String>::new(), "routes that changed");
        }
        clos.wait_for_both_ways()?;
        clos.leaves_reach_each_other()
    })
}
