//! The whole story of one entry: who told of it, what was decided, what stands in the kernel, what the hardware made of it,
//! and, for what is behind a tunnel, whether the tunnel and the way to its far end stand in hardware too.

use std::net::IpAddr;
use std::time::Instant;

use bgp::net::{Handle, Stopped};
use bgp::speaker::{PathSource, RouteKey, RouteView};
use bgp::types::{AfiSafi, MacAddr};
use bgp::wire::EvpnKey;
use ipnet::IpNet;
use platform::asic::Prediction;
use platform::kernel::{FdbEntry, Ifindex, Key, Object, RouteKind, Vni};
use vtep::{DomainView, PlaceView};

use super::offload;
use super::proto::{ExplainRequest, ExplainStep, explain_request};
use crate::core::Core;

/// What to explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A MAC address, in one VNI or wherever it is.
    Mac(MacAddr, Option<Vni>),
    /// A host's address: its neighbour entry, and the route to it.
    Ip(IpAddr),
    /// The route of exactly this prefix.
    Route(IpNet),
    /// A VNI: its devices, its tunnel, its flood list.
    Vni(Vni),
}

impl Subject {
    /// Reads a request; says what is wrong with it.
    pub(super) fn parse(request: ExplainRequest) -> Result<Self, String> {
        let vni = |number: u32| {
            Vni::try_from(number).map_err(|error: platform::kernel::NotAVni| error.to_string())
        };
        match request.subject {
            Some(explain_request::Subject::Mac(text)) => {
                let mac = text.parse();
                let mac = mac.map_err(|_| {
                    format!("\"{text}\" is not a MAC address; write it as 02:00:00:00:00:01")
                })?;
                Ok(Self::Mac(mac, request.in_vni.map(vni).transpose()?))
            }
            Some(explain_request::Subject::Ip(text)) => text.parse().map(Self::Ip).map_err(|_| {
                format!("\"{text}\" is not an IP address; for a prefix, use explain route")
            }),
            Some(explain_request::Subject::Route(text)) => text
                .parse()
                .map(|prefix: IpNet| Self::Route(prefix.trunc()))
                .map_err(|_| format!("\"{text}\" is not a prefix; write it as 10.0.0.0/24")),
            Some(explain_request::Subject::Vni(number)) => Ok(Self::Vni(vni(number)?)),
            None => {
                Err("nothing to explain: name a MAC, an IP address, a route or a VNI".to_owned())
            }
        }
    }

    /// The BGP routes that are about it. Tables are searched in lots, so that the engine is not held up.
    ///
    /// # Errors
    /// The engine was shut down.
    pub(super) async fn told_by(self, bgp: &Handle) -> Result<Vec<RouteView>, Stopped> {
        let families = match self {
            Self::Mac(..) => vec![AfiSafi::L2VPN_EVPN],
            Self::Ip(IpAddr::V4(_)) => vec![AfiSafi::L2VPN_EVPN, AfiSafi::IPV4_UNICAST],
            Self::Ip(IpAddr::V6(_)) => vec![AfiSafi::L2VPN_EVPN, AfiSafi::IPV6_UNICAST],
            Self::Route(IpNet::V4(_)) => vec![AfiSafi::IPV4_UNICAST],
            Self::Route(IpNet::V6(_)) => vec![AfiSafi::IPV6_UNICAST],
            Self::Vni(_) => Vec::new(),
        };
        let mut told = Vec::new();
        for family in families {
            let mut from = Some(0);
            while let Some(place) = from {
                let (routes, next) = bgp.routes_from(family, place).await?;
                told.extend(routes.into_iter().filter(|route| self.is_told_by(&route.key)));
                from = next;
            }
        }
        Ok(told)
    }

    fn is_told_by(&self, key: &RouteKey) -> bool {
        match (self, key) {
            (Self::Mac(wanted, _), RouteKey::Evpn(EvpnKey::MacIp { mac, .. })) => wanted == mac,
            (Self::Ip(wanted), RouteKey::Evpn(EvpnKey::MacIp { ip, .. })) => *ip == Some(*wanted),
            (Self::Ip(IpAddr::V4(wanted)), RouteKey::Ipv4(prefix)) => {
                prefix.contains(wanted) && prefix.prefix_len() > 0
            }
            (Self::Ip(IpAddr::V6(wanted)), RouteKey::Ipv6(prefix)) => {
                prefix.contains(wanted) && prefix.prefix_len() > 0
            }
            (Self::Route(IpNet::V4(wanted)), RouteKey::Ipv4(prefix)) => wanted == prefix,
            (Self::Route(IpNet::V6(wanted)), RouteKey::Ipv6(prefix)) => wanted == prefix,
            _ => false,
        }
    }
}

