//! Neighbours that connect from a prefix, with no line of their own.

use lab::{
    Lab, PATIENCE, Result, ensure, eventually,
    peers::Frr,
    switch::{Switch, switchctl},
};

use crate::Pair;
use crate::session::{self, switchd, wait_established};

#[test]
fn frr_dials_in_from_a_range_with_a_password_and_is_forgotten_when_it_goes() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let range = "listen-range = \"10.1.0.0/24\"\npeer-group = \"servers\"";
        let group = "[[bgp.peer-group]]\nname = \"servers\"\nremote-as = \"external\"\npassword = \"quicksand\"";
        let switch = Switch::start(&pair.left, &switchd(range, group))?;
        let mut frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &["password quicksand"]))?;
        wait_established(&switch, "10.1.0.2")?;
        let summary = switch.show("bgp summary")?;
        ensure!(summary["ipv4Unicast"]["peers"]["10.1.0.2"]["dynamicPeer"] == true, "{summary}");
        let output = switchctl(&pair.left, &["show", "bgp", "summary"])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_it = |line: &str| line.starts_with('*') && line.contains("(10.1.0.2)");
        ensure!(text.lines().any(is_it), "{text}");
        frr.stop()?;
        eventually(PATIENCE, || {
            let summary = switch.show("bgp summary")?;
            let peers = &summary["ipv4Unicast"]["peers"];
            ensure!(peers.get("10.1.0.2").is_none(), "still there: {peers}");
            Ok(())
        })
    })
}
