//! `show bgp ...`

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{Client, CtlError, Output, collect, table};
use crate::api::proto::{self, BgpPath, BgpRoute, BgpSummary, Neighbor, NeighborFamily};

/// The families in FRR's words: our name, JSON key, heading.
const FAMILIES: [(&str, &str, &str); 3] = [
    ("ipv4-unicast", "ipv4Unicast", "IPv4 Unicast"),
    ("ipv6-unicast", "ipv6Unicast", "IPv6 Unicast"),
    ("l2vpn-evpn", "l2VpnEvpn", "L2VPN EVPN"),
];

/// FRR's JSON key for a family of ours.
pub(super) fn json_key(family: &str) -> &str {
    FAMILIES.iter().find(|(name, ..)| *name == family).map_or(family, |(_, key, _)| key)
}

const NOT_CONFIGURED: &str = "switchd runs without BGP: its configuration has no [bgp] table";

/// FRR's word for a direction in which nothing passes because it has no policy (RFC 8212).
const NO_POLICY: &str = "(Policy)";
const NEEDS_RESET: &str = "cannot send its routes again for the new policy; clear bgp";

/// Which sessions a summary lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sessions {
    All,
    Evpn,
}

pub(super) async fn summary(
    client: &mut Client,
    output: Output,
    sessions: Sessions,
) -> Result<String, CtlError> {
    let summary = client.get_bgp_summary(proto::GetBgpSummaryRequest {}).await?.into_inner();
    if !summary.configured {
        return Err(CtlError::Refused(NOT_CONFIGURED.to_owned()));
    }
    let families: Vec<_> = FAMILIES
        .into_iter()
        .filter(|(name, ..)| {
            if sessions == Sessions::Evpn {
                *name == "l2vpn-evpn"
            } else {
                has_family(&summary, name)
            }
        })
        .collect();
    Ok(output.render(
        || match sessions {
            Sessions::Evpn => family_summary_json(&summary, "l2vpn-evpn"),
            Sessions::All => families
                .iter()
                .map(|(name, key, _)| ((*key).to_owned(), family_summary_json(&summary, name)))
                .collect::<Map<_, _>>()
                .into(),
        },
        || {
            families
                .iter()
                .map(|(name, _, heading)| family_summary_text(&summary, name, heading))
                .collect()
        },
    ))
}

fn has_family(summary: &BgpSummary, name: &str) -> bool {
    summary
        .neighbors
        .iter()
        .any(|neighbor| neighbor.families.iter().any(|family| family.family == name))
}

fn members<'a>(
    summary: &'a BgpSummary,
    name: &'a str,
) -> impl Iterator<Item = (&'a Neighbor, &'a NeighborFamily)> {
    summary.neighbors.iter().filter_map(move |neighbor| {
        neighbor
            .families
            .iter()
            .find(|family| family.family == name)
            .map(|family| (neighbor, family))
    })
}

/// As FRR names it: by its interface, or by its address.
pub(super) fn name_of(neighbor: &Neighbor) -> &str {
    match neighbor.interface.as_str() {
        "" => &neighbor.address,
        interface => interface,
    }
}

fn rib_count(summary: &BgpSummary, name: &str) -> u64 {
    summary.tables.iter().find(|table| table.family == name).map_or(0, |table| table.destinations)
}

