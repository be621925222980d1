//! The whole way of a route: received, decided, told to one other neighbour and to the daemon. In memory, one core.
//!
//! `cargo bench -p bgp --bench engine` prints time per route; the facts to beat are BIRD's 1,400 ns (a real IPv4
//! table: 6.4 routes per UPDATE) and 1,500 ns (EVPN type 2, 60 per UPDATE).

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgp::policy::{
    Action, AttributeCondition, CommunityEntry, CommunityList, Condition, Continue, Entry,
    ExtPattern, FamilyPolicy, NeighborPolicy, PrefixList, PrefixRule, RouteCondition, RouteMap,
    Setting,
};
use bgp::speaker::{
    ConnectionId, Event, FibReport, FibState, NeighborConfig, RemoteAs, Speaker, SpeakerConfig,
};
use bgp::types::{AfiSafi, Asn, Label, MacAddr, RouteDistinguisher, RouteTarget, RouterId};
use bgp::wire::{
    AttributeSet, Capability, Evpn, EvpnKey, EvpnPayload, ExtCommunity, Ipv4Unicast, NextHop, Open,
    UpdatePacker, encode_keepalive,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROUTES: u32 = 200_000;
const CHUNK: usize = 64 * 1024;
const PACKER: UpdatePacker = UpdatePacker { max_len: 4096, four_octet_as: true };

criterion_group!(benches, ingest);
criterion_main!(benches);

fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("receive, decide, tell");
    group.throughput(Throughput::Elements(u64::from(ROUTES))).sample_size(10);
    let (ipv4, evpn) = (ipv4_stream(), evpn_stream());
    let off = NeighborPolicy::default();
    let (ipv4_policy, evpn_policy) = (prefix_policy(), target_policy());
    for (name, family, stream, hold, policy) in [
        ("ipv4, 6 routes per update", AfiSafi::IPV4_UNICAST, &ipv4, false, &off),
        ("evpn type 2, 60 routes per update", AfiSafi::L2VPN_EVPN, &evpn, false, &off),
        ("ipv4, told when it forwards", AfiSafi::IPV4_UNICAST, &ipv4, true, &off),
        ("ipv4, 1000 prefixes in and out", AfiSafi::IPV4_UNICAST, &ipv4, false, &ipv4_policy),
        ("evpn, a community list in and out", AfiSafi::L2VPN_EVPN, &evpn, false, &evpn_policy),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds).map(|_| one_round(family, stream, hold, policy)).sum()
            });
        });
    }
    group.finish();
}

fn policy(family: AfiSafi, condition: Condition) -> NeighborPolicy {
    let entry = Entry {
        sequence: 10,
        action: Action::Permit,
        conditions: vec![condition],
        settings: vec![Setting::LocalPref(200)],
        call: None,
        then: Continue::No,
    };
    let map = Arc::new(RouteMap::new("map".into(), vec![entry]).unwrap());
    let both = FamilyPolicy { import: Some(Arc::clone(&map)), export: Some(map) };
    NeighborPolicy { families: [(family, both)].into(), ..NeighborPolicy::default() }
}

/// A list of 1,000 prefixes that permits every route, and sets an attribute.
fn prefix_policy() -> NeighborPolicy {
    let rule = |sequence: u32| PrefixRule {
        sequence,
        action: Action::Permit,
        prefix: Some(
            ipnet::Ipv4Net::new(Ipv4Addr::from(0x1000_0000 + (sequence << 16)), 16).unwrap().into(),
        ),
        ge: Some(24),
        le: None,
    };
    let list = PrefixList::new("list".into(), (0..1_000).map(rule).collect()).unwrap();
    policy(AfiSafi::IPV4_UNICAST, Condition::Route(RouteCondition::Prefix(Arc::new(list))))
}

/// A condition on attributes only.
fn target_policy() -> NeighborPolicy {
    let patterns = vec!["rt *:*".parse::<ExtPattern>().unwrap()];
    let entries = vec![CommunityEntry { action: Action::Permit, patterns }];
    let list = CommunityList { name: "list".into(), entries };
    policy(
        AfiSafi::L2VPN_EVPN,
        Condition::Attribute(AttributeCondition::ExtCommunities(Arc::new(list))),
    )
}

