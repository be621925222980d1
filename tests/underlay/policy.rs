//! Policy against FRR: what each condition matches of its routes, what each setting looks like at its end, and changes
//! while the session is up.

use std::time::Duration;

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::Frr,
    steadily,
    switch::{Switch, switchctl},
};
use serde_json::Value;

use crate::{Pair, wait_for_kernel_route, wait_for_no_kernel_route};

const PEER: &str = "10.1.0.1";

/// FRR's only path to a prefix.
fn at_frr(frr: &Frr, prefix: &str) -> Result<Value> {
    let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
    Ok(frr.show(&format!("bgp {family} unicast {prefix}"))?["paths"][0].clone())
}

fn wait_at_frr(frr: &Frr, prefix: &str, expected: &[(&str, Value)]) -> Result {
    eventually(PATIENCE, || {
        let path = at_frr(frr, prefix)?;
        for (pointer, value) in expected {
            let found = path.pointer(pointer).cloned().unwrap_or_default();
            ensure_eq!(found, *value, "{pointer} of {prefix} in {path}");
        }
        ensure!(!path.is_null(), "FRR has no {prefix}");
        Ok(())
    })
}

fn wait_for_none_at_frr(frr: &Frr, prefix: &str) -> Result {
    eventually(PATIENCE, || {
        ensure!(at_frr(frr, prefix)?.is_null(), "FRR still has {prefix}");
        Ok(())
    })
}

/// What FRR says of the session: how often it came up, OPENs and refresh requests from us.
fn session(frr: &Frr) -> Result<(Value, Value, u64)> {
    let neighbor = frr.show(&format!("bgp neighbors {PEER}"))?[PEER].clone();
    let stats = &neighbor["messageStats"];
    let refreshes = stats["routeRefreshRecv"].as_u64().unwrap_or_default();
    Ok((neighbor["connectionsEstablished"].clone(), stats["opensRecv"].clone(), refreshes))
}

fn updates(frr: &Frr) -> Result<u64> {
    let neighbor = frr.show(&format!("bgp neighbors {PEER}"))?;
    Ok(neighbor[PEER]["messageStats"]["updatesRecv"].as_u64().unwrap_or_default())
}

#[test]
fn each_condition_matches_the_route_of_frr_that_is_meant() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let _frr = Frr::start(&pair.right, FRR)?;
        let switch = Switch::start(&pair.left, &config("import = \"import\"", IMPORT))?;
        eventually(PATIENCE, || {
            let table = switch.show("bgp ipv4 unicast")?;
            // The third octet says which entry is meant; it has set that as LOCAL_PREF.
            for number in 1..=8 {
                let prefix = format!("10.90.{number}.0/24");
                let found = &table["routes"][&prefix][0]["locPrf"];
                ensure_eq!(*found, Value::from(number * 10), "LOCAL_PREF of {prefix}");
            }
            let last = &table["routes"]["10.90.10.0/24"][0];
            ensure_eq!(last["weight"], Value::from(500), "weight of {last}");
            ensure!(table["routes"]["10.90.9.0/24"].is_null(), "10.90.9.0/24 is denied");
            Ok(())
        })?;
        wait_for_kernel_route(&pair.left, 6, "fd90:1::/48")?;
        wait_for_no_kernel_route(&pair.left, 6, "fd90:2::/48")?;
        wait_for_no_kernel_route(&pair.left, 4, "10.90.9.0/24")
    })
}

