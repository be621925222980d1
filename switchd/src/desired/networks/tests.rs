use bgp::policy::{
    Action, Condition, Continue, Entry, PrefixList, PrefixRule, RouteCondition, RouteMap, Setting,
};
use platform::kernel::{Address, Link, LinkKind, Object, Route as KernelRoute, TABLE_MAIN, Via};

use super::*;

const BOOT: u8 = 3;
const STATIC: u8 = 4;
const OSPF: u8 = 188;

fn networks(configured: &[&str], import_check: bool, redistribute: &[RouteSource]) -> Networks {
    let origination = Origination {
        networks: configured.iter().map(|prefix| prefix.parse().unwrap()).collect(),
        import_check,
        redistribute: redistribute.iter().map(|source| (*source, None)).collect(),
    };
    Networks::new(origination, Asn(65001), TABLE_MAIN)
}

fn link(index: Ifindex, up: bool) -> Object {
    Object::Link(Link {
        up,
        running: up,
        ..Link::new(index, format!("swp{index}"), LinkKind::Veth)
    })
}

fn address(ifindex: Ifindex, prefix: &str) -> Object {
    Object::Address(Address::new(ifindex, prefix.parse().unwrap()))
}

fn kernel_route(prefix: &str, metric: u32, protocol: u8) -> Object {
    let route = KernelRoute::new(prefix.parse().unwrap(), metric, Via::Hops(Vec::new()));
    Object::Route(KernelRoute { protocol, ..route })
}

fn tell(networks: &mut Networks, object: &Object) {
    networks.handle_object(&object.key(), Some(object));
}

fn vanish(networks: &mut Networks, object: &Object) {
    networks.handle_object(&object.key(), None);
}

