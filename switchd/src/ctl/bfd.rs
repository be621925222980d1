//! `show bfd peers`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Client, CtlError, Output, collect};
use crate::api::proto::{self, BfdPeer};

pub(super) async fn peers(client: &mut Client, output: Output) -> Result<String, CtlError> {
    let answer = client.list_bfd_peers(proto::ListBfdPeersRequest {}).await?;
    let peers = collect(answer.into_inner()).await?;
    Ok(output.render(|| peers.iter().map(peer_json).collect(), || peers_text(&peers)))
}

/// FRR's keys, but for those of echo packets that we do not send: `rtt-*`.
fn peer_json(peer: &BfdPeer) -> Value {
    let mut value = json!({
        "multihop": peer.multihop,
        "peer": peer.peer,
        "local": peer.local,
        "vrf": "default",
    });
    let age = peer.state_age_ms / 1000;
    let age_key = if peer.status == "up" { "uptime" } else { "downtime" };
    let rest = json!({
        "id": peer.id,
        "remote-id": peer.remote_id,
        "passive-mode": false,
        "status": peer.status,
        age_key: age,
        "diagnostic": peer.diagnostic,
        "remote-diagnostic": peer.remote_diagnostic,
        "receive-interval": peer.receive_interval_ms,
        "transmit-interval": peer.transmit_interval_ms,
        "echo-receive-interval": 0,
        "echo-transmit-interval": 0,
        "detect-multiplier": peer.detect_multiplier,
        "remote-receive-interval": peer.remote_receive_interval_ms,
        "remote-transmit-interval": peer.remote_transmit_interval_ms,
        "remote-echo-receive-interval": peer.remote_echo_receive_interval_ms,
        "remote-detect-multiplier": peer.remote_detect_multiplier,
    });
    if let (Value::Object(all), Value::Object(rest)) = (&mut value, rest) {
        if !peer.interface.is_empty() {
            all.insert("interface".to_owned(), json!(peer.interface));
        }
        all.extend(rest);
    }
    value
}

fn peers_text(peers: &[BfdPeer]) -> String {
    let mut text = "BFD Peers:\n".to_owned();
    for peer in peers {
        let multihop = if peer.multihop { " multihop" } else { "" };
        let interface = match peer.interface.as_str() {
            "" => String::new(),
            name => format!(" interface {name}"),
        };
        let age = if peer.status == "up" { "Uptime" } else { "Downtime" };
        let _ = write!(
            text,
            "\tpeer {}{multihop} local-address {} vrf default{interface}
\t\tID: {}
\t\tRemote ID: {}
\t\tActive mode
\t\tStatus: {}
\t\t{age}: {} second(s)
\t\tDiagnostics: {}
\t\tRemote diagnostics: {}
\t\tPeer Type: dynamic
\t\tLocal timers:
\t\t\tDetect-multiplier: {}
\t\t\tReceive interval: {}ms
\t\t\tTransmission interval: {}ms
\t\t\tEcho receive interval: disabled
\t\t\tEcho transmission interval: disabled
\t\tRemote timers:
\t\t\tDetect-multiplier: {}
\t\t\tReceive interval: {}ms
\t\t\tTransmission interval: {}ms
\t\t\tEcho receive interval: {}ms

",
            peer.peer,
            peer.local,
            peer.id,
            peer.remote_id,
            peer.status,
            peer.state_age_ms / 1000,
            peer.diagnostic,
            peer.remote_diagnostic,
            peer.detect_multiplier,
            peer.receive_interval_ms,
            peer.transmit_interval_ms,
            peer.remote_detect_multiplier,
            peer.remote_receive_interval_ms,
            peer.remote_transmit_interval_ms,
            peer.remote_echo_receive_interval_ms,
        );
    }
    text
}
