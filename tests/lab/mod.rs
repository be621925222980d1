//! The lab: network namespaces, peers and kernel views for the end-to-end suites.
