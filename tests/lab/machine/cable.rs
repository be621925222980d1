//! Cables between machines, their emulated hardware and namespaces, plugged while the machine runs.
//!
//! Every NIC of a machine, and every port of a rocker, is one end of a two-ended QEMU hub; plugging a cable adds the
//! other end. So a test joins what it has made, as it does with namespaces, and nothing is declared beforehand.

use serde_json::json;

use super::{Machine, Probe, SWITCH_NETNS, hardware::FarEnd};
use crate::{LabError, Node, Result, ensure, node};

/// A network client of QEMU that waits for a cable.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) netdev: String,
    pub(super) hub: usize,
}

/// One end of a cable, as a test names it.
#[derive(Clone, Copy)]
pub(crate) struct End<'a> {
    pub(crate) node: &'a Node,
    pub(crate) port: &'a str,
}

/// What an end turns out to be.
enum Socket {
    /// A device that exists in a machine and can be moved within it.
    Wire { machine: Machine, device: String },
    /// A port of QEMU.
    Qemu { machine: Machine, port: Port },
    /// To be made, in a namespace of the host.
    Host,
    /// To be made, in a namespace of a machine.
    Machine(Machine),
}

/// Joins two ends of which at least one is in a machine.
pub(crate) fn plug(left: End<'_>, right: End<'_>) -> Result {
    match (socket(left)?, socket(right)?) {
        (Socket::Machine(a), Socket::Machine(b)) if a.is(&b) => veth(left, right)?,
        (Socket::Wire { machine, device }, Socket::Machine(other)) if machine.is(&other) => {
            rename(&machine, &device, right)?;
        }
        (Socket::Machine(other), Socket::Wire { machine, device }) if machine.is(&other) => {
            rename(&machine, &device, left)?;
        }
        (Socket::Host, other) => host_cable(left, other, right)?,
        (other, Socket::Host) => host_cable(right, other, left)?,
        (a, b) => {
            let ((one, port), (other, far)) = (qemu_port(a, left)?, qemu_port(b, right)?);
            let paths = [one.cable_path(&port), other.cable_path(&far)];
            for (machine, port, local, remote) in
                [(&one, &port, &paths[0], &paths[1]), (&other, &far, &paths[1], &paths[0])]
            {
                machine.plug(port, &datagrams(local, remote))?;
            }
        }
    }
    for end in [left, right] {
        end.node.run(&format!("ip link set {} up", end.port))?;
    }
    Ok(())
}

/// Plugs the test itself into a port of a machine.
pub(crate) fn probe(end: End<'_>) -> Result<Probe> {
    let name = format!("{} of {}", end.port, end.node.name());
    let (machine, port) = qemu_port(socket(end)?, end)?;
    let path = machine.cable_path(&port);
    let own = format!("{path}-probe");
    let probe = Probe::bind(name, &own, path.clone())?;
    machine.plug(&port, &datagrams(&path, &own))?;
    end.node.run(&format!("ip link set {} up", end.port))?;
    Ok(probe)
}

/// A backend of QEMU: each frame is one datagram of a unix socket.
fn datagrams(local: &str, remote: &str) -> serde_json::Value {
    json!({
        "type": "dgram",
        "local": { "type": "unix", "path": local },
        "remote": { "type": "unix", "path": remote },
    })
}

fn socket(end: End<'_>) -> Result<Socket> {
    let Some(machine) = end.node.machine() else { return Ok(Socket::Host) };
    let index = machine.hardware().ports().iter().position(|name| name == end.port);
    let machine = machine.clone();
    let Some(index) = index.filter(|_| end.node.netns() == SWITCH_NETNS) else {
        return Ok(Socket::Machine(machine));
    };
    match machine.hardware().far_end(index) {
        FarEnd::Qemu(port) => Ok(Socket::Qemu { machine, port }),
        FarEnd::Wire(device) => Ok(Socket::Wire { machine, device }),
        FarEnd::Nowhere => Err(LabError::Unexpected(format!(
            "{} of {} moves no packets: nothing can be plugged in",
            end.port,
            machine.name()
        ))),
    }
}

/// Run in the left end's namespace: elsewhere, a device of that name would be in the way.
fn veth(left: End<'_>, right: End<'_>) -> Result {
    let (port, far, netns) = (left.port, right.port, right.node.netns());
    let command = format!("ip link add {port} type veth peer name {far} netns {netns}");
    left.node.run(&command).map(drop)
}

