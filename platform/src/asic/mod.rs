//! The switch chip: what it is and what it can do.

mod profile;

pub use profile::{Capabilities, Driver, KernelVersion, NotAVersion, Ports, Profile};

use crate::kernel::{Model, Object};

/// Something that the driver does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub constraint: &'static str,
    /// The driver's words.
    pub message: String,
    /// The command that mends it.
    pub remedy: String,
}

/// What the driver does not take about one object.
pub fn violation_of(_: &Model, _: &Profile, _: &Object) -> Option<Violation> {
    None
}
