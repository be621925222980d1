//! What FRR sees of a path that has been through us: `as-override`, `remove-private-as`, `attribute-unchanged`.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::{Bird, Frr},
    switch::Switch,
};
use serde_json::Value;

use crate::row;

/// A BIRD at one end announces [`SHORT`] and [`LONG`]; switchd passes them on; FRR is at the other end.
struct Row {
    switch: Switch,
    sink: Frr,
    _source: Bird,
}

impl Row {
    fn start(lab: &Lab, sink_as: u32) -> Result<Self> {
        let nodes = row(lab, ["source", "leaf", "sink"])?;
        let source = Bird::start(&nodes[0], SOURCE)?;
        let sink = Frr::start(&nodes[2], &SINK.replace("ASN", &sink_as.to_string()))?;
        let switch = Switch::start(&nodes[1], &switchd(""))?;
        Ok(Self { switch, sink, _source: source })
    }

    /// Other keys of the neighbour that FRR is.
    fn change(&self, keys: &str) -> Result {
        self.switch.reload(&switchd(keys)).map(drop)
    }

    /// Waits until FRR's paths to [`SHORT`] and [`LONG`] are these.
    fn wait_for_paths(&self, short: &str, long: &str) -> Result {
        eventually(PATIENCE, || {
            for (prefix, expected) in [(SHORT, short), (LONG, long)] {
                let path = self.path(prefix)?;
                ensure_eq!(path["aspath"]["string"], expected, "AS path of {prefix} in {path}");
            }
            Ok(())
        })
    }

    fn path(&self, prefix: &str) -> Result<Value> {
        Ok(self.sink.show(&format!("bgp ipv4 unicast {prefix}"))?["paths"][0].clone())
    }
}

#[test]
fn as_override_lets_a_site_hear_of_another_site_of_its_own_as() -> Result {
    Lab::run(|lab| {
        let row = Row::start(lab, 65010)?;
        // It comes after the others, and they are not there: FRR refuses its own AS number.
        eventually(PATIENCE, || {
            ensure!(!row.path("10.99.0.0/16")?.is_null(), "our own network is missing");
            Ok(())
        })?;
        ensure!(row.path(SHORT)?.is_null(), "FRR takes its own AS number");
        row.change("as-override = true")?;
        row.wait_for_paths("64500 64500", "64500 64500 64496")
    })
}

#[test]
fn private_as_numbers_are_removed_or_replaced_as_they_are_meant_to_be() -> Result {
    Lab::run(|lab| {
        let row = Row::start(lab, 64501)?;
        row.wait_for_paths("64500 65010", "64500 65010 64496")?;
        row.change("remove-private-as = {}")?;
        row.wait_for_paths("64500", "64500 65010 64496")?;
        row.change("remove-private-as = { all = true }")?;
        row.wait_for_paths("64500", "64500 64496")?;
        row.change("remove-private-as = { all = true, replace-as = true }")?;
        row.wait_for_paths("64500 64500", "64500 64500 64496")
    })
}

#[test]
fn attributes_that_are_to_stay_as_they_are_do() -> Result {
    Lab::run(|lab| {
        let row = Row::start(lab, 64501)?;
        let expect = |path: &str, next_hop: &str, med: Value| {
            eventually(PATIENCE, || {
                let route = row.path(SHORT)?;
                ensure_eq!(route["aspath"]["string"], path, "AS path in {route}");
                ensure_eq!(route["nexthops"][0]["ip"], next_hop, "next hop in {route}");
                ensure_eq!(route["metric"], med, "MED in {route}");
                Ok(())
            })
        };
        expect("64500 65010", "10.1.1.1", Value::Null)?;
        row.change("attribute-unchanged = [\"med\"]")?;
        expect("64500 65010", "10.1.1.1", 77.into())?;
        row.change("attribute-unchanged = [\"next-hop\"]")?;
        expect("64500 65010", "10.1.0.1", Value::Null)?;
        row.change("attribute-unchanged = [\"as-path\", \"next-hop\", \"med\"]")?;
        expect("65010", "10.1.0.1", 77.into())
    })
}

/// A private AS number only.
const SHORT: &str = "10.77.0.0/16";
/// A private one before one that is not.
const LONG: &str = "10.78.0.0/16";

const SOURCE: &str = "
router id 10.0.0.1;
protocol device {}
protocol static { ipv4; route 10.77.0.0/16 blackhole; route 10.78.0.0/16 blackhole; }
filter told {
    bgp_med = 77;
    if net = 10.78.0.0/16 then bgp_path.prepend(64496);
    accept;
}
protocol bgp leaf {
    local as 65010;
    neighbor 10.1.0.2 as 64500;
    connect retry time 1;
    connect delay time 0;
    error wait time 1, 2;
    ipv4 { import none; export filter told; };
}
";

const SINK: &str = "
router bgp ASN
 bgp router-id 10.0.0.3
 no bgp ebgp-requires-policy
 neighbor 10.1.1.1 remote-as 64500
 neighbor 10.1.1.1 timers connect 1
";

fn switchd(keys: &str) -> String {
    format!(
        r#"[bgp]
asn = 64500
router-id = "10.0.0.2"
networks = ["10.99.0.0/16"]
connect-retry = 1

[[bgp.neighbor]]
address = "10.1.0.1"
remote-as = "external"

[[bgp.neighbor]]
address = "10.1.1.2"
remote-as = "external"
{keys}
"#
    )
}
