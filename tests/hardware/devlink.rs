//! `platform::devlink` and `platform::ethtool`, by their examples, beside devlink(8) and ethtool(8): what we read is what
//! those read, and what we set they see.

use std::path::Path;

use lab::{Hardware, Lab, LabError, Node, PATIENCE, Process, Result, ensure, eventually};
use serde_json::Value;

const SIMULATED: &str = "netdevsim/netdevsim10";
const SPECTRUM: &str = "platform/mlxfake.0";

/// What our example is asked, and what devlink(8) is.
const QUESTIONS: [(&str, &str); 7] = [
    ("info", "devlink -j dev info DEVICE"),
    ("ports", "devlink -j port show"),
    ("resources", "devlink -j resource show DEVICE"),
    ("traps", "devlink -j -v -s trap show"),
    ("trap-groups", "devlink -j -s trap group show"),
    ("policers", "devlink -j -s trap policer show"),
    ("health", "devlink -j health show"),
];

#[test]
fn a_simulated_device_is_read_as_devlink_reads_it() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::netdevsim(&["port1", "port2"]))?;
        let switch = machine.switch();
        // The simulator counts with every look at it.
        assert_read_alike(&switch, SIMULATED, without_counters)?;
        switch.run("ip link set port1 up")?;
        let before = packets(&devlink(&switch, &format!("traps {SIMULATED}"))?)?;
        eventually(PATIENCE, || {
            let now = packets(&devlink(&switch, &format!("traps {SIMULATED}"))?)?;
            ensure!(now > before, "no trap counts: {now} packets, as before");
            Ok(())
        })
    })
}

#[test]
fn spectrum_is_read_as_devlink_and_ethtool_read_it() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2"]))?;
        let switch = machine.switch();
        machine.shell("ip link set wire1 up; ip link set port1 up; ip link set port2 up")?;
        assert_read_alike(&switch, SPECTRUM, |_| {})?;
        for port in ["port1", "port2"] {
            assert_link_read_alike(&switch, port)?;
        }
        let ours = ethtool(&switch, "eeprom port1 0")?;
        let theirs =
            switch.run("ethtool -m port1 hex on offset 128 length 128 page 0 bank 0 i2c 0x50")?;
        ensure!(ours == theirs, "the module's memory reads\n{ours}and by ethtool\n{theirs}");
        Ok(())
    })
}

#[test]
fn what_is_set_on_a_simulated_device_is_set() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::netdevsim(&["port1", "port2"]))?;
        let switch = machine.switch();

        devlink(&switch, &format!("trap-action {SIMULATED} blackhole_route trap"))?;
        let trap = switch.run(&format!("devlink trap show {SIMULATED} trap blackhole_route"))?;
        ensure!(trap.contains("action trap"), "the trap's action is not set: {trap}");
        let undone = refusal(&switch, &format!("trap-action {SIMULATED} igmp_v1_report drop"))?;
        ensure!(undone.contains("left it undone"), "a control trap was set in silence: {undone}");

        devlink(&switch, &format!("policer {SIMULATED} 1 500 64"))?;
        let policer = switch.run(&format!("devlink trap policer show {SIMULATED} policer 1"))?;
        ensure!(policer.contains("rate 500 burst 64"), "the policer is not set: {policer}");
        let refused = refusal(&switch, &format!("policer {SIMULATED} 1 100000000 64"))?;
        ensure!(refused.contains("Policer rate higher than limit"), "no reason: {refused}");

        devlink(&switch, &format!("group-policer {SIMULATED} l2_drops 3"))?;
        let group = switch.run(&format!("devlink trap group show {SIMULATED} group l2_drops"))?;
        ensure!(group.contains("policer 3"), "the group's policer is not set: {group}");

        ethtool(&switch, "set-fec port1 rs baser")?;
        let fec = switch.run("ethtool --json --show-fec port1")?;
        ensure!(fec.contains("\"config\": [ \"RS\",\"BaseR\" ]"), "FEC is not set: {fec}");

        devlink(&switch, &format!("resource-size {SIMULATED} IPv4/fib 40"))?;
        assert_read_alike(&switch, SIMULATED, without_counters)?;
        devlink(&switch, &format!("reload {SIMULATED}"))?;
        let resources = switch.run(&format!("devlink resource show {SIMULATED}"))?;
        ensure!(resources.contains("fib size 40 "), "the reload set no size: {resources}");
        assert_read_alike(&switch, SIMULATED, without_counters)
    })
}

#[test]
fn a_simulated_reporter_in_error_is_announced_and_recovered() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::netdevsim(&["port1"]))?;
        let switch = machine.switch();
        let health = "/sys/kernel/debug/netdevsim/netdevsim10/health";
        switch.run(&format!("devlink health set {SIMULATED} reporter dummy auto_recover false"))?;
        let monitor = Process::start(&switch, "monitor", &[&example("devlink")?, "monitor"])?;
        eventually(PATIENCE, || {
            ensure!(monitor.output()?.contains("listening"), "the monitor does not listen");
            Ok(())
        })?;
        machine.shell(&format!("echo broken >{health}/break_health"))?;
        let broken = devlink(&switch, &format!("health {SIMULATED}"))?;
        ensure!(broken.contains("\"state\":\"error\""), "no reporter is in error: {broken}");
        eventually(PATIENCE, || {
            let told = monitor.output()?;
            let error = told
                .lines()
                .any(|line| line.starts_with("Health(") && line.contains("state: Error"));
            ensure!(error, "the monitor has not told of the error: {told}");
            Ok(())
        })?;
        assert_read_alike(&switch, SIMULATED, without_counters)?;
        devlink(&switch, &format!("recover {SIMULATED} dummy"))?;
        let recovered = devlink(&switch, &format!("health {SIMULATED}"))?;
        ensure!(!recovered.contains("\"state\":\"error\""), "not recovered: {recovered}");
        Ok(())
    })
}

