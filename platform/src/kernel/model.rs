//! What the kernel holds, as far as it told us: a snapshot kept fresh by notifications.
//!
//! The kernel is silent about some consequences, and the model draws them itself, so that it equals a new dump:
//! - a link that is deleted takes its addresses, neighbours, FDB entries, nexthops and routes along;
//! - a link that goes down takes along its nexthops and the IPv4 routes that have no other way (IPv6 routes are announced);
//!   a link that only loses its carrier takes its nexthops along;
//! - a link that leaves its bridge takes along what the bridge knew about it;
//! - a nexthop that goes away leaves its groups and takes its routes along;
//! - an address that goes away takes the routes along that name it as their source;
//! - a MAC that moves to another port of a bridge is announced there, and its old place is not;
//! - a port that gets another PVID loses the one that it had;
//! - filters go with the discipline or the block that they hang on.
//!
//! Looking up or changing one FDB entry, neighbour or route costs the same whatever the size of the tables. Only what befalls a
//! whole link, nexthop or address walks a table.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::{
    Address, BridgePort, BridgeVlan, FdbEntry, FdbTable, Filter, FilterId, FilterPlace, Ifindex,
    Key, Link, MacAddr, Neighbor, Nexthop, NexthopKind, Notification, Object, Route, RouteKind,
    Rule, Via,
};

type Map<K, V> = HashMap<K, V, RandomState>;
type Set<K> = HashSet<K, RandomState>;

/// What the kernel holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    links: Map<Ifindex, Link>,
    /// What goes away with a link, by link.
    on_link: Map<Ifindex, OnLink>,
    /// On which port of a bridge a MAC is: bridge, MAC, VLAN.
    places: Map<(Ifindex, MacAddr, Option<u16>), Ifindex>,
    nexthops: Map<u32, Nexthop>,
    routes: Map<Key, Route>,
    /// How many routes there are by each nexthop: they are looked for when it goes.
    routes_by_nexthop: Map<u32, usize>,
    policy: Box<Policy>,
}

/// What is rare, behind one pointer.
#[derive(Debug, Clone, Default, PartialEq)]
struct Policy {
    rules: Map<Key, Rule>,
    filters: Map<FilterId, Filter>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct OnLink {
    addresses: Map<Key, Address>,
    fdb: Map<Key, FdbEntry>,
    neighbors: Map<Key, Neighbor>,
    /// Routes with at least one hop here.
    routes: Set<Key>,
    /// Sorted: a port may belong to all 4094.
    vlans: Vec<BridgeVlan>,
    filter_places: Vec<FilterPlace>,
}

impl OnLink {
    fn is_empty(&self) -> bool {
        self.addresses.is_empty()
            && self.fdb.is_empty()
            && self.neighbors.is_empty()
            && self.routes.is_empty()
            && self.vlans.is_empty()
            && self.filter_places.is_empty()
    }
}

impl Model {
    /// Takes in what the kernel told. Returns the keys of which a reader now sees something else; none when the kernel
    /// repeated itself.
    pub fn apply(&mut self, notification: Notification) -> Vec<Key> {
        let mut dirty = Vec::new();
        match notification {
            Notification::New(Object::Link(link)) => self.set_link(link, &mut dirty),
            Notification::New(Object::Address(address)) => self.set_address(address, &mut dirty),
            Notification::New(Object::Nexthop(nexthop)) => self.set_nexthop(nexthop, &mut dirty),
            Notification::New(Object::Fdb(entry)) => self.set_fdb(entry, &mut dirty),
            Notification::New(Object::Neighbor(neighbor)) => {
                self.set_neighbor(neighbor, &mut dirty)
            }
            Notification::New(Object::Route(route)) => self.set_route(route, &mut dirty),
            Notification::New(Object::BridgeVlan(vlan)) => self.set_vlan(vlan, &mut dirty),
            Notification::New(Object::Rule(rule)) => {
                set(&mut self.policy.rules, rule.key(), rule, &mut dirty)
            }
            Notification::New(Object::Filter(filter)) => {
                set(&mut self.policy.filters, filter.id, filter, &mut dirty)
            }
            Notification::Gone(Object::Route(route)) => self.shrink_route(&route, &mut dirty),
            Notification::Gone(Object::Filter(filter)) if filter.id.handle == 0 => {
                self.remove_filters(|held| FilterId { handle: 0, ..*held } == filter.id, &mut dirty)
            }
            Notification::Gone(object) => self.remove(object.key(), &mut dirty),
            Notification::Port { index, port, vlans } => {
                if let Some(port) = port {
                    self.set_port(index, port, &mut dirty);
                }
                self.set_vlans(index, vlans, &mut dirty);
            }
            Notification::Vlans(vlans) => {
                vlans.into_iter().for_each(|vlan| self.set_vlan(vlan, &mut dirty))
            }
            Notification::VlansGone(vlans) => {
                vlans.iter().for_each(|vlan| self.remove(vlan.key(), &mut dirty))
            }
            Notification::FilterPlaces { index, places } => {
                self.set_filter_places(index, places, &mut dirty)
            }
        }
        dirty
    }

