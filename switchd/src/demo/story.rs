//! The story: two tenants with the same addresses, one fabric, and nobody in the way of the other.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use platform::kernel::MacAddr;

use super::fabric::{FabricError, Host, Switch, eventually, io_error};
use super::ping::Background;
use super::{Milliseconds, Narrator, Report};

const SPINE_AS: u32 = 65000;

/// Long enough for a slow machine; the figures say how long it took.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an isolated tenant tries before we believe that it cannot.
const FUTILE: Duration = Duration::from_millis(500);
/// How long B goes on after A is gone: whatever the deletion broke would show by then.
const AFTERMATH: Duration = Duration::from_secs(1);
const BACKGROUND_INTERVAL: Duration = Duration::from_millis(5);

const VMS: [&str; 3] = ["web", "app", "db"];

/// A tenant: its VNI, and its machines while it has any.
struct Tenant {
    name: &'static str,
    vni: u32,
    vms: Vec<Host>,
    servers: Vec<Host>,
}

struct Fabric {
    spine: Switch,
    gw1: Switch,
    gw2: Switch,
    hypervisor: Switch,
}

/// Every tenant uses the same addresses: 10.10.0.1, .2, .3 for VMs, .11, .12 for servers.
fn vm_address(number: u8) -> (Ipv4Addr, MacAddr) {
    (Ipv4Addr::new(10, 10, 0, number), MacAddr::new(2, 0, 0, 0, 0, number))
}

fn server_address(number: u8) -> (Ipv4Addr, MacAddr) {
    vm_address(10 + number)
}

pub(super) fn tell(narrator: &Narrator, directory: &Path, report: &mut Report) {
    // Each step hands on what the next one needs; the first that fails ends the story.
    let _ = tell_until_failure(narrator, directory, report);
}

fn tell_until_failure(narrator: &Narrator, directory: &Path, report: &mut Report) -> Option<()> {
    let fabric = report.step(
        narrator,
        "Nothing exists but the fabric: a spine, two gateways, a hypervisor",
        |_| build_fabric(narrator, directory),
    )?;
    let mut a = Tenant { name: "a", vni: 100, vms: Vec::new(), servers: Vec::new() };
    let mut b = Tenant { name: "b", vni: 200, vms: Vec::new(), servers: Vec::new() };
    report.step(narrator, "Tenant A's web, app and db VMs start on the hypervisor", |_| {
        fabric.start_vms(&mut a)?;
        fabric.wait_for_routes(a.vni)
    })?;
    report.step(
        narrator,
        "A is connected to its physical servers through the gateways",
        |report| connect_a(narrator, &fabric, &mut a, report),
    )?;
    report.step(narrator, "Tenant B starts, with the same MACs and IPs as A", |_| {
        fabric.start_vms(&mut b)?;
        fabric.wait_for_routes(b.vni)
    })?;
    let background = report.step(narrator, "B is connected, and isolated from A", |_| {
        connect_b(narrator, &fabric, &a, &mut b)
    })?;
    report.step(
        narrator,
        "A is deleted; nothing of A remains, and B never loses a packet",
        |report| delete_a(narrator, &fabric, a, background, report),
    )
}

fn build_fabric(narrator: &Narrator, directory: &Path) -> Result<Fabric, FabricError> {
    let mut fabric = Fabric {
        spine: Switch::new("spine", Ipv4Addr::new(10, 0, 0, 254), directory)?,
        gw1: Switch::new("gw1", Ipv4Addr::new(10, 0, 0, 1), directory)?,
        gw2: Switch::new("gw2", Ipv4Addr::new(10, 0, 0, 2), directory)?,
        hypervisor: Switch::new("hypervisor", Ipv4Addr::new(10, 0, 0, 3), directory)?,
    };
    let Fabric { spine, gw1, gw2, hypervisor } = &mut fabric;
    for (leaf, link) in [(&*gw1, 1), (&*gw2, 2), (&*hypervisor, 3)] {
        spine.connect(&format!("swp{link}"), leaf, "swp31", link)?;
    }
    let leaves: Vec<(Ipv4Addr, u32)> =
        (1..=3).map(|link| (Ipv4Addr::new(10, 1, link, 2), SPINE_AS + u32::from(link))).collect();
    spine.start(SPINE_AS, &leaves)?;
    for (leaf, link) in [(gw1, 1), (gw2, 2), (hypervisor, 3)] {
        leaf.start(SPINE_AS + u32::from(link), &[(Ipv4Addr::new(10, 1, link, 1), SPINE_AS)])?;
    }
    let established = eventually(PATIENCE, || Ok(fabric.sessions() == 6))?;
    if !established {
        return Err(FabricError::NotAsTold("the BGP sessions do not come up".to_owned()));
    }
    for gateway in [&fabric.gw1, &fabric.gw2] {
        let mut pinger = fabric.hypervisor.pinger()?;
        let reached = pinger.first_reply(gateway.loopback, PATIENCE).map_err(io_error("ping"))?;
        reached.ok_or_else(|| {
            FabricError::NotAsTold(format!("the hypervisor does not reach {}", gateway.name()))
        })?;
    }
    narrator.show(
        "switchctl show bgp summary     # on the spine",
        &fabric.spine.show(&["bgp", "summary"])?,
    );
    narrator.show(
        "switchctl show evpn vni        # on gw1: no VNI yet",
        &fabric.gw1.show(&["evpn", "vni"])?,
    );
    Ok(fabric)
}

