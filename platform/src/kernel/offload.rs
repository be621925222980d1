//! What the hardware made of an object: the flags that the kernel reports, and the verdict that follows.
//!
//! Absence of a flag is not a refusal. Drivers program in the background, and a VXLAN entry that the hardware refused
//! looks like one that waits: so flags alone say [`Verdict::Software`], and who knows that hardware should have taken the
//! object decides between `Pending` and `Refused`.

use nix::errno::Errno;

/// The offload flags of a route, nexthop, neighbour or FDB entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offload {
    /// `RTM_F_OFFLOAD`, `RTNH_F_OFFLOAD`, `NTF_OFFLOADED`: the hardware forwards.
    pub offloaded: bool,
    /// `RTM_F_TRAP`, `RTNH_F_TRAP`: the hardware sends these packets to the CPU.
    pub trapped: bool,
    /// `RTM_F_OFFLOAD_FAILED`: the hardware could not take it. Only routes have it.
    pub failed: bool,
}

impl Offload {
    /// What the flags alone say.
    pub fn verdict(self) -> Verdict {
        match self {
            Self { failed: true, .. } => Verdict::Refused { errno: None, reason: None },
            Self { trapped: true, .. } => Verdict::Trapped,
            Self { offloaded: true, .. } => Verdict::InHardware,
            Self { .. } => Verdict::Software,
        }
    }
}

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The hardware forwards by it.
    InHardware,
    /// The hardware knows it and sends its packets to the CPU.
    Trapped,
    /// The kernel forwards by it; the hardware does not.
    Software,
    /// The hardware has not said yet.
    Pending,
    /// The kernel or its driver said no.
    Refused {
        /// The kernel's error; `None` where a driver only raised a flag.
        errno: Option<Errno>,
        /// What the kernel or driver said (extended acknowledgement).
        reason: Option<String>,
    },
}
