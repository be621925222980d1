//! What other VTEPs say, and what we write into the kernel for it.

use super::*;

#[test]
fn a_remote_mac_is_an_entry_in_the_bridge_and_one_in_the_vxlan_device() {
    let mut lab = Lab::with_vni_10();
    let route = Received::mac(MAC, "192.0.2.9");
    lab.receive(&route);
    assert_eq!(
        lab.entries(),
        "00:00:5e:00:53:01 dev 200 master\n00:00:5e:00:53:01 dev 200 self dst 192.0.2.9\n"
    );
    assert_eq!(lab.stations(), "", "what we install is not ours to advertise");
    lab.withdraw(&route);
    assert_eq!(lab.entries(), "");
}

#[test]
fn what_we_installed_and_the_kernel_tells_back_changes_nothing() {
    let mut lab = Lab::with_vni_10();
    lab.receive(&Received::mac_ip(MAC, "10.0.0.1", "192.0.2.9"));
    lab.poll();
    for mut object in lab.entries.values().cloned().collect::<Vec<_>>() {
        if let Object::Fdb(entry) = &mut object
            && entry.table == FdbTable::Bridge
        {
            entry.master = Some(BRIDGE);
        }
        lab.notify(Notification::New(object));
    }
    assert_eq!(lab.poll(), (0, 0));
    assert_eq!(lab.stations(), "");
}

#[test]
fn a_mac_alone_and_with_its_address_from_one_vtep_are_one_mac_and_a_neighbor() {
    let mut lab = Lab::with_vni_10();
    let (alone, with_address) =
        (Received::mac(MAC, "192.0.2.9"), Received::mac_ip(MAC, "10.0.0.1", "192.0.2.9"));
    lab.receive(&alone);
    lab.receive(&with_address);
    let both = "00:00:5e:00:53:01 dev 200 master\n00:00:5e:00:53:01 dev 200 self dst 192.0.2.9\n\
                10.0.0.1 lladdr 00:00:5e:00:53:01 dev 100\n";
    assert_eq!(lab.entries(), both);
    lab.withdraw(&alone);
    assert_eq!(lab.poll(), (0, 0));
    assert_eq!(lab.entries(), both);
    lab.withdraw(&with_address);
    assert_eq!(lab.entries(), "");
}

#[test]
fn a_remote_router_is_a_router_in_the_neighbor_table() {
    let mut lab = Lab::with_vni_10();
    let flags = bgp::wire::NeighborFlags { router: true, ..Default::default() };
    lab.receive(&Received::mac_ip(MAC, "fe80::1", "192.0.2.9").with(ExtCommunity::neighbor(flags)));
    assert!(lab.entries().contains("fe80::1 lladdr 00:00:5e:00:53:01 dev 100 router\n"));
}

#[test]
fn every_vtep_that_asks_gets_flooded_frames_until_its_last_route_is_withdrawn() {
    let mut lab = Lab::with_vni_10();
    let first = Received::flood("192.0.2.9");
    let mut second = first.clone();
    second.key = EvpnKey::Multicast {
        rd: rd_of("192.0.2.9", 3),
        ethernet_tag: 0,
        originator: ip("192.0.2.9"),
    };
    lab.receive(&first);
    lab.receive(&second);
    lab.receive(&Received::flood("192.0.2.7"));
    let both = "00:00:00:00:00:00 dev 200 self dst 192.0.2.7\n00:00:00:00:00:00 dev 200 self dst 192.0.2.9\n";
    assert_eq!(lab.entries(), both);
    let vteps = lab.gateway.domain(vni_of(10)).unwrap().remote_vteps;
    assert_eq!(vteps, [ip("192.0.2.7"), ip("192.0.2.9")]);
    lab.withdraw(&first);
    assert_eq!(lab.entries(), both);
    lab.withdraw(&second);
    assert_eq!(lab.entries(), "00:00:00:00:00:00 dev 200 self dst 192.0.2.7\n");
}

#[test]
fn a_flood_route_without_tunnel_attribute_asks_for_copies_to_its_next_hop() {
    let mut lab = Lab::with_vni_10();
    lab.receive(&Received { tunnel: None, ..Received::flood("192.0.2.9") });
    assert_eq!(lab.entries(), "00:00:00:00:00:00 dev 200 self dst 192.0.2.9\n");
}

#[test]
fn a_route_belongs_to_every_vni_that_its_targets_name_whatever_the_as() {
    let mut lab = Lab::with_vni_10();
    lab.set(bridge(101));
    lab.set(vxlan(201, 20, 101));
    let target = |asn, vni| ExtCommunity::route_target(RouteTarget::from_as2(asn, vni));
    let tunnel = PmsiTunnel::ingress_replication(Label::default(), ip("192.0.2.9"));
    lab.receive(&Received {
        communities: vec![target(1, 10), target(2, 20), target(3, 30)],
        tunnel: Some(tunnel),
        ..Received::flood("192.0.2.9")
    });
    assert_eq!(
        lab.entries(),
        "00:00:00:00:00:00 dev 200 self dst 192.0.2.9\n00:00:00:00:00:00 dev 201 self dst 192.0.2.9\n"
    );
    assert_eq!(lab.unused(), "[3]:[0]:[32]:[192.0.2.9]: VNI 30 is not in service here\n");
}