/// What BGP was told.
pub(super) fn sources(routes: &[RouteView]) -> Vec<ExplainStep> {
    let step = |route: &RouteView| {
        let best = route.paths.first()?;
        let source = match &best.source {
            PathSource::Local => "originated here".to_owned(),
            PathSource::Neighbor { address, .. } => format!("best path from {address}"),
        };
        let others = match route.paths.len() {
            0 | 1 => String::new(),
            paths => format!(", of {paths} paths"),
        };
        let stale = if best.stale { ", stale" } else { "" };
        let next_hop = best.attributes.next_hop().address();
        let text =
            format!("BGP {}: {source}{others}, next hop {next_hop}{stale}", name(&route.key));
        Some(plain("source", text))
    };
    routes.iter().filter_map(step).collect()
}

fn name(key: &RouteKey) -> String {
    match key {
        RouteKey::Ipv4(prefix) => prefix.to_string(),
        RouteKey::Ipv6(prefix) => prefix.to_string(),
        RouteKey::Evpn(key) => {
            let rd = key.rd().map(|rd| format!(" rd {rd}")).unwrap_or_default();
            format!("{key}{rd}")
        }
    }
}

/// What was decided and what became of it.
pub(crate) fn steps(core: &Core, subject: Subject, now: Instant) -> Vec<ExplainStep> {
    let story = Story { core, prediction: core.ledger().predict(core.model()), now };
    match subject {
        Subject::Mac(mac, vni) => story.mac(mac, vni),
        Subject::Ip(address) => story.address(address),
        Subject::Route(prefix) => story.route(prefix),
        Subject::Vni(vni) => story.vni(vni),
    }
}

struct Story<'a> {
    core: &'a Core,
    prediction: Prediction,
    now: Instant,
}

