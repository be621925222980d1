//! What we announce of the kernel's, as FRR hears it.

use lab::{Lab, PATIENCE, Result, ensure, ensure_eq, eventually, peers::Frr, switch::Switch};
use serde_json::{Value, json};

use crate::Pair;

#[test]
fn frr_hears_of_static_and_kernel_routes_while_the_kernel_has_them() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, FRR)?;
        let switch = Switch::start(&pair.left, SWITCHD)?;
        let kernel = switch.node();
        kernel.run("ip route add 10.71.0.0/16 via 10.1.0.77 proto static metric 30")?;
        kernel.run("ip route add blackhole 10.72.0.0/16")?;
        kernel.run("ip route add 10.73.0.0/16 via 10.1.0.77 proto ospf")?;
        kernel.run("ip -6 route add fd71::/32 via fd00:1::77 proto static")?;
        // MED is the kernel's metric; a subnet of an interface has none; a network's origin is IGP.
        wait_for(&frr, "ipv4", "10.71.0.0/16", &json!(["incomplete", 30]))?;
        wait_for(&frr, "ipv4", "10.72.0.0/16", &json!(["incomplete", 0]))?;
        wait_for(&frr, "ipv4", "10.0.0.1/32", &json!(["incomplete", 0]))?;
        wait_for(&frr, "ipv6", "fd71::/32", &json!(["incomplete", 1024]))?;
        ensure_eq!(heard(&frr, "ipv4", "10.73.0.0/16")?, Value::Null, "another daemon's route");
        ensure_eq!(heard(&frr, "ipv4", "198.51.100.0/24")?, Value::Null, "import-check holds it");

        kernel.run("ip route add unreachable 198.51.100.0/24")?;
        wait_for(&frr, "ipv4", "198.51.100.0/24", &json!(["IGP", null]))?;
        kernel.run("ip route del 198.51.100.0/24")?;
        wait_for(&frr, "ipv4", "198.51.100.0/24", &Value::Null)?;
        kernel.run("ip route replace 10.71.0.0/16 via 10.1.0.77 proto static metric 5")?;
        wait_for(&frr, "ipv4", "10.71.0.0/16", &json!(["incomplete", 5]))?;
        kernel.run("ip route del 10.72.0.0/16")?;
        wait_for(&frr, "ipv4", "10.72.0.0/16", &Value::Null)?;
        kernel.run("ip link set up0 down")?;
        kernel.run("ip link set up0 up")?;
        // With the link went its IPv4 routes: neither the subnet nor the static route behind it is there any more.
        wait_for(&frr, "ipv4", "10.71.0.0/16", &Value::Null)
    })
}

fn wait_for(frr: &Frr, family: &str, prefix: &str, want: &Value) -> Result {
    eventually(PATIENCE, || {
        ensure_eq!(heard(frr, family, prefix)?, *want, "what FRR heard of {prefix}");
        Ok(())
    })
}

/// Origin and MED of what FRR heard of a prefix; null if it heard nothing.
fn heard(frr: &Frr, family: &str, prefix: &str) -> Result<Value> {
    let path = frr.show(&format!("bgp {family} unicast {prefix}"))?["paths"][0].clone();
    Ok(if path.is_null() { path } else { json!([path["origin"], path["metric"]]) })
}

const SWITCHD: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.1"
networks = ["198.51.100.0/24"]
import-check = true
redistribute = ["connected", "static", { source = "kernel" }]

[[bgp.neighbor]]
address = "10.1.0.2"
remote-as = "external"

[[bgp.neighbor]]
address = "fd00:1::2"
remote-as = "external"
"#;

const FRR: &str = "
router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 timers bgp 3 9
 neighbor 10.1.0.1 remote-as 65001
 neighbor 10.1.0.1 timers connect 1
 neighbor fd00:1::1 remote-as 65001
 neighbor fd00:1::1 timers connect 1
 address-family ipv6 unicast
  neighbor fd00:1::1 activate
 exit-address-family
";

#[test]
fn frr_hears_an_aggregate_in_the_place_of_what_is_inside_and_a_default_route() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, FRR)?;
        let switch = Switch::start(
            &pair.left,
            &(SWITCHD.replace(
                "remote-as = \"external\"",
                "remote-as = \"external\"\ndefault-originate = true",
            ) + AGGREGATE),
        )?;
        let kernel = switch.node();
        wait_for(&frr, "ipv4", "10.0.0.1/32", &json!(["incomplete", 0]))?;
        wait_for(&frr, "ipv4", "0.0.0.0/0", &json!(["IGP", null]))?;
        wait_for(&frr, "ipv6", "::/0", &json!(["IGP", null]))?;
        ensure_eq!(heard(&frr, "ipv4", "10.64.0.0/10")?, Value::Null, "nothing is inside yet");
        kernel.run("ip route add blackhole 10.72.0.0/16")?;
        kernel.run("ip -6 route add blackhole fd64:1::/32")?;
        wait_for(&frr, "ipv4", "10.64.0.0/10", &json!(["incomplete", null]))?;
        wait_for(&frr, "ipv6", "fd64::/16", &json!(["incomplete", null]))?;
        let path = frr.show("bgp ipv4 unicast 10.64.0.0/10")?["paths"][0].clone();
        ensure_eq!(
            json!([path["aggregatorAs"], path["aggregatorId"], path["atomicAggregate"]]),
            json!([65001, "10.0.0.1", true]),
            "{path}"
        );
        ensure_eq!(heard(&frr, "ipv4", "10.72.0.0/16")?, Value::Null, "summary-only hides it");
        wait_for(&frr, "ipv6", "fd64:1::/32", &json!(["incomplete", 1024]))?;
        // What no more specific route takes goes nowhere.
        for (family, prefix) in [(4, "10.64.0.0/10"), (6, "fd64::/16")] {
            eventually(PATIENCE, || {
                let route =
                    kernel.run(&format!("ip -{family} route show exact {prefix} proto bgp"))?;
                ensure!(route.starts_with(&format!("blackhole {prefix}")), "{prefix}: {route}");
                Ok(())
            })?;
        }
        kernel.run("ip route del blackhole 10.72.0.0/16")?;
        wait_for(&frr, "ipv4", "10.64.0.0/10", &Value::Null)?;
        eventually(PATIENCE, || {
            ensure_eq!(kernel.run("ip route show exact 10.64.0.0/10")?, "", "the kernel's route");
            Ok(())
        })
    })
}

const AGGREGATE: &str = r#"
[[bgp.aggregate]]
prefix = "10.64.0.0/10"
summary-only = true

[[bgp.aggregate]]
prefix = "fd64::/16"
"#;
