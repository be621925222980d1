//! What an operator meets first: the configuration file, the error messages, and that foreign objects are safe.

mod config;
mod foreign_objects;
