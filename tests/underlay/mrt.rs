//! `switchctl dump bgp routes-mrt`, read by bgpdump.

use lab::{
    Lab, PATIENCE, Result, ensure, eventually, peers::Bird, require, switch, switch::Switch,
};

use crate::{Pair, SWITCHD, bird};

#[test]
fn bgpdump_reads_our_own_routes_and_those_of_the_neighbor() -> Result {
    require(&["bgpdump"])?;
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let _bird = Bird::start(&pair.right, bird::CONFIG)?;
        let _switch = Switch::start(&pair.left, SWITCHD)?;
        let file = pair.left.dir().join("table.mrt").display().to_string();
        let read = || {
            let dumped = switch::switchctl(&pair.left, &["dump", "bgp", "routes-mrt", &file])?;
            ensure!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
            pair.left.run_words(&["bgpdump", "-m", "-q", &file])
        };
        // Type, time, B (a table), peer, its AS, prefix, AS path, origin, next hop.
        eventually(PATIENCE, || {
            let table = read()?;
            for entry in [
                "|B|0.0.0.0|65001|10.0.0.1/32||IGP|0.0.0.0|",
                "|B|0.0.0.0|65001|fd00::1/128||IGP|",
                "|B|10.1.0.2|65002|10.0.0.2/32|65002|IGP|10.1.0.2|",
                "|B|10.1.0.2|65002|10.77.0.0/16|65002|IGP|10.1.0.2|",
                "|B|fd00:1::2|65002|fd77::/32|65002|IGP|fd00:1::2|",
            ] {
                ensure!(table.contains(entry), "no {entry} in\n{table}");
            }
            Ok(())
        })
    })
}
