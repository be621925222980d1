//! One check per decoder: no input makes it panic, and what it accepts survives being encoded and decoded again.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bgp::bfd::ControlPacket;
use bgp::discovery::{Message as RouterMessage, Packet};
use bgp::types::{Asn, EthernetSegmentId, Label, MacAddr, RouteDistinguisher, RouterId};
use bgp::wire::{
    AttributeInterner, AttributeSet, Capability, Evpn, EvpnKey, EvpnPayload, ExtCommunity, Family,
    FamilySet, HEADER_LEN, Ipv4Unicast, Ipv6Unicast, LargeCommunity, MAX_EXTENDED_MESSAGE,
    MAX_MESSAGE, MessageType, NextHop, Notification, Open, Origin, PmsiTunnel, Reader, Route,
    RouteRefresh, Routes, SegmentKind, UpdateContext, UpdatePacker, UpdateView, Verdict,
    split_message,
};

/// A stream of messages.
pub fn message(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some(frame)) = split_message(rest, MAX_EXTENDED_MESSAGE) {
        assert_eq!(frame.len, frame.body.len() + HEADER_LEN);
        match frame.kind {
            MessageType::Open => open(frame.body),
            MessageType::Update => update_in(frame.body, &context(0)),
            MessageType::Notification => notification(frame.body),
            MessageType::Keepalive => assert!(frame.body.is_empty()),
            MessageType::RouteRefresh => route_refresh(frame.body),
        }
        rest = &rest[frame.len..];
    }
}

/// A BFD control packet.
pub fn bfd(data: &[u8]) {
    if let Ok(packet) = ControlPacket::decode(data) {
        assert_eq!(ControlPacket::decode(&packet.encode()), Ok(packet));
    }
}

/// The body of an OPEN.
pub fn open(data: &[u8]) {
    if data.len() > MAX_MESSAGE - HEADER_LEN {
        return;
    }
    match Open::decode(data) {
        Ok(open) => {
            let mut octets = Vec::new();
            open.encode(&mut octets);
            let frame = split_message(&octets, MAX_MESSAGE).unwrap().unwrap();
            assert_eq!(Open::decode(frame.body), Ok(open));
        }
        Err(error) => assert_eq!(error.code, 2),
    }
}

/// Capabilities in a row.
pub fn capability(data: &[u8]) {
    let mut input = Reader::new(data);
    while let Some(capability) = Capability::decode(&mut input) {
        let mut octets = Vec::new();
        capability.encode(&mut octets);
        assert_eq!(Capability::decode(&mut Reader::new(&octets)), Some(capability));
    }
}

/// A hop limit, a source address, and an ICMPv6 message.
pub fn discovery(data: &[u8]) {
    let Some((head, octets)) = data.split_first_chunk::<17>() else { return };
    let [hop_limit, source @ ..] = *head;
    let packet = Packet { interface: 1, source: source.into(), hop_limit, octets };
    let decoded = RouterMessage::decode(&packet);
    if let Ok(Some(message)) = decoded {
        assert_eq!(hop_limit, 255);
        let octets = message.encode(None);
        let again = Packet { octets: &octets, ..packet };
        assert_eq!(RouterMessage::decode(&again), Ok(Some(message)));
    }
}

/// The body of a NOTIFICATION.
pub fn notification(data: &[u8]) {
    let notification = Notification::decode(data);
    let _ = notification.to_string();
    let _ = notification.clone().into_hard_reset().to_string();
    let mut octets = Vec::new();
    notification.encode(&mut octets);
    let frame = split_message(&octets, MAX_MESSAGE).unwrap().unwrap();
    if data.len() <= MAX_MESSAGE - HEADER_LEN {
        assert_eq!(Notification::decode(frame.body), notification);
    }
}

/// The body of a ROUTE-REFRESH.
pub fn route_refresh(data: &[u8]) {
    if let Ok(refresh) = RouteRefresh::decode(data) {
        let mut octets = Vec::new();
        refresh.encode(&mut octets);
        assert_eq!(RouteRefresh::decode(&octets[HEADER_LEN..]), Ok(refresh));
    }
}

/// EVPN routes.
pub fn evpn(data: &[u8]) {
    routes::<Evpn>(data);
}

/// IPv4 routes, or IPv6 ones if the first octet is odd.
pub fn prefix(data: &[u8]) {
    match data {
        [family, rest @ ..] if family & 1 == 0 => routes::<Ipv4Unicast>(rest),
        [_, rest @ ..] => routes::<Ipv6Unicast>(rest),
        [] => {}
    }
}

fn routes<F: Family>(data: &[u8])
where
    F::Payload: Debug,
{
    for (key, payload) in Routes::<F>::new(data).map_while(Result::ok) {
        let _ = key.to_string();
        let mut octets = Vec::new();
        F::encode(&key, &payload, &mut octets);
        let again: Vec<_> = Routes::<F>::new(&octets).collect();
        assert_eq!(again, [Ok((key, payload))]);
    }
}

