//! Which links lead to the ASIC. What is on them should be in hardware; what is on others cannot be.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use platform::kernel::{Ifindex, Link, LinkKind, Model};

/// The links that stand on ports of the ASIC: the ports, their bonds and bridges, the VLANs and MACs on top of those,
/// and the VXLAN devices in such bridges.
#[derive(Debug, Default)]
pub(super) struct Backing(HashSet<Ifindex, RandomState>);

impl Backing {
    /// Found from all links. Costs in proportion to their number: done once after links changed shape, not for each change.
    pub(super) fn of(model: &Model) -> Self {
        let mut uppers: HashMap<Ifindex, Vec<&Link>> = HashMap::new();
        let mut members: HashMap<Ifindex, Vec<&Link>> = HashMap::new();
        for link in model.links() {
            if let (Some(lower), None) = (link.lower, link.lower_namespace) {
                uppers.entry(lower).or_default().push(link);
            }
            if let Some(master) = link.master {
                members.entry(master).or_default().push(link);
            }
        }
        let mut backed = HashSet::default();
        let mut reached: Vec<&Link> = model.links().filter(|link| link.is_switch_port()).collect();
        while let Some(link) = reached.pop() {
            if !backed.insert(link.index) {
                continue;
            }
            reached.extend(uppers.get(&link.index).into_iter().flatten());
            reached.extend(link.master.and_then(|master| model.link(master)).filter(spreads_up));
            if link.bridge().is_some() {
                let tunnels = members.get(&link.index).into_iter().flatten();
                reached.extend(tunnels.filter(|member| member.vxlan().is_some()));
            }
        }
        Self(backed)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = Ifindex> {
        self.0.iter().copied()
    }

    pub(super) fn has(&self, ifindex: Ifindex) -> bool {
        self.0.contains(&ifindex)
    }
}

/// A VRF is no place where packets are forwarded by itself: its other members are not the ASIC's because one is.
fn spreads_up(master: &&Link) -> bool {
    matches!(master.kind, LinkKind::Bridge(_) | LinkKind::Bond(_))
}
