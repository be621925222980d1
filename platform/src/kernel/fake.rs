//! A kernel for tests: honest in what it accepts, in what order, and in what it tells; hostile when asked to be.
//!
//! Honest: links must exist before what is on them, nexthops before what uses them; a route or nexthop that exists is not
//! overwritten by a create; deleting needs the mark to match; a flood list has one mark. It does not have the kernel's
//! other silent rules (see the heads of the object files); what a test needs of them belongs here.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use super::{
    Change, Dataplane, Errno, FdbEntry, FdbTable, Ifindex, KernelError, Key, Link, Model,
    NexthopKind, Notification, Object, Offload, Route,
};

/// A table whose size a test can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Single nexthops.
    Nexthops,
    /// Nexthop groups.
    NexthopGroups,
    /// Routes.
    Routes,
    /// Forwarding entries, of bridges and VXLAN devices together.
    Fdb,
    /// ARP and neighbour discovery entries.
    Neighbors,
}

type Veto = Box<dyn Fn(&Change) -> bool + Send>;
type Answer = Result<(), KernelError>;

/// A kernel in memory.
#[derive(Default)]
pub struct FakeKernel {
    model: Model,
    news: VecDeque<Notification>,
    told: usize,
    deaf_after: Option<usize>,
    overrun: bool,
    sizes: HashMap<Table, usize>,
    vetoes: Vec<Veto>,
    /// Remote MACs that the chip has room for, if there is a chip.
    asic: Option<usize>,
    applied: Vec<Change>,
}

impl FakeKernel {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// With an object that was there before anybody listened.
    #[must_use]
    pub fn with(mut self, object: Object) -> Self {
        self.model.apply(Notification::New(object));
        self
    }

    /// With room for so many objects in a table; the next one is refused with `ENOSPC` and a reason.
    #[must_use]
    pub fn with_table_size(mut self, table: Table, size: usize) -> Self {
        self.sizes.insert(table, size);
        self
    }

    /// With a driver that refuses what `veto` is true of.
    #[must_use]
    pub fn refusing(mut self, veto: impl Fn(&Change) -> bool + Send + 'static) -> Self {
        self.vetoes.push(Box::new(veto));
        self
    }

    /// With a switch chip that has room for so many remote MACs.
    #[must_use]
    pub fn with_asic(mut self, room: usize) -> Self {
        self.asic = Some(room);
        self
    }

    /// The chip gets room for so many remote MACs. What is in it stays.
    pub fn resize_asic(&mut self, room: usize) {
        self.asic = Some(room);
    }

    /// With a listener whose buffer overruns after so many notifications, once.
    #[must_use]
    pub fn losing_notifications_after(mut self, count: usize) -> Self {
        self.deaf_after = Some(count);
        self
    }

    /// What it holds now.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Every change that it was asked for, refused ones too, in order.
    pub fn applied(&self) -> &[Change] {
        &self.applied
    }

    /// What a monitor would receive; empty when nothing happened.
    pub fn receive(&mut self) -> Result<Vec<Notification>, KernelError> {
        if std::mem::take(&mut self.overrun) {
            self.news.clear();
            return Err(KernelError::Overrun);
        }
        Ok(self.news.drain(..).collect())
    }

    /// Someone else made or changed an object.
    pub fn appear(&mut self, object: Object) {
        self.tell(Notification::New(object));
    }

    /// Someone else deleted an object.
    pub fn vanish(&mut self, key: &Key) {
        if let Some(object) = self.model.get(key) {
            self.tell(Notification::Gone(object));
        }
    }

    /// The hardware changed its mind about an object, in silence as drivers do.
    pub fn set_offload(&mut self, key: &Key, offload: Offload) {
        let Some(object) = self.model.get(key) else { return };
        self.model.apply(Notification::New(object.with_offload(offload)));
    }

    fn tell(&mut self, notification: Notification) {
        self.model.apply(notification.clone());
        if self.deaf_after == Some(self.told) {
            self.overrun = true;
            self.deaf_after = None;
        }
        self.told += 1;
        self.news.push_back(notification);
    }

    fn apply_one(&mut self, change: &Change) -> Answer {
        let key = change.key();
        let refuse = |errno, reason: &str| {
            Err(KernelError::Refused {
                key,
                errno,
                reason: (!reason.is_empty()).then(|| reason.to_owned()),
            })
        };
        if self.vetoes.iter().any(|veto| veto(change)) {
            return refuse(Errno::EOPNOTSUPP, "fake: the driver does not support this");
        }
        match change {
            Change::Delete(object) => {
                self.delete(object);
                Ok(())
            }
            Change::Create(object) => {
                let exists = self.model.get(&key).is_some();
                if exists && matches!(object, Object::Route(_) | Object::Nexthop(_)) {
                    return refuse(Errno::EEXIST, "");
                }
                self.set(object, exists)
            }
            Change::Replace { to, .. } => self.set(to, self.model.get(&key).is_some()),
        }
    }

    fn set(&mut self, object: &Object, exists: bool) -> Answer {
        self.check_requirements(object)?;
        if !exists {
            self.check_room(object)?;
        }
        match object {
            Object::Link(link) => self.set_link(link, exists),
            Object::Fdb(entry) => self.set_fdb(entry),
            other => {
                self.tell(Notification::New(other.clone()));
                Ok(())
            }
        }
    }

    fn check_requirements(&self, object: &Object) -> Answer {
        for required in object.requires() {
            if self.model.get(&required).is_some() {
                continue;
            }
            let (errno, reason) = match (required, object) {
                (Key::Nexthop(_), Object::Nexthop(_)) => {
                    (Errno::EINVAL, Some("Invalid nexthop id"))
                }
                (Key::Nexthop(_), _) => (Errno::EINVAL, Some("Nexthop id does not exist")),
                (_, Object::Nexthop(_)) => (Errno::EINVAL, Some("Invalid device index")),
                _ => (Errno::ENODEV, None),
            };
            return Err(KernelError::Refused {
                key: object.key(),
                errno,
                reason: reason.map(str::to_owned),
            });
        }
        Ok(())
    }