#[test]
fn a_port_of_spectrum_is_split_and_made_whole_again() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2"]))?;
        let switch = machine.switch();
        let parts = |switch: &Node| -> Result<usize> {
            let ports = devlink(switch, &format!("ports {SPECTRUM}"))?;
            Ok(ports.matches("\"split_group\":1").count())
        };

        devlink(&switch, &format!("split {SPECTRUM} 1 4"))?;
        let found = parts(&switch)?;
        ensure!(found == 4, "split into {found} ports");
        assert_read_alike(&switch, SPECTRUM, |_| {})?;
        let refused = refusal(&switch, &format!("split {SPECTRUM} 1 4"))?;
        ensure!(refused.contains("Port cannot be split further"), "no reason: {refused}");

        devlink(&switch, &format!("unsplit {SPECTRUM} 2"))?;
        let found = parts(&switch)?;
        ensure!(found == 0, "{found} parts are left");
        assert_read_alike(&switch, SPECTRUM, |_| {})
    })
}

#[test]
fn speed_and_policers_of_spectrum_are_set() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2"]))?;
        let switch = machine.switch();

        devlink(&switch, &format!("policer {SPECTRUM} 1 2048 256"))?;
        let policer = switch.run(&format!("devlink trap policer show {SPECTRUM} policer 1"))?;
        ensure!(policer.contains("rate 2048 burst 256"), "the policer is not set: {policer}");
        let refused = refusal(&switch, &format!("policer {SPECTRUM} 1 - 100"))?;
        ensure!(refused.contains("burst size is not power of two"), "no reason: {refused}");

        ethtool(&switch, "set-link port1 50000 2")?;
        let link = switch.run("ethtool port1")?;
        ensure!(link.contains("Auto-negotiation: off"), "speed is still negotiated: {link}");
        assert_link_read_alike(&switch, "port1")
    })
}

/// Every question gives the same as devlink(8), less what `forget` takes out of both.
fn assert_read_alike(switch: &Node, device: &str, forget: fn(&mut Value)) -> Result {
    for (question, command) in QUESTIONS {
        let mut ours = parse(&devlink(switch, &format!("{question} {device}"))?)?;
        let mut theirs = parse(&switch.run(&command.replace("DEVICE", device))?)?;
        // Which dpipe tables a resource has is another question.
        without("dpipe_tables", &mut theirs);
        forget(&mut ours);
        forget(&mut theirs);
        ensure!(ours == theirs, "{question} of {device}: we read {ours}\nand devlink {theirs}");
    }
    Ok(())
}

/// Each line of ours stands in what ethtool(8) prints.
fn assert_link_read_alike(switch: &Node, port: &str) -> Result {
    let theirs: String = squeezed(&switch.run(&format!("ethtool {port}"))?);
    for line in ethtool(switch, &format!("link {port}"))?.lines() {
        ensure!(theirs.contains(&squeezed(line)), "ethtool does not say '{line}' but {theirs}");
    }
    Ok(())
}

/// Its words, one blank between two.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| LabError::Json {
        what: "devlink".into(),
        error,
        text: text.into(),
    })
}

fn without_counters(value: &mut Value) {
    without("stats", value);
}

fn without(name: &str, value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| without(name, value)),
        Value::Object(values) => {
            values.remove(name);
            values.values_mut().for_each(|value| without(name, value));
        }
        _ => {}
    }
}

/// What all traps have counted together.
fn packets(traps: &str) -> Result<u64> {
    fn sum(value: &Value) -> u64 {
        match value {
            Value::Array(values) => values.iter().map(sum).sum(),
            Value::Object(values) => {
                let own = values.get("packets").and_then(Value::as_u64).unwrap_or_default();
                own + values.values().map(sum).sum::<u64>()
            }
            _ => 0,
        }
    }
    Ok(sum(&parse(traps)?))
}

fn devlink(switch: &Node, arguments: &str) -> Result<String> {
    switch.run(&format!("{} {arguments}", example("devlink")?))
}

fn ethtool(switch: &Node, arguments: &str) -> Result<String> {
    switch.run(&format!("{} {arguments}", example("ethtool")?))
}

/// What our example says when it cannot.
fn refusal(switch: &Node, arguments: &str) -> Result<String> {
    let command = format!("{} {arguments}", example("devlink")?);
    let output = switch.output(&command.split_whitespace().collect::<Vec<_>>())?;
    ensure!(!output.status.success(), "`{command}` was not refused");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What cargo built beside this test.
fn example(name: &str) -> Result<String> {
    let test = std::env::current_exe()?;
    let built = test.parent().and_then(Path::parent).map(|dir| dir.join("examples").join(name));
    let file = built.unwrap_or_default();
    ensure!(file.is_file(), "no {}: run `cargo build -p platform --examples`", file.display());
    Ok(file.display().to_string())
}
