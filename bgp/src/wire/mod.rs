//! Bytes to messages and back. No policy.
