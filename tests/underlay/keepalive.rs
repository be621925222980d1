//! `keepalive`: how often FRR hears from us.

use std::time::{Duration, Instant};

use lab::{Lab, PATIENCE, Result, ensure, ensure_eq, eventually, peers::Frr, switch::Switch};
use serde_json::Value;

use crate::Pair;
use crate::session::{self, NEIGHBOR, state, switchd, wait_established};

fn interval(switch: &Switch) -> Result<Value> {
    let neighbor = switch.show("bgp neighbor 10.1.0.2")?;
    Ok(neighbor["10.1.0.2"]["bgpTimerKeepAliveIntervalMsecs"].clone())
}

fn received(frr: &Frr) -> Result<u64> {
    let neighbor = frr.show("bgp neighbors 10.1.0.1")?;
    Ok(neighbor["10.1.0.1"]["messageStats"]["keepalivesRecv"].as_u64().unwrap_or_default())
}

#[test]
fn keepalives_go_out_as_often_as_the_key_says() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &[]))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "keepalive = 1"))?;
        wait_established(&switch, "10.1.0.2")?;
        ensure_eq!(interval(&switch)?, Value::from(1000), "interval");
        // A third of the hold time would be three in 6.75 s, at the soonest.
        let (begin, before) = (Instant::now(), received(&frr)?);
        eventually(PATIENCE, || {
            let more = received(&frr)? - before;
            ensure!(more >= 4, "{more} keepalives");
            Ok(())
        })?;
        let took = begin.elapsed();
        ensure!(took < Duration::from_millis(5500), "4 keepalives took {took:?}");
        switch.reload(&switchd(NEIGHBOR, "keepalive = 60"))?;
        ensure_eq!(interval(&switch)?, Value::from(3000), "interval: a third of 9 s is less");
        ensure_eq!(state(&switch, "10.1.0.2")?, "Established", "the session");
        Ok(())
    })
}
