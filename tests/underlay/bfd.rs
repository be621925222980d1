//! BFD with FRR's bfdd and with BIRD, over a bridge that can lose packets without anybody's carrier going down.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::{
    Lab, LabError, Node, PATIENCE, Result, ensure, ensure_eq, eventually,
    peers::{Bird, Frr},
    require, steadily,
    switch::Switch,
};
use serde_json::Value;

/// switchd on `left`, the peer on `right`, and what the cable between them is plugged into.
struct Cable {
    left: Node,
    right: Node,
    middle: Node,
}

impl Cable {
    fn build(lab: &Lab) -> Result<Self> {
        let cable = Self {
            left: lab.node("left")?,
            right: lab.node("right")?,
            middle: lab.node("middle")?,
        };
        cable.middle.run("ip link add br0 type bridge mcast_snooping 0")?;
        cable.middle.run("ip link set br0 up")?;
        for (node, index, port) in [(&cable.left, 1, "toleft"), (&cable.right, 2, "toright")] {
            lab.link(node, "up0", &cable.middle, port)?;
            cable.middle.run(&format!("ip link set {port} master br0"))?;
            node.run(&format!("ip address add 10.1.0.{index}/24 dev up0"))?;
            node.run(&format!("ip address add fd00:1::{index}/64 dev up0 nodad"))?;
            node.run(&format!("ip address add 10.0.0.{index}/32 dev lo"))?;
        }
        cable.left.run("ip route add 10.0.0.2/32 via 10.1.0.2")?;
        cable.right.run("ip route add 10.0.0.1/32 via 10.1.0.1")?;
        Ok(cable)
    }

