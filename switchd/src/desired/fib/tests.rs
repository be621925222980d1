use std::collections::BTreeMap;

use platform::kernel::{Address, Link, LinkKind, Nexthop, NexthopKind, NexthopMember};

use super::*;

/// A FIB and the kernel that does what it wants.
#[derive(Default)]
struct World {
    fib: Fib,
    kernel: BTreeMap<Key, Object>,
    routes_written: usize,
}

impl World {
    /// swp1 has 10.1.1.2/30, swp2 has 10.1.2.2/30.
    fn with_two_uplinks() -> Self {
        let mut world = Self::default();
        for index in [1, 2] {
            world.link(index, true);
            world.address(index, &format!("10.1.{index}.2/30"));
        }
        world
    }

    fn address(&mut self, index: Ifindex, prefix: &str) {
        let address = Object::Address(Address::new(index, prefix.parse().unwrap()));
        self.fib.handle_object(&address.key(), Some(&address));
        self.settle();
    }

    /// A route of protocol `static`, or none any more.
    fn static_route(&mut self, prefix: &str, metric: u32, gateway: Option<&str>, link: Ifindex) {
        let hop = |gateway: &str| Hop::gateway(gateway.parse().unwrap(), link);
        let hops = gateway.map(hop).into_iter().collect();
        let mut route = Route::new(prefix.parse().unwrap(), metric, Via::Hops(hops));
        route.protocol = 4;
        let (key, object) = (route.key(), gateway.map(|_| Object::Route(route)));
        self.fib.handle_object(&key, object.as_ref());
        self.settle();
    }

    /// `prefix via gateway dev link`, of the routes that have their gateway in them.
    fn inline_routes(&self) -> Vec<String> {
        let hop = |prefix, hop: &Hop| {
            let gateway = hop.gateway.unwrap();
            let onlink = if hop.onlink { " onlink" } else { "" };
            format!("{prefix} via {gateway} dev swp{}{onlink}", hop.ifindex)
        };
        self.kernel
            .values()
            .filter_map(|object| match object {
                Object::Route(Route { prefix, via: Via::Hops(hops), .. }) => {
                    hops.first().map(|first| hop(prefix, first))
                }
                _ => None,
            })
            .collect()
    }

    /// The MAC that stands for an IPv6 gateway on a link.
    fn stand_in(&self, ifindex: Ifindex) -> Option<MacAddr> {
        match self.kernel.get(&Key::Neighbor { ifindex, address: STAND_IN.into() }) {
            Some(Object::Neighbor(neighbor)) => neighbor.mac,
            _ => None,
        }
    }

    fn link(&mut self, index: Ifindex, running: bool) {
        let name = format!("swp{index}");
        let link = Object::Link(Link { running, ..Link::new(index, &name, LinkKind::Veth) });
        self.fib.handle_object(&link.key(), Some(&link));
        self.settle();
    }

    fn best(&mut self, prefix: &str, next_hop: Option<&str>) {
        let next_hops: Vec<(&str, u16)> =
            next_hop.map(|address| (address, 1)).into_iter().collect();
        self.several(prefix, &next_hops);
    }

    /// The best paths go by these next hops, with these weights.
    fn several(&mut self, prefix: &str, next_hops: &[(&str, u16)]) {
        let hop = |(address, weight): &(&str, u16)| WeightedNextHop {
            next_hop: scoped(address),
            weight: *weight,
        };
        let next_hops: Vec<WeightedNextHop> = next_hops.iter().map(hop).collect();
        self.fib.handle_best_path(prefix.parse().unwrap(), &next_hops);
        self.settle();
    }

    fn settle(&mut self) {
        for (key, object) in self.fib.poll_changes() {
            self.routes_written += usize::from(matches!(key, Key::Route { .. }));
            match object {
                Some(object) => self.kernel.insert(key, object),
                None => self.kernel.remove(&key),
            };
        }
    }

