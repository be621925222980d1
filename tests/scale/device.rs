//! A device under test: which daemon, how it is configured, and what it costs.

use std::{
    fmt, fs,
    net::Ipv4Addr,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use lab::{
    Lab, Node, Result, ensure,
    peers::{Bird, Frr},
    switch::Switch,
};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::session::{Family, Session, Speaker};

pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
pub(crate) const ASN: u32 = 4_200_000_000;
/// All senders are in one AS: what one tells, the others are not told.
pub(crate) const SENDERS_ASN: u32 = 4_200_000_001;
pub(crate) const RECEIVERS_ASN: u32 = 4_200_000_002;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Switchd,
    Bird,
    Frr,
    /// No daemon: what the load, or the kernel, does alone.
    Nothing,
}

/// What a device is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role {
    pub(crate) family: Family,
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
    /// Routes go into the kernel.
    pub(crate) fib: bool,
    /// Seconds.
    pub(crate) hold_time: u16,
}

/// A running device and the namespace of the load beside it.
pub(crate) struct Device {
    node: Node,
    load: Node,
    role: Role,
    pids: Vec<String>,
    // Only to keep it running.
    _daemon: Daemon,
}

#[expect(dead_code, reason = "held until the end of the measurement, never looked at")]
enum Daemon {
    Switchd(Switch),
    Bird(Bird),
    Frr(Frr),
    Nothing,
}

/// CPU time and memory of all processes of a device.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Kilobytes now, and at most.
    pub(crate) rss: u64,
    pub(crate) peak: u64,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Switchd => "switchd",
            Self::Bird => "BIRD",
            Self::Frr => "FRR",
            Self::Nothing => "nothing",
        })
    }
}

impl Role {
    /// Relays routes of this family from `senders` to `receivers`.
    pub(crate) fn relay(family: Family, senders: usize, receivers: usize) -> Self {
        Self { family, senders, receivers, fib: false, hold_time: 0 }
    }
}

impl Device {
    /// Two namespaces with a cable between them, and the daemon in one.
    pub(crate) fn start(lab: &Lab, kind: Kind, role: Role) -> Result<Self> {
        let (node, load) = (lab.node("device")?, lab.node("load")?);
        lab.link(&node, "load0", &load, "device0")?;
        node.run(&format!("ip address add {ADDRESS}/16 dev load0"))?;
        let senders = (0..role.senders).map(sender);
        let addresses = senders.chain((0..role.receivers).map(receiver));
        let commands: Vec<String> =
            addresses.map(|address| format!("address add {address}/16 dev device0\n")).collect();
        load.batch("ip", &commands.concat())?;
        let daemon = match kind {
            Kind::Switchd => Daemon::Switchd(Switch::start(&node, &switchd(role))?),
            Kind::Bird => Daemon::Bird(Bird::start(&node, &bird(role))?),
            Kind::Frr if role.fib => Daemon::Frr(Frr::start(&node, &frr(role))?),
            Kind::Frr => Daemon::Frr(Frr::start_without_kernel(&node, &frr(role))?),
            Kind::Nothing => Daemon::Nothing,
        };
        let pids = host(&format!("ip netns pids {}", node.netns()))?;
        let pids: Vec<String> = pids.split_whitespace().map(String::from).collect();
        // A daemon that has the kernel work for it may use all CPUs, the others get one of their own.
        let cpus = if role.fib { format!("0-{}", cpus() - 1) } else { "0".into() };
        for pid in &pids {
            host(&format!("taskset -a -c -p {cpus} {pid}"))?;
        }
        Ok(Self { node, load, role, pids, _daemon: daemon })
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// The namespace of the load.
    pub(crate) fn load(&self) -> &Node {
        &self.load
    }

    /// Brings the sessions of all senders up.
    pub(crate) fn senders(&self) -> Result<Vec<Session>> {
        self.establish((0..self.role.senders).map(|number| (sender(number), SENDERS_ASN)))
    }

    /// Brings the sessions of all receivers up.
    pub(crate) fn receivers(&self) -> Result<Vec<Session>> {
        self.establish((0..self.role.receivers).map(|number| (receiver(number), RECEIVERS_ASN)))
    }

    fn establish(&self, ends: impl Iterator<Item = (Ipv4Addr, u32)>) -> Result<Vec<Session>> {
        let Role { family, hold_time, .. } = self.role;
        ends.map(|(address, asn)| {
            let speaker = Speaker { address, asn, family, hold_time };
            Session::establish(&self.load, speaker, ADDRESS)
        })
        .collect()
    }

    /// What the device has used since its start.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        for pid in &self.pids {
            usage.cpu += cpu_time(pid)?;
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            usage.rss += kilobytes(&status, "VmRSS:");
            usage.peak += kilobytes(&status, "VmHWM:");
        }
        Ok(usage)
    }

    /// What it has used by the time it has nothing more to do.
    pub(crate) fn usage_at_rest(&self) -> Result<Usage> {
        const TICK: Duration = Duration::from_millis(20);
        const QUIET_TICKS: usize = 15;
        const QUIET: Duration = Duration::from_micros(400);
        const PATIENCE: Duration = Duration::from_secs(120);
        let deadline = Instant::now() + PATIENCE;
        let (mut quiet, mut last) = (0, self.usage()?);
        while quiet < QUIET_TICKS {
            sleep(TICK);
            let now = self.usage()?;
            quiet = if now.cpu.saturating_sub(last.cpu) < QUIET { quiet + 1 } else { 0 };
            last = now;
            ensure!(Instant::now() < deadline, "the device does not come to rest");
        }
        Ok(last)
    }
}

