//! What can go wrong between us and a generic netlink family.

use nix::errno::Errno;

use crate::kernel::Retry;

/// Why a question or an order failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenetlinkError {
    /// The kernel said no.
    #[error("cannot {attempted}: {}{}", said(*errno, reason.as_deref()), advice(*errno))]
    Refused {
        /// What we asked for, on what.
        attempted: String,
        /// The error number.
        errno: Errno,
        /// The text of the extended acknowledgement, often a driver's.
        reason: Option<String>,
    },
    /// The kernel said yes, and why it has not done it.
    #[error("cannot {attempted}: the kernel left it undone: {reason}")]
    Undone {
        /// What we asked for, on what.
        attempted: String,
        /// The text of the extended acknowledgement.
        reason: String,
    },
    /// The kernel said yes and sent nothing that answers the question.
    #[error("cannot {attempted}: the kernel's answer lacks what it should have")]
    Unreadable {
        /// What we asked for, on what.
        attempted: String,
    },
    /// There is nothing of that name.
    #[error("cannot {attempted}: there is no such {what}")]
    NotFound {
        /// What we asked for, on what.
        attempted: String,
        /// What is missing.
        what: &'static str,
    },
    /// The kernel does not have the family.
    #[error("the kernel has no generic netlink family '{0}': built without it?")]
    NoFamily(&'static str),
    /// The kernel dropped notifications because we read too slowly: read anew what you know.
    #[error("generic netlink dropped messages, what we know is stale")]
    Overrun,
    /// The kernel changed under every one of several dumps.
    #[error("cannot {attempted}: it changed during {attempts} dumps in a row")]
    Unsettled {
        /// What we asked for, on what.
        attempted: String,
        /// How many dumps.
        attempts: u32,
    },
    /// The socket failed.
    #[error("generic netlink {operation}: {errno}")]
    Io {
        /// What we tried.
        operation: &'static str,
        /// Why it failed.
        errno: Errno,
    },
}

impl GenetlinkError {
    /// When trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { errno, .. } | Self::Io { errno, .. } => match errno {
                Errno::EINTR => Retry::Now,
                Errno::EAGAIN | Errno::EBUSY | Errno::ENOBUFS | Errno::ENOMEM | Errno::ENOSPC => {
                    Retry::Backoff
                }
                _ => Retry::AfterChange,
            },
            Self::Overrun => Retry::Now,
            Self::Unsettled { .. } => Retry::Backoff,
            Self::Undone { .. }
            | Self::Unreadable { .. }
            | Self::NotFound { .. }
            | Self::NoFamily(_) => Retry::AfterChange,
        }
    }

    /// The error number, where there is one.
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } | Self::Io { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// The kernel's own words, where it gave any.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused { reason, .. } => reason.as_deref(),
            Self::Undone { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Whether the device, or its driver, has no such thing at all: not a fault, only nothing to show.
    pub fn is_unsupported(&self) -> bool {
        self.errno() == Some(Errno::EOPNOTSUPP)
    }
}

fn said(errno: Errno, reason: Option<&str>) -> String {
    match (reason, errno) {
        (Some(reason), _) => format!("{reason} ({errno:?})"),
        (None, Errno::EOPNOTSUPP) => "the driver does not support it (EOPNOTSUPP)".to_owned(),
        (None, _) => format!("{} ({errno:?})", errno.desc()),
    }
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM | Errno::EACCES => "; this needs CAP_NET_ADMIN",
        _ => "",
    }
}
