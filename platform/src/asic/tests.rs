//! Every row of the tables: a switch that is right, one thing made wrong, and what must be said of it.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::kernel::{
    Address, Bond, BondMode, Bridge, BridgePort, BridgeVlan, FdbDetour, FdbEntry, Hardware, Hop,
    Ifindex, Link, LinkKind, MacAddr, Nexthop, NexthopKind, NexthopMember, Notification, Route,
    Rule, RuleAction, RuleSelector, SwitchId, VlanProtocol, Vni, Vxlan,
};

const SWP: [Ifindex; 5] = [0, 1, 2, 3, 4];
const BR0: Ifindex = 10;
const VX10: Ifindex = 11;
const VX20: Ifindex = 12;
const SVI10: Ifindex = 13;
const VRF: Ifindex = 14;
const GATEWAY: Ifindex = 15;
const BOND: Ifindex = 20;
const NEW: Ifindex = 30;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new(2, 0x4c, 0x41, 0x42, 0, last)
}

fn spectrum(generation: u8, minor: u16) -> Profile {
    Profile::new(Driver::MlxswSpectrum { generation }, KernelVersion::new(6, minor))
}

/// A switch as the kernel holds it.
#[derive(Clone)]
struct Switch(Model);

impl Switch {
    /// Everything as it should be: VLANs, two VNIs, a bond, a routed port, an SVI with a shared gateway in a VRF.
    fn right(local: &str) -> Self {
        let mut switch = Self(Model::default());
        for index in 1..=4 {
            let hardware = Hardware {
                switch_id: SwitchId::new(&[2, 0x4c, 0x41]),
                port_name: Some(format!("p{index}")),
                parent: None,
            };
            let last = u8::try_from(index).unwrap();
            switch.add(Link {
                hardware: Some(Box::new(hardware)),
                mac: Some(mac(last)),
                ..Link::new(index, format!("swp{index}"), LinkKind::Physical)
            });
        }
        let bridge = Bridge {
            vlan_filtering: true,
            multicast_snooping: false,
            default_pvid: 0,
            ..Bridge::default()
        };
        let made =
            |index, name: &str, kind| Link { mac: Some(mac(9)), ..Link::new(index, name, kind) };
        switch.add(made(BR0, "br0", LinkKind::Bridge(bridge)));
        switch.put_into(SWP[1], BR0);
        let lacp = Bond { mode: BondMode::Lacp, ..Bond::default() };
        switch.add(made(BOND, "bond0", LinkKind::Bond(lacp)));
        switch.put_into(SWP[2], BOND);
        switch.put_into(BOND, BR0);
        for (index, vni) in [(VX10, 10), (VX20, 20)] {
            let vxlan = Vxlan::new(Vni::try_from(vni).unwrap(), ip(local));
            switch.add(made(index, &format!("vx{vni}"), LinkKind::Vxlan(vxlan)));
            switch.put_into(index, BR0);
            let vlan = u16::try_from(vni).unwrap();
            switch.tell(Object::BridgeVlan(BridgeVlan::access(index, vlan)));
            switch.tell(Object::BridgeVlan(BridgeVlan::tagged(SWP[1], vlan)));
        }
        switch.tell(Object::BridgeVlan(BridgeVlan::of_bridge(BR0, 10)));
        switch.add(made(VRF, "vrf1", LinkKind::Vrf { table: 1000 }));
        let vlan = LinkKind::Vlan { id: 10, protocol: VlanProtocol::Dot1q };
        switch.add(Link { lower: Some(BR0), ..made(SVI10, "vlan10", vlan) });
        switch.put_into(SVI10, VRF);
        let gateway = MacAddr::new(0, 0, 0x5e, 0, 1, 1);
        switch.add(Link {
            lower: Some(SVI10),
            mac: Some(gateway),
            ..made(GATEWAY, "gateway10", LinkKind::Macvlan)
        });
        switch.put_into(GATEWAY, VRF);
        switch.address(SVI10, "10.10.0.2/24");
        switch.address(SWP[3], "192.0.2.1/30");
        switch.address(BR0, "fe80::1/64");
        switch.tell(Object::Fdb(FdbEntry::flood(VX10, ip("192.0.2.7"))));
        switch.tell(Object::Fdb(FdbEntry::remote_in_bridge(VX10, mac(7))));
        switch.tell(Object::Fdb(FdbEntry::remote_in_vxlan(VX10, mac(7), ip("192.0.2.7"))));
        for (id, address) in [(1, "192.0.2.2"), (2, "fe80::2")] {
            let address = ip(address);
            let kind = NexthopKind::Gateway { address, ifindex: SWP[3], onlink: false };
            switch.tell(Object::Nexthop(Nexthop::new(id, kind)));
        }
        switch.nexthop(10, NexthopKind::Group(members(&[1, 2])));
        switch.nexthop(11, NexthopKind::ResilientGroup { members: members(&[1]), buckets: 32 });
        switch.route("10.1.0.0/16", Via::Nexthop(10));
        switch.route("2001:db8::/32", Via::Hops(vec![Hop::gateway(ip("fe80::2"), SWP[3])]));
        for (priority, action) in [(0, 255), (32766, 254), (32767, 253)] {
            switch.rule(priority, RuleAction::Table(action), RuleSelector::default());
        }
        switch.rule(1000, RuleAction::Vrf, RuleSelector::default());
        let own = RuleSelector { input: Some("lo".to_owned()), ..RuleSelector::default() };
        switch.rule(50, RuleAction::Table(100), own);
        switch
    }

