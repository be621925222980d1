//! The box beneath us. [`kernel`] is the dataplane: typed kernel objects over netlink. It uses nothing of the crate
//! around it.

pub mod kernel;