impl Story<'_> {
    fn mac(&self, mac: MacAddr, only: Option<Vni>) -> Vec<ExplainStep> {
        let mut steps = Vec::new();
        let domains = self.core.gateway().domains();
        for domain in domains.filter(|domain| only.is_none_or(|vni| vni == domain.vni)) {
            let Some(view) = self.core.gateway().mac(domain.vni, mac) else { continue };
            let place = match &view.place {
                PlaceView::Local(port) => format!("local, on {}", port.name),
                PlaceView::Remote(vtep) => format!("remote, behind VTEP {vtep}"),
            };
            let sticky = if view.sticky { ", sticky" } else { "" };
            let sequence = view.local_sequence.max(view.remote_sequence);
            steps.push(plain(
                "decision",
                format!("VNI {}: {place}{sticky}, mobility sequence {sequence}", domain.vni),
            ));
            let ports = self.core.model().members(domain.bridge.index).map(|port| port.index);
            let entries = ports.flat_map(|port| self.fdb(port, mac)).collect::<Vec<_>>();
            steps.extend(entries);
            if let PlaceView::Remote(vtep) = view.place {
                steps.extend(self.tunnel(&domain, vtep));
            }
        }
        if steps.is_empty() {
            // No domain knows it; the kernel may all the same.
            let links = self.core.model().links().map(|link| link.index);
            steps.extend(links.flat_map(|link| self.fdb(link, mac)));
        }
        steps
    }

    fn fdb(&self, ifindex: Ifindex, mac: MacAddr) -> Vec<ExplainStep> {
        let is_it = |entry: &&FdbEntry| entry.mac == mac;
        let entries = self.core.model().fdb_of(ifindex).filter(is_it);
        entries.map(|entry| self.kernel(&Object::Fdb(entry.clone()))).collect()
    }

    /// The VXLAN device's own end, and the way to the far one.
    fn tunnel(&self, domain: &DomainView, far: IpAddr) -> Vec<ExplainStep> {
        let mut steps = self.near_end(domain);
        steps.extend(self.way_to(far, "underlay"));
        steps
    }

    fn near_end(&self, domain: &DomainView) -> Vec<ExplainStep> {
        let Some(link) = self.core.model().link(domain.vxlan.index) else { return Vec::new() };
        let mut steps = vec![self.step("tunnel", &Object::Link(link.clone()))];
        let decap = self.core.model().routes().find(|route| {
            route.kind == RouteKind::Local && Some(route.prefix.addr()) == domain.vtep
        });
        steps.extend(decap.map(|route| self.step("tunnel", &Object::Route(route.clone()))));
        steps
    }

    fn address(&self, address: IpAddr) -> Vec<ExplainStep> {
        let is_it = |neighbor: &&platform::kernel::Neighbor| neighbor.address == address;
        let neighbors = self.core.model().neighbors().filter(is_it);
        let mut steps: Vec<ExplainStep> =
            neighbors.map(|neighbor| self.kernel(&Object::Neighbor(neighbor.clone()))).collect();
        steps.extend(self.way_to(address, "kernel"));
        steps
    }

    fn route(&self, prefix: IpNet) -> Vec<ExplainStep> {
        let is_it = |route: &&platform::kernel::Route| route.prefix.trunc() == prefix.trunc();
        let routes: Vec<_> = self.core.model().routes().filter(is_it).cloned().collect();
        let mut steps = self.desired_route(prefix);
        for route in routes {
            let uses = route.requires();
            steps.push(self.kernel(&Object::Route(route)));
            for object in uses.iter().filter_map(|key| self.core.model().get(key)) {
                steps.extend(self.use_of(&object));
            }
        }
        steps
    }

    /// What is wanted and is not in the kernel at all.
    fn desired_route(&self, prefix: IpNet) -> Vec<ExplainStep> {
        let missing = self.core.missing().filter(
            |object| matches!(object, Object::Route(route) if route.prefix.trunc() == prefix.trunc()),
        );
        missing.map(|object| self.kernel(&object)).collect()
    }

    /// The nexthop of a route, or the neighbour behind it.
    fn use_of(&self, object: &Object) -> Vec<ExplainStep> {
        let Object::Nexthop(nexthop) = object else { return Vec::new() };
        let mut steps = vec![self.kernel(object)];
        if let platform::kernel::NexthopKind::Gateway { address, ifindex, .. } = nexthop.kind {
            let neighbor = self.core.model().get(&Key::Neighbor { ifindex, address });
            steps.extend(neighbor.map(|neighbor| self.kernel(&neighbor)));
        }
        steps
    }

    fn vni(&self, vni: Vni) -> Vec<ExplainStep> {
        let Some(domain) = self.core.gateway().domain(vni) else { return Vec::new() };
        let mut steps = vec![plain(
            "decision",
            format!(
                "VNI {vni}: bridge {}, device {}, {} MACs, {} remote VTEPs, route target {}",
                domain.bridge.name,
                domain.vxlan.name,
                domain.macs,
                domain.remote_vteps.len(),
                domain.export_target
            ),
        )];
        steps.extend(self.near_end(&domain));
        let flood = self.core.model().fdb_of(domain.vxlan.index).filter(|entry| entry.is_flood());
        steps.extend(flood.map(|entry| self.kernel(&Object::Fdb(entry.clone()))));
        for vtep in &domain.remote_vteps {
            steps.extend(self.way_to(*vtep, "underlay"));
        }
        steps
    }

    /// The longest matching route of the main table, and what it uses.
    fn way_to(&self, address: IpAddr, stage: &'static str) -> Vec<ExplainStep> {
        let model = self.core.model();
        let way = model
            .routes()
            .filter(|route| {
                route.table == platform::kernel::TABLE_MAIN && route.prefix.contains(&address)
            })
            .max_by_key(|route| (route.prefix.prefix_len(), std::cmp::Reverse(route.metric)));
        let Some(way) = way.cloned() else {
            return vec![plain(stage, format!("no route leads to {address}"))];
        };
        let uses = way.requires();
        let mut steps = vec![self.step(stage, &Object::Route(way))];
        for object in uses.iter().filter_map(|key| model.get(key)) {
            let more = self.use_of(&object).into_iter();
            steps.extend(more.map(|step| ExplainStep { stage: stage.to_owned(), ..step }));
        }
        steps
    }

    fn kernel(&self, object: &Object) -> ExplainStep {
        self.step("kernel", object)
    }

    fn step(&self, stage: &'static str, object: &Object) -> ExplainStep {
        let entry = offload::entry(self.core, object, &self.prediction, self.now);
        ExplainStep {
            stage: stage.to_owned(),
            text: format!("{} {}", entry.kind, entry.entry),
            verdict: entry.verdict,
            reason: entry.reason,
            remedy: entry.remedy,
        }
    }
}

fn plain(stage: &'static str, text: String) -> ExplainStep {
    ExplainStep { stage: stage.to_owned(), text, ..ExplainStep::default() }
}
