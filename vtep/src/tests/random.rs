//! Any sequence of facts: what was said step by step is what follows from the facts, and what a gateway says that hears
//! only the end of the story.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const BRIDGES: [Ifindex; 3] = [100, 101, 102];
const VXLANS: [Ifindex; 3] = [200, 201, 202];
const PORTS: [Ifindex; 2] = [300, 301];
const SVI: Ifindex = 400;
const VNIS: [u32; 2] = [10, 20];
const VLANS: [u16; 2] = [1, 2];
const VTEPS: [&str; 3] = ["192.0.2.1", "192.0.2.9", "192.0.2.5"];
const MACS: [&str; 5] = [
    "00:00:5e:00:53:01",
    "00:00:5e:00:53:02",
    "00:00:5e:00:53:03",
    "00:00:5e:00:53:04",
    "00:00:5e:00:53:05",
];
const IPS: [&str; 2] = ["10.0.0.1", "fe80::1"];

#[derive(Debug, Clone)]
enum Step {
    Kernel(Box<Object>),
    Gone(Box<Object>),
    Route(Box<Received>),
    Withdraw(Box<Received>),
    Poll,
}

fn link_fact() -> impl Strategy<Value = Object> {
    let bridge = (0..3_usize, any::<bool>(), any::<bool>(), proptest::option::of(0..5_usize));
    let bridge = bridge.prop_map(|(which, up, filtering, own)| {
        let kind = LinkKind::Bridge(Bridge {
            vlan_filtering: filtering && which != 0,
            ..Bridge::default()
        });
        let mac = own.map(|own| mac(MACS[own]));
        Link { up, kind, mac, ..super::bridge(BRIDGES[which]) }
    });
    let tunnel =
        (0..3_usize, 0..3_usize, proptest::option::of(0..3_usize), any::<bool>(), 0..4_usize);
    let tunnel = tunnel.prop_map(|(which, vni, master, up, local)| {
        let local = ["192.0.2.5", "192.0.2.5", "192.0.2.1"].get(local).map(|text| ip(text));
        let master = master.map(|master| BRIDGES[master]);
        let link = Link { up, master, ..vxlan(VXLANS[which], 10, BRIDGE) };
        change_vxlan(link, |vxlan| {
            vxlan.local = local;
            vxlan.vni = VNIS.get(vni).map(|vni| vni_of(*vni));
            vxlan.external = vxlan.vni.is_none();
        })
    });
    let svi = (0..3_usize, 0..2_usize, proptest::option::of(0..5_usize));
    let svi = svi.prop_map(|(bridge, vlan, own)| {
        let mac = own.map(|own| mac(MACS[own]));
        Link { mac, ..super::svi(SVI, BRIDGES[bridge], VLANS[vlan]) }
    });
    let port = (0..2_usize, proptest::option::of(0..3_usize));
    let port = port.prop_map(|(which, master)| Link {
        master: master.map(|master| BRIDGES[master]),
        ..super::port(PORTS[which], BRIDGE)
    });
    prop_oneof![2 => bridge, 3 => tunnel, 1 => port, 1 => svi].prop_map(Object::Link)
}

fn vlan_fact() -> impl Strategy<Value = Object> {
    let tunnel = proptest::option::of(0..2_usize);
    (0..4_usize, 0..2_usize, any::<bool>(), tunnel).prop_map(|(of, vlan, pvid, tunnel)| {
        let ifindex = VXLANS.iter().chain(&[BRIDGES[1]]).copied().nth(of).unwrap();
        let of_bridge = ifindex == BRIDGES[1];
        let tunnel = tunnel.map(|vni| vni_of(VNIS[vni]));
        let entry = BridgeVlan::tagged(ifindex, VLANS[vlan]);
        Object::BridgeVlan(BridgeVlan { pvid, tunnel, of_bridge, ..entry })
    })
}

fn station_fact() -> impl Strategy<Value = Object> {
    let states = [FdbState::Dynamic, FdbState::Dynamic, FdbState::Static, FdbState::Permanent];
    let at = (0..5_usize, 0..3_usize, proptest::option::of(0..2_usize));
    (at, 0..5_usize, prop::sample::select(states.to_vec()), any::<bool>()).prop_map(
        |((port, bridge, vlan), mac, state, extern_learn)| {
            let port = PORTS.iter().chain(&VXLANS).copied().nth(port).unwrap();
            let (master, vlan) = (Some(BRIDGES[bridge]), vlan.map(|vlan| VLANS[vlan]));
            Object::Fdb(FdbEntry { state, extern_learn, master, vlan, ..station(MACS[mac], port) })
        },
    )
}

fn neighbor_fact() -> impl Strategy<Value = Object> {
    let states = [NeighborState::Reachable, NeighborState::Stale, NeighborState::Failed];
    let state = prop::sample::select(states.to_vec());
    (0..4_usize, 0..2_usize, 0..5_usize, state, any::<bool>()).prop_map(
        |(on, ip, mac, state, extern_learn)| {
            let ifindex = BRIDGES.iter().chain(&[SVI]).copied().nth(on).unwrap();
            Object::Neighbor(Neighbor {
                ifindex,
                state,
                extern_learn,
                ..neighbor(IPS[ip], MACS[mac])
            })
        },
    )
}

fn address_fact() -> impl Strategy<Value = Object> {
    (0..3_usize, 0..2_usize).prop_map(|(bridge, index)| {
        Object::Address(Address::new(BRIDGES[bridge], ip(IPS[index]).into()))
    })
}

