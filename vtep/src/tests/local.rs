//! What the kernel says is here, and what we advertise of it.

use super::*;

#[test]
fn a_learned_mac_is_advertised_with_our_names_and_label() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    assert_eq!(
        lab.routes().lines().next().unwrap(),
        "[2]:[0]:[48]:[00:00:5e:00:53:01] rd 192.0.2.5:10 via 192.0.2.5 label 10 RT:65001:10 ET:8"
    );
    lab.unset(station(MAC, PORT));
    assert_eq!(lab.stations(), "");
}

#[test]
fn a_static_mac_is_advertised_as_sticky() {
    let mut lab = Lab::with_vni_10();
    lab.set(FdbEntry { state: FdbState::Static, ..station(MAC, PORT) });
    assert_eq!(lab.stations(), "00:00:5e:00:53:01 MM:0, sticky MAC\n");
}

#[test]
fn macs_of_the_machine_and_behind_the_tunnel_are_not_advertised() {
    let permanent = FdbEntry { state: FdbState::Permanent, ..station(MAC, PORT) };
    let ours = FdbEntry { master: Some(BRIDGE), ..FdbEntry::remote_in_bridge(VXLAN, mac(MAC)) };
    let by_tunnel = station(MAC, VXLAN);
    for entry in [permanent, ours, by_tunnel] {
        let mut lab = Lab::with_vni_10();
        lab.set(entry.clone());
        assert_eq!(lab.stations(), "", "{entry:?}");
    }
}

#[test]
fn a_mac_that_the_switch_hardware_learned_is_local_before_its_offload_flag_is_seen() {
    for offloaded in [false, true] {
        let mut lab = Lab::with_vni_10();
        let offload = Offload { offloaded, ..Offload::default() };
        lab.set(FdbEntry { extern_learn: true, offload, ..station(MAC, PORT) });
        assert_eq!(lab.stations(), "00:00:5e:00:53:01\n");
    }
}

#[test]
fn a_mac_that_moves_between_our_ports_is_not_advertised_again() {
    let mut lab = Lab::with_vni_10();
    lab.set(port(301, BRIDGE));
    lab.set(station(MAC, PORT));
    lab.poll();
    lab.set(station(MAC, 301));
    assert_eq!(lab.poll(), (0, 0));
    let view = lab.gateway.mac(vni_of(10), mac(MAC)).unwrap();
    assert!(matches!(view.place, crate::PlaceView::Local(port) if port.name == "swp301"));
}

#[test]
fn the_same_mac_in_two_domains_is_two_macs() {
    let mut lab = Lab::with_vni_10();
    lab.set(bridge(101));
    lab.set(vxlan(201, 20, 101));
    lab.set(port(301, 101));
    lab.set(station(MAC, PORT));
    lab.receive(&Received::mac(MAC, "192.0.2.9").in_vni(20));
    assert_eq!(lab.stations(), "00:00:5e:00:53:01\n");
    assert_eq!(
        lab.entries(),
        "00:00:5e:00:53:01 dev 201 master\n00:00:5e:00:53:01 dev 201 self dst 192.0.2.9\n"
    );
}

#[test]
fn an_address_is_advertised_once_its_mac_is_local_whichever_is_known_first() {
    for mac_first in [true, false] {
        let mut lab = Lab::with_vni_10();
        if mac_first {
            lab.set(station(MAC, PORT));
            lab.set(neighbor("10.0.0.1", MAC));
        } else {
            lab.set(neighbor("10.0.0.1", MAC));
            assert_eq!(lab.stations(), "");
            lab.set(station(MAC, PORT));
        }
        assert_eq!(lab.stations(), "00:00:5e:00:53:01\n00:00:5e:00:53:01 10.0.0.1\n");
        lab.unset(station(MAC, PORT));
        assert_eq!(lab.stations(), "");
    }
}

