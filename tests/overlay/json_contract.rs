//! Scripts and exporters made for FRR read switchctl: in one fabric, the same commands print the same keys.

use std::collections::BTreeSet;

use lab::{
    Lab, LabError, PATIENCE, Result, ensure, eventually,
    fabric::{Daemon, Leaf, Peering},
};
use serde_json::Value;

use crate::World;

#[test]
fn switchctl_prints_every_key_that_frr_prints() -> Result {
    Lab::run(|lab| {
        let world = World::start(lab, Peering::External, Daemon::Switchd)?;
        let Leaf::Switchd(switch) = &world.left else {
            return Err(LabError::Unexpected("leaf1 runs switchd".into()));
        };
        eventually(PATIENCE, || {
            let mut missing = Vec::new();
            for what in ["bgp summary", "bgp l2vpn evpn route", "evpn vni", "evpn mac vni all"] {
                let ours = keys(&switch.show(what)?);
                let lacking =
                    keys(&world.right.show(what)?).into_iter().filter(|key| !ours.contains(key));
                missing.extend(
                    lacking.filter(|key| !is_internal(key)).map(|key| format!("{what}: {key}")),
                );
            }
            ensure!(missing.is_empty(), "switchctl show --json lacks {missing:#?}");
            Ok(())
        })
    })
}

/// Paths of all keys. What is data rather than a name (addresses, MACs, VNIs, routes) becomes `*`.
fn keys(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(value, String::new(), &mut found);
    found
}

fn collect(value: &Value, path: String, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let is_data = key.contains([':', '[', '.'])
                    || key.chars().all(|digit| digit.is_ascii_digit());
                let path = format!("{path}/{}", if is_data { "*" } else { key });
                found.insert(path.clone());
                collect(value, path, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, path.clone(), found)),
        _ => {}
    }
}

fn is_internal(path: &str) -> bool {
    FRR_INTERNALS.iter().any(|name| path.ends_with(&format!("/{name}")))
}

/// Figures about FRR's own memory, counters and options, which mean nothing elsewhere.
const FRR_INTERNALS: [&str; 10] = [
    "tableVersion",
    "ribMemory",
    "peerMemory",
    "peerGroupMemory",
    "peerGroupCount",
    "hostname",
    "desc",
    "version",
    "bestPath",
    "multiPathRelax",
];
