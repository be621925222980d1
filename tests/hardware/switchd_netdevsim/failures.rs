//! The driver accepts what it then cannot do, or starts anew.

use lab::{Lab, PATIENCE, Result, ensure, ensure_eq, eventually, switch};

use super::{Router, wait_for_flag};
use crate::verdicts;

#[test]
fn a_route_that_failed_in_hardware_is_refused_and_gets_there_by_itself_once_the_chip_is_well()
-> Result {
    Lab::run(|lab| {
        let router = Router::build(lab)?;
        let switch = &router.switch;
        let _switchd = router.start("")?;
        let left = router.peer(1, &["10.20.0.0/24"])?;
        wait_for_flag(switch, "10.20.0.0/24", "rt_trap")?;

        router.inject("fib/fail_route_offload", true)?;
        left.announce(&["10.20.0.0/24", "10.21.0.0/24", "10.22.0.0/24", "fd20::/32"])?;
        for prefix in ["10.21.0.0/24", "10.22.0.0/24", "fd20::/32"] {
            let refused = verdicts::wait_for(switch, prefix, "refused")?;
            ensure!(refused.reason.contains("offload failed"), "{prefix}: {}", refused.reason);
        }
        verdicts::wait_for(switch, "10.20.0.0/24", "trapped")?;
        verdicts::agree_with_iproute2(switch)?;
        let conditions = verdicts::conditions(switch)?;
        let says_all =
            |(_, message): &(String, String)| message.starts_with("3 entries of kind route");
        ensure!(conditions.len() == 1 && says_all(&conditions[0]), "conditions: {conditions:?}");

        router.inject("fib/fail_route_offload", false)?;
        for prefix in ["10.21.0.0/24", "10.22.0.0/24", "fd20::/32"] {
            verdicts::wait_for(switch, prefix, "trapped")?;
        }
        verdicts::agree_with_iproute2(switch)?;
        verdicts::all_is_well(switch)
    })
}

#[test]
fn after_a_reload_of_the_driver_all_routes_are_back_as_soon_as_the_ports_have_their_addresses()
-> Result {
    Lab::run(|lab| {
        let router = Router::build(lab)?;
        let switch = &router.switch;
        let mut switchd = router.start("")?;
        let routes = ["10.20.0.0/24", "10.21.0.0/24", "fd20::/32"];
        let _left = router.peer(1, &routes)?;
        for prefix in routes {
            verdicts::wait_for(switch, prefix, "trapped")?;
        }

        router.reload()?;
        eventually(PATIENCE, || {
            let conditions = verdicts::conditions(switch)?;
            let said = conditions.iter().any(|(name, _)| name == "next-hop-unreachable");
            ensure!(said, "the next hops are gone, and nobody says so: {conditions:?}");
            Ok(())
        })?;
        verdicts::agree_with_iproute2(switch)?;

        router.name_ports()?;
        for prefix in routes {
            verdicts::wait_for(switch, prefix, "trapped")?;
        }
        verdicts::agree_with_iproute2(switch)?;
        let offload = switch::ask(switch, "offload")?;
        let mut ports: Vec<&str> = offload["asic"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_str)
            .collect();
        ports.sort_unstable();
        ensure_eq!(ports, ["port1", "port2"], "ports");
        verdicts::all_is_well(switch)?;
        switchd.ensure_running()
    })
}