    fn tell(&mut self, object: Object) {
        self.0.apply(Notification::New(object));
    }

    fn add(&mut self, link: Link) {
        self.tell(Object::Link(link));
    }

    fn change(&mut self, index: Ifindex, change: impl FnOnce(&mut Link)) {
        let mut link = self.0.link(index).unwrap().clone();
        change(&mut link);
        self.add(link);
    }

    fn vxlan(&mut self, index: Ifindex, change: impl FnOnce(&mut Vxlan)) {
        self.change(index, |link| {
            let LinkKind::Vxlan(vxlan) = &mut link.kind else { panic!("a VXLAN device") };
            change(vxlan);
        });
    }

    fn bridge(&mut self, change: impl FnOnce(&mut Bridge)) {
        self.change(BR0, |link| {
            let LinkKind::Bridge(bridge) = &mut link.kind else { panic!("a bridge") };
            change(bridge);
        });
    }

    fn put_into(&mut self, index: Ifindex, master: Ifindex) {
        let port = self.0.link(master).and_then(Link::bridge).map(|_| BridgePort::default());
        self.change(index, |link| (link.master, link.port) = (Some(master), port));
    }

    fn address(&mut self, index: Ifindex, prefix: &str) {
        self.tell(Object::Address(Address::new(index, prefix.parse().unwrap())));
    }

    fn nexthop(&mut self, id: u32, kind: NexthopKind) {
        self.tell(Object::Nexthop(Nexthop::new(id, kind)));
    }

    fn route(&mut self, prefix: &str, via: Via) {
        self.tell(Object::Route(Route::new(prefix.parse().unwrap(), 20, via)));
    }

    fn rule(&mut self, priority: u32, action: RuleAction, selector: RuleSelector) {
        self.tell(Object::Rule(Rule { v6: false, priority, action, selector, protocol: 2 }));
    }

    fn vlan_device(&mut self, index: Ifindex, lower: Ifindex, protocol: VlanProtocol) {
        let kind = LinkKind::Vlan { id: 30, protocol };
        self.add(Link { lower: Some(lower), ..Link::new(index, format!("vlan{index}"), kind) });
    }

    fn other(&mut self, kind: &str, lower: Ifindex) {
        let kind = LinkKind::Other(kind.to_owned());
        self.add(Link { lower: Some(lower), ..Link::new(NEW, "new", kind) });
    }
}

fn members(ids: &[u32]) -> Vec<NexthopMember> {
    ids.iter().map(|id| NexthopMember { id: *id, weight: 1 }).collect()
}

/// What is said of a switch: id, object and words.
fn said(model: &Model, profile: &Profile) -> Vec<(&'static str, String, &'static str)> {
    violations(model, profile)
        .into_iter()
        .map(|it| (it.constraint.id, it.object.clone(), it.words.unwrap_or("")))
        .collect()
}

/// Makes one thing wrong, and expects exactly this to be said of it, on Spectrum-2 under Linux 6.1 unless told otherwise.
fn expect(id: &str, object: &str, words: &str, wrong: impl FnOnce(&mut Switch)) {
    expect_on(&spectrum(2, 1), "10.255.0.1", id, object, words, wrong);
}

fn expect_on(
    profile: &Profile,
    local: &str,
    id: &str,
    object: &str,
    words: &str,
    wrong: impl FnOnce(&mut Switch),
) {
    let mut switch = Switch::right(local);
    wrong(&mut switch);
    let found = said(&switch.0, profile);
    let expected = (id, object.to_owned(), words);
    assert_eq!(found, [expected], "{id}");
    let violation = violations(&switch.0, profile).remove(0);
    let object = switch.0.get(&violation.key).unwrap();
    assert_eq!(violation_of(&switch.0, profile, &object), Some(violation.clone()), "{id}");
    let prediction = Prediction::new(&switch.0, profile);
    assert_eq!(prediction.of(&switch.0, &object), Some(&violation), "{id}");
}

#[test]
fn of_a_switch_that_is_right_nothing_is_said() {
    for local in ["10.255.0.1", "2001:db8::1"] {
        let switch = Switch::right(local);
        for generation in 1..=4 {
            for minor in [1, 12] {
                assert_eq!(said(&switch.0, &spectrum(generation, minor)), []);
            }
        }
    }
}

