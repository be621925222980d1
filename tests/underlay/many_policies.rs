//! One SIGHUP with 500 changed policies: routes follow at FRR and BIRD, no session ends, and keepalives are on time.

use std::{fmt::Write as _, net::Ipv4Addr, time::Duration};

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::{
        Bird, Frr,
        raw::{Identity, Raw},
    },
    steadily,
    switch::Switch,
};
use serde_json::Value;

use crate::Pair;

/// So many prefix lists, and so many route maps.
const EACH: usize = 250;
const BEFORE: Generation = Generation { med: 1000, local_preference: 110, le: 24 };
const AFTER: Generation = Generation { med: 5000, local_preference: 150, le: 28 };
/// Asks for a keepalive every second, and says nothing itself.
const WATCH: Identity =
    Identity { address: Ipv4Addr::new(10, 1, 0, 3), asn: 65_004, hold_time: 90 };
/// A keepalive every second, with up to a quarter less; half a second more is late.
const ON_TIME: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy)]
struct Generation {
    med: usize,
    local_preference: u32,
    le: u8,
}

#[test]
fn five_hundred_policies_change_at_once_and_no_session_notices() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let third = lab.node("third")?;
        lab.link(&pair.left, "up1", &third, "up0")?;
        pair.left.run("ip address add 10.2.0.1/24 dev up1")?;
        third.run("ip address add 10.2.0.2/24 dev up0")?;
        pair.right.run("ip address add 10.1.0.3/24 dev up0")?;
        let frr = Frr::start(&pair.right, FRR)?;
        let bird = Bird::start(&third, BIRD)?;
        let switch = Switch::start(&pair.left, &config(BEFORE))?;
        let watch = Raw::establish(&pair.right, WATCH, Ipv4Addr::new(10, 1, 0, 1))?;
        wait_for(BEFORE, &switch, &frr, &bird)?;
        let since = up_since(&frr, &bird)?;

        switch.write_config(&config(AFTER))?;
        switch.hang_up()?;
        wait_for(AFTER, &switch, &frr, &bird)?;

        ensure_eq!(up_since(&frr, &bird)?, since, "the sessions at FRR and BIRD");
        for neighbor in ["10.1.0.2", "10.2.0.2", "10.1.0.3"] {
            let known = switch.show(&format!("bgp neighbor {neighbor}"))?;
            let known = &known[neighbor];
            ensure_eq!(known["bgpState"], Value::from("Established"), "{neighbor}");
            ensure_eq!(known["connectionsEstablished"], Value::from(1), "sessions of {neighbor}");
        }
        // Also when it looks back at what it heard meanwhile, and goes on.
        steadily(2 * ON_TIME, || {
            let silence = watch.longest_silence();
            ensure!(!watch.is_over(), "the session of the watch is over");
            ensure!(silence < ON_TIME, "{silence:?} without a keepalive");
            Ok(())
        })
    })
}

/// Waits until all routes are what these policies make of them.
fn wait_for(generation: Generation, switch: &Switch, frr: &Frr, bird: &Bird) -> Result {
    let Generation { med, local_preference, .. } = generation;
    eventually(PATIENCE, || {
        let table = frr.show("bgp ipv4 unicast")?;
        for number in 0..EACH {
            let metric = &table["routes"][format!("10.64.{number}.0/24")][0]["metric"];
            ensure_eq!(*metric, Value::from(med + number), "MED of 10.64.{number}.0/24 at FRR");
        }
        let routes = bird.birdc("show route protocol leaf all")?;
        let first = med.to_string();
        let meds = routes.lines().filter_map(|line| line.trim().strip_prefix("BGP.med: "));
        let right = meds.filter(|med| med.starts_with(&first[..1])).count();
        ensure_eq!(right, EACH, "routes at BIRD");
        let table = switch.show("bgp ipv4 unicast")?;
        let ours = &table["routes"]["10.77.0.0/16"][0]["locPrf"];
        ensure_eq!(*ours, Value::from(local_preference), "LOCAL_PREF of FRR's route");
        Ok(())
    })
}

/// Which session this is, in their words.
fn up_since(frr: &Frr, bird: &Bird) -> Result<([Value; 2], String)> {
    let neighbor = frr.show("bgp neighbors 10.1.0.1")?;
    let protocol = bird.birdc("show protocols leaf")?;
    let neighbor = &neighbor["10.1.0.1"];
    // FRR rounds the time: how many sessions there were, and OPENs, is certain.
    let counts = [&neighbor["connectionsEstablished"], &neighbor["messageStats"]["opensRecv"]];
    Ok((counts.map(Clone::clone), protocol))
}

fn config(Generation { med, local_preference, le }: Generation) -> String {
    let mut text = String::from(
        r#"
[bgp]
asn = 65001
router-id = "10.0.0.1"
connect-retry = 1
hold-time = 3
"#,
    );
    let networks: Vec<String> =
        (0..EACH).map(|number| format!("\"10.64.{number}.0/24\"")).collect();
    let _ = writeln!(text, "networks = [{}]", networks.join(", "));
    for (address, asn, keys) in [
        ("10.1.0.2", 65002, "export = \"out\"\nimport = \"in\""),
        ("10.2.0.2", 65003, "export = \"out\"\nimport = \"in\""),
        ("10.1.0.3", 65004, "passive = true\nhold-time = 90\nkeepalive = 1\nexport = \"none\""),
    ] {
        let _ =
            writeln!(text, "[[bgp.neighbor]]\naddress = \"{address}\"\nremote-as = {asn}\n{keys}");
    }
    let mut entries = String::new();
    for number in 0..EACH {
        let _ = writeln!(
            text,
            "[[policy.prefix-list]]\nname = \"list-{number}\"\n\
             entries = [{{ action = \"permit\", prefix = \"10.64.{number}.0/24\", le = {le} }}]\n\
             [[policy.route-map]]\nname = \"map-{number}\"\n\
             entry = [{{ action = \"permit\", set = {{ med = {} }} }}]",
            med + number
        );
        let _ = writeln!(
            entries,
            "{{ action = \"permit\", match = {{ prefix-list = \"list-{number}\" }}, call = \"map-{number}\" }},"
        );
    }
    let _ = writeln!(
        text,
        "[[policy.route-map]]\nname = \"out\"\nentry = [\n{entries}]\n\
         [[policy.route-map]]\nname = \"in\"\n\
         entry = [{{ action = \"permit\", set = {{ local-preference = {local_preference} }} }}]\n\
         [[policy.route-map]]\nname = \"none\"\nentry = [{{ action = \"deny\" }}]"
    );
    text
}

const FRR: &str = "
router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 timers bgp 1 3
 neighbor 10.1.0.1 remote-as 65001
 neighbor 10.1.0.1 timers connect 1
 address-family ipv4 unicast
  network 10.77.0.0/16
 exit-address-family
";

const BIRD: &str = "router id 10.0.0.3;
protocol device {}
protocol bgp leaf {
  local as 65003; neighbor 10.2.0.1 as 65001; hold time 3; keepalive time 1;
  connect retry time 1; connect delay time 0; error wait time 1, 2;
  ipv4 { import all; export none; };
}
";