/// The address of a sender.
pub(crate) fn sender(number: usize) -> Ipv4Addr {
    numbered(1, number)
}

fn receiver(number: usize) -> Ipv4Addr {
    numbered(2, number)
}

fn numbered(third: u8, number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, third, u8::try_from(number + 1).unwrap_or(u8::MAX))
}

/// The load, and all that it starts, runs on the last CPU; devices are then moved to the first.
pub(crate) fn pin_load() -> Result {
    let mut cpu = CpuSet::new();
    cpu.set(cpus() - 1)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cpu)?)
}

fn cpus() -> usize {
    // As it was at the first call: afterwards this process has only one.
    static CPUS: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *CPUS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Outside of every namespace of the lab, where no process of the suite is taken for one of the device's.
fn host(command: &str) -> Result<String> {
    let words: Vec<_> = command.split_whitespace().collect();
    let output = std::process::Command::new(words[0]).args(&words[1..]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// User and system time of all threads, from the scheduler, which counts nanoseconds where `stat` counts ticks of 10 ms.
fn cpu_time(pid: &str) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the two.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let on_cpu = text.split_whitespace().next().and_then(|word| word.parse().ok());
        total += Duration::from_nanos(on_cpu.unwrap_or_default());
    }
    Ok(total)
}

fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn switchd(role: Role) -> String {
    let family = match role.family {
        Family::Ipv4Unicast => "ipv4-unicast",
        Family::Evpn => "l2vpn-evpn",
    };
    let neighbor = |(address, asn)| {
        format!(
            "[[bgp.neighbor]]\naddress = \"{address}\"\nremote-as = {asn}\npassive = true\nfamilies = [\"{family}\"]\n"
        )
    };
    let hold_time = role.hold_time;
    let neighbors: String = neighbors(role).map(neighbor).collect();
    format!(
        "[bgp]\nasn = {ASN}\nrouter-id = \"{ADDRESS}\"\nfib = {}\nhold-time = {hold_time}\n{neighbors}",
        role.fib
    )
}

/// Whether the `bird` that would be started is at least 2.19.
pub(crate) fn bird_has_evpn() -> Result<bool> {
    let output = std::process::Command::new("bird").arg("--version").output()?;
    // On standard error, as "BIRD version 2.0.12".
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let version = said.split_whitespace().last().unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    Ok((numbers.next(), numbers.next()) >= (Some(2), Some(19)))
}

fn bird(role: Role) -> String {
    let kernel =
        if role.fib { "protocol kernel { ipv4 { import none; export all; }; }\n" } else { "" };
    let (table, channel) = match role.family {
        Family::Ipv4Unicast => ("", "ipv4 {"),
        Family::Evpn => ("evpn table macs;\n", "evpn { table macs; next hop keep;"),
    };
    let neighbor = |(number, (address, asn)): (usize, (Ipv4Addr, u32))| {
        let export = if asn == SENDERS_ASN { "none" } else { "all" };
        format!(
            "protocol bgp peer{number} {{ local {ADDRESS} as {ASN}; neighbor {address} as {asn}; passive on; \
             hold time {}; {channel} import all; export {export}; }}; }}\n",
            role.hold_time
        )
    };
    let neighbors: String = neighbors(role).enumerate().map(neighbor).collect();
    format!("router id {ADDRESS};\n{table}protocol device {{}}\n{kernel}{neighbors}")
}

fn frr(role: Role) -> String {
    let (family, deny) = match role.family {
        Family::Ipv4Unicast => ("ipv4 unicast", "route-map none out"),
        Family::Evpn => ("l2vpn evpn", "route-map none out"),
    };
    let (keepalive, hold) = (role.hold_time / 3, role.hold_time);
    let mut sessions = String::new();
    let mut activations = String::new();
    for (address, asn) in neighbors(role) {
        sessions += &format!(" neighbor {address} remote-as {asn}\n neighbor {address} passive\n");
        activations += &format!("  neighbor {address} activate\n");
        if asn == SENDERS_ASN {
            activations += &format!("  neighbor {address} {deny}\n");
        }
    }
    format!(
        "route-map none deny 10\nrouter bgp {ASN}\n bgp router-id {ADDRESS}\n no bgp ebgp-requires-policy\n \
         no bgp default ipv4-unicast\n timers bgp {keepalive} {hold}\n{sessions} address-family {family}\n\
         {activations} exit-address-family\n"
    )
}

fn neighbors(role: Role) -> impl Iterator<Item = (Ipv4Addr, u32)> {
    let senders = (0..role.senders).map(|number| (sender(number), SENDERS_ASN));
    senders.chain((0..role.receivers).map(|number| (receiver(number), RECEIVERS_ASN)))
}
