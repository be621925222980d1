//! The kernel's nexthop objects: one for each gateway on a link, and groups of them.
//!
//! A group has the ways that its users need, each with its share. When all its users need other ones, it is replaced in
//! place, and no route that goes by it is touched. Groups have the higher half of our numbers: what is made in the order of
//! numbers has its members first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use platform::kernel::{Ifindex, Key, NEXTHOP_IDS, Nexthop, NexthopKind, NexthopMember, Object};

use super::NexthopStyle;
use super::numbers::Numbers;

const FIRST_GROUP: u32 = *NEXTHOP_IDS.start() + (*NEXTHOP_IDS.end() - *NEXTHOP_IDS.start()) / 2 + 1;
const GATEWAYS: RangeInclusive<u32> = *NEXTHOP_IDS.start()..=FIRST_GROUP - 1;
const GROUPS: RangeInclusive<u32> = FIRST_GROUP..=*NEXTHOP_IDS.end();

/// Where packets leave: a gateway on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Egress {
    pub(super) gateway: IpAddr,
    pub(super) ifindex: Ifindex,
}

/// One of several ways, and its share.
pub(super) type Way = (Egress, u16);

#[derive(Debug)]
struct Gateway {
    id: u32,
    users: usize,
}

#[derive(Debug)]
struct Group {
    /// Those that have a number.
    ways: Vec<Way>,
    users: usize,
}

/// The nexthop objects that are wanted in the kernel.
#[derive(Debug)]
pub(super) struct Nexthops {
    style: NexthopStyle,
    gateways: HashMap<Egress, Gateway>,
    groups: HashMap<u32, Group>,
    by_ways: HashMap<Vec<Way>, u32>,
    gateway_numbers: Numbers<Egress>,
    group_numbers: Numbers<Vec<(u32, u32)>>,
    changes: Vec<(Key, Option<Object>)>,
}

impl Default for Nexthops {
    fn default() -> Self {
        Self {
            style: NexthopStyle::default(),
            gateways: HashMap::new(),
            groups: HashMap::new(),
            by_ways: HashMap::new(),
            gateway_numbers: Numbers::new(GATEWAYS),
            group_numbers: Numbers::new(GROUPS),
            changes: Vec::new(),
        }
    }
}

impl Nexthops {
    /// The kernel holds this nexthop of ours, perhaps of a former run: what needs the same gets the same number.
    pub(super) fn note(&mut self, id: u32, kind: &NexthopKind) {
        let gateway = match kind {
            NexthopKind::Gateway { address, ifindex, .. } => {
                Some(Egress { gateway: *address, ifindex: *ifindex })
            }
            _ => None,
        };
        let members = match kind {
            NexthopKind::Group(members) => Some(content(members)),
            _ => None,
        };
        self.gateway_numbers.note(id, gateway);
        self.group_numbers.note(id, members);
    }

    /// The kernel holds nothing under this number any more.
    pub(super) fn forget(&mut self, id: u32) {
        self.gateway_numbers.forget(id);
        self.group_numbers.forget(id);
    }

    /// What should change in the kernel since the last call.
    pub(super) fn poll_changes(&mut self) -> impl Iterator<Item = (Key, Option<Object>)> {
        self.changes.drain(..)
    }

    pub(super) fn style(&self) -> NexthopStyle {
        self.style
    }

    /// To be called while nobody uses any. Without objects, users are counted all the same.
    pub(super) fn set_style(&mut self, style: NexthopStyle) {
        self.style = style;
    }

    pub(super) fn is_used(&self, egress: &Egress) -> bool {
        self.gateways.contains_key(egress)
    }

