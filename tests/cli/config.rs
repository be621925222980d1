//! `switchd check`, refused files, and a switchctl without a switchd.

use std::process::Output;

use lab::{
    Lab, LabError, Node, Result, ensure,
    switch::{Switch, ask, switchctl, switchd},
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
        for what in ["bgp summary", "bgp l2vpn evpn route", "evpn vni", "evpn mac vni all"] {
            switch.show(what)?;
        }
        let status = switch.terminate()?;
        ensure!(status.success(), "switchd ended with {status}");
        Ok(())
    })
}

#[test]
fn on_a_machine_without_a_switch_asic_switchd_says_so_and_worries_about_nothing() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        let switch = Switch::start(&node, "")?;
        for words in ["offload", "offload --all", "check"] {
            let words: Vec<_> = words.split(' ').collect();
            let output = switchctl(&node, &words)?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(output.status.success(), "{words:?} failed: {}", complaint(&output));
            ensure!(said.contains("no switch ASIC"), "{words:?} said {said}");
        }
        let listed = ask(&node, "offload")?;
        ensure!(listed["asic"].is_null() && listed["entries"] == serde_json::json!([]), "{listed}");
        ensure!(switch.show("conditions")? == serde_json::json!([]), "there are conditions");
        // What is there can be explained all the same.
        let story = ask(&node, "explain ip 127.0.0.1")?;
        ensure!(story[0]["verdict"].is_string() || story == serde_json::json!([]), "{story}");
        Ok(())
    })
}

#[test]
fn what_cannot_be_explained_is_answered_with_a_sentence() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        let _switch = Switch::start(&node, "")?;
        for (words, wanted) in [
            (["explain", "mac", "02:00:00"], "is not a MAC address; write it as"),
            (["explain", "ip", "10.0.0.0/24"], "for a prefix, use explain route"),
            (["explain", "route", "10.0.0.1x"], "is not a prefix; write it as"),
            (["explain", "vni", "0"], "is not a VNI"),
        ] {
            let output = switchctl(&node, &words)?;
            let said = complaint(&output);
            ensure!(!output.status.success() && said.contains(wanted), "{words:?}: {said:?}");
        }
        let nothing = switchctl(&node, &["explain", "mac", "02:00:00:00:00:01"])?;
        let said = String::from_utf8_lossy(&nothing.stdout).into_owned();
        ensure!(nothing.status.success() && said.contains("Nothing is known of"), "{said}");
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

#[test]
fn a_command_is_checked_without_letting_it_touch_the_machine() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        node.run("ip link add kept type bridge")?;
        let before = node.run("ip -d link show")?;
        let script = "ip link show kept && ip link del kept && ip link add br0 type bridge \
            && ip link set swp1 master br0 \
            && ip link add vx10 type vxlan id 10 local 192.0.2.1 dstport 4789 \
            && ip link set vx10 master br0";
        let asked =
            ["check", "--asic", "spectrum2", "--kernel", "6.1", "--port", "swp1-4", "--json"];
        let words = [asked.as_slice(), &["--", "sh", "-ec", script]].concat();
        let output = switchd(&node, &words)?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| LabError::Unexpected(format!("{error}: {}", complaint(&output))))?;
        let found: Vec<&str> = report["violations"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|violation| violation["constraint"].as_str())
            .collect();
        ensure!(!output.status.success(), "found {found:?}, and exit status 0");
        for expected in ["B2", "V5", "V6", "V7"] {
            ensure!(found.contains(&expected), "{expected} is not among {found:?}: {report}");
        }
        ensure!(node.run("ip -d link show")? == before, "the command touched the machine");
        Ok(())
    })
}

#[test]
fn a_command_of_which_a_switch_takes_all_is_clean() -> Result {
    Lab::run(|lab| {
        let node = lab.node("switch")?;
        let script = "ip link add br0 type bridge mcast_snooping 0 && ip link set swp1 master br0 \
            && ip link add vx10 type vxlan id 10 local 192.0.2.1 dstport 4789 noudpcsum tos inherit ttl 64 \
            && ip link set vx10 master br0 && ip link set vx10 up";
        let words = ["check", "--asic", "spectrum2", "--port", "swp1", "--", "sh", "-ec", script];
        let output = switchd(&node, &words)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "refused: {said} {}", complaint(&output));
        ensure!(said.contains("takes all of it"), "does not say so: {said}");
        let words = ["check", "--asic", "spectrum2", "--port", "swp1", "--", "false"];
        ensure!(!switchd(&node, &words)?.status.success(), "a command that fails is no success");
        Ok(())
    })
}
