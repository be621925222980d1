//! `suppress-fib-pending`: neighbours hear of a route once it forwards.

use lab::{Lab, Result, ensure, steadily};

use super::{Router, wait_for_flag};
use crate::verdicts;

#[test]
fn a_route_is_announced_once_it_is_in_hardware_and_withdrawn_when_it_fails_there() -> Result {
    Lab::run(|lab| {
        let router = Router::build(lab)?;
        let switch = &router.switch;
        let _switchd = router.start("suppress-fib-pending = true")?;
        let left = router.peer(1, &["10.20.0.0/24"])?;
        let right = router.peer(2, &[])?;
        right.wait_for("10.20.0.0/24", true)?;
        right.wait_for(OWN, true)?;

        // In the kernel and not in hardware: nobody is told.
        router.inject("fib/fail_route_offload", true)?;
        left.announce(&["10.20.0.0/24", "10.21.0.0/24"])?;
        wait_for_flag(switch, "10.21.0.0/24", "rt_offload_failed")?;
        verdicts::wait_for(switch, "10.21.0.0/24", "refused")?;
        steadily(std::time::Duration::from_secs(1), || {
            right.wait_for("10.20.0.0/24", true)?;
            right.wait_for(OWN, true)?;
            ensure!(!right.has("10.21.0.0/24"), "a route that does not forward is announced");
            Ok(())
        })?;

        // The switch tries again by itself.
        router.inject("fib/fail_route_offload", false)?;
        wait_for_flag(switch, "10.21.0.0/24", "rt_trap")?;
        right.wait_for("10.21.0.0/24", true)?;

        // It was announced, goes, and fails when it is back.
        router.inject("fib/fail_route_offload", true)?;
        left.announce(&["10.20.0.0/24"])?;
        right.wait_for("10.21.0.0/24", false)?;
        left.announce(&["10.20.0.0/24", "10.21.0.0/24"])?;
        wait_for_flag(switch, "10.21.0.0/24", "rt_offload_failed")?;
        // The operator replaces a route of ours that was well; the hardware drops what it had.
        switch.run("ip route del 10.20.0.0/24 proto bgp")?;
        wait_for_flag(switch, "10.20.0.0/24", "rt_offload_failed")?;
        right.wait_for("10.20.0.0/24", false)?;
        ensure!(!right.has("10.21.0.0/24"), "a route that does not forward is announced");
        right.wait_for(OWN, true)?;

        router.inject("fib/fail_route_offload", false)?;
        right.wait_for("10.20.0.0/24", true)?;
        right.wait_for("10.21.0.0/24", true)?;
        verdicts::agree_with_iproute2(switch)?;
        verdicts::all_is_well(switch)
    })
}

/// What the switch announces for itself.
const OWN: &str = "10.0.0.1/32";
