//! GoBGP at the other end, with `neighbor-interface`: it looks for the neighbour in the kernel's table, and does not
//! advertise itself. We are there when it dials.

use lab::{Lab, PATIENCE, Result, ensure, eventually, peers::Gobgp, switch::Switch};

use super::{Pair, switchd, wait_established, wait_for_route};

#[test]
fn routes_of_both_families_travel_both_ways() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab, &["up0"])?;
        let config = switchd(1, &["up0"]).replace(", \"l2vpn-evpn\"", "");
        let switch = Switch::start(&pair.left, &config)?;
        // GoBGP wants to find us when it starts.
        eventually(PATIENCE, || {
            pair.right.run("ping -c 1 -W 1 ff02::2%up0")?;
            let seen = pair.right.run("ip -6 neigh show dev up0")?;
            ensure!(seen.contains("lladdr"), "the kernel knows nobody on the link: {seen}");
            Ok(())
        })?;
        let neighbor = Gobgp::neighbor(
            "neighbor-interface = \"up0\"",
            65001,
            &["ipv4-unicast", "ipv6-unicast"],
        );
        let gobgp = Gobgp::start(&pair.right, &(Gobgp::config(65002, "10.0.0.2") + &neighbor))?;
        wait_established(&switch, "up0")?;
        gobgp.wait_for_route("ipv4", "10.0.0.1/32")?;
        gobgp.wait_for_route("ipv6", "fd00::1/128")?;
        gobgp.announce("ipv4", "10.0.0.2/32")?;
        gobgp.announce("ipv6", "fd00::2/128")?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &["up0"])?;
        wait_for_route(&pair.left, 6, "fd00::2", &["up0"])?;
        gobgp.withdraw("ipv4", "10.0.0.2/32")?;
        wait_for_route(&pair.left, 4, "10.0.0.2", &[])
    })
}
