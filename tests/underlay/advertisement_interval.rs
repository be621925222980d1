//! `advertisement-interval` (MRAI), as FRR sees it.

use std::time::{Duration, Instant};

use lab::{Lab, PATIENCE, Result, ensure, eventually, peers::Frr, switch::Switch};

use crate::Pair;
use crate::session::{self, NEIGHBOR, switchd};

#[test]
fn frr_hears_of_a_withdrawal_at_once_and_of_what_is_new_when_the_interval_is_over() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &[]))?;
        let with = |networks: &str| {
            switchd(NEIGHBOR, "advertisement-interval = 3").replace("\"10.0.0.1/32\"", networks)
        };
        let switch = Switch::start(&pair.left, &with(OLD))?;
        let has = |prefix: &str| -> Result<bool> {
            Ok(frr.show("bgp ipv4 unicast")?["routes"].get(prefix).is_some())
        };
        let wait = |prefix: &str| {
            eventually(PATIENCE, || {
                ensure!(has(prefix)?, "FRR has no {prefix}");
                Ok(())
            })
        };
        wait("10.81.0.0/16")?;
        // One more begins an interval, however long ago the session began.
        switch.reload(&with(MORE))?;
        wait("10.82.0.0/16")?;
        let begun = Instant::now();
        switch.reload(&with(NEW))?;
        eventually(PATIENCE, || {
            ensure!(!has("10.81.0.0/16")?, "the old one is still there");
            Ok(())
        })?;
        ensure!(!has("10.83.0.0/16")?, "the new one did not wait");
        ensure!(begun.elapsed() < Duration::from_secs(2), "the withdrawal has waited");
        wait("10.83.0.0/16")?;
        // FRR was asked a moment after it heard.
        let waited = begun.elapsed();
        ensure!(waited > Duration::from_secs(2), "the new one waited for {waited:?}");
        Ok(())
    })
}

const OLD: &str = "\"10.81.0.0/16\"";
const MORE: &str = "\"10.81.0.0/16\", \"10.82.0.0/16\"";
const NEW: &str = "\"10.82.0.0/16\", \"10.83.0.0/16\"";
