//! Bridges with VLANs: one VXLAN device for each VNI, and one device for many.

use super::*;

const MAC2: &str = "00:00:5e:00:53:02";
const FAR: &str = "192.0.2.9";
const SVI: Ifindex = 400;

/// A MAC that the bridge learned in a VLAN.
fn station_in(vlan: u16, mac_text: &str) -> FdbEntry {
    FdbEntry { vlan: Some(vlan), ..station(mac_text, PORT) }
}

/// br100 with VLANs; vxlan200 carries VLAN 1 as VNI 10, vxlan201 VLAN 2 as VNI 20.
fn two_devices() -> Lab {
    let mut lab = Lab::empty();
    lab.set(vlan_aware_bridge(BRIDGE));
    lab.set(port(PORT, BRIDGE));
    lab.set(Address::new(1, format!("{OWN}/32").parse().unwrap()));
    for (index, vni, vlan) in [(VXLAN, 10, 1), (201, 20, 2)] {
        lab.set(vxlan(index, vni, BRIDGE));
        lab.set(BridgeVlan::access(index, vlan));
    }
    lab.poll();
    lab
}

fn tunnel(vlan: u16, vni: u32) -> BridgeVlan {
    BridgeVlan { tunnel: Some(vni_of(vni)), ..BridgeVlan::tagged(VXLAN, vlan) }
}

/// All VLANs of the one device, as the kernel tells of them: together.
fn set_tunnels(lab: &mut Lab, vlans: &[BridgeVlan]) {
    let vlans = vlans.to_vec();
    let port = Some(BridgePort::default());
    lab.notify(Notification::Port { index: VXLAN, port, vlans });
}

/// br100 with VLANs; vxlan200 carries VLAN 1 as VNI 10 and VLAN 2 as VNI 20.
fn one_device() -> Lab {
    let mut lab = Lab::empty();
    lab.set(vlan_aware_bridge(BRIDGE));
    lab.set(port(PORT, BRIDGE));
    lab.set(Address::new(1, format!("{OWN}/32").parse().unwrap()));
    lab.set(change_vxlan(vxlan(VXLAN, 10, BRIDGE), |vxlan| {
        vxlan.vni = None;
        vxlan.external = true;
    }));
    set_tunnels(&mut lab, &[tunnel(1, 10), tunnel(2, 20)]);
    lab.poll();
    lab
}

fn domains(lab: &mut Lab) -> Vec<String> {
    lab.poll();
    let text = |domain: crate::DomainView| {
        let vlan = domain.vlan.map_or_else(|| "-".to_owned(), |vlan| vlan.to_string());
        let svi = domain.svi.map_or_else(|| "-".to_owned(), |svi| svi.name);
        format!("{} {} vlan {vlan} svi {svi}", domain.vni, domain.vxlan.name)
    };
    lab.gateway.domains().map(text).collect()
}

#[test]
fn each_vlan_of_a_bridge_is_a_domain_of_its_own() {
    let mut lab = two_devices();
    lab.set(station_in(1, MAC));
    lab.set(station_in(2, MAC2));
    assert_eq!(domains(&mut lab), ["10 vxlan200 vlan 1 svi -", "20 vxlan201 vlan 2 svi -"]);
    let routes = lab.routes();
    let of =
        |vni: u32| routes.lines().filter(move |line| line.contains(&format!("RT:65001:{vni} ")));
    let macs = |vni| of(vni).filter(|line| !line.contains("flood")).collect::<String>();
    assert!(macs(10).contains(MAC) && !macs(10).contains(MAC2), "{routes}");
    assert!(macs(20).contains(MAC2) && !macs(20).contains("53:01"), "{routes}");
    assert_eq!(lab.problems(), Vec::<String>::new());
}

#[test]
fn one_mac_can_be_here_in_one_vlan_and_there_in_another() {
    let mut lab = two_devices();
    lab.set(station_in(1, MAC));
    lab.receive(&Received::mac(MAC, FAR).in_vni(20));
    lab.receive(&Received::flood(FAR).in_vni(20));
    assert_eq!(
        lab.entries(),
        "00:00:00:00:00:00 dev 201 self dst 192.0.2.9\n\
         00:00:5e:00:53:01 dev 201 self dst 192.0.2.9\n\
         00:00:5e:00:53:01 dev 201 master vlan 2\n"
    );
    assert_eq!(lab.stations(), format!("{MAC}\n"));
}

#[test]
fn one_device_for_many_vnis_names_the_vni_in_each_entry() {
    let mut lab = one_device();
    lab.receive(&Received::mac(MAC, FAR).in_vni(20));
    lab.receive(&Received::flood(FAR).in_vni(20));
    lab.receive(&Received::mac(MAC, "192.0.2.7"));
    assert_eq!(
        lab.entries(),
        "00:00:00:00:00:00 dev 200 self src_vni 20 dst 192.0.2.9\n\
         00:00:5e:00:53:01 dev 200 self src_vni 10 dst 192.0.2.7\n\
         00:00:5e:00:53:01 dev 200 self src_vni 20 dst 192.0.2.9\n\
         00:00:5e:00:53:01 dev 200 master vlan 1\n\
         00:00:5e:00:53:01 dev 200 master vlan 2\n"
    );
    let vlan_1 = FdbEntry { vlan: Some(1), ..FdbEntry::remote_in_bridge(VXLAN, mac(MAC)) };
    assert!(lab.gateway.manages(&vlan_1.key()));
}

