//! GoBGP as the neighbour. It has no kernel of its own to look at: its table and our kernel are compared.

use lab::{Lab, Result, peers::Gobgp, switch::Switch};

use crate::{Pair, SWITCHD, wait_for_kernel_route, wait_for_no_kernel_route};

#[test]
fn routes_of_both_families_are_received_installed_and_withdrawn() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let gobgp = Gobgp::start(&pair.right, &config())?;
        gobgp.announce("ipv4", "10.78.0.0/16")?;
        gobgp.announce("ipv6", "fd78::/32")?;
        let _switch = Switch::start(&pair.left, SWITCHD)?;
        wait_for_kernel_route(&pair.left, 4, "10.78.0.0/16")?;
        wait_for_kernel_route(&pair.left, 6, "fd78::/32")?;
        // A change while the session is up, and one that undoes it.
        gobgp.announce("ipv4", "10.79.0.0/16")?;
        wait_for_kernel_route(&pair.left, 4, "10.79.0.0/16")?;
        gobgp.withdraw("ipv4", "10.79.0.0/16")?;
        gobgp.withdraw("ipv6", "fd78::/32")?;
        wait_for_no_kernel_route(&pair.left, 4, "10.79.0.0/16")?;
        wait_for_no_kernel_route(&pair.left, 6, "fd78::/32")?;
        wait_for_kernel_route(&pair.left, 4, "10.78.0.0/16")
    })
}

#[test]
fn gobgp_receives_our_prefixes_of_both_families() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let gobgp = Gobgp::start(&pair.right, &config())?;
        let mut switch = Switch::start(&pair.left, SWITCHD)?;
        gobgp.wait_for_route("ipv4", "10.0.0.1/32")?;
        gobgp.wait_for_route("ipv6", "fd00::1/128")?;
        switch.kill9()?;
        gobgp.wait_for_no_route("ipv4", "10.0.0.1/32")?;
        gobgp.wait_for_no_route("ipv6", "fd00::1/128")?;
        switch.restart()?;
        gobgp.wait_for_route("ipv4", "10.0.0.1/32")?;
        gobgp.wait_for_route("ipv6", "fd00::1/128")
    })
}

#[test]
fn routes_leave_the_kernel_when_gobgp_shuts_down() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let mut gobgp = Gobgp::start(&pair.right, &config())?;
        gobgp.announce("ipv4", "10.78.0.0/16")?;
        let _switch = Switch::start(&pair.left, SWITCHD)?;
        wait_for_kernel_route(&pair.left, 4, "10.78.0.0/16")?;
        gobgp.stop()?;
        wait_for_no_kernel_route(&pair.left, 4, "10.78.0.0/16")
    })
}

/// No graceful restart here: the neighbour that forgets at once.
fn config() -> String {
    Gobgp::config(65002, "10.0.0.2")
        + &Gobgp::neighbor("neighbor-address = \"10.1.0.1\"", 65001, &["ipv4-unicast"])
        + &Gobgp::neighbor("neighbor-address = \"fd00:1::1\"", 65001, &["ipv6-unicast"])
}
