//! Which domains there are, what they announce, and what keeps them from it.

use super::*;

const FLOOD_ROUTE: &str = "[3]:[0]:[32]:[192.0.2.5] rd 192.0.2.5:10 via 192.0.2.5 flood 192.0.2.5 label 10 RT:65001:10 ET:8\n";

#[test]
fn a_vxlan_device_in_a_bridge_is_a_domain_and_asks_for_flooded_frames() {
    let mut lab = Lab::with_vni_10();
    assert_eq!(lab.routes(), FLOOD_ROUTE);
    let domain = lab.gateway.domain(vni_of(10)).unwrap();
    assert_eq!(domain.vxlan.name, "vxlan200");
    assert_eq!(domain.svi.unwrap().name, "br100");
    assert_eq!(domain.vtep, Some(ip(OWN)));
    assert_eq!(lab.problems(), Vec::<String>::new());
}

#[test]
fn a_vxlan_device_outside_a_bridge_is_neither_a_domain_nor_a_problem() {
    let mut lab = Lab::empty();
    lab.set(Link { master: None, port: None, ..vxlan(VXLAN, 10, BRIDGE) });
    assert_eq!(lab.routes(), "");
    assert_eq!(lab.gateway.domains().count(), 0);
    assert_eq!(lab.problems(), Vec::<String>::new());
}

#[test]
fn devices_may_come_in_any_order() {
    let facts = [bridge(BRIDGE), vxlan(VXLAN, 10, BRIDGE), port(PORT, BRIDGE)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut lab = Lab::empty();
        lab.receive(&Received::mac(MAC, "192.0.2.9"));
        lab.set(station("00:00:5e:00:53:02", PORT));
        for index in order {
            lab.set(facts[index].clone());
        }
        assert_eq!(lab.stations(), "00:00:5e:00:53:02\n", "in order {order:?}");
        assert_eq!(lab.entries().lines().count(), 2, "in order {order:?}");
    }
}

#[test]
fn a_device_that_goes_down_takes_its_domain_out_of_service_and_back_when_it_comes_up() {
    for victim in [bridge(BRIDGE), vxlan(VXLAN, 10, BRIDGE)] {
        let mut lab = Lab::with_vni_10();
        lab.receive(&Received::mac_ip(MAC, "10.0.0.1", "192.0.2.9"));
        lab.receive(&Received::flood("192.0.2.9"));
        lab.set(station("00:00:5e:00:53:02", PORT));
        let (entries, routes) = (lab.entries(), lab.routes());
        assert_eq!(entries.lines().count(), 4);
        assert_eq!(routes.lines().count(), 2);

        lab.set(down(victim.clone()));
        assert_eq!((lab.entries(), lab.routes()), (String::new(), String::new()));
        assert_eq!(lab.gateway.domain(vni_of(10)).unwrap().vtep, None);
        lab.set(victim);
        assert_eq!((lab.entries(), lab.routes()), (entries, routes));
    }
}

#[test]
fn a_vxlan_device_that_leaves_its_bridge_or_vanishes_takes_everything_along() {
    let leave = Link { master: None, port: None, ..vxlan(VXLAN, 10, BRIDGE) };
    for vanish in [false, true] {
        let mut lab = Lab::with_vni_10();
        lab.receive(&Received::mac(MAC, "192.0.2.9"));
        lab.set(station("00:00:5e:00:53:02", PORT));
        lab.poll();
        if vanish {
            lab.unset(leave.clone())
        } else {
            lab.set(leave.clone())
        }
        assert_eq!((lab.entries(), lab.routes()), (String::new(), String::new()));
        assert_eq!(lab.gateway.domains().count(), 0);
    }
}

#[test]
fn entries_follow_a_device_whose_vni_changes() {
    let mut lab = Lab::with_vni_10();
    lab.receive(&Received::mac(MAC, "192.0.2.9"));
    lab.receive(&Received::mac("00:00:5e:00:53:02", "192.0.2.9").in_vni(20));
    assert!(lab.entries().contains(MAC));
    lab.set(vxlan(VXLAN, 20, BRIDGE));
    assert_eq!(
        lab.entries(),
        "00:00:5e:00:53:02 dev 200 master\n00:00:5e:00:53:02 dev 200 self dst 192.0.2.9\n"
    );
}

