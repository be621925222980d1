//! `local-as`, ours towards FRR and FRR's towards us: AS paths both ways, in every combination that FRR has.

use lab::{Lab, PATIENCE, Result, ensure_eq, eventually, peers::Frr, switch::Switch};
use serde_json::Value;

use crate::Pair;
use crate::session::{self, NEIGHBOR, switchd};

const FRRS: &str = "10.77.0.0/16";
const OURS: &str = "10.0.0.1/32";

/// Our AS path of FRR's route.
fn from_frr(switch: &Switch) -> Result<Value> {
    Ok(switch.show("bgp ipv4 unicast")?["routes"][FRRS][0]["path"].clone())
}

/// FRR's AS path of our route.
fn at_frr(frr: &Frr) -> Result<Value> {
    let route = frr.show(&format!("bgp ipv4 unicast {OURS}"))?;
    Ok(route["paths"][0]["aspath"]["string"].clone())
}

fn expect(switch: &Switch, frr: &Frr, from: &str, at: &str, which: &str) -> Result {
    eventually(PATIENCE, || {
        let paths = (from_frr(switch)?, at_frr(frr)?);
        ensure_eq!(paths, (Value::from(from), Value::from(at)), "paths here and at FRR: {which}");
        Ok(())
    })
}

#[test]
fn frr_takes_us_for_the_as_that_we_were_in_before() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let config = session::frr("10.1.0.1", &[]).replace("remote-as 65001", "remote-as 65099");
        let frr = Frr::start(&pair.right, &config)?;
        let keys = |value: &str| switchd(NEIGHBOR, &format!("local-as = {value}\nhold-time = 9"));
        let switch = Switch::start(&pair.left, &keys("65099"))?;
        expect(&switch, &frr, "65099 65002", "65099 65001", "local-as alone")?;
        let neighbor = switch.show("bgp neighbor 10.1.0.2")?;
        ensure_eq!(neighbor["10.1.0.2"]["localAs"], Value::from(65099), "{neighbor}");
        for (rules, from, at) in [
            ("no-prepend = true", "65002", "65099 65001"),
            ("replace-as = true", "65099 65002", "65099"),
            ("no-prepend = true, replace-as = true", "65002", "65099"),
        ] {
            switch.reload(&keys(&format!("{{ asn = 65099, {rules} }}")))?;
            expect(&switch, &frr, from, at, rules)?;
        }
        Ok(())
    })
}

#[test]
fn we_take_frr_for_the_as_that_it_was_in_before() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let neighbor = NEIGHBOR.replace("65002", "65099");
        let switch = Switch::start(&pair.left, &switchd(&neighbor, ""))?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &["local-as 65099"]))?;
        for (rules, from, at) in [
            ("", "65099 65002", "65099 65001"),
            (" no-prepend", "65099 65002", "65001"),
            (" no-prepend replace-as", "65099", "65001"),
        ] {
            frr.configure(&[
                "router bgp 65002",
                &format!("neighbor 10.1.0.1 local-as 65099{rules}"),
            ])?;
            expect(&switch, &frr, from, at, rules)?;
        }
        Ok(())
    })
}
