//! Prints what devlink and ethtool tell, as JSON in the shape of `devlink -j`; changes what is asked for. For the lab, which
//! compares it with what those tools print:
//!
//! ```sh
//! cargo run -p platform --example devlink -- traps netdevsim/netdevsim10
//! cargo run -p platform --example devlink -- split pci/0000:03:00.0 1 4
//! ```

#![expect(clippy::panic, clippy::expect_used, reason = "an example fails as tests do")]

#[path = "../tests/witness/devlink.rs"]
mod witness;

use std::process::ExitCode;

use platform::devlink::{
    Devlink, GenetlinkError, Handle, Monitor, ReloadAction, Report, TrapAction,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), GenetlinkError> {
    let mut devlink = Devlink::open()?;
    let (what, rest) = arguments.split_first().expect("what to do");
    if *what == "monitor" {
        return monitor();
    }
    if *what == "devices" {
        devlink.devices()?.iter().for_each(|device| println!("{device}"));
        return Ok(());
    }
    let (device, rest) = rest.split_first().expect("a device");
    let device: Handle = device.parse().expect("a device");
    let number = |text: &str| text.parse().expect("a number");
    match (*what, rest) {
        ("split", [port, count]) => devlink.split_port(&device, number(port), number(count)),
        ("unsplit", [port]) => devlink.unsplit_port(&device, number(port)),
        ("resource-size", [path, size]) => {
            devlink.set_resource_size(&device, path, size.parse().expect("a size"))
        }
        ("trap-action", [trap, action]) => {
            devlink.set_trap_action(&device, trap, trap_action(action))
        }
        ("group-action", [group, action]) => {
            devlink.set_trap_group_action(&device, group, trap_action(action))
        }
        ("group-policer", [group, policer]) => {
            devlink.set_trap_group_policer(&device, group, policer.parse().ok())
        }
        ("policer", [id, rate, burst]) => {
            devlink.set_policer(&device, number(id), rate.parse().ok(), burst.parse().ok())
        }
        ("recover", [reporter]) => devlink.recover(&device, None, reporter),
        ("reload", []) => devlink.reload(&device, ReloadAction::DriverReinit),
        (what, []) => {
            let reports = reports(&mut devlink, &device, what)?;
            println!("{}", witness::printed(&reports));
            Ok(())
        }
        other => panic!("cannot do {other:?}"),
    }
}

fn trap_action(word: &str) -> TrapAction {
    match word {
        "drop" => TrapAction::Drop,
        "trap" => TrapAction::Trap,
        "mirror" => TrapAction::Mirror,
        other => panic!("no action is called {other}"),
    }
}

/// Everything of one kind.
fn reports(
    devlink: &mut Devlink,
    device: &Handle,
    what: &str,
) -> Result<Vec<Report>, GenetlinkError> {
    fn each<T>(device: &Handle, report: fn(Handle, T) -> Report, all: Vec<T>) -> Vec<Report> {
        all.into_iter().map(|one| report(device.clone(), one)).collect()
    }
    Ok(match what {
        "info" => vec![Report::Info(device.clone(), devlink.info(device)?)],
        "ports" => each(device, Report::Port, devlink.ports(device)?),
        "resources" => vec![Report::Resources(device.clone(), devlink.resources(device)?)],
        "traps" => each(device, Report::Trap, devlink.traps(device)?),
        "trap-groups" => each(device, Report::TrapGroup, devlink.trap_groups(device)?),
        "policers" => each(device, Report::Policer, devlink.policers(device)?),
        "health" => each(device, Report::Health, devlink.health_reporters(device)?),
        other => panic!("nothing is called {other}"),
    })
}

/// One line per report, until it is killed.
fn monitor() -> Result<(), GenetlinkError> {
    let (mut monitor, _stop) = Monitor::open()?;
    println!("listening");
    while let Some(reports) = monitor.receive()? {
        reports.iter().for_each(|report| println!("{report:?}"));
    }
    Ok(())
}
