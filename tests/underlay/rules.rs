//! FRR and BIRD as neighbours with rules: roles, limits, graceful shutdown, `allowas-in`, pace.

use lab::{
    Lab, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::{Bird, Frr},
    switch::Switch,
};
use serde_json::Value;

use crate::session::{self, NEIGHBOR, switchd};
use crate::{Pair, SWITCHD, wait_for_kernel_route, wait_for_no_kernel_route};

/// Both, with keys of the neighbour on our side and commands for it on FRR's.
fn start(pair: &Pair, keys: &str, commands: &str) -> Result<(Switch, Frr)> {
    let frr = Frr::start(&pair.right, &CONFIG.replace("COMMANDS", commands))?;
    let config = SWITCHD.replacen("families", &format!("{keys}\nfamilies"), 1);
    Ok((Switch::start(&pair.left, &config)?, frr))
}

/// FRR's view of a route.
fn at_frr(frr: &Frr, prefix: &str) -> Result<Value> {
    frr.show(&format!("bgp ipv4 unicast {prefix}"))
}

/// Our word for the state of the session with FRR.
fn state(switch: &Switch) -> Result<String> {
    let summary = switch.show("bgp summary")?;
    let state = &summary["ipv4Unicast"]["peers"]["10.1.0.2"]["state"];
    Ok(state.as_str().unwrap_or_default().to_owned())
}

/// LOCAL_PREF of our path to a prefix.
fn local_pref(switch: &Switch, prefix: &str) -> Result<Value> {
    let routes = switch.show("bgp ipv4 unicast")?;
    Ok(routes["routes"][prefix][0]["locPrf"].clone())
}

#[test]
fn roles_agree_and_our_routes_are_marked_for_the_customer() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let (_switch, frr) = start(
            &pair,
            "role = \"provider\"\nrole-strict = true",
            "neighbor 10.1.0.1 local-role customer strict-mode",
        )?;
        eventually(PATIENCE, || {
            let route = at_frr(&frr, "10.0.0.1/32")?;
            ensure_eq!(route["paths"][0]["otc"], Value::from(65001), "ONLY_TO_CUSTOMER in {route}");
            Ok(())
        })?;
        let neighbor = frr.show("bgp neighbors 10.1.0.1")?;
        ensure_eq!(neighbor["10.1.0.1"]["remoteRole"], Value::from("provider"), "our role at FRR");
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")
    })
}

#[test]
fn roles_that_do_not_agree_are_refused_with_the_right_words() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let (switch, _frr) =
            start(&pair, "role = \"provider\"", "neighbor 10.1.0.1 local-role provider")?;
        eventually(PATIENCE, || {
            let text = switch.show("bgp summary")?.to_string();
            ensure!(text.contains("Role Mismatch"), "no role mismatch in {text}");
            Ok(())
        })?;
        wait_for_no_kernel_route(&pair.left, 4, "10.77.0.0/16")
    })
}

#[test]
fn with_bird_roles_agree_and_do_not_and_a_route_of_a_provider_is_not_leaked() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let bird = |role: &str| session::bird("10.1.0.1", &format!("local role {role};"));
        let peer = Bird::start(&pair.right, &bird("customer"))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "role = \"provider\""))?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        eventually(PATIENCE, || {
            let route = peer.birdc("show route for 10.0.0.1/32 all")?;
            ensure!(route.contains("BGP.otc: 65001"), "no ONLY_TO_CUSTOMER: {route}");
            Ok(())
        })?;
        // What is marked by another AS must not come up to us from a customer.
        let marked = bird("customer").replace(
            "route 10.77.0.0/16 blackhole;",
            "route 10.77.0.0/16 blackhole { bgp_otc = 65009; }; route 10.79.0.0/16 blackhole;",
        );
        peer.reconfigure(&marked)?;
        wait_for_kernel_route(&pair.left, 4, "10.79.0.0/16")?;
        wait_for_no_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        peer.reconfigure(&bird("peer"))?;
        eventually(PATIENCE, || {
            let text = switch.show("bgp summary")?.to_string();
            ensure!(text.contains("Role Mismatch"), "no role mismatch in {text}");
            Ok(())
        })
    })
}

