//! PMSI_TUNNEL (RFC 6514 §5): how a VTEP wants its copies of flooded frames. With VXLAN its label is the VNI (RFC 8365 §5.1.3).

use std::net::IpAddr;

use crate::types::Label;
use crate::wire::reader::Reader;

/// The value of a PMSI_TUNNEL attribute. The identifier of other tunnels than ingress replication is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PmsiTunnel {
    /// Flags; 0 for VXLAN.
    pub flags: u8,
    /// IANA's tunnel type.
    pub kind: u8,
    /// VNI.
    pub label: Label,
    /// Where to send the copies; ingress replication only.
    pub endpoint: Option<IpAddr>,
}

impl PmsiTunnel {
    /// Every sender makes the copies and sends one to each VTEP. Also called head-end replication.
    pub const INGRESS_REPLICATION: u8 = 6;

    /// Send copies for this VNI to this VTEP.
    pub const fn ingress_replication(label: Label, endpoint: IpAddr) -> Self {
        Self { flags: 0, kind: Self::INGRESS_REPLICATION, label, endpoint: Some(endpoint) }
    }

    /// Reads the value. `None`: malformed. Unknown types are not malformed (RFC 7385 §3).
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let mut value = Reader::new(value);
        let (flags, kind) = (value.u8()?, value.u8()?);
        let label = Label::from_octets(value.array()?);
        let endpoint = if kind == Self::INGRESS_REPLICATION {
            match value.len() {
                4 => Some(IpAddr::from(value.array::<4>()?)),
                16 => Some(IpAddr::from(value.array::<16>()?)),
                _ => return None,
            }
        } else {
            None
        };
        Some(Self { flags, kind, label, endpoint })
    }

    /// The value. A tunnel without endpoint has an empty identifier.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let [a, b, c] = self.label.octets();
        let mut value = vec![self.flags, self.kind, a, b, c];
        match self.endpoint {
            Some(IpAddr::V4(endpoint)) => value.extend_from_slice(&endpoint.octets()),
            Some(IpAddr::V6(endpoint)) => value.extend_from_slice(&endpoint.octets()),
            None => {}
        }
        value
    }
}