#[test]
fn without_a_switch_nothing_is_said() {
    let mut switch = Switch::right("10.255.0.1");
    for port in 1..=4 {
        switch.change(port, |link| link.hardware = None);
    }
    switch.vxlan(VX10, |vxlan| vxlan.tos = 0);
    switch.rule(7, RuleAction::Table(7), RuleSelector::default());
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
    let none = Profile::new(Driver::None, KernelVersion::new(6, 1));
    assert_eq!(said(&Switch::right("10.255.0.1").0, &none), []);
}

#[test]
fn software_vxlan_beside_the_switch_is_nobodys_business() {
    let mut switch = Switch::right("10.255.0.1");
    let vxlan = Vxlan { tos: 0, ttl: 0, ..Vxlan::new(Vni::try_from(5).unwrap(), ip("10.0.0.1")) };
    switch.add(Link::new(NEW, "vx5", LinkKind::Vxlan(vxlan)));
    switch.add(Link::new(NEW + 1, "br5", LinkKind::Bridge(Bridge::default())));
    switch.put_into(NEW, NEW + 1);
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
}

#[test]
fn a_vxlan_device_is_refused_for_what_it_has() {
    let vx10 = |id, words, wrong: fn(&mut Vxlan)| {
        let words = format!("mlxsw_spectrum: {words}");
        let words: &'static str = words.leak();
        expect(id, "vxlan device vx10", words, |switch| switch.vxlan(VX10, wrong));
    };
    vx10("V1", "VxLAN: Multicast destination IP is not supported", |it| {
        it.group = Some(ip("239.1.1.1"));
    });
    vx10("V2", "VxLAN: Source address must be specified", |it| it.local = None);
    vx10("V3", "VxLAN: Local interface is not supported", |it| it.underlay = Some(99));
    vx10("V4", "VxLAN: Only default UDP source port range is supported", |it| {
        it.source_ports = (5000, 6000);
    });
    vx10("V5", "VxLAN: TOS must be configured to inherit", |it| it.tos = 0);
    vx10("V6", "VxLAN: TTL must not be configured to 0", |it| it.ttl = 0);
    vx10("V6", "VxLAN: TTL must not be configured to inherit", |it| it.ttl_inherit = true);
    vx10("V7", "VxLAN: Zero UDP checksum must be allowed for TX", |it| it.udp_checksum = true);
    for wrong in [
        |it: &mut Vxlan| it.proxy = true,
        |it: &mut Vxlan| it.extensions.l2miss = true,
        |it: &mut Vxlan| it.extensions.l3miss = true,
        |it: &mut Vxlan| it.extensions.route_short_circuit = true,
        |it: &mut Vxlan| it.extensions.group_policy = true,
        |it: &mut Vxlan| it.extensions.generic_protocol = true,
        |it: &mut Vxlan| it.extensions.remote_checksum_tx = true,
        |it: &mut Vxlan| it.extensions.remote_checksum_rx = true,
        |it: &mut Vxlan| it.external = true,
        |it: &mut Vxlan| it.vni_filter = true,
    ] {
        vx10("V9", "VxLAN: Unsupported flag", wrong);
    }
    vx10("V11", "VxLAN: Flow label must be configured to 0", |it| it.flow_label = 7);
}

#[test]
fn an_ipv6_underlay_has_its_own_demands() {
    let vx10 = |id, words, wrong: fn(&mut Vxlan)| {
        expect_on(&spectrum(2, 1), "2001:db8::1", id, "vxlan device vx10", words, |switch| {
            switch.vxlan(VX10, wrong);
        });
    };
    vx10("V8", "mlxsw_spectrum: VxLAN: Zero UDP checksum must be allowed for TX", |it| {
        it.udp6_zero_checksum_tx = false;
    });
    vx10("V8", "mlxsw_spectrum: VxLAN: Zero UDP checksum must be allowed for RX", |it| {
        it.udp6_zero_checksum_rx = false;
    });
    vx10("V10", "mlxsw_spectrum: VxLAN: Unsupported flag", |it| it.learning = true);
    let old = Profile::new(Driver::MlxswSpectrum { generation: 2 }, KernelVersion::new(5, 10));
    let found = said(&Switch::right("2001:db8::1").0, &old);
    assert!(found.iter().all(|(id, ..)| *id == "V16") && found.len() == 2, "{found:?}");
}

#[test]
fn a_device_for_many_vnis_is_taken_in_silence_and_stays_in_software() {
    let mut switch = Switch::right("10.255.0.1");
    switch.vxlan(VX10, |it| (it.external, it.vni_filter, it.vni) = (true, true, None));
    switch.tell(Object::BridgeVlan(BridgeVlan::tagged(VX10, 10)));
    let found = violations(&switch.0, &spectrum(2, 12));
    let [violation] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((violation.constraint.id, violation.effect), ("V9", Effect::Silent));
    assert_eq!(violation.words, None);
    assert!(violation.remedy.commands[1].starts_with("ip link add vxVNI type vxlan id VNI local"));
}

