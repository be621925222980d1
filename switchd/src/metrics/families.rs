//! Which metrics there are.

use std::borrow::Cow;

use platform::devlink::{HealthReporter, HealthState, Policer, Resource, Trap};

use super::snapshot::{Device, Devices, Session, Snapshot};
use super::text::Kind::{Counter, Gauge};
use super::text::Number::{Finite, Infinite};
use super::text::Text;

type Label<'a> = (&'static str, Cow<'a, str>);

/// The whole text.
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = Text::default();
    let version = [("version", Cow::from(env!("CARGO_PKG_VERSION")))];
    text.family("switchd_build_info", Gauge, "Which switchd this is.", [(version, Finite(1))]);
    offload(&mut text, snapshot);
    kernel(&mut text, snapshot);
    bgp(&mut text, &snapshot.sessions);
    devlink(&mut text, &snapshot.devices);
    text.finish()
}

fn offload(text: &mut Text, snapshot: &Snapshot) {
    text.family(
        "switchd_offload_entries",
        Gauge,
        "Kernel objects by kind and by what the hardware made of them.",
        snapshot.entries.iter().map(|entries| {
            let verdict = Cow::from(entries.verdict.as_str());
            ([("kind", entries.kind.as_str().into()), ("verdict", verdict)], Finite(entries.count))
        }),
    );
}

