//! Typed kernel objects over rtnetlink.
