//! What the operator should know and can mend: each with a name, a sentence and the command that mends it.

use std::fmt;
use std::net::IpAddr;

use bgp::types::MacAddr;
use platform::kernel::Vni;

/// Something that keeps a part of the overlay from working as it was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A second VXLAN device has the VNI, in another bridge.
    VniInTwoBridges {
        /// The VNI.
        vni: Vni,
        /// The device that is ignored.
        device: String,
        /// The device that is used.
        serves: String,
    },
    /// A bridge without VLANs is one broadcast domain, and has a second VNI.
    TwoVnisInOneBridge {
        /// The VNI that is ignored.
        vni: Vni,
        /// Its device.
        device: String,
        /// The bridge.
        bridge: String,
        /// The device that is used.
        serves: String,
    },
    /// A VXLAN device in a bridge has no source address, so that no one could send to it.
    NoLocalAddress {
        /// Its VNI.
        vni: Vni,
        /// The device.
        device: String,
    },
    /// The source address of a VXLAN device is on no link of this machine.
    ForeignLocalAddress {
        /// Its VNI.
        vni: Vni,
        /// The device.
        device: String,
        /// The address.
        address: IpAddr,
    },
    /// The kernel learns remote MACs from packets, beside what EVPN says.
    KernelLearning {
        /// The VNI.
        vni: Vni,
        /// The device.
        device: String,
    },
    /// A VXLAN device in a bridge has a VNI that is none: 0 or 16777215.
    NoVni {
        /// The device.
        device: String,
    },
    /// One VXLAN device for many VNIs: not served.
    SingleVxlanDevice {
        /// The device.
        device: String,
        /// Its bridge.
        bridge: String,
    },
    /// A bridge that filters VLANs: not served.
    VlanAwareBridge {
        /// The VNI that it would serve.
        vni: Vni,
        /// The bridge.
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
            Self::VniInTwoBridges { .. } => "vni-in-two-bridges",
            Self::TwoVnisInOneBridge { .. } => "two-vnis-in-one-bridge",
            Self::NoLocalAddress { .. } => "vxlan-without-local-address",
            Self::ForeignLocalAddress { .. } => "vxlan-local-address-not-ours",
            Self::KernelLearning { .. } => "vxlan-learning",
            Self::NoVni { .. } => "vxlan-without-vni",
            Self::SingleVxlanDevice { .. } => "single-vxlan-device",
            Self::VlanAwareBridge { .. } => "vlan-aware-bridge",
            Self::StaticElsewhere { .. } => "mac-static-elsewhere",
            Self::NoRouteDistinguisher { .. } => "no-route-distinguisher",
        }
    }

    /// The command that mends it, or that shows more.
    pub fn remedy(&self) -> String {
        match self {
            Self::VniInTwoBridges { device, .. } | Self::TwoVnisInOneBridge { device, .. } => {
                format!("ip link set dev {device} nomaster")
            }
            Self::NoLocalAddress { device, .. } => {
                format!("ip link set dev {device} type vxlan local ADDRESS")
            }
            Self::ForeignLocalAddress { address, .. } => format!("ip address add {address} dev lo"),
            Self::KernelLearning { device, .. } => {
                format!("ip link set dev {device} type vxlan nolearning")
            }
            Self::NoVni { device } => format!("ip link delete dev {device}"),
            Self::SingleVxlanDevice { device, bridge } => {
                format!(
                    "ip link delete dev {device}; ip link add NAME type vxlan id VNI local ADDRESS dstport 4789 nolearning; ip link set dev NAME master {bridge}"
                )
            }
            Self::VlanAwareBridge { bridge, .. } => {
                format!("ip link set dev {bridge} type bridge vlan_filtering 0")
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
            Self::VniInTwoBridges { vni, device, serves } => {
                write!(f, "VNI {vni} is in two bridges: {serves} is used, {device} is not")
            }
            Self::TwoVnisInOneBridge { vni, device, bridge, serves } => {
                write!(
                    f,
                    "bridge {bridge} has two VNIs and no VLANs: {serves} is used, {device} with VNI {vni} is not"
                )
            }
            Self::NoLocalAddress { vni, device } => {
                write!(f, "{device} has no local address: VNI {vni} is not in service")
            }
            Self::ForeignLocalAddress { vni, device, address } => {
                write!(
                    f,
                    "{address}, the local address of {device} (VNI {vni}), is not on this machine"
                )
            }
            Self::KernelLearning { vni, device } => {
                write!(
                    f,
                    "{device} (VNI {vni}) learns from packets: old places of a MAC can outlive what EVPN says"
                )
            }
            Self::NoVni { device } => {
                write!(f, "{device} has no usable VNI: VNIs are 1 to 16777214")
            }
            Self::SingleVxlanDevice { device, bridge } => {
                write!(
                    f,
                    "{device} in bridge {bridge} carries many VNIs: only devices with one VNI are served"
                )
            }
            Self::VlanAwareBridge { vni, bridge } => {
                write!(
                    f,
                    "bridge {bridge} filters VLANs: VNI {vni} is served only in a bridge that does not"
                )
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
