//! The switch ASIC: which driver it has.

use std::fmt;

use crate::kernel::{Model, Object};

/// What the driver of this machine's ASIC can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    driver: String,
}

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

/// The ASIC whose ports are among the model's links, if there is one.
pub fn detect(model: &Model) -> Option<Profile> {
    let port = model.links().find(|link| link.switch_id().is_some())?;
    let driver = std::fs::read_link(format!("/sys/class/net/{}/device/driver", port.name)).ok()?;
    Some(Profile { driver: driver.file_name()?.to_string_lossy().into_owned() })
}

/// What the driver does not take about one object.
pub fn violation_of(_: &Model, _: &Profile, _: &Object) -> Option<Violation> {
    None
}

impl Profile {
    /// The driver's name.
    pub fn driver(&self) -> &str {
        &self.driver
    }
    fn is_spectrum(&self) -> bool {
        self.driver.starts_with("mlx")
    }
    /// Takes nexthop objects.
    pub fn nexthop_objects(&self) -> bool {
        self.driver != "rocker"
    }
    /// Bridges.
    pub fn bridges(&self) -> bool {
        self.driver != "netdevsim"
    }
    /// Routes.
    pub fn routes(&self) -> bool {
        true
    }
    /// IPv6 routes.
    pub fn routes_v6(&self) -> bool {
        self.driver != "rocker"
    }
    /// VXLAN.
    pub fn offloads_vxlan(&self) -> bool {
        self.is_spectrum()
    }
    /// Neighbours.
    pub fn flags_neighbors(&self) -> bool {
        self.is_spectrum()
    }
    /// Filters.
    pub fn filters(&self) -> bool {
        self.is_spectrum()
    }
    /// Truth.
    pub fn route_flag_is_true(&self) -> bool {
        self.driver != "rocker"
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.driver)
    }
}