fn connect_a(
    narrator: &Narrator,
    fabric: &Fabric,
    a: &mut Tenant,
    report: &mut Report,
) -> Result<(), FabricError> {
    fabric.plug_server(&fabric.gw1, "swp1", a, 1)?;
    fabric.plug_server(&fabric.gw2, "swp1", a, 2)?;
    let intent = Instant::now();
    fabric.gw1.bridge(a.vni, &["swp1"])?;
    let web = first(&a.vms)?;
    let server = first(&a.servers)?;
    must_reach("A's web VM", web, server.address)?;
    report.first_packet = Some(intent.elapsed());
    narrator.say(format_args!(
        "    A's web VM reaches its server behind gw1: first packet {} after the intent",
        Milliseconds(intent.elapsed())
    ));
    fabric.gw2.bridge(a.vni, &["swp1"])?;
    for vm in &a.vms {
        for server in &a.servers {
            must_reach("a VM of A", vm, server.address)?;
        }
    }
    narrator.say("    every VM of A reaches both servers");
    narrator.show(
        "switchctl show evpn mac vni all     # on gw1",
        &fabric.gw1.show(&["evpn", "mac", "vni", "all"])?,
    );
    Ok(())
}

fn connect_b(
    narrator: &Narrator,
    fabric: &Fabric,
    a: &Tenant,
    b: &mut Tenant,
) -> Result<Background, FabricError> {
    fabric.plug_server(&fabric.gw1, "swp2", b, 1)?;
    let a_server = first(&a.servers)?;
    let before = a_server.echo_requests()?;
    let intent = Instant::now();
    fabric.gw1.bridge(b.vni, &["swp2"])?;
    let web = first(&b.vms)?;
    let server = first(&b.servers)?;
    must_reach("B's web VM", web, server.address)?;
    narrator.say(format_args!(
        "    B's web VM reaches its own server at {}, which is also A's address: {} after the intent",
        server.address,
        Milliseconds(intent.elapsed())
    ));
    if server.echo_requests()? == 0 || a_server.echo_requests()? != before {
        return Err(FabricError::NotAsTold("B's packets went to A's server".to_owned()));
    }
    let (only_in_a, _) = server_address(2);
    let reply = web.pinger()?.first_reply(only_in_a, FUTILE).map_err(io_error("ping"))?;
    if reply.is_some() {
        return Err(FabricError::NotAsTold(format!("B reached {only_in_a}, which only A has")));
    }
    narrator.say(format_args!(
        "    B does not reach {only_in_a}, which only A has: no reply, as it must be"
    ));
    must_reach("A's web VM, still", first(&a.vms)?, only_in_a)?;
    narrator.show("switchctl show evpn vni     # on gw1", &fabric.gw1.show(&["evpn", "vni"])?);
    Ok(Background::start(web.pinger()?, server.address, BACKGROUND_INTERVAL))
}

fn delete_a(
    narrator: &Narrator,
    fabric: &Fabric,
    a: Tenant,
    background: Background,
    report: &mut Report,
) -> Result<(), FabricError> {
    fabric.hypervisor.unbridge(a.vni, &vm_ports(&a).each_ref().map(String::as_str))?;
    fabric.gw1.unbridge(a.vni, &["swp1"])?;
    fabric.gw2.unbridge(a.vni, &["swp1"])?;
    let vni = a.vni;
    drop(a);
    if !eventually(PATIENCE, || fabric.nothing_remains_of(vni))? {
        return Err(FabricError::NotAsTold(format!("VNI {vni} is still in a table")));
    }
    narrator.say("    no bridge, device, MAC or route of A on any switch");
    std::thread::sleep(AFTERMATH);
    let loss = background.stop().map_err(io_error("ping"))?;
    report.lost_packets = Some(loss.lost);
    narrator.say(format_args!("    B sent {} packets meanwhile and lost {}", loss.sent, loss.lost));
    narrator.show(
        "switchctl show bgp l2vpn evpn route     # on the spine: only B is left",
        &fabric.spine.show(&["bgp", "l2vpn", "evpn", "route"])?,
    );
    if loss.lost > 0 {
        return Err(FabricError::NotAsTold(format!(
            "B lost {} of {} packets",
            loss.lost, loss.sent
        )));
    }
    Ok(())
}