#[test]
fn an_address_stays_advertised_as_long_as_the_kernel_believes_it() {
    use NeighborState::{
        Delay, Failed, Incomplete, NoArp, None, Permanent, Probe, Reachable, Stale,
    };
    for state in [Reachable, Stale, Delay, Probe, Permanent, NoArp, Failed, Incomplete, None] {
        let mut lab = Lab::with_vni_10();
        lab.set(station(MAC, PORT));
        lab.set(neighbor("10.0.0.1", MAC));
        lab.poll();
        lab.set(Neighbor { state, ..neighbor("10.0.0.1", MAC) });
        let believed = !matches!(state, Failed | Incomplete | None);
        assert_eq!(lab.stations().contains("10.0.0.1"), believed, "{state:?}");
    }
}

#[test]
fn an_address_that_gets_another_mac_is_advertised_with_that_one_only() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    lab.set(station("00:00:5e:00:53:02", PORT));
    lab.set(neighbor("10.0.0.1", MAC));
    lab.poll();
    lab.set(neighbor("10.0.0.1", "00:00:5e:00:53:02"));
    assert_eq!(
        lab.stations(),
        "00:00:5e:00:53:01\n00:00:5e:00:53:02\n00:00:5e:00:53:02 10.0.0.1\n"
    );
}

#[test]
fn link_local_addresses_and_routers_are_advertised_as_frr_does() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    lab.set(Neighbor { router: true, ..neighbor("fe80::1", MAC) });
    assert!(lab.routes().contains(
        "[2]:[0]:[48]:[00:00:5e:00:53:01]:[128]:[fe80::1] rd 192.0.2.5:10 via 192.0.2.5 label 10 RT:65001:10 ET:8 ND:Router Flag\n"
    ));
}

#[test]
fn an_address_that_a_control_plane_put_there_is_not_advertised() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    lab.set(Neighbor { extern_learn: true, ..neighbor("10.0.0.1", MAC) });
    assert_eq!(lab.stations(), "00:00:5e:00:53:01\n");
}

#[test]
fn our_own_address_and_mac_are_neither_advertised_nor_given_away() {
    let mut lab = Lab::with_vni_10();
    lab.set(Link { mac: Some(mac("00:00:5e:00:01:01")), ..bridge(BRIDGE) });
    lab.set(Address::new(BRIDGE, "10.0.0.254/24".parse().unwrap()));
    // Another gateway answers with the same anycast MAC and address.
    lab.set(station("00:00:5e:00:01:01", PORT));
    lab.set(station(MAC, PORT));
    lab.set(neighbor("10.0.0.254", MAC));
    lab.receive(&Received::mac_ip("00:00:5e:00:01:01", "10.0.0.254", "192.0.2.9"));
    lab.receive(&Received::mac_ip("00:00:5e:00:53:09", "10.0.0.254", "192.0.2.9"));
    assert_eq!(lab.stations(), "00:00:5e:00:53:01\n");
    assert!(!lab.entries().contains("00:00:5e:00:01:01"), "{}", lab.entries());
    assert!(!lab.entries().contains("10.0.0.254"), "{}", lab.entries());
    assert!(lab.unused().contains("MAC is this machine's own"), "{}", lab.unused());
    // The address is given up: now the neighbour's word counts.
    lab.unset(Address::new(BRIDGE, "10.0.0.254/24".parse().unwrap()));
    assert!(lab.stations().contains("00:00:5e:00:53:01 10.0.0.254"));
}

#[test]
fn a_port_that_leaves_the_bridge_takes_its_macs_along() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    lab.poll();
    lab.unset(port(PORT, BRIDGE));
    assert_eq!(lab.stations(), "");
}

#[test]
fn a_mac_at_a_port_that_turns_out_to_be_a_tunnel_is_no_longer_advertised() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, 201));
    assert_eq!(lab.stations(), "00:00:5e:00:53:01\n");
    lab.set(vxlan(201, 20, BRIDGE));
    assert_eq!(lab.stations(), "");
}
