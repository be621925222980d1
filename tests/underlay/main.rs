//! The underlay against BIRD, FRR and GoBGP: plain IPv4 and IPv6 unicast, one session for each family.

mod add_path;
mod advertisement_interval;
mod as_path;
mod bfd;
mod bird;
mod bmp;
mod communities;
mod distance;
mod dynamic;
mod gobgp;
mod graceful_restart;
mod graceful_shutdown;
mod installed;
mod keepalive;
mod local_as;
mod long_lived;
mod many_policies;
mod md5;
mod mrt;
mod multipath;
mod notification_restart;
mod policy;
mod redistribution;
mod refresh;
mod reload;
mod rules;
mod session;
mod unnumbered;

use lab::{Lab, Node, PATIENCE, Result, ensure, eventually, kernel_view};

/// Two switches on one cable: switchd on `left`, the peer on `right`.
struct Pair {
    left: Node,
    right: Node,
}

impl Pair {
    fn build(lab: &Lab) -> Result<Self> {
        let pair = Self { left: lab.node("left")?, right: lab.node("right")? };
        lab.link(&pair.left, "up0", &pair.right, "up0")?;
        for (node, index) in [(&pair.left, 1), (&pair.right, 2)] {
            node.run(&format!("ip address add 10.1.0.{index}/24 dev up0"))?;
            node.run(&format!("ip address add fd00:1::{index}/64 dev up0 nodad"))?;
            node.run(&format!("ip address add 10.0.0.{index}/32 dev lo"))?;
            node.run(&format!("ip address add fd00::{index}/128 dev lo nodad"))?;
        }
        Ok(pair)
    }
}

/// Nodes in a row: cable `i` joins node `i` to node `i + 1` and is 10.1.i.0/24, with .1 and .2 at its ends.
fn row<const N: usize>(lab: &Lab, names: [&str; N]) -> Result<Vec<Node>> {
    let nodes: Vec<Node> = names.iter().map(|name| lab.node(name)).collect::<Result<_>>()?;
    for (index, pair) in nodes.windows(2).enumerate() {
        lab.link(&pair[0], "right", &pair[1], "left")?;
        pair[0].run(&format!("ip address add 10.1.{index}.1/24 dev right"))?;
        pair[1].run(&format!("ip address add 10.1.{index}.2/24 dev left"))?;
    }
    Ok(nodes)
}

/// Waits until the kernel forwards `prefix` to one of the peer's addresses, by a route of protocol bgp.
fn wait_for_kernel_route(node: &Node, family: u8, prefix: &str) -> Result {
    eventually(PATIENCE, || {
        let routes = kernel_view::bgp_routes(node, family)?;
        let route = routes.iter().find(|route| route.prefix == prefix);
        ensure!(route.is_some_and(|route| !route.gateways.is_empty()), "no {prefix} in {routes:?}");
        Ok(())
    })
}

fn wait_for_no_kernel_route(node: &Node, family: u8, prefix: &str) -> Result {
    eventually(PATIENCE, || {
        let routes = kernel_view::bgp_routes(node, family)?;
        ensure!(routes.iter().all(|route| route.prefix != prefix), "{prefix} is still there");
        Ok(())
    })
}

const SWITCHD: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.1"
profile = "datacenter"
networks = ["10.0.0.1/32", "fd00::1/128"]
hold-time = 9

[[bgp.neighbor]]
address = "10.1.0.2"
remote-as = 65002
families = ["ipv4-unicast"]

[[bgp.neighbor]]
address = "fd00:1::2"
remote-as = 65002
families = ["ipv6-unicast"]
"#;