#[test]
fn all_vxlan_devices_share_one_tunnel() {
    let words = "mlxsw_spectrum: Conflicting NVE tunnels configuration";
    for wrong in [
        |it: &mut Vxlan| it.ttl = 63,
        |it: &mut Vxlan| it.local = Some(ip("10.255.0.2")),
        |it: &mut Vxlan| it.port = 8472,
        |it: &mut Vxlan| it.learning = true,
    ] {
        expect("V13", "vxlan device vx20", words, |switch| switch.vxlan(VX20, wrong));
    }
    let mut switch = Switch::right("10.255.0.1");
    switch.vxlan(VX20, |it| it.local = Some(ip("2001:db8::1")));
    switch.vxlan(VX20, |it| (it.udp6_zero_checksum_tx, it.udp6_zero_checksum_rx) = (true, true));
    assert_eq!(said(&switch.0, &spectrum(2, 1))[0].0, "V13", "both families do not go together");
}

#[test]
fn fdb_entries_go_the_way_of_their_device() {
    let entry = |change: fn(&mut FdbEntry)| {
        let mut entry = FdbEntry::remote_in_vxlan(VX10, mac(8), ip("192.0.2.8"));
        change(&mut entry);
        move |switch: &mut Switch| switch.tell(Object::Fdb(entry))
    };
    let object = "fdb entry 02:4c:41:42:00:08 dst 192.0.2.8 dev vx10";
    expect(
        "V14",
        object,
        "mlxsw_spectrum: VxLAN: FDB: Non-default remote port is not supported",
        entry(|it| it.detour = Some(FdbDetour::Port)),
    );
    let vni = "mlxsw_spectrum: VxLAN: FDB: Non-default VNI is not supported";
    expect("V14", object, vni, entry(|it| it.detour = Some(FdbDetour::Vni)));
    expect("V14", object, vni, entry(|it| it.vni = Vni::try_from(99).ok()));
    expect(
        "V14",
        object,
        "mlxsw_spectrum: VxLAN: FDB: Local interface is not supported",
        entry(|it| it.detour = Some(FdbDetour::Link)),
    );
    expect(
        "V14",
        "fdb entry 01:00:5e:00:00:01 dst 192.0.2.8 dev vx10",
        "mlxsw_spectrum: VxLAN: FDB: Multicast MAC addresses not supported",
        entry(|it| it.mac = MacAddr::new(1, 0, 0x5e, 0, 0, 1)),
    );
    expect(
        "V14",
        "fdb entry 02:4c:41:42:00:08 dst 239.1.1.1 dev vx10",
        "mlxsw_spectrum: VxLAN: FDB: Multicast destination IP is not supported",
        entry(|it| it.destination = Some(ip("239.1.1.1"))),
    );
}

#[test]
fn the_first_spectrum_takes_no_vxlan_in_a_bridge_with_802_1ad() {
    let dot1ad = |switch: &mut Switch| {
        switch.bridge(|it| it.vlan_protocol = VlanProtocol::Dot1ad);
        for link in [SVI10, GATEWAY, VX20] {
            let link = switch.0.link(link).unwrap().clone();
            switch.0.apply(Notification::Gone(Object::Link(link)));
        }
    };
    let words = "mlxsw_spectrum: VxLAN: 802.1ad bridge is not supported with VxLAN";
    expect_on(&spectrum(1, 1), "10.255.0.1", "V12", "vxlan device vx10", words, dot1ad);
    let mut switch = Switch::right("10.255.0.1");
    dot1ad(&mut switch);
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
}

#[test]
fn the_vlan_of_a_vxlan_device_is_its_pvid_and_untagged_and_its_own() {
    let silent = |switch: &mut Switch| {
        switch.tell(Object::BridgeVlan(BridgeVlan { pvid: false, ..BridgeVlan::access(VX10, 10) }));
    };
    expect("B4", "vxlan device vx10", "", silent);
    let mut switch = Switch::right("10.255.0.1");
    silent(&mut switch);
    let violation = violations(&switch.0, &spectrum(2, 1)).remove(0);
    assert_eq!(violation.effect, Effect::Silent);
    assert_eq!(violation.remedy.commands, ["bridge vlan add dev vx10 vid 10 pvid untagged"]);
    expect(
        "B4",
        "vxlan device vx20",
        "mlxsw_spectrum: VLAN already mapped to a different VNI",
        |it| {
            it.tell(Object::BridgeVlan(BridgeVlan::access(VX20, 10)));
        },
    );
    let mut switch = Switch::right("10.255.0.1");
    silent(&mut switch);
    switch.vxlan(VX10, |it| it.tos = 0);
    let ids: Vec<_> = said(&switch.0, &spectrum(2, 1)).into_iter().map(|it| it.0).collect();
    assert_eq!(ids, ["V5"], "without its VLAN because the driver refused the VLAN");
}

