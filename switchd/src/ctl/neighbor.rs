//! `show bgp neighbor`, and what can be done to a neighbour, or to all of BGP: shutdown, graceful and otherwise.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{Client, CtlError, Output, bgp, table};
use crate::api::proto::{self, BgpNeighbor, NeighborCapability};

/// What to do with a neighbour.
#[derive(Debug, Subcommand)]
pub(super) enum Act {
    /// End its session, and begin none until no-shutdown or a restart of switchd.
    Shutdown {
        /// A text for its operator (RFC 9003).
        #[arg(long)]
        message: Option<String>,
    },
    /// Begin sessions again.
    NoShutdown,
    /// Have all prefer other ways than its session, before that ends (RFC 8326); until no-graceful-shutdown or a restart.
    GracefulShutdown,
    /// Its session stays.
    NoGracefulShutdown,
}

/// What to do with all of BGP.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum ActOnAll {
    /// Have all prefer other ways than us, before we go (RFC 8326); until no-graceful-shutdown or a restart.
    GracefulShutdown,
    /// We stay.
    NoGracefulShutdown,
}

pub(super) async fn act(
    client: &mut Client,
    address: String,
    act: Act,
) -> Result<String, CtlError> {
    let (shutdown, message) = match act {
        Act::Shutdown { message } => (true, message.unwrap_or_default()),
        Act::NoShutdown => (false, String::new()),
        Act::GracefulShutdown => return set_graceful_shutdown(client, address, true).await,
        Act::NoGracefulShutdown => return set_graceful_shutdown(client, address, false).await,
    };
    let request = proto::ShutdownNeighborRequest { address, shutdown, message };
    client.shutdown_neighbor(request).await?;
    Ok(String::new())
}

pub(super) async fn act_on_all(client: &mut Client, act: ActOnAll) -> Result<String, CtlError> {
    let on = matches!(act, ActOnAll::GracefulShutdown);
    set_graceful_shutdown(client, String::new(), on).await
}

async fn set_graceful_shutdown(
    client: &mut Client,
    neighbor: String,
    on: bool,
) -> Result<String, CtlError> {
    client.set_graceful_shutdown(proto::SetGracefulShutdownRequest { neighbor, on }).await?;
    Ok(String::new())
}

pub(super) async fn show(
    client: &mut Client,
    output: Output,
    address: String,
) -> Result<String, CtlError> {
    let request = proto::GetBgpNeighborRequest { address };
    let neighbor = client.get_bgp_neighbor(request).await?.into_inner();
    let summary = neighbor.summary.clone().unwrap_or_default();
    Ok(output.render(|| json(&neighbor, &summary), || text(&neighbor, &summary)))
}

/// FRR's words for who says a capability.
const fn said(capability: &NeighborCapability) -> &'static str {
    match (capability.advertised, capability.received) {
        (true, true) => "advertisedAndReceived",
        (true, false) => "advertised",
        (false, _) => "received",
    }
}

fn json(neighbor: &BgpNeighbor, summary: &proto::Neighbor) -> Value {
    let age = summary.state_age_ms.unwrap_or(0);
    let (host_local, port_local) = host_and_port(&neighbor.local_address);
    let (host_foreign, port_foreign) = host_and_port(&neighbor.remote_address);
    let families: Map<String, Value> = summary
        .families
        .iter()
        .map(|family| {
            let counts = json!({
                "acceptedPrefixCounter": family.prefixes_received,
                "sentPrefixCounter": family.prefixes_sent,
                "packetQueueLength": family.prefixes_pending,
            });
            (bgp::json_key(&family.family).to_owned(), counts)
        })
        .collect();
    let mut value = json!({
        "remoteAs": summary.remote_as,
        "localAs": summary.local_as,
        "bgpVersion": 4,
        "remoteRouterId": neighbor.remote_router_id,
        "localRouterId": neighbor.local_router_id,
        "bgpState": summary.state,
        "bgpTimerConfiguredHoldTimeMsecs": neighbor.configured_hold_time * 1000,
        "neighborCapabilities": capabilities_json(neighbor),
        "messageStats": {
            "depthInq": 0,
            "totalRecv": summary.messages_received,
            "totalSent": summary.messages_sent,
            "updatesRecv": neighbor.updates_received,
        },
        "addressFamilyInfo": families,
        "connectionsEstablished": summary.connections_established,
        "connectionsDropped": summary.connections_dropped,
        "externalBgpNbrMaxHopsAway": neighbor.max_hops,
        "updatesTreatedAsWithdraw": neighbor.updates_treated_as_withdraw,
    });
    if let Some(seconds) = neighbor.configured_keepalive {
        value["bgpTimerConfiguredKeepAliveIntervalMsecs"] = (seconds * 1000).into();
    }
    match neighbor.external {
        Some(true) => value["nbrExternalLink"] = true.into(),
        Some(false) => value["nbrInternalLink"] = true.into(),
        None => {}
    }
    if summary.state == "Established" {
        value["bgpTimerUpMsec"] = age.into();
        value["bgpTimerUpString"] = table::uptime(age).into();
        value["bgpTimerHoldTimeMsecs"] = (neighbor.hold_time * 1000).into();
        value["bgpTimerKeepAliveIntervalMsecs"] = (neighbor.keepalive_interval * 1000).into();
        value["hostLocal"] = host_local.into();
        value["portLocal"] = port_local.into();
        value["hostForeign"] = host_foreign.into();
        value["portForeign"] = port_foreign.into();
    }
    let optional = [
        ("lastResetDueTo", &neighbor.last_reset),
        ("lastShutdownDescription", &neighbor.last_shutdown_message),
        ("lastError", &summary.last_error),
    ];
    for (key, text) in optional {
        if !text.is_empty() {
            value[key] = text.as_str().into();
        }
    }
    for (key, holds) in [
        ("adminShutDown", neighbor.shutdown),
        ("gracefulShutdown", neighbor.graceful_shutdown),
        ("dynamicPeer", summary.dynamic),
        ("ttlSecurity", neighbor.ttl_security),
        ("peerAuthenticationEnabled", neighbor.signed),
        ("passive", neighbor.passive),
        ("localAsNoPrepend", neighbor.local_as_no_prepend),
        ("localAsReplaceAs", neighbor.local_as_replace_as),
    ] {
        if holds {
            value[key] = true.into();
        }
    }
    json!({ bgp::name_of(summary): value })
}

