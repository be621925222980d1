//! `show evpn ...`

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Client, CtlError, Output, collect, table};
use crate::api::proto::{self, Mac, Vni};

pub(super) async fn vnis(client: &mut Client, output: Output) -> Result<String, CtlError> {
    let vnis = collect(client.list_vnis(proto::ListVnisRequest {}).await?.into_inner()).await?;
    Ok(output.render(|| vnis_json(&vnis), || vnis_text(&vnis)))
}

fn vnis_json(vnis: &[Vni]) -> Value {
    vnis.iter()
        .map(|vni| {
            let value = json!({
                "vni": vni.vni,
                "type": "L2",
                "vxlanIf": vni.vxlan_interface,
                "bridge": vni.bridge,
                "vtepIp": vni.vtep_ip,
                "rd": vni.rd,
                "importRTs": vni.import_route_targets,
                "exportRTs": vni.export_route_targets,
                "numMacs": vni.macs,
                "numArpNd": vni.neighbors,
                "numRemoteVteps": vni.remote_vteps.len(),
                "remoteVteps": vni.remote_vteps,
                "tenantVrf": "default",
                "inService": vni.in_service,
                "reason": vni.reason,
            });
            (vni.vni.to_string(), value)
        })
        .collect::<Map<_, _>>()
        .into()
}

fn vnis_text(vnis: &[Vni]) -> String {
    let rows: Vec<Vec<String>> = vnis
        .iter()
        .map(|vni| {
            vec![
                vni.vni.to_string(),
                "L2".to_owned(),
                vni.vxlan_interface.clone(),
                vni.bridge.clone(),
                vni.vtep_ip.clone(),
                vni.macs.to_string(),
                vni.neighbors.to_string(),
                vni.remote_vteps.len().to_string(),
                if vni.in_service {
                    "in service".to_owned()
                } else {
                    format!("not in service: {}", vni.reason)
                },
            ]
        })
        .collect();
    table::render(
        &[
            "VNI",
            "Type",
            "VxLAN IF",
            "Bridge",
            "VTEP IP",
            "# MACs",
            "# ARPs",
            "# Remote VTEPs",
            "State",
        ],
        &rows,
    )
}

pub(super) async fn macs(
    client: &mut Client,
    output: Output,
    vni: Option<u32>,
) -> Result<String, CtlError> {
    let macs =
        collect(client.list_macs(proto::ListMacsRequest { vni }).await?.into_inner()).await?;
    Ok(output.render(|| macs_json(&macs), || macs_text(&macs)))
}

fn macs_json(macs: &[Mac]) -> Value {
    let mut by_vni: Map<String, Value> = Map::new();
    for group in macs.chunk_by(|a, b| a.vni == b.vni) {
        let entries: Map<String, Value> =
            group.iter().map(|mac| (mac.mac.clone(), mac_json(mac))).collect();
        let vni = group.first().map_or(0, |mac| mac.vni);
        by_vni.insert(vni.to_string(), json!({ "numMacs": entries.len(), "macs": entries }));
    }
    by_vni.into()
}

fn mac_json(mac: &Mac) -> Value {
    let mut value = json!({
        "type": mac.kind,
        "localSequence": mac.local_sequence,
        "remoteSequence": mac.remote_sequence,
        "detectionCount": 0,
        "isDuplicate": false,
        "ips": mac.ips,
    });
    if mac.remote_vtep.is_empty() {
        value["intf"] = mac.interface.clone().into();
    } else {
        value["remoteVtep"] = mac.remote_vtep.clone().into();
    }
    value
}

fn macs_text(macs: &[Mac]) -> String {
    let mut text = String::new();
    for group in macs.chunk_by(|a, b| a.vni == b.vni) {
        let rows: Vec<Vec<String>> = group
            .iter()
            .map(|mac| {
                vec![
                    mac.mac.clone(),
                    mac.kind.clone(),
                    if mac.remote_vtep.is_empty() {
                        mac.interface.clone()
                    } else {
                        mac.remote_vtep.clone()
                    },
                    format!("{}/{}", mac.local_sequence, mac.remote_sequence),
                    mac.ips.join(" "),
                ]
            })
            .collect();
        let vni = group.first().map_or(0, |mac| mac.vni);
        let _ = writeln!(text, "VNI {vni} #MACs (local and remote) {}\n", rows.len());
        text.push_str(&table::render(&["MAC", "Type", "Intf/Remote VTEP", "Seq #'s", "IP"], &rows));
        text.push('\n');
    }
    text
}
