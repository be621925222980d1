//! `match` of a route map's entry.

use std::net::IpAddr;
use std::str::FromStr as _;

use bgp::policy::{AttributeCondition, Condition, RouteCondition};
use bgp::types::MacAddr;
use bgp::wire::{Origin, Protocol};
use serde::Deserialize;
use toml::Spanned;

use super::lists::parse;
use super::{Lists, look_up};
use crate::config::file::Refusal;
use crate::config::file::value::refuse;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct MatchTable {
    prefix_list: Option<Spanned<String>>,
    next_hop: Option<Spanned<String>>,
    community_list: Option<Spanned<String>>,
    community_exact: bool,
    ext_community_list: Option<Spanned<String>>,
    large_community_list: Option<Spanned<String>>,
    large_community_exact: bool,
    as_path_list: Option<Spanned<String>>,
    local_preference: Option<u32>,
    med: Option<u32>,
    tag: Option<u32>,
    protocol: Option<ProtocolValue>,
    peer: Option<IpAddr>,
    origin: Option<OriginValue>,
    route_type: Option<RouteTypeValue>,
    vni: Option<u32>,
    rd: Option<Spanned<String>>,
    route_target: Option<Spanned<String>>,
    mac: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ProtocolValue {
    Bgp,
    Connected,
    Static,
    Kernel,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OriginValue {
    Igp,
    Egp,
    Incomplete,
}

/// FRR's words for the types of EVPN routes.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RouteTypeValue {
    Ead = 1,
    Macip = 2,
    Multicast = 3,
    Es = 4,
    Prefix = 5,
}

impl From<OriginValue> for Origin {
    fn from(value: OriginValue) -> Self {
        match value {
            OriginValue::Igp => Self::Igp,
            OriginValue::Egp => Self::Egp,
            OriginValue::Incomplete => Self::Incomplete,
        }
    }
}

impl From<ProtocolValue> for Protocol {
    fn from(value: ProtocolValue) -> Self {
        match value {
            ProtocolValue::Bgp => Self::Bgp,
            ProtocolValue::Connected => Self::Connected,
            ProtocolValue::Static => Self::Static,
            ProtocolValue::Kernel => Self::Kernel,
        }
    }
}

impl MatchTable {
    pub(super) fn check(&self, lists: &Lists) -> Result<Vec<Condition>, Refusal> {
        let attributes = self.of_attributes(lists)?.into_iter().map(Condition::Attribute);
        let routes = self.of_routes(lists)?.into_iter().map(Condition::Route);
        Ok(attributes.chain(routes).collect())
    }

    fn of_attributes(&self, lists: &Lists) -> Result<Vec<AttributeCondition>, Refusal> {
        let mut conditions = Vec::new();
        if let Some(name) = &self.next_hop {
            let list = look_up("prefix-list", name, &lists.prefix)?;
            conditions.push(AttributeCondition::NextHop(list));
        }
        if let Some(name) = &self.community_list {
            let list = look_up("community-list", name, &lists.standard)?;
            conditions.push(AttributeCondition::Communities { list, exact: self.community_exact });
        }
        if let Some(name) = &self.ext_community_list {
            let list = look_up("community-list", name, &lists.extended)?;
            conditions.push(AttributeCondition::ExtCommunities(list));
        }
        if let Some(name) = &self.large_community_list {
            let list = look_up("community-list", name, &lists.large)?;
            let exact = self.large_community_exact;
            conditions.push(AttributeCondition::LargeCommunities { list, exact });
        }
        if let Some(name) = &self.as_path_list {
            let list = look_up("as-path-list", name, &lists.as_path)?;
            conditions.push(AttributeCondition::AsPath(list));
        }
        if let Some(target) = &self.route_target {
            conditions.push(AttributeCondition::RouteTarget(parse(target)?));
        }
        conditions.extend(self.local_preference.map(AttributeCondition::LocalPref));
        conditions.extend(self.med.map(AttributeCondition::Med));
        conditions.extend(self.tag.map(AttributeCondition::Tag));
        conditions.extend(self.protocol.map(|value| AttributeCondition::Protocol(value.into())));
        conditions.extend(self.peer.map(AttributeCondition::Peer));
        conditions.extend(self.origin.map(|value| AttributeCondition::Origin(value.into())));
        Ok(conditions)
    }

    fn of_routes(&self, lists: &Lists) -> Result<Vec<RouteCondition>, Refusal> {
        let mut conditions = Vec::new();
        if let Some(name) = &self.prefix_list {
            let list = look_up("prefix-list", name, &lists.prefix)?;
            conditions.push(RouteCondition::Prefix(list));
        }
        conditions.extend(self.route_type.map(|kind| RouteCondition::RouteType(kind as u8)));
        conditions.extend(self.vni.map(RouteCondition::Vni));
        if let Some(rd) = &self.rd {
            conditions.push(RouteCondition::RouteDistinguisher(parse(rd)?));
        }
        if let Some(mac) = &self.mac {
            conditions.push(check_mac(mac)?);
        }
        Ok(conditions)
    }
}

fn check_mac(text: &Spanned<String>) -> Result<RouteCondition, Refusal> {
    let (address, length) = text.get_ref().split_once('/').unwrap_or((text.get_ref(), "48"));
    match (MacAddr::from_str(address), length.parse::<u8>()) {
        (Ok(address), Ok(length @ 0..=48)) => Ok(RouteCondition::Mac { address, length }),
        _ => Err(refuse(
            &text.span(),
            &format!(
                "\"{}\" is not the beginning of MAC addresses; write for example \"00:00:5e:00:53:00/40\"",
                text.get_ref()
            ),
        )),
    }
}
