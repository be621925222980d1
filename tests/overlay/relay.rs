//! EVPN routes of every type from a GoBGP through switchd to another GoBGP; one that neither we nor FRR read, too.

use std::net::Ipv4Addr;

use lab::{
    Lab, Node, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::{
        Gobgp,
        raw::{self, Identity, handshake_with},
    },
    switch::Switch,
};
use serde_json::Value;

/// One of each type that GoBGP can make, with what else may be in them.
const ROUTES: [&str; 5] = [
    "a-d esi LACP aa:bb:cc:dd:ee:ff 100 etag 10 label 20 rd 1:1 rt 65000:200 esi-label 10",
    "macadv aa:bb:cc:dd:ee:04 2.2.2.4 esi AS 65000 100 etag 40 label 1000 rd 1:2 rt 65000:200 65000:300 default-gateway",
    "multicast 10.0.0.2 etag 10 rd 1:3 rt 65000:200 encap vxlan pmsi ingress-repl 100 10.0.0.2",
    "esi 10.0.0.2 esi MAC aa:bb:cc:dd:ee:ff 10 rd 1:4 rt 65000:200",
    "prefix 10.10.0.0/16 gw 0.0.0.0 etag 10 label 77 rd 1:5 rt 65000:200 encap vxlan router-mac aa:bb:cc:dd:ee:05",
];

/// The extended communities and the PMSI tunnel.
const KEPT: [u64; 2] = [16, 22];
const MP_REACH: u64 = 14;

fn nodes(lab: &Lab) -> Result<[Node; 3]> {
    let [source, spine, sink] = [lab.node("source")?, lab.node("spine")?, lab.node("sink")?];
    lab.link(&source, "up0", &spine, "down1")?;
    lab.link(&sink, "up0", &spine, "down2")?;
    for (leaf, index) in [(&source, 1), (&sink, 2)] {
        spine.run(&format!("ip address add 10.1.{index}.2/24 dev down{index}"))?;
        leaf.run(&format!("ip address add 10.1.{index}.1/24 dev up0"))?;
    }
    Ok([source, spine, sink])
}

fn table(gobgp: &Gobgp) -> Result<Value> {
    let text = gobgp.gobgp("global rib -a evpn -j")?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// What must be the same at both ends.
fn essence(route: &Value) -> Value {
    let attributes = route[0]["attrs"].as_array().cloned().unwrap_or_default();
    let kept =
        |attribute: &&Value| attribute["type"].as_u64().is_some_and(|kind| KEPT.contains(&kind));
    let attributes: Value = attributes.iter().filter(kept).cloned().collect();
    Value::from(vec![route[0]["nlri"].clone(), attributes])
}

#[test]
fn routes_of_types_1_to_5_reach_the_other_gobgp_as_they_were_with_their_next_hop() -> Result {
    Lab::run(|lab| {
        let [source, spine, sink] = nodes(lab)?;
        let source = Gobgp::start(&source, &gobgp(65011, 1))?;
        let sink = Gobgp::start(&sink, &gobgp(65012, 2))?;
        let _switch = Switch::start(&spine, SWITCHD)?;
        for route in ROUTES {
            source.gobgp(&format!("global rib add -a evpn {route}"))?;
        }
        let sent = table(&source)?;
        let sent = sent.as_object().cloned().unwrap_or_default();
        ensure_eq!(sent.len(), ROUTES.len(), "routes at the source");
        eventually(PATIENCE, || {
            let received = table(&sink)?;
            for (key, route) in &sent {
                let found = &received[key];
                ensure_eq!(essence(found), essence(route), "{key} (right: as it was sent)");
                let attributes = found[0]["attrs"].as_array().cloned().unwrap_or_default();
                let reach = attributes.iter().find(|attribute| attribute["type"] == MP_REACH);
                let next_hop = reach.map(|reach| reach["nexthop"].clone()).unwrap_or_default();
                ensure_eq!(next_hop, "10.1.1.1", "next hop of {key}: the source, not us");
            }
            Ok(())
        })?;
        source.gobgp("global rib del all -a evpn")?;
        eventually(PATIENCE, || {
            let left = table(&sink)?;
            ensure!(left.as_object().is_none_or(serde_json::Map::is_empty), "left: {left}");
            Ok(())
        })
    })
}

/// Type 9 (RFC 9572) from a speaker of the lab. GoBGP 3.10 does not read it either, and says so: that it has come is what counts.
#[test]
fn a_route_of_a_type_that_we_do_not_read_reaches_gobgp() -> Result {
    Lab::run(|lab| {
        let [source, spine, sink] = nodes(lab)?;
        let sink = Gobgp::start(&sink, &gobgp(65012, 2))?;
        let _switch = Switch::start(&spine, SWITCHD)?;
        let identity = Identity { address: Ipv4Addr::new(10, 1, 1, 1), asn: 65011, hold_time: 0 };
        let evpn = [1, 4, 0, 25, 0, 70];
        let stream = eventually(PATIENCE, || {
            handshake_with(&source, identity, &evpn, Ipv4Addr::new(10, 1, 1, 2))
        })?;
        std::io::Write::write_all(&mut &stream, &raw::message(2, &UPDATE))?;
        eventually(PATIENCE, || {
            let log = sink.log()?;
            ensure!(log.contains("Unknown EVPN Route type: 9"), "GoBGP has not seen it: {log}");
            Ok(())
        })
    })
}

/// No withdrawn routes; ORIGIN, AS_PATH 65011, a route target, and one EVPN route of type 9: RD 1:9, Ethernet tag 10.
const UPDATE: [u8; 54] = [
    0, 0, 0, 50, //
    0x40, 1, 1, 0, //
    0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xf3, //
    0xc0, 16, 8, 0, 2, 0xfd, 0xe8, 0, 0, 0, 200, //
    0x80, 14, 23, 0, 25, 70, 4, 10, 1, 1, 1, 0, //
    9, 12, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 10, //
];

fn gobgp(asn: u32, index: u8) -> String {
    let spine = format!("neighbor-address = \"10.1.{index}.2\"");
    Gobgp::config(asn, &format!("10.0.0.{index}"))
        + &Gobgp::neighbor(&spine, 65000, &["l2vpn-evpn"])
}

const SWITCHD: &str = r#"[bgp]
asn = 65000
router-id = "10.0.0.100"
connect-retry = 1

[[bgp.neighbor]]
address = "10.1.1.1"
remote-as = "external"
families = ["l2vpn-evpn"]

[[bgp.neighbor]]
address = "10.1.2.1"
remote-as = "external"
families = ["l2vpn-evpn"]
"#;
