//! All is well: what switchd says is what iproute2 and devlink say.

use std::collections::BTreeMap;

use lab::{Lab, Node, PATIENCE, Result, ensure, ensure_eq, eventually};

use super::{DEVICE, Router, wait_for_flag};
use crate::{
    verdicts::{self, rows, text},
    witness::{Standing, offload},
};

#[test]
fn verdicts_are_what_iproute2_shows_and_metrics_are_what_devlink_shows() -> Result {
    Lab::run(|lab| {
        let router = Router::build(lab)?;
        let _switchd = router.start("")?;
        let left = router.peer(1, &["10.20.0.0/24", "10.21.0.0/24", "fd20::/32"])?;
        wait_for_flag(&router.switch, "10.21.0.0/24", "rt_trap")?;
        verdicts::wait_for(&router.switch, "fd20::/32", "trapped")?;
        verdicts::agree_with_iproute2(&router.switch)?;
        eventually(PATIENCE, || metrics_are_what_devlink_shows(&router))?;

        // Routes that others make are judged as well, and those that go are forgotten.
        router.shell(
            "ip route add 10.30.0.0/16 via 192.0.2.9
            ip route add blackhole 10.31.0.0/16
            ip nexthop add id 7 via 192.0.2.7 dev port1
            ip nexthop add id 8 group 7
            ip route add 10.32.0.0/16 nhid 8
            ip route add 10.33.0.0/16 nexthop via 192.0.2.8 nexthop via 192.0.2.9
            ip route add 10.34.0.0/16 via 192.0.2.9 table 99",
        )?;
        left.announce(&["10.20.0.0/24"])?;
        eventually(PATIENCE, || {
            let routes = router.switch.run("ip route show proto bgp")?;
            ensure!(!routes.contains("10.21.0.0/24"), "not withdrawn: {routes}");
            Ok(())
        })?;
        verdicts::agree_with_iproute2(&router.switch)?;
        verdicts::all_is_well(&router.switch)?;
        eventually(PATIENCE, || metrics_are_what_devlink_shows(&router))
    })
}

/// Several readings, one after the other: what moves between two of them makes them differ, and the next time not.
fn metrics_are_what_devlink_shows(router: &Router) -> Result {
    let switch = &router.switch;
    let before = trap_packets(switch)?;
    let metrics = scrape(switch)?;
    let after = trap_packets(switch)?;

    for (table, path) in
        [("IPv4/fib", ["IPv4", "fib"].as_slice()), ("nexthops", ["nexthops"].as_slice())]
    {
        let name = format!(
            "switchd_devlink_resource_occupancy{{device=\"{DEVICE}\",resource=\"{table}\",unit=\"entry\"}}"
        );
        let (_, occupied) = router.table(path)?;
        ensure_eq!(metrics.get(&name), Some(&(occupied as f64)), "{name}");
    }
    // The simulator counts all the time.
    ensure!(!before.is_empty(), "devlink shows no trap");
    for (trap, least) in &before {
        let most = after.get(trap).copied().unwrap_or_default();
        let series = metrics.iter().find(|(name, _)| {
            name.starts_with("switchd_devlink_trap_packets_total{")
                && name.contains(&format!("trap=\"{trap}\""))
        });
        let counted = series.map(|(_, value)| *value);
        ensure!(
            counted.is_some_and(|counted| *least as f64 <= counted && counted <= most as f64),
            "{trap}: {counted:?} is not between devlink's {least} and {most}"
        );
    }
    // Counted from what `switchctl offload --all` lists.
    let mut listed: BTreeMap<String, f64> = BTreeMap::new();
    for Standing { kind, verdict, .. } in offload(switch, true)? {
        let name = format!("switchd_offload_entries{{kind=\"{kind}\",verdict=\"{verdict}\"}}");
        *listed.entry(name).or_default() += 1.0;
    }
    let counted: BTreeMap<String, f64> = metrics
        .into_iter()
        .filter(|(name, count)| name.starts_with("switchd_offload_entries{") && *count > 0.0)
        .collect();
    ensure_eq!(counted, listed, "entries by kind and verdict");
    Ok(())
}

/// Every sample by its name and labels. Read over plain TCP, as a scraper does.
fn scrape(switch: &Node) -> Result<BTreeMap<String, f64>> {
    let request = "exec 3<>/dev/tcp/127.0.0.1/9342; \
        printf 'GET /metrics HTTP/1.1\\r\\nHost: switch\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3";
    let answer = switch.run_words(&["bash", "-c", request])?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "no metrics: {answer}");
    let samples = answer.lines().filter(|line| line.starts_with("switchd_"));
    Ok(samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect())
}

/// Packets by trap, from devlink.
fn trap_packets(switch: &Node) -> Result<BTreeMap<String, u64>> {
    let traps = switch.json("devlink -j -s trap show")?;
    Ok(rows(&traps["trap"][DEVICE])
        .map(|trap| {
            (text(trap, "name"), trap["stats"]["rx"]["packets"].as_u64().unwrap_or_default())
        })
        .collect())
}