#[test]
fn each_setting_reaches_frr() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, FRR)?;
        let switch = Switch::start(&pair.left, &config("export = \"export\"", EXPORT))?;
        let text = |text: &str| Value::from(text);
        wait_at_frr(
            &frr,
            "10.91.1.0/24",
            &[("/metric", Value::from(70)), ("/origin", text("EGP"))],
        )?;
        wait_at_frr(
            &frr,
            "10.91.2.0/24",
            &[
                ("/community/string", text("65001:1 no-export")),
                ("/largeCommunity/string", text("65001:2:3")),
            ],
        )?;
        wait_at_frr(
            &frr,
            "10.91.3.0/24",
            &[("/extendedCommunity/string", text("RT:65001:100 LB:65001:125000000 (1.000 Gbps)"))],
        )?;
        wait_at_frr(&frr, "10.91.4.0/24", &[("/aspath/string", text("65001 65077 65077"))])?;
        wait_at_frr(
            &frr,
            "10.91.5.0/24",
            &[("/nexthops/0/ip", text("10.1.0.77")), ("/atomicAggregate", Value::from(true))],
        )?;
        wait_at_frr(&frr, "fd91::/32", &[("/metric", Value::from(6))])?;
        let map = ctl(&switch, &["show", "policy", "route-map", "export"])?;
        ensure!(map.contains("used by 10.1.0.2 ipv4-unicast out"), "{map}");
        ensure!(map.contains("    extcommunity bandwidth 1000"), "{map}");
        // Denied, and what no entry matches.
        wait_for_none_at_frr(&frr, "10.91.6.0/24")?;
        wait_for_none_at_frr(&frr, "10.91.7.0/24")
    })
}

#[test]
fn policies_change_both_ways_and_no_session_notices() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, FRR)?;
        let switch = Switch::start(&pair.left, &config("", ""))?;
        wait_at_frr(&frr, "10.91.1.0/24", &[])?;
        wait_for_kernel_route(&pair.left, 4, "10.90.9.0/24")?;
        let (established, opens, refreshes) = session(&frr)?;
        ensure_eq!(established, Value::from(1), "sessions so far");

        switch.reload(&config("export = \"export\"", EXPORT))?;
        wait_at_frr(&frr, "10.91.1.0/24", &[("/metric", Value::from(70))])?;
        wait_for_none_at_frr(&frr, "10.91.6.0/24")?;
        ensure_eq!(session(&frr)?.2, refreshes, "an export policy asks for nothing");

        switch.reload(&config("import = \"import\"", IMPORT))?;
        wait_for_no_kernel_route(&pair.left, 4, "10.90.9.0/24")?;
        wait_at_frr(&frr, "10.91.6.0/24", &[("/metric", Value::Null)])?;
        let (_, _, asked) = session(&frr)?;
        ensure!(asked > refreshes, "{asked} requests for routes, {refreshes} before");

        // The same again is no change: nothing is asked for, nothing told.
        let told = updates(&frr)?;
        switch.reload(&config("import = \"import\"", &format!("{IMPORT}\n")))?;
        switch.reload(&config("", ""))?;
        wait_for_kernel_route(&pair.left, 4, "10.90.9.0/24")?;
        ensure_eq!(updates(&frr)?, told, "UPDATEs after a change of the import policy only");
        let (established_now, opens_now, _) = session(&frr)?;
        ensure_eq!((established_now, opens_now), (established, opens), "sessions and OPENs");
        Ok(())
    })
}

#[test]
fn an_external_session_without_policies_carries_nothing_in_profile_traditional() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, FRR)?;
        let traditional = config("", "").replace("hold-time = 9", "profile = \"traditional\"");
        let switch = Switch::start(&pair.left, &traditional)?;
        eventually(PATIENCE, || {
            let summary = ctl(&switch, &["show", "bgp", "summary"])?;
            let lines = summary.lines().filter(|line| line.contains("10.1.0.2"));
            let told = lines.filter(|line| line.matches("(Policy)").count() == 2).count();
            ensure_eq!(told, 1, "lines that say (Policy) twice in {summary}");
            Ok(())
        })?;
        steadily(Duration::from_secs(1), || {
            wait_for_no_kernel_route(&pair.left, 4, "10.90.1.0/24")?;
            wait_for_none_at_frr(&frr, "10.91.1.0/24")
        })
    })
}

