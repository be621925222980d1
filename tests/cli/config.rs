//! `switchd check`, refused files, and a switchctl without a switchd.

use std::process::Output;

use lab::{
    Lab, Node, Result, ensure,
    switch::{Switch, switchctl, switchd},
};

#[test]
fn check_accepts_a_good_file_and_touches_nothing() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        let file = write(&node, GOOD)?;
        let before = node.run("ip address show")?;
        let output = switchd(&node, &["check", &file])?;
        ensure!(output.status.success(), "refused: {}", complaint(&output));
        ensure!(node.run("ip address show")? == before, "check changed the machine");
        Ok(())
    })
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        let file = write(&node, &GOOD.replace("router-id", "routerid"))?;
        let socket = node.dir().join("switchd.sock").display().to_string();
        for words in [vec!["check", &file], vec!["--config", &file, "--socket", &socket]] {
            let output = switchd(&node, &words)?;
            let text = complaint(&output);
            ensure!(
                output.status.code().is_some_and(|code| code != 0),
                "{words:?}: {} {text}",
                output.status
            );
            for expected in ["routerid", "router-id", "switchd-under-test.toml"] {
                ensure!(text.contains(expected), "{words:?}: no {expected:?} in {text:?}");
            }
            let line_is_named = text.contains(":3") || text.contains("line 3");
            ensure!(line_is_named, "{words:?}: line 3 is not named in {text:?}");
        }
        Ok(())
    })
}

#[test]
fn a_value_that_cannot_be_is_refused_with_its_line() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        let file = write(&node, &GOOD.replace("\"10.1.0.2\"", "\"10.1.0.300\""))?;
        let output = switchd(&node, &["check", &file])?;
        let text = complaint(&output);
        ensure!(!output.status.success(), "accepted");
        ensure!(text.contains(":6") || text.contains("line 6"), "line 6 is not named in {text:?}");
        Ok(())
    })
}

#[test]
fn switchctl_says_where_it_looked_when_no_switchd_runs() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        let output = switchctl(&node, &["show", "bgp", "summary"])?;
        let text = complaint(&output);
        ensure!(!output.status.success(), "switchctl succeeded: {text}");
        ensure!(text.contains("switchd.sock"), "the socket is not named in {text:?}");
        ensure!(!text.contains("panicked"), "{text}");
        Ok(())
    })
}

#[test]
fn a_switchd_without_bgp_neighbours_runs_and_shows_empty_tables() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        let mut switch = Switch::start(&node, "[bgp]\nasn = 65001\nrouter-id = \"10.0.0.1\"\n")?;
        for what in
            ["bgp summary", "bgp l2vpn evpn route", "evpn vni", "evpn mac vni all", "offload"]
        {
            switch.show(what)?;
        }
        let status = switch.terminate()?;
        ensure!(status.success(), "switchd ended with {status}");
        Ok(())
    })
}

fn write(node: &Node, text: &str) -> Result<String> {
    let file = node.dir().join("switchd-under-test.toml");
    std::fs::write(&file, text)?;
    Ok(file.display().to_string())
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

const GOOD: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.1"

[[bgp.neighbor]]
address = "10.1.0.2"
remote-as = 65002
families = ["ipv4-unicast", "l2vpn-evpn"]

[evpn]
advertise-all-vni = true
"#;