#[test]
fn a_new_vtep_address_is_announced_in_place_of_the_old_one() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    lab.poll();
    let moved = change_vxlan(vxlan(VXLAN, 10, BRIDGE), |vxlan| vxlan.local = Some(ip("192.0.2.6")));
    lab.set(moved);
    assert_eq!(
        lab.routes(),
        "[2]:[0]:[48]:[00:00:5e:00:53:01] rd 192.0.2.5:10 via 192.0.2.6 label 10 RT:65001:10 ET:8\n\
         [3]:[0]:[32]:[192.0.2.6] rd 192.0.2.5:10 via 192.0.2.6 flood 192.0.2.6 label 10 RT:65001:10 ET:8\n"
    );
}

#[test]
fn an_ipv6_vtep_is_announced_by_its_address() {
    let mut lab = Lab::empty();
    lab.set(bridge(BRIDGE));
    let local = Some(ip("2001:db8::5"));
    lab.set(change_vxlan(vxlan(VXLAN, 10, BRIDGE), |vxlan| vxlan.local = local));
    assert_eq!(
        lab.routes(),
        "[3]:[0]:[128]:[2001:db8::5] rd 192.0.2.5:10 via 2001:db8::5 flood 2001:db8::5 label 10 RT:65001:10 ET:8\n"
    );
}

#[test]
fn the_route_target_of_a_large_as_number_has_its_low_16_bits_as_frr_has_it() {
    let mut lab = Lab::with_asn(4_200_000_001);
    lab.set(bridge(BRIDGE));
    lab.set(vxlan(VXLAN, 10, BRIDGE));
    assert!(lab.routes().contains(" RT:59905:10 "), "{}", lab.routes());
}

#[test]
fn two_vnis_that_share_their_low_16_bits_get_different_route_distinguishers_that_stay() {
    let mut lab = Lab::with_vni_10();
    lab.set(bridge(101));
    lab.set(vxlan(201, 65546, 101));
    let rd = |lab: &Lab, vni| lab.gateway.domain(vni_of(vni)).unwrap().rd.to_string();
    lab.poll();
    assert_eq!((rd(&lab, 10), rd(&lab, 65546)), ("192.0.2.5:10".into(), "192.0.2.5:11".into()));
    lab.set(down(vxlan(VXLAN, 10, BRIDGE)));
    lab.poll();
    lab.set(vxlan(VXLAN, 10, BRIDGE));
    lab.poll();
    assert_eq!((rd(&lab, 10), rd(&lab, 65546)), ("192.0.2.5:10".into(), "192.0.2.5:11".into()));
}

#[test]
fn nothing_is_advertised_or_installed_when_no_vni_is_wanted() {
    let mut lab = Lab::empty();
    lab.gateway = Gateway::new(GatewayConfig { advertise_all_vni: false, ..lab.gateway.config });
    lab.set(bridge(BRIDGE));
    lab.set(vxlan(VXLAN, 10, BRIDGE));
    lab.receive(&Received::mac(MAC, "192.0.2.9"));
    assert_eq!((lab.entries(), lab.routes()), (String::new(), String::new()));
    let entry = FdbEntry::remote_in_bridge(VXLAN, mac(MAC));
    assert!(!lab.gateway.manages(&entry.key()), "another daemon's entries are not ours to sweep");
}

#[test]
fn entries_are_ours_only_on_devices_of_domains() {
    let mut lab = Lab::with_vni_10();
    lab.set(Link { master: None, port: None, ..vxlan(201, 20, BRIDGE) });
    lab.poll();
    let fdb = |ifindex| FdbEntry::remote_in_bridge(ifindex, mac(MAC)).key();
    let neighbor = |ifindex| Key::Neighbor { ifindex, address: ip("10.0.0.1") };
    assert!(lab.gateway.manages(&fdb(VXLAN)));
    assert!(lab.gateway.manages(&neighbor(BRIDGE)));
    for other in [fdb(PORT), fdb(201), neighbor(PORT), Key::Link(VXLAN)] {
        assert!(!lab.gateway.manages(&other), "{other}");
    }
    lab.set(down(vxlan(VXLAN, 10, BRIDGE)));
    lab.poll();
    assert!(lab.gateway.manages(&fdb(VXLAN)), "what a former run left there is to be swept");
}