/// How to read an UPDATE: one bit for each thing that was negotiated.
fn context(selector: u8) -> UpdateContext {
    let add_path = if selector & 4 == 0 { FamilySet::EMPTY } else { FamilySet::ALL };
    UpdateContext {
        four_octet_as: selector & 2 == 0,
        external: selector & 1 == 0,
        families: FamilySet::ALL,
        add_path,
    }
}

/// The body of an UPDATE; the first octet says how it is to be read.
pub fn update(data: &[u8]) {
    if let [selector, body @ ..] = data {
        update_in(body, &context(*selector));
    }
}

/// One attribute after the mandatory ones, in an UPDATE with a route: how it is to be read, its flags, code and value.
pub fn attribute(data: &[u8]) {
    let [selector, flags, code, value @ ..] = data else { return };
    let Ok(length) = u16::try_from(value.len()) else { return };
    let context = context(selector & 3);
    let path: &[u8] = if context.four_octet_as { &[2, 1, 0, 0, 0, 9] } else { &[2, 1, 0, 9] };
    let mut attributes = vec![0x40, 1, 1, 0, 0x40, 3, 4, 192, 0, 2, 1, 0x40, 2];
    attributes.push(u8::try_from(path.len()).unwrap());
    attributes.extend_from_slice(path);
    attributes.extend_from_slice(&[flags | 0x10, *code]);
    attributes.extend_from_slice(&length.to_be_bytes());
    attributes.extend_from_slice(value);
    let Ok(total) = u16::try_from(attributes.len()) else { return };
    let body = [&[0, 0], &total.to_be_bytes()[..], &attributes, &[8, 10]].concat();
    update_in(&body, &context);
}

fn update_in(body: &[u8], context: &UpdateContext) {
    match UpdateView::parse(body, context) {
        Ok(view) => {
            update_routes::<Ipv4Unicast>(&view, context);
            update_routes::<Ipv6Unicast>(&view, context);
            update_routes::<Evpn>(&view, context);
        }
        Err(error) => {
            assert_eq!(error.code, 3);
            notification(&[&[error.code, error.subcode], &error.data[..]].concat());
        }
    }
}

fn update_routes<F: Family>(view: &UpdateView<'_>, context: &UpdateContext) {
    let _ = view.withdrawn_paths::<F>().count();
    for group in view.announced::<F>() {
        let paths: Vec<_> = group.routes.paths().map_while(Result::ok).collect();
        if matches!(view.verdict, Verdict::TreatAsWithdraw(_)) {
            continue;
        }
        let mut interner = AttributeInterner::default();
        let set = interner.intern(view, group.next_hop.unwrap());
        let _ = format!("{set:?}");
        for (_, (key, payload)) in &paths {
            let _ = F::is_usable(key, payload, &set);
        }
        assert!(Arc::ptr_eq(&set, &interner.intern_set(set.edit().build())));
        for four_octet_as in [true, false] {
            announce::<F>(&set, &paths, UpdateContext { four_octet_as, ..*context }, &mut interner);
        }
    }
}

/// What we send of a set is read as that set.
fn announce<F: Family>(
    set: &Arc<AttributeSet>,
    paths: &[(u32, Route<F>)],
    context: UpdateContext,
    interner: &mut AttributeInterner,
) {
    let is_confederation =
        |kind| matches!(kind, SegmentKind::ConfedSequence | SegmentKind::ConfedSet);
    if !context.four_octet_as
        && set.as_path().segments().any(|segment| is_confederation(segment.kind))
    {
        // AS4_PATH has no place for it: it can get lost between two other segments.
        return;
    }
    let packer =
        UpdatePacker { max_len: MAX_EXTENDED_MESSAGE, four_octet_as: context.four_octet_as };
    let mut octets = Vec::new();
    let announced = if context.add_path.contains(F::FAMILY) {
        let paths = paths.iter().map(|(id, (key, payload))| (*id, key, payload));
        packer.announce_paths::<F>(set, paths, &mut octets)
    } else {
        let routes = paths.iter().map(|(_, (key, payload))| (key, payload));
        packer.announce::<F>(set, routes, &mut octets)
    };
    if announced.is_err() {
        assert!(octets.is_empty());
        return;
    }
    let mut rest = &octets[..];
    let mut again = Vec::new();
    while let Some(frame) = split_message(rest, MAX_EXTENDED_MESSAGE).unwrap() {
        let view = UpdateView::parse(frame.body, &context).unwrap();
        assert_eq!(view.verdict, Verdict::Accept);
        for group in view.announced::<F>() {
            assert_eq!(interner.intern(&view, group.next_hop.unwrap()), *set);
            again.extend(group.routes.paths().map(Result::unwrap));
        }
        rest = &rest[frame.len..];
    }
    assert_eq!(again, paths);
}

/// Attributes and routes made up from the bytes: encoded, then decoded.
pub fn round_trip(data: &[u8]) {
    let _ = made_up(&mut Reader::new(data));
}