    /// `prefix via gateway dev link`, as the kernel would resolve it.
    fn routes(&self) -> Vec<String> {
        let gateway = |id| match self.kernel.get(&Key::Nexthop(id)) {
            Some(Object::Nexthop(Nexthop {
                kind: NexthopKind::Gateway { address, ifindex, .. },
                ..
            })) => {
                format!("via {address} dev swp{ifindex}")
            }
            _ => "by a nexthop that is not there".to_owned(),
        };
        let member = |member: &NexthopMember| match member.weight {
            1 => gateway(member.id),
            weight => format!("{} weight {weight}", gateway(member.id)),
        };
        let nexthop = |id| match self.kernel.get(&Key::Nexthop(id)) {
            Some(Object::Nexthop(Nexthop { kind: NexthopKind::Group(members), .. })) => {
                format!("group {}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
            _ => gateway(id),
        };
        self.kernel
            .values()
            .filter_map(|object| match object {
                Object::Route(Route { prefix, via: Via::Nexthop(id), .. }) => {
                    Some(format!("{prefix} {}", nexthop(*id)))
                }
                _ => None,
            })
            .collect()
    }

    fn nexthops(&self) -> usize {
        self.kernel.keys().filter(|key| matches!(key, Key::Nexthop(_))).count()
    }
}

#[test]
fn routes_by_one_gateway_share_one_nexthop_which_goes_with_the_last_of_them() {
    let mut world = World::with_two_uplinks();
    world.best("192.0.2.0/24", Some("10.1.1.1"));
    world.best("198.51.100.0/24", Some("10.1.1.1"));
    assert_eq!(
        world.routes(),
        ["192.0.2.0/24 via 10.1.1.1 dev swp1", "198.51.100.0/24 via 10.1.1.1 dev swp1"]
    );
    assert_eq!(world.nexthops(), 1);
    world.best("192.0.2.0/24", None);
    world.best("198.51.100.0/24", None);
    assert!(world.kernel.is_empty());
}

#[test]
fn a_next_hop_that_nothing_reaches_is_named_and_installed_once_a_link_leads_there() {
    let mut world = World::with_two_uplinks();
    world.link(2, false);
    world.best("192.0.2.0/24", Some("10.1.2.1"));
    assert!(world.kernel.is_empty());
    assert_eq!(world.fib.unreachable().collect::<Vec<_>>(), [(scoped("10.1.2.1"), 1)]);
    world.link(2, true);
    assert_eq!(world.routes(), ["192.0.2.0/24 via 10.1.2.1 dev swp2"]);
    assert_eq!(world.fib.unreachable().count(), 0);
}

#[test]
fn a_recursive_next_hop_follows_the_route_that_it_is_resolved_through() {
    let mut world = World::with_two_uplinks();
    world.best("192.0.2.0/24", Some("10.0.0.9"));
    assert!(world.kernel.is_empty(), "nothing leads to 10.0.0.9 yet");
    world.best("10.0.0.9/32", Some("10.1.1.1"));
    assert!(world.routes().contains(&"192.0.2.0/24 via 10.1.1.1 dev swp1".to_owned()));
    world.best("10.0.0.9/32", Some("10.1.2.1"));
    assert!(world.routes().contains(&"192.0.2.0/24 via 10.1.2.1 dev swp2".to_owned()));
    world.best("10.0.0.9/32", None);
    assert!(world.kernel.is_empty());
}

#[test]
fn a_next_hop_behind_a_static_route_goes_its_way_and_follows_it() {
    let mut world = World::with_two_uplinks();
    world.best("192.0.2.0/24", Some("10.0.0.9"));
    world.static_route("10.0.0.0/24", 0, Some("10.1.1.1"), 1);
    assert_eq!(world.routes(), ["192.0.2.0/24 via 10.1.1.1 dev swp1"]);
    // The longer one wins, whoever made it.
    world.best("10.0.0.9/32", Some("10.1.2.1"));
    assert!(world.routes().contains(&"192.0.2.0/24 via 10.1.2.1 dev swp2".to_owned()));
    // Of two to one prefix, the kernel takes the one with the lower metric.
    world.static_route("10.0.0.9/32", 0, Some("10.1.1.1"), 1);
    assert!(world.routes().contains(&"192.0.2.0/24 via 10.1.1.1 dev swp1".to_owned()));
    world.static_route("10.0.0.9/32", 0, None, 1);
    assert!(world.routes().contains(&"192.0.2.0/24 via 10.1.2.1 dev swp2".to_owned()));
    world.best("10.0.0.9/32", None);
    world.link(1, false);
    assert!(world.kernel.is_empty());
    assert_eq!(world.fib.unreachable().count(), 1);
}

#[test]
fn the_default_route_and_one_that_drops_lead_to_no_next_hop() {
    let mut world = World::with_two_uplinks();
    world.best("192.0.2.0/24", Some("10.0.0.9"));
    world.static_route("0.0.0.0/0", 0, Some("10.1.1.1"), 1);
    assert!(world.kernel.is_empty());
    world.static_route("10.0.0.0/8", 0, Some("10.1.1.1"), 1);
    let mut hole = Route::new("10.0.0.0/16".parse().unwrap(), 0, Via::Hops(Vec::new()));
    (hole.protocol, hole.kind) = (4, platform::kernel::RouteKind::Blackhole);
    world.fib.handle_object(&hole.key(), Some(&Object::Route(hole.clone())));
    world.settle();
    assert!(world.kernel.is_empty());
    world.fib.handle_object(&hole.key(), None);
    world.settle();
    assert_eq!(world.routes(), ["192.0.2.0/24 via 10.1.1.1 dev swp1"]);
}

#[test]
fn next_hops_that_are_resolved_through_each_other_are_unreachable_not_endless() {
    let mut world = World::with_two_uplinks();
    world.best("10.0.0.8/32", Some("10.0.0.9"));
    world.best("10.0.0.9/32", Some("10.0.0.8"));
    assert!(world.kernel.is_empty());
    assert_eq!(world.fib.unreachable().count(), 2);
}

#[test]
fn a_connected_prefix_is_left_to_the_kernel() {
    let mut world = World::with_two_uplinks();
    world.best("10.1.2.0/30", Some("10.1.1.1"));
    assert!(world.routes().is_empty());
    world.link(2, false);
    assert_eq!(world.routes(), ["10.1.2.0/30 via 10.1.1.1 dev swp1"], "its link is down");
    world.link(2, true);
    assert!(world.routes().is_empty());
}

#[test]
fn after_a_restart_the_same_gateway_gets_the_same_nexthop_id() {
    let mut first = World::with_two_uplinks();
    first.best("203.0.113.0/24", Some("10.1.2.1"));
    first.best("192.0.2.0/24", Some("10.1.1.1"));
    let mut second = World::with_two_uplinks();
    for object in first.kernel.values() {
        second.fib.handle_object(&object.key(), Some(object));
    }
    second.best("192.0.2.0/24", Some("10.1.1.1"));
    second.best("203.0.113.0/24", Some("10.1.2.1"));
    assert_eq!(second.kernel, first.kernel);
}

#[test]
fn where_the_driver_takes_no_nexthop_objects_the_gateway_stands_in_the_route() {
    let mut world = World::with_two_uplinks();
    world.fib.set_style(NexthopStyle::Inline);
    world.best("192.0.2.0/24", Some("10.1.1.1"));
    assert_eq!(world.nexthops(), 0);
    assert_eq!(world.inline_routes(), ["192.0.2.0/24 via 10.1.1.1 dev swp1"]);
    world.best("192.0.2.0/24", None);
    assert!(world.kernel.is_empty());
}

#[test]
fn an_ipv6_gateway_of_an_ipv4_route_is_stood_in_for_where_the_driver_takes_no_other() {
    let mut world = World::with_two_uplinks();
    world.address(1, "2001:db8:1::2/64");
    world.fib.set_style(NexthopStyle::Inline);
    world.best("192.0.2.0/24", Some("2001:db8:1::1"));
    assert_eq!(world.inline_routes(), ["192.0.2.0/24 via 169.254.0.1 dev swp1 onlink"]);
    assert_eq!(world.stand_in(1), None, "its MAC is not known yet");
    for last in [1, 2] {
        let mac = MacAddr::new(2, 0, 0, 0, 0, last);
        let neighbor = Neighbor {
            state: platform::kernel::NeighborState::Reachable,
            extern_learn: false,
            ..Neighbor::remote(1, "2001:db8:1::1".parse().unwrap(), mac)
        };
        let neighbor = Object::Neighbor(neighbor);
        world.fib.handle_object(&neighbor.key(), Some(&neighbor));
        world.settle();
        assert_eq!(world.stand_in(1), Some(mac), "it follows the gateway's MAC");
    }
    world.best("192.0.2.0/24", None);
    assert!(world.kernel.is_empty());
}

#[test]
fn changing_the_style_rewrites_every_route_and_leaves_nothing_of_the_old_one() {
    let mut world = World::with_two_uplinks();
    world.best("192.0.2.0/24", Some("10.1.1.1"));
    world.best("198.51.100.0/24", Some("10.1.2.1"));
    let routes = world.routes();
    world.fib.set_style(NexthopStyle::Inline);
    world.settle();
    assert_eq!(world.nexthops(), 0);
    assert_eq!(world.inline_routes().len(), 2);
    world.fib.set_style(NexthopStyle::Object);
    world.settle();
    assert_eq!(world.routes(), routes);
    assert_eq!(world.nexthops(), 2);
}

/// `10.0.0.1`, or `fe80::1%2` on the link with index 2.
fn scoped(text: &str) -> ScopedAddress {
    match text.split_once('%') {
        Some((address, link)) => {
            ScopedAddress { address: address.parse().unwrap(), link: Some(link.parse().unwrap()) }
        }
        None => text.parse::<IpAddr>().unwrap().into(),
    }
}

#[test]
fn the_same_link_local_next_hop_on_two_links_is_two_gateways() {
    let mut world = World::with_two_uplinks();
    world.best("203.0.113.0/24", Some("fe80::1%1"));
    world.best("2001:db8::/32", Some("fe80::1%2"));
    assert_eq!(
        world.routes(),
        ["203.0.113.0/24 via fe80::1 dev swp1", "2001:db8::/32 via fe80::1 dev swp2"]
    );
    world.link(2, false);
    assert_eq!(world.routes(), ["203.0.113.0/24 via fe80::1 dev swp1"]);
    assert_eq!(world.fib.unreachable().collect::<Vec<_>>(), [(scoped("fe80::1%2"), 1)]);
}

#[test]
fn a_link_local_next_hop_without_its_link_is_unreachable_not_guessed() {
    let mut world = World::with_two_uplinks();
    world.address(1, "fe80::2/64");
    world.best("203.0.113.0/24", Some("fe80::1"));
    assert_eq!(world.routes(), Vec::<String>::new());
}

const BOTH: &[(&str, u16)] = &[("10.1.1.1", 1), ("10.1.2.1", 1)];

#[test]
fn routes_that_share_their_load_alike_share_a_group_which_goes_with_the_last_of_them() {
    let mut world = World::with_two_uplinks();
    world.several("192.0.2.0/24", BOTH);
    world.several("198.51.100.0/24", BOTH);
    let group = "group via 10.1.1.1 dev swp1, via 10.1.2.1 dev swp2";
    assert_eq!(
        world.routes(),
        [format!("192.0.2.0/24 {group}"), format!("198.51.100.0/24 {group}")]
    );
    assert_eq!(world.nexthops(), 3, "two gateways and one group");
    world.several("192.0.2.0/24", &[]);
    world.several("198.51.100.0/24", &[]);
    assert!(world.kernel.is_empty());
}

#[test]
fn a_link_that_goes_and_comes_back_replaces_the_group_and_writes_no_route() {
    let mut world = World::with_two_uplinks();
    world.several("192.0.2.0/24", BOTH);
    world.several("198.51.100.0/24", &[("10.1.1.1", 3), ("10.1.2.1", 1)]);
    let before = world.routes();
    let written = world.routes_written;
    world.link(2, false);
    let one = "group via 10.1.1.1 dev swp1";
    assert_eq!(world.routes(), [format!("192.0.2.0/24 {one}"), format!("198.51.100.0/24 {one}")]);
    world.link(2, true);
    assert_eq!(world.routes(), before);
    assert_eq!(world.routes_written, written);
}

#[test]
fn routes_whose_last_way_is_gone_leave_the_kernel_and_come_back_with_it() {
    let mut world = World::with_two_uplinks();
    world.several("192.0.2.0/24", BOTH);
    world.link(1, false);
    world.link(2, false);
    assert!(world.kernel.is_empty());
    assert_eq!(world.fib.unreachable().count(), 2);
    world.link(2, true);
    assert_eq!(world.routes(), ["192.0.2.0/24 group via 10.1.2.1 dev swp2"]);
}

#[test]
fn weights_are_those_of_the_paths() {
    let mut world = World::with_two_uplinks();
    world.several("192.0.2.0/24", &[("10.1.1.1", 2), ("10.1.2.1", 5)]);
    assert_eq!(
        world.routes(),
        ["192.0.2.0/24 group via 10.1.1.1 dev swp1 weight 2, via 10.1.2.1 dev swp2 weight 5"]
    );
}

#[test]
fn a_next_hop_that_is_reached_several_ways_goes_all_of_them() {
    let mut world = World::with_two_uplinks();
    world.several("10.0.0.9/32", BOTH);
    world.best("192.0.2.0/24", Some("10.0.0.9"));
    let group = "group via 10.1.1.1 dev swp1, via 10.1.2.1 dev swp2";
    assert_eq!(world.routes(), [format!("10.0.0.9/32 {group}"), format!("192.0.2.0/24 {group}")]);
    assert_eq!(world.nexthops(), 3, "they share the group");
    let written = world.routes_written;
    world.link(1, false);
    let one = "group via 10.1.2.1 dev swp2";
    assert_eq!(world.routes(), [format!("10.0.0.9/32 {one}"), format!("192.0.2.0/24 {one}")]);
    assert_eq!(world.routes_written, written);
}

#[test]
fn a_group_whose_users_part_is_no_longer_shared() {
    let mut world = World::with_two_uplinks();
    world.several("10.0.0.9/32", BOTH);
    world.best("192.0.2.0/24", Some("10.0.0.9"));
    world.best("10.0.0.9/32", Some("10.1.2.1"));
    assert_eq!(
        world.routes(),
        ["10.0.0.9/32 via 10.1.2.1 dev swp2", "192.0.2.0/24 group via 10.1.2.1 dev swp2"]
    );
    world.best("10.0.0.9/32", None);
    assert!(world.kernel.is_empty());
}

#[test]
fn after_a_restart_groups_have_the_same_numbers() {
    let mut first = World::with_two_uplinks();
    first.several("203.0.113.0/24", &[("10.1.1.1", 1), ("10.1.2.1", 2)]);
    first.several("192.0.2.0/24", BOTH);
    let mut second = World::with_two_uplinks();
    for object in first.kernel.values() {
        second.fib.handle_object(&object.key(), Some(object));
    }
    second.several("192.0.2.0/24", BOTH);
    second.several("203.0.113.0/24", &[("10.1.1.1", 1), ("10.1.2.1", 2)]);
    assert_eq!(second.kernel, first.kernel);
}

#[test]
fn a_number_is_not_given_to_another_thing_while_the_kernel_holds_the_old_one() {
    let mut world = World::with_two_uplinks();
    world.several("192.0.2.0/24", BOTH);
    let held = world.kernel.clone();
    for object in held.values() {
        world.fib.handle_object(&object.key(), Some(object));
    }
    world.several("192.0.2.0/24", &[]);
    world.several("192.0.2.0/24", &[("10.1.1.1", 1), ("10.1.2.1", 9)]);
    let groups = |kernel: &BTreeMap<Key, Object>| {
        let is_group = |object: &&Object| matches!(object, Object::Nexthop(nexthop) if !nexthop.kind.members().is_empty());
        kernel.values().filter(is_group).map(Object::key).collect::<Vec<_>>()
    };
    assert_ne!(groups(&world.kernel), groups(&held));
}

#[test]
fn where_the_driver_takes_no_nexthop_objects_one_of_several_ways_is_written() {
    let mut world = World::with_two_uplinks();
    world.fib.set_style(NexthopStyle::Inline);
    world.several("192.0.2.0/24", BOTH);
    assert_eq!(world.inline_routes(), ["192.0.2.0/24 via 10.1.1.1 dev swp1"]);
    world.link(1, false);
    assert_eq!(world.inline_routes(), ["192.0.2.0/24 via 10.1.2.1 dev swp2"]);
    world.several("192.0.2.0/24", &[]);
    assert!(world.kernel.is_empty());
}

#[test]
fn routes_that_refer_to_each_other_in_many_ways_are_resolved_in_bounded_time() {
    let mut world = World::with_two_uplinks();
    let addresses: Vec<String> = (1..=64).map(|last| format!("10.9.0.{last}")).collect();
    let all: Vec<(&str, u16)> = addresses.iter().map(|address| (address.as_str(), 1)).collect();
    for address in &addresses {
        let next_hops = all.iter().map(|(address, weight)| WeightedNextHop {
            next_hop: scoped(address),
            weight: *weight,
        });
        let prefix = format!("{address}/32").parse().unwrap();
        world.fib.handle_best_path(prefix, &next_hops.collect::<Vec<_>>());
    }
    world.settle();
    assert!(world.kernel.is_empty());
    assert_eq!(world.fib.unreachable().count(), 64);
}
