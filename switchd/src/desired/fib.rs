//! BGP's best unicast paths as kernel routes over nexthop objects.
//!
//! A nexthop object is one gateway on one link, or a group of those where several paths share the load; all routes that
//! go the same way share it: a million routes with ten next hops write ten nexthops. A next hop that is not on a link is
//! resolved through the routes we install and those of others (RFC 4271 §5.1.3), to a limited depth, and goes all the ways
//! that they go.
//!
//! Routes with the same next hops have one entry here, and it alone is resolved anew when a link goes. If what it leads to
//! changes, its group is replaced in place: however many routes there are, none is written.
//!
//! Where the switch's driver refuses nexthop objects (rocker), the gateway stands in each route: one of them, because such a
//! driver forwards to the first only. It refuses an IPv6 gateway in an IPv4 route as well (RFC 8950), so that one is
//! written as [`STAND_IN`], with a neighbour entry that gives it the gateway's MAC: what the packet carries is the same.

mod nexthops;
mod numbers;
mod others;
mod scoped_address;
mod share;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use ipnet::IpNet;
use platform::kernel::{Hop, Ifindex, Key, MacAddr, Neighbor, Object, Route, Via};

use nexthops::{Egress, Nexthops, Way};
use others::Others;

pub use scoped_address::ScopedAddress;
pub use share::{Bandwidth, WeightedNextHop, next_hop, next_hops};

/// FRR's administrative distance of eBGP, which it writes as the metric: other tools know BGP's routes by it.
pub const METRIC: u32 = 20;

/// How many BGP routes a next hop may be resolved through before we call it unreachable.
const MAX_RECURSION: usize = 4;

/// The IPv4 address that stands for an IPv6 gateway where a driver takes no other; FRR and Cumulus use the same.
pub const STAND_IN: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);

/// The key of the kernel's route for BGP's best path to `prefix`.
pub fn route_key(prefix: IpNet) -> Key {
    route(prefix, Via::Hops(Vec::new())).key()
}

/// The kernel's route for it.
pub fn route(prefix: IpNet, via: Via) -> Route {
    Route::new(prefix, METRIC, via)
}

/// How a route says which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NexthopStyle {
    /// By a nexthop object.
    #[default]
    Object,
    /// By a gateway in the route itself.
    Inline,
}

/// Number of a [`Balance`].
type BalanceId = u32;

/// What routes with the same next hops have in common.
#[derive(Debug)]
struct Balance {
    next_hops: Box<[WeightedNextHop]>,
    routes: usize,
    /// Where they lead, in order; empty while nothing reaches any of them.
    ways: Vec<Way>,
    /// All are on links: routes that come and go do not change where they lead.
    direct: bool,
    target: Target,
}

/// What the kernel's routes name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// There are no routes.
    None,
    /// One gateway, and the number of its nexthop object.
    Gateway(Egress, u32),
    /// A nexthop group.
    Group(u32),
}

#[derive(Debug)]
struct Installed {
    balance: BalanceId,
    /// The kernel is to have the route.
    wanted: bool,
}

/// What the kernel is to have of one of BGP's best paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// A route.
    Wanted,
    /// Nothing: the prefix is a subnet of this machine.
    Connected,
    /// Nothing: none of its next hops can be reached.
    Unreachable(Vec<ScopedAddress>),
}

