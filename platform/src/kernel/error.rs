//! What can go wrong between us and the kernel, and whether trying again helps.

use nix::errno::Errno;

use super::Key;

/// Why a change or a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// The kernel said no to one object. Other objects of the same batch are not affected.
    #[error("kernel refused {key}: {}", said(*errno, reason.as_deref()))]
    Refused {
        /// To what.
        key: Key,
        /// The error number.
        errno: Errno,
        /// The text of the extended acknowledgement, often a driver's.
        reason: Option<String>,
    },
    /// The kernel said no to a new link, which has no number yet.
    #[error("kernel refused link '{name}': {}", said(*errno, reason.as_deref()))]
    LinkRefused {
        /// The name it would have had.
        name: String,
        /// The error number.
        errno: Errno,
        /// The text of the extended acknowledgement.
        reason: Option<String>,
    },
    /// The kernel dropped notifications because we read too slowly: what we know is stale, take a new snapshot.
    #[error("netlink dropped messages, what we know of the kernel is stale")]
    Overrun,
    /// The kernel changed under every one of several dumps.
    #[error("the kernel's tables changed during {0} dumps in a row")]
    Unsettled(u32),
    /// The kernel sent bytes that we cannot read.
    #[error("cannot read netlink message of type {message_type}: {reason}")]
    Unreadable {
        /// `RTM_*`.
        message_type: u16,
        /// What is wrong with it.
        reason: String,
    },
    /// The socket failed.
    #[error("netlink {operation}: {errno}")]
    Io {
        /// What we tried.
        operation: &'static str,
        /// Why it failed.
        errno: Errno,
    },
}

/// When trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once (after a new snapshot, for [`KernelError::Overrun`]).
    Now,
    /// After a while: something is short now that may be free later.
    Backoff,
    /// Only after something else changed: the kernel will say the same again.
    AfterChange,
}

impl KernelError {
    /// When trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { errno, .. }
            | Self::LinkRefused { errno, .. }
            | Self::Io { errno, .. } => match errno {
                Errno::EINTR => Retry::Now,
                Errno::EAGAIN | Errno::EBUSY | Errno::ENOBUFS | Errno::ENOMEM | Errno::ENOSPC => {
                    Retry::Backoff
                }
                _ => Retry::AfterChange,
            },
            Self::Overrun => Retry::Now,
            Self::Unsettled(_) => Retry::Backoff,
            Self::Unreadable { .. } => Retry::AfterChange,
        }
    }

    /// The error number, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. }
            | Self::LinkRefused { errno, .. }
            | Self::Io { errno, .. } => Some(*errno),
            Self::Overrun | Self::Unsettled(_) | Self::Unreadable { .. } => None,
        }
    }

    /// The kernel's own words, where it gave any.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused { reason, .. } | Self::LinkRefused { reason, .. } => reason.as_deref(),
            _ => None,
        }
    }
}

fn said(errno: Errno, reason: Option<&str>) -> String {
    reason.map_or_else(|| errno.desc().to_owned(), |reason| format!("{reason} ({errno:?})"))
}