/// Makes a device of the machine's own namespace the `end`.
fn rename(machine: &Machine, device: &str, end: End<'_>) -> Result {
    let command = format!("ip link set {device} name {} netns {}", end.port, end.node.netns());
    machine.switch().run(&command).map(drop)
}

/// From a namespace of the host to something in a machine: a TAP, moved to where it belongs.
fn host_cable(host: End<'_>, socket: Socket, end: End<'_>) -> Result {
    let (machine, port) = qemu_port(socket, end)?;
    let tap = machine.tap_name(&port);
    machine.plug(
        &port,
        &json!({ "type": "tap", "ifname": tap, "script": "no", "downscript": "no" }),
    )?;
    let netns = host.node.netns();
    node::host(&format!("ip link set {tap} down name {} netns {netns}", host.port)).map(drop)
}

/// The QEMU port that leads to `end`; for what is only in the machine, a NIC is put before it.
fn qemu_port(socket: Socket, end: End<'_>) -> Result<(Machine, Port)> {
    match socket {
        Socket::Qemu { machine, port } => Ok((machine, port)),
        Socket::Machine(machine) => {
            let (port, device) = machine.take_nic()?;
            rename(&machine, &device, end)?;
            Ok((machine, port))
        }
        Socket::Wire { machine, device } => {
            let (port, nic) = machine.take_nic()?;
            splice(&machine, &device, &nic)?;
            Ok((machine, port))
        }
        Socket::Host => Err(LabError::Unexpected("a host's end has no QEMU port".into())),
    }
}

/// Makes two devices of a machine one cable: what arrives at one leaves by the other, whatever it is (a bridge would
/// keep LLDP and BPDUs to itself).
fn splice(machine: &Machine, one: &str, other: &str) -> Result {
    let mut commands = String::from("set -e\n");
    for (from, to) in [(one, other), (other, one)] {
        commands += &format!(
            "ip link set {from} up promisc on\ntc qdisc add dev {from} clsact\n\
             tc filter add dev {from} ingress matchall action mirred egress redirect dev {to}\n"
        );
    }
    machine.switch().run_words(&["sh", "-c", &commands]).map(drop)
}

impl Machine {
    /// Cuts the cable at a front panel port: its link goes down.
    ///
    /// # Errors
    /// There is no such port, or nothing can be plugged into it.
    pub fn cut(&self, port: &str) -> Result {
        self.set_link(port, false)
    }

    /// Mends what [`Machine::cut`] has cut.
    ///
    /// # Errors
    /// There is no such port.
    pub fn mend(&self, port: &str) -> Result {
        self.set_link(port, true)
    }

    fn set_link(&self, port: &str, up: bool) -> Result {
        match socket(End { node: &self.switch(), port })? {
            Socket::Qemu { port, .. } => {
                self.qmp("set_link", &json!({ "name": port.netdev, "up": up })).map(drop)
            }
            Socket::Wire { device, .. } => {
                let state = if up { "up" } else { "down" };
                self.switch().run(&format!("ip link set {device} {state}")).map(drop)
            }
            Socket::Host | Socket::Machine(_) => {
                Err(LabError::Unexpected(format!("{} has no front panel port {port}", self.name())))
            }
        }
    }

    /// A NIC that nobody uses yet, and its device's name in the machine.
    fn take_nic(&self) -> Result<(Port, String)> {
        let index = self.next_nic();
        ensure!(
            index < self.sockets(),
            "{} has only {} sockets for cables",
            self.name(),
            self.sockets()
        );
        let links = self.switch().json("ip -j link show")?;
        let mac = nic_mac(self.number(), index);
        let device = links
            .as_array()
            .into_iter()
            .flatten()
            .find(|link| link["address"] == mac.as_str())
            .and_then(|link| link["ifname"].as_str());
        ensure!(device.is_some(), "{} has no NIC {mac}", self.name());
        Ok((nic(index), device.unwrap_or_default().to_owned()))
    }
}

pub(super) fn nic(index: usize) -> Port {
    Port { netdev: format!("nic{index}"), hub: index }
}

pub(super) fn nic_mac(machine: u8, index: usize) -> String {
    format!("52:54:{machine:02x}:00:00:{index:02x}")
}