#[test]
fn a_vlan_that_is_mapped_to_another_vni_takes_its_stations_along() {
    let mut lab = one_device();
    lab.set(station_in(2, MAC));
    lab.receive(&Received::mac(MAC2, FAR).in_vni(20));
    lab.receive(&Received::mac("00:00:5e:00:53:03", FAR).in_vni(30));
    set_tunnels(&mut lab, &[tunnel(1, 10), tunnel(2, 30)]);
    assert_eq!(domains(&mut lab), ["10 vxlan200 vlan 1 svi -", "30 vxlan200 vlan 2 svi -"]);
    assert_eq!(
        lab.entries(),
        "00:00:5e:00:53:03 dev 200 self src_vni 30 dst 192.0.2.9\n\
         00:00:5e:00:53:03 dev 200 master vlan 2\n"
    );
    assert!(lab.routes().lines().any(|line| line.contains(MAC) && line.contains("RT:65001:30 ")));
    set_tunnels(&mut lab, &[tunnel(1, 10)]);
    assert_eq!((domains(&mut lab).len(), lab.entries()), (1, String::new()));
}

#[test]
fn the_untagged_vlan_of_a_port_decides_and_may_change() {
    let mut lab = two_devices();
    lab.receive(&Received::mac(MAC, FAR));
    lab.set(BridgeVlan::access(VXLAN, 7));
    assert_eq!(
        lab.entries(),
        "00:00:5e:00:53:01 dev 200 self dst 192.0.2.9\n00:00:5e:00:53:01 dev 200 master vlan 7\n"
    );
    lab.unset(BridgeVlan::access(VXLAN, 7));
    assert_eq!(domains(&mut lab), ["20 vxlan201 vlan 2 svi -"]);
    assert_eq!(lab.entries(), "");
}

#[test]
fn a_bridge_that_begins_to_tell_vlans_apart_changes_its_domains() {
    let mut lab = Lab::with_vni_10();
    lab.receive(&Received::mac(MAC, FAR));
    lab.set(BridgeVlan::access(VXLAN, 1));
    assert_eq!(domains(&mut lab), ["10 vxlan200 vlan - svi br100"]);
    lab.set(vlan_aware_bridge(BRIDGE));
    assert_eq!(domains(&mut lab), ["10 vxlan200 vlan 1 svi -"]);
    assert!(lab.entries().contains("dev 200 master vlan 1"));
}

#[test]
fn the_svi_is_the_vlan_device_on_the_bridge_or_the_bridge_where_it_is_untagged() {
    let mut lab = two_devices();
    lab.receive(&Received::mac_ip(MAC, "10.0.0.1", FAR));
    assert!(!lab.entries().contains("lladdr"), "no device of ours is in the VLAN");
    lab.set(svi(SVI, BRIDGE, 1));
    assert!(lab.entries().contains("10.0.0.1 lladdr 00:00:5e:00:53:01 dev 400"));
    lab.set(BridgeVlan { of_bridge: true, ..BridgeVlan::access(BRIDGE, 2) });
    assert_eq!(
        domains(&mut lab),
        ["10 vxlan200 vlan 1 svi vlan400", "20 vxlan201 vlan 2 svi br100"]
    );
    lab.unset(svi(SVI, BRIDGE, 1));
    assert!(!lab.entries().contains("lladdr"));
}

#[test]
fn the_macs_of_bridge_and_svi_are_not_taken_by_others() {
    let mut lab = two_devices();
    lab.set(Link { mac: Some(mac(MAC)), ..vlan_aware_bridge(BRIDGE) });
    lab.set(Link { mac: Some(mac(MAC2)), ..svi(SVI, BRIDGE, 1) });
    for own in [MAC, MAC2] {
        lab.receive(&Received::mac(own, FAR));
    }
    assert_eq!(lab.entries(), "");
    lab.receive(&Received::mac(MAC2, FAR).in_vni(20));
    assert!(lab.entries().contains("vlan 2"), "the SVI of VLAN 1 has no part in VLAN 2");
}

#[test]
fn a_vlan_with_two_vnis_is_served_by_the_older_device_and_is_a_problem() {
    let mut lab = two_devices();
    lab.set(BridgeVlan::access(201, 1));
    assert_eq!(domains(&mut lab), ["10 vxlan200 vlan 1 svi -"]);
    assert_eq!(
        lab.problems(),
        ["VLAN 1 of bridge br100 has two VNIs: vxlan200 is used, vxlan201 with VNI 20 is not \
          [bridge vlan delete dev vxlan201 vid 1]"]
    );
}
