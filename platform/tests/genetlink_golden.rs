//! Captures of what the kernel answered, read by us, against what devlink(8) and ethtool(8) made of the same bytes.

#![expect(clippy::expect_used, clippy::panic, reason = "the helpers of a test fail as tests do")]

mod witness;

use std::path::Path;

use platform::devlink::{Report, Resource};
use platform::ethtool;
use serde_json::Value;

/// What `devlink -j` printed, less what is not devlink's own: which dpipe tables use a resource is another question.
fn printed_by_devlink(printed: &str) -> Value {
    let mut printed = serde_json::from_str(printed).expect("JSON of devlink(8)");
    forget_dpipe_tables(&mut printed);
    printed
}

fn forget_dpipe_tables(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(forget_dpipe_tables),
        Value::Object(values) => {
            values.shift_remove("dpipe_tables");
            values.values_mut().for_each(forget_dpipe_tables);
        }
        _ => {}
    }
}

fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/genetlink").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The messages of a capture in one datagram, as the kernel sends them.
fn datagram(name: &str) -> Vec<u8> {
    let text = golden(name);
    let octets = |line: &str| -> Vec<u8> {
        let pairs = line.as_bytes().chunks(2);
        pairs
            .map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex")
            })
            .collect()
    };
    text.lines().skip(1).flat_map(octets).collect()
}

fn assert_reads_as_devlink_does(name: &str) -> Vec<Report> {
    let reports = Report::decode_all(&datagram(&format!("{name}.reply")));
    let witness = printed_by_devlink(&golden(&format!("{name}.json")));
    assert_eq!(witness::devlink::printed(&reports), witness, "{name}: ours, devlink(8)'s");
    reports
}

#[test]
fn versions_are_those_that_devlink_shows() {
    assert_reads_as_devlink_does("netdevsim.info");
    assert_reads_as_devlink_does("spectrum.info");
}

#[test]
fn ports_are_those_that_devlink_shows() {
    assert_reads_as_devlink_does("netdevsim.ports");
    assert_reads_as_devlink_does("spectrum.ports");
    assert_reads_as_devlink_does("spectrum.ports_split");
}

#[test]
fn resources_are_those_that_devlink_shows_with_all_that_lies_within() {
    assert_reads_as_devlink_does("spectrum.resources");
    assert_reads_as_devlink_does("netdevsim.resources");
}

#[test]
fn a_new_size_is_seen_to_wait_for_a_reload() {
    let reports = assert_reads_as_devlink_does("netdevsim.resources_waiting");
    let [Report::Resources(_, resources)] = reports.as_slice() else { panic!("{reports:?}") };
    let waiting: Vec<&Resource> = resources
        .iter()
        .flat_map(Resource::walk)
        .filter(|resource| resource.needs_reload())
        .collect();
    let [fib] = waiting.as_slice() else { panic!("{waiting:?}") };
    assert_eq!((fib.path.as_str(), fib.new_size, fib.is_full()), ("IPv4/fib", Some(40), false));
}

#[test]
fn traps_groups_and_policers_are_those_that_devlink_shows() {
    for device in ["netdevsim", "spectrum"] {
        for objects in ["traps", "trap_groups", "policers"] {
            assert_reads_as_devlink_does(&format!("{device}.{objects}"));
        }
    }
}

#[test]
fn health_is_what_devlink_shows() {
    assert_reads_as_devlink_does("netdevsim.health");
    assert_reads_as_devlink_does("spectrum.health");
}

#[test]
fn speed_and_link_are_those_that_ethtool_shows() {
    for name in ["spectrum.link", "spectrum.link_down", "spectrum.link_forced"] {
        let reports = ethtool::Report::decode_all(&datagram(&format!("{name}.reply")));
        let modes = reports.iter().find_map(|report| match report {
            ethtool::Report::LinkModes(_, modes) => Some(modes),
            _ => None,
        });
        let state = reports.iter().find_map(|report| match report {
            ethtool::Report::LinkState(_, state) => Some(state),
            _ => None,
        });
        let ours = witness::ethtool::link(modes.expect("modes"), state.expect("state"));
        assert_eq!(ours, of_speed_and_link(&golden(&format!("{name}.txt"))), "{name}");
    }
}

/// The same lines of what ethtool(8) printed, the modes of a list on one line.
fn of_speed_and_link(printed: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in printed.lines() {
        match (line.trim().split_once(':'), lines.last_mut()) {
            (Some((name, value)), _) => lines.push(format!("{name}: {}", value.trim())),
            (None, Some(last)) => *last = format!("{last} {}", line.trim()),
            (None, None) => {}
        }
    }
    let wanted = |line: &String| {
        let names = [
            "Supported link modes",
            "Advertised link modes",
            "Speed",
            "Lanes",
            "Duplex",
            "Auto-negotiation",
            "Link detected",
        ];
        names.iter().any(|name| line.starts_with(&format!("{name}:")))
    };
    lines.into_iter().filter(wanted).map(|line| line + "\n").collect()
}

#[test]
fn fec_is_what_ethtool_shows() {
    for name in ["netdevsim.fec", "netdevsim.fec_rs"] {
        let reports = ethtool::Report::decode_all(&datagram(&format!("{name}.reply")));
        let [ethtool::Report::Fec(_, fec)] = reports.as_slice() else { panic!("{reports:?}") };
        let theirs: Value = serde_json::from_str(&golden(&format!("{name}.json"))).expect("JSON");
        assert_eq!(witness::ethtool::fec("eth0", fec), theirs, "{name}");
    }
}

#[test]
fn the_memory_of_a_module_is_what_ethtool_shows() {
    for (name, first) in [("spectrum.eeprom_lower", 0), ("spectrum.eeprom", 128)] {
        let reports = ethtool::Report::decode_all(&datagram(&format!("{name}.reply")));
        let [ethtool::Report::Eeprom(_, octets)] = reports.as_slice() else {
            panic!("{reports:?}")
        };
        assert_eq!(witness::ethtool::eeprom(first, octets), golden(&format!("{name}.txt")));
    }
}
