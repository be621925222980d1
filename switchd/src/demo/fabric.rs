//! The demo's fabric: a spine and three VTEPs, each a network namespace with a switchd of this same binary; hosts on
//! their ports.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser as _;
use ipnet::{IpNet, Ipv4Net};
use platform::kernel::{
    Address, Bridge, Change, Dataplane as _, KernelError, LinkKind, LinkSettings, MacAddr, NewLink,
    NotAVni, Object, Socket, Vni, Vxlan,
};

use super::namespace::{Namespace, NamespaceError};
use super::ping::Pinger;
use crate::ctl;

/// The underlay carries tenants' full-size packets and 50 octets of VXLAN around them.
const UNDERLAY_MTU: u32 = 1600;

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FabricError {
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Vni(#[from] NotAVni),
    #[error("link {0} is not there although it was just made")]
    NoLink(String),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("switchctl on {switch}: {reason}")]
    Ctl { switch: String, reason: String },
    #[error("{0}")]
    NotAsTold(String),
}

pub(super) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> FabricError {
    let what = what.into();
    move |source| FabricError::Io { what, source }
}

/// Waits until `condition` holds; false when it does not within `limit`.
pub(super) fn eventually(
    limit: Duration,
    mut condition: impl FnMut() -> Result<bool, FabricError>,
) -> Result<bool, FabricError> {
    let deadline = Instant::now() + limit;
    loop {
        if condition()? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A switch: a namespace with a switchd in it.
#[derive(Debug)]
pub(super) struct Switch {
    namespace: Namespace,
    pub(super) loopback: Ipv4Addr,
    directory: PathBuf,
    process: Option<Child>,
}

/// A machine on a switch port: a tenant's VM or a physical server.
#[derive(Debug)]
pub(super) struct Host {
    namespace: Namespace,
    pub(super) address: Ipv4Addr,
}

impl Switch {
    pub(super) fn new(
        name: &str,
        loopback: Ipv4Addr,
        directory: &Path,
    ) -> Result<Self, FabricError> {
        let namespace = Namespace::new(name)?;
        namespace
            .sysctl("net/ipv4/ip_forward", "1")?
            .map_err(io_error("cannot switch on IPv4 forwarding"))?;
        namespace.run(move |kernel| {
            let lo = index_of(kernel, "lo")?;
            kernel.change_link(lo, &LinkSettings { up: Some(true), ..LinkSettings::default() })?;
            add_address(kernel, lo, Ipv4Net::new_assert(loopback, 32))
        })??;
        let directory = directory.join(name);
        fs::create_dir(&directory)
            .map_err(io_error(format!("cannot create {}", directory.display())))?;
        Ok(Self { namespace, loopback, directory, process: None })
    }

    pub(super) fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Connects two switches: `10.1.<link>.1` here, `10.1.<link>.2` there.
    pub(super) fn connect(
        &self,
        port: &str,
        other: &Self,
        other_port: &str,
        link: u8,
    ) -> Result<(), FabricError> {
        let cable = Cable {
            port: port.to_owned(),
            far_port: other_port.to_owned(),
            mtu: UNDERLAY_MTU,
            mac: None,
        };
        self.plug(cable, &other.namespace)?;
        self.number(port, Ipv4Addr::new(10, 1, link, 1))?;
        other.number(other_port, Ipv4Addr::new(10, 1, link, 2))
    }

    fn number(&self, port: &str, address: Ipv4Addr) -> Result<(), FabricError> {
        let port = port.to_owned();
        self.namespace.run(move |kernel| {
            let index = index_of(kernel, &port)?;
            add_address(kernel, index, Ipv4Net::new_assert(address, 30))
        })?
    }

    /// Plugs a host into a port.
    pub(super) fn attach(&self, port: &str, host: &Host, mac: MacAddr) -> Result<(), FabricError> {
        let cable =
            Cable { port: port.to_owned(), far_port: "eth0".to_owned(), mtu: 1500, mac: Some(mac) };
        self.plug(cable, &host.namespace)?;
        let address = host.address;
        host.namespace.run(move |kernel| {
            let index = index_of(kernel, "eth0")?;
            add_address(kernel, index, Ipv4Net::new_assert(address, 24))
        })??;
        // Ask again for an unanswered ARP every 10 ms, not every second: the demo measures the network, not this timer.
        host.namespace
            .sysctl("net/ipv4/neigh/eth0/retrans_time_ms", "10")?
            .map_err(io_error("cannot set the ARP timer"))
    }

    fn plug(&self, cable: Cable, far: &Namespace) -> Result<(), FabricError> {
        let Cable { port, far_port, mtu, mac } = cable;
        let far_namespace = platform::kernel::Namespace::Fd(far.as_fd().as_raw_fd());
        let near = LinkSettings { up: Some(true), mtu: Some(mtu), ..LinkSettings::default() };
        let settings = LinkSettings { mac, ..near.clone() };
        let link = NewLink::veth(port, far_port.clone(), Some(far_namespace)).with(near);
        self.namespace.run(move |kernel| kernel.create_link(&link))??;
        far.run(move |kernel| {
            let index = index_of(kernel, &far_port)?;
            Ok(kernel.change_link(index, &settings)?)
        })?
    }

    /// The operator's intent: these ports and this VNI are one network. What `ip link add` would do.
    pub(super) fn bridge(&self, vni: u32, ports: &[&str]) -> Result<(), FabricError> {
        let ports: Vec<String> = ports.iter().map(|port| (*port).to_owned()).collect();
        let local = self.loopback;
        let vni = Vni::try_from(vni)?;
        self.namespace.run(move |kernel| {
            let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
            let bridge_name = format!("br{vni}");
            let device_name = format!("vxlan{vni}");
            let bridge = Bridge { multicast_snooping: false, ..Bridge::default() };
            kernel.create_link(
                &NewLink::new(&bridge_name, LinkKind::Bridge(bridge)).with(up.clone()),
            )?;
            let bridge = index_of(kernel, &bridge_name)?;
            let into_bridge = LinkSettings { master: Some(bridge), ..up };
            let vxlan = Vxlan::new(vni, local.into());
            kernel.create_link(&NewLink::vxlan(&device_name, vxlan).with(into_bridge.clone()))?;
            for port in &ports {
                let index = index_of(kernel, port)?;
                kernel.change_link(index, &into_bridge)?;
            }
            Ok(())
        })?
    }

    /// Takes a VNI's bridge and VXLAN device, and these ports, away.
    pub(super) fn unbridge(&self, vni: u32, ports: &[&str]) -> Result<(), FabricError> {
        let names: Vec<String> = ports
            .iter()
            .map(|port| (*port).to_owned())
            .chain([format!("vxlan{vni}"), format!("br{vni}")])
            .collect();
        self.namespace.run(move |kernel| {
            for name in names {
                let index = index_of(kernel, &name)?;
                kernel.delete_link(index)?;
            }
            Ok(())
        })?
    }

    /// The names of the switch's links, as the kernel has them.
    pub(super) fn link_names(&self) -> Result<Vec<String>, FabricError> {
        self.namespace
            .run(|kernel| Ok(kernel.snapshot()?.links().map(|link| link.name.clone()).collect()))?
    }

    /// Starts this binary as the switch's switchd.
    pub(super) fn start(
        &mut self,
        asn: u32,
        neighbors: &[(Ipv4Addr, u32)],
    ) -> Result<(), FabricError> {
        let config = self.directory.join("switchd.toml");
        fs::write(&config, configuration(asn, self.loopback, neighbors))
            .map_err(io_error("cannot write switchd.toml"))?;
        let log = File::create(self.log()).map_err(io_error("cannot create the log"))?;
        let program = std::env::current_exe().map_err(io_error("cannot find this program"))?;
        let socket = self.socket();
        let process = self.namespace.run(move |_| {
            // setpriv (util-linux, on every Debian): the switch does not outlive a demo that was killed.
            Command::new("setpriv")
                .args(["--pdeathsig", "KILL", "--"])
                .arg(program)
                .arg("--config")
                .arg(config)
                .arg("--socket")
                .arg(socket)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
        })?;
        self.process = Some(process.map_err(io_error("cannot start switchd"))?);
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("switchd.sock")
    }

    /// Where the switch's switchd logs.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("switchd.log")
    }

    /// What `switchctl show ...` prints here.
    pub(super) fn show(&self, words: &[&str]) -> Result<String, FabricError> {
        let failed = |reason: String| FabricError::Ctl { switch: self.name().to_owned(), reason };
        let socket = self.socket();
        let fixed = ["switchctl", "--socket", socket.to_str().unwrap_or_default(), "show"];
        let arguments = ctl::Arguments::try_parse_from(fixed.iter().chain(words))
            .map_err(|error| failed(error.to_string()))?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(io_error("cannot start a runtime"))?
            .block_on(ctl::answer(arguments))
            .map_err(|error| failed(error.to_string()))
    }

    /// The same as JSON; null while switchd does not answer yet.
    pub(super) fn show_json(&self, words: &[&str]) -> serde_json::Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        self.show(&words).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    pub(super) fn pinger(&self) -> Result<Pinger, FabricError> {
        self.namespace.run(|_| Pinger::new())?.map_err(io_error("cannot open an ICMP socket"))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Already ended is as good.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Host {
    pub(super) fn new(name: &str, address: Ipv4Addr) -> Result<Self, FabricError> {
        let namespace = Namespace::new(name)?;
        // Only what the story speaks of is on the wire.
        namespace
            .sysctl("net/ipv6/conf/default/disable_ipv6", "1")?
            .map_err(io_error("cannot switch IPv6 off"))?;
        Ok(Self { namespace, address })
    }

    pub(super) fn pinger(&self) -> Result<Pinger, FabricError> {
        self.namespace.run(|_| Pinger::new())?.map_err(io_error("cannot open an ICMP socket"))
    }

    /// Echo requests that came in, by the kernel's own count.
    pub(super) fn echo_requests(&self) -> Result<u64, FabricError> {
        let text = self
            .namespace
            .run(|_| fs::read_to_string("/proc/thread-self/net/snmp"))?
            .map_err(io_error("cannot read ICMP counters"))?;
        let mut lines = text.lines().filter(|line| line.starts_with("Icmp:"));
        let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        names
            .split_whitespace()
            .zip(values.split_whitespace())
            .find(|(name, _)| *name == "InEchos")
            .and_then(|(_, value)| value.parse().ok())
            .ok_or_else(|| FabricError::NotAsTold("the kernel has no InEchos counter".to_owned()))
    }
}

struct Cable {
    port: String,
    far_port: String,
    mtu: u32,
    /// Of the far end.
    mac: Option<MacAddr>,
}

fn index_of(kernel: &mut Socket, name: &str) -> Result<u32, FabricError> {
    kernel
        .link_named(name)?
        .map(|link| link.index)
        .ok_or_else(|| FabricError::NoLink(name.to_owned()))
}

fn add_address(kernel: &mut Socket, ifindex: u32, prefix: Ipv4Net) -> Result<(), FabricError> {
    let address = Address::new(ifindex, IpNet::V4(prefix));
    kernel
        .apply(&[Change::Create(Object::Address(address))])
        .into_iter()
        .collect::<Result<(), _>>()?;
    Ok(())
}

/// Without a session keeper: it would outlive the demo by the hold time.
fn configuration(asn: u32, router_id: Ipv4Addr, neighbors: &[(Ipv4Addr, u32)]) -> String {
    let head = format!(
        "[bgp]\nasn = {asn}\nrouter-id = \"{router_id}\"\nredistribute = [\"connected\"]\nconnect-retry = 1\nnon-stop-routing = false\n\n[evpn]\nadvertise-all-vni = true\n"
    );
    let tables = neighbors.iter().map(|(address, remote_as)| {
        format!(
            "\n[[bgp.neighbor]]\naddress = \"{address}\"\nremote-as = {remote_as}\nfamilies = [\"ipv4-unicast\", \"l2vpn-evpn\"]\n"
        )
    });
    std::iter::once(head).chain(tables).collect()
}
