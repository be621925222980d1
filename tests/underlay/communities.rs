//! Communities of all kinds, on their way from a BIRD through switchd to an FRR.

use lab::{
    Lab, PATIENCE, Result, ensure_eq, eventually,
    peers::{Bird, Frr},
    switch::Switch,
};

use crate::row;

#[test]
fn transitive_communities_of_all_kinds_pass_through_and_the_others_stay_here() -> Result {
    Lab::run(|lab| {
        let nodes = row(lab, ["source", "leaf", "sink"])?;
        let _source = Bird::start(&nodes[0], SOURCE)?;
        let sink = Frr::start(&nodes[2], SINK)?;
        let _switch = Switch::start(&nodes[1], SWITCHD)?;
        eventually(PATIENCE, || {
            let route = &sink.show("bgp ipv4 unicast 10.77.0.0/16")?["paths"][0];
            for (kind, expected) in [
                ("community", "65010:1 65010:65535"),
                ("largeCommunity", "65010:4294967295:0 4200000000:1:2"),
                ("extendedCommunity", "RT:65010:7 SoO:10.0.0.1:8"),
            ] {
                ensure_eq!(route[kind]["string"], expected, "{kind} in {route}");
            }
            Ok(())
        })
    })
}

const SOURCE: &str = "
router id 10.0.0.1;
protocol device {}
protocol static { ipv4; route 10.77.0.0/16 blackhole; }
filter told {
    bgp_community.add((65010, 1));
    bgp_community.add((65010, 65535));
    bgp_large_community.add((65010, 4294967295, 0));
    bgp_large_community.add((4200000000, 1, 2));
    bgp_ext_community.add((rt, 65010, 7));
    bgp_ext_community.add((ro, 10.0.0.1, 8));
    # Link bandwidth, not transitive.
    bgp_ext_community.add((generic, 0x4004fdf2, 0x4b000000));
    accept;
}
protocol bgp leaf {
    local as 65010;
    neighbor 10.1.0.2 as 65001;
    connect retry time 1;
    connect delay time 0;
    error wait time 1, 2;
    ipv4 { import none; export filter told; };
}
";

const SINK: &str = "
router bgp 65003
 bgp router-id 10.0.0.3
 no bgp ebgp-requires-policy
 neighbor 10.1.1.1 remote-as 65001
 neighbor 10.1.1.1 timers connect 1
";

const SWITCHD: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.2"
connect-retry = 1

[[bgp.neighbor]]
address = "10.1.0.1"
remote-as = "external"

[[bgp.neighbor]]
address = "10.1.1.2"
remote-as = "external"
"#;
