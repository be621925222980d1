//! Writes what we read in the shape in which `devlink -j` writes it, so that the two can be compared as a whole.

use std::time::{SystemTime, UNIX_EPOCH};

use platform::devlink::{
    Counters, Handle, HealthReporter, Info, Policer, Port, Report, Resource, Trap, TrapGroup,
};
use serde_json::{Map, Value, json};

/// All reports of one kind, as the command that asks for this kind prints them.
pub(crate) fn printed(reports: &[Report]) -> Value {
    let mut all = Map::new();
    for report in reports {
        match report {
            Report::Info(device, info) => put(&mut all, "info", device, info_of(info)),
            Report::Port(device, port) => {
                put(&mut all, "port", &format_args!("{device}/{}", port.index), port_of(port));
            }
            Report::Resources(device, resources) => {
                let waiting = resources.iter().flat_map(Resource::walk).any(Resource::needs_reload);
                let resources: Vec<Value> =
                    resources.iter().map(|resource| resource_of(resource, waiting)).collect();
                put(&mut all, "resources", device, json!(resources));
            }
            Report::Trap(device, trap) => add(&mut all, "trap", device, trap_of(trap)),
            Report::TrapGroup(device, group) => {
                add(&mut all, "trap_group", device, trap_group_of(group));
            }
            Report::Policer(device, policer) => {
                add(&mut all, "trap_policer", device, policer_of(policer));
            }
            Report::Health(device, reporter) => match reporter.port {
                None => add(&mut all, "health", device, reporter_of(reporter)),
                Some(port) => {
                    let port =
                        Handle { device: format!("{}/{port}", device.device), ..device.clone() };
                    add(&mut all, "health", &port, reporter_of(reporter));
                }
            },
            other => panic!("no answer has {other:?}"),
        }
    }
    Value::Object(all)
}

fn put(all: &mut Map<String, Value>, kind: &str, device: &impl ToString, value: Value) {
    let devices = all.entry(kind).or_insert_with(|| json!({}));
    devices[device.to_string()] = value;
}

fn add(all: &mut Map<String, Value>, kind: &str, device: &Handle, value: Value) {
    let devices = all.entry(kind).or_insert_with(|| json!({}));
    match &mut devices[device.to_string()] {
        Value::Array(values) => values.push(value),
        absent => *absent = json!([value]),
    }
}

/// An object of what is there.
fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn info_of(info: &Info) -> Value {
    let mut versions = json!({});
    for version in &info.versions {
        versions[version.kind.to_string()][&version.name] = json!(version.value);
    }
    object([
        ("driver", info.driver.clone().map(Value::from)),
        ("serial_number", info.serial_number.clone().map(Value::from)),
        ("board.serial_number", info.board_serial_number.clone().map(Value::from)),
        ("versions", Some(versions).filter(|_| !info.versions.is_empty())),
    ])
}

fn port_of(port: &Port) -> Value {
    object([
        ("type", Some(json!(port.port_type.to_string()))),
        ("netdev", port.netdev.clone().map(Value::from)),
        ("flavour", port.flavour.map(|flavour| json!(flavour.to_string()))),
        ("port", port.number.map(Value::from)),
        ("split_group", port.split_group.map(Value::from)),
        ("splittable", Some(json!(port.splittable))),
        ("lanes", port.lanes.map(Value::from)),
    ])
}

/// `waiting`: whether a new size of any resource of the device waits; only then devlink(8) tells whether sizes are valid.
fn resource_of(resource: &Resource, waiting: bool) -> Value {
    let units = |count| if count == u64::MAX { json!("unlimited") } else { json!(count) };
    let name = resource.path.rsplit('/').next().unwrap_or_default();
    let children: Vec<Value> =
        resource.children.iter().map(|child| resource_of(child, waiting)).collect();
    let resizable = resource.size_min != resource.size_max;
    let bound = |bound: Option<u64>| bound.filter(|_| resizable).map(units);
    object([
        ("name", Some(json!(name))),
        ("size", Some(units(resource.size))),
        ("size_new", resource.new_size.map(units)),
        ("occ", resource.occupancy.map(units)),
        ("unit", Some(json!(resource.unit.to_string()))),
        ("size_min", bound(resource.size_min)),
        ("size_max", bound(resource.size_max)),
        ("size_gran", bound(resource.granularity)),
        (
            "size_valid",
            resource.size_valid.filter(|_| waiting).map(|valid| json!(valid.to_string())),
        ),
        ("resources", Some(json!(children)).filter(|_| !children.is_empty())),
    ])
}

fn counters_of(counters: &Counters) -> Value {
    let counted = object([
        ("bytes", Some(json!(counters.bytes))),
        ("packets", Some(json!(counters.packets))),
        ("dropped", counters.dropped.map(Value::from)),
    ]);
    json!({ "rx": counted })
}

fn trap_of(trap: &Trap) -> Value {
    let metadata: Vec<&str> =
        [(trap.reports_port, "input_port"), (trap.reports_flow_action, "flow_action_cookie")]
            .into_iter()
            .filter_map(|(reported, name)| reported.then_some(name))
            .collect();
    object([
        ("name", Some(json!(trap.name))),
        ("type", Some(json!(trap.kind.to_string()))),
        ("generic", Some(json!(trap.generic))),
        ("action", Some(json!(trap.action.to_string()))),
        ("group", Some(json!(trap.group))),
        ("metadata", Some(json!(metadata)).filter(|_| !metadata.is_empty())),
        ("stats", Some(counters_of(&trap.counters))),
    ])
}

fn trap_group_of(group: &TrapGroup) -> Value {
    object([
        ("name", Some(json!(group.name))),
        ("generic", Some(json!(group.generic))),
        ("policer", group.policer.map(Value::from)),
        ("stats", Some(counters_of(&group.counters))),
    ])
}

fn policer_of(policer: &Policer) -> Value {
    object([
        ("policer", Some(json!(policer.id))),
        ("rate", Some(json!(policer.rate))),
        ("burst", Some(json!(policer.burst))),
        ("stats", policer.dropped.map(|dropped| json!({ "rx": { "dropped": dropped } }))),
    ])
}

fn reporter_of(reporter: &HealthReporter) -> Value {
    let dumped = reporter.last_dump.map(date_and_time);
    object([
        ("reporter", Some(json!(reporter.name))),
        ("state", Some(json!(reporter.state.to_string()))),
        ("error", Some(json!(reporter.errors))),
        ("recover", Some(json!(reporter.recoveries))),
        ("last_dump_date", dumped.clone().map(|(date, _)| json!(date))),
        ("last_dump_time", dumped.map(|(_, time)| json!(time))),
        (
            "grace_period",
            reporter.grace_period.map(|period| {
                json!(u64::try_from(period.as_millis()).expect("a period of 64 bits"))
            }),
        ),
        ("auto_recover", reporter.auto_recover.map(Value::from)),
        ("auto_dump", reporter.auto_dump.map(Value::from)),
    ])
}

/// In UTC, which the machines of the lab keep.
fn date_and_time(at: SystemTime) -> (String, String) {
    let seconds = at.duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let date = format!("{year}-{month:02}-{:02}", days + 1);
    (date, format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60))
}
