use super::*;
use crate::kernel::{Bridge, BridgePort, Hop, LinkKind, NexthopMember};

fn link(index: Ifindex, master: Option<Ifindex>) -> Link {
    Link {
        index,
        name: format!("link{index}"),
        kind: LinkKind::Physical,
        master,
        up: true,
        running: true,
        mac: None,
        mtu: 1500,
        port: master.map(|_| BridgePort::default()),
        alias: None,
        lower: None,
        lower_namespace: None,
        hardware: None,
    }
}

fn bridge(index: Ifindex) -> Link {
    Link { kind: LinkKind::Bridge(Bridge::default()), ..link(index, None) }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn in_bridge(ifindex: Ifindex, number: u8) -> FdbEntry {
    FdbEntry {
        master: Some(2),
        ..FdbEntry::remote_in_bridge(ifindex, MacAddr(2, 0, 0, 0, 0, number))
    }
}

fn route(prefix: &str, via: Via) -> Route {
    Route::new(prefix.parse().unwrap(), 20, via)
}

fn gateway(id: u32, ifindex: Ifindex) -> Nexthop {
    Nexthop::new(id, NexthopKind::Gateway { address: ip("10.0.0.2"), ifindex, onlink: false })
}

fn model() -> Model {
    [bridge(2), link(3, Some(2)), link(4, Some(2)), link(5, None)]
        .map(Object::Link)
        .into_iter()
        .collect()
}

#[test]
fn the_kernel_repeating_itself_makes_nothing_dirty() {
    let mut model = model();
    let entry = Object::Fdb(in_bridge(3, 1));
    assert_eq!(model.apply(Notification::New(entry.clone())), [entry.key()]);
    assert_eq!(model.apply(Notification::New(entry.clone())), []);
    assert_eq!(model.apply(Notification::Gone(entry.clone())), [entry.key()]);
    assert_eq!(model.apply(Notification::Gone(entry)), []);
}

#[test]
fn a_mac_that_moves_to_another_port_is_dirty_in_both_places() {
    let mut model = model();
    model.apply(Notification::New(Object::Fdb(in_bridge(3, 1))));
    let dirty = model.apply(Notification::New(Object::Fdb(in_bridge(4, 1))));
    assert_eq!(dirty, [in_bridge(3, 1).key(), in_bridge(4, 1).key()]);
    assert_eq!(model.fdb().count(), 1);
    let late = model.apply(Notification::Gone(Object::Fdb(in_bridge(3, 1))));
    assert!(late.is_empty() && model.fdb_of(4).count() == 1);
}

#[test]
fn deleting_a_link_takes_along_all_that_was_on_it() {
    let mut model = model();
    let address = Address::new(5, "10.0.0.1/24".parse().unwrap());
    let neighbor = Neighbor::remote(5, ip("10.0.0.2"), MacAddr(2, 0, 0, 0, 0, 1));
    let by_hop = route("10.1.0.0/16", Via::Hops(vec![Hop::gateway(ip("10.0.0.2"), 5)]));
    let by_nexthop = route("10.2.0.0/16", Via::Nexthop(1));
    let objects = [
        Object::Address(address),
        Object::Neighbor(neighbor),
        Object::Nexthop(gateway(1, 5)),
        Object::Route(by_hop),
        Object::Route(by_nexthop),
    ];
    for object in &objects {
        model.apply(Notification::New(object.clone()));
    }
    let mut dirty = model.apply(Notification::Gone(Object::Link(link(5, None))));
    let mut expected: Vec<Key> = objects.iter().map(Object::key).chain([Key::Link(5)]).collect();
    dirty.sort();
    expected.sort();
    assert_eq!(dirty, expected);
    assert!(
        model
            == [bridge(2), link(3, Some(2)), link(4, Some(2))]
                .map(Object::Link)
                .into_iter()
                .collect()
    );
}

#[test]
fn a_nexthop_that_goes_leaves_its_groups_and_takes_its_routes() {
    let mut model = model();
    let member = |id| NexthopMember { id, weight: 1 };
    let group = |members| Nexthop::new(10, NexthopKind::Group(members));
    let alone = Nexthop::new(11, NexthopKind::Group(vec![member(1)]));
    for nexthop in [gateway(1, 5), gateway(2, 5), group(vec![member(1), member(2)]), alone] {
        model.apply(Notification::New(Object::Nexthop(nexthop)));
    }
    let routes = [route("10.1.0.0/16", Via::Nexthop(1)), route("10.2.0.0/16", Via::Nexthop(11))];
    for route in &routes {
        model.apply(Notification::New(Object::Route(route.clone())));
    }
    let mut dirty = model.apply(Notification::Gone(Object::Nexthop(gateway(1, 5))));
    dirty.sort();
    let mut expected: Vec<Key> =
        [1, 10, 11].map(Key::Nexthop).into_iter().chain(routes.iter().map(Route::key)).collect();
    expected.sort();
    assert_eq!(dirty, expected);
    assert_eq!(model.nexthops().find(|nexthop| nexthop.id == 10), Some(&group(vec![member(2)])));
}

#[test]
fn ipv4_routes_go_with_their_last_link_that_is_up() {
    let mut model = model();
    let hops = |links: &[Ifindex]| {
        Via::Hops(links.iter().map(|link| Hop::gateway(ip("10.0.0.2"), *link)).collect())
    };
    for route in [
        route("10.1.0.0/16", hops(&[5])),
        route("10.2.0.0/16", hops(&[3, 5])),
        route("2001:db8::/32", hops(&[5])),
    ] {
        model.apply(Notification::New(Object::Route(route)));
    }
    let down = |index| Notification::New(Object::Link(Link { up: false, ..link(index, None) }));
    let dirty = model.apply(down(5));
    assert_eq!(dirty, [Key::Link(5), route("10.1.0.0/16", hops(&[5])).key()]);
    let dirty = model.apply(down(3));
    assert!(dirty.contains(&route("10.2.0.0/16", hops(&[3, 5])).key()));
    assert_eq!(model.routes().count(), 1, "the kernel announces IPv6 routes that go");
}

#[test]
fn an_ipv6_route_is_gone_with_its_last_hop() {
    let mut model = model();
    let route = |gateways: &[&str]| {
        Object::Route(route(
            "2001:db8::/32",
            Via::Hops(gateways.iter().map(|gateway| Hop::gateway(ip(gateway), 5)).collect()),
        ))
    };
    model.apply(Notification::New(route(&["fe80::1", "fe80::2"])));
    model.apply(Notification::Gone(route(&["fe80::1"])));
    assert_eq!(model.get(&route(&[]).key()), Some(route(&["fe80::2"])));
    model.apply(Notification::Gone(route(&["fe80::2"])));
    assert_eq!(model.get(&route(&[]).key()), None);
}

#[test]
fn a_link_that_leaves_its_bridge_takes_its_entries_and_port_settings() {
    let mut model = model();
    model.apply(Notification::New(Object::Fdb(in_bridge(3, 1))));
    let dirty = model.apply(Notification::New(Object::Link(link(3, None))));
    assert_eq!(dirty, [Key::Link(3), in_bridge(3, 1).key()]);
    let port =
        Notification::Port { index: 3, port: Some(BridgePort::default()), vlans: Vec::new() };
    assert_eq!(model.apply(port), [], "a late word about a port that is none");
}

#[test]
fn a_route_goes_with_the_address_that_it_names_as_source() {
    let mut model = model();
    let address = Object::Address(Address::new(5, "10.0.0.1/24".parse().unwrap()));
    let route = Route {
        source: Some(ip("10.0.0.1")),
        ..route("10.1.0.0/16", Via::Hops(vec![Hop::device(3)]))
    };
    model.apply(Notification::New(address.clone()));
    model.apply(Notification::New(Object::Route(route.clone())));
    assert_eq!(model.apply(Notification::Gone(address.clone())), [route.key(), address.key()]);
}