#[test]
fn routes_can_be_asked_for_sent_again_and_sessions_reset_by_hand() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, FRR)?;
        let switch = Switch::start(&pair.left, &config("", ""))?;
        wait_at_frr(&frr, "10.91.1.0/24", &[])?;
        wait_for_kernel_route(&pair.left, 4, "10.90.9.0/24")?;
        let (_, _, refreshes) = session(&frr)?;
        let told = updates(&frr)?;
        ctl(&switch, &["clear", "bgp", "10.1.0.2", "soft", "in"])?;
        eventually(PATIENCE, || {
            ensure_eq!(session(&frr)?.2, refreshes + 1, "requests for routes");
            Ok(())
        })?;
        ensure_eq!(updates(&frr)?, told, "UPDATEs after soft in");
        ctl(&switch, &["clear", "bgp", "*", "soft", "out"])?;
        eventually(PATIENCE, || {
            ensure!(updates(&frr)? > told, "no UPDATE after soft out");
            Ok(())
        })?;
        ensure_eq!(session(&frr)?.0, Value::from(1), "sessions so far");
        ctl(&switch, &["clear", "bgp", "10.1.0.2"])?;
        eventually(PATIENCE, || {
            ensure_eq!(session(&frr)?.0, Value::from(2), "sessions after a reset");
            Ok(())
        })
    })
}

/// Our side, with keys of both neighbours, and what they refer to.
fn config(keys: &str, policy: &str) -> String {
    format!("{}{policy}", SWITCHD.replace("KEYS", keys))
}