    /// The object of a key.
    pub fn get(&self, key: &Key) -> Option<Object> {
        match *key {
            Key::Link(index) => self.links.get(&index).cloned().map(Object::Link),
            Key::Nexthop(id) => self.nexthops.get(&id).cloned().map(Object::Nexthop),
            Key::Route { .. } => self.routes.get(key).cloned().map(Object::Route),
            Key::Address { ifindex, .. } => {
                self.on_link.get(&ifindex)?.addresses.get(key).cloned().map(Object::Address)
            }
            Key::Fdb { ifindex, .. } => {
                self.on_link.get(&ifindex)?.fdb.get(key).cloned().map(Object::Fdb)
            }
            Key::Neighbor { ifindex, .. } => {
                self.on_link.get(&ifindex)?.neighbors.get(key).cloned().map(Object::Neighbor)
            }
            Key::BridgeVlan { ifindex, vlan } => {
                self.vlan(ifindex, vlan).copied().map(Object::BridgeVlan)
            }
            Key::Rule { .. } => self.policy.rules.get(key).cloned().map(Object::Rule),
            Key::Filter(id) => self.policy.filters.get(&id).cloned().map(Object::Filter),
        }
    }

    /// A link by number.
    pub fn link(&self, index: Ifindex) -> Option<&Link> {
        self.links.get(&index)
    }

    /// A link by name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// All links.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The links whose master is `master`.
    pub fn members(&self, master: Ifindex) -> impl Iterator<Item = &Link> {
        self.links.values().filter(move |link| link.master == Some(master))
    }

    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.on_link.values().flat_map(|on| on.addresses.values())
    }

    /// The addresses of a link.
    pub fn addresses_of(&self, ifindex: Ifindex) -> impl Iterator<Item = &Address> {
        self.on_link.get(&ifindex).into_iter().flat_map(|on| on.addresses.values())
    }

    /// All forwarding entries.
    pub fn fdb(&self) -> impl Iterator<Item = &FdbEntry> {
        self.on_link.values().flat_map(|on| on.fdb.values())
    }

    /// The forwarding entries of a device or port.
    pub fn fdb_of(&self, ifindex: Ifindex) -> impl Iterator<Item = &FdbEntry> {
        self.on_link.get(&ifindex).into_iter().flat_map(|on| on.fdb.values())
    }

    /// The VLANs of a bridge port, or of a bridge itself, in ascending order.
    pub fn vlans_of(&self, ifindex: Ifindex) -> &[BridgeVlan] {
        self.on_link.get(&ifindex).map(|on| on.vlans.as_slice()).unwrap_or_default()
    }

    /// One VLAN of a bridge port, or of a bridge itself.
    pub fn vlan(&self, ifindex: Ifindex, vlan: u16) -> Option<&BridgeVlan> {
        let vlans = self.vlans_of(ifindex);
        vlans.get(vlans.binary_search_by_key(&vlan, |held| held.vlan).ok()?)
    }

    /// The VLANs of all bridge ports and bridges.
    pub fn bridge_vlans(&self) -> impl Iterator<Item = &BridgeVlan> {
        self.on_link.values().flat_map(|on| &on.vlans)
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.policy.rules.values()
    }