fn family_summary_json(summary: &BgpSummary, name: &str) -> Value {
    let peers: Map<String, Value> = members(summary, name)
        .map(|(neighbor, family)| {
            let age = neighbor.state_age_ms.unwrap_or(0);
            let mut peer = json!({
                "remoteAs": neighbor.remote_as,
                "localAs": neighbor.local_as,
                "version": 4,
                "msgRcvd": neighbor.messages_received,
                "msgSent": neighbor.messages_sent,
                // Messages are worked off as they are read; what waits to be sent is counted in routes.
                "inq": 0,
                "outq": family.prefixes_pending,
                "peerUptime": neighbor.state_age_ms.map_or_else(|| "never".to_owned(), table::uptime),
                "peerUptimeMsec": age,
                "pfxRcd": family.prefixes_received,
                "pfxSnt": family.prefixes_sent,
                "state": neighbor.state,
                "peerState": if neighbor.last_error.is_empty() { "OK" } else { neighbor.last_error.as_str() },
                "connectionsEstablished": neighbor.connections_established,
                "connectionsDropped": neighbor.connections_dropped,
                "importPolicyMissing": family.import_missing,
                "exportPolicyMissing": family.export_missing,
                "needsReset": family.needs_reset,
                "idType": match (neighbor.interface.as_str(), neighbor.address.contains(':')) {
                    ("", true) => "ipv6",
                    ("", false) => "ipv4",
                    _ => "interface",
                },
            });
            if !neighbor.hostname.is_empty() {
                peer["hostname"] = neighbor.hostname.as_str().into();
            }
            if neighbor.dynamic {
                peer["dynamicPeer"] = true.into();
            }
            if neighbor.state_age_ms.is_some() {
                peer["peerUptimeEstablishedEpoch"] = seconds_since_1970().saturating_sub(age / 1000).into();
            }
            (name_of(neighbor).to_owned(), peer)
        })
        .collect();
    let established =
        members(summary, name).filter(|(neighbor, _)| neighbor.state == "Established").count();
    let total = peers.len();
    let mut value = json!({
        "routerId": summary.router_id,
        "as": summary.asn,
        "vrfId": 0,
        "vrfName": "default",
        "ribCount": rib_count(summary, name),
        "peerCount": total,
        "peers": peers,
        "failedPeers": total - established,
        "displayedPeers": total,
        "totalPeers": total,
        "dynamicPeers": 0,
    });
    if summary.graceful_shutdown {
        value["gracefulShutdown"] = true.into();
    }
    value
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn family_summary_text(summary: &BgpSummary, name: &str, heading: &str) -> String {
    let rows: Vec<Vec<String>> = members(summary, name)
        .map(|(neighbor, family)| {
            let state = match (neighbor.state.as_str(), family.negotiated) {
                ("Established", true) if family.import_missing => NO_POLICY.to_owned(),
                ("Established", true) => family.prefixes_received.to_string(),
                ("Established", false) => "NoNeg".to_owned(),
                (state, _) => state.to_owned(),
            };
            vec![
                match neighbor.hostname.as_str() {
                    "" if neighbor.dynamic => format!("*{}", name_of(neighbor)),
                    "" => name_of(neighbor).to_owned(),
                    hostname if neighbor.dynamic => format!("*{hostname}({})", name_of(neighbor)),
                    hostname => format!("{hostname}({})", name_of(neighbor)),
                },
                "4".to_owned(),
                neighbor.remote_as.to_string(),
                neighbor.messages_received.to_string(),
                neighbor.messages_sent.to_string(),
                neighbor.state_age_ms.map_or_else(|| "never".to_owned(), table::uptime),
                state,
                match (neighbor.state.as_str(), family.export_missing) {
                    ("Established", true) => NO_POLICY.to_owned(),
                    _ => family.prefixes_sent.to_string(),
                },
                match family.needs_reset {
                    true => NEEDS_RESET.to_owned(),
                    false => neighbor.last_error.clone(),
                },
            ]
        })
        .collect();
    let mut text = String::new();
    let _ = writeln!(text, "{heading} Summary (VRF default):");
    let _ = writeln!(
        text,
        "BGP router identifier {}, local AS number {} vrf-id 0",
        summary.router_id, summary.asn
    );
    if summary.graceful_shutdown {
        let _ = writeln!(text, "Graceful shutdown: all prefer other ways than us");
    }
    let _ = writeln!(text, "RIB entries {}", rib_count(summary, name));
    let _ = writeln!(text);
    text.push_str(&table::render(
        &[
            "Neighbor",
            "V",
            "AS",
            "MsgRcvd",
            "MsgSent",
            "Up/Down",
            "State/PfxRcd",
            "PfxSnt",
            "Last error",
        ],
        &rows,
    ));
    let _ = writeln!(text, "\nTotal number of neighbors {}\n", rows.len());
    text
}

async fn routes(client: &mut Client, family: &str) -> Result<Vec<BgpRoute>, CtlError> {
    let request = proto::ListBgpRoutesRequest { family: family.to_owned() };
    collect(client.list_bgp_routes(request).await?.into_inner()).await
}

pub(super) async fn evpn_routes(client: &mut Client, output: Output) -> Result<String, CtlError> {
    let routes = routes(client, "l2vpn-evpn").await?;
    Ok(output.render(|| evpn_routes_json(&routes), || evpn_routes_text(&routes)))
}

fn evpn_routes_json(routes: &[BgpRoute]) -> Value {
    let mut by_rd: Map<String, Value> = Map::new();
    for route in routes {
        let rd = by_rd.entry(route.rd.clone()).or_insert_with(|| json!({ "rd": route.rd }));
        let paths: Vec<Value> =
            route.paths.iter().map(|path| evpn_path_json(route, path)).collect();
        rd[&route.prefix] = json!({ "prefix": route.prefix, "prefixLen": 352, "paths": [paths] });
    }
    let paths: usize = routes.iter().map(|route| route.paths.len()).sum();
    by_rd.insert("numPrefix".to_owned(), routes.len().into());
    by_rd.insert("numPaths".to_owned(), paths.into());
    by_rd.into()
}

fn evpn_path_json(route: &BgpRoute, path: &BgpPath) -> Value {
    let mut value = path_json(path);
    if let [_only] = route.paths.as_slice() {
        value["selectionReason"] = "First path received".into();
    }
    if let Some(evpn) = &route.evpn {
        value["routeType"] = evpn.route_type.into();
        value["ethTag"] = evpn.ethernet_tag.into();
        if !evpn.mac.is_empty() {
            value["macLen"] = 48.into();
            value["mac"] = evpn.mac.clone().into();
        }
        if !evpn.ip.is_empty() {
            value["ipLen"] = evpn.ip_length.into();
            value["ip"] = evpn.ip.clone().into();
        }
    }
    if let Some(vni) = path.vni {
        value["vni"] = vni.to_string().into();
    }
    value
}

fn path_json(path: &BgpPath) -> Value {
    let local = path.neighbor.is_empty();
    let mut value = json!({
        "valid": true,
        "bestpath": path.best,
        "pathFrom": if local || path.external { "external" } else { "internal" },
        "weight": if local { 32768 } else { path.weight },
        "peerId": if local { "(unspec)" } else { path.neighbor.as_str() },
        "path": path.as_path,
        "origin": path.origin,
        "nexthops": [{
            "ip": path.next_hop,
            "afi": if path.next_hop.contains(':') { "ipv6" } else { "ipv4" },
            "used": true,
        }],
    });
    if let Some(id) = path.path_id {
        value["addpathRxId"] = id.into();
    }
    if path.multipath {
        value["multipath"] = true.into();
    }
    if path.stale {
        value["stale"] = true.into();
    }
    if let Some(med) = path.med {
        value["metric"] = med.into();
    }
    if let Some(preference) = path.local_preference {
        value["locPrf"] = preference.into();
    }
    if !path.extended_communities.is_empty() {
        value["extendedCommunity"] = json!({ "string": path.extended_communities.join(" ") });
    }
    value
}

fn path_row(prefix: &str, path: &BgpPath) -> Vec<String> {
    let used = match (path.best, path.multipath) {
        (true, _) => ">",
        (false, true) => "=",
        (false, false) => " ",
    };
    let status = format!("*{used}{}", if path.stale { "S" } else { "" });
    vec![
        status,
        prefix.to_owned(),
        path.next_hop.clone(),
        path.med.map(|med| med.to_string()).unwrap_or_default(),
        path.local_preference.map(|preference| preference.to_string()).unwrap_or_default(),
        format!("{} {}", path.as_path, origin_letter(&path.origin)).trim_start().to_owned(),
        path.extended_communities.join(" "),
    ]
}

fn origin_letter(origin: &str) -> &'static str {
    match origin {
        "IGP" => "i",
        "EGP" => "e",
        _ => "?",
    }
}

