//! Route maps on EVPN routes: what is taken of FRR's, and what FRR gets of ours.

use lab::{
    Lab, Node, PATIENCE, Result, ensure, ensure_eq, eventually, kernel_view, peers::Frr,
    switch::Switch,
};
use serde_json::Value;

/// switchd on `left`, FRR on `right`; VNIs 100 and 200 on both, with stations in them.
struct Pair {
    left: Node,
    right: Node,
}

impl Pair {
    fn build(lab: &Lab) -> Result<Self> {
        let pair = Self { left: lab.node("left")?, right: lab.node("right")? };
        lab.link(&pair.left, "up0", &pair.right, "up0")?;
        for (node, index, other) in [(&pair.left, 1, 2), (&pair.right, 2, 1)] {
            node.run(&format!("ip address add 10.1.0.{index}/24 dev up0"))?;
            node.run(&format!("ip address add 10.0.0.{index}/32 dev lo"))?;
            node.run(&format!("ip route add 10.0.0.{other} via 10.1.0.{other}"))?;
            for vni in [100, 200] {
                node.batch("ip", &vni_commands(index, vni))?;
                for last in [1, 2] {
                    let station = format!("02:00:00:0{index}:{:02}:0{last}", vni / 100);
                    node.run(&format!("bridge fdb add {station} dev port{vni} master dynamic"))?;
                }
            }
        }
        Ok(pair)
    }
}

fn vni_commands(index: u8, vni: u32) -> String {
    format!(
        "link add br{vni} type bridge
link add vni{vni} type vxlan id {vni} local 10.0.0.{index} dstport 4789 nolearning
link set vni{vni} master br{vni} up
link add port{vni} type veth peer name host{vni}
link set host{vni} up
link set port{vni} master br{vni} up
link set br{vni} up
"
    )
}

/// The path to the route whose name contains `part`, of a table with FRR's keys.
fn path(table: &Value, part: &str) -> Value {
    let rds = table.as_object().into_iter().flatten();
    let mut routes = rds.filter_map(|(_, rd)| rd.as_object()).flatten();
    let route = routes.find(|(name, _)| name.contains(part));
    route.map(|(_, route)| route["paths"][0][0].clone()).unwrap_or_default()
}

#[test]
fn each_condition_of_evpn_matches_the_routes_of_frr_that_are_meant() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let _frr = Frr::start(&pair.right, FRR)?;
        let switch = Switch::start(&pair.left, &switchd("import = \"import\"", IMPORT))?;
        eventually(PATIENCE, || {
            let table = switch.show("bgp l2vpn evpn route")?;
            for (part, expected) in
                [("02:00:00:02:01:01", 10), ("02:00:00:02:02:01", 20), ("02:00:00:02:02:02", 20)]
            {
                let path = path(&table, part);
                ensure_eq!(path["locPrf"], expected, "LOCAL_PREF of {part} in {path}");
            }
            // By RD; by route target, which two flood entries have each.
            let paths = table.to_string();
            ensure!(paths.contains("\"locPrf\":30") && paths.contains("\"locPrf\":40"), "{paths}");
            ensure!(path(&table, "02:00:00:02:01:02").is_null(), "denied: {table}");
            Ok(())
        })?;
        eventually(PATIENCE, || {
            let fdb = kernel_view::remote_fdb(&pair.left, "vni100")?;
            let has = |mac: &str| fdb.iter().any(|entry| entry.mac == mac);
            ensure!(has("02:00:00:02:01:01"), "not in the kernel: {fdb:?}");
            ensure!(!has("02:00:00:02:01:02"), "denied, and in the kernel: {fdb:?}");
            Ok(())
        })?;
        // Another policy, and no session notices.
        switch.reload(&switchd("", ""))?;
        eventually(PATIENCE, || {
            let fdb = kernel_view::remote_fdb(&pair.left, "vni100")?;
            ensure!(fdb.iter().any(|entry| entry.mac == "02:00:00:02:01:02"), "{fdb:?}");
            Ok(())
        })?;
        let summary = switch.show("bgp summary")?;
        let count = &summary["l2VpnEvpn"]["peers"]["10.1.0.2"]["connectionsEstablished"];
        ensure_eq!(*count, 1, "sessions");
        Ok(())
    })
}

