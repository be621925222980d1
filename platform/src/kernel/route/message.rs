//! Routes as messages (`struct rtmsg`, `RTA_*` of linux/rtnetlink.h), read and written without a detour: a full table is a
//! million of them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Hop, Route, RouteKind, Via};
use crate::kernel::Offload;
use crate::kernel::message::{
    self, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, RTM_DELROUTE, RTM_NEWROUTE, Request,
};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

const RTMSG_LEN: usize = 12;
const RTNEXTHOP_LEN: usize = 8;
/// What most routes take.
const ROOM: usize = 64;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_NH_ID: u16 = 30;

const RTNH_F_ONLINK: u8 = 4;
const RTNH_F_OFFLOAD: u8 = 8;
const RTNH_F_TRAP: u8 = 64;
const RTM_F_CLONED: u32 = 0x200;
const RTM_F_OFFLOAD: u32 = 0x4000;
const RTM_F_TRAP: u32 = 0x8000;
const RTM_F_OFFLOAD_FAILED: u32 = 0x2000_0000;

const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;
const SCOPE_NOWHERE: u8 = 255;

impl Route {
    /// Creates it; refused if a route of its key exists, which may be another's.
    pub(in crate::kernel) fn encode_create(&self) -> Request {
        self.encode(NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Turns what is there under its key into it.
    pub(in crate::kernel) fn encode_replace(&self) -> Request {
        self.encode(NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Names prefix, table, metric and protocol: of two routes to one prefix, the right one goes; another's never.
    pub(in crate::kernel) fn encode_delete(&self) -> Request {
        let payload = self.begin(SCOPE_NOWHERE, 0, 0);
        Request { message_type: RTM_DELROUTE, flags: 0, payload }
    }

    fn encode(&self, flags: u16) -> Request {
        let v4 = self.is_v4();
        let scope = match (self.kind, &self.via) {
            (RouteKind::Local, _) => SCOPE_HOST,
            // IPv4 wants to know that no gateway is meant; IPv6 knows no scopes.
            (RouteKind::Unicast, Via::Hops(hops))
                if v4 && hops.iter().all(|hop| hop.gateway.is_none()) =>
            {
                SCOPE_LINK
            }
            _ => SCOPE_UNIVERSE,
        };
        let onlink = match &self.via {
            Via::Hops(hops) => matches!(hops.as_slice(), [hop] if hop.onlink),
            Via::Nexthop(_) => false,
        };
        let hop_flags = if onlink { RTNH_F_ONLINK } else { 0 };
        let mut out = self.begin(scope, self.kind.number(), hop_flags);
        match &self.via {
            Via::Nexthop(id) => put(RTA_NH_ID, &id.to_ne_bytes(), &mut out),
            Via::Hops(hops) => match hops.as_slice() {
                [] => {}
                [hop] => {
                    hop.put_gateway(v4, &mut out);
                    if hop.ifindex != 0 {
                        put(RTA_OIF, &hop.ifindex.to_ne_bytes(), &mut out);
                    }
                }
                hops => {
                    let mut nested = Vec::new();
                    hops.iter().for_each(|hop| hop.put(v4, &mut nested));
                    put(RTA_MULTIPATH, &nested, &mut out);
                }
            },
        }
        if let Some(source) = self.source {
            put(RTA_PREFSRC, &message::octets(source), &mut out);
        }
        Request { message_type: RTM_NEWROUTE, flags, payload: out }
    }

    /// The header, and what names the route.
    fn begin(&self, scope: u8, kind: u8, hop_flags: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(ROOM);
        let family = if self.is_v4() { AF_INET } else { AF_INET6 };
        // Larger table numbers stand in an attribute.
        let table = u8::try_from(self.table);
        let length = self.prefix.prefix_len();
        out.extend_from_slice(&[family, length, 0, 0, table.unwrap_or(0)]);
        out.extend_from_slice(&[self.protocol, scope, kind]);
        out.extend_from_slice(&u32::from(hop_flags).to_ne_bytes());
        if length != 0 {
            match self.prefix {
                IpNet::V4(prefix) => put(RTA_DST, &prefix.network().octets(), &mut out),
                IpNet::V6(prefix) => put(RTA_DST, &prefix.network().octets(), &mut out),
            }
        }
        if table.is_err() {
            put(RTA_TABLE, &self.table.to_ne_bytes(), &mut out);
        }
        if self.metric != 0 {
            put(RTA_PRIORITY, &self.metric.to_ne_bytes(), &mut out);
        }
        out
    }

    fn is_v4(&self) -> bool {
        matches!(self.prefix, IpNet::V4(_))
    }

    /// `None`: not a route that anybody asked for: a cached exception, another family, a route that every link has.
    pub(in crate::kernel) fn decode(payload: &[u8]) -> Option<Self> {
        let (&[family, length, _, _, table, protocol, _, kind, f0, f1, f2, f3], attributes) =
            payload.split_first_chunk::<RTMSG_LEN>()?;
        let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
        // The lowest octet is that of the only hop.
        let hop_flags = flags.to_le_bytes()[0];
        if flags & RTM_F_CLONED != 0 {
            return None;
        }
        let mut address = match family {
            AF_INET => IpAddr::from([0; 4]),
            AF_INET6 => IpAddr::from([0; 16]),
            _ => return None,
        };
        let (mut table, mut metric) = (u32::from(table), 0);
        let (mut source, mut nexthop, mut several) = (None, None, &[][..]);
        let mut hop =
            Hop { gateway: None, ifindex: 0, weight: 1, onlink: hop_flags & RTNH_F_ONLINK != 0 };
        for (attribute, value) in message::attributes(attributes) {
            match attribute {
                RTA_DST => address = message::address(value)?,
                RTA_TABLE => table = message::number(value)?,
                RTA_PRIORITY => metric = message::number(value)?,
                RTA_PREFSRC => source = message::address(value),
                RTA_OIF => hop.ifindex = message::number(value)?,
                RTA_NH_ID => nexthop = message::number(value),
                RTA_MULTIPATH => several = value,
                _ => hop.gateway = gateway(attribute, value).or(hop.gateway),
            }
        }
        let mut offload = Offload {
            offloaded: flags & RTM_F_OFFLOAD != 0,
            trapped: flags & RTM_F_TRAP != 0,
            failed: flags & RTM_F_OFFLOAD_FAILED != 0,
        };
        let via = match nexthop {
            // A nexthop object's flags are its own: they say nothing of a route that uses it.
            Some(id) => Via::Nexthop(id),
            None => {
                let (mut hops, mut of_hops) = decode_hops(several);
                of_hops = with_flags(of_hops, hop_flags);
                if hops.is_empty() && (hop.ifindex != 0 || hop.gateway.is_some()) {
                    hops.push(hop);
                }
                // Rocker flags the gateway that is written in the route, and never the route.
                if offload == Offload::default() {
                    offload = of_hops;
                }
                Via::Hops(hops)
            }
        };
        let prefix = IpNet::new(address, length).ok()?;
        let of_every_link = match prefix {
            IpNet::V6(prefix) => {
                prefix.addr().is_unicast_link_local() || prefix.addr().is_multicast()
            }
            IpNet::V4(_) => false,
        };
        let kind = RouteKind::from(kind);
        let route = Self { prefix, table, metric, protocol, kind, via, source, offload };
        (!of_every_link).then_some(route)
    }
}

impl Hop {
    fn put(&self, v4_route: bool, out: &mut Vec<u8>) {
        let start = out.len();
        let hops = u8::try_from(self.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        out.extend_from_slice(&[0, 0, if self.onlink { RTNH_F_ONLINK } else { 0 }, hops]);
        out.extend_from_slice(&self.ifindex.to_ne_bytes());
        self.put_gateway(v4_route, out);
        let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = out.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// A gateway of the route's own family, or an IPv6 gateway of an IPv4 route.
    fn put_gateway(&self, v4_route: bool, out: &mut Vec<u8>) {
        match self.gateway {
            None => {}
            Some(IpAddr::V6(gateway)) if v4_route => {
                let family = u16::from(AF_INET6).to_ne_bytes();
                put(RTA_VIA, &[&family[..], &gateway.octets()].concat(), out);
            }
            Some(IpAddr::V4(gateway)) => put(RTA_GATEWAY, &gateway.octets(), out),
            Some(IpAddr::V6(gateway)) => put(RTA_GATEWAY, &gateway.octets(), out),
        }
    }
}

/// The hops of a route with several, and what their flags say of the hardware. Ends at the first that does not fit.
fn decode_hops(mut rest: &[u8]) -> (Vec<Hop>, Offload) {
    let (mut hops, mut offload) = (Vec::new(), Offload::default());
    while let Some((&[l0, l1, flags, weight, i0, i1, i2, i3], _)) =
        rest.split_first_chunk::<RTNEXTHOP_LEN>()
    {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(attributes) = rest.get(RTNEXTHOP_LEN..length) else { break };
        let gateway =
            message::attributes(attributes).find_map(|(kind, value)| gateway(kind, value));
        let ifindex = u32::from_ne_bytes([i0, i1, i2, i3]);
        let onlink = flags & RTNH_F_ONLINK != 0;
        hops.push(Hop { gateway, ifindex, weight: u16::from(weight) + 1, onlink });
        offload = with_flags(offload, flags);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    (hops, offload)
}

fn with_flags(offload: Offload, hop_flags: u8) -> Offload {
    Offload {
        offloaded: offload.offloaded || hop_flags & RTNH_F_OFFLOAD != 0,
        trapped: offload.trapped || hop_flags & RTNH_F_TRAP != 0,
        ..offload
    }
}

fn gateway(kind: u16, value: &[u8]) -> Option<IpAddr> {
    match kind {
        RTA_GATEWAY => message::address(value),
        // After the family.
        RTA_VIA => message::address(value.get(2..)?),
        _ => None,
    }
}

fn put(kind: u16, value: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The kinds that have a name here, by the kernel's number (`RTN_*`).
const KINDS: [(u8, RouteKind); 8] = [
    (1, RouteKind::Unicast),
    (2, RouteKind::Local),
    (3, RouteKind::Broadcast),
    (4, RouteKind::Anycast),
    (5, RouteKind::Multicast),
    (6, RouteKind::Blackhole),
    (7, RouteKind::Unreachable),
    (8, RouteKind::Prohibit),
];

impl RouteKind {
    fn number(self) -> u8 {
        match self {
            Self::Other(number) => number,
            named => KINDS.iter().find(|(_, kind)| *kind == named).map_or(0, |(number, _)| *number),
        }
    }
}

impl From<u8> for RouteKind {
    fn from(number: u8) -> Self {
        KINDS
            .iter()
            .find(|(known, _)| *known == number)
            .map_or(Self::Other(number), |(_, kind)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flagged(nexthop: Option<u32>, flags: u32) -> Offload {
        let hops = Via::Hops(vec![Hop::device(2)]);
        let route = Route::new("10.2.0.0/16".parse().unwrap(), 20, hops);
        let mut payload = route.encode_create().payload;
        payload[8..12].copy_from_slice(&flags.to_ne_bytes());
        if let Some(id) = nexthop {
            put(RTA_NH_ID, &id.to_ne_bytes(), &mut payload);
        }
        Route::decode(&payload).unwrap().offload
    }

    #[test]
    fn a_flag_of_the_gateway_counts_for_the_route_it_is_written_in_unless_the_route_has_one_itself()
    {
        let rocker = flagged(None, u32::from(RTNH_F_OFFLOAD));
        assert_eq!(rocker, Offload { offloaded: true, ..Offload::default() });
        let failed = flagged(None, u32::from(RTNH_F_OFFLOAD) | RTM_F_OFFLOAD_FAILED);
        assert_eq!(failed, Offload { failed: true, ..Offload::default() });
        assert_eq!(flagged(Some(7), u32::from(RTNH_F_TRAP)), Offload::default());
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let hops = [
            Hop { weight: 7, ..Hop::gateway("192.0.2.1".parse().unwrap(), 3) },
            Hop { onlink: true, ..Hop::gateway("fe80::1".parse().unwrap(), 4) },
        ];
        for via in [
            Via::Nexthop(9),
            Via::Hops(hops.to_vec()),
            Via::Hops(hops[1..].to_vec()),
            Via::Hops(vec![Hop::device(2)]),
        ] {
            let source = Some("192.0.2.9".parse().unwrap());
            let route = Route::new("10.2.0.0/16".parse().unwrap(), 20, via);
            let route = Route { table: 1000, source, ..route };
            assert_eq!(Route::decode(&route.encode_create().payload), Some(route));
        }
    }
}