const PATH_HEADER: [&str; 7] =
    ["  ", "Network", "Next Hop", "Metric", "LocPrf", "Path", "Extended communities"];

fn evpn_routes_text(routes: &[BgpRoute]) -> String {
    let mut text = String::from(
        "Status codes: * valid, > best, = multipath, S stale\n\
         EVPN type-1 prefix: [1]:[EthTag]:[ESI]:[IPlen]:[VTEP-IP]\n\
         EVPN type-2 prefix: [2]:[EthTag]:[MAClen]:[MAC]:[IPlen]:[IP]\n\
         EVPN type-3 prefix: [3]:[EthTag]:[IPlen]:[OrigIP]\n\
         EVPN type-4 prefix: [4]:[ESI]:[IPlen]:[OrigIP]\n\
         EVPN type-5 prefix: [5]:[EthTag]:[IPlen]:[IP]\n\n",
    );
    let mut paths = 0;
    for group in routes.chunk_by(|a, b| a.rd == b.rd) {
        let rows: Vec<Vec<String>> = group
            .iter()
            .flat_map(|route| route.paths.iter().map(|path| path_row(&route.prefix, path)))
            .collect();
        paths += rows.len();
        let _ = writeln!(
            text,
            "Route Distinguisher: {}",
            group.first().map_or("", |route| route.rd.as_str())
        );
        text.push_str(&table::render(&PATH_HEADER, &rows));
        text.push('\n');
    }
    let _ = writeln!(text, "Displayed {} prefixes ({paths} paths)", routes.len());
    text
}

