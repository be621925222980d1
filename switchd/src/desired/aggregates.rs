//! Aggregates: a prefix that we announce while BGP has a route inside it (RFC 4271 §9.2.2.2), and the kernel's route that
//! drops what no more specific one takes, so that nothing goes back to where it came from.
//!
//! As in FRR: the path is empty and ATOMIC_AGGREGATE says that something was left out, AGGREGATOR who did it, and the
//! origin is the worst of the routes inside. Other aggregates do not count as routes inside.

use std::collections::HashMap;

use bgp::speaker::Route;
use bgp::types::{Asn, RouterId};
use bgp::wire::{Aggregator, AttributeSet, EvpnPayload, Origin};
use ipnet::IpNet;
use platform::kernel::{Key, Object, Route as KernelRoute, RouteKind, Via};

use super::fib;
use super::networks::{NetworkChange, own_next_hop, route_key};

/// All aggregates of the configuration.
#[derive(Debug)]
pub struct Aggregates {
    aggregator: Aggregator,
    list: Vec<Aggregate>,
}

#[derive(Debug)]
struct Aggregate {
    prefix: IpNet,
    /// Best paths inside it, with their origins.
    inside: HashMap<IpNet, Origin>,
    /// The origin that it is announced with, if it is.
    announced: Option<Origin>,
    changed: bool,
    /// BGP's best path to it is ours.
    is_best: bool,
    /// The kernel is to drop what only it matches.
    discards: bool,
}

/// Routes of the kernel that drop, by what is to become of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Discards {
    /// No longer wanted: to be taken back before anybody else's wish for the same key.
    pub gone: Vec<Key>,
    /// Wanted, after that.
    pub wanted: Vec<Object>,
}

impl Aggregates {
    /// `asn` and `router_id` are ours.
    pub fn new(prefixes: impl IntoIterator<Item = IpNet>, asn: Asn, router_id: RouterId) -> Self {
        let aggregate = |prefix| Aggregate {
            prefix,
            inside: HashMap::new(),
            announced: None,
            changed: false,
            is_best: false,
            discards: false,
        };
        Self {
            aggregator: Aggregator { asn, router_id },
            list: prefixes.into_iter().map(aggregate).collect(),
        }
    }

    /// BGP's best path to `prefix` has this origin, and begins here or not; `None`: there is no path.
    pub fn handle_best_path(&mut self, prefix: IpNet, best: Option<(Origin, bool)>) {
        if self.list.is_empty() {
            return;
        }
        let is_aggregate = self.list.iter().any(|aggregate| aggregate.prefix == prefix);
        for aggregate in &mut self.list {
            if aggregate.prefix == prefix {
                aggregate.is_best = matches!(best, Some((_, true)));
            } else if !is_aggregate && aggregate.prefix.contains(&prefix) {
                let known = match best {
                    Some((origin, _)) => aggregate.inside.insert(prefix, origin),
                    None => aggregate.inside.remove(&prefix),
                };
                aggregate.changed |= known != best.map(|(origin, _)| origin);
            }
        }
    }

    /// What is to be announced or withdrawn since the last call.
    pub fn poll_changes(&mut self) -> Vec<NetworkChange> {
        let aggregator = self.aggregator;
        self.list.iter_mut().filter_map(|aggregate| aggregate.poll_change(aggregator)).collect()
    }

    /// Prefixes that the kernel is to drop.
    pub fn discarded(&self) -> impl Iterator<Item = IpNet> {
        self.list.iter().filter(|aggregate| aggregate.discards).map(|aggregate| aggregate.prefix)
    }

    /// What is to change in the kernel since the last call.
    pub fn poll_discards(&mut self) -> Discards {
        let mut discards = Discards::default();
        for aggregate in &mut self.list {
            let wanted = aggregate.is_best && aggregate.announced.is_some();
            if wanted == aggregate.discards {
                continue;
            }
            aggregate.discards = wanted;
            match wanted {
                true => discards.wanted.push(discard(aggregate.prefix)),
                false => discards.gone.push(fib::route_key(aggregate.prefix)),
            }
        }
        discards
    }
}

impl Aggregate {
    fn poll_change(&mut self, aggregator: Aggregator) -> Option<NetworkChange> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let wanted = self.inside.values().copied().max_by_key(|origin| *origin as u8);
        if wanted == self.announced {
            return None;
        }
        self.announced = wanted;
        let key = route_key(self.prefix);
        Some(match wanted {
            Some(origin) => {
                let mut attributes = AttributeSet::builder(own_next_hop(self.prefix));
                attributes.set_origin(origin).set_aggregator(aggregator).set_atomic_aggregate();
                let attributes = attributes.build();
                let payload = EvpnPayload::default();
                NetworkChange::Announce(Box::new(Route { key, payload, attributes }))
            }
            None => NetworkChange::Withdraw(key),
        })
    }
}