#[test]
fn more_prefixes_than_allowed_end_the_session_until_it_is_reset() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let (switch, frr) = start(&pair, "maximum-prefix.ipv4-unicast = { limit = 3 }", "")?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        frr.configure(&["router bgp 65002", "network 10.81.0.0/16", "network 10.82.0.0/16"])?;
        eventually(PATIENCE, || ensure_eq_state(&switch, "Idle (PfxCt)"))?;
        wait_for_no_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        let neighbor = frr.show("bgp neighbors 10.1.0.1")?.to_string();
        ensure!(
            neighbor.contains("Cease/Maximum Number of Prefixes Reached"),
            "FRR does not say why: {neighbor}"
        );
        Ok(())
    })
}

#[test]
fn a_warning_comes_first_and_another_limit_brings_a_session_back_that_rests() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let limit = |limit: u8| {
            let keys = format!(
                "maximum-prefix.ipv4-unicast = {{ limit = {limit}, warning = 60, \
                 action = \"restart\", restart-after = 5 }}"
            );
            SWITCHD.replacen("families", &format!("{keys}\nfamilies"), 1)
        };
        let frr = Frr::start(&pair.right, &CONFIG.replace("COMMANDS", ""))?;
        let switch = Switch::start(&pair.left, &limit(4))?;
        // FRR has three: more than 60 % of four.
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        eventually(PATIENCE, || {
            let log = switch.log()?;
            ensure!(log.contains("close to the maximum number of prefixes"), "no warning in {log}");
            Ok(())
        })?;
        frr.configure(&["router bgp 65002", "network 10.81.0.0/16", "network 10.82.0.0/16"])?;
        eventually(PATIENCE, || ensure_eq_state(&switch, "Idle (PfxCt)"))?;
        switch.reload(&limit(40))?;
        wait_for_kernel_route(&pair.left, 4, "10.82.0.0/16")?;
        ensure_eq_state(&switch, "Established")
    })
}

fn ensure_eq_state(switch: &Switch, wanted: &str) -> Result {
    ensure_eq!(state(switch)?, wanted, "state of the session");
    Ok(())
}

#[test]
fn whoever_goes_is_the_last_choice_of_the_other() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &CONFIG.replace("COMMANDS", ""))?;
        let config = SWITCHD.replacen("asn", "graceful-shutdown = true\nasn", 1);
        let switch = Switch::start(&pair.left, &config)?;
        eventually(PATIENCE, || {
            let route = at_frr(&frr, "10.0.0.1/32")?;
            let community = &route["paths"][0]["community"]["string"];
            ensure_eq!(community, &Value::from("graceful-shutdown"), "community in {route}");
            ensure_eq!(route["paths"][0]["locPrf"], Value::from(0), "FRR's LOCAL_PREF");
            Ok(())
        })?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        frr.configure(&["router bgp 65002", "bgp graceful-shutdown"])?;
        eventually(PATIENCE, || {
            ensure_eq!(local_pref(&switch, "10.77.0.0/16")?, Value::from(0), "our LOCAL_PREF");
            Ok(())
        })
    })
}

#[test]
fn allowas_in_takes_a_route_that_went_through_us_once() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let looped = "neighbor 10.1.0.1 route-map looped out";
        let (_switch, frr) = start(&pair, "allowas-in = 1", looped)?;
        wait_for_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        frr.configure(&["route-map looped permit 10", "set as-path prepend 65001 65001"])?;
        wait_for_no_kernel_route(&pair.left, 4, "10.77.0.0/16")
    })
}

const CONFIG: &str = "
router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 timers bgp 3 9
 neighbor 10.1.0.1 remote-as 65001
 neighbor 10.1.0.1 timers connect 1
 COMMANDS
 network 10.0.0.2/32
 network 10.77.0.0/16
 network 10.78.0.0/16
route-map looped permit 10
 set as-path prepend 65001
";
