//! BFD on a link without addresses, with FRR's bfdd.

use lab::{Lab, PATIENCE, Result, ensure, ensure_eq, eventually, peers::Frr, switch::Switch};
use serde_json::Value;

use super::{frr, neighbor, node, switchd, wait_for_route};

#[test]
fn a_path_that_fails_without_a_loss_of_carrier_ends_the_session_and_returns() -> Result {
    Lab::run(|lab| {
        // The cable is a bridge, which can be opened in the middle.
        let (left, right, middle) =
            (node(lab, "left", 1)?, node(lab, "right", 2)?, lab.node("middle")?);
        middle.run("ip link add br0 type bridge mcast_snooping 0")?;
        middle.run("ip link set br0 up")?;
        for (node, port) in [(&left, "toleft"), (&right, "toright")] {
            lab.link(node, "up0", &middle, port)?;
            middle.run(&format!("ip link set {port} master br0"))?;
        }
        let fast = "bfd\n profile fast\n  transmit-interval 50\n  receive-interval 50\n";
        let config = frr(2, &["up0"])
            .replace(" address-family ipv4", " neighbor up0 bfd profile fast\n address-family ipv4")
            .replace("timers bgp 3 9", "timers bgp 30 90");
        let mut frr = Frr::start(&right, &config)?;
        frr.start_bfdd()?;
        frr.configure(&fast.lines().map(str::trim).collect::<Vec<_>>())?;
        let config = switchd(1, &["up0"])
            .replace("remote-as", "bfd = { min-rx = 50, min-tx = 50 }\nremote-as")
            .replace("hold-time = 9", "hold-time = 90");
        let switch = Switch::start(&left, &config)?;
        wait_for_route(&left, 4, "10.0.0.2", &["up0"])?;
        let wait_for = |peers: &dyn Fn() -> Result<Value>, status: &str| {
            eventually(PATIENCE, || {
                let peers = peers()?;
                let peer = &peers[0];
                ensure_eq!(peer["status"], status, "{peer}");
                ensure_eq!(peer["interface"], "up0", "{peer}");
                ensure!(peer["peer"].to_string().contains("fe80::"), "{peer}");
                if status == "up" {
                    ensure_eq!(peer["remote-transmit-interval"], 50, "{peer}");
                }
                Ok(())
            })
        };
        let ours = || switch.show("bfd peers");
        let theirs = || frr.show("bfd peers");
        wait_for(&ours, "up")?;
        wait_for(&theirs, "up")?;

        middle.run("ip link set toright nomaster")?;
        // The hold time is 90 s, and no carrier is lost: BFD it was.
        wait_for(&ours, "down")?;
        wait_for_route(&left, 4, "10.0.0.2", &[])?;
        eventually(PATIENCE, || {
            let peer = neighbor(&frr.show("bgp summary")?, "ipv4Unicast", "up0")?;
            ensure!(peer["state"] != "Established", "FRR: {peer}");
            Ok(())
        })?;
        middle.run("ip link set toright master br0")?;
        wait_for_route(&left, 4, "10.0.0.2", &["up0"])?;
        wait_for(&ours, "up")?;
        wait_for(&theirs, "up")
    })
}