/// In the place of the route that BGP's best path to the prefix would have.
fn discard(prefix: IpNet) -> Object {
    let route = fib::route(prefix, Via::Hops(Vec::new()));
    Object::Route(KernelRoute { kind: RouteKind::Blackhole, ..route })
}

#[cfg(test)]
mod tests {
    use bgp::speaker::RouteKey;

    use super::*;

    fn prefix(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn aggregates(prefixes: &[&str]) -> Aggregates {
        let prefixes = prefixes.iter().map(|text| prefix(text));
        Aggregates::new(prefixes, Asn(65001), RouterId([10, 0, 0, 1].into()))
    }

    /// What changed: prefix and origin, or that it is withdrawn.
    fn changes(aggregates: &mut Aggregates) -> Vec<(RouteKey, Option<Origin>)> {
        let aggregator = Some(aggregates.aggregator);
        let change = |change| match change {
            NetworkChange::Announce(route) => {
                assert!(route.attributes.atomic_aggregate());
                assert_eq!(route.attributes.aggregator(), aggregator);
                assert!(route.attributes.as_path().is_empty());
                (route.key, Some(route.attributes.origin()))
            }
            NetworkChange::Withdraw(key) => (key, None),
        };
        let changes = aggregates.poll_changes();
        changes.into_iter().map(change).collect()
    }

    #[test]
    fn it_is_announced_with_the_worst_origin_while_there_is_a_route_inside() {
        let mut aggregates = aggregates(&["10.0.0.0/8"]);
        let key = route_key(prefix("10.0.0.0/8"));
        aggregates.handle_best_path(prefix("11.0.0.0/16"), Some((Origin::Igp, false)));
        aggregates.handle_best_path(prefix("0.0.0.0/0"), Some((Origin::Igp, false)));
        assert_eq!(changes(&mut aggregates), []);
        aggregates.handle_best_path(prefix("10.1.0.0/16"), Some((Origin::Igp, false)));
        assert_eq!(changes(&mut aggregates), [(key.clone(), Some(Origin::Igp))]);
        aggregates.handle_best_path(prefix("10.2.0.0/16"), Some((Origin::Incomplete, true)));
        assert_eq!(changes(&mut aggregates), [(key.clone(), Some(Origin::Incomplete))]);
        aggregates.handle_best_path(prefix("10.2.0.0/16"), None);
        aggregates.handle_best_path(prefix("10.1.0.0/16"), None);
        assert_eq!(changes(&mut aggregates), [(key, None)]);
    }

    #[test]
    fn an_aggregate_does_not_keep_a_wider_one_alive() {
        let mut aggregates = aggregates(&["10.0.0.0/8", "10.1.0.0/16"]);
        aggregates.handle_best_path(prefix("10.1.1.0/24"), Some((Origin::Igp, false)));
        assert_eq!(changes(&mut aggregates).len(), 2);
        aggregates.handle_best_path(prefix("10.1.0.0/16"), Some((Origin::Igp, true)));
        aggregates.handle_best_path(prefix("10.1.1.0/24"), None);
        let gone = changes(&mut aggregates);
        assert_eq!(gone.len(), 2, "{gone:?}");
        assert!(gone.iter().all(|(_, origin)| origin.is_none()));
    }

    #[test]
    fn the_kernel_drops_what_only_the_aggregate_matches_while_it_is_the_best_path() {
        let mut aggregates = aggregates(&["10.0.0.0/8"]);
        aggregates.handle_best_path(prefix("10.1.0.0/16"), Some((Origin::Igp, false)));
        aggregates.poll_changes();
        assert_eq!(aggregates.poll_discards(), Discards::default(), "BGP has not taken it yet");
        aggregates.handle_best_path(prefix("10.0.0.0/8"), Some((Origin::Igp, true)));
        let Discards { gone, wanted } = aggregates.poll_discards();
        let [Object::Route(route)] = wanted.as_slice() else { panic!("{wanted:?}") };
        assert_eq!((route.kind, gone.as_slice()), (RouteKind::Blackhole, &[][..]));
        aggregates.handle_best_path(prefix("10.0.0.0/8"), None);
        let gone = vec![fib::route_key(prefix("10.0.0.0/8"))];
        assert_eq!(aggregates.poll_discards(), Discards { gone, wanted: Vec::new() });
    }
}
