//! Requests, against what devlink(8) asks for the same thing.

use super::{
    Handle, HealthReporter, Info, Policer, Port, ReloadAction, Report, Resource, Trap, TrapAction,
    TrapGroup,
};
use crate::genetlink::{Messages, Request, golden, message};

/// Command and attributes, the attributes in order of kind and each once: neither order nor repetition means anything, and
/// devlink(8) says some twice.
fn read(octets: &[u8]) -> (u8, Vec<(u16, Vec<u8>)>) {
    let (command, attributes) = Messages(octets).next().unwrap().command().unwrap();
    let mut attributes: Vec<_> =
        attributes.iter().map(|(kind, value)| (kind, value.to_vec())).collect();
    attributes.sort();
    attributes.dedup();
    (command, attributes)
}

fn assert_asks_as_devlink_does(request: &Request, name: &str) {
    let theirs = golden(&format!("{name}.request"));
    assert_eq!(read(&message(request, 21, 1)), read(theirs.last().unwrap()), "{name}");
}

#[test]
fn requests_are_those_that_devlink_makes() {
    let simulated: Handle = "netdevsim/netdevsim10".parse().unwrap();
    let spectrum: Handle = "platform/mlxfake.0".parse().unwrap();
    let drops = "l3_drops";
    let fib = 2;
    for (request, name) in [
        (Info::request(&simulated), "netdevsim.info"),
        (Resource::request(&simulated), "netdevsim.resources"),
        (Resource::encode_size(&simulated, fib, 40), "netdevsim.set_resource"),
        (
            Trap::encode_action(&simulated, "blackhole_route", TrapAction::Trap),
            "netdevsim.set_trap",
        ),
        (
            TrapGroup::encode_action(&simulated, drops, TrapAction::Trap),
            "netdevsim.set_group_action",
        ),
        (TrapGroup::encode_policer(&simulated, drops, Some(1)), "netdevsim.set_group_policer"),
        (TrapGroup::encode_policer(&simulated, drops, None), "netdevsim.set_group_no_policer"),
        (Policer::encode_set(&simulated, 1, Some(1000), Some(128)), "netdevsim.set_policer"),
        (Policer::encode_set(&spectrum, 1, None, Some(100)), "spectrum.set_policer_refused"),
        (HealthReporter::encode_recover(&simulated, None, "dummy"), "netdevsim.recover"),
        (ReloadAction::DriverReinit.encode(&simulated), "netdevsim.reload"),
        (Port::encode_split(&spectrum, 1, 4), "spectrum.split"),
        (Port::encode_unsplit(&spectrum, 1), "spectrum.unsplit"),
    ] {
        assert_asks_as_devlink_does(&request, name);
    }
}

#[test]
fn a_handle_is_read_as_it_is_written() {
    let handle: Handle = "pci/0000:03:00.0".parse().unwrap();
    assert_eq!((handle.bus.as_str(), handle.device.as_str()), ("pci", "0000:03:00.0"));
    assert_eq!(handle.to_string(), "pci/0000:03:00.0");
    for wrong in ["", "pci", "pci/", "/x", "pci/x/1", "pci/\0"] {
        assert!(wrong.parse::<Handle>().is_err(), "{wrong:?}");
    }
}

#[test]
fn resources_within_resources_end_somewhere() {
    let request = Request::new(36).text(1, "pci").text(2, "x").nested(63, |list| nest(list, 100));
    let reports = Report::decode_all(&message(&request, 21, 1));
    let [Report::Resources(_, resources)] = reports.as_slice() else { panic!("{reports:?}") };
    let deepest = resources.iter().flat_map(Resource::walk).last().unwrap();
    assert_eq!(deepest.path, ["x"; 8].join("/"), "eight lie within each other, not more");
}

fn nest(list: Request, more: u32) -> Request {
    list.nested(64, |resource| {
        let resource = resource.text(65, "x").u64(66, 1).u64(67, 1);
        if more == 0 { resource } else { resource.nested(63, |list| nest(list, more - 1)) }
    })
}
