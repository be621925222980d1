//! The box around the chip: sensors, fans, modules, resources, splits.

use lab::{Hardware, Lab, PATIENCE, Result, ensure, ensure_eq, eventually};

#[test]
fn sensors_fans_modules_resources_and_splits_are_the_drivers_own() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2"]))?;
        let switch = machine.switch();
        machine.shell("echo 71000 >/sys/kernel/debug/mlxfake/temperature")?;
        let sensors = machine.shell("cat /sys/class/hwmon/hwmon*/temp1_input")?;
        ensure!(sensors.contains("71000"), "temperature: {sensors}");
        machine.shell("echo 1234 >/sys/kernel/debug/mlxfake/fan_rpm")?;
        let fans = machine.shell("cat /sys/class/hwmon/hwmon*/fan1_input")?;
        ensure!(fans.contains("1234"), "fan: {fans}");
        let module = switch.run("ethtool -m port1 hex on")?;
        ensure!(module.contains("4c 41 42 46 41 4b 45"), "no LABFAKE in {module}");
        let resources = switch.run("devlink resource show platform/mlxfake.0")?;
        for name in ["kvd", "span_agents", "rif_mac_profiles", "rifs"] {
            ensure!(resources.contains(name), "no {name} in {resources}");
        }
        let traps = switch.run("devlink trap show platform/mlxfake.0 trap ipv4_bgp")?;
        ensure!(traps.contains("control"), "{traps}");

        // The link is up when the cable's far end is.
        machine.shell("ip link set port1 up; ip link set wire1 up")?;
        let carrier = |wanted: &str| {
            eventually(PATIENCE, || {
                let now = switch.run("cat /sys/class/net/port1/carrier")?;
                ensure_eq!(now.trim(), wanted, "carrier of port1");
                Ok(())
            })
        };
        carrier("1")?;
        machine.cut("port1")?;
        carrier("0")?;
        machine.mend("port1")?;
        carrier("1")?;

        let ports = || -> Result<usize> {
            Ok(switch.run("devlink port show")?.matches("flavour physical").count())
        };
        let before = ports()?;
        let split = switch.run("devlink port show")?;
        let handle = split
            .lines()
            .find(|line| line.contains("netdev port2"))
            .and_then(|line| line.split_whitespace().next())
            .map(|word| word.trim_end_matches(':').to_owned());
        let handle = handle.unwrap_or_default();
        switch.run(&format!("devlink port split {handle} count 4"))?;
        ensure_eq!(ports()?, before + 3, "ports after a split by four");
        let part = switch.run("devlink port show")?;
        let part = part.lines().find(|line| line.contains("split_group")).unwrap_or_default();
        let part = part.split_whitespace().next().unwrap_or_default().trim_end_matches(':');
        switch.run(&format!("devlink port unsplit {part}"))?;
        ensure_eq!(ports()?, before, "ports after undoing it");
        Ok(())
    })
}
