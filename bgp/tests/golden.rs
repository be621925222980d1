//! What independent speakers really sent, and how we read it. `golden/*.hex` is the bytes, `golden/*.txt` our reading.
//!
//! `BLESS=1 cargo nextest run -p bgp --test golden` rewrites the readings; `golden/capture.sh` captures the bytes anew.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use bgp::types::AfiSafi;
use bgp::wire::{
    AttributeInterner, AttributeSet, Evpn, Family, FamilySet, Frame, Ipv4Unicast, Ipv6Unicast,
    MAX_MESSAGE, MessageType, Notification, Open, RouteRefresh, UpdateContext, UpdatePacker,
    UpdateView, split_message,
};

#[test]
fn frr_is_read_as_it_means() {
    assert_reading("frr-8.4.4");
}

#[test]
fn gobgp_is_read_as_it_means() {
    assert_reading("gobgp-3.10");
}

#[test]
fn bird_is_read_as_it_means() {
    assert_reading("bird-2.0.12");
}

fn assert_reading(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let bytes = fs::read_to_string(folder.join(format!("{name}.hex"))).unwrap();
    let mut lines = bytes.lines();
    let mut reading = lines.next().unwrap().to_owned() + "\n";
    for line in lines {
        let octets = from_hex(line);
        let frame = split_message(&octets, MAX_MESSAGE).unwrap().unwrap();
        assert_eq!(frame.len, octets.len());
        read(frame, &mut reading);
    }
    let expected = folder.join(format!("{name}.txt"));
    if env::var_os("BLESS").is_some() {
        fs::write(&expected, &reading).unwrap();
    }
    assert_eq!(
        reading,
        fs::read_to_string(&expected).unwrap(),
        "BLESS=1 rewrites {}",
        expected.display()
    );
}

fn from_hex(line: &str) -> Vec<u8> {
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    line.as_bytes().chunks(2).map(octet).collect()
}

fn read(frame: Frame<'_>, out: &mut String) {
    writeln!(out, "\n{:?}", frame.kind).unwrap();
    let mut again = Vec::new();
    match frame.kind {
        MessageType::Open => {
            let open = Open::decode(frame.body).unwrap();
            writeln!(out, "  {:?} {} hold time {}", open.asn, open.router_id, open.hold_time)
                .unwrap();
            for capability in &open.capabilities {
                writeln!(out, "  {capability:?}").unwrap();
            }
            open.encode(&mut again);
            assert_eq!(Open::decode(&again[19..]), Ok(open));
        }
        MessageType::Notification => {
            let notification = Notification::decode(frame.body);
            writeln!(out, "  {notification}").unwrap();
            notification.encode(&mut again);
            assert_eq!(again[19..], *frame.body);
        }
        MessageType::RouteRefresh => {
            let refresh = RouteRefresh::decode(frame.body).unwrap();
            writeln!(out, "  {refresh:?}").unwrap();
            refresh.encode(&mut again);
            assert_eq!(again[19..], *frame.body);
        }
        MessageType::Keepalive => {}
        MessageType::Update => read_update(frame.body, out),
    }
}

fn read_update(body: &[u8], out: &mut String) {
    let context = UpdateContext {
        four_octet_as: true,
        external: true,
        families: FamilySet::ALL,
        add_path: FamilySet::EMPTY,
    };
    let view = UpdateView::parse(body, &context).unwrap();
    writeln!(out, "  {:?}", view.verdict).unwrap();
    if let Some(family) = view.end_of_rib() {
        writeln!(out, "  end of {family}").unwrap();
    }
    read_routes::<Ipv4Unicast>(&view, &context, out);
    read_routes::<Ipv6Unicast>(&view, &context, out);
    read_routes::<Evpn>(&view, &context, out);
}

fn read_routes<F: Family>(view: &UpdateView<'_>, context: &UpdateContext, out: &mut String) {
    for route in view.withdrawn::<F>() {
        writeln!(out, "  - {}", route.unwrap().0).unwrap();
    }
    let mut interner = AttributeInterner::default();
    for group in view.announced::<F>() {
        let set = interner.intern(view, group.next_hop.unwrap());
        describe(&set, out);
        let routes: Vec<_> = group.routes.map(Result::unwrap).collect();
        for (key, payload) in &routes {
            let payload = if F::FAMILY == AfiSafi::L2VPN_EVPN {
                format!(" {payload:?}")
            } else {
                String::new()
            };
            writeln!(out, "  + {key}{payload}").unwrap();
        }
        // What we would send on is read as the same.
        let packer = UpdatePacker { max_len: MAX_MESSAGE, four_octet_as: true };
        let mut again = Vec::new();
        packer
            .announce::<F>(&set, routes.iter().map(|(key, payload)| (key, payload)), &mut again)
            .unwrap();
        let view = UpdateView::parse(&again[19..], context).unwrap();
        let group = view.announced::<F>().next().unwrap();
        assert_eq!(interner.intern(&view, group.next_hop.unwrap()), set);
        assert_eq!(group.routes.map(Result::unwrap).collect::<Vec<_>>(), routes);
    }
}

fn describe(set: &AttributeSet, out: &mut String) {
    writeln!(out, "  next hop {:?}, {:?}, path {:?}", set.next_hop(), set.origin(), set.as_path())
        .unwrap();
    if let Some(med) = set.med() {
        writeln!(out, "  med {med}").unwrap();
    }
    for community in set.communities() {
        writeln!(out, "  community {}:{}", community >> 16, community & 0xffff).unwrap();
    }
    for community in set.ext_communities() {
        writeln!(out, "  {community}").unwrap();
    }
    if let Some(tunnel) = set.pmsi_tunnel() {
        writeln!(out, "  {tunnel:?}").unwrap();
    }
}
