//! Captures of what the kernel answered, read by us, against what devlink(8) and ethtool(8) made of the same bytes.

#![expect(clippy::expect_used, clippy::panic, reason = "the helpers of a test fail as tests do")]

mod witness;

use std::path::Path;

use platform::devlink::{Report, Resource};
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
    assert_eq!(witness::devlink(&reports), witness, "{name}: ours, devlink(8)'s");
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