fn ctl(switch: &Switch, words: &[&str]) -> Result<String> {
    let output = switchctl(switch.node(), words)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "switchctl {words:?}: {complaint}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const SWITCHD: &str = r#"
[bgp]
asn = 65001
router-id = "10.0.0.1"
networks = [
    "10.91.1.0/24", "10.91.2.0/24", "10.91.3.0/24", "10.91.4.0/24", "10.91.5.0/24", "10.91.6.0/24", "10.91.7.0/24",
    "fd91::/32",
]
hold-time = 9
connect-retry = 1

[[bgp.neighbor]]
address = "10.1.0.2"
remote-as = 65002
families = ["ipv4-unicast"]
KEYS

[[bgp.neighbor]]
address = "fd00:1::2"
remote-as = 65002
families = ["ipv6-unicast"]
KEYS
"#;

/// An entry for each condition. What it matches is FRR's 10.90.N.0/24, and gets LOCAL_PREF 10 N.
const IMPORT: &str = r#"
[[policy.prefix-list]]
name = "first"
entries = [{ action = "permit", prefix = "10.90.1.0/24" }, { action = "permit", prefix = "fd90:1::/32", ge = 40, le = 48 }]

[[policy.prefix-list]]
name = "hop"
entries = [{ action = "permit", prefix = "10.1.0.88/32" }]

[[policy.community-list]]
name = "standard"
entries = [{ action = "permit", communities = ["65002:30-39"] }]

[[policy.community-list]]
name = "large"
kind = "large"
entries = [{ action = "permit", communities = ["65002:4:*"] }]

[[policy.community-list]]
name = "extended"
kind = "extended"
entries = [{ action = "permit", communities = ["rt 65002:500-599"] }]

[[policy.as-path-list]]
name = "through"
entries = [{ action = "permit", regex = "_65066_65067$" }]

[[policy.route-map]]
name = "import"
entry = [
    { action = "permit", match = { prefix-list = "first" }, set = { local-preference = 10 } },
    { action = "permit", match = { next-hop = "hop" }, set = { local-preference = 20 } },
    { action = "permit", match = { community-list = "standard" }, set = { local-preference = 30 } },
    { action = "permit", match = { large-community-list = "large" }, set = { local-preference = 40 } },
    { action = "permit", match = { ext-community-list = "extended" }, set = { local-preference = 50 } },
    { action = "permit", match = { as-path-list = "through" }, set = { local-preference = 60 } },
    { action = "permit", match = { med = 777 }, set = { local-preference = 70 } },
    { action = "permit", match = { origin = "incomplete" }, set = { local-preference = 80 } },
    { sequence = 200, action = "permit", match = { med = 1010, peer = "10.1.0.2" }, set = { weight = 500 } },
]
"#;

const EXPORT: &str = r#"
[[policy.prefix-list]]
name = "1"
entries = [{ action = "permit", prefix = "10.91.1.0/24" }]
[[policy.prefix-list]]
name = "2"
entries = [{ action = "permit", prefix = "10.91.2.0/24" }]
[[policy.prefix-list]]
name = "3"
entries = [{ action = "permit", prefix = "10.91.3.0/24" }]
[[policy.prefix-list]]
name = "4"
entries = [{ action = "permit", prefix = "10.91.4.0/24" }]
[[policy.prefix-list]]
name = "5"
entries = [{ action = "permit", prefix = "10.91.5.0/24" }]
[[policy.prefix-list]]
name = "6"
entries = [{ action = "permit", prefix = "10.91.6.0/24" }]
[[policy.prefix-list]]
name = "ipv6"
entries = [{ action = "permit", prefix = "::/0", le = 128 }]

[[policy.route-map]]
name = "export"
entry = [
    { action = "deny", match = { prefix-list = "6" } },
    { action = "permit", match = { prefix-list = "1" }, set = { med = 60, origin = "egp" }, continue = 100 },
    { action = "permit", match = { prefix-list = "2" }, set = { add-communities = ["65001:1", "no-export"], large-communities = ["65001:2:3"] } },
    { action = "permit", match = { prefix-list = "3" }, set = { ext-communities = ["rt 65001:100"], bandwidth = 1000 } },
    { action = "permit", match = { prefix-list = "4" }, set = { prepend = [65077, 65077] } },
    { action = "permit", match = { prefix-list = "5" }, set = { next-hop = "10.1.0.77", atomic-aggregate = true } },
    { action = "permit", match = { prefix-list = "ipv6", protocol = "bgp" }, set = { med = 6 } },
    { sequence = 100, action = "permit", match = { med = 60 }, set = { med = "+10" } },
]
"#;

const FRR: &str = "
bgp route-map delay-timer 1
router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 timers bgp 3 9
 neighbor 10.1.0.1 remote-as 65001
 neighbor 10.1.0.1 timers connect 1
 neighbor fd00:1::1 remote-as 65001
 neighbor fd00:1::1 timers connect 1
 address-family ipv4 unicast
  network 10.90.1.0/24
  network 10.90.2.0/24
  network 10.90.3.0/24
  network 10.90.4.0/24
  network 10.90.5.0/24
  network 10.90.6.0/24
  network 10.90.7.0/24
  network 10.90.8.0/24
  network 10.90.9.0/24
  network 10.90.10.0/24
  neighbor 10.1.0.1 activate
  neighbor 10.1.0.1 route-map OUT out
 exit-address-family
 address-family ipv6 unicast
  network fd90:1::/48
  network fd90:2::/48
  neighbor fd00:1::1 activate
 exit-address-family
exit
ip prefix-list P2 permit 10.90.2.0/24
ip prefix-list P3 permit 10.90.3.0/24
ip prefix-list P4 permit 10.90.4.0/24
ip prefix-list P5 permit 10.90.5.0/24
ip prefix-list P6 permit 10.90.6.0/24
ip prefix-list P7 permit 10.90.7.0/24
ip prefix-list P8 permit 10.90.8.0/24
ip prefix-list P10 permit 10.90.10.0/24
route-map OUT permit 2
 match ip address prefix-list P2
 set ip next-hop 10.1.0.88
exit
route-map OUT permit 3
 match ip address prefix-list P3
 set community 65002:30
exit
route-map OUT permit 4
 match ip address prefix-list P4
 set large-community 65002:4:1
exit
route-map OUT permit 5
 match ip address prefix-list P5
 set extcommunity rt 65002:555
exit
route-map OUT permit 6
 match ip address prefix-list P6
 set as-path prepend 65066 65067
exit
route-map OUT permit 7
 match ip address prefix-list P7
 set metric 777
exit
route-map OUT permit 8
 match ip address prefix-list P8
 set origin incomplete
exit
route-map OUT permit 10
 match ip address prefix-list P10
 set metric 1010
exit
route-map OUT permit 100
exit
";