    /// Seconds since 1970 when no packet passes any more. Both ends keep their carrier.
    fn cut(&self) -> Result<f64> {
        self.middle.run("ip link set toright nomaster")?;
        Ok(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
    }

    fn mend(&self) -> Result {
        self.middle.run("ip link set toright master br0").map(drop)
    }
}

#[test]
fn with_frr_a_path_that_fails_ends_both_sessions_within_the_detection_time() -> Result {
    Lab::run(|lab| {
        let cable = Cable::build(lab)?;
        let mut frr = Frr::start(&cable.right, FRR)?;
        frr.start_bfdd()?;
        let switch = Switch::start(&cable.left, SWITCHD)?;
        wait_for_ours(&switch, "10.1.0.2", "up")?;
        wait_for_ours(&switch, "fd00:1::2", "up")?;
        for peer in ["10.1.0.1", "fd00:1::1"] {
            let theirs = wait_for_theirs(&frr, peer, "up")?;
            ensure_eq!(theirs["multihop"], false, "theirs multihop");
            ensure_eq!(theirs["remote-receive-interval"], 50, "theirs remote-receive-interval");
            ensure_eq!(theirs["remote-transmit-interval"], 50, "theirs remote-transmit-interval");
            ensure_eq!(theirs["remote-detect-multiplier"], 3, "theirs remote-detect-multiplier");
        }
        let ours = peer_of(&switch.show("bfd peers")?, "10.1.0.2")?;
        ensure_eq!(ours["remote-transmit-interval"], 50, "ours remote-transmit-interval");
        ensure_eq!(ours["remote-receive-interval"], 50, "ours remote-receive-interval");

        let cut_at = cable.cut()?;
        wait_for_ours(&switch, "10.1.0.2", "down")?;
        wait_for_ours(&switch, "fd00:1::2", "down")?;
        wait_until_not_established(&switch, "10.1.0.2")?;
        for peer in ["10.1.0.2", "fd00:1::2"] {
            ensure_noticed_soon(&switch, peer, cut_at)?;
        }
        // The hold time is 90 s: only BFD can have told FRR.
        eventually(PATIENCE, || {
            let neighbor = &frr.show("bgp neighbors 10.1.0.1")?["10.1.0.1"];
            ensure!(neighbor.to_string().contains("Cease/BFD Down"), "FRR: {neighbor}");
            Ok(())
        })?;

        cable.mend()?;
        wait_for_ours(&switch, "10.1.0.2", "up")?;
        wait_for_established(&switch, "10.1.0.2")
    })
}

#[test]
fn with_frr_between_loopbacks_the_session_is_multihop() -> Result {
    Lab::run(|lab| {
        let cable = Cable::build(lab)?;
        let mut frr = Frr::start(&cable.right, FRR_IBGP)?;
        frr.start_bfdd()?;
        let switch = Switch::start(&cable.left, SWITCHD_IBGP)?;
        let ours = wait_for_ours(&switch, "10.0.0.2", "up")?;
        ensure_eq!(ours["multihop"], true, "ours multihop");
        // Nothing was said of intervals: FRR's defaults on both sides.
        ensure_eq!(ours["receive-interval"], 300, "ours receive-interval");
        ensure_eq!(ours["detect-multiplier"], 3, "ours detect-multiplier");
        let theirs = wait_for_theirs(&frr, "10.0.0.1", "up")?;
        ensure_eq!(theirs["multihop"], true, "theirs multihop");
        ensure_eq!(theirs["remote-receive-interval"], 300, "theirs remote-receive-interval");
        let cut_at = cable.cut()?;
        wait_until_not_established(&switch, "10.0.0.2")?;
        let after = time_in_log(&switch, "failed neighbor=\"10.0.0.2\"")? - cut_at;
        ensure!((0.5..1.5).contains(&after), "noticed after {after} s");
        Ok(())
    })
}

#[test]
fn with_bird_a_path_that_fails_ends_both_sessions() -> Result {
    Lab::run(|lab| {
        let cable = Cable::build(lab)?;
        let bird = Bird::start(&cable.right, BIRD)?;
        let switch = Switch::start(&cable.left, SWITCHD)?;
        for peer in ["10.1.0.2", "fd00:1::2"] {
            wait_for_ours(&switch, peer, "up")?;
            wait_for_established(&switch, peer)?;
        }
        eventually(PATIENCE, || {
            let sessions = bird.birdc("show bfd sessions")?;
            ensure!(sessions.matches(" Up ").count() == 2, "BIRD: {sessions}");
            Ok(())
        })?;
        let cut_at = cable.cut()?;
        for peer in ["10.1.0.2", "fd00:1::2"] {
            wait_until_not_established(&switch, peer)?;
            ensure_noticed_soon(&switch, peer, cut_at)?;
        }
        Ok(())
    })
}

#[test]
fn a_peer_that_only_stops_bfd_keeps_its_session() -> Result {
    Lab::run(|lab| {
        let cable = Cable::build(lab)?;
        let mut frr = Frr::start(&cable.right, FRR)?;
        frr.start_bfdd()?;
        let switch = Switch::start(&cable.left, SWITCHD)?;
        frr.configure(&["bfd", "profile ours", "transmit-interval 50", "receive-interval 50"])?;
        frr.configure(&["router bgp 65002", "neighbor 10.1.0.1 bfd profile ours"])?;
        wait_for_theirs(&frr, "10.1.0.1", "up")?;
        wait_for_ours(&switch, "10.1.0.2", "up")?;
        frr.configure(&["bfd", "profile ours", "shutdown"])?;
        wait_for_ours(&switch, "10.1.0.2", "down")?;
        steadily(Duration::from_secs(1), || established(&switch, "10.1.0.2"))?;
        frr.configure(&["bfd", "profile ours", "no shutdown"])?;
        wait_for_ours(&switch, "10.1.0.2", "up").map(drop)
    })
}

#[test]
fn bfd_goes_on_while_switchd_is_killed_and_restarted() -> Result {
    Lab::run(|lab| {
        let cable = Cable::build(lab)?;
        let mut frr = Frr::start(&cable.right, FRR)?;
        frr.start_bfdd()?;
        let mut switch = Switch::start(&cable.left, SWITCHD)?;
        for peer in ["10.1.0.1", "fd00:1::1"] {
            wait_for_theirs(&frr, peer, "up")?;
        }
        let dropped = frr.show("bgp neighbors 10.1.0.1")?["10.1.0.1"]["connectionsDropped"].clone();
        switch.kill9()?;
        // Far beyond the detection time of 150 ms.
        steadily(Duration::from_secs(2), || {
            ensure_eq!(theirs(&frr, "10.1.0.1")?["status"], "up", "FRR's session");
            Ok(())
        })?;
        switch.restart()?;
        wait_for_ours(&switch, "10.1.0.2", "up")?;
        wait_for_established(&switch, "10.1.0.2")?;
        let neighbor = frr.show("bgp neighbors 10.1.0.1")?;
        ensure_eq!(neighbor["10.1.0.1"]["connectionsDropped"], dropped, "BGP at FRR");
        let counters = frr.show("bfd peers counters")?;
        for peer in counters.as_array().into_iter().flatten() {
            ensure_eq!(peer["session-down"], 0, "{peer}");
        }
        // And the new one is told of what fails.
        cable.cut()?;
        wait_until_not_established(&switch, "10.1.0.2")
    })
}

#[test]
fn a_forged_packet_that_has_passed_a_router_changes_nothing() -> Result {
    require(&["python3"])?;
    Lab::run(|lab| {
        let cable = Cable::build(lab)?;
        let _bird = Bird::start(&cable.right, BIRD)?;
        let switch = Switch::start(&cable.left, SWITCHD)?;
        let ours = wait_for_ours(&switch, "10.1.0.2", "up")?;
        let forge = |hop_limit: u8| {
            let script = format!(
                "import socket,struct\n\
                 s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
                 s.setsockopt(socket.IPPROTO_IP,socket.IP_TTL,{hop_limit})\n\
                 s.bind(('10.1.0.2',50001))\n\
                 s.sendto(struct.pack('>BBBBIIIII',0x20,0x40,3,24,7,{id},50000,50000,0),('10.1.0.1',3784))",
                id = ours["id"]
            );
            cable.right.run_words(&["python3", "-c", &script])
        };
        forge(254)?;
        steadily(Duration::from_millis(500), || established(&switch, "10.1.0.2"))?;
        // The same from the link itself is believed: so it was the hop limit.
        forge(255)?;
        wait_until_not_established(&switch, "10.1.0.2")
    })
}

pub(crate) fn peer_of(peers: &Value, address: &str) -> Result<Value> {
    let peer = peers.as_array().into_iter().flatten().find(|peer| peer["peer"] == address);
    peer.cloned()
        .ok_or_else(|| LabError::Unexpected(format!("no BFD session with {address} in {peers}")))
}

fn wait_for_ours(switch: &Switch, address: &str, status: &str) -> Result<Value> {
    eventually(PATIENCE, || {
        let peer = peer_of(&switch.show("bfd peers")?, address)?;
        ensure_eq!(peer["status"], status, "switchd: {peer}");
        Ok(peer)
    })
}

fn theirs(frr: &Frr, address: &str) -> Result<Value> {
    peer_of(&frr.show("bfd peers")?, address)
}

fn wait_for_theirs(frr: &Frr, address: &str, status: &str) -> Result<Value> {
    eventually(PATIENCE, || {
        let peer = theirs(frr, address)?;
        ensure_eq!(peer["status"], status, "FRR: {peer}");
        // The fast pace is agreed on a moment after that.
        ensure!(peer["remote-transmit-interval"] != 1000, "FRR: {peer}");
        Ok(peer)
    })
}

fn state(switch: &Switch, address: &str) -> Result<Value> {
    let summary = switch.show("bgp summary")?;
    let families = summary.as_object().into_iter().flat_map(|families| families.values());
    let mut peers = families.filter_map(|family| family["peers"].get(address));
    let peer = peers.next();
    peer.map(|peer| peer["state"].clone())
        .ok_or_else(|| LabError::Unexpected(format!("no neighbor {address} in {summary}")))
}

fn established(switch: &Switch, address: &str) -> Result {
    ensure_eq!(state(switch, address)?, "Established", "{address}");
    Ok(())
}

fn wait_for_established(switch: &Switch, address: &str) -> Result {
    eventually(PATIENCE, || established(switch, address))
}

fn wait_until_not_established(switch: &Switch, address: &str) -> Result {
    eventually(PATIENCE, || {
        ensure!(state(switch, address)? != "Established", "{address} is still established");
        Ok(())
    })
}

/// 150 ms, or a little less or more, as the last packet came; the rest is the machine's.
fn ensure_noticed_soon(switch: &Switch, peer: &str, cut_at: f64) -> Result {
    let after = time_in_log(switch, &format!("failed neighbor=\"{peer}\""))? - cut_at;
    ensure!((-0.05..0.5).contains(&after), "{peer}: noticed after {after} s");
    Ok(())
}

/// Seconds since 1970 at which switchd logged this, first.
fn time_in_log(switch: &Switch, words: &str) -> Result<f64> {
    let log = switch.log()?;
    let line = log.lines().find(|line| line.contains(words));
    let line =
        line.ok_or_else(|| LabError::Unexpected(format!("no `{words}` in the log:\n{log}")))?;
    let stamp = line.split_whitespace().next().unwrap_or_default();
    let seconds = switch.node().run_words(&["date", "-d", stamp, "+%s.%N"])?;
    seconds.trim().parse().map_err(|_| LabError::Unexpected(format!("no time: {line}")))
}

const SWITCHD: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.1"
hold-time = 90

[[bgp.peer-group]]
name = "spines"
remote-as = 65002
bfd = { min-rx = 50, min-tx = 50 }

[[bgp.neighbor]]
address = "10.1.0.2"
peer-group = "spines"

[[bgp.neighbor]]
address = "fd00:1::2"
peer-group = "spines"
"#;

const FRR: &str = "
router bgp 65002
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 timers bgp 30 90
 neighbor 10.1.0.1 remote-as 65001
 neighbor 10.1.0.1 timers connect 1
 neighbor 10.1.0.1 bfd 3 50 50
 neighbor fd00:1::1 remote-as 65001
 neighbor fd00:1::1 timers connect 1
 neighbor fd00:1::1 bfd 3 50 50
 address-family ipv6 unicast
  neighbor fd00:1::1 activate
";

const SWITCHD_IBGP: &str = r#"[bgp]
asn = 65001
router-id = "10.0.0.1"
hold-time = 90

[[bgp.neighbor]]
address = "10.0.0.2"
remote-as = "internal"
local-address = "10.0.0.1"
bfd = true
"#;

const FRR_IBGP: &str = "
router bgp 65001
 bgp router-id 10.0.0.2
 timers bgp 30 90
 neighbor 10.0.0.1 remote-as 65001
 neighbor 10.0.0.1 update-source 10.0.0.2
 neighbor 10.0.0.1 timers connect 1
 neighbor 10.0.0.1 bfd
";

const BIRD: &str = r#"
router id 10.0.0.2;
protocol device {}
protocol bfd bfd1 { interface "up0" { interval 50 ms; multiplier 3; }; }
template bgp leaf {
    local as 65002;
    hold time 90;
    connect retry time 1;
    connect delay time 0;
    error wait time 1, 2;
    bfd on;
}
protocol bgp leaf4 from leaf { neighbor 10.1.0.1 as 65001; ipv4 { import all; export all; }; }
protocol bgp leaf6 from leaf { neighbor fd00:1::1 as 65001; ipv6 { import all; export all; }; }
"#;