fn made_up(input: &mut Reader<'_>) -> Option<()> {
    let next_hop = match input.u8()? % 3 {
        0 => NextHop::V4(host_v4(input)?),
        1 => NextHop::V6 { global: host_v6(input)?, link_local: None },
        _ => NextHop::V6 { global: host_v6(input)?, link_local: Some(host_v6(input)?) },
    };
    let mut editor = AttributeSet::builder(next_hop);
    for _ in 0..input.u8()? {
        match input.u8()? % 13 {
            0 => editor.set_local_pref(input.u32()?),
            1 => editor.set_med(input.u32()?),
            2 => editor.set_origin(Origin::from_octet(input.u8()? % 3)?),
            3 => editor.set_originator_id(RouterId(input.array::<4>()?.into())),
            4 => editor.prepend_cluster(input.array::<4>()?.into()),
            5 => editor.prepend_as(Asn(input.u32()?.max(1))),
            6 => editor
                .prepend_as_times(Asn(u32::from(input.u16()?).max(1)), usize::from(input.u8()?)),
            7 => editor.add_community(input.u32()?),
            8 => editor.add_ext_community(ExtCommunity(input.array()?)),
            9 => editor.add_large_community(LargeCommunity {
                global: input.u32()?,
                local1: input.u32()?,
                local2: input.u32()?,
            }),
            10 => {
                let label = Label::from_octets(input.array()?);
                editor.set_pmsi_tunnel(PmsiTunnel::ingress_replication(label, ip(input)?))
            }
            11 => editor.remove(input.u8()?),
            _ => editor.remove_community(input.u32()?),
        };
    }
    let mut interner = AttributeInterner::default();
    let set = interner.intern_set(editor.build());
    let mut routes = Vec::new();
    while let Some(route) = route(input) {
        routes.push(route);
    }
    for context in [1, 3, 5, 7].map(context) {
        let has_ids = !context.add_path.is_empty();
        let numbered = |route: &(EvpnKey, EvpnPayload)| (u32::from(has_ids), route.clone());
        let paths: Vec<_> = routes.iter().map(numbered).collect();
        announce::<Evpn>(&set, &paths, context, &mut interner);
        let prefixes: Vec<_> = routes
            .iter()
            .filter_map(|(key, _)| match key {
                EvpnKey::Prefix { prefix: ipnet::IpNet::V4(prefix), .. } => {
                    Some((u32::from(has_ids), (*prefix, ())))
                }
                _ => None,
            })
            .collect();
        announce::<Ipv4Unicast>(&set, &prefixes, context, &mut interner);
    }
    Some(())
}

fn host_v4(input: &mut Reader<'_>) -> Option<Ipv4Addr> {
    let [a, b, c, d] = input.array()?;
    Some(Ipv4Addr::new(a % 126 + 1, b, c, d))
}

fn host_v6(input: &mut Reader<'_>) -> Option<Ipv6Addr> {
    let mut octets = input.array::<16>()?;
    octets[0] = 0x20;
    Some(octets.into())
}

fn ip(input: &mut Reader<'_>) -> Option<IpAddr> {
    if input.u8()? & 1 == 0 {
        input.array::<4>().map(IpAddr::from)
    } else {
        input.array::<16>().map(IpAddr::from)
    }
}

fn route(input: &mut Reader<'_>) -> Option<(EvpnKey, EvpnPayload)> {
    let rd = RouteDistinguisher(input.array()?);
    let esi = EthernetSegmentId(input.array()?);
    let ethernet_tag = input.u32()?;
    let label = Label::from_octets(input.array()?);
    let none = EvpnPayload::default();
    Some(match input.u8()? % 6 {
        0 => (EvpnKey::EthernetAd { rd, esi, ethernet_tag }, EvpnPayload { label, ..none }),
        1 => {
            let mac = MacAddr::from(input.array::<6>()?);
            let ip = if input.u8()? & 1 == 0 { None } else { Some(ip(input)?) };
            let label2 = if input.u8()? & 1 == 0 { None } else { Some(label) };
            (
                EvpnKey::MacIp { rd, ethernet_tag, mac, ip },
                EvpnPayload { esi, label, label2, gateway: None },
            )
        }
        2 => (EvpnKey::Multicast { rd, ethernet_tag, originator: ip(input)? }, none),
        3 => (EvpnKey::EthernetSegment { rd, esi, originator: ip(input)? }, none),
        4 => {
            let address = ip(input)?;
            let length = input.u8()? % if address.is_ipv4() { 33 } else { 129 };
            let prefix = ipnet::IpNet::new(address, length).ok()?.trunc();
            let gateway = Some(ip(input)?).filter(|gateway| gateway.is_ipv4() == address.is_ipv4());
            let gateway = gateway.filter(|gateway| !gateway.is_unspecified());
            (
                EvpnKey::Prefix { rd, ethernet_tag, prefix },
                EvpnPayload { esi, label, label2: None, gateway },
            )
        }
        _ => {
            let bytes = input.take_u8_len()?.into();
            (EvpnKey::Unknown { route_type: 6 + label.octets()[0] % 200, bytes }, none)
        }
    })
}