fn must_reach(who: &str, from: &Host, to: Ipv4Addr) -> Result<(), FabricError> {
    let reply = from.pinger()?.first_reply(to, PATIENCE).map_err(io_error("ping"))?;
    reply.map(drop).ok_or_else(|| FabricError::NotAsTold(format!("{who} does not reach {to}")))
}

fn first(hosts: &[Host]) -> Result<&Host, FabricError> {
    hosts.first().ok_or_else(|| FabricError::NotAsTold("the tenant has no machines".to_owned()))
}

fn vm_ports(tenant: &Tenant) -> [String; 3] {
    VMS.map(|vm| format!("{}-{vm}", tenant.name))
}

impl Fabric {
    fn switches(&self) -> [&Switch; 4] {
        [&self.spine, &self.gw1, &self.gw2, &self.hypervisor]
    }

    /// Ends of established sessions, on all switches.
    fn sessions(&self) -> usize {
        self.switches()
            .iter()
            .map(|switch| {
                let summary = switch.show_json(&["bgp", "l2vpn", "evpn", "summary"]);
                let peers = summary["peers"].as_object();
                peers
                    .into_iter()
                    .flat_map(|peers| peers.values())
                    .filter(|peer| peer["state"] == "Established")
                    .count()
            })
            .sum()
    }

    fn start_vms(&self, tenant: &mut Tenant) -> Result<(), FabricError> {
        let ports = vm_ports(tenant);
        for ((vm, port), number) in VMS.iter().zip(&ports).zip(1..) {
            let (address, mac) = vm_address(number);
            let host = Host::new(&format!("{}-{vm}", tenant.name), address)?;
            self.hypervisor.attach(port, &host, mac)?;
            tenant.vms.push(host);
        }
        self.hypervisor.bridge(tenant.vni, &ports.each_ref().map(String::as_str))?;
        let (web, db) = (first(&tenant.vms)?, tenant.vms.last());
        db.map_or(Ok(()), |db| must_reach("the web VM", web, db.address))
    }

    /// Waits until both gateways have heard of the tenant.
    fn wait_for_routes(&self, vni: u32) -> Result<(), FabricError> {
        let heard = eventually(PATIENCE, || {
            Ok([&self.gw1, &self.gw2].iter().all(|gateway| routes_mention(gateway, vni)))
        })?;
        if heard {
            Ok(())
        } else {
            Err(FabricError::NotAsTold(format!("no route of VNI {vni} reaches the gateways")))
        }
    }

    fn plug_server(
        &self,
        gateway: &Switch,
        port: &str,
        tenant: &mut Tenant,
        number: u8,
    ) -> Result<(), FabricError> {
        let (address, mac) = server_address(number);
        let host = Host::new(&format!("{}-server{number}", tenant.name), address)?;
        gateway.attach(port, &host, mac)?;
        tenant.servers.push(host);
        Ok(())
    }

    /// No link, VNI, MAC or route of the tenant, on any switch.
    fn nothing_remains_of(&self, vni: u32) -> Result<bool, FabricError> {
        let suffix = vni.to_string();
        for switch in self.switches() {
            let link_left = switch.link_names()?.iter().any(|name| name.ends_with(&suffix));
            let vni_left = !switch.show_json(&["evpn", "vni"])[&suffix].is_null();
            let mac_left = !switch.show_json(&["evpn", "mac", "vni", "all"])[&suffix].is_null();
            if link_left || vni_left || mac_left || routes_mention(switch, vni) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a route with the VNI's route target is in the switch's EVPN table.
fn routes_mention(switch: &Switch, vni: u32) -> bool {
    let routes = switch.show_json(&["bgp", "l2vpn", "evpn", "route"]);
    let target = format!(":{vni}");
    let is_target = |word: &str| word.starts_with("RT:") && word.ends_with(&target);
    routes
        .as_object()
        .into_iter()
        .flat_map(|rds| rds.values())
        .filter_map(|rd| rd.as_object())
        .flatten()
        .any(|(_, prefix)| {
            let paths = prefix["paths"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|group| group.as_array())
                .flatten();
            paths
                .filter_map(|path| path["extendedCommunity"]["string"].as_str())
                .any(|communities| communities.split_whitespace().any(is_target))
        })
}