    /// One user more of a gateway. `None`: there are no numbers left.
    pub(super) fn use_gateway(&mut self, egress: Egress) -> Option<u32> {
        if let Some(gateway) = self.gateways.get_mut(&egress) {
            gateway.users += 1;
            return Some(gateway.id);
        }
        let id = self.gateway_numbers.take(&egress)?;
        self.gateways.insert(egress, Gateway { id, users: 1 });
        let Egress { gateway: address, ifindex } = egress;
        self.desire(Nexthop::new(id, NexthopKind::Gateway { address, ifindex, onlink: false }));
        Some(id)
    }

    /// One user less. Returns whether it was the last one.
    pub(super) fn release_gateway(&mut self, egress: Egress) -> bool {
        let Some(gateway) = self.gateways.get_mut(&egress) else { return false };
        gateway.users -= 1;
        let id = gateway.id;
        let is_unused = gateway.users == 0;
        if is_unused {
            self.gateways.remove(&egress);
            self.gateway_numbers.give_back(id);
            self.changes.push((Key::Nexthop(id), None));
        }
        is_unused
    }

    /// One user more of the group with these ways. `None`: there are no numbers left.
    pub(super) fn use_group(&mut self, ways: &[Way]) -> Option<u32> {
        if let Some(id) = self.by_ways.get(ways)
            && let Some(group) = self.groups.get_mut(id)
        {
            group.users += 1;
            return Some(*id);
        }
        let (ways, members) = self.use_members(ways);
        let Some(id) = self.group_numbers.take(&content(&members)) else {
            self.release_members(&ways);
            return None;
        };
        self.by_ways.insert(ways.clone(), id);
        self.groups.insert(id, Group { ways, users: 1 });
        self.desire(Nexthop::new(id, NexthopKind::Group(members)));
        Some(id)
    }

    pub(super) fn release_group(&mut self, id: u32) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.users -= 1;
        if group.users == 0
            && let Some(group) = self.groups.remove(&id)
        {
            self.forget_ways(&group.ways, id);
            self.group_numbers.give_back(id);
            self.changes.push((Key::Nexthop(id), None));
            self.release_members(&group.ways);
        }
    }

    pub(super) fn users_of_group(&self, id: u32) -> usize {
        self.groups.get(&id).map_or(0, |group| group.users)
    }

    /// All users of a group need these ways now.
    pub(super) fn replace_group(&mut self, id: u32, ways: &[Way]) {
        // First the new members: what is in both stays as it is.
        let (ways, members) = self.use_members(ways);
        let Some(group) = self.groups.get_mut(&id) else { return self.release_members(&ways) };
        let before = std::mem::replace(&mut group.ways, ways.clone());
        self.forget_ways(&before, id);
        self.by_ways.entry(ways).or_insert(id);
        self.desire(Nexthop::new(id, NexthopKind::Group(members)));
        self.release_members(&before);
    }

    /// Members in the order of their numbers; a way for which there is no number is left out.
    fn use_members(&mut self, ways: &[Way]) -> (Vec<Way>, Vec<NexthopMember>) {
        let member = |way: &Way| {
            let id = self.use_gateway(way.0)?;
            Some((*way, NexthopMember { id, weight: way.1.into() }))
        };
        let (ways, mut members): (Vec<_>, Vec<_>) = ways.iter().filter_map(member).unzip();
        members.sort_unstable_by_key(|member| member.id);
        (ways, members)
    }

    fn release_members(&mut self, ways: &[Way]) {
        for (egress, _) in ways {
            self.release_gateway(*egress);
        }
    }

    fn forget_ways(&mut self, ways: &[Way], id: u32) {
        if self.by_ways.get(ways) == Some(&id) {
            self.by_ways.remove(ways);
        }
    }

    fn desire(&mut self, nexthop: Nexthop) {
        if self.style == NexthopStyle::Object {
            self.changes.push((nexthop.key(), Some(Object::Nexthop(nexthop))));
        }
    }
}

/// What makes two groups the same.
fn content(members: &[NexthopMember]) -> Vec<(u32, u32)> {
    members.iter().map(|member| (member.id, member.weight)).collect()
}
