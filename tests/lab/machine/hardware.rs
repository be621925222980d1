//! The three kinds of emulated hardware, and none.

use super::cable::Port;

/// What a machine has instead of a switch chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// Nothing: a Linux machine.
    None,
    /// QEMU's switch chip: frames between its ports are switched outside of the guest. No VXLAN, ECMP, IPv6, LAG.
    Rocker {
        /// Names of the front panel ports.
        ports: Vec<String>,
    },
    /// The kernel's own simulator of an API without a data path.
    Netdevsim {
        /// Names of the ports.
        ports: Vec<String>,
    },
    /// Spectrum's own driver over a fake register bus; Linux forwards the packets. See `tests/lab/kernel/README.md`.
    Spectrum {
        /// Which chip the driver believes to have.
        chip: Chip,
        /// Names of the front panel ports.
        ports: Vec<String>,
    },
}

/// Generations of Spectrum that the driver tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// Spectrum-1.
    Spectrum1,
    /// Spectrum-2.
    Spectrum2,
    /// Spectrum-3.
    Spectrum3,
}

impl Hardware {
    /// A rocker with these front panel ports.
    pub fn rocker(ports: &[&str]) -> Self {
        Self::Rocker { ports: names(ports) }
    }

    /// A netdevsim with these ports.
    pub fn netdevsim(ports: &[&str]) -> Self {
        Self::Netdevsim { ports: names(ports) }
    }

    /// A Spectrum-2 with these front panel ports.
    pub fn spectrum(ports: &[&str]) -> Self {
        Self::Spectrum { chip: Chip::Spectrum2, ports: names(ports) }
    }

    /// Its ports' names, in the order of the front panel.
    pub fn ports(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::Rocker { ports } | Self::Netdevsim { ports } | Self::Spectrum { ports, .. } => {
                ports
            }
        }
    }

    /// Where port `index` ends.
    pub(super) fn far_end(&self, index: usize) -> FarEnd {
        match self {
            Self::Rocker { .. } => FarEnd::Qemu(rocker_port(index)),
            Self::Spectrum { .. } => FarEnd::Wire(format!("wire{}", index + 1)),
            Self::None | Self::Netdevsim { .. } => FarEnd::Nowhere,
        }
    }

    pub(super) fn qemu_ports(&self) -> Vec<Port> {
        match self {
            Self::Rocker { ports } => (0..ports.len()).map(rocker_port).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn qemu_arguments(&self, number: u8) -> Vec<String> {
        let Self::Rocker { ports } = self else { return Vec::new() };
        let list: String =
            (0..ports.len()).map(|i| format!(",ports[{i}]={}", rocker_port(i).netdev)).collect();
        vec![
            // QEMU 7.2 applies properties in the order of a hash: the length must be known before the members.
            "-global".into(),
            format!("rocker.len-ports={}", ports.len()),
            "-device".into(),
            format!("rocker,name={ROCKER},fp_start_macaddr=52:54:{number:02x}:ff:00:01{list}"),
        ]
    }

    /// Shell commands that load the driver and give the ports their names.
    pub(super) fn setup(&self, number: u8) -> Option<String> {
        let count = self.ports().len();
        let (load, prefix) = match self {
            Self::None => return None,
            Self::Rocker { .. } => ("modprobe rocker".to_owned(), format!("{ROCKER}p")),
            Self::Netdevsim { .. } => (
                format!(
                    "modprobe netdevsim; echo '{NETDEVSIM} {count}' >/sys/bus/netdevsim/new_device"
                ),
                "p".into(),
            ),
            Self::Spectrum { chip, .. } => {
                let kind = chip.kind();
                // The driver's three generations are one module.
                // Four lanes a port can be split; more ports have to do with one.
                let width = if count > 16 { 1 } else { 4 };
                let load = format!(
                    "modprobe mlxsw_spectrum; \
                     modprobe mlxfake kind={kind} ports={count} width={width} number={number}"
                );
                (load, "p".into())
            }
        };
        Some(format!("set -e; {load}; {}", self.naming(&prefix)))
    }

    /// Shell commands that give the ports the names that the test wants, from their numbers on the panel.
    pub(super) fn naming(&self, prefix: &str) -> String {
        let cases: String = self
            .ports()
            .iter()
            .zip(1..)
            .map(|(name, number)| {
                format!("{prefix}{number}) echo link set ${{d##*/}} name {name};; ")
            })
            .collect();
        format!(
            "for d in /sys/class/net/eth*; do \
             n=$(cat $d/phys_port_name 2>/dev/null) || n=; case $n in {cases}esac; done | ip -batch -"
        )
    }
}

/// What is at the other end of a front panel port.
#[derive(Debug)]
pub(super) enum FarEnd {
    /// A network client of QEMU.
    Qemu(Port),
    /// A device in the machine.
    Wire(String),
    /// The simulator moves no packets.
    Nowhere,
}

impl Chip {
    fn kind(self) -> &'static str {
        match self {
            Self::Spectrum1 => "mlxsw_spectrum",
            Self::Spectrum2 => "mlxsw_spectrum2",
            Self::Spectrum3 => "mlxsw_spectrum3",
        }
    }
}

fn rocker_port(index: usize) -> Port {
    Port { netdev: format!("rocker{}", index + 1), hub: ROCKER_HUBS + index }
}

fn names(ports: &[&str]) -> Vec<String> {
    ports.iter().map(|port| (*port).to_owned()).collect()
}

/// The rocker's name, as QMP's `query-rocker` wants it.
pub(super) const ROCKER: &str = "sw1";

/// The number in `/sys/kernel/debug/netdevsim/netdevsim10`.
pub(super) const NETDEVSIM: u32 = 10;

/// Hubs below belong to NICs.
const ROCKER_HUBS: usize = 100;
