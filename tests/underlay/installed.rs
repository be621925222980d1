//! What switchd says of its routes in the kernel, beside what iproute2 says.

use lab::{Lab, PATIENCE, Result, ensure, ensure_eq, eventually, peers::Frr, switch::Switch};
use serde_json::Value;

use crate::Pair;

#[test]
fn what_is_not_in_the_kernel_is_told_with_its_reason_and_what_is_deleted_by_hand_comes_back()
-> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let _frr = Frr::start(&pair.right, FRR)?;
        let kernel = &pair.left;
        // Somebody else's route under the very key that BGP's would have.
        kernel.run("ip route add 10.82.0.0/16 via 10.1.0.77 proto static metric 20")?;
        kernel.run("ip route add 10.83.0.0/16 via 10.1.0.77 proto static")?;
        let switch = Switch::start(kernel, SWITCHD)?;

        let good = wait_for(&switch, "10.81.0.0/16", |route| route["installed"] == true)?;
        ensure_eq!(good["selected"], true, "{good}");
        ensure_eq!(good["reason"], Value::Null, "{good}");
        ensure_eq!(good["nexthops"][0]["ip"], "10.1.0.2", "{good}");
        ensure_eq!(good["nexthops"][0]["interfaceName"], "up0", "{good}");
        wait_for_reason(
            &switch,
            "10.82.0.0/16",
            "another's route stands in its place (protocol 4",
        )?;
        wait_for_reason(&switch, "10.84.0.0/16", "nothing leads to next hop 203.0.113.9")?;
        wait_for_reason(&switch, "10.1.0.0/24", "the kernel's own route to this subnet is better")?;
        // Installed, but packets take the static route with the lower metric.
        let beaten = wait_for(&switch, "10.83.0.0/16", |route| route["installed"] == true)?;
        ensure_eq!(beaten["selected"], Value::Null, "{beaten}");

        kernel.run("ip route del 10.81.0.0/16 proto bgp")?;
        eventually(PATIENCE, || {
            let route = kernel.run("ip route show 10.81.0.0/16 proto bgp")?;
            ensure!(!route.is_empty(), "the route that was deleted by hand is not back");
            Ok(())
        })?;
        wait_for(&switch, "10.81.0.0/16", |route| route["installed"] == true)?;
        kernel.run("ip route del 10.82.0.0/16 proto static")?;
        wait_for(&switch, "10.82.0.0/16", |route| route["installed"] == true)?;
        let all = switch.show("ip route bgp")?;
        ensure_eq!(all.as_object().map(serde_json::Map::len), Some(6), "{all}");
        Ok(())
    })
}

fn wait_for_reason(switch: &Switch, prefix: &str, reason: &str) -> Result {
    let told =
        |route: &Value| route["reason"].as_str().is_some_and(|told| told.starts_with(reason));
    let route = wait_for(switch, prefix, told)?;
    ensure_eq!(route["installed"], Value::Null, "{route}");
    Ok(())
}

/// What switchctl says of a prefix, once that is what is wanted.
fn wait_for(switch: &Switch, prefix: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut route = Value::Null;
    eventually(PATIENCE, || {
        route = switch.show(&format!("ip route bgp {prefix}"))?[prefix][0].clone();
        ensure!(wanted(&route), "{prefix}: {route}");
        Ok(())
    })?;
    Ok(route)
}

const SWITCHD: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.1"

[[bgp.neighbor]]
address = "10.1.0.2"
remote-as = "internal"
"#;

// Internal, so that a next hop that is not FRR's own is told as it is.
const FRR: &str = "
router bgp 65001
 bgp router-id 10.0.0.2
 no bgp network import-check
 timers bgp 3 9
 neighbor 10.1.0.1 remote-as 65001
 neighbor 10.1.0.1 timers connect 1
 address-family ipv4 unicast
  network 10.0.0.2/32
  network 10.81.0.0/16
  network 10.82.0.0/16
  network 10.83.0.0/16
  network 10.84.0.0/16 route-map FAR
  network 10.1.0.0/24
 exit-address-family
route-map FAR permit 10
 set ip next-hop 203.0.113.9
";
