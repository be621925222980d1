//! Graceful shutdown while a session with FRR is up: by hand and by reload, of everything and of the one neighbour.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::Frr,
    switch::{Switch, switchctl},
};
use serde_json::Value;

use crate::session::{self, NEIGHBOR, switchd};
use crate::{Pair, wait_for_kernel_route};

/// Whether FRR has our route marked, and what LOCAL_PREF it gave it.
fn ours(frr: &Frr) -> Result<(bool, Value)> {
    let route = frr.show("bgp ipv4 unicast 10.0.0.1/32")?;
    let path = &route["paths"][0];
    ensure!(!path.is_null(), "no 10.0.0.1/32 at FRR: {route}");
    let marked = path["community"]["string"] == "graceful-shutdown";
    Ok((marked, path["locPrf"].clone()))
}

/// Our LOCAL_PREF of FRR's route.
fn frrs(switch: &Switch) -> Result<Value> {
    let table = switch.show("bgp ipv4 unicast")?;
    Ok(table["routes"]["10.77.0.0/16"][0]["locPrf"].clone())
}

#[test]
fn it_comes_and_goes_under_a_session_that_stays() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &[]))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, ""))?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        let default = frrs(&switch)?;
        let (going, staying) = ((true, Value::from(0)), (false, Value::Null));
        // Ours at FRR, and FRR's here.
        let expect = |ours_is: &(bool, Value), frrs_is: &Value, which: &str| {
            eventually(PATIENCE, || {
                ensure_eq!(ours(&frr)?, *ours_is, "our route at FRR: {which}");
                ensure_eq!(frrs(&switch)?, *frrs_is, "LOCAL_PREF of FRR's route: {which}");
                Ok(())
            })
        };
        expect(&staying, &default, "at first")?;

        let last = Value::from(0);
        ctl(&switch, &["bgp", "graceful-shutdown"])?;
        expect(&going, &default, "all, by hand")?;
        let summary = switch.show("bgp summary")?;
        ensure_eq!(summary["ipv4Unicast"]["gracefulShutdown"], Value::from(true), "{summary}");
        ctl(&switch, &["bgp", "no-graceful-shutdown"])?;
        expect(&staying, &default, "all, by hand")?;
        ctl(&switch, &["neighbor", "10.1.0.2", "graceful-shutdown"])?;
        expect(&going, &last, "the neighbor, by hand")?;
        let neighbor = switch.show("bgp neighbor 10.1.0.2")?;
        ensure_eq!(neighbor["10.1.0.2"]["gracefulShutdown"], Value::from(true), "{neighbor}");
        ctl(&switch, &["neighbor", "10.1.0.2", "no-graceful-shutdown"])?;
        expect(&staying, &default, "the neighbor, by hand")?;

        let all =
            switchd(NEIGHBOR, "").replace("asn = 65001", "asn = 65001\ngraceful-shutdown = true");
        switch.reload(&all)?;
        expect(&going, &default, "all, by reload")?;
        switch.reload(&switchd(NEIGHBOR, "graceful-shutdown = true"))?;
        expect(&going, &last, "the neighbor, by reload")?;
        switch.reload(&switchd(NEIGHBOR, ""))?;
        expect(&staying, &default, "nobody, by reload")?;
        let neighbor = frr.show("bgp neighbors 10.1.0.1")?;
        ensure_eq!(neighbor["10.1.0.1"]["connectionsEstablished"], Value::from(1), "sessions");
        Ok(())
    })
}

fn ctl(switch: &Switch, words: &[&str]) -> Result {
    let output = switchctl(switch.node(), words)?;
    ensure!(output.status.success(), "{words:?}: {output:?}");
    Ok(())
}
