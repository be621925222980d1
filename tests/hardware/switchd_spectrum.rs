//! switchd on Spectrum's own driver: everything in hardware, told truthfully, and put right again when it is not.

use std::time::Duration;

use lab::{
    Hardware, Lab, Machine, Node, PATIENCE, Result, ensure, ensure_eq, eventually,
    machine::SpectrumTable,
    peers::Frr,
    ping,
    switch::{self, Switch},
};

use crate::{
    verdicts,
    witness::{Standing, offload},
};

/// Longer than switchd gives the driver, and than its slowest first attempts to mend.
const RECOVERY: Duration = Duration::from_secs(60);

/// A gateway with this many VNIs, and an FRR VTEP with as many, each with `MACS` stations.
const VNIS: usize = 50;
const MACS: usize = 4;

#[test]
fn a_gateway_of_fifty_vnis_is_in_hardware_and_the_ledger_tells_the_truth_about_each_entry() -> Result
{
    Lab::run(|lab| {
        let fabric = Fabric::build(lab, VNIS)?;
        eventually(RECOVERY, || fabric.all_is_in_hardware(VNIS))?;
        verdicts::agree_with_iproute2(fabric.node())?;

        // Capacity and one: two of three new stations fit.
        fabric.machine.spectrum_room(SpectrumTable::Fdb, Some(2))?;
        for number in 1..=3 {
            fabric.far_station(1, 100 + number, true)?;
            eventually(PATIENCE, || {
                let held = fabric.held(100 + number)?;
                ensure!(held == 2, "{held} of both halves are in the kernel");
                Ok(())
            })?;
        }
        let left_out = station(1, 103);
        eventually(RECOVERY, || {
            let refused = fabric.refused(&left_out)?;
            ensure_eq!(refused.len(), 2, "both halves are named: {refused:?}");
            ensure!(
                refused.iter().all(|row| row.reason.contains("table may be full")),
                "{refused:?}"
            );
            Ok(())
        })?;
        ensure!(fabric.conditions()?.contains(&left_out), "no condition names {left_out}");
        verdicts::agree_with_iproute2(fabric.node())?;

        // There is room again: it gets in by itself.
        fabric.far_station(1, 101, false)?;
        eventually(RECOVERY, || {
            let listed = offload(fabric.node(), false)?;
            ensure!(listed.is_empty(), "not in hardware: {listed:?}");
            Ok(())
        })?;
        ensure!(fabric.chip_has(&left_out)?, "the ledger says that {left_out} is in hardware");
        verdicts::agree_with_iproute2(fabric.node())
    })
}

