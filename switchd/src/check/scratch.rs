//! A scratch network namespace: what of this machine matters is put there, a command is run, and what the kernel holds in
//! the end is read. When the thread ends, the kernel takes all of it away. The command has this machine's files; of its
//! network it sees nothing.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, unshare};
use platform::asic::{Order, Ports, Profile, Violation, port_left};
use platform::kernel::{
    Change, Dataplane as _, Ifindex, KernelError, LinkKind, LinkSettings, Model, Monitor, NewLink,
    Object, Socket,
};

use super::CheckError;
use super::copy::{Plan, Renumber, plan};

/// What came of a command.
pub(super) struct Trial {
    /// What the kernel holds in the end.
    pub(super) model: Model,
    /// The switch, with the stand-ins as its ports.
    pub(super) profile: Profile,
    /// What was wrong on the way.
    pub(super) too_early: Vec<Violation>,
    pub(super) status: ExitStatus,
    /// What of this machine is not there, and why.
    pub(super) not_copied: Vec<String>,
}

/// Runs the command in a namespace of its own.
pub(super) fn try_out(
    model: &Model,
    profile: &Profile,
    command: &[OsString],
) -> Result<Trial, CheckError> {
    let (plan, profile, command) = (plan(model, profile), profile.clone(), command.to_vec());
    let body = move || {
        enter()?;
        Scratch::build(plan)?.run(profile, &command)
    };
    let io = |doing| {
        move |error: io::Error| CheckError::Scratch {
            doing,
            errno: Errno::from_raw(error.raw_os_error().unwrap_or_default()),
        }
    };
    let thread = thread::Builder::new().name("scratch".to_owned()).spawn(body);
    thread.map_err(io("start a thread"))?.join().map_err(|_| CheckError::Lost)?
}

/// Moves this thread into new namespaces: of the network, and of mounts, so that `/sys` shows the new network, and tools
/// that keep notes of what they configured begin with none.
fn enter() -> Result<(), CheckError> {
    let failed = |doing| move |errno| CheckError::Scratch { doing, errno };
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(failed("unshare"))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .map_err(failed("detach mounts"))?;
    umount2("/sys", MntFlags::MNT_DETACH).ok();
    mount(Some("scratch"), "/sys", Some("sysfs"), MsFlags::empty(), none)
        .map_err(failed("mount /sys"))?;
    for notes in NOTES {
        // Only where there is such a tool.
        mount(Some("scratch"), notes, Some("tmpfs"), MsFlags::empty(), none).ok();
    }
    Ok(())
}

/// Where ifupdown and ifupdown2 note what they have configured.
const NOTES: [&str; 3] = ["/run/network", "/var/tmp/network", "/var/lib/ifupdown2"];

struct Scratch {
    socket: Socket,
    /// This machine's numbers of links to the scratch namespace's.
    numbers: HashMap<Ifindex, Ifindex>,
    ports: BTreeSet<Ifindex>,
    not_copied: Vec<String>,
}

impl Scratch {
    fn build(plan: Plan) -> Result<Self, CheckError> {
        let socket = Socket::open()?;
        let mut scratch = Self {
            socket,
            numbers: HashMap::new(),
            ports: BTreeSet::new(),
            not_copied: Vec::new(),
        };
        let lo = scratch.number_of("lo")?;
        scratch.up(lo)?;
        for (number, link) in plan.links {
            let name = link.name.clone();
            match scratch.make(link)? {
                Ok(made) => drop(scratch.numbers.insert(number, made)),
                Err(why) => scratch.not_copied.push(format!("{name}: {why}")),
            }
        }
        for (member, master) in plan.members {
            let master = LinkSettings { master: scratch.number(master), ..LinkSettings::default() };
            if master.master.is_some() {
                scratch.change(member, &master)?;
            }
        }
        for (port, settings) in plan.port_settings {
            scratch.change(port, &LinkSettings { port: settings, ..LinkSettings::default() })?;
        }
        let number = |index| scratch.numbers.get(&index).copied();
        let vlans = plan.vlans.into_iter().filter_map(|it| it.renumber(number));
        let surplus = plan.surplus_vlans.into_iter().filter_map(|it| it.renumber(number));
        let vlans: Vec<Change> = vlans
            .map(|vlan| Change::Create(Object::BridgeVlan(vlan)))
            .chain(surplus.map(|vlan| Change::Delete(Object::BridgeVlan(vlan))))
            .collect();
        scratch.apply(&vlans);
        for index in plan.up {
            if let Some(index) = scratch.number(index) {
                scratch.up(index)?;
            }
        }
        let number = |index| scratch.numbers.get(&index).copied();
        let addresses =
            plan.addresses.into_iter().filter_map(|it| it.renumber(number)).map(Object::Address);
        let rules = plan.rules.into_iter().map(Object::Rule);
        let nexthops =
            plan.nexthops.into_iter().filter_map(|it| it.renumber(number)).map(Object::Nexthop);
        let others: Vec<Change> =
            addresses.chain(rules).chain(nexthops).map(Change::Create).collect();
        scratch.apply(&others);
        scratch.ports = plan.ports.iter().filter_map(|port| scratch.number(*port)).collect();
        Ok(scratch)
    }

