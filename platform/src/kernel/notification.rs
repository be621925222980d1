//! What the kernel tells when something changed.

use super::{BridgePort, Ifindex, Object};

/// One thing that changed in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// It exists now, or has changed to this.
    New(Object),
    /// It no longer exists. Carries what the kernel said of it, which may be less than the whole.
    Gone(Object),
    /// The bridge changed what a link is as its port.
    Port {
        /// Which link.
        index: Ifindex,
        /// What it is now.
        port: BridgePort,
    },
}
