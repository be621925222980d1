//! What the operator should know and can mend: each with a name, a sentence and the command that mends it.

use std::fmt;
use std::net::IpAddr;

use bgp::types::MacAddr;
use platform::kernel::Vni;

/// Something that keeps a part of the overlay from working as it was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A second VXLAN device carries the VNI, in another bridge or VLAN.
    VniCarriedTwice {
        /// The VNI.
        vni: Vni,
        /// The device that is ignored.
        device: String,
        /// The device that is used.
        serves: String,
    },
    /// One broadcast domain, a VLAN of a bridge or a bridge without VLANs, has a second VNI.
    TwoVnisInOneDomain {
        /// The VNI that is ignored.
        vni: Vni,
        /// Its device.
        device: String,
        /// The bridge.
        bridge: String,
        /// The VLAN, where the bridge has VLANs.
        vlan: Option<u16>,
        /// The device that is used.
        serves: String,
    },
    /// A VXLAN device in a bridge has no source address, so that no one could send to it.
    NoLocalAddress {
        /// Its VNI; `None` of a device for many.
        vni: Option<Vni>,
        /// The device.
        device: String,
    },
    /// The source address of a VXLAN device is on no link of this machine.
    ForeignLocalAddress {
        /// The device.
        device: String,
        /// The address.
        address: IpAddr,
    },
    /// The kernel learns remote MACs from packets, beside what EVPN says.
    KernelLearning {
        /// The device.
        device: String,
    },
    /// A VXLAN device in a bridge has a VNI that is none: 0 or 16777215.
    NoVni {
        /// The device.
        device: String,
    },
    /// A VXLAN device in a bridge with VLANs carries none of them.
    NoVlan {
        /// Its VNI; `None` of a device for many.
        vni: Option<Vni>,
        /// The device.
        device: String,
    },
    /// One VXLAN device for many VNIs in a bridge that does not tell VLANs apart.
    SharedDeviceWithoutVlans {
        /// The device.
        device: String,
        /// Its bridge.
        bridge: String,
    },
    /// A remote VTEP says that a MAC is static there, and it is seen here.
    StaticElsewhere {
        /// In which VNI.
        vni: Vni,
        /// The MAC.
        mac: MacAddr,
        /// Where it is said to be.
        vtep: IpAddr,
        /// Where it is seen.
        port: String,
    },
    /// All 65536 automatic route distinguishers are taken.
    NoRouteDistinguisher {
        /// The VNI that is not served.
        vni: Vni,
    },
}

impl Problem {
    /// Its name, for programs: stable, and one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::VniCarriedTwice { .. } => "vni-carried-twice",
            Self::TwoVnisInOneDomain { .. } => "two-vnis-in-one-domain",
            Self::NoLocalAddress { .. } => "vxlan-without-local-address",
            Self::ForeignLocalAddress { .. } => "vxlan-local-address-not-ours",
            Self::KernelLearning { .. } => "vxlan-learning",
            Self::NoVni { .. } => "vxlan-without-vni",
            Self::NoVlan { .. } => "vxlan-without-vlan",
            Self::SharedDeviceWithoutVlans { .. } => "single-vxlan-device-without-vlans",
            Self::StaticElsewhere { .. } => "mac-static-elsewhere",
            Self::NoRouteDistinguisher { .. } => "no-route-distinguisher",
        }
    }

    /// The command that mends it, or that shows more.
    pub fn remedy(&self) -> String {
        match self {
            Self::VniCarriedTwice { device, .. }
            | Self::TwoVnisInOneDomain { device, vlan: None, .. } => {
                format!("ip link set dev {device} nomaster")
            }
            Self::TwoVnisInOneDomain { device, vlan: Some(vlan), .. } => {
                format!("bridge vlan delete dev {device} vid {vlan}")
            }
            Self::NoLocalAddress { device, .. } => {
                format!("ip link set dev {device} type vxlan local ADDRESS")
            }
            Self::ForeignLocalAddress { address, .. } => format!("ip address add {address} dev lo"),
            Self::KernelLearning { device, .. } => {
                format!("ip link set dev {device} type vxlan nolearning")
            }
            Self::NoVni { device } => format!("ip link delete dev {device}"),
            Self::NoVlan { vni: Some(_), device } => {
                format!("bridge vlan add dev {device} vid VLAN pvid untagged")
            }
            Self::NoVlan { vni: None, device } => format!(
                "bridge link set dev {device} vlan_tunnel on; bridge vlan add dev {device} vid VLAN; bridge vlan add dev {device} vid VLAN tunnel_info id VNI"
            ),
            Self::SharedDeviceWithoutVlans { bridge, .. } => {
                format!("ip link set dev {bridge} type bridge vlan_filtering 1")
            }
            Self::StaticElsewhere { mac, port, .. } => {
                format!("bridge fdb delete {mac} dev {port} master")
            }
            Self::NoRouteDistinguisher { .. } => "ip -d link show type vxlan".to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VniCarriedTwice { vni, device, serves } => {
                write!(f, "VNI {vni} is carried twice: {serves} is used, {device} is not")
            }
            Self::TwoVnisInOneDomain { vni, device, bridge, vlan, serves } => {
                match vlan {
                    None => write!(f, "bridge {bridge} has two VNIs and no VLANs")?,
                    Some(vlan) => write!(f, "VLAN {vlan} of bridge {bridge} has two VNIs")?,
                }
                write!(f, ": {serves} is used, {device} with VNI {vni} is not")
            }
            Self::NoLocalAddress { vni: Some(vni), device } => {
                write!(f, "{device} has no local address: VNI {vni} is not in service")
            }
            Self::NoLocalAddress { vni: None, device } => {
                write!(f, "{device} has no local address: none of its VNIs is in service")
            }
            Self::ForeignLocalAddress { device, address } => {
                write!(f, "{address}, the local address of {device}, is not on this machine")
            }
            Self::KernelLearning { device } => {
                write!(
                    f,
                    "{device} learns from packets: old places of a MAC can outlive what EVPN says"
                )
            }
            Self::NoVni { device } => {
                write!(f, "{device} has no usable VNI: VNIs are 1 to 16777214")
            }
            Self::NoVlan { vni: Some(vni), device } => {
                write!(f, "{device} carries no VLAN of its bridge: VNI {vni} is not in service")
            }
            Self::NoVlan { vni: None, device } => {
                write!(f, "{device} maps no VLAN of its bridge to a VNI")
            }
            Self::SharedDeviceWithoutVlans { device, bridge } => {
                write!(f, "{device} carries many VNIs, but bridge {bridge} does not filter VLANs")
            }
            Self::StaticElsewhere { vni, mac, vtep, port } => {
                write!(
                    f,
                    "{mac} in VNI {vni} is static at {vtep}, and seen here on {port}: not advertised"
                )
            }
            Self::NoRouteDistinguisher { vni } => {
                write!(f, "VNI {vni} is not in service: all 65536 route distinguishers are taken")
            }
        }
    }
}