#[test]
fn bridges_are_refused_for_what_they_have() {
    let mcast = "mlxsw_spectrum: Multicast can not be enabled on a bridge with a VxLAN device";
    expect("B2", "bridge br0", mcast, |switch| switch.bridge(|it| it.multicast_snooping = true));
    expect(
        "B1",
        "bridge br1",
        "mlxsw_spectrum: Only one VLAN-aware bridge is supported",
        |switch| {
            let bridge = Bridge { vlan_filtering: true, ..Bridge::default() };
            switch.add(Link::new(NEW, "br1", LinkKind::Bridge(bridge)));
            switch.put_into(SWP[4], NEW);
        },
    );
    let multiple =
        "mlxsw_spectrum: Multiple VxLAN devices are not supported in a VLAN-unaware bridge";
    expect("B3", "bridge br0", multiple, |switch| switch.bridge(|it| it.vlan_filtering = false));
}

#[test]
fn bridges_with_802_1ad_carry_nothing() {
    let on = |wrong: fn(&mut Switch)| {
        move |switch: &mut Switch| {
            switch.bridge(|it| it.vlan_protocol = VlanProtocol::Dot1ad);
            for link in [SVI10, GATEWAY] {
                let link = switch.0.link(link).unwrap().clone();
                switch.0.apply(Notification::Gone(Object::Link(link)));
            }
            wrong(switch);
        }
    };
    let upper = "mlxsw_spectrum: Upper devices are not supported on top of an 802.1ad bridge";
    expect(
        "B5",
        "VLAN device vlan30 on br0",
        upper,
        on(|switch| {
            switch.vlan_device(NEW, BR0, VlanProtocol::Dot1q);
        }),
    );
    let port =
        "mlxsw_spectrum: VLAN uppers are not supported on a port enslaved to an 802.1ad bridge";
    expect(
        "B5",
        "VLAN device vlan30 on swp1",
        port,
        on(|switch| {
            switch.vlan_device(NEW, SWP[1], VlanProtocol::Dot1q);
        }),
    );
    let address = "mlxsw_spectrum: Adding an IP address to 802.1ad bridge is not supported";
    let profile = spectrum(2, 12);
    expect_on(
        &profile,
        "10.255.0.1",
        "B5",
        "address 10.0.0.1/24 dev br0",
        address,
        on(|switch| {
            switch.address(BR0, "10.0.0.1/24");
        }),
    );
}

#[test]
fn vlan_devices_are_refused_where_they_do_not_belong() {
    let protocol = "mlxsw_spectrum: VLAN uppers are only supported with 802.1q VLAN protocol";
    for (lower, name) in [(SWP[4], "swp4"), (BR0, "br0"), (BOND, "bond0")] {
        expect("B6", &format!("VLAN device vlan30 on {name}"), protocol, |switch| {
            switch.vlan_device(NEW, lower, VlanProtocol::Dot1ad);
        });
    }
    let aware = "mlxsw_spectrum: Can not enslave a VLAN device to a VLAN-aware bridge";
    expect("B7", "VLAN device vlan30", aware, |switch| {
        switch.vlan_device(NEW, SWP[4], VlanProtocol::Dot1q);
        switch.put_into(NEW, BR0);
    });
    let same = "mlxsw_spectrum: Can not bridge VLAN uppers of the same port";
    expect("B7", "VLAN device vlan31", same, |switch| {
        switch.add(Link::new(NEW + 9, "br9", LinkKind::Bridge(Bridge::default())));
        for vlan in [NEW, NEW + 1] {
            switch.vlan_device(vlan, SWP[4], VlanProtocol::Dot1q);
            switch.put_into(vlan, NEW + 9);
        }
    });
    let bond = "mlxsw_spectrum: Master device is a LAG master and this device has a VLAN";
    expect("B10", "VLAN device vlan30", bond, |switch| {
        switch.vlan_device(NEW, SWP[2], VlanProtocol::Dot1q);
    });
}

#[test]
fn a_vlan_device_on_its_own_is_right() {
    let mut switch = Switch::right("10.255.0.1");
    switch.vlan_device(NEW, SWP[4], VlanProtocol::Dot1q);
    switch.vlan_device(NEW + 1, BOND, VlanProtocol::Dot1q);
    switch.add(Link::new(NEW + 9, "br9", LinkKind::Bridge(Bridge::default())));
    switch.put_into(NEW, NEW + 9);
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
}

#[test]
fn bonds_choose_by_hash() {
    let words = "mlxsw_spectrum: LAG device using unsupported Tx type";
    for mode in [BondMode::RoundRobin, BondMode::ActiveBackup, BondMode::Broadcast, BondMode::Alb] {
        expect("B9", &format!("bond bond0 of mode {}", mode.name()), words, |switch| {
            switch.change(BOND, |it| it.kind = LinkKind::Bond(Bond { mode, ..Bond::default() }));
        });
    }
    let mut switch = Switch::right("10.255.0.1");
    let xor = Bond { mode: BondMode::Xor, ..Bond::default() };
    switch.change(BOND, |it| it.kind = LinkKind::Bond(xor));
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
}

