//! The daemon as a library: `main` and the tests drive it.

pub mod keeper;
