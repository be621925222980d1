//! `[metrics]`.

use std::net::SocketAddr;

use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::refuse;
use crate::config::Metrics;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct MetricsTable {
    listen: Spanned<String>,
}

impl MetricsTable {
    pub(super) fn check(self) -> Result<Metrics, Refusal> {
        let listen: Option<SocketAddr> = self.listen.get_ref().parse().ok();
        match listen.filter(|address| address.port() != 0) {
            Some(listen) => Ok(Metrics { listen }),
            None => Err(refuse(
                &self.listen.span(),
                "listen must be an address and a port, such as \"127.0.0.1:9342\" or \"[::1]:9342\"",
            )),
        }
    }
}
