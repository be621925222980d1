//! The gateway's brain: facts in, kernel entries and EVPN routes out. Pure.