    /// All filters.
    pub fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.policy.filters.values()
    }

    /// Where filters can hang.
    pub fn filter_places(&self) -> impl Iterator<Item = FilterPlace> {
        self.on_link.values().flat_map(|on| &on.filter_places).copied()
    }

    /// How many forwarding entries a device or port has.
    pub fn fdb_count(&self, ifindex: Ifindex) -> usize {
        self.on_link.get(&ifindex).map_or(0, |on| on.fdb.len())
    }

    /// All neighbours.
    pub fn neighbors(&self) -> impl Iterator<Item = &Neighbor> {
        self.on_link.values().flat_map(|on| on.neighbors.values())
    }

    /// The neighbours on a link.
    pub fn neighbors_of(&self, ifindex: Ifindex) -> impl Iterator<Item = &Neighbor> {
        self.on_link.get(&ifindex).into_iter().flat_map(|on| on.neighbors.values())
    }

    /// A nexthop by number.
    pub fn nexthop(&self, id: u32) -> Option<&Nexthop> {
        self.nexthops.get(&id)
    }

    /// All nexthops.
    pub fn nexthops(&self) -> impl Iterator<Item = &Nexthop> {
        self.nexthops.values()
    }

    /// All routes.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// All objects, links first, each after what it requires except that nexthop groups may precede their members.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        let links = self.links().cloned().map(Object::Link);
        let addresses = self.addresses().cloned().map(Object::Address);
        let nexthops = self.nexthops().cloned().map(Object::Nexthop);
        let fdb = self.fdb().cloned().map(Object::Fdb);
        let neighbors = self.neighbors().cloned().map(Object::Neighbor);
        links
            .chain(addresses)
            .chain(nexthops)
            .chain(fdb)
            .chain(neighbors)
            .chain(self.routes().cloned().map(Object::Route))
            .chain(self.bridge_vlans().copied().map(Object::BridgeVlan))
            .chain(self.rules().cloned().map(Object::Rule))
            .chain(self.filters().cloned().map(Object::Filter))
    }

    fn set_link(&mut self, mut link: Link, dirty: &mut Vec<Key>) {
        let index = link.index;
        if link.master.is_none() && link.bridge().is_none() {
            // Even if this says nothing new of the link: what it said of its VLANs may have been older than the snapshot.
            self.set_vlans(index, Vec::new(), dirty);
        }
        let before = self.links.get(&index);
        if before == Some(&link) {
            return;
        }
        // A notification about something else than the port may come without its port attributes.
        if link.port.is_none() && link.master.is_some() {
            link.port =
                before.filter(|before| before.master == link.master).and_then(|before| before.port);
            if before == Some(&link) {
                return;
            }
        }
        let left =
            before.and_then(|before| before.master).filter(|master| link.master != Some(*master));
        if link.bridge().is_some()
            && let Some(on) = self.on_link.get_mut(&index)
        {
            // The word of its first VLAN comes before that of the bridge itself.
            on.vlans.iter_mut().for_each(|vlan| vlan.of_bridge = true);
        }
        let (up, running) = (link.up, link.running);
        self.links.insert(index, link);
        dirty.push(Key::Link(index));
        if let Some(bridge) = left {
            self.remove_fdb_in(bridge, index, dirty);
        }
        if !up || !running {
            self.remove_nexthops_on(index, dirty);
        }
        if !up {
            self.remove_dead_routes(index, dirty);
        }
    }

    fn set_port(&mut self, index: Ifindex, port: BridgePort, dirty: &mut Vec<Key>) {
        if let Some(link) = self.links.get_mut(&index)
            && link.master.is_some()
            && link.port != Some(port)
        {
            link.port = Some(port);
            dirty.push(Key::Link(index));
        }
    }

    /// The link has these VLANs and no others.
    fn set_vlans(&mut self, ifindex: Ifindex, vlans: Vec<BridgeVlan>, dirty: &mut Vec<Key>) {
        if self.vlans_of(ifindex) == vlans {
            return;
        }
        let before = std::mem::replace(&mut self.on_link.entry(ifindex).or_default().vlans, vlans);
        let now = self.vlans_of(ifindex);
        let differing = |one: &[BridgeVlan], other: &[BridgeVlan], dirty: &mut Vec<Key>| {
            dirty.extend(
                one.iter().filter(|vlan| other.binary_search(vlan).is_err()).map(BridgeVlan::key),
            );
        };
        let first = dirty.len();
        differing(now, &before, dirty);
        differing(&before, now, dirty);
        if let Some(new) = dirty.get_mut(first..) {
            new.sort_unstable();
        }
        dirty.dedup();
        self.tidy(ifindex);
    }

    fn set_vlan(&mut self, vlan: BridgeVlan, dirty: &mut Vec<Key>) {
        let of_bridge = self.links.get(&vlan.ifindex).is_some_and(|link| link.bridge().is_some());
        let held = self.vlan(vlan.ifindex, vlan.vlan);
        let tunnel = vlan.tunnel.or_else(|| held?.tunnel);
        let vlan = BridgeVlan { of_bridge, tunnel, ..vlan };
        let vlans = &mut self.on_link.entry(vlan.ifindex).or_default().vlans;
        if vlan.pvid {
            for held in vlans.iter_mut().filter(|held| held.pvid && held.vlan != vlan.vlan) {
                held.pvid = false;
                dirty.push(held.key());
            }
        }
        match vlans.binary_search_by_key(&vlan.vlan, |held| held.vlan) {
            Ok(place) => match vlans.get_mut(place) {
                Some(held) if *held != vlan => *held = vlan,
                _ => return,
            },
            Err(place) => vlans.insert(place, vlan),
        }
        dirty.push(vlan.key());
    }

    fn set_filter_places(
        &mut self,
        ifindex: Ifindex,
        places: Vec<FilterPlace>,
        dirty: &mut Vec<Key>,
    ) {
        let now = &mut self.on_link.entry(ifindex).or_default().filter_places;
        let before = std::mem::replace(now, places);
        self.tidy(ifindex);
        let left: Vec<FilterPlace> = before
            .into_iter()
            .filter(|place| !self.filter_places().any(|held| held == *place))
            .collect();
        if !left.is_empty() {
            self.remove_filters(|id| left.contains(&id.place), dirty);
        }
    }

    fn remove_filters(&mut self, which: impl Fn(&FilterId) -> bool, dirty: &mut Vec<Key>) {
        let lost: Vec<FilterId> =
            self.policy.filters.keys().filter(|id| which(id)).copied().collect();
        for id in lost {
            self.remove(Key::Filter(id), dirty);
        }
    }

    fn set_address(&mut self, address: Address, dirty: &mut Vec<Key>) {
        let key = address.key();
        let addresses = &mut self.on_link.entry(address.ifindex).or_default().addresses;
        set(addresses, key, address, dirty);
    }

    fn set_neighbor(&mut self, neighbor: Neighbor, dirty: &mut Vec<Key>) {
        let key = neighbor.key();
        let neighbors = &mut self.on_link.entry(neighbor.ifindex).or_default().neighbors;
        set(neighbors, key, neighbor, dirty);
    }

    fn set_fdb(&mut self, entry: FdbEntry, dirty: &mut Vec<Key>) {
        let (key, ifindex) = (entry.key(), entry.ifindex);
        if let Some(place) = place(&entry) {
            let old_port = self.places.insert(place, ifindex).filter(|port| *port != ifindex);
            if let (Some(old_port), Key::Fdb { mac, vlan, table, vni, destination, .. }) =
                (old_port, key)
            {
                let moved = Key::Fdb { ifindex: old_port, mac, vlan, table, vni, destination };
                if let Some(on) = self.on_link.get_mut(&old_port)
                    && on.fdb.remove(&moved).is_some()
                {
                    dirty.push(moved);
                }
                self.tidy(old_port);
            }
        }
        set(&mut self.on_link.entry(ifindex).or_default().fdb, key, entry, dirty);
    }

    fn set_nexthop(&mut self, nexthop: Nexthop, dirty: &mut Vec<Key>) {
        if self.nexthops.get(&nexthop.id) != Some(&nexthop) {
            dirty.push(nexthop.key());
            self.nexthops.insert(nexthop.id, nexthop);
        }
    }

    fn set_route(&mut self, route: Route, dirty: &mut Vec<Key>) {
        let key = route.key();
        if self.routes.get(&key) == Some(&route) {
            return;
        }
        self.unlink_route(&key);
        match &route.via {
            Via::Nexthop(id) => {
                *self.routes_by_nexthop.entry(*id).or_default() += 1;
            }
            Via::Hops(hops) => {
                for hop in hops {
                    self.on_link.entry(hop.ifindex).or_default().routes.insert(key);
                }
            }
        }
        self.routes.insert(key, route);
        dirty.push(key);
    }

    /// The kernel deletes an IPv6 route hop by hop; the route is gone with its last hop.
    fn shrink_route(&mut self, gone: &Route, dirty: &mut Vec<Key>) {
        let key = gone.key();
        let Some(held) = self.routes.get(&key) else { return };
        let mut left = held.clone();
        if let (Via::Hops(held), Via::Hops(gone)) = (&mut left.via, &gone.via) {
            held.retain(|held| {
                !gone
                    .iter()
                    .any(|gone| (gone.gateway, gone.ifindex) == (held.gateway, held.ifindex))
            });
            if !held.is_empty() && key_is_v6(&key) {
                return self.set_route(left, dirty);
            }
        }
        self.remove(key, dirty);
    }

    fn remove(&mut self, key: Key, dirty: &mut Vec<Key>) {
        let existed = match key {
            Key::Link(index) => self.remove_link(index, dirty),
            Key::Nexthop(id) => self.remove_nexthop(id, dirty),
            Key::Route { .. } => {
                self.unlink_route(&key);
                self.routes.remove(&key).is_some()
            }
            Key::Address { ifindex, prefix } => {
                let on = self.on_link.get_mut(&ifindex);
                let existed = on.is_some_and(|on| on.addresses.remove(&key).is_some());
                if existed {
                    self.remove_routes_from(prefix.addr(), dirty);
                }
                existed
            }
            Key::Neighbor { ifindex, .. } => {
                self.on_link.get_mut(&ifindex).is_some_and(|on| on.neighbors.remove(&key).is_some())
            }
            Key::Fdb { ifindex, .. } => {
                let gone = self.on_link.get_mut(&ifindex).and_then(|on| on.fdb.remove(&key));
                if let Some(place) = gone.as_ref().and_then(place)
                    && self.places.get(&place) == Some(&ifindex)
                {
                    self.places.remove(&place);
                }
                gone.is_some()
            }
            Key::BridgeVlan { ifindex, vlan } => self.on_link.get_mut(&ifindex).is_some_and(|on| {
                let place = on.vlans.binary_search_by_key(&vlan, |held| held.vlan);
                place.map(|place| on.vlans.remove(place)).is_ok()
            }),
            Key::Rule { .. } => self.policy.rules.remove(&key).is_some(),
            Key::Filter(id) => self.policy.filters.remove(&id).is_some(),
        };
        if existed {
            dirty.push(key);
        }
        if let Key::Address { ifindex, .. }
        | Key::Neighbor { ifindex, .. }
        | Key::Fdb { ifindex, .. }
        | Key::BridgeVlan { ifindex, .. } = key
        {
            self.tidy(ifindex);
        }
    }

    fn remove_link(&mut self, index: Ifindex, dirty: &mut Vec<Key>) -> bool {
        let existed = self.links.remove(&index).is_some();
        self.remove_nexthops_on(index, dirty);
        self.remove_dead_routes(index, dirty);
        self.set_vlans(index, Vec::new(), dirty);
        if self.on_link.get(&index).is_some_and(|on| !on.filter_places.is_empty()) {
            self.set_filter_places(index, Vec::new(), dirty);
        }
        if let Some(on) = self.on_link.get(&index) {
            let children: Vec<Key> = on
                .fdb
                .keys()
                .chain(on.neighbors.keys())
                .chain(on.addresses.keys())
                .copied()
                .collect();
            for key in children {
                self.remove(key, dirty);
            }
        }
        existed
    }

    /// What a bridge knew about one of its ports.
    fn remove_fdb_in(&mut self, bridge: Ifindex, port: Ifindex, dirty: &mut Vec<Key>) {
        let lost: Vec<Key> = self
            .fdb_of(port)
            .filter(|entry| entry.table == FdbTable::Bridge && entry.master == Some(bridge))
            .map(FdbEntry::key)
            .collect();
        for key in lost {
            self.remove(key, dirty);
        }
    }

    /// Routes whose every hop is on a link that is gone or down.
    fn remove_dead_routes(&mut self, ifindex: Ifindex, dirty: &mut Vec<Key>) {
        let Some(on) = self.on_link.get(&ifindex) else { return };
        let dead: Vec<Key> = on
            .routes
            .iter()
            .filter(|key| !key_is_v6(key))
            .filter(|key| self.is_dead(key))
            .copied()
            .collect();
        for key in dead {
            self.remove(key, dirty);
        }
    }

    fn is_dead(&self, key: &Key) -> bool {
        let Some(route) = self.routes.get(key) else { return false };
        let Via::Hops(hops) = &route.via else { return false };
        hops.iter().all(|hop| match self.links.get(&hop.ifindex) {
            // An address stays this machine's own while its link is down.
            Some(link) => !link.up && route.kind != RouteKind::Local,
            None => true,
        })
    }

    fn remove_routes_from(&mut self, source: IpAddr, dirty: &mut Vec<Key>) {
        let elsewhere =
            self.on_link.values().any(|on| on.addresses.keys().any(|key| is_address(key, source)));
        if elsewhere {
            return;
        }
        let lost: Vec<Key> = self
            .routes
            .iter()
            .filter(|(_, route)| route.source == Some(source))
            .map(|(key, _)| *key)
            .collect();
        for key in lost {
            self.remove(key, dirty);
        }
    }

    fn remove_nexthops_on(&mut self, ifindex: Ifindex, dirty: &mut Vec<Key>) {
        let on_link = |nexthop: &&Nexthop| match nexthop.kind {
            NexthopKind::Gateway { ifindex: on, .. } | NexthopKind::Device { ifindex: on, .. } => {
                on == ifindex
            }
            _ => false,
        };
        let lost: Vec<u32> =
            self.nexthops.values().filter(on_link).map(|nexthop| nexthop.id).collect();
        for id in lost {
            self.remove(Key::Nexthop(id), dirty);
        }
    }

    fn remove_nexthop(&mut self, id: u32, dirty: &mut Vec<Key>) -> bool {
        if self.nexthops.remove(&id).is_none() {
            return false;
        }
        if self.routes_by_nexthop.remove(&id).is_some() {
            let gone = self.routes.extract_if(|_, route| route.via == Via::Nexthop(id));
            dirty.extend(gone.map(|(key, _)| key));
        }
        let mut emptied = Vec::new();
        for group in self.nexthops.values_mut() {
            let Some(members) = group.kind.members_mut() else { continue };
            let before = members.len();
            members.retain(|member| member.id != id);
            match members.len() {
                0 => emptied.push(group.id),
                now if now != before => dirty.push(group.key()),
                _ => {}
            }
        }
        for group in emptied {
            self.remove(Key::Nexthop(group), dirty);
        }
        true
    }

    /// Takes a route out of the indexes.
    fn unlink_route(&mut self, key: &Key) {
        match self.routes.get(key).map(|route| &route.via) {
            Some(Via::Nexthop(id)) => {
                if let Some(routes) = self.routes_by_nexthop.get_mut(id) {
                    *routes = routes.saturating_sub(1);
                    if *routes == 0 {
                        self.routes_by_nexthop.remove(id);
                    }
                }
            }
            Some(Via::Hops(hops)) => {
                for ifindex in hops.iter().map(|hop| hop.ifindex).collect::<Vec<_>>() {
                    if let Some(on) = self.on_link.get_mut(&ifindex) {
                        on.routes.remove(key);
                    }
                    self.tidy(ifindex);
                }
            }
            None => {}
        }
    }

    /// Two models of the same facts are equal only if neither keeps empty tables.
    fn tidy(&mut self, ifindex: Ifindex) {
        if self.on_link.get(&ifindex).is_some_and(OnLink::is_empty) {
            self.on_link.remove(&ifindex);
        }
    }
}

impl FromIterator<Object> for Model {
    /// The model of a dump.
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut model = Self::default();
        for object in objects {
            model.apply(Notification::New(object));
        }
        model
    }
}

fn set<K: Into<Key> + Copy + Eq + Hash, T: PartialEq>(
    table: &mut Map<K, T>,
    key: K,
    value: T,
    dirty: &mut Vec<Key>,
) {
    if table.get(&key) != Some(&value) {
        table.insert(key, value);
        dirty.push(key.into());
    }
}

/// A bridge has a MAC in one place only. Its ports' own MACs are the exception: those are local to each.
fn place(entry: &FdbEntry) -> Option<(Ifindex, MacAddr, Option<u16>)> {
    let bridge = entry.master.filter(|_| entry.table == FdbTable::Bridge)?;
    Some((bridge, entry.mac, entry.vlan))
}

fn key_is_v6(key: &Key) -> bool {
    matches!(key, Key::Route { prefix: ipnet::IpNet::V6(_), .. })
}

fn is_address(key: &Key, address: IpAddr) -> bool {
    matches!(key, Key::Address { prefix, .. } if prefix.addr() == address)
}
