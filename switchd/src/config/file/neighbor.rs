//! `[[bgp.neighbor]]`.

use std::net::IpAddr;
use std::str::FromStr;

use bgp::types::AfiSafi;
use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::{check_asn, check_hold_time, refuse};
use crate::config::{Neighbor, RemoteAs};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NeighborTable {
    pub(super) address: Spanned<IpAddr>,
    remote_as: Spanned<RemoteAsValue>,
    families: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    passive: bool,
    local_address: Option<Spanned<IpAddr>>,
    hold_time: Option<Spanned<u16>>,
    #[serde(default)]
    next_hop_self: bool,
    #[serde(default)]
    route_reflector_client: bool,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an AS number, \"external\" or \"internal\"")]
enum RemoteAsValue {
    Number(u32),
    Word(String),
}

impl NeighborTable {
    pub(super) fn check(self) -> Result<Neighbor, Refusal> {
        let address = *self.address.get_ref();
        if address.is_unspecified() || address.is_multicast() {
            return Err(refuse(
                &self.address.span(),
                &format!("{address} cannot be a neighbor; give the peer's unicast address"),
            ));
        }
        if let Some(local) = &self.local_address
            && local.get_ref().is_ipv4() != address.is_ipv4()
        {
            return Err(refuse(
                &local.span(),
                &format!("local-address must be of the same IP version as the neighbor {address}"),
            ));
        }
        let families = match self.families {
            None => {
                vec![if address.is_ipv4() { AfiSafi::IPV4_UNICAST } else { AfiSafi::IPV6_UNICAST }]
            }
            Some(names) => names.into_iter().map(check_family).collect::<Result<_, _>>()?,
        };
        Ok(Neighbor {
            address,
            remote_as: check_remote_as(self.remote_as)?,
            families,
            passive: self.passive,
            local_address: self.local_address.map(Spanned::into_inner),
            hold_time: self.hold_time.map(check_hold_time).transpose()?,
            next_hop_self: self.next_hop_self,
            route_reflector_client: self.route_reflector_client,
        })
    }
}

fn check_remote_as(value: Spanned<RemoteAsValue>) -> Result<RemoteAs, Refusal> {
    let span = value.span();
    match value.into_inner() {
        RemoteAsValue::Number(number) => check_asn(number, &span).map(RemoteAs::Asn),
        RemoteAsValue::Word(word) => match word.as_str() {
            "external" => Ok(RemoteAs::External),
            "internal" => Ok(RemoteAs::Internal),
            other => Err(refuse(
                &span,
                &format!(
                    "remote-as \"{other}\" is neither an AS number nor \"external\" or \"internal\""
                ),
            )),
        },
    }
}

fn check_family(name: Spanned<String>) -> Result<AfiSafi, Refusal> {
    AfiSafi::from_str(name.get_ref()).map_err(|unknown| refuse(&name.span(), &unknown.to_string()))
}