#[test]
fn nothing_unknown_stands_on_ports() {
    let words = "mlxsw_spectrum: Unknown upper device type";
    for kind in ["ipvlan", "macsec"] {
        expect("B11", &format!("{kind} device new on swp3"), words, |switch| {
            switch.other(kind, SWP[3]);
        });
    }
    expect("B11", "VLAN device vlan30 on vlan10", words, |switch| {
        switch.vlan_device(NEW, SVI10, VlanProtocol::Dot1q);
    });
    let mut switch = Switch::right("10.255.0.1");
    switch.other("gre", SWP[3]);
    assert_eq!(said(&switch.0, &spectrum(2, 1)), [], "a tunnel names its link and stands on none");
}

#[test]
fn few_bridge_port_flags_are_for_hardware() {
    let words = "bridge: bridge flag offload is not supported";
    let flag = |wrong: fn(&mut BridgePort)| {
        move |switch: &mut Switch| switch.change(SWP[1], |it| wrong(it.port.as_mut().unwrap()))
    };
    for wrong in [
        |it: &mut BridgePort| it.broadcast_flood = false,
        |it: &mut BridgePort| it.isolated = true,
        |it: &mut BridgePort| it.hairpin = true,
        |it: &mut BridgePort| it.multicast_to_unicast = true,
        |it: &mut BridgePort| it.locked = true,
    ] {
        expect("B12", "bridge port swp1", words, flag(wrong));
    }
    let mut switch = Switch::right("10.255.0.1");
    let software = |it: &mut BridgePort| {
        (it.learning, it.flood, it.multicast_flood, it.neigh_suppress) =
            (false, false, false, true);
    };
    flag(software)(&mut switch);
    switch.change(VX10, |it| it.port.as_mut().unwrap().isolated = true);
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
    flag(|it| it.locked = true)(&mut switch);
    assert_eq!(said(&switch.0, &spectrum(2, 12)), []);
}

#[test]
fn rules_beyond_the_kernels_own_and_those_of_vrfs_are_refused() {
    let words = "mlxsw_spectrum: FIB rules not supported";
    expect("R1", "rule of priority 100", words, |switch| {
        let selector = RuleSelector { mark: Some((1, 1)), ..RuleSelector::default() };
        switch.rule(100, RuleAction::Table(100), selector);
    });
    expect("R1", "rule of priority 101", words, |switch| {
        switch.rule(101, RuleAction::Table(100), RuleSelector::default());
    });
}

#[test]
fn an_ipv6_gateway_of_an_ipv4_route_stands_in_a_nexthop_object() {
    let words = "mlxsw_spectrum: IPv6 gateway with IPv4 route is not supported";
    expect("R2", "route 10.2.0.0/16", words, |switch| {
        switch.route("10.2.0.0/16", Via::Hops(vec![Hop::gateway(ip("fe80::2"), SWP[3])]));
    });
    let mut switch = Switch::right("10.255.0.1");
    switch.route("10.2.0.0/16", Via::Nexthop(2));
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
}

#[test]
fn nexthops_are_refused_for_what_they_do() {
    let nexthop = |id, words, kind: NexthopKind| {
        expect(id, "nexthop 20", words, |switch| switch.nexthop(20, kind));
    };
    let fdb = NexthopKind::Fdb { address: ip("192.0.2.7") };
    nexthop("V15", "mlxsw_spectrum: FDB nexthops are not supported", fdb);
    nexthop(
        "V15",
        "mlxsw_spectrum: FDB nexthop groups are not supported",
        NexthopKind::FdbGroup(Vec::new()),
    );
    let words = "mlxsw_spectrum: Encapsulating nexthops are not supported";
    expect("R3", "nexthop 20", words, |switch| {
        let kind = NexthopKind::Device { ifindex: SWP[3], v6: false };
        let nexthop = Nexthop { encapsulates: true, ..Nexthop::new(20, kind) };
        switch.tell(Object::Nexthop(nexthop));
    });
    let words = "mlxsw_spectrum: Nexthop group entry does not have a gateway";
    expect("R4", "nexthop 21", words, |switch| {
        switch.nexthop(20, NexthopKind::Device { ifindex: SWP[3], v6: false });
        switch.nexthop(21, NexthopKind::Group(members(&[1, 20])));
    });
    let group = |buckets| NexthopKind::ResilientGroup { members: members(&[1]), buckets };
    nexthop("R5", "mlxsw_spectrum: Minimum number of buckets is 32", group(31));
    nexthop("R5", "mlxsw_spectrum: Invalid number of buckets", group(200));
}

#[test]
fn the_numbers_of_buckets_that_fit_depend_on_the_chip() {
    let fits = |generation, buckets| {
        let mut switch = Switch::right("10.255.0.1");
        switch.nexthop(20, NexthopKind::ResilientGroup { members: members(&[1]), buckets });
        said(&switch.0, &spectrum(generation, 1)).is_empty()
    };
    assert!([32, 64, 128, 256, 512, 1024, 4096].into_iter().all(|buckets| fits(2, buckets)));
    assert!([32, 512].into_iter().all(|buckets| fits(1, buckets)));
    assert!([64, 128, 1024].into_iter().all(|buckets| !fits(1, buckets)));
    assert!([129, 300, 2000].into_iter().all(|buckets| !fits(2, buckets)));
}