    fn check_room(&self, object: &Object) -> Answer {
        let Some(table) = Table::of(object) else { return Ok(()) };
        let Some(size) = self.sizes.get(&table) else { return Ok(()) };
        let used = self.model.objects().filter(|held| Table::of(held) == Some(table)).count();
        if used < *size {
            return Ok(());
        }
        let reason = format!("fake: table {table:?} is full ({size} entries)");
        Err(KernelError::Refused { key: object.key(), errno: Errno::ENOSPC, reason: Some(reason) })
    }

    fn set_link(&mut self, link: &Link, exists: bool) -> Answer {
        let name_taken =
            self.model.link_named(&link.name).is_some_and(|held| held.index != link.index);
        if name_taken || (link.index == 0 && exists) {
            return Err(KernelError::LinkRefused {
                name: link.name.clone(),
                errno: Errno::EEXIST,
                reason: None,
            });
        }
        let index = if link.index == 0 { self.free_index() } else { link.index };
        self.tell(Notification::New(Object::Link(Link { index, ..link.clone() })));
        Ok(())
    }

    fn free_index(&self) -> Ifindex {
        self.model.links().map(|link| link.index).max().unwrap_or_default() + 1
    }

    fn set_fdb(&mut self, entry: &FdbEntry) -> Answer {
        let link = self.model.link(entry.ifindex);
        let fits = link.is_some_and(|link| match entry.table {
            FdbTable::Bridge => link.bridge().is_some() || link.master.is_some(),
            FdbTable::Vxlan => link.vxlan().is_some(),
        });
        if !fits {
            return Err(KernelError::Refused {
                key: entry.key(),
                errno: Errno::EOPNOTSUPP,
                reason: None,
            });
        }
        let master = link.and_then(|link| link.master);
        let mut entry = FdbEntry { master, offload: Offload::default(), ..entry.clone() };
        if entry.is_flood() {
            let others: Vec<FdbEntry> =
                self.model.fdb_of(entry.ifindex).filter(|held| held.is_flood()).cloned().collect();
            entry.extern_learn &= others.iter().all(|held| held.extern_learn);
            for other in others.into_iter().filter(|held| held.extern_learn && !entry.extern_learn)
            {
                self.model.apply(Notification::New(Object::Fdb(FdbEntry {
                    extern_learn: false,
                    ..other
                })));
            }
        }
        let (key, is_new) = (entry.key(), self.model.get(&entry.key()).is_none());
        self.tell(Notification::New(Object::Fdb(entry)));
        if is_new {
            self.offer_to_asic(key);
        }
        Ok(())
    }

    /// The chip takes a remote MAC once both halves are there and if there is room. It does not say so.
    fn offer_to_asic(&mut self, key: Key) {
        let (Some(room), Key::Fdb { table, .. }) = (self.asic, key) else { return };
        let taken = self.model.fdb().filter(|entry| {
            entry.table == FdbTable::Vxlan && entry.offload.offloaded && !entry.is_flood()
        });
        let has_room = taken.count() < room;
        let other = match table {
            FdbTable::Bridge => FdbTable::Vxlan,
            FdbTable::Vxlan => FdbTable::Bridge,
        };
        let halves = match key {
            Key::Fdb { destination: Some(_), .. } => vec![key],
            Key::Fdb { ifindex, mac, vlan, vni, destination, .. } => {
                vec![key, Key::Fdb { ifindex, mac, vlan, table: other, vni, destination }]
            }
            _ => return,
        };
        let is_flood = halves.len() == 1;
        if (is_flood || has_room) && halves.iter().all(|half| self.model.get(half).is_some()) {
            let offload = Offload { offloaded: true, ..Offload::default() };
            halves.iter().for_each(|half| self.set_offload(half, offload));
        }
    }

    fn delete(&mut self, object: &Object) {
        let Some(held) = self.model.get(&object.key()) else { return };
        let another_s = match (object, &held) {
            (Object::Route(wanted), Object::Route(Route { protocol, .. })) => {
                wanted.protocol != *protocol
            }
            _ => false,
        };
        if !another_s {
            self.tell(Notification::Gone(held));
        }
    }
}

impl Dataplane for FakeKernel {
    fn apply(&mut self, changes: &[Change]) -> Vec<Answer> {
        self.applied.extend_from_slice(changes);
        changes.iter().map(|change| self.apply_one(change)).collect()
    }

    fn read(&mut self, keys: &[Key]) -> Result<Vec<Object>, KernelError> {
        Ok(keys.iter().filter_map(|key| self.model.get(key)).collect())
    }

    fn snapshot(&mut self) -> Result<Model, KernelError> {
        Ok(self.model.clone())
    }
}

impl Table {
    fn of(object: &Object) -> Option<Self> {
        Some(match object {
            Object::Nexthop(nexthop) => match nexthop.kind {
                NexthopKind::Group(_)
                | NexthopKind::ResilientGroup { .. }
                | NexthopKind::FdbGroup(_) => Self::NexthopGroups,
                _ => Self::Nexthops,
            },
            Object::Route(_) => Self::Routes,
            Object::Fdb(_) => Self::Fdb,
            Object::Neighbor(_) => Self::Neighbors,
            Object::Link(_)
            | Object::Address(_)
            | Object::BridgeVlan(_)
            | Object::Rule(_)
            | Object::Filter(_) => return None,
        })
    }
}
