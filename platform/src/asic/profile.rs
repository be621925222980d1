//! Which switch chip it is, under which driver and kernel, and what those can do.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::kernel::{Ifindex, Link, Vni, Vxlan};

/// The driver of the switch chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// NVIDIA Spectrum, generation 1 to 4 (`mlxsw_spectrum`, `mlxsw_spectrum2`, ...).
    MlxswSpectrum {
        /// 1 to 4.
        generation: u8,
    },
    /// QEMU's emulated switch.
    Rocker,
    /// The kernel's simulator of device interfaces, which forwards nothing.
    Netdevsim,
    /// Marvell AC3x, Aldrin2.
    Prestera,
    /// Microchip SparX-5.
    Sparx5,
    /// Another driver with switchdev, of which nothing is known here.
    Other,
    /// No switch chip.
    None,
}

impl Driver {
    /// By the kernel's name of the driver (`ethtool -i`, the `driver` link in sysfs) or of the chip
    /// (`spectrum2`). `None`: not a switch that is known here.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace(['-', ' '], "_");
        let spectrum = name.strip_prefix("mlxsw_").unwrap_or(&name).strip_prefix("spectrum");
        if let Some(generation) = spectrum {
            return match generation.trim_start_matches('_') {
                "" | "1" => Some(Self::MlxswSpectrum { generation: 1 }),
                "2" => Some(Self::MlxswSpectrum { generation: 2 }),
                "3" => Some(Self::MlxswSpectrum { generation: 3 }),
                "4" => Some(Self::MlxswSpectrum { generation: 4 }),
                _ => None,
            };
        }
        Some(match name.as_str() {
            "rocker" => Self::Rocker,
            "netdevsim" => Self::Netdevsim,
            "prestera" => Self::Prestera,
            "sparx5" | "sparx5_switch" => Self::Sparx5,
            "none" => Self::None,
            _ => return None,
        })
    }

    /// Whether it is a Spectrum.
    pub fn is_spectrum(self) -> bool {
        matches!(self, Self::MlxswSpectrum { .. })
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MlxswSpectrum { generation } => write!(f, "Spectrum-{generation}"),
            Self::Rocker => f.write_str("rocker"),
            Self::Netdevsim => f.write_str("netdevsim"),
            Self::Prestera => f.write_str("prestera"),
            Self::Sparx5 => f.write_str("SparX-5"),
            Self::Other => f.write_str("an unknown switch chip"),
            Self::None => f.write_str("no switch chip"),
        }
    }
}

/// The kernel's version, as far as drivers differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// 6 of 6.12.
    pub major: u16,
    /// 12 of 6.12.
    pub minor: u16,
}

impl KernelVersion {
    /// A version.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Text that names no kernel version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a kernel version; one looks like 6.12")]
pub struct NotAVersion(String);

impl FromStr for KernelVersion {
    type Err = NotAVersion;

    /// Reads `6.12` and `6.1.0-56-amd64`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u16>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(NotAVersion(text.to_owned())),
        }
    }
}

/// Which links are ports of the switch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ports {
    /// Those that have a switch id.
    #[default]
    WithSwitchId,
    /// Those of these numbers, which stand in for ports.
    Numbered(BTreeSet<Ifindex>),
    /// Those of these names, or all `swp*` if empty: on a machine without a switch.
    Named(BTreeSet<String>),
}

impl Ports {
    /// Whether a link is one.
    pub fn contains(&self, link: &Link) -> bool {
        match self {
            Self::WithSwitchId => link.is_switch_port(),
            Self::Numbered(numbers) => numbers.contains(&link.index),
            Self::Named(names) if names.is_empty() => {
                link.lower.is_none() && link.name.starts_with("swp")
            }
            Self::Named(names) => names.contains(&link.name),
        }
    }
}

/// A switch chip, its driver and its kernel: all that predictions depend on beside the kernel's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The driver.
    pub driver: Driver,
    /// The kernel that it is part of.
    pub kernel: KernelVersion,
    /// Which links are its ports.
    pub ports: Ports,
    /// How many groups of MACs its router interfaces may have (devlink resource `rif_mac_profiles`); `None`: not known.
    pub mac_profiles: Option<u32>,
}

/// What a driver does in hardware. `false` means: the kernel does it in software, or the driver refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Bridges.
    pub bridge: bool,
    /// Link aggregations.
    pub bond: bool,
    /// VXLAN devices, one per VNI.
    pub vxlan: bool,
    /// One VXLAN device for many VNIs.
    pub single_vxlan_device: bool,
    /// IPv4 routes.
    pub ipv4_routes: bool,
    /// IPv6 routes.
    pub ipv6_routes: bool,
    /// Nexthop objects.
    pub nexthop_objects: bool,
    /// Several ways for one route.
    pub ecmp: bool,
    /// Nexthop objects for FDB entries, which multihoming needs.
    pub fdb_nexthops: bool,
    /// Whether a route's `rt_offload` says that the hardware forwards. Rocker sets `offload` on routes to the CPU too.
    pub route_flag_is_true: bool,
    /// Filters that exist in hardware only (`skip_sw`).
    pub filters: bool,
}

impl Capabilities {
    const NONE: Self = Self {
        bridge: false,
        bond: false,
        vxlan: false,
        single_vxlan_device: false,
        ipv4_routes: false,
        ipv6_routes: false,
        nexthop_objects: false,
        ecmp: false,
        fdb_nexthops: false,
        route_flag_is_true: true,
        filters: false,
    };
}

impl Profile {
    /// The chip whose ports have a switch id.
    pub fn new(driver: Driver, kernel: KernelVersion) -> Self {
        let mac_profiles = (driver == Driver::MlxswSpectrum { generation: 1 }).then_some(1);
        Self { driver, kernel, ports: Ports::default(), mac_profiles }
    }

    /// The same, with other ports.
    #[must_use]
    pub fn with_ports(self, ports: Ports) -> Self {
        Self { ports, ..self }
    }

    /// What the driver does in hardware (read in Linux 6.1 and 6.12; Spectrum, rocker and netdevsim also run).
    pub fn capabilities(&self) -> Capabilities {
        let none = Capabilities::NONE;
        match self.driver {
            Driver::MlxswSpectrum { .. } => Capabilities {
                bridge: true,
                bond: true,
                vxlan: true,
                ipv4_routes: true,
                ipv6_routes: true,
                nexthop_objects: true,
                ecmp: true,
                filters: true,
                ..none
            },
            Driver::Rocker => {
                Capabilities { bridge: true, ipv4_routes: true, route_flag_is_true: false, ..none }
            }
            Driver::Prestera => Capabilities {
                bridge: true,
                bond: true,
                ipv4_routes: true,
                ipv6_routes: self.kernel >= KernelVersion::new(6, 12),
                nexthop_objects: true,
                ecmp: true,
                filters: true,
                ..none
            },
            Driver::Sparx5 => Capabilities {
                bridge: true,
                filters: self.kernel >= KernelVersion::new(6, 12),
                ..none
            },
            Driver::Netdevsim | Driver::Other | Driver::None => none,
        }
    }

    /// The VXLAN device for a VNI that this switch can take into hardware. Without a switch, the same one: software has no
    /// other wishes.
    pub fn vxlan(&self, vni: Vni, local: IpAddr) -> Vxlan {
        Vxlan::new(vni, local)
    }
}
