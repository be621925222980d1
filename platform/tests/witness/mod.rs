//! Writes what we read as devlink(8) and ethtool(8) write what they read, so that the two can be compared.

pub(crate) mod devlink;
pub(crate) mod ethtool;