fn kernel(text: &mut Text, snapshot: &Snapshot) {
    let totals = snapshot.kernel;
    for (name, help, total) in [
        ("switchd_kernel_batches_total", "Batches of changes sent to the kernel.", totals.batches),
        ("switchd_kernel_changes_total", "Changes sent to the kernel.", totals.changes),
        (
            "switchd_kernel_refusals_total",
            "Changes that the kernel or the driver refused.",
            totals.refusals,
        ),
        (
            "switchd_kernel_resyncs_total",
            "How often the kernel was read anew as a whole.",
            totals.resyncs,
        ),
    ] {
        text.family::<[Label<'_>; 0]>(name, Counter, help, [([], Finite(total))]);
    }
}

fn bgp(text: &mut Text, sessions: &[Session]) {
    let peer = |session: &Session| [("peer", Cow::from(session.peer.clone()))];
    text.family(
        "switchd_bgp_session_up",
        Gauge,
        "Whether the BGP session is established.",
        sessions.iter().map(|session| (peer(session), Finite(session.established.into()))),
    );
    text.family(
        "switchd_bgp_session_established_total",
        Counter,
        "How often the BGP session was established.",
        sessions.iter().map(|session| (peer(session), Finite(session.established_count))),
    );
    let prefixes = || {
        sessions.iter().flat_map(|session| {
            session.prefixes.iter().map(|prefixes| {
                let family = ("family", Cow::from(prefixes.family.as_str()));
                ([("peer", Cow::from(session.peer.as_str())), family], prefixes)
            })
        })
    };
    text.family(
        "switchd_bgp_prefixes_received",
        Gauge,
        "Paths held from the BGP peer.",
        prefixes().map(|(labels, prefixes)| (labels, Finite(prefixes.received))),
    );
    text.family(
        "switchd_bgp_prefixes_sent",
        Gauge,
        "Routes that the BGP peer has from us.",
        prefixes().map(|(labels, prefixes)| (labels, Finite(prefixes.sent))),
    );
}

fn devlink(text: &mut Text, devices: &Devices) {
    text.family::<[Label<'_>; 0]>(
        "switchd_devlink_up",
        Gauge,
        "Whether devlink could be read at this scrape.",
        [([], Finite(devices.readable.into()))],
    );
    resources(text, &devices.devices);
    traps(text, &devices.devices);
    policers(text, &devices.devices);
    health(text, &devices.devices);
}

fn resources(text: &mut Text, devices: &[Device]) {
    let each = || {
        of(devices, |device| device.resources.iter().flat_map(Resource::walk)).map(
            |(device, resource)| {
                let unit = ("unit", resource.unit.to_string().into());
                ([device, ("resource", resource.path.as_str().into()), unit], resource)
            },
        )
    };
    // All ones is how netdevsim says that there is no limit.
    let size = |size| if size == u64::MAX { Infinite } else { Finite(size) };
    text.family(
        "switchd_devlink_resource_size",
        Gauge,
        "How many units the table of the ASIC holds.",
        each().map(|(labels, resource)| (labels, size(resource.size))),
    );
    text.family(
        "switchd_devlink_resource_occupancy",
        Gauge,
        "How many units of the table of the ASIC are taken. Not every driver tells it of every table.",
        each().filter_map(|(labels, resource)| Some((labels, Finite(resource.occupancy?)))),
    );
}

fn traps(text: &mut Text, devices: &[Device]) {
    let mut family = |name, help, number: fn(&Trap) -> Option<u64>| {
        let samples = of(devices, |device| device.traps.iter()).filter_map(|(device, trap)| {
            let labels = [
                device,
                ("trap", trap.name.as_str().into()),
                ("group", trap.group.as_str().into()),
                ("type", trap.kind.to_string().into()),
            ];
            Some((labels, Finite(number(trap)?)))
        });
        text.family(name, Counter, help, samples);
    };
    family(
        "switchd_devlink_trap_packets_total",
        "Packets that came to the CPU for this reason.",
        |trap| Some(trap.counters.packets),
    );
    family(
        "switchd_devlink_trap_bytes_total",
        "Octets of the packets that came to the CPU for this reason.",
        |trap| Some(trap.counters.bytes),
    );
    family(
        "switchd_devlink_trap_dropped_total",
        "Packets that the ASIC dropped for this reason, where it counts them.",
        |trap| trap.counters.dropped,
    );
}

fn policers(text: &mut Text, devices: &[Device]) {
    let mut family = |name, kind, help, number: fn(&Policer) -> Option<u64>| {
        let samples =
            of(devices, |device| device.policers.iter()).filter_map(|(device, policer)| {
                let labels = [device, ("policer", policer.id.to_string().into())];
                Some((labels, Finite(number(policer)?)))
            });
        text.family(name, kind, help, samples);
    };
    family(
        "switchd_devlink_policer_dropped_total",
        Counter,
        "Packets that did not come to the CPU because the policer was full.",
        |policer| policer.dropped,
    );
    family(
        "switchd_devlink_policer_rate_packets_per_second",
        Gauge,
        "How many packets per second the policer lets through.",
        |policer| Some(policer.rate),
    );
}

fn health(text: &mut Text, devices: &[Device]) {
    let mut family = |name, kind, help, number: fn(&HealthReporter) -> u64| {
        let samples = of(devices, |device| device.reporters.iter()).map(|(device, reporter)| {
            let port = reporter.port.map_or_else(String::new, |port| port.to_string());
            let labels =
                [device, ("reporter", reporter.name.as_str().into()), ("port", port.into())];
            (labels, Finite(number(reporter)))
        });
        text.family(name, kind, help, samples);
    };
    family(
        "switchd_devlink_health_reporter_up",
        Gauge,
        "Whether the part of the device that the reporter is about is healthy.",
        |reporter| (reporter.state == HealthState::Healthy).into(),
    );
    family(
        "switchd_devlink_health_reporter_errors_total",
        Counter,
        "How often it was in error.",
        |reporter| reporter.errors,
    );
    family(
        "switchd_devlink_health_reporter_recoveries_total",
        Counter,
        "How often it was recovered.",
        |reporter| reporter.recoveries,
    );
}

/// Every such thing of every device, with the label of the device.
fn of<'a, T, I: Iterator<Item = T> + 'a>(
    devices: &'a [Device],
    things: impl Fn(&'a Device) -> I + 'a,
) -> impl Iterator<Item = (Label<'a>, T)> + 'a {
    devices.iter().flat_map(move |device| {
        let name = device.handle.to_string();
        things(device).map(move |thing| (("device", Cow::from(name.clone())), thing))
    })
}
