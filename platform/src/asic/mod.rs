//! What a switch chip can do, and what its driver will refuse or leave in software, known beforehand.
//!
//! The rows are those of the drivers of Linux 6.1 and 6.12, each with the driver's own words, so that a prediction and the
//! kernel's answer are the same text. All of it is pure but [`detect`], which looks into sysfs. It knows what drivers
//! demand, not how large their tables are: what is refused for lack of room is known only afterwards.
//!
//! - [`Prediction`]: everything at once, then any object in no time. For whoever shows many objects.
//! - [`violations`], [`violation_of`]: the same, for one question.
//! - [`Order`]: what is wrong only because of the order of commands; told by following notifications.

mod bridge;
mod capability;
mod constraint;
mod detect;
mod document;
mod order;
mod profile;
mod router;
#[cfg(test)]
mod tests;
mod topology;
mod vxlan;

use std::collections::HashMap;

pub use bridge::port_left;
pub use constraint::{Chips, Constraint, Effect, Remedy, Scope, Violation};
pub use detect::{detect, kernel_version};
pub use document::document;
pub use order::Order;
pub use profile::{Capabilities, Driver, KernelVersion, NotAVersion, Ports, Profile};

use crate::kernel::{Key, Model, Object, Via};
use topology::Topology;

/// Every constraint that is known, by table.
pub fn constraints() -> impl Iterator<Item = &'static Constraint> {
    let all = vxlan::ALL.iter().chain(&bridge::ALL).chain(&router::ALL).chain(&capability::ALL);
    let mut all: Vec<&'static Constraint> = all.copied().collect();
    // V15 is about nexthops and stands with them.
    let order = |it: &&Constraint| {
        let (table, number) = it.id.split_at(1);
        ("VBRC".find(table), number.parse::<u32>().ok())
    };
    all.sort_by_key(order);
    all.into_iter()
}

/// All that the kernel's objects break of what the driver demands, by object. Empty without a switch.
pub fn violations(model: &Model, profile: &Profile) -> Vec<Violation> {
    let checks = Checks::new(model, profile);
    let mut found = Vec::new();
    if !checks.topology.has_ports() {
        return found;
    }
    let mut links: Vec<_> = model.links().collect();
    links.sort_unstable_by_key(|link| link.index);
    links.into_iter().for_each(|link| checks.link(link, &mut found));
    model.addresses().for_each(|address| checks.address(address, &mut found));
    model.rules().for_each(|rule| router::check_rule(&checks.topology, rule, &mut found));
    model.nexthops().for_each(|it| router::check_nexthop(&checks.topology, it, &mut found));
    model.fdb().for_each(|entry| vxlan::check_fdb(&checks.topology, entry, &mut found));
    model.routes().for_each(|route| checks.route(route, &mut found));
    found.sort_by_key(|violation| violation.key);
    found
}

/// Why an object is not in hardware: what it breaks itself, or what that does on which it depends. Costs in proportion to
/// the number of links; for many objects, see [`Prediction`].
pub fn violation_of(model: &Model, profile: &Profile, object: &Object) -> Option<Violation> {
    let checks = Checks::new(model, profile);
    if !checks.topology.has_ports() {
        return None;
    }
    let mut todo = vec![object.key()];
    let mut seen = Vec::new();
    let mut current = Some(object.clone());
    while let Some(key) = todo.pop() {
        seen.push(key);
        let Some(object) = current.take().or_else(|| model.get(&key)) else { continue };
        let mut found = Vec::new();
        match &object {
            Object::Link(link) => checks.link(link, &mut found),
            Object::Address(address) => checks.address(address, &mut found),
            Object::Rule(rule) => router::check_rule(&checks.topology, rule, &mut found),
            Object::Nexthop(it) => router::check_nexthop(&checks.topology, it, &mut found),
            Object::Fdb(entry) => vxlan::check_fdb(&checks.topology, entry, &mut found),
            Object::Route(route) => checks.route(route, &mut found),
            Object::Neighbor(_) | Object::BridgeVlan(_) | Object::Filter(_) => {}
        }
        if let Some(violation) = found.into_iter().next() {
            return Some(violation);
        }
        todo.extend(depends_on(model, &object).into_iter().filter(|key| !seen.contains(key)));
    }
    None
}