#[test]
fn a_vni_that_two_devices_carry_is_served_by_the_older_one_and_is_a_problem() {
    let mut lab = Lab::with_vni_10();
    lab.set(bridge(101));
    lab.set(vxlan(201, 10, 101));
    assert_eq!(lab.routes(), FLOOD_ROUTE);
    let text = "VNI 10 is carried twice: vxlan200 is used, vxlan201 is not [ip link set dev vxlan201 nomaster]";
    assert_eq!(lab.problems(), [text]);
    lab.unset(vxlan(VXLAN, 10, BRIDGE));
    lab.poll();
    assert_eq!(lab.gateway.domain(vni_of(10)).unwrap().bridge.index, 101);
    assert_eq!(lab.problems(), Vec::<String>::new());
}

#[test]
fn two_vnis_in_a_bridge_without_vlans_are_a_problem_and_the_older_device_is_served() {
    let mut lab = Lab::with_vni_10();
    lab.set(vxlan(201, 20, BRIDGE));
    assert_eq!(lab.routes(), FLOOD_ROUTE);
    assert_eq!(
        lab.problems(),
        ["bridge br100 has two VNIs and no VLANs: vxlan200 is used, vxlan201 with VNI 20 is not \
          [ip link set dev vxlan201 nomaster]"]
    );
    lab.unset(vxlan(VXLAN, 10, BRIDGE));
    lab.poll();
    assert_eq!(lab.gateway.domains().map(|domain| domain.vni).collect::<Vec<_>>(), [vni_of(20)]);
}

#[test]
fn a_vxlan_device_without_local_address_is_a_problem_and_not_in_service() {
    let mut lab = Lab::with_vni_10();
    lab.set(change_vxlan(vxlan(VXLAN, 10, BRIDGE), |vxlan| vxlan.local = None));
    assert_eq!(lab.routes(), "");
    assert_eq!(
        lab.problems(),
        ["vxlan200 has no local address: VNI 10 is not in service \
          [ip link set dev vxlan200 type vxlan local ADDRESS]"]
    );
}

#[test]
fn what_works_badly_is_a_problem_but_in_service() {
    let mut lab = Lab::with_vni_10();
    lab.set(change_vxlan(vxlan(VXLAN, 10, BRIDGE), |vxlan| vxlan.learning = true));
    lab.unset(Address::new(1, format!("{OWN}/32").parse().unwrap()));
    assert_eq!(lab.routes(), FLOOD_ROUTE);
    assert_eq!(
        lab.problems(),
        [
            "192.0.2.5, the local address of vxlan200, is not on this machine [ip address add 192.0.2.5 dev lo]",
            "vxlan200 learns from packets: old places of a MAC can outlive what EVPN says \
             [ip link set dev vxlan200 type vxlan nolearning]"
        ]
    );
}

#[test]
fn what_is_not_served_is_a_problem() {
    let mut lab = Lab::empty();
    lab.set(vlan_aware_bridge(BRIDGE));
    lab.set(vxlan(VXLAN, 10, BRIDGE));
    lab.set(bridge(101));
    let shared = |index, bridge| {
        change_vxlan(vxlan(index, 10, bridge), |vxlan| {
            vxlan.vni = None;
            vxlan.external = true;
        })
    };
    lab.set(shared(201, 101));
    lab.set(change_vxlan(vxlan(202, 10, 101), |vxlan| vxlan.vni = None));
    lab.set(shared(203, BRIDGE));
    lab.set(Address::new(1, format!("{OWN}/32").parse().unwrap()));
    assert_eq!(lab.routes(), "");
    assert_eq!(
        lab.problems(),
        [
            "vxlan202 has no usable VNI: VNIs are 1 to 16777214 [ip link delete dev vxlan202]",
            "vxlan203 maps no VLAN of its bridge to a VNI [bridge link set dev vxlan203 vlan_tunnel on; \
             bridge vlan add dev vxlan203 vid VLAN; bridge vlan add dev vxlan203 vid VLAN tunnel_info id VNI]",
            "vxlan200 carries no VLAN of its bridge: VNI 10 is not in service \
             [bridge vlan add dev vxlan200 vid VLAN pvid untagged]",
            "vxlan201 carries many VNIs, but bridge br101 does not filter VLANs \
             [ip link set dev br101 type bridge vlan_filtering 1]",
        ]
    );
}
