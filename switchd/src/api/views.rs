//! The answers of the API, made from the state. A view, not the model: the only code that knows both.

use std::time::Instant;

use bgp::speaker::{
    DownReason, NeighborSummary, PathSource, PathView, RemoteAs, RouteKey, RouteView, SessionState,
};
use bgp::types::AfiSafi;
use bgp::wire::{EvpnKey, Origin};
use vtep::{DomainView, MacView, PlaceView};

use super::proto::{
    BgpPath, BgpRoute, BgpSummary, Condition, EvpnKey as EvpnKeyView, Mac, Neighbor,
    NeighborFamily, Table, Vni,
};
use super::{Query, explain, fib, offload};
use crate::config::Bgp;
use crate::core::Core;
use crate::desired::fib::ScopedAddress;
use crate::metrics::Entries;

/// Answers a question from the core's state. A questioner who has gone away is no error.
pub(crate) fn answer(core: &Core, query: Query, now: Instant) {
    match query {
        Query::Vnis(reply) => drop(reply.send(vnis(core))),
        Query::Macs(vni, reply) => drop(reply.send(macs(core, vni))),
        Query::Offload(all, reply) => drop(reply.send(offload::entries(core, all, now))),
        Query::FibPrefixes(v6, reply) => drop(reply.send(fib::prefixes(core, v6))),
        Query::Fib(prefixes, reply) => drop(reply.send(fib::routes(core, &prefixes, now))),
        Query::Hardware(reply) => drop(reply.send(offload::hardware(core, now))),
        Query::Metrics(reply) => {
            let counts = offload::counts(core, now).into_iter();
            let entries = counts.map(|((kind, verdict), count)| Entries {
                kind: kind.to_owned(),
                verdict: verdict.to_owned(),
                count,
            });
            drop(reply.send((entries.collect(), core.totals())));
        }
        Query::Check(reply) => drop(reply.send(offload::violations(core))),
        Query::Explain(subject, reply) => drop(reply.send(explain::steps(core, subject, now))),
        Query::Conditions(reply) => drop(reply.send(conditions(core, now))),
    }
}

fn vnis(core: &Core) -> Vec<Vni> {
    core.gateway().domains().map(|domain| vni(&domain)).collect()
}

fn vni(domain: &DomainView) -> Vni {
    Vni {
        vni: domain.vni.get(),
        vxlan_interface: domain.vxlan.name.clone(),
        vxlan_ifindex: domain.vxlan.index,
        bridge: domain.bridge.name.clone(),
        svi: domain.svi.as_ref().map(|svi| svi.name.clone()).unwrap_or_default(),
        svi_ifindex: domain.svi.as_ref().map_or(0, |svi| svi.index),
        vtep_ip: domain.vtep.map(|address| address.to_string()).unwrap_or_default(),
        rd: domain.rd.to_string(),
        import_route_targets: vec![format!("*:{}", domain.vni)],
        export_route_targets: vec![domain.export_target.to_string()],
        remote_vteps: domain.remote_vteps.iter().map(ToString::to_string).collect(),
        macs: domain.macs as u64,
        neighbors: domain.neighbors as u64,
        in_service: domain.vtep.is_some(),
        reason: match domain.vtep {
            Some(_) => String::new(),
            None => "see switchctl show conditions; its bridge or device may be down".to_owned(),
        },
    }
}

fn macs(core: &Core, only: Option<u32>) -> Vec<Mac> {
    core.gateway()
        .domains()
        .filter(|domain| only.is_none_or(|vni| vni == domain.vni.get()))
        .flat_map(|domain| {
            core.gateway().macs(domain.vni).map(move |view| mac(domain.vni.get(), &view))
        })
        .collect()
}

fn mac(vni: u32, view: &MacView) -> Mac {
    let (kind, interface, remote_vtep) = match &view.place {
        PlaceView::Local(port) => ("local", port.name.clone(), String::new()),
        PlaceView::Remote(vtep) => ("remote", String::new(), vtep.to_string()),
    };
    Mac {
        vni,
        mac: view.mac.to_string(),
        kind: kind.to_owned(),
        interface,
        remote_vtep,
        local_sequence: view.local_sequence,
        remote_sequence: view.remote_sequence,
        ips: view.neighbors.iter().map(ToString::to_string).collect(),
    }
}