fn capabilities_json(neighbor: &BgpNeighbor) -> Value {
    let mut value = Map::new();
    for capability in &neighbor.capabilities {
        let key = match capability.name.as_str() {
            "4-byte-as" => "4byteAs",
            "multiprotocol" => "multiprotocolExtensions",
            "route-refresh" => "routeRefresh",
            "enhanced-route-refresh" => "enhancedRouteRefresh",
            "extended-message" => "extendedMessage",
            "extended-next-hop" => "extendedNexthop",
            "graceful-restart" => "gracefulRestart",
            "add-path" => "addPath",
            other => other,
        };
        if capability.family.is_empty() {
            value.insert(key.to_owned(), said(capability).into());
            continue;
        }
        let families = value.entry(key.to_owned()).or_insert_with(|| json!({}));
        families[bgp::json_key(&capability.family)] = json!({ said(capability): true });
    }
    value.into()
}

fn text(neighbor: &BgpNeighbor, summary: &proto::Neighbor) -> String {
    let mut text = String::new();
    let link = match neighbor.external {
        Some(true) => ", external link",
        Some(false) => ", internal link",
        None => "",
    };
    let _ = writeln!(
        text,
        "BGP neighbor is {}{}, remote AS {}, local AS {}{}{}{link}",
        if summary.dynamic { "*" } else { "" },
        bgp::name_of(summary),
        summary.remote_as,
        summary.local_as,
        if neighbor.local_as_no_prepend { " no-prepend" } else { "" },
        if neighbor.local_as_replace_as { " replace-as" } else { "" },
    );
    let _ = writeln!(
        text,
        "  BGP version 4, remote router ID {}, local router ID {}",
        neighbor.remote_router_id, neighbor.local_router_id
    );
    let up = match summary.state_age_ms {
        Some(age) if summary.state == "Established" => format!(", up for {}", table::uptime(age)),
        _ => String::new(),
    };
    let _ = writeln!(text, "  BGP state = {}{up}", summary.state);
    if neighbor.shutdown {
        let _ = writeln!(text, "  Administratively shut down");
    }
    if neighbor.graceful_shutdown {
        let _ = writeln!(text, "  Graceful shutdown: all prefer other ways");
    }
    let _ = writeln!(
        text,
        "  Hold time is {} seconds, keepalive interval is {} seconds",
        neighbor.hold_time, neighbor.keepalive_interval
    );
    let configured = match neighbor.configured_keepalive {
        Some(seconds) => format!("{seconds} seconds"),
        None => "a third of what is agreed".to_owned(),
    };
    let _ = writeln!(
        text,
        "  Configured hold time is {} seconds, keepalive interval is {configured}",
        neighbor.configured_hold_time
    );
    let _ = writeln!(text, "  Neighbor capabilities:");
    for capability in &neighbor.capabilities {
        let family = match capability.family.as_str() {
            "" => String::new(),
            family => format!(" {family}"),
        };
        let who = match (capability.advertised, capability.received) {
            (true, true) => "advertised and received",
            (true, false) => "advertised",
            (false, _) => "received",
        };
        let _ = writeln!(text, "    {}{family}: {who}", capability.name);
    }
    write_history(&mut text, neighbor, summary);
    text
}

/// What went over the session, and what became of former ones.
fn write_history(text: &mut String, neighbor: &BgpNeighbor, summary: &proto::Neighbor) {
    let _ = writeln!(
        text,
        "  Message statistics: {} sent, {} received, {} of them updates, {} treated as withdraw",
        summary.messages_sent,
        summary.messages_received,
        neighbor.updates_received,
        neighbor.updates_treated_as_withdraw
    );
    for family in &summary.families {
        let _ = writeln!(
            text,
            "  For address family {}: {}, {} accepted prefixes, {} sent",
            family.family,
            if family.negotiated { "negotiated" } else { "not negotiated" },
            family.prefixes_received,
            family.prefixes_sent
        );
    }
    let _ = writeln!(
        text,
        "  Connections established {}; dropped {}",
        summary.connections_established, summary.connections_dropped
    );
    if !neighbor.last_reset.is_empty() {
        let _ = writeln!(text, "  Last reset due to {}", neighbor.last_reset);
    }
    if !summary.last_error.is_empty() && summary.last_error != neighbor.last_reset {
        let _ = writeln!(text, "  Not established: {}", summary.last_error);
    }
    let _ = writeln!(text, "  Neighbor may be up to {} hops away", neighbor.max_hops);
    if neighbor.ttl_security {
        let _ = writeln!(text, "  TTL security is on");
    }
    if neighbor.signed {
        let _ = writeln!(text, "  Peer authentication enabled");
    }
    if !neighbor.local_address.is_empty() {
        let _ = writeln!(
            text,
            "Local host: {}, foreign host: {}",
            neighbor.local_address, neighbor.remote_address
        );
    }
}

/// "192.0.2.1:179" or "[2001:db8::1]:179", apart.
fn host_and_port(address: &str) -> (String, u16) {
    address
        .parse()
        .map(|address: std::net::SocketAddr| (address.ip().to_string(), address.port()))
        .unwrap_or_default()
}