/// What an object cannot be in hardware without.
fn depends_on(model: &Model, object: &Object) -> Vec<Key> {
    match object {
        Object::Fdb(entry) => {
            entry.nexthop.map(Key::Nexthop).into_iter().chain([Key::Link(entry.ifindex)]).collect()
        }
        Object::Neighbor(neighbor) => vec![Key::Link(neighbor.ifindex)],
        Object::BridgeVlan(vlan) => vec![Key::Link(vlan.ifindex)],
        Object::Address(address) => vec![Key::Link(address.ifindex)],
        Object::Route(route) => match &route.via {
            Via::Nexthop(id) => vec![Key::Nexthop(*id)],
            Via::Hops(_) => Vec::new(),
        },
        Object::Nexthop(nexthop) => {
            nexthop.kind.members().iter().map(|member| Key::Nexthop(member.id)).collect()
        }
        // A VXLAN device is not in hardware without its bridge.
        Object::Link(link) => link
            .master
            .filter(|_| link.vxlan().is_some())
            .filter(|master| model.link(*master).is_some_and(|it| it.bridge().is_some()))
            .map(Key::Link)
            .into_iter()
            .collect(),
        Object::Rule(_) | Object::Filter(_) => Vec::new(),
    }
}

/// All violations, found once and then looked up. Make a new one when links, VLANs, rules or nexthops have changed.
#[derive(Debug, Clone, Default)]
pub struct Prediction {
    violations: Vec<Violation>,
    first: HashMap<Key, usize>,
}

impl Prediction {
    /// Looks at everything: costs in proportion to all objects.
    pub fn new(model: &Model, profile: &Profile) -> Self {
        let violations = violations(model, profile);
        let mut first = HashMap::new();
        for (index, violation) in violations.iter().enumerate() {
            first.entry(violation.key).or_insert(index);
        }
        Self { violations, first }
    }

    /// All of them, by object.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// As [`violation_of`], in constant time.
    pub fn of(&self, model: &Model, object: &Object) -> Option<&Violation> {
        if self.violations.is_empty() {
            return None;
        }
        let mut todo = vec![object.key()];
        let mut next = depends_on(model, object);
        let mut seen: Vec<Key> = Vec::new();
        loop {
            for key in &todo {
                if let Some(index) = self.first.get(key) {
                    return self.violations.get(*index);
                }
            }
            seen.append(&mut todo);
            if next.is_empty() {
                return None;
            }
            todo = next.drain(..).filter(|key| !seen.contains(key)).collect();
            next = todo
                .iter()
                .filter_map(|key| model.get(key))
                .flat_map(|object| depends_on(model, &object))
                .collect();
        }
    }
}

/// The checks of all tables, with what several of them share.
struct Checks<'a> {
    topology: Topology<'a>,
    tunnel: vxlan::CommonTunnel,
    first_with_vlans: Option<u32>,
    macs: router::MacProfiles,
}

impl<'a> Checks<'a> {
    fn new(model: &'a Model, profile: &'a Profile) -> Self {
        let topology = Topology::new(model, profile);
        let tunnel = vxlan::CommonTunnel::of(&topology);
        let first_with_vlans = bridge::first_with_vlans(&topology);
        let macs = router::MacProfiles::of(&topology);
        Self { topology, tunnel, first_with_vlans, macs }
    }

    fn link(&self, link: &crate::kernel::Link, found: &mut Vec<Violation>) {
        vxlan::check_link(&self.topology, &self.tunnel, link, found);
        // What is wrong with a device itself comes before what follows from it.
        let before = found.len();
        bridge::check_link(&self.topology, self.first_with_vlans, link, found);
        if found.get(..before).is_some_and(|own| own.iter().any(|it| it.key == link.key())) {
            let mut index = 0;
            found.retain(|it| {
                index += 1;
                index <= before || it.effect != Effect::Silent
            });
        }
        router::check_link(&self.topology, &self.macs, link, found);
        capability::check_link(&self.topology, link, found);
    }

    fn address(&self, address: &crate::kernel::Address, found: &mut Vec<Violation>) {
        bridge::check_address(&self.topology, address, found);
        router::check_address(&self.topology, address, found);
    }

    fn route(&self, route: &crate::kernel::Route, found: &mut Vec<Violation>) {
        router::check_route(&self.topology, route, found);
        capability::check_route(&self.topology, route, found);
    }
}

/// A broken constraint, with the driver's words of that number.
fn broken(
    constraint: &'static Constraint,
    words: usize,
    key: Key,
    object: String,
    remedy: Remedy,
) -> Violation {
    let words = constraint.words.get(words).copied();
    Violation { constraint, key, object, words, effect: constraint.effect, remedy }
}
