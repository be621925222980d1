//! What Prometheus would scrape from a switchd on switch hardware, beside what devlink(8) says.

use lab::{Hardware, Lab, Node, PATIENCE, Result, ensure, eventually, switch::Switch};

const CONFIG: &str = r#"
[bgp]
asn = 65001
router-id = "192.0.2.1"

[[bgp.neighbor]]
address = "192.0.2.2"
remote-as = 65002

[metrics]
listen = "127.0.0.1:9342"
"#;

#[test]
fn metrics_show_the_hardware_and_the_sessions() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::spectrum(&["port1", "port2"]))?;
        let node = machine.switch();
        machine.shell(
            "ip link set wire1 up; ip link set port1 up; ip address add 192.0.2.1/24 dev port1",
        )?;
        let _switch = Switch::start(&node, CONFIG)?;
        eventually(PATIENCE, || {
            let shown = scrape(&node)?;
            for line in [
                "switchd_devlink_up 1",
                r#"switchd_devlink_resource_size{device="platform/mlxfake.0",resource="physical_ports",unit="entry"} 64"#,
                r#"switchd_devlink_resource_occupancy{device="platform/mlxfake.0",resource="physical_ports",unit="entry"} 2"#,
                r#"switchd_devlink_health_reporter_up{device="platform/mlxfake.0",reporter="fw_fatal",port=""} 1"#,
                r#"switchd_bgp_session_up{peer="192.0.2.2"} 0"#,
                r#"switchd_bgp_prefixes_received{peer="192.0.2.2",family="ipv4-unicast"} 0"#,
            ] {
                ensure!(shown.lines().any(|shown| shown == line), "no line {line} in\n{shown}");
            }
            let in_hardware = r#"switchd_offload_entries{kind="route",verdict="in-hardware"}"#;
            ensure!(shown.contains(in_hardware), "no route is in hardware:\n{shown}");
            Ok(())
        })?;
        let traps = node.json("devlink -j trap show")?["trap"]["platform/mlxfake.0"].clone();
        let traps = traps.as_array().map_or(0, Vec::len);
        let shown = scrape(&node)?;
        let counted = shown.matches("\nswitchd_devlink_trap_packets_total{").count();
        ensure!(traps > 0 && counted == traps, "{counted} of {traps} traps are counted");
        Ok(())
    })
}

/// By busybox, which every machine boots with.
fn scrape(node: &Node) -> Result<String> {
    node.run("busybox wget -q -O - http://127.0.0.1:9342/metrics")
}