#[test]
fn router_interfaces_of_the_first_spectrum_share_the_upper_bits_of_their_macs() {
    let words = "mlxsw_spectrum: Exceeded number of supported router interface MAC profiles";
    let turtle = |switch: &mut Switch| {
        switch.change(SVI10, |it| it.mac = Some(MacAddr::new(0x44, 0x38, 0x39, 0xbe, 0xef, 0xaa)));
    };
    expect_on(&spectrum(1, 1), "10.255.0.1", "R7", "router interface vlan10", words, turtle);
    let mut switch = Switch::right("10.255.0.1");
    turtle(&mut switch);
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
    let limited = Profile { mac_profiles: Some(1), ..spectrum(2, 1) };
    assert_eq!(said(&switch.0, &limited).len(), 1);
}

#[test]
fn a_macvlan_needs_a_router_interface_below_it_until_linux_6_6() {
    let words = "mlxsw_spectrum: macvlan is only supported on top of router interfaces";
    let bare = |switch: &mut Switch| {
        let macvlan = Link::new(NEW, "gateway4", LinkKind::Macvlan);
        switch.add(Link { lower: Some(SWP[4]), ..macvlan });
    };
    expect("R8", "macvlan device gateway4 on swp4", words, bare);
    let mut switch = Switch::right("10.255.0.1");
    bare(&mut switch);
    assert_eq!(said(&switch.0, &spectrum(2, 12)), []);
}

#[test]
fn a_bridge_with_an_address_has_a_pvid_itself_until_linux_6_6() {
    let words = "mlxsw_spectrum: Couldn't determine bridge PVID";
    let address = |switch: &mut Switch| switch.address(BR0, "10.0.0.1/24");
    expect("R9", "address 10.0.0.1/24 dev br0", words, address);
    let mut switch = Switch::right("10.255.0.1");
    address(&mut switch);
    assert_eq!(said(&switch.0, &spectrum(2, 12)), []);
    switch.tell(Object::BridgeVlan(BridgeVlan { of_bridge: true, ..BridgeVlan::access(BR0, 10) }));
    assert_eq!(said(&switch.0, &spectrum(2, 1)), []);
}

#[test]
fn what_depends_on_a_refused_object_is_in_software_because_of_it() {
    let mut switch = Switch::right("10.255.0.1");
    switch.vxlan(VX10, |it| it.tos = 0);
    switch.nexthop(20, NexthopKind::Device { ifindex: SWP[3], v6: false });
    switch.nexthop(10, NexthopKind::Group(members(&[1, 20])));
    let profile = spectrum(2, 1);
    let prediction = Prediction::new(&switch.0, &profile);
    let flood = FdbEntry::flood(VX10, ip("192.0.2.7")).key();
    let route = Route::new("10.1.0.0/16".parse().unwrap(), 20, Via::Nexthop(10)).key();
    for (key, id) in [(flood, "V5"), (route, "R4")] {
        let object = switch.0.get(&key).unwrap();
        let violation = violation_of(&switch.0, &profile, &object).unwrap();
        assert_eq!(violation.constraint.id, id);
        assert_eq!(prediction.of(&switch.0, &object), Some(&violation));
    }
    let other = switch.0.get(&Key::Link(VX20)).unwrap();
    assert_eq!(violation_of(&switch.0, &profile, &other), None);
    assert_eq!(prediction.of(&switch.0, &other), None);
}

#[test]
fn a_wrong_bridge_keeps_its_vxlan_devices_in_software() {
    let mut switch = Switch::right("10.255.0.1");
    switch.bridge(|it| it.multicast_snooping = true);
    let vxlan = switch.0.get(&Key::Link(VX10)).unwrap();
    let violation = violation_of(&switch.0, &spectrum(2, 1), &vxlan).unwrap();
    assert_eq!(
        violation.to_string(),
        "B2: mlxsw_spectrum: Multicast can not be enabled on a bridge with a VxLAN device"
    );
}

#[test]
fn a_vxlan_device_that_we_make_satisfies_every_row() {
    for local in ["10.255.0.1", "2001:db8::1"] {
        for generation in 1..=4 {
            let profile = spectrum(generation, 1);
            let vni = Vni::try_from(77).unwrap();
            let mut switch = Switch::right(local);
            switch.add(Link::new(NEW, "vx77", LinkKind::Vxlan(profile.vxlan(vni, ip(local)))));
            switch.put_into(NEW, BR0);
            switch.tell(Object::BridgeVlan(BridgeVlan::access(NEW, 77)));
            assert_eq!(said(&switch.0, &profile), []);
        }
    }
}