fn conditions(core: &Core, now: Instant) -> Vec<Condition> {
    let problems = core.gateway().problems().into_iter().map(|problem| Condition {
        name: problem.name().to_owned(),
        message: problem.to_string(),
        remedy: problem.remedy(),
    });
    let next_hops = core.unreachable_next_hops().map(|(next_hop, routes)| {
        let ScopedAddress { address, link } = next_hop;
        let link = link.and_then(|link| core.model().link(link)).map(|link| &link.name);
        let on_link = link.map(|name| format!(" on {name}")).unwrap_or_default();
        let device = link.map(|name| format!(" dev {name}")).unwrap_or_default();
        Condition {
            name: "next-hop-unreachable".to_owned(),
            message: format!(
                "{routes} BGP routes are not installed: nothing leads to their next hop {address}{on_link}"
            ),
            remedy: format!("ip route get {address}{device}"),
        }
    });
    let tables = core.capacity().nearly_full().map(|fill| Condition {
        name: "hardware-table-nearly-full".to_owned(),
        message: format!(
            "the ASIC's table {} has {} of {} entries ({} %); what does not fit stays in software",
            fill.path,
            fill.occupied,
            fill.size,
            fill.percent()
        ),
        remedy: "switchctl offload".to_owned(),
    });
    let refused = offload::refusals(core, now).into_iter().map(|(refused, (count, first))| {
        let kind = refused.kind;
        let what = match count {
            1 => format!("{kind} {first} is not in hardware"),
            count => {
                format!("{count} entries of kind {kind} are not in hardware, {first} among them")
            }
        };
        Condition {
            name: match refused.constraint {
                Some(_) => "offload-constraint",
                None => "entry-refused",
            }
            .to_owned(),
            message: format!("{what}: {}", refused.reason),
            remedy: match refused.remedy.as_str() {
                "" => "switchctl offload".to_owned(),
                remedy => remedy.to_owned(),
            },
        }
    });
    let unnumbered = core.unnumbered_problems().map(|problem| Condition {
        name: problem.name().to_owned(),
        message: problem.to_string(),
        remedy: problem.remedy(),
    });
    problems.chain(unnumbered).chain(next_hops).chain(tables).chain(refused).collect()
}

/// The speaker's own figures, and its neighbours'.
pub(crate) fn bgp_summary(
    config: &Bgp,
    neighbors: &[NeighborSummary],
    tables: &[(AfiSafi, usize)],
    graceful_shutdown: bool,
    now: Instant,
) -> BgpSummary {
    BgpSummary {
        graceful_shutdown,
        configured: true,
        asn: config.asn.0,
        router_id: config.router_id.to_string(),
        neighbors: neighbors.iter().map(|summary| neighbor(config, summary, now)).collect(),
        tables: tables
            .iter()
            .map(|(family, destinations)| Table {
                family: family.to_string(),
                destinations: *destinations as u64,
            })
            .collect(),
    }
}

pub(super) fn neighbor(config: &Bgp, summary: &NeighborSummary, now: Instant) -> Neighbor {
    let configured_as = match summary.config.remote_as {
        RemoteAs::Asn(asn) => asn.0,
        RemoteAs::Internal => config.asn.0,
        RemoteAs::External => 0,
    };
    let established = summary.state == SessionState::Established;
    Neighbor {
        address: match summary.config.address {
            address if address.is_unspecified() => String::new(),
            address => address.to_string(),
        },
        interface: summary.config.interface.clone().unwrap_or_default(),
        hostname: summary
            .negotiated
            .as_ref()
            .and_then(|negotiated| negotiated.peer_open.hostname())
            .unwrap_or_default()
            .to_owned(),
        remote_as: summary.negotiated.as_ref().map_or(configured_as, |negotiated| negotiated.asn.0),
        local_as: summary.config.local_as.map_or(config.asn, |local| local.asn).0,
        state: match summary.over_limit {
            Some(_) => "Idle (PfxCt)".to_owned(),
            None => summary.state.to_string(),
        },
        messages_received: summary.messages_received,
        messages_sent: summary.messages_sent,
        state_age_ms: summary.established_since.map(|since| {
            u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
        }),
        connections_established: summary.established_count,
        connections_dropped: summary.established_count
            - u64::from(established && summary.established_count > 0),
        last_error: why_not_established(summary),
        dynamic: summary.dynamic,
        families: summary
            .families
            .iter()
            .map(|family| NeighborFamily {
                family: family.family.to_string(),
                negotiated: summary
                    .negotiated
                    .as_ref()
                    .is_some_and(|negotiated| negotiated.families.contains(family.family)),
                prefixes_received: family.received as u64,
                prefixes_sent: family.sent as u64,
                prefixes_pending: family.pending as u64,
                import_missing: family.import_missing,
                export_missing: family.export_missing,
                needs_reset: family.needs_reset,
            })
            .collect(),
    }
}