fn kernel_fact() -> impl Strategy<Value = Object> {
    prop_oneof![
        3 => link_fact(),
        2 => vlan_fact(),
        4 => station_fact(),
        2 => neighbor_fact(),
        1 => address_fact()
    ]
}

fn received() -> impl Strategy<Value = Received> {
    let mac_ip = (0..3_usize, 0..5_usize, proptest::option::of(0..2_usize));
    let mac_ip = mac_ip.prop_map(|(vtep, mac, ip)| match ip {
        None => Received::mac(MACS[mac], VTEPS[vtep]),
        Some(ip) => Received::mac_ip(MACS[mac], IPS[ip], VTEPS[vtep]),
    });
    let flood = (0..3_usize).prop_map(|vtep| Received::flood(VTEPS[vtep]));
    let route = prop_oneof![4 => mac_ip, 1 => flood];
    (route, 0..2_usize, 0..4_u32, any::<bool>(), 0..8_u32).prop_map(
        |(route, vni, sequence, sticky, spoiled)| {
            let mut route = route.in_vni(VNIS[vni]);
            match spoiled {
                0 => route.payload.label = Label::from_vni(99),
                1 => route = route.with(ExtCommunity::route_target(RouteTarget::from_as2(7, 20))),
                2 => route.communities.clear(),
                _ => {}
            }
            route.with(ExtCommunity::mac_mobility(sticky && sequence == 3, sequence))
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => kernel_fact().prop_map(|object| Step::Kernel(Box::new(object))),
        3 => kernel_fact().prop_map(|object| Step::Gone(Box::new(object))),
        4 => received().prop_map(|route| Step::Route(Box::new(route))),
        2 => received().prop_map(|route| Step::Withdraw(Box::new(route))),
        2 => Just(Step::Poll),
    ]
}

fn play(steps: &[Step]) -> (Lab, BTreeMap<EvpnKey, Received>) {
    let mut lab = Lab::empty();
    let mut received = BTreeMap::new();
    for step in steps {
        match step {
            Step::Kernel(object) => lab.notify(Notification::New((**object).clone())),
            Step::Gone(object) => lab.notify(Notification::Gone((**object).clone())),
            Step::Route(route) => {
                lab.receive(route);
                received.insert(route.key.clone(), (**route).clone());
            }
            Step::Withdraw(route) => {
                lab.withdraw(route);
                received.remove(&route.key);
            }
            Step::Poll => {
                lab.poll();
            }
        }
    }
    lab.poll();
    (lab, received)
}

/// The MACs with claims on both sides: where such a one is depends on who was first.
fn contested(lab: &Lab, received: &BTreeMap<EvpnKey, Received>) -> BTreeSet<MacAddr> {
    let here: BTreeSet<MacAddr> = lab.model.fdb().map(|entry| entry.mac).collect();
    let macs = received.keys().filter_map(|key| match key {
        EvpnKey::MacIp { mac, .. } => Some(*mac),
        _ => None,
    });
    macs.filter(|mac| here.contains(mac)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_said_step_by_step_is_all_that_follows(steps in prop::collection::vec(step(), 1..60)) {
        let (mut lab, _) = play(&steps);
        prop_assert_eq!(&lab.entries, &lab.gateway.desired_entries());
        prop_assert_eq!(&lab.routes, &lab.gateway.desired_routes());
        lab.gateway.reconsider();
        prop_assert_eq!(lab.poll(), (0, 0), "a full pass finds something that was missed");
    }

    #[test]
    fn the_order_of_facts_does_not_matter(steps in prop::collection::vec(step(), 1..60), seed in any::<u64>()) {
        let (lab, received) = play(&steps);
        let mut objects: Vec<Object> = lab.model.objects().collect();
        shuffle(&mut objects, seed);
        let mut late = Lab::empty();
        for route in received.values() {
            late.receive(route);
        }
        for object in objects {
            let key = object.key();
            late.gateway.handle_object(&key, Some(&object));
        }
        late.poll();

        // Which MAC an address has depends on the MACs that claim it.
        let contested = contested(&lab, &received);
        let entries = |lab: &Lab| lab.entries.values().filter(|object| match object {
            Object::Fdb(entry) => !contested.contains(&entry.mac),
            _ => contested.is_empty(),
        }).cloned().collect::<Vec<_>>();
        prop_assert_eq!(entries(&lab), entries(&late));
        let routes = |lab: &Lab| lab.routes.keys().filter(|key| match key {
            EvpnKey::MacIp { ip: None, mac, .. } => !contested.contains(mac),
            EvpnKey::MacIp { .. } => contested.is_empty(),
            _ => true,
        }).cloned().collect::<Vec<_>>();
        prop_assert_eq!(routes(&lab), routes(&late));
    }

    #[test]
    fn no_mac_is_ever_advertised_and_installed_at_once(steps in prop::collection::vec(step(), 1..60)) {
        let (lab, _) = play(&steps);
        for domain in lab.gateway.domains() {
            let advertised = lab.routes.keys().filter_map(|key| match key {
                EvpnKey::MacIp { rd, mac, .. } if *rd == domain.rd => Some(*mac),
                _ => None,
            });
            for mac in advertised {
                let entry = FdbEntry::remote_in_bridge(domain.vxlan.index, mac);
                let key = FdbEntry { vlan: domain.vlan, ..entry }.key();
                prop_assert!(!lab.entries.contains_key(&key), "{} is in two places", mac);
            }
        }
    }
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for last in (1..items.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from(state >> 33).unwrap() % (last + 1);
        items.swap(last, pick);
    }
}
