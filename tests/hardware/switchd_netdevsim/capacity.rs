//! A table of the hardware is full.

use lab::{Lab, LabError, Node, PATIENCE, Result, ensure, ensure_eq, eventually};

use super::Router;
use crate::{verdicts, witness::Standing};

#[test]
fn a_full_table_is_named_before_it_is_full_refuses_the_next_route_and_takes_it_when_there_is_room()
-> Result {
    Lab::run(|lab| {
        let router = Router::build(lab)?;
        let switch = router.switch.clone();
        router.resize("IPv4/fib", SIZE)?;
        let _switchd = router.start("suppress-fib-pending = true")?;
        let (size, own) = router.table(&TABLE)?;
        ensure_eq!(size, SIZE, "the table's size");
        let room = SIZE - own;
        let prefixes = |count: u64| -> Vec<String> {
            (0..count).map(|number| format!("10.20.{number}.0/24")).collect()
        };

        // Nearly full: nothing is refused, and the table is named.
        let (left, right) = (router.peer(1, &[])?, router.peer(2, &[])?);
        announce(&left, &prefixes(SIZE * 9 / 10 - own))?;
        let message = eventually(PATIENCE, || {
            let message = named(&switch, "hardware-table-nearly-full")?;
            message.ok_or_else(|| LabError::Unexpected("the table is not named".into()))
        })?;
        ensure!(message.contains("table IPv4/fib has 54 of 60 entries"), "it says: {message}");

        // To the last place.
        announce(&left, &prefixes(room))?;
        eventually(PATIENCE, || {
            ensure_eq!(router.table(&TABLE)?.1, SIZE, "places taken");
            Ok(())
        })?;
        verdicts::agree_with_iproute2(&switch)?;
        ensure!(named(&switch, "entry-refused")?.is_none(), "something is refused");

        // One more.
        announce(&left, &prefixes(room + 1))?;
        let last = format!("10.20.{room}.0/24");
        let refused = verdicts::wait_for(&switch, &last, "refused")?;
        ensure!(refused.reason.contains(WORDS), "not the driver's words: {}", refused.reason);
        let condition = named(&switch, "entry-refused")?.unwrap_or_default();
        ensure!(condition.contains(&last) && condition.contains(WORDS), "it says: {condition}");
        verdicts::agree_but_for(&switch, &last)?;
        right.wait_for(&format!("10.20.{}.0/24", room - 1), true)?;
        ensure!(!right.has(&last), "a route that does not forward is announced");

        // Room.
        let mut some = prefixes(room + 1);
        some.drain(..usize::try_from(SIZE / 4).unwrap_or_default());
        announce(&left, &some)?;
        verdicts::wait_for(&switch, &last, "trapped")?;
        right.wait_for(&last, true)?;
        verdicts::agree_with_iproute2(&switch)?;
        verdicts::all_is_well(&switch)
    })
}

#[test]
fn a_gateway_for_which_there_is_no_room_is_refused_in_the_drivers_words_and_its_routes_follow_later()
-> Result {
    Lab::run(|lab| {
        let router = Router::build(lab)?;
        let switch = &router.switch;
        router.resize("nexthops", 1)?;
        let _switchd = router.start("")?;
        let left = router.peer(1, &["10.20.0.0/24"])?;
        verdicts::wait_for(switch, "10.20.0.0/24", "trapped")?;

        left.announce(&["10.20.0.0/24", "10.21.0.0/24", "fd20::/32"])?;
        verdicts::wait_for(switch, "10.21.0.0/24", "trapped")?;
        verdicts::wait_for(switch, "fd20::/32", "refused")?;
        let gateway = verdicts::on(switch, "fd02::2")?;
        let said = |line: &Standing| line.reason.contains("Exceeded number of supported nexthops");
        ensure!(gateway.iter().any(said), "not the driver's words: {gateway:?}");

        left.announce(&["fd20::/32"])?;
        verdicts::wait_for(switch, "fd20::/32", "trapped")?;
        verdicts::agree_with_iproute2(switch)?;
        verdicts::all_is_well(switch)
    })
}

fn announce(peer: &super::Peer, prefixes: &[String]) -> Result {
    peer.announce(&prefixes.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a condition says, if there is one of that name.
fn named(switch: &Node, name: &str) -> Result<Option<String>> {
    let conditions = verdicts::conditions(switch)?;
    Ok(conditions.into_iter().find(|(known, _)| known == name).map(|(_, message)| message))
}

const TABLE: [&str; 2] = ["IPv4", "fib"];
const SIZE: u64 = 60;
const WORDS: &str = "Exceeded number of supported fib entries";
