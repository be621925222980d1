//! What a constraint is, and what it means that one is broken.

use std::fmt;

use super::{Driver, KernelVersion, Profile};
use crate::kernel::Key;

/// Something that a driver demands of the kernel's objects.
#[derive(Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Its name in reports and documentation: `V7`.
    pub id: &'static str,
    /// What it demands.
    pub rule: &'static str,
    /// What the driver says when it is broken, to the letter; one of these.
    pub words: &'static [&'static str],
    /// What breaking it does.
    pub effect: Effect,
    /// Of which chips and kernels it holds.
    pub scope: Scope,
}

/// What happens when a constraint is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The driver refuses a command.
    Refused {
        /// Which.
        at: &'static str,
    },
    /// The kernel takes it, nobody says a word, and it stays in software.
    Silent,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { at } => write!(f, "refused at: {at}"),
            Self::Silent => f.write_str("accepted in silence, stays in software"),
        }
    }
}

/// Of which chips and kernels a constraint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Of which chips.
    pub chips: Chips,
    /// Not in kernels from this one on.
    pub until: Option<KernelVersion>,
}

/// Of which chips a constraint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chips {
    /// Every Spectrum.
    Spectrum,
    /// The first Spectrum only.
    Spectrum1,
    /// Every switch whose driver cannot do what the capability names.
    Lacking,
    /// Rocker.
    Rocker,
}

impl Scope {
    pub(super) const SPECTRUM: Self = Self { chips: Chips::Spectrum, until: None };
    pub(super) const SPECTRUM_1: Self = Self { chips: Chips::Spectrum1, until: None };
    pub(super) const LACKING: Self = Self { chips: Chips::Lacking, until: None };
    pub(super) const ROCKER: Self = Self { chips: Chips::Rocker, until: None };

    /// Spectrum, before Linux `major.minor`.
    pub(super) const fn spectrum_before(major: u16, minor: u16) -> Self {
        Self { chips: Chips::Spectrum, until: Some(KernelVersion::new(major, minor)) }
    }

    pub(super) fn covers(&self, profile: &Profile) -> bool {
        let chip = match self.chips {
            Chips::Spectrum => profile.driver.is_spectrum(),
            Chips::Spectrum1 => profile.driver == Driver::MlxswSpectrum { generation: 1 },
            Chips::Lacking => profile.driver != Driver::None && profile.driver != Driver::Other,
            Chips::Rocker => profile.driver == Driver::Rocker,
        };
        chip && self.until.is_none_or(|until| profile.kernel < until)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.chips {
            Chips::Spectrum => "Spectrum",
            Chips::Spectrum1 => "Spectrum-1",
            Chips::Lacking => "drivers without it",
            Chips::Rocker => "rocker",
        })?;
        self.until.map_or(Ok(()), |until| write!(f, ", before Linux {until}"))
    }
}

/// A constraint that an object breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which constraint.
    pub constraint: &'static Constraint,
    /// Which object.
    pub key: Key,
    /// The object, for people: `vxlan device vx10`.
    pub object: String,
    /// What the driver says, to the letter; `None` where it says nothing.
    pub words: Option<&'static str>,
    /// What happens.
    pub effect: Effect,
    /// What mends it.
    pub remedy: Remedy,
}

impl fmt::Display for Violation {
    /// One line, as the ledger shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.constraint.id, self.words.unwrap_or(self.constraint.rule))
    }
}

/// What mends a violation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remedy {
    /// Commands, in this order. Empty: nothing but doing without it.
    pub commands: Vec<String>,
    /// The line of `/etc/network/interfaces` (ifupdown2) that says the same.
    pub ifupdown2: Option<&'static str>,
    /// The line of systemd-networkd, with its section.
    pub networkd: Option<&'static str>,
}

impl Remedy {
    pub(super) fn command(command: String) -> Self {
        Self { commands: vec![command], ..Self::default() }
    }

    pub(super) fn commands(commands: Vec<String>) -> Self {
        Self { commands, ..Self::default() }
    }

    pub(super) fn lines(self, ifupdown2: &'static str, networkd: &'static str) -> Self {
        let given = |line: &'static str| (!line.is_empty()).then_some(line);
        Self { ifupdown2: given(ifupdown2), networkd: given(networkd), ..self }
    }
}