/// `hold`: every route is told only after it was confirmed (`suppress_fib_pending`).
fn one_round(family: AfiSafi, stream: &[u8], hold: bool, policy: &NeighborPolicy) -> Duration {
    let now = Instant::now();
    let mut speaker = speaker(family, hold, now);
    let sender = establish(&mut speaker, 1, family, now);
    let receiver = establish(&mut speaker, 2, family, now);
    let policies = speaker.neighbors().into_iter().map(|known| (known.id, policy.clone()));
    speaker.set_policies(policies, now);
    let begin = Instant::now();
    for chunk in stream.chunks(CHUNK) {
        speaker.handle_bytes(sender, chunk, now);
        while let Some(out) = speaker.poll_transmit(receiver, CHUNK) {
            black_box(out);
        }
        while let Some(event) = speaker.poll_event() {
            if let Event::BestPath(best) = &event
                && let Some(token) = best.fib
            {
                let key = best.key.clone();
                speaker.handle_fib(&FibReport { key, token, state: FibState::Forwarding });
            }
            black_box(event);
        }
    }
    while let Some(out) = speaker.poll_transmit(receiver, CHUNK) {
        black_box(out);
    }
    let took = begin.elapsed();
    assert_eq!(speaker.route_count(family), ROUTES as usize);
    assert_eq!(speaker.neighbors()[1].families[0].sent, ROUTES as usize);
    took
}

fn speaker(family: AfiSafi, hold: bool, now: Instant) -> Speaker {
    let mut config = SpeakerConfig::new(Asn(65_000), RouterId(Ipv4Addr::new(10, 0, 0, 1)));
    config.best_path_events = vec![family];
    config.suppress_fib_pending = hold;
    Speaker::new(config, now)
}

fn establish(speaker: &mut Speaker, last: u8, family: AfiSafi, now: Instant) -> ConnectionId {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let mut neighbor = NeighborConfig::new(address, RemoteAs::External, [family]);
    neighbor.passive = true;
    speaker.add_neighbor(neighbor, now).unwrap();
    let local = SocketAddr::from(([192, 0, 2, 100], 179));
    let connection = speaker.handle_accepted(SocketAddr::new(address, 40_000), local, now).unwrap();
    let asn = Asn(65_000 + u32::from(last));
    let mut hello = Vec::new();
    let capabilities = vec![Capability::Multiprotocol(family), Capability::FourOctetAs(asn)];
    let router_id = RouterId(Ipv4Addr::new(10, 0, 1, last));
    Open { asn, hold_time: 0, router_id, capabilities }.encode(&mut hello);
    encode_keepalive(&mut hello);
    speaker.handle_bytes(connection, &hello, now);
    while speaker.poll_transmit(connection, CHUNK).is_some() {}
    connection
}

/// As in a real table: an UPDATE has 6 routes, and every eighth one attributes that were not there before.
fn ipv4_stream() -> Vec<u8> {
    let mut out = Vec::new();
    let prefixes: Vec<ipnet::Ipv4Net> = (0..ROUTES)
        .map(|number| ipnet::Ipv4Net::new(Ipv4Addr::from(0x1000_0000 + (number << 8)), 24).unwrap())
        .collect();
    for (number, routes) in (0u32..).zip(prefixes.chunks(6)) {
        let mut editor = AttributeSet::builder(NextHop::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let path = [65_001, 3_356, 1_299 + number / 8 % 20_000, 64_512 + number / 8 % 400];
        editor.set_as_path(&path.map(Asn)).add_community(number / 8);
        PACKER
            .announce::<Ipv4Unicast>(&editor.build(), routes.iter().map(|key| (key, &())), &mut out)
            .unwrap();
    }
    out
}

/// As from a leaf: one set of attributes per VNI.
fn evpn_stream() -> Vec<u8> {
    let mut out = Vec::new();
    let vtep = Ipv4Addr::new(198, 51, 100, 1);
    for vni in 0..ROUTES.div_ceil(1_000) {
        let mut editor = AttributeSet::builder(NextHop::V4(vtep));
        editor.set_as_path(&[Asn(65_001)]);
        editor.add_ext_community(ExtCommunity::route_target(RouteTarget::from_as2(65_001, vni)));
        editor.add_ext_community(ExtCommunity::encapsulation_vxlan());
        let rd = RouteDistinguisher::from_ipv4(vtep, u16::try_from(vni).unwrap());
        let payload = EvpnPayload { label: Label::from_vni(vni), ..EvpnPayload::default() };
        let keys: Vec<EvpnKey> = (0..1_000u32)
            .map(|number| {
                let [_, _, c, d] = number.to_be_bytes();
                let mac = MacAddr::new(2, 0, 0, 0, c, d);
                EvpnKey::MacIp { rd, ethernet_tag: 0, mac, ip: None }
            })
            .collect();
        for keys in keys.chunks(60) {
            let routes = keys.iter().map(|key| (key, &payload));
            PACKER.announce::<Evpn>(&editor.build(), routes, &mut out).unwrap();
        }
    }
    out
}