pub(super) async fn unicast_routes(
    client: &mut Client,
    output: Output,
    family: &str,
) -> Result<String, CtlError> {
    let routes = routes(client, family).await?;
    Ok(output.render(
        || {
            let by_prefix: Map<String, Value> = routes
                .iter()
                .map(|route| {
                    let paths: Vec<Value> = route
                        .paths
                        .iter()
                        .map(|path| {
                            let mut value = path_json(path);
                            value["network"] = route.prefix.clone().into();
                            value
                        })
                        .collect();
                    (route.prefix.clone(), paths.into())
                })
                .collect();
            json!({ "vrfId": 0, "vrfName": "default", "routes": by_prefix })
        },
        || {
            let rows: Vec<Vec<String>> = routes
                .iter()
                .flat_map(|route| route.paths.iter().map(|path| path_row(&route.prefix, path)))
                .collect();
            let mut text = String::from("Status codes: * valid, > best, = multipath, S stale\n\n");
            text.push_str(&table::render(&PATH_HEADER, &rows));
            let _ = writeln!(
                text,
                "\nDisplayed {} routes and {} total paths",
                routes.len(),
                rows.len()
            );
            text
        },
    ))
}

/// `clear bgp NEIGHBOR [soft] [in|out]`, with FRR's meaning: `in` and `out` alone are soft, and nothing resets the session.
pub(super) async fn clear(
    client: &mut Client,
    neighbor: String,
    words: &[ClearWord],
) -> Result<String, CtlError> {
    let has = |word| words.contains(&word);
    let both = has(ClearWord::Soft) && !has(ClearWord::In) && !has(ClearWord::Out);
    let request = proto::ClearBgpRequest {
        neighbor,
        soft_in: both || has(ClearWord::In),
        soft_out: both || has(ClearWord::Out),
    };
    let cleared = client.clear_bgp(request).await?.into_inner();
    Ok(cleared.neighbors.iter().map(|neighbor| format!("{neighbor}\n")).collect())
}

/// What follows the neighbour in `clear bgp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ClearWord {
    Soft,
    In,
    Out,
}