#[test]
fn what_the_chip_refuses_loses_or_forgets_in_a_reload_is_told_and_put_right() -> Result {
    Lab::run(|lab| {
        let mut fabric = Fabric::build(lab, 2)?;
        eventually(RECOVERY, || fabric.all_is_in_hardware(2))?;
        let host = fabric.add_hosts(lab)?;
        let mut traffic = ping::Stream::start(&host, FAR_HOST)?;

        // The driver vetoes one MAC: named, the others go on.
        let vetoed = station(1, 50);
        fabric.machine.spectrum_refuses(&vetoed, true)?;
        fabric.far_station(1, 50, true)?;
        fabric.far_station(1, 51, true)?;
        eventually(RECOVERY, || {
            ensure_eq!(fabric.refused(&vetoed)?.len(), 2, "both halves are named");
            ensure!(fabric.chip_has(&station(1, 51))?, "the next one is held up");
            Ok(())
        })?;
        fabric.machine.spectrum_refuses(&vetoed, false)?;
        eventually(RECOVERY, || fabric.nothing_is_left_out())?;
        ensure!(fabric.chip_has(&vetoed)?, "{vetoed} is not in the chip");

        // A route that the chip refuses after others were taken.
        fabric.machine.forgive_complaints();
        fabric.machine.spectrum_room(SpectrumTable::Ipv4Routes, Some(0))?;
        fabric.far_network("203.0.113.0/24", true)?;
        eventually(RECOVERY, || {
            let refused = fabric.refused("203.0.113.0/24")?;
            ensure!(refused.iter().any(|row| row.kind == "route"), "not named: {refused:?}");
            Ok(())
        })?;
        fabric.machine.spectrum_room(SpectrumTable::Ipv4Routes, None)?;
        eventually(RECOVERY, || fabric.nothing_is_left_out())?;
        verdicts::agree_with_iproute2(fabric.node())?;

        // The driver is reloaded under the daemon, with traffic: ports, and what was in the chip, are gone.
        traffic.wait_for_answers(1)?;
        fabric.machine.shell("devlink dev reload platform/mlxfake.0")?;
        ensure!(!fabric.chip_has(&vetoed)?, "survived the reload");
        eventually(PATIENCE, || {
            let all = offload(fabric.node(), true)?;
            let lies =
                all.iter().find(|row| row.entry.contains(&vetoed) && row.verdict == "in-hardware");
            ensure!(lies.is_none(), "nothing is in hardware without ports: {lies:?}");
            Ok(())
        })?;
        fabric.machine.name_ports()?;
        fabric.operator_puts_ports_back(2)?;
        eventually(RECOVERY, || fabric.all_is_in_hardware(2))?;
        ensure!(fabric.chip_has(&vetoed)?, "{vetoed} is back in the ledger and not in the chip");
        verdicts::agree_with_iproute2(fabric.node())?;
        traffic.wait_for_answers(50)?;
        fabric.switch.terminate().map(drop)
    })
}

