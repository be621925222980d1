//! What the codec costs per route, beside two other codecs.
//!
//! Parsing includes the attributes (judged by RFC 7606 and interned) and a key for every route; writing includes the
//! whole message. The ns per route are the time of an iteration divided by 200 (IPv4) or 60 (EVPN); criterion prints
//! routes per second as `thrpt`. Targets: 4 ns per IPv4 route and 15 ns per EVPN route parsed.
//!
//! `cargo bench -p bgp --no-default-features --bench codec`

#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::hint::black_box;
use std::net::Ipv4Addr;

use bgp::types::{Asn, Label, RouteDistinguisher, RouteTarget};
use bgp::wire::{
    AttributeInterner, AttributeSet, Evpn, EvpnKey, EvpnPayload, ExtCommunity, Family, FamilySet,
    HEADER_LEN, Ipv4Unicast, MAX_MESSAGE, NextHop, UpdateContext, UpdatePacker, UpdateView,
};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipnet::Ipv4Net;
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use rustbgpd_wire::{Ipv4UnicastMode, UpdateMessage};

const CONTEXT: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: true,
    families: FamilySet::ALL,
    add_path: FamilySet::EMPTY,
};
const PACKER: UpdatePacker = UpdatePacker { max_len: MAX_MESSAGE, four_octet_as: true };

criterion_group!(benches, ipv4, evpn_type_2);
criterion_main!(benches);

fn ipv4(criterion: &mut Criterion) {
    let mut editor = AttributeSet::builder(next_hop());
    let set = editor
        .set_as_path(&[Asn(65001), Asn(3356), Asn(15169)])
        .set_med(10)
        .add_community(0xfde9_0001)
        .build();
    let prefix =
        |number: u32| Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 + (number << 8)), 24).unwrap();
    let routes: Vec<_> = (0..200).map(|number| (prefix(number), ())).collect();
    family::<Ipv4Unicast>(criterion, "ipv4", &set, &routes);
}

fn evpn_type_2(criterion: &mut Criterion) {
    let set = AttributeSet::builder(next_hop())
        .set_as_path(&[Asn(65001), Asn(65100)])
        .add_ext_community(RouteTarget::from_as2(65001, 10_100).into())
        .add_ext_community(ExtCommunity::encapsulation_vxlan())
        .build();
    let rd = RouteDistinguisher::from_ipv4(Ipv4Addr::new(192, 0, 2, 1), 10);
    let payload = EvpnPayload { label: Label::from_vni(10_100), ..EvpnPayload::default() };
    let key = |number: u8| EvpnKey::MacIp {
        rd,
        ethernet_tag: 0,
        mac: [0, 0, 0x5e, 0, 0x53, number].into(),
        ip: Some([10, 1, 0, number].into()),
    };
    let routes: Vec<_> = (0..60).map(|number| (key(number), payload)).collect();
    family::<Evpn>(criterion, "evpn_type_2", &set, &routes);
}

fn next_hop() -> NextHop {
    NextHop::V4(Ipv4Addr::new(192, 0, 2, 1))
}

fn family<F: Family>(
    criterion: &mut Criterion,
    name: &str,
    set: &AttributeSet,
    routes: &[(F::Key, F::Payload)],
) {
    let announce = |out: &mut Vec<u8>| {
        PACKER.announce::<F>(set, routes.iter().map(|(key, payload)| (key, payload)), out).unwrap();
    };
    let mut message = Vec::new();
    announce(&mut message);
    assert!(message.len() <= MAX_MESSAGE, "one message");
    let body = message[HEADER_LEN..].to_vec();
    // As FRR writes it: an AS_PATH with a long length field makes the attributes need rewriting.
    let as_path = body.windows(2).position(|pair| pair == [0x40, 2]).unwrap();
    let mut rewritten = body.clone();
    rewritten[as_path] |= 0x10;
    rewritten.insert(as_path + 2, 0);
    let attributes_len = u16::from_be_bytes([body[2], body[3]]) + 1;
    rewritten[2..4].copy_from_slice(&attributes_len.to_be_bytes());

    let mut group = criterion.benchmark_group(format!("{name}/parse"));
    group.throughput(Throughput::Elements(routes.len() as u64));
    for (what, body) in [("ours", &body), ("ours, FRR's attributes", &rewritten)] {
        let mut interner = AttributeInterner::default();
        let mut keys = Vec::with_capacity(routes.len());
        group.bench_function(what, |bencher| {
            bencher.iter(|| {
                keys.clear();
                let view = UpdateView::parse(black_box(body), &CONTEXT).unwrap();
                for group in view.announced::<F>() {
                    let set = interner.intern(&view, group.next_hop.unwrap());
                    for route in group.routes {
                        keys.push(route.unwrap());
                    }
                    black_box(set);
                }
                assert_eq!(black_box(&keys).len(), routes.len());
            });
        });
    }
    let bytes = Bytes::from(body.clone());
    group.bench_function("rustbgpd-wire", |bencher| bencher.iter(|| rustbgpd(black_box(&bytes))));
    group.bench_function("netgauze-bgp-pkt", |bencher| bencher.iter(|| netgauze(black_box(&body))));
    group.finish();

    let mut group = criterion.benchmark_group(format!("{name}/write"));
    group.throughput(Throughput::Elements(routes.len() as u64));
    let mut out = Vec::with_capacity(2 * MAX_MESSAGE);
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            out.clear();
            announce(&mut out);
            assert_eq!(black_box(&out).len(), message.len());
        });
    });
    let theirs = rustbgpd(&bytes);
    group.bench_function("rustbgpd-wire", |bencher| {
        bencher.iter(|| {
            out.clear();
            let (announced, attributes) = (&theirs.update.announced, &theirs.update.attributes);
            UpdateMessage::try_build(
                announced,
                &[],
                attributes,
                true,
                false,
                Ipv4UnicastMode::Body,
            )
            .unwrap()
            .encode(&mut out)
            .unwrap();
            black_box(&out);
        });
    });
    let theirs = netgauze(&body);
    group.bench_function("netgauze-bgp-pkt", |bencher| {
        bencher.iter(|| {
            out.clear();
            theirs.write(&mut out).unwrap();
            black_box(&out);
        });
    });
    group.finish();
}

fn rustbgpd(body: &Bytes) -> rustbgpd_wire::update::RevisedParsedUpdate {
    let message = UpdateMessage::decode(&mut body.clone(), body.len()).unwrap();
    message.parse_revised(true, false, false, &[]).unwrap()
}

fn netgauze(body: &[u8]) -> BgpUpdateMessage {
    let mut context = BgpParsingContext::asn2_default();
    context.set_asn4(true);
    BgpUpdateMessage::parse(&mut SliceReader::new(body), &mut context).unwrap()
}
