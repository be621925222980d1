//! `[evpn]`.

use serde::Deserialize;

use crate::config::Evpn;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct EvpnTable {
    advertise_all_vni: bool,
}

impl Default for EvpnTable {
    fn default() -> Self {
        Self { advertise_all_vni: true }
    }
}

impl EvpnTable {
    pub(super) const fn check(&self) -> Evpn {
        Evpn { advertise_all_vni: self.advertise_all_vni }
    }
}