/// A peer's words tell more than a connection that fails now; a lost connection tells less.
fn why_not_established(summary: &NeighborSummary) -> String {
    match (&summary.last_error, &summary.connect_error) {
        _ if summary.state == SessionState::Established => String::new(),
        (None | Some(DownReason::Closed), Some(error)) => format!("cannot connect: {error}"),
        (Some(error), _) => error.to_string(),
        (None, None) => String::new(),
    }
}

/// Destinations in the order of their keys, EVPN by route distinguisher.
pub(crate) fn bgp_routes(mut routes: Vec<RouteView>) -> Vec<BgpRoute> {
    routes.sort_by(|a, b| a.key.cmp(&b.key));
    let mut routes: Vec<BgpRoute> = routes.iter().map(bgp_route).collect();
    routes.sort_by(|a, b| a.rd.cmp(&b.rd));
    routes
}

fn bgp_route(route: &RouteView) -> BgpRoute {
    let (prefix, rd, evpn) = match &route.key {
        RouteKey::Ipv4(prefix) => (prefix.to_string(), String::new(), None),
        RouteKey::Ipv6(prefix) => (prefix.to_string(), String::new(), None),
        RouteKey::Evpn(key) => (
            key.to_string(),
            key.rd().map(|rd| rd.to_string()).unwrap_or_default(),
            Some(evpn_key(key)),
        ),
    };
    let is_evpn = evpn.is_some();
    let paths = route
        .paths
        .iter()
        .enumerate()
        .map(|(rank, path)| bgp_path(path, rank == 0, is_evpn))
        .collect();
    BgpRoute { prefix, rd, evpn, paths }
}

fn evpn_key(key: &EvpnKey) -> EvpnKeyView {
    let view = EvpnKeyView { route_type: key.route_type().into(), ..EvpnKeyView::default() };
    let ip_length = |is_ipv4: bool| if is_ipv4 { 32 } else { 128 };
    match key {
        EvpnKey::MacIp { ethernet_tag, mac, ip, .. } => EvpnKeyView {
            ethernet_tag: *ethernet_tag,
            mac: mac.to_string(),
            ip: ip.map(|ip| ip.to_string()).unwrap_or_default(),
            ip_length: ip.map_or(0, |ip| ip_length(ip.is_ipv4())),
            ..view
        },
        EvpnKey::Multicast { ethernet_tag, originator, .. } => EvpnKeyView {
            ethernet_tag: *ethernet_tag,
            ip: originator.to_string(),
            ip_length: ip_length(originator.is_ipv4()),
            ..view
        },
        EvpnKey::Prefix { ethernet_tag, prefix, .. } => EvpnKeyView {
            ethernet_tag: *ethernet_tag,
            ip: prefix.addr().to_string(),
            ip_length: prefix.prefix_len().into(),
            ..view
        },
        EvpnKey::EthernetAd { ethernet_tag, .. } => {
            EvpnKeyView { ethernet_tag: *ethernet_tag, ..view }
        }
        EvpnKey::EthernetSegment { originator, .. } => EvpnKeyView {
            ip: originator.to_string(),
            ip_length: ip_length(originator.is_ipv4()),
            ..view
        },
        EvpnKey::Unknown { .. } => view,
    }
}

fn bgp_path(path: &PathView, best: bool, is_evpn: bool) -> BgpPath {
    let (neighbor, external) = match path.source {
        PathSource::Local => (String::new(), false),
        PathSource::Neighbor { address, external, .. } => (address.to_string(), external),
    };
    let attributes = &path.attributes;
    let label = attributes.pmsi_tunnel().map_or(path.payload.label, |tunnel| tunnel.label);
    BgpPath {
        best,
        stale: path.stale,
        multipath: path.multipath,
        path_id: Some(path.path_id).filter(|id| *id != 0),
        neighbor,
        next_hop: attributes.next_hop().address().to_string(),
        as_path: attributes.as_path().to_string(),
        origin: match attributes.origin() {
            Origin::Igp => "IGP",
            Origin::Egp => "EGP",
            Origin::Incomplete => "incomplete",
        }
        .to_owned(),
        weight: attributes.local().weight,
        local_preference: attributes.local_pref(),
        med: attributes.med(),
        extended_communities: attributes
            .ext_communities()
            .map(|community| community.to_string())
            .collect(),
        vni: (is_evpn && label.vni() != 0).then(|| label.vni()),
        external,
    }
}