    /// Makes a link. The inner error is one to live with.
    fn make(&mut self, link: NewLink) -> Result<Result<Ifindex, String>, CheckError> {
        let name = link.name.clone();
        let numbers = &self.numbers;
        let Some(link) = link.renumber(|index| numbers.get(&index).copied()) else {
            return Ok(Err("what it stands on is not there".to_owned()));
        };
        let made = match self.socket.create_link(&link) {
            Err(KernelError::LinkRefused { errno: Errno::EOPNOTSUPP, .. })
                if link.kind == LinkKind::Dummy =>
            {
                self.make_pair(&link)
            }
            answer => answer,
        };
        match made {
            Ok(()) => self.number_of(&name).map(Ok),
            // The kernel made it, as it does some tunnels in every namespace.
            Err(KernelError::LinkRefused { errno: Errno::EEXIST, .. }) => {
                self.number_of(&name).map(Ok)
            }
            Err(error @ KernelError::LinkRefused { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the kernel has no dummy: one end of a pair, with the other end up, so that it has a carrier.
    fn make_pair(&mut self, link: &NewLink) -> Result<(), KernelError> {
        let peer = format!("~{}", self.numbers.len());
        let near = NewLink::veth(&link.name, &peer, None).with(link.settings.clone());
        self.socket.create_link(&near)?;
        match self.socket.link_named(&peer)? {
            Some(peer) => self.socket.change_link(
                peer.index,
                &LinkSettings { up: Some(true), ..LinkSettings::default() },
            ),
            None => Ok(()),
        }
    }

    fn number(&self, index: Ifindex) -> Option<Ifindex> {
        self.numbers.get(&index).copied()
    }

    fn number_of(&mut self, name: &str) -> Result<Ifindex, CheckError> {
        Ok(self.socket.link_named(name)?.map(|link| link.index).unwrap_or_default())
    }

    fn up(&mut self, index: Ifindex) -> Result<(), CheckError> {
        let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
        let answer = self.socket.change_link(index, &up);
        self.note(answer)
    }

    fn change(&mut self, index: Ifindex, settings: &LinkSettings) -> Result<(), CheckError> {
        let Some(index) = self.number(index) else { return Ok(()) };
        let answer = self.socket.change_link(index, settings);
        self.note(answer)
    }

    fn note(&mut self, answer: Result<(), KernelError>) -> Result<(), CheckError> {
        match answer {
            Err(error @ KernelError::Refused { .. }) => {
                self.not_copied.push(error.to_string());
                Ok(())
            }
            answer => Ok(answer?),
        }
    }

    /// What is to be deleted may well not be there.
    fn apply(&mut self, changes: &[Change]) {
        let answers = self.socket.apply(changes);
        let refused = changes.iter().zip(answers).filter_map(|(change, answer)| match change {
            Change::Delete(_) => None,
            _ => answer.err().map(|error| error.to_string()),
        });
        self.not_copied.extend(refused);
    }

    fn run(mut self, profile: Profile, command: &[OsString]) -> Result<Trial, CheckError> {
        let profile = profile.with_ports(Ports::Numbered(self.ports));
        let (mut monitor, _stop) = Monitor::open()?;
        let before = self.socket.snapshot()?;
        let mut order = Order::new(before.clone(), profile.clone());
        let mut child = start(command)?;
        let followed = follow(&mut monitor, &mut order, &mut child);
        let status = child.wait().map_err(|error| failed(command, error))?;
        match followed {
            // Then only what is there in the end is known.
            Ok(()) | Err(KernelError::Overrun) => {}
            Err(error) => return Err(error.into()),
        }
        let model = self.socket.snapshot()?;
        let Ports::Numbered(ports) = &profile.ports else { return Err(CheckError::NoPorts) };
        let gone = ports.iter().filter(|port| model.link(**port).is_none());
        let gone = gone.filter_map(|port| before.link(*port)).map(port_left);
        let too_early = gone.chain(order.violations().cloned()).collect();
        Ok(Trial { model, profile, too_early, status, not_copied: self.not_copied })
    }
}

/// Its output goes where errors go: ours is for the report.
fn start(command: &[OsString]) -> Result<Child, CheckError> {
    let (program, arguments) = command.split_first().ok_or(CheckError::Lost)?;
    let output =
        io::stderr().as_fd().try_clone_to_owned().map_err(|error| failed(command, error))?;
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::from(output))
        .spawn()
        .map_err(|error| failed(command, error))
}

fn failed(command: &[OsString], error: io::Error) -> CheckError {
    let command = command.first().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    CheckError::Command { command, error }
}

/// Takes in notifications until the command has ended and nothing more comes.
fn follow(monitor: &mut Monitor, order: &mut Order, child: &mut Child) -> Result<(), KernelError> {
    loop {
        let has_ended = !matches!(child.try_wait(), Ok(None));
        let patience: u8 = if has_ended { 0 } else { 50 };
        let mut fds = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, patience) {
            Ok(0) if has_ended => return Ok(()),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => {
                for notification in monitor.receive()?.unwrap_or_default() {
                    order.handle(notification);
                }
            }
            Err(errno) => return Err(KernelError::Io { operation: "poll", errno }),
        }
    }
}
