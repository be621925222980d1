//! What the driver refuses only because of the order in which it is done (B8, R8). What the kernel holds in the end does not
//! show it; so this follows, one notification after the other.

use super::bridge::B8;
use super::constraint::{Remedy, Violation};
use super::router::{R8, macvlan_without_interface};
use super::topology::{Topology, is_macvlan};
use super::{Profile, broken};
use crate::kernel::{Link, Model, Notification, Object};

/// Follows what happens and remembers what happened too early.
#[derive(Debug)]
pub struct Order {
    model: Model,
    profile: Profile,
    found: Vec<Violation>,
}

impl Order {
    /// Begins with what is there.
    pub fn new(model: Model, profile: Profile) -> Self {
        Self { model, profile, found: Vec::new() }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, notification: Notification) {
        if let Notification::New(Object::Link(link)) = &notification {
            self.look_at(&link.clone());
        }
        self.model.apply(notification);
    }

    /// What was done too early, in order, and was not undone since.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.found.iter().filter(|violation| self.model.get(&violation.key).is_some())
    }

    fn look_at(&mut self, link: &Link) {
        let topology = Topology::new(&self.model, &self.profile);
        let before = self.model.link(link.index);
        let violation = if before.is_none() {
            new_macvlan(&topology, link)
        } else {
            new_member(&topology, before, link)
        };
        self.found.extend(violation);
    }
}

/// A macvlan on a link that is no router interface yet.
fn new_macvlan(topology: &Topology<'_>, link: &Link) -> Option<Violation> {
    let lower = topology.model.link(link.lower.filter(|_| is_macvlan(link))?)?;
    let concerns = R8.scope.covers(topology.profile)
        && topology.is_on_ports(lower)
        && topology.model.addresses_of(lower.index).next().is_none()
        && topology.master_of(lower).is_none_or(|master| master.bridge().is_some());
    concerns.then(|| macvlan_without_interface(link, lower))
}

/// A port that joins what already has something above it.
fn new_member(topology: &Topology<'_>, before: Option<&Link>, link: &Link) -> Option<Violation> {
    let joins = link.master.filter(|master| before.and_then(|it| it.master) != Some(*master))?;
    let master = topology.model.link(joins)?;
    let is_known_bridge = master.bridge().is_some() && topology.is_on_ports(master);
    let concerns = B8.scope.covers(topology.profile)
        && before.is_some_and(|before| topology.is_on_ports(before))
        && !is_known_bridge;
    if !concerns {
        return None;
    }
    let above: Vec<String> = topology
        .master_of(master)
        .into_iter()
        .chain(topology.uppers_of(master.index))
        .map(|upper| upper.name.clone())
        .collect();
    if above.is_empty() {
        return None;
    }
    let join = format!("ip link set {} master {}", link.name, master.name);
    let mut commands = Vec::new();
    match topology.master_of(master) {
        Some(upper) => {
            commands.push(format!("ip link set {} nomaster", master.name));
            commands.push(join);
            commands.push(format!("ip link set {} master {}", master.name, upper.name));
        }
        None => commands.push(format!("{join}  # before {} is made", above.join(", "))),
    }
    let object =
        format!("{} in {}, which has {} above it", link.name, master.name, above.join(", "));
    Some(broken(&B8, 0, link.key(), object, Remedy::commands(commands)))
}