#[test]
fn each_setting_of_evpn_reaches_frr() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, FRR)?;
        let _switch = Switch::start(&pair.left, &switchd("export = \"export\"", EXPORT))?;
        let detail = |mac: &str| -> Result<String> {
            let text = frr.vtysh("show bgp l2vpn evpn route detail")?;
            let routes = text.split("BGP routing table entry for ");
            let route = routes.filter(|route| route.contains(mac)).last();
            Ok(route.unwrap_or_default().to_owned())
        };
        for (mac, words) in [
            ("02:00:00:01:01:01", &["metric 50", "Community: 65001:7", "RT:65001:100"][..]),
            ("02:00:00:01:02:01", &["RT:65001:999", "Large Community: 65001:1:2", "ET:8"][..]),
        ] {
            eventually(PATIENCE, || {
                let route = detail(mac)?;
                for words in words {
                    ensure!(route.contains(words), "no {words} in FRR's {mac}: {route}");
                }
                Ok(())
            })?;
        }
        ensure!(detail("02:00:00:01:01:02")?.is_empty(), "denied, and FRR has it");
        // FRR imports by route target: the one has it in its kernel, the other not.
        eventually(PATIENCE, || {
            let fdb = kernel_view::remote_fdb(&pair.right, "vni100")?;
            ensure!(fdb.iter().any(|entry| entry.mac == "02:00:00:01:01:01"), "{fdb:?}");
            Ok(())
        })?;
        let fdb = kernel_view::remote_fdb(&pair.right, "vni200")?;
        ensure!(fdb.iter().all(|entry| entry.mac != "02:00:00:01:02:01"), "FRR imports {fdb:?}");
        Ok(())
    })
}

fn switchd(keys: &str, policy: &str) -> String {
    format!(
        r#"[bgp]
asn = 65001
router-id = "10.0.0.1"
connect-retry = 1

[[bgp.neighbor]]
address = "10.1.0.2"
remote-as = 65002
families = ["l2vpn-evpn"]
{keys}

{policy}"#
    )
}

const IMPORT: &str = r#"
[[policy.route-map]]
name = "import"
entry = [
    { action = "deny", match = { route-type = "macip", mac = "02:00:00:02:01:02/48" } },
    { action = "permit", match = { mac = "02:00:00:02:01:00/40" }, set = { local-preference = 10 } },
    { action = "permit", match = { vni = 200, route-type = "macip" }, set = { local-preference = 20 } },
    { action = "permit", match = { rd = "10.0.0.2:100", route-type = "multicast" }, set = { local-preference = 30 } },
    { action = "permit", match = { route-target = "65002:200" }, set = { local-preference = 40 } },
]
"#;

const EXPORT: &str = r#"
[[policy.route-map]]
name = "export"
entry = [
    { action = "deny", match = { mac = "02:00:00:01:01:02/48" } },
    { action = "permit", match = { route-type = "macip", vni = 100 }, set = { med = 50, communities = ["65001:7"] } },
    { action = "permit", match = { vni = 200 }, set = { ext-communities = ["rt 65001:999"], large-communities = ["65001:1:2"] } },
    { action = "permit" },
]
"#;

const FRR: &str = "
router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 neighbor 10.1.0.1 remote-as 65001
 neighbor 10.1.0.1 timers connect 1
 address-family l2vpn evpn
  neighbor 10.1.0.1 activate
  advertise-all-vni
  vni 100
   rd 10.0.0.2:100
  exit-vni
 exit-address-family
";
