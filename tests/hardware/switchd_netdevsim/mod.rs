//! switchd on the kernel's netdevsim, which says no on demand.
//!
//! ```text
//!   left -- up1 [switch] up2 -- right
//!                port1, of the simulator
//! ```
//! The simulator moves no packets, so sessions run over other NICs. The peers announce their routes with a next hop on a
//! port of the simulator, as a route server does.

mod capacity;
mod failures;
mod suppressed;
mod verdicts_and_metrics;

use std::fmt::Write as _;

use lab::{
    Hardware, Lab, Machine, Node, PATIENCE, Result, ensure, eventually, peers::Bird, switch::Switch,
};

use crate::verdicts::rows;

/// A switch with a peer on each side.
pub(crate) struct Router {
    pub(crate) switch: Node,
    left: Node,
    right: Node,
}

impl Router {
    /// On the simulator, wired and addressed; no daemon runs.
    fn build(lab: &Lab) -> Result<Self> {
        let machine = lab.machine("switch", Hardware::netdevsim(&["port1", "port2"]))?;
        Self::on(lab, machine.switch())
    }

    /// On a node that has a `port1`.
    pub(crate) fn on(lab: &Lab, switch: Node) -> Result<Self> {
        let router = Self { switch, left: lab.node("left")?, right: lab.node("right")? };
        for (peer, index) in [(&router.left, 1), (&router.right, 2)] {
            let port = format!("up{index}");
            lab.link(&router.switch, &port, peer, "up0")?;
            router.shell(&format!(
                "ip address add 10.1.{index}.1/24 dev {port}
                ip address add fd00:{index}::1/64 dev {port} nodad"
            ))?;
            peer.run(&format!("ip address add 10.1.{index}.2/24 dev up0"))?;
            peer.run(&format!("ip address add fd00:{index}::2/64 dev up0 nodad"))?;
        }
        router.shell("ip address add 10.0.0.1/32 dev lo")?;
        router.address_ports()?;
        Ok(router)
    }

    /// Runs a script on the switch.
    fn shell(&self, script: &str) -> Result {
        self.switch.run_words(&["sh", "-ec", script]).map(drop)
    }

    /// What an operator has for `port1` in `/etc/network/interfaces`.
    pub(crate) fn address_ports(&self) -> Result {
        self.shell(
            "ip link set port1 up
            ip address replace 192.0.2.1/24 dev port1
            ip address replace fd02::1/64 dev port1 nodad",
        )
    }

    /// Starts switchd; `options` are lines for its `[bgp]`.
    pub(crate) fn start(&self, options: &str) -> Result<Switch> {
        Switch::start(&self.switch, &format!("{BGP}{options}\n{NEIGHBORS}"))
    }

    /// A peer that announces these prefixes, by 192.0.2.2 or fd02::2.
    pub(crate) fn peer(&self, index: usize, prefixes: &[&str]) -> Result<Peer> {
        let node = if index == 1 { &self.left } else { &self.right };
        let bird = Bird::start(node, &bird_config(index, prefixes))?;
        bird.wait_established("switch4")?;
        bird.wait_established("switch6")?;
        Ok(Peer { index, bird })
    }

    /// Breaks something of the simulator ("fib/fail_route_offload"), or mends it.
    fn inject(&self, failure: &str, on: bool) -> Result {
        let on = if on { "y" } else { "n" };
        self.shell(&format!("echo {on} >{DEBUGFS}/{failure}"))
    }

    /// Size and occupancy of a table, by devlink.
    fn table(&self, path: &[&str]) -> Result<(u64, u64)> {
        let all = self.switch.json(&format!("devlink -j resource show {DEVICE}"))?;
        let mut list = &all["resources"][DEVICE];
        let mut found = &serde_json::Value::Null;
        for name in path {
            found = rows(list).find(|row| row["name"] == *name).unwrap_or(&serde_json::Value::Null);
            list = &found["resources"];
        }
        let number = |key: &str| found[key].as_u64().unwrap_or_default();
        Ok((number("size"), number("occ")))
    }