/// What a next hop that is on no link is resolved through.
enum Match<'a> {
    Ours(&'a Balance),
    Others(&'a [Hop]),
}

/// Ways that are known already, by next hop and depth of recursion.
type Known = HashMap<(ScopedAddress, usize), Vec<Way>>;

/// The routes that BGP wants in the kernel.
#[derive(Debug, Default)]
pub struct Fib {
    routes: HashMap<IpNet, Installed, RandomState>,
    balances: HashMap<BalanceId, Balance, RandomState>,
    by_next_hops: HashMap<Box<[WeightedNextHop]>, BalanceId, RandomState>,
    next_balance: BalanceId,
    nexthops: Nexthops,
    links_up: HashSet<Ifindex>,
    addresses: HashSet<(Ifindex, IpNet)>,
    /// Prefixes that the kernel has a route to itself, better than any that we could add.
    connected: HashSet<IpNet>,
    /// MACs of IPv6 neighbours, for [`STAND_IN`].
    macs: HashMap<(Ifindex, Ipv6Addr), MacAddr>,
    others: Others,
    routes_changed: bool,
    subnets_changed: bool,
    changes: Vec<(Key, Option<Object>)>,
}

impl Fib {
    /// How routes say which way they go from now on.
    pub fn set_style(&mut self, style: NexthopStyle) {
        if self.nexthops.style() == style {
            return;
        }
        let balances: Vec<BalanceId> = self.balances.keys().copied().collect();
        for id in &balances {
            self.aim(*id, Vec::new());
        }
        self.nexthops.set_style(style);
        for id in &balances {
            let ways = self.ways(&self.balances[id].next_hops, 0, &mut Known::new());
            self.aim(*id, ways);
        }
        self.write_again(|_| true);
    }

    /// A link, an address, a neighbour, a nexthop or another's route appeared, changed or vanished.
    pub fn handle_object(&mut self, key: &Key, object: Option<&Object>) {
        if let Key::Neighbor { ifindex, address: IpAddr::V6(address) } = *key {
            self.handle_neighbor(ifindex, address, object);
            return;
        }
        self.routes_changed |= self.others.handle_object(key, object);
        if let (Key::Link(index), None) = (key, object) {
            self.macs.retain(|(ifindex, _), _| ifindex != index);
        }
        self.subnets_changed |= match (key, object) {
            (Key::Link(index), Some(Object::Link(link))) if link.up && link.running => {
                self.links_up.insert(*index)
            }
            (Key::Link(index), _) => self.links_up.remove(index),
            (Key::Address { ifindex, prefix }, Some(_)) => {
                self.addresses.insert((*ifindex, *prefix))
            }
            (Key::Address { ifindex, prefix }, None) => self.addresses.remove(&(*ifindex, *prefix)),
            (Key::Nexthop(id), Some(Object::Nexthop(nexthop))) if nexthop.is_ours() => {
                self.nexthops.note(*id, &nexthop.kind);
                false
            }
            (Key::Nexthop(id), _) => {
                self.nexthops.forget(*id);
                false
            }
            _ => false,
        };
    }

    /// BGP's best path to `prefix` goes by these next hops, in order, each once; by none: there is none any more, or it is
    /// our own.
    pub fn handle_best_path(&mut self, prefix: IpNet, next_hops: &[WeightedNextHop]) {
        self.routes_changed = true;
        let known = self.routes.get(&prefix).map(|installed| installed.balance);
        if known.is_some_and(|id| *self.balances[&id].next_hops == *next_hops) {
            return;
        }
        if next_hops.is_empty() {
            self.uninstall(prefix);
        } else {
            let id = self.join(next_hops);
            self.install(prefix, id);
        }
        if let Some(id) = known {
            self.leave(id);
        }
    }

    /// What should change in the kernel since the last call: keys with what should exist under them.
    pub fn poll_changes(&mut self) -> Vec<(Key, Option<Object>)> {
        if self.subnets_changed
            || (self.routes_changed && self.balances.values().any(|balance| !balance.direct))
        {
            self.resolve_again();
        }
        self.routes_changed = false;
        self.subnets_changed = false;
        self.changes.extend(self.nexthops.poll_changes());
        std::mem::take(&mut self.changes)
    }

    /// Prefixes that BGP has a path to.
    pub fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.routes.keys().copied()
    }

    /// What the kernel is to have of the best path to a prefix; `None`: there is none, or it is our own.
    pub fn outlook(&self, prefix: &IpNet) -> Option<Outlook> {
        let installed = self.routes.get(prefix)?;
        Some(match (installed.wanted, self.balances.get(&installed.balance)) {
            (true, _) | (false, None) => Outlook::Wanted,
            (false, Some(_)) if self.connected.contains(prefix) => Outlook::Connected,
            (false, Some(balance)) => {
                Outlook::Unreachable(balance.next_hops.iter().map(|hop| hop.next_hop).collect())
            }
        })
    }

    /// Next hops that nothing reaches, with the number of routes that wait for each.
    pub fn unreachable(&self) -> impl Iterator<Item = (ScopedAddress, usize)> {
        let mut waiting = BTreeMap::new();
        let mut known = Known::new();
        for balance in self.balances.values().filter(|balance| !balance.direct) {
            for hop in &balance.next_hops {
                if self.resolve(hop.next_hop, 0, &mut known).is_empty() {
                    *waiting.entry(hop.next_hop).or_default() += balance.routes;
                }
            }
        }
        waiting.into_iter()
    }

    /// One route more with these next hops.
    fn join(&mut self, next_hops: &[WeightedNextHop]) -> BalanceId {
        if let Some(id) = self.by_next_hops.get(next_hops)
            && let Some(balance) = self.balances.get_mut(id)
        {
            balance.routes += 1;
            return *id;
        }
        while self.balances.contains_key(&self.next_balance) {
            self.next_balance = self.next_balance.wrapping_add(1);
        }
        let id = self.next_balance;
        self.next_balance = id.wrapping_add(1);
        let ways = self.ways(next_hops, 0, &mut Known::new());
        let balance = Balance {
            next_hops: next_hops.into(),
            routes: 1,
            ways: Vec::new(),
            direct: self.are_direct(next_hops),
            target: Target::None,
        };
        self.by_next_hops.insert(next_hops.into(), id);
        self.balances.insert(id, balance);
        self.aim(id, ways);
        id
    }

    /// One route less.
    fn leave(&mut self, id: BalanceId) {
        let Some(balance) = self.balances.get_mut(&id) else { return };
        balance.routes -= 1;
        if balance.routes == 0 {
            self.aim(id, Vec::new());
            if let Some(balance) = self.balances.remove(&id) {
                self.by_next_hops.remove(&balance.next_hops);
            }
        }
    }

    /// Finds what the routes of a balance name in the kernel when they lead these ways. Returns whether it is another
    /// thing than before.
    fn aim(&mut self, id: BalanceId, ways: Vec<Way>) -> bool {
        let Some(balance) = self.balances.get_mut(&id) else { return false };
        let before = balance.target;
        let shares = balance.next_hops.len() > 1 || ways.len() > 1;
        let group = if shares && !ways.is_empty() && self.nexthops.style() == NexthopStyle::Object {
            self.nexthops.use_group(&ways).map(Target::Group)
        } else {
            None
        };
        let gateway = || {
            let egress = ways.first()?.0;
            Some(Target::Gateway(egress, self.nexthops.use_gateway(egress)?))
        };
        balance.target = group.or_else(gateway).unwrap_or(Target::None);
        balance.ways = ways;
        let changed = balance.target != before;
        match before {
            Target::None => {}
            Target::Group(group) => self.nexthops.release_group(group),
            Target::Gateway(egress, _) => {
                let was_last = self.nexthops.release_gateway(egress);
                if let (true, NexthopStyle::Inline, IpAddr::V6(_)) =
                    (was_last, self.nexthops.style(), egress.gateway)
                {
                    let key = Key::Neighbor { ifindex: egress.ifindex, address: STAND_IN.into() };
                    self.changes.push((key, None));
                }
            }
        }
        changed
    }

    fn install(&mut self, prefix: IpNet, balance: BalanceId) {
        let target = self.balances.get(&balance).map_or(Target::None, |balance| balance.target);
        let wanted = target != Target::None && !self.connected.contains(&prefix);
        let installed = Installed { balance, wanted };
        let before = self.routes.insert(prefix, installed);
        if wanted {
            let route = Route::new(prefix, METRIC, self.via(prefix, target));
            self.changes.push((route.key(), Some(Object::Route(route))));
        } else if before.is_some_and(|before| before.wanted) {
            self.changes.push((route_key(prefix), None));
        }
    }

    fn uninstall(&mut self, prefix: IpNet) {
        if self.routes.remove(&prefix).is_some_and(|installed| installed.wanted) {
            self.changes.push((route_key(prefix), None));
        }
    }

    /// What a route says; makes what it needs beside nexthop objects.
    fn via(&mut self, prefix: IpNet, target: Target) -> Via {
        match (target, self.nexthops.style(), prefix) {
            (Target::None, ..) => Via::Hops(Vec::new()),
            (Target::Group(id), ..) | (Target::Gateway(_, id), NexthopStyle::Object, _) => {
                Via::Nexthop(id)
            }
            (
                Target::Gateway(Egress { gateway: IpAddr::V6(gateway), ifindex }, _),
                NexthopStyle::Inline,
                IpNet::V4(_),
            ) => {
                self.stand_in(ifindex, gateway);
                let hop = Hop::gateway(STAND_IN.into(), ifindex);
                Via::Hops(vec![Hop { onlink: true, ..hop }])
            }
            (Target::Gateway(Egress { gateway, ifindex }, _), NexthopStyle::Inline, _) => {
                Via::Hops(vec![Hop::gateway(gateway, ifindex)])
            }
        }
    }

    /// Gives [`STAND_IN`] the gateway's MAC, once it is known.
    fn stand_in(&mut self, ifindex: Ifindex, gateway: Ipv6Addr) {
        let mac = self.macs.get(&(ifindex, gateway)).copied();
        let neighbor = mac.map(|mac| Neighbor::remote(ifindex, STAND_IN.into(), mac));
        let key = Key::Neighbor { ifindex, address: STAND_IN.into() };
        self.changes.push((key, neighbor.map(Object::Neighbor)));
    }

    fn handle_neighbor(&mut self, ifindex: Ifindex, address: Ipv6Addr, object: Option<&Object>) {
        // A gateway that is silent for a while keeps its MAC: without it, nothing could reach it again.
        let Some(Object::Neighbor(Neighbor { mac: Some(mac), state, .. })) = object else { return };
        if !state.is_valid() {
            return;
        }
        let known = self.macs.insert((ifindex, address), *mac);
        let egress = Egress { gateway: address.into(), ifindex };
        if self.nexthops.style() == NexthopStyle::Inline
            && known != Some(*mac)
            && self.nexthops.is_used(&egress)
        {
            self.stand_in(ifindex, address);
        }
    }

    /// Where next hops lead, and how the load is shared.
    fn ways(&self, next_hops: &[WeightedNextHop], depth: usize, known: &mut Known) -> Vec<Way> {
        let parts = next_hops
            .iter()
            .map(|hop| (hop.weight, self.resolve(hop.next_hop, depth, known)))
            .collect();
        share::combine(parts)
    }

    /// What is known already is not looked for again: that bounds the work, however routes refer to each other.
    fn resolve(&self, next_hop: ScopedAddress, depth: usize, known: &mut Known) -> Vec<Way> {
        if let Some(ifindex) = self.link_to(next_hop) {
            return vec![(Egress { gateway: next_hop.address, ifindex }, 1)];
        }
        if depth == MAX_RECURSION {
            return Vec::new();
        }
        if let Some(ways) = known.get(&(next_hop, depth)) {
            return ways.clone();
        }
        let ways = match self.longest_match(next_hop.address) {
            Some(Match::Ours(balance)) => self.ways(&balance.next_hops, depth + 1, known),
            Some(Match::Others(hops)) => self.ways_of_others(next_hop.address, hops),
            None => Vec::new(),
        };
        known.insert((next_hop, depth), ways.clone());
        ways
    }

    fn are_direct(&self, next_hops: &[WeightedNextHop]) -> bool {
        next_hops.iter().all(|hop| self.link_to(hop.next_hop).is_some())
    }

    /// The address's own link, or the one whose subnet has it, if it is not the link's own address.
    fn link_to(&self, next_hop: ScopedAddress) -> Option<Ifindex> {
        if next_hop.link.is_some() || next_hop.is_ambiguous() {
            return next_hop.link.filter(|link| self.links_up.contains(link));
        }
        let address = next_hop.address;
        self.addresses
            .iter()
            .filter(|(ifindex, prefix)| {
                self.links_up.contains(ifindex)
                    && prefix.contains(&address)
                    && prefix.addr() != address
            })
            .max_by_key(|(_, prefix)| prefix.prefix_len())
            .map(|(ifindex, _)| *ifindex)
    }

    /// The longest of all routes that contain the address. Of two to one prefix, the one with the lower metric.
    fn longest_match(&self, address: IpAddr) -> Option<Match<'_>> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (1..=longest).rev().find_map(|length| {
            let prefix = IpNet::new(address, length).ok()?.trunc();
            let ours = self.routes.get(&prefix);
            match self.others.best(&prefix) {
                Some((metric, hops)) if metric < METRIC || ours.is_none() => {
                    Some(Match::Others(hops))
                }
                _ => self.balances.get(&ours?.balance).map(Match::Ours),
            }
        })
    }

    fn ways_of_others(&self, next_hop: IpAddr, hops: &[Hop]) -> Vec<Way> {
        let up = hops.iter().filter(|hop| self.links_up.contains(&hop.ifindex));
        let egress =
            |hop: &Hop| Egress { gateway: hop.gateway.unwrap_or(next_hop), ifindex: hop.ifindex };
        let mut ways: Vec<Way> = up.map(|hop| (egress(hop), hop.weight)).collect();
        ways.sort_unstable();
        ways
    }

    /// Resolves all next hops again and writes the routes for which something else follows.
    fn resolve_again(&mut self) {
        let connected = self.connected_prefixes();
        let appeared_or_vanished = connected != self.connected;
        self.connected = connected;
        let mut known = Known::new();
        let mut moved: Vec<(BalanceId, Vec<Way>)> = Vec::new();
        let mut direct = Vec::new();
        for (id, balance) in &self.balances {
            direct.push((*id, self.are_direct(&balance.next_hops)));
            let ways = self.ways(&balance.next_hops, 0, &mut known);
            if ways != balance.ways {
                moved.push((*id, ways));
            }
        }
        for (id, direct) in direct {
            if let Some(balance) = self.balances.get_mut(&id) {
                balance.direct = direct;
            }
        }
        let in_place = self.replace_groups(&moved);
        let mut elsewhere = BTreeSet::new();
        for (id, ways) in moved {
            let Some(balance) = self.balances.get_mut(&id) else { continue };
            if let Target::Group(group) = balance.target
                && in_place.contains(&group)
            {
                balance.ways = ways;
            } else if self.aim(id, ways) {
                elsewhere.insert(id);
            }
        }
        if appeared_or_vanished || !elsewhere.is_empty() {
            self.write_again(|id| elsewhere.contains(&id));
        }
    }

    /// Groups of which all users now lead the same new ways: they stay what routes name, and get these ways.
    fn replace_groups(&mut self, moved: &[(BalanceId, Vec<Way>)]) -> HashSet<u32> {
        let mut candidates: HashMap<u32, (usize, Option<&Vec<Way>>)> = HashMap::new();
        for (id, ways) in moved {
            if let Target::Group(group) = self.balances[id].target {
                let (users, common) = candidates.entry(group).or_insert((0, Some(ways)));
                *users += 1;
                *common = common.filter(|common| *common == ways);
            }
        }
        let mut replaced = HashSet::new();
        for (group, (users, common)) in candidates {
            if let Some(ways) = common
                && !ways.is_empty()
                && users == self.nexthops.users_of_group(group)
            {
                self.nexthops.replace_group(group, ways);
                replaced.insert(group);
            }
        }
        replaced
    }

    /// Writes the routes of these balances, and those that came to or from a connected prefix.
    fn write_again(&mut self, changed: impl Fn(BalanceId) -> bool) {
        let is_stale = |(prefix, installed): (&IpNet, &Installed)| {
            let target = self.balances[&installed.balance].target;
            let wanted = target != Target::None && !self.connected.contains(prefix);
            (changed(installed.balance) || wanted != installed.wanted)
                .then_some((*prefix, installed.balance))
        };
        let stale: Vec<(IpNet, BalanceId)> = self.routes.iter().filter_map(is_stale).collect();
        for (prefix, balance) in stale {
            self.install(prefix, balance);
        }
    }

    fn connected_prefixes(&self) -> HashSet<IpNet> {
        let up = self.addresses.iter().filter(|(ifindex, _)| self.links_up.contains(ifindex));
        up.map(|(_, prefix)| prefix.trunc()).collect()
    }
}

#[cfg(test)]
mod tests;