#[test]
fn other_drivers_say_what_they_cannot_do() {
    let profile = |driver| Profile::new(driver, KernelVersion::new(6, 1));
    let switch = Switch::right("10.255.0.1");
    let ids = |driver| {
        let mut ids: Vec<_> =
            said(&switch.0, &profile(driver)).into_iter().map(|(id, ..)| id).collect();
        ids.dedup();
        ids
    };
    assert_eq!(ids(Driver::Rocker), ["C1", "C4", "C5", "C2"]);
    assert_eq!(ids(Driver::Prestera), ["C1", "C2"]);
    assert_eq!(ids(Driver::Netdevsim), ["C3", "C1", "C4"]);
    assert_eq!(ids(Driver::Other), [""; 0], "nothing is known");
    assert!(!profile(Driver::Rocker).capabilities().route_flag_is_true);
}

#[test]
fn what_is_done_too_early_is_remembered() {
    let words = "mlxsw_spectrum: Enslaving a port to a device that already has an upper device is not supported";
    let mut order = Order::new(Switch::right("10.255.0.1").0, spectrum(2, 1));
    let link = |order: &Switch, index, master| Link {
        master: Some(master),
        ..order.0.link(index).unwrap().clone()
    };
    let switch = Switch::right("10.255.0.1");
    order.handle(Notification::New(Object::Link(link(&switch, SWP[4], BOND))));
    let found: Vec<_> = order.violations().cloned().collect();
    let [violation] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((violation.constraint.id, violation.words), ("B8", Some(words)));
    assert_eq!(
        violation.remedy.commands,
        [
            "ip link set bond0 nomaster",
            "ip link set swp4 master bond0",
            "ip link set bond0 master br0"
        ]
    );
    let mut later = Order::new(switch.0.clone(), spectrum(2, 12));
    later.handle(Notification::New(Object::Link(link(&switch, SWP[4], BOND))));
    assert_eq!(later.violations().count(), 0);
    let mut known = Order::new(switch.0.clone(), spectrum(2, 1));
    known.handle(Notification::New(Object::Link(link(&switch, SWP[4], BR0))));
    assert_eq!(known.violations().count(), 0, "a bridge that the switch knows may have SVIs");
}

#[test]
fn drivers_are_known_by_the_kernels_names_and_by_the_chips() {
    for (name, driver) in [
        ("mlxsw_spectrum", Driver::MlxswSpectrum { generation: 1 }),
        ("mlxsw_spectrum2", Driver::MlxswSpectrum { generation: 2 }),
        ("Spectrum-3", Driver::MlxswSpectrum { generation: 3 }),
        ("spectrum4", Driver::MlxswSpectrum { generation: 4 }),
        ("rocker", Driver::Rocker),
        ("sparx5-switch", Driver::Sparx5),
    ] {
        assert_eq!(Driver::named(name), Some(driver), "{name}");
    }
    assert_eq!(Driver::named("spectrum9"), None);
    assert_eq!(Driver::named("e1000e"), None);
    assert_eq!("6.1.0-56-amd64".parse(), Ok(KernelVersion::new(6, 1)));
    assert_eq!("6.12".parse(), Ok(KernelVersion::new(6, 12)));
    assert!("six".parse::<KernelVersion>().is_err());
}

#[test]
fn constraints_have_distinct_ids_in_order() {
    let ids: Vec<_> = constraints().map(|it| it.id).collect();
    assert_eq!(ids[..3], ["V1", "V2", "V3"]);
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!((distinct.len(), ids.len()), (44, 44));
}

proptest! {
    /// Whatever stands on whatever: an answer, and the same one by both ways to ask.
    #[test]
    fn no_tangle_of_links_confuses_it(
        links in prop::collection::vec((1_u32..12, 0_usize..7, 0_u32..12, 0_u32..12), 1..30),
    ) {
        let mut switch = Switch(Model::default());
        for (index, kind, master, lower) in links {
            let kind = match kind {
                0 => LinkKind::Bridge(Bridge { vlan_filtering: index % 2 == 0, ..Bridge::default() }),
                1 => LinkKind::Vlan { id: 1, protocol: VlanProtocol::Dot1ad },
                2 => LinkKind::Macvlan,
                3 => LinkKind::Bond(Bond::default()),
                4 => LinkKind::Vxlan(Vxlan::new(Vni::try_from(5).unwrap(), ip("10.0.0.1"))),
                5 => LinkKind::Vrf { table: 5 },
                _ => LinkKind::Physical,
            };
            let some = |it: u32| (it != 0).then_some(it);
            let link = Link::new(index, format!("swp{index}"), kind);
            switch.add(Link { master: some(master), lower: some(lower), ..link });
        }
        let profile = spectrum(1, 1).with_ports(Ports::Named(Default::default()));
        let prediction = Prediction::new(&switch.0, &profile);
        for object in switch.0.objects() {
            let one = violation_of(&switch.0, &profile, &object);
            prop_assert_eq!(one.as_ref(), prediction.of(&switch.0, &object));
        }
    }
}