    /// Gives a table a size, which the driver takes by starting anew.
    fn resize(&self, path: &str, size: u64) -> Result {
        self.shell(&format!("devlink resource set {DEVICE} path {path} size {size}"))?;
        self.reload()?;
        self.name_ports()
    }

    /// Makes the driver start anew: its ports vanish, and new ones come.
    fn reload(&self) -> Result {
        self.shell(&format!("devlink dev reload {DEVICE}"))
    }

    /// Makes the new ports what the old ones were.
    fn name_ports(&self) -> Result {
        self.switch.machine().map_or(Ok(()), Machine::name_ports)?;
        self.address_ports()
    }
}

/// BIRD, and what it announces.
pub(crate) struct Peer {
    index: usize,
    bird: Bird,
}

impl Peer {
    /// From now on it announces these, and no others.
    pub(crate) fn announce(&self, prefixes: &[&str]) -> Result {
        self.bird.reconfigure(&bird_config(self.index, prefixes))
    }

    pub(crate) fn has(&self, prefix: &str) -> bool {
        self.bird.has_route(prefix)
    }

    /// Waits until it has a route from the switch, or has it no longer.
    pub(crate) fn wait_for(&self, prefix: &str, there: bool) -> Result {
        if there { self.bird.wait_for_route(prefix) } else { self.bird.wait_for_no_route(prefix) }
    }
}

fn bird_config(index: usize, prefixes: &[&str]) -> String {
    let mut statics = [String::new(), String::new()];
    for prefix in prefixes {
        let _ = write!(statics[usize::from(prefix.contains(':'))], "route {prefix} blackhole; ");
    }
    let [v4, v6] = statics;
    format!(
        "router id 10.0.0.10{index};
protocol device {{}}
protocol static own4 {{ ipv4; {v4}}}
protocol static own6 {{ ipv6; {v6}}}
template bgp switch {{
    local as 6510{index};
    hold time 9;
    keepalive time 3;
    connect retry time 1;
    connect delay time 0;
    error wait time 1, 2;
}}
filter by_port4 {{ if source = RTS_STATIC then {{ bgp_next_hop = 192.0.2.2; accept; }} reject; }}
filter by_port6 {{ if source = RTS_STATIC then {{ bgp_next_hop = fd02::2; accept; }} reject; }}
protocol bgp switch4 from switch {{
    neighbor 10.1.{index}.1 as 65001; ipv4 {{ import all; export filter by_port4; }};
}}
protocol bgp switch6 from switch {{
    neighbor fd00:{index}::1 as 65001; ipv6 {{ import all; export filter by_port6; }};
}}
"
    )
}

/// Waits until the kernel has the route, with this flag.
fn wait_for_flag(switch: &Node, prefix: &str, flag: &str) -> Result {
    eventually(PATIENCE, || {
        let route = switch.run(&format!("ip route show {prefix} proto bgp"))?;
        ensure!(route.contains(flag), "{prefix} has no {flag}: {route}");
        Ok(())
    })
}

const DEVICE: &str = "netdevsim/netdevsim10";
const DEBUGFS: &str = "/sys/kernel/debug/netdevsim/netdevsim10";

const BGP: &str = r#"[metrics]
listen = "127.0.0.1:9342"

[bgp]
asn = 65001
router-id = "10.0.0.1"
profile = "datacenter"
networks = ["10.0.0.1/32"]
"#;

const NEIGHBORS: &str = r#"
[[bgp.neighbor]]
address = "10.1.1.2"
remote-as = 65101
families = ["ipv4-unicast"]

[[bgp.neighbor]]
address = "fd00:1::2"
remote-as = 65101
families = ["ipv6-unicast"]

[[bgp.neighbor]]
address = "10.1.2.2"
remote-as = 65102
families = ["ipv4-unicast"]

[[bgp.neighbor]]
address = "fd00:2::2"
remote-as = 65102
families = ["ipv6-unicast"]
"#;
