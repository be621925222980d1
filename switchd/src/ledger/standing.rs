//! Where one object stands, in words.

use std::time::Duration;

use platform::asic::Violation;
use platform::kernel::{KernelError, Object, Verdict};

/// Where one object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not in hardware; the driver's words where there are any. Empty when it is.
    pub reason: String,
    /// The row of `docs/offload-constraints.md` that it breaks.
    pub constraint: Option<&'static str>,
    /// The command that mends it. May be empty.
    pub remedy: String,
    /// Whether the hardware should have it. What it need not have is no cause for concern.
    pub expected: bool,
    /// How long ago the kernel last told us of it. `None`: there is no ASIC, so nothing can change.
    pub seen: Option<Duration>,
}

impl Standing {
    pub(super) fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            reason: String::new(),
            constraint: None,
            remedy: String::new(),
            expected: true,
            seen: None,
        }
    }

    /// Of what is wanted and not in the kernel: refused with these words, or not written yet.
    pub fn not_held(refusal: Option<&KernelError>) -> Self {
        let Some(error) = refusal else { return Self::new(Verdict::Pending) };
        let reason = error.reason().map(str::to_owned);
        Self {
            reason: reason.clone().unwrap_or_else(|| error.to_string()),
            ..Self::new(Verdict::Refused { errno: error.errno(), reason })
        }
    }

    /// Of anything, where there is no ASIC.
    pub(super) fn no_asic() -> Self {
        Self::new(Verdict::Software).software("this machine has no switch ASIC")
    }

    /// The hardware need not have it.
    pub(super) fn software(self, why: &str) -> Self {
        Self { verdict: Verdict::Software, reason: why.to_owned(), expected: false, ..self }
    }

    /// The hardware should have it, and has not.
    pub(super) fn refused(self, why: &str) -> Self {
        let verdict = Verdict::Refused { errno: None, reason: None };
        Self { verdict, reason: why.to_owned(), ..self }
    }

    /// A constraint of the driver that the object breaks is a better reason than silence, and final.
    pub(super) fn because_of(self, violation: Option<&Violation>) -> Self {
        let Some(violation) = violation else { return self };
        Self {
            constraint: Some(violation.constraint.id),
            remedy: violation.remedy.commands.join("; "),
            ..self.refused(violation.words.unwrap_or(violation.constraint.rule))
        }
    }
}

/// What a flag of failure means.
pub(super) const FAILED: &str = "the driver could not put it into hardware (offload failed): the hardware forwards by a less specific route, or not at all; the kernel log has the driver's words";

/// What it means that a driver was silent.
pub(super) fn left_out(object: &Object, is_retried: bool) -> &'static str {
    match (object, is_retried) {
        (_, true) => {
            "the driver did not take it and gave no reason: its table may be full; the kernel forwards it, and it is tried again when there is room"
        }
        (Object::Fdb(_), false) => {
            "the driver did not take it and gave no reason: its table may be full; the kernel forwards it; deleted and made again, it is looked at once more"
        }
        _ => "the driver did not take it and gave no reason; the kernel forwards it",
    }
}

/// Of a flag that is older than the driver.
pub(super) const DOUBTED: &str = "its flag is older than the driver, which was reloaded and forgot its entries: delete it and make it again";