#[test]
fn a_route_that_changes_its_targets_changes_its_domain() {
    let mut lab = Lab::with_vni_10();
    lab.set(bridge(101));
    lab.set(vxlan(201, 20, 101));
    lab.receive(&Received::mac(MAC, "192.0.2.9"));
    lab.poll();
    lab.receive(&Received::mac(MAC, "192.0.2.9").in_vni(20));
    assert_eq!(
        lab.entries(),
        "00:00:5e:00:53:01 dev 201 master\n00:00:5e:00:53:01 dev 201 self dst 192.0.2.9\n"
    );
}

#[test]
fn a_route_that_cannot_be_used_is_listed_with_the_reason() {
    let base = || Received::mac(MAC, "192.0.2.9");
    let target = ExtCommunity::route_target(RouteTarget::from_as2(65002, 10));
    let mpls = ExtCommunity([3, 0x0c, 0, 0, 0, 0, 0, 10]);
    let label = EvpnPayload { label: Label::from_vni(11), ..EvpnPayload::default() };
    let tree =
        PmsiTunnel { kind: 3, endpoint: None, ..Received::flood("192.0.2.9").tunnel.unwrap() };
    let cases = [
        (Received { communities: vec![], ..base() }, "no route target of the form AS:VNI"),
        (base().in_vni(20), "VNI 20 is not in service here"),
        (Received { payload: label, ..base() }, "label 11 is not the VNI 10 of its route target"),
        (Received { communities: vec![target, mpls], ..base() }, "encapsulation is not VXLAN"),
        (Received::mac("01:00:5e:00:00:01", "192.0.2.9"), "MAC is not of one station"),
        (Received { vtep: ip(OWN), ..base() }, "VTEP address is our own"),
        (
            Received { vtep: ip("2001:db8::9"), ..base() },
            "VTEP address is of another family than ours",
        ),
        (
            Received { tunnel: Some(tree), ..Received::flood("192.0.2.9") },
            "flooding by tunnel type 3, not by ingress replication",
        ),
    ];
    for (route, reason) in cases {
        let mut lab = Lab::with_vni_10();
        lab.receive(&route);
        assert_eq!(lab.entries(), "", "{reason}");
        assert!(lab.unused().ends_with(&format!(": {reason}\n")), "{} for {reason}", lab.unused());
        lab.receive(&Received::flood("192.0.2.7"));
        assert_eq!(lab.unused().lines().count(), 1);
    }
}

#[test]
fn our_own_routes_reflected_with_our_address_are_not_installed() {
    let mut lab = Lab::with_vni_10();
    lab.receive(&Received { vtep: ip(OWN), ..Received::mac_ip(MAC, "10.0.0.1", "192.0.2.9") });
    lab.receive(&Received { vtep: ip(OWN), tunnel: None, ..Received::flood("192.0.2.9") });
    assert_eq!(lab.entries(), "");
}

#[test]
fn routes_that_came_before_their_domain_wait_for_it() {
    let mut lab = Lab::empty();
    lab.receive(&Received::mac_ip(MAC, "10.0.0.1", "192.0.2.9"));
    lab.receive(&Received::flood("192.0.2.9"));
    assert_eq!(lab.entries(), "");
    lab.set(vxlan(VXLAN, 10, BRIDGE));
    assert_eq!(lab.entries(), "");
    lab.set(bridge(BRIDGE));
    assert_eq!(lab.entries().lines().count(), 4);
}

#[test]
fn of_two_macs_that_claim_an_address_the_better_claim_is_the_neighbor() {
    let mut lab = Lab::with_vni_10();
    let low = Received::mac_ip(MAC, "10.0.0.1", "192.0.2.7");
    lab.receive(&low);
    lab.receive(&Received::mac_ip("00:00:5e:00:53:02", "10.0.0.1", "192.0.2.9").moved(1));
    assert!(lab.entries().contains("10.0.0.1 lladdr 00:00:5e:00:53:02 dev 100\n"));
    lab.receive(&low.clone().moved(2));
    assert!(lab.entries().contains("10.0.0.1 lladdr 00:00:5e:00:53:01 dev 100\n"));
    lab.withdraw(&low);
    assert!(lab.entries().contains("10.0.0.1 lladdr 00:00:5e:00:53:02 dev 100\n"));
}

#[test]
fn what_changes_between_two_polls_is_said_once() {
    let mut lab = Lab::with_vni_10();
    for sequence in 0..10 {
        let vtep = if sequence % 2 == 0 { "192.0.2.7" } else { "192.0.2.9" };
        lab.receive(&Received::mac(MAC, vtep).moved(sequence));
    }
    assert_eq!(lab.poll(), (2, 0));
}
