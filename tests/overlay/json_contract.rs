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
        for what in ["bgp summary", "bgp l2vpn evpn route", "evpn vni", "evpn mac vni all"] {
            eventually(PATIENCE, || {
                let missing: Vec<_> = keys(&world.right.show(what)?)
                    .difference(&keys(&switch.show(what)?))
                    .cloned()
                    .collect();
                let missing: Vec<_> =
                    missing.iter().filter(|key| !FRR_INTERNALS.contains(&last(key))).collect();
                ensure!(missing.is_empty(), "switchctl show {what} --json lacks {missing:?}");
                Ok(())
            })?;
        }
        Ok(())
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

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Figures about FRR's own memory and update machinery, which mean nothing elsewhere.
const FRR_INTERNALS: [&str; 8] = [
    "ribMemory",
    "peerMemory",
    "peerGroupMemory",
    "peerGroupCount",
    "hostname",
    "desc",
    "version",
    "multiPathRelax",
];