#[test]
fn what_breaks_a_constraint_is_explained_with_its_row_and_mended_by_the_command_that_is_given()
-> Result {
    Lab::run(|lab| {
        let machine = lab.machine("gateway", Hardware::spectrum(&["port1"]))?;
        let gateway = machine.switch();
        // As stock tools and most people make it: no ttl, no tos, no noudpcsum.
        machine.shell(
            "set -e
            ip address add 10.255.0.1/32 dev lo
            ip link add br0 type bridge mcast_snooping 0
            ip link set br0 up
            ip link set port1 master br0
            ip link set port1 up
            ip link add vx10 type vxlan id 10010 local 10.255.0.1 dstport 4789 nolearning
            ip link set vx10 master br0",
        )?;
        let refused = gateway.output(&["ip", "link", "set", "vx10", "up"])?;
        let words = "mlxsw_spectrum: VxLAN: TOS must be configured to inherit";
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(!refused.status.success() && said.contains(words), "the driver said {said:?}");

        let _switch = Switch::start(&gateway, "")?;
        gateway.run(ONE_ENTRY)?;
        let explained = |entries: &[Standing]| {
            entries.iter().any(|row| {
                row.verdict == "refused" && row.constraint == "V5" && row.reason == words
            })
        };
        eventually(PATIENCE, || {
            let listed = offload(&gateway, false)?;
            ensure!(explained(&listed), "no entry is explained by V5: {listed:?}");
            Ok(())
        })?;
        let check = switch::ask(&gateway, "check")?.to_string();
        ensure!(check.contains(r#""constraint":"V5""#) && check.contains(words), "{check}");
        let story = switch::ask(&gateway, "explain vni 10010")?.to_string();
        ensure!(story.contains(words), "{story}");

        // What it says mends it, mends it.
        let listed = offload(&gateway, false)?;
        let remedy = listed.iter().find(|row| row.constraint == "V5").map(|row| &row.remedy);
        machine.shell(&format!("set -e; {}", remedy.map_or("", String::as_str)))?;
        gateway.run(ONE_ENTRY)?;
        eventually(RECOVERY, || {
            let all = offload(&gateway, true)?;
            let taken = |row: &Standing| {
                row.verdict == "in-hardware" && row.entry.contains("dst 10.255.0.2 self")
            };
            ensure!(all.iter().any(taken), "it is not in hardware: {all:?}");
            let listed = offload(&gateway, false)?;
            ensure!(listed.is_empty(), "still listed: {listed:?}");
            Ok(())
        })?;
        ensure_eq!(switch::ask(&gateway, "check")?, serde_json::json!([]), "still predicted");
        verdicts::agree_with_iproute2(&gateway)
    })
}

/// One flood entry.
const ONE_ENTRY: &str = "bridge fdb append 00:00:00:00:00:00 dev vx10 dst 10.255.0.2";

/// `far` announces stations; the machine is the gateway.
struct Fabric {
    machine: Machine,
    far: Node,
    frr: Frr,
    switch: Switch,
}

impl Fabric {
    fn build(lab: &Lab, vnis: usize) -> Result<Self> {
        let machine = lab.machine("gateway", Hardware::spectrum(&["up0", "port1"]))?;
        let (gateway, far) = (machine.switch(), lab.node("far")?);
        lab.link(&gateway, "up0", &far, "up0")?;
        far.run("ip address add 10.1.1.2/30 dev up0")?;
        far.run("ip address add 10.255.0.2/32 dev lo")?;
        far.batch("ip", &far_links(vnis))?;
        far.batch("bridge", &far_stations(vnis))?;
        gateway.run("ip address add 10.255.0.1/32 dev lo")?;
        gateway.run("ip address add 10.1.1.1/30 dev up0")?;
        gateway.batch("ip", &gateway_links(vnis))?;
        gateway.batch("ip", &access_links(vnis))?;
        let switch = Switch::start(&gateway, GATEWAY)?;
        let frr = Frr::start(&far, FAR)?;
        Ok(Self { machine, far, frr, switch })
    }

    fn node(&self) -> &Node {
        self.switch.node()
    }

    /// A host behind the gateway's access port, in the VLAN of the first VNI, and one behind the far VTEP.
    fn add_hosts(&self, lab: &Lab) -> Result<Node> {
        // In the machine, whose kernel has VLAN devices.
        let host = self.machine.node("host")?;
        lab.link(self.node(), "port1", &host, "eth0")?;
        host.batch(
            "ip",
            "link add link eth0 name eth0.1 type vlan id 1\nlink set eth0.1 up\n\
             address add 192.168.1.1/24 dev eth0.1\n",
        )?;
        self.far.run(&format!("ip address add {FAR_HOST}/24 dev q1"))?;
        Ok(host)
    }

    /// The far VTEP gets a station in a VNI, or loses it.
    fn far_station(&self, vni: usize, number: usize, here: bool) -> Result {
        let (verb, mac) = (if here { "add" } else { "del" }, station(vni, number));
        self.far.run(&format!("bridge fdb {verb} {mac} dev p{vni} master static")).map(drop)
    }

    fn far_network(&self, prefix: &str, here: bool) -> Result {
        let no = if here { "" } else { "no " };
        self.far.run(&format!("ip route replace blackhole {prefix}"))?;
        let network = format!("{no}network {prefix}");
        self.frr.configure(&["router bgp 65002", "address-family ipv4 unicast", &network])
    }

    /// How many halves of a station of the first VNI the kernel of the gateway holds.
    fn held(&self, number: usize) -> Result<usize> {
        let table = self.node().run("bridge fdb show dev vx1")?;
        Ok(table.lines().filter(|line| line.starts_with(&station(1, number))).count())
    }

    fn all_is_in_hardware(&self, vnis: usize) -> Result {
        let all = offload(self.node(), true)?;
        let in_hardware = |kind: &str, part: &str| {
            let rows = all.iter().filter(|row| row.kind == kind && row.verdict == "in-hardware");
            rows.filter(|row| row.entry.contains(part)).count()
        };
        let stations = vnis * MACS;
        ensure!(
            in_hardware("fdb", " self") >= stations,
            "{} of {stations} stations",
            in_hardware("fdb", " self")
        );
        ensure!(in_hardware("fdb", " dev vx") >= 2 * stations, "the bridges' halves are missing");
        ensure_eq!(in_hardware("flood", "dst 10.255.0.2"), vnis, "flood entries");
        ensure_eq!(in_hardware("decap", "local 10.255.0.1/32"), 1, "decapsulation");
        ensure_eq!(in_hardware("link", "vx"), vnis, "tunnels");
        self.nothing_is_left_out()
    }

    fn nothing_is_left_out(&self) -> Result {
        let listed = offload(self.node(), false)?;
        ensure!(
            listed.is_empty(),
            "{} not in hardware, the first: {:?}",
            listed.len(),
            listed.first()
        );
        Ok(())
    }

    fn refused(&self, part: &str) -> Result<Vec<Standing>> {
        let listed = offload(self.node(), false)?;
        Ok(listed
            .into_iter()
            .filter(|row| row.verdict == "refused" && row.entry.contains(part))
            .collect())
    }

    fn conditions(&self) -> Result<String> {
        Ok(self.switch.show("conditions")?.to_string())
    }

    fn chip_has(&self, mac: &str) -> Result<bool> {
        let lines = self.machine.spectrum_holds()?;
        Ok(lines.iter().any(|line| line.contains(mac) && line.contains("tunnel 10.255.0.2")))
    }

    /// After a reload, what the operator's tooling would do again.
    fn operator_puts_ports_back(&self, vnis: usize) -> Result {
        self.node().run("ip address add 10.1.1.1/30 dev up0")?;
        self.node().run("ip link set up0 up")?;
        self.node().batch("ip", &access_links(vnis))
    }
}

/// Behind the far VTEP, in the first VNI.
const FAR_HOST: &str = "192.168.1.2";

fn station(vni: usize, number: usize) -> String {
    format!("02:00:00:00:{vni:02x}:{number:02x}")
}

fn gateway_links(vnis: usize) -> String {
    (1..=vnis)
        .map(|vni| {
            let id = 10_000 + vni;
            format!(
                "link add br{vni} type bridge mcast_snooping 0\nlink set br{vni} up\n\
                 link add vx{vni} type vxlan id {id} local 10.255.0.1 dstport 4789 nolearning noudpcsum tos inherit ttl 64\n\
                 link set vx{vni} master br{vni}\nlink set vx{vni} up\n"
            )
        })
        .collect()
}

/// A VLAN of the access port in each bridge.
fn access_links(vnis: usize) -> String {
    let vlans = (1..=vnis).map(|vni| {
        format!(
            "link add link port1 name port1.{vni} type vlan id {vni}\n\
             link set port1.{vni} master br{vni}\nlink set port1.{vni} up\n"
        )
    });
    std::iter::once("link set port1 up\n".to_owned()).chain(vlans).collect()
}

fn far_links(vnis: usize) -> String {
    (1..=vnis)
        .map(|vni| {
            let id = 10_000 + vni;
            format!(
                "link add br{vni} type bridge\nlink set br{vni} up\n\
                 link add vx{vni} type vxlan id {id} local 10.255.0.2 dstport 4789 nolearning\n\
                 link set vx{vni} master br{vni}\nlink set vx{vni} up\n\
                 link add p{vni} type veth peer name q{vni}\n\
                 link set p{vni} master br{vni}\nlink set p{vni} up\nlink set q{vni} up\n"
            )
        })
        .collect()
}

fn far_stations(vnis: usize) -> String {
    let stations = (1..=vnis).flat_map(|vni| (1..=MACS).map(move |number| (vni, number)));
    stations
        .map(|(vni, number)| format!("fdb add {} dev p{vni} master static\n", station(vni, number)))
        .collect()
}

const GATEWAY: &str = r#"
[bgp]
asn = 65001
router-id = "10.255.0.1"
redistribute = ["connected"]

[[bgp.neighbor]]
address = "10.1.1.2"
remote-as = "external"
families = ["ipv4-unicast", "l2vpn-evpn"]
"#;

const FAR: &str = "router bgp 65002
 bgp router-id 10.255.0.2
 timers bgp 3 9
 no bgp ebgp-requires-policy
 neighbor 10.1.1.1 remote-as external
 address-family ipv4 unicast
  network 10.255.0.2/32
 exit-address-family
 address-family l2vpn evpn
  neighbor 10.1.1.1 activate
  advertise-all-vni
 exit-address-family
";