/// `+10.0.0.0/24 i` announced as a network, `+10.0.0.0/24 ? 20` redistributed with MED 20, `-10.0.0.0/24` withdrawn.
fn changes(networks: &mut Networks) -> Vec<String> {
    let text = |change: &NetworkChange| match change {
        NetworkChange::Announce(route) => {
            let origin = if route.attributes.origin() == Origin::Igp { "i" } else { "?" };
            let med = route.attributes.med().map(|med| format!(" {med}")).unwrap_or_default();
            format!("+{} {origin}{med}", route.key)
        }
        NetworkChange::Withdraw(key) => format!("-{key}"),
    };
    networks.poll_changes().iter().map(text).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_prefix_is_announced_while_a_link_that_is_up_has_an_address_in_it() {
    let mut networks = networks(&[], false, &[RouteSource::Connected]);
    tell(&mut networks, &address(2, "10.0.0.1/24"));
    assert_eq!(changes(&mut networks), NOTHING);
    tell(&mut networks, &link(2, true));
    assert_eq!(changes(&mut networks), ["+10.0.0.0/24 ? 0"]);
    tell(&mut networks, &address(2, "10.0.0.2/24"));
    assert_eq!(changes(&mut networks), NOTHING);
    vanish(&mut networks, &address(2, "10.0.0.1/24"));
    assert_eq!(changes(&mut networks), NOTHING, "another address of the link is in the prefix");
    tell(&mut networks, &link(2, false));
    assert_eq!(changes(&mut networks), ["-10.0.0.0/24"]);
}

#[test]
fn a_prefix_on_two_links_stays_until_both_are_down() {
    let mut networks = networks(&[], false, &[RouteSource::Connected]);
    for index in [2, 3] {
        tell(&mut networks, &link(index, true));
        tell(&mut networks, &address(index, &format!("10.0.0.{index}/24")));
    }
    assert_eq!(changes(&mut networks), ["+10.0.0.0/24 ? 0"]);
    vanish(&mut networks, &link(2, true));
    assert_eq!(changes(&mut networks), NOTHING);
    tell(&mut networks, &link(3, false));
    assert_eq!(changes(&mut networks), ["-10.0.0.0/24"]);
}

#[test]
fn loopback_and_link_local_prefixes_stay_at_home() {
    let mut networks = networks(&[], false, &[RouteSource::Connected]);
    tell(&mut networks, &link(1, true));
    for prefix in ["127.0.0.1/8", "::1/128", "fe80::1/64", "169.254.1.1/16", "192.0.2.1/32"] {
        tell(&mut networks, &address(1, prefix));
    }
    assert_eq!(changes(&mut networks), ["+192.0.2.1/32 ? 0"]);
}

#[test]
fn configured_prefixes_are_announced_whatever_the_interfaces_say() {
    let mut networks = networks(&["198.51.100.0/24"], false, &[]);
    tell(&mut networks, &link(2, true));
    tell(&mut networks, &address(2, "10.0.0.1/24"));
    assert_eq!(changes(&mut networks), ["+198.51.100.0/24 i"]);
    assert_eq!(changes(&mut networks), NOTHING);
}

#[test]
fn with_import_check_a_network_is_announced_while_the_kernel_has_exactly_that_route() {
    let mut networks = networks(&["198.51.100.0/24", "10.0.0.0/24"], true, &[]);
    assert_eq!(changes(&mut networks), NOTHING);
    tell(&mut networks, &kernel_route("198.51.100.0/25", 0, STATIC));
    tell(&mut networks, &kernel_route("198.51.100.0/24", 20, PROTOCOL_BGP));
    assert_eq!(changes(&mut networks), NOTHING, "neither a part of it nor BGP's own counts");
    let ospf = kernel_route("198.51.100.0/24", 110, OSPF);
    tell(&mut networks, &ospf);
    tell(&mut networks, &link(2, true));
    tell(&mut networks, &address(2, "10.0.0.1/24"));
    assert_eq!(changes(&mut networks), ["+10.0.0.0/24 i", "+198.51.100.0/24 i"]);
    vanish(&mut networks, &ospf);
    assert_eq!(changes(&mut networks), ["-198.51.100.0/24"]);
}

#[test]
fn static_and_kernel_routes_are_told_apart_by_who_made_them() {
    let all = |networks: &mut Networks| {
        tell(networks, &kernel_route("10.1.0.0/16", 30, STATIC));
        tell(networks, &kernel_route("10.2.0.0/16", 40, BOOT));
        tell(networks, &kernel_route("10.3.0.0/16", 0, OSPF));
        tell(networks, &kernel_route("10.4.0.0/16", 20, PROTOCOL_BGP));
        // A redirect, the kernel's own subnet, a router advertisement.
        for (third, protocol) in [(5, 1), (6, 2), (7, 9)] {
            tell(networks, &kernel_route(&format!("10.{third}.0.0/16"), 0, protocol));
        }
    };
    let mut only_static = networks(&[], false, &[RouteSource::Static]);
    all(&mut only_static);
    assert_eq!(changes(&mut only_static), ["+10.1.0.0/16 ? 30"]);
    let mut only_kernel = networks(&[], false, &[RouteSource::Kernel]);
    all(&mut only_kernel);
    assert_eq!(changes(&mut only_kernel), ["+10.2.0.0/16 ? 40"]);
}

#[test]
fn of_several_routes_to_a_prefix_the_one_that_packets_take_counts() {
    let mut networks = networks(&[], false, &[RouteSource::Static]);
    tell(&mut networks, &kernel_route("10.1.0.0/16", 30, STATIC));
    assert_eq!(changes(&mut networks), ["+10.1.0.0/16 ? 30"]);
    let better = kernel_route("10.1.0.0/16", 10, OSPF);
    tell(&mut networks, &better);
    assert_eq!(changes(&mut networks), ["-10.1.0.0/16"]);
    vanish(&mut networks, &better);
    assert_eq!(changes(&mut networks), ["+10.1.0.0/16 ? 30"]);
    let lower = kernel_route("10.1.0.0/16", 5, STATIC);
    tell(&mut networks, &lower);
    assert_eq!(changes(&mut networks), ["+10.1.0.0/16 ? 5"], "the MED follows the metric");
}

#[test]
fn routes_of_other_tables_and_to_this_machine_itself_are_nobody_elses() {
    let mut networks = networks(&[], false, &[RouteSource::Static, RouteSource::Kernel]);
    let Object::Route(route) = kernel_route("10.1.0.0/16", 0, STATIC) else { unreachable!() };
    tell(&mut networks, &Object::Route(KernelRoute { table: 100, ..route.clone() }));
    tell(&mut networks, &Object::Route(KernelRoute { kind: RouteKind::Local, ..route.clone() }));
    assert_eq!(changes(&mut networks), NOTHING);
    tell(&mut networks, &Object::Route(KernelRoute { kind: RouteKind::Blackhole, ..route }));
    assert_eq!(changes(&mut networks), ["+10.1.0.0/16 ? 0"]);
}

#[test]
fn a_policy_decides_what_is_redistributed_and_with_which_attributes() {
    let rule = PrefixRule {
        sequence: 5,
        action: Action::Permit,
        prefix: Some("10.1.0.0/16".parse().unwrap()),
        ge: None,
        le: Some(24),
    };
    let list = Arc::new(PrefixList::new("LIST".into(), vec![rule]).unwrap());
    let entry = Entry {
        sequence: 10,
        action: Action::Permit,
        conditions: vec![Condition::Route(RouteCondition::Prefix(list))],
        settings: vec![Setting::Med(77)],
        call: None,
        then: Continue::No,
    };
    let map = Arc::new(RouteMap::new("MAP".into(), vec![entry]).unwrap());
    let origination = Origination {
        redistribute: [(RouteSource::Static, Some(map))].into(),
        ..Origination::default()
    };
    let mut networks = Networks::new(origination, Asn(65001), TABLE_MAIN);
    tell(&mut networks, &kernel_route("10.1.2.0/24", 30, STATIC));
    tell(&mut networks, &kernel_route("10.2.0.0/16", 30, STATIC));
    assert_eq!(changes(&mut networks), ["+10.1.2.0/24 ? 77"]);
    // Without the policy, the one is announced anew and the other for the first time.
    let all = Origination {
        redistribute: [(RouteSource::Static, None)].into(),
        ..Origination::default()
    };
    let kernel = ["10.1.2.0/24", "10.2.0.0/16"].map(|prefix| kernel_route(prefix, 30, STATIC));
    networks.reconfigure(all.clone(), kernel.clone().into_iter());
    assert_eq!(changes(&mut networks), ["+10.1.2.0/24 ? 30", "+10.2.0.0/16 ? 30"]);
    networks.reconfigure(all, kernel.into_iter());
    assert_eq!(changes(&mut networks), NOTHING);
}
