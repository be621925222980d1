//! One IPv4 session between switchd on the left and FRR or BIRD on the right, as its options need it.

use lab::{Node, PATIENCE, Result, ensure, eventually, switch::Switch};

/// A switchd whose only neighbour has these keys too.
pub(crate) fn switchd(neighbor: &str, keys: &str) -> String {
    format!(
        r#"[bgp]
asn = 65001
router-id = "10.0.0.1"
networks = ["10.0.0.1/32"]
connect-retry = 1

[[bgp.neighbor]]
{neighbor}
{keys}
"#
    )
}

/// The neighbour of [`crate::Pair`], at its own address.
pub(crate) const NEIGHBOR: &str = "address = \"10.1.0.2\"\nremote-as = 65002";

/// An FRR that announces 10.77.0.0/16, with these commands about its neighbour `neighbor`.
pub(crate) fn frr(neighbor: &str, commands: &[&str]) -> String {
    let commands: String =
        commands.iter().map(|command| format!(" neighbor {neighbor} {command}\n")).collect();
    format!(
        "router bgp 65002\n bgp router-id 10.0.0.2\n no bgp ebgp-requires-policy\n \
         no bgp network import-check\n neighbor {neighbor} remote-as 65001\n \
         neighbor {neighbor} timers connect 1\n{commands} \
         address-family ipv4 unicast\n  network 10.77.0.0/16\n exit-address-family\n"
    )
}

/// A BIRD that announces 10.77.0.0/16, with these options of its session `leaf` with `neighbor`.
pub(crate) fn bird(neighbor: &str, options: &str) -> String {
    format!(
        "router id 10.0.0.2;\nprotocol device {{}}\n\
         protocol static {{ ipv4; route 10.77.0.0/16 blackhole; }}\n\
         protocol bgp leaf {{ local as 65002; neighbor {neighbor} as 65001; \
         connect retry time 1; connect delay time 0; error wait time 1, 2; {options} \
         ipv4 {{ import all; export all; }}; }}\n"
    )
}

/// Waits until routes flow with this neighbour.
pub(crate) fn wait_established(switch: &Switch, neighbor: &str) -> Result {
    eventually(PATIENCE, || {
        let state = state(switch, neighbor)?;
        ensure!(state == "Established", "{neighbor} is {state}");
        Ok(())
    })
}

/// FRR's word for where the session stands.
pub(crate) fn state(switch: &Switch, neighbor: &str) -> Result<String> {
    let summary = switch.show("bgp summary")?;
    let peer = &summary["ipv4Unicast"]["peers"][neighbor];
    Ok(peer["state"].as_str().unwrap_or("missing").to_owned())
}

/// Waits until the kernel of `node` has dropped something for this reason, and says how often.
pub(crate) fn wait_for_drops(node: &Node, counter: &str) -> Result {
    eventually(PATIENCE, || {
        let counters = node.run("nstat -asz --json")?;
        let counters: serde_json::Value =
            serde_json::from_str(&counters).unwrap_or(serde_json::Value::Null);
        let dropped = counters["kernel"][counter].as_u64().unwrap_or(0);
        ensure!(dropped > 0, "{counter} is {dropped}");
        Ok(())
    })
}
