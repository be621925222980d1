//! BIRD as the neighbour.

use lab::{Lab, PATIENCE, Result, peers::Bird, ping, switch::Switch};

use crate::{Pair, SWITCHD, wait_for_kernel_route, wait_for_no_kernel_route};

#[test]
fn routes_of_both_families_travel_both_ways_and_reach_both_kernels() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let bird = Bird::start(&pair.right, CONFIG)?;
        let _switch = Switch::start(&pair.left, SWITCHD)?;
        bird.wait_established("leaf4")?;
        bird.wait_established("leaf6")?;
        bird.wait_for_route("10.0.0.1/32")?;
        bird.wait_for_route("fd00::1/128")?;
        wait_for_kernel_route(&pair.left, 4, "10.0.0.2")?;
        wait_for_kernel_route(&pair.left, 6, "fd00::2")?;
        ping::reaches_as(&pair.left, "10.0.0.1", "10.0.0.2", PATIENCE)?;
        ping::reaches_as(&pair.left, "fd00::1", "fd00::2", PATIENCE)
    })
}

#[test]
fn routes_leave_the_kernel_when_bird_withdraws_them_or_shuts_down() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let mut bird = Bird::start(&pair.right, CONFIG)?;
        let _switch = Switch::start(&pair.left, SWITCHD)?;
        for (family, prefix) in
            [(4, "10.77.0.0/16"), (6, "fd77::/32"), (4, "10.0.0.2"), (6, "fd00::2")]
        {
            wait_for_kernel_route(&pair.left, family, prefix)?;
        }
        bird.birdc("disable extra4")?;
        bird.birdc("disable extra6")?;
        wait_for_no_kernel_route(&pair.left, 4, "10.77.0.0/16")?;
        wait_for_no_kernel_route(&pair.left, 6, "fd77::/32")?;
        wait_for_kernel_route(&pair.left, 4, "10.0.0.2")?;
        bird.stop()?;
        wait_for_no_kernel_route(&pair.left, 4, "10.0.0.2")?;
        wait_for_no_kernel_route(&pair.left, 6, "fd00::2")
    })
}

#[test]
fn bird_loses_the_routes_when_switchd_withdraws_from_the_session() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let bird = Bird::start(&pair.right, CONFIG)?;
        // Without graceful restart an orderly stop takes the routes with it.
        let config = SWITCHD.replace("asn = 65001", "asn = 65001\ngraceful-restart = false");
        let mut switch = Switch::start(&pair.left, &config)?;
        bird.wait_for_route("10.0.0.1/32")?;
        switch.terminate()?;
        bird.wait_for_no_route("10.0.0.1/32")
    })
}

pub(crate) const CONFIG: &str = r#"
router id 10.0.0.2;
protocol device {}
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; persist; graceful restart; }
protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; persist; graceful restart; }
protocol direct { ipv4; ipv6; interface "lo"; }
protocol static extra4 { ipv4; route 10.77.0.0/16 blackhole; }
protocol static extra6 { ipv6; route fd77::/32 blackhole; }
template bgp leaf {
    local as 65002;
    hold time 9;
    keepalive time 3;
    connect retry time 1;
    connect delay time 0;
    error wait time 1, 2;
    graceful restart on;
}
protocol bgp leaf4 from leaf { neighbor 10.1.0.1 as 65001; ipv4 { import all; export all; }; }
protocol bgp leaf6 from leaf { neighbor fd00:1::1 as 65001; ipv6 { import all; export all; }; }
"#;
