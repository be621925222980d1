//! The keys of a neighbour that say which of its routes are taken, how it is told ours, and who we are to it.

use std::ops::RangeInclusive;
use std::time::Duration;

use bgp::speaker::{AllowOwnAs, LimitAction, LocalAs, MaximumPrefix, RemoteAs, RemovePrivateAs};
use bgp::types::{AfiSafi, Asn, Role};
use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::{check_asn, refuse};

/// `maximum-prefix`: one entry for each family.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct MaximumPrefixTable {
    ipv4_unicast: Option<MaximumPrefixEntry>,
    ipv6_unicast: Option<MaximumPrefixEntry>,
    l2vpn_evpn: Option<MaximumPrefixEntry>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MaximumPrefixEntry {
    limit: Spanned<u32>,
    warning: Option<Spanned<u8>>,
    action: Option<Spanned<String>>,
    restart_after: Option<Spanned<u16>>,
}

/// `local-as`.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "an AS number, or a table with asn, no-prepend and replace-as")]
pub(super) enum LocalAsValue {
    Number(u32),
    Table(LocalAsTable),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LocalAsTable {
    asn: u32,
    #[serde(default)]
    no_prepend: bool,
    #[serde(default)]
    replace_as: bool,
}

/// `allowas-in`.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a number of times, or \"origin\"")]
pub(super) enum AllowOwnAsValue {
    Times(u8),
    Word(String),
}

/// `remove-private-as`.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct RemovePrivateAsTable {
    all: bool,
    replace_as: bool,
}

impl From<RemovePrivateAsTable> for RemovePrivateAs {
    fn from(table: RemovePrivateAsTable) -> Self {
        Self { all: table.all, replace: table.replace_as }
    }
}

/// `attribute-unchanged`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unchanged {
    AsPath,
    NextHop,
    Med,
}

/// FRR's, in per cent.
const WARNING: u8 = 75;
const TIMES: RangeInclusive<u8> = 1..=10;

impl MaximumPrefixTable {
    pub(super) fn check(self) -> Result<Vec<MaximumPrefix>, Refusal> {
        [
            (AfiSafi::IPV4_UNICAST, self.ipv4_unicast),
            (AfiSafi::IPV6_UNICAST, self.ipv6_unicast),
            (AfiSafi::L2VPN_EVPN, self.l2vpn_evpn),
        ]
        .into_iter()
        .filter_map(|(family, entry)| entry.map(|entry| entry.check(family)))
        .collect()
    }
}

impl MaximumPrefixEntry {
    fn check(self, family: AfiSafi) -> Result<MaximumPrefix, Refusal> {
        let limit = *self.limit.get_ref();
        if limit == 0 {
            let message = "limit is 0; it must be at least 1. To take no routes of a family, leave it out of families";
            return Err(refuse(&self.limit.span(), message));
        }
        let warning = match self.warning {
            None => WARNING,
            Some(warning) => match *warning.get_ref() {
                percent @ 1..=100 => percent,
                percent => {
                    let message = format!("warning is {percent} %; it must be 1 to 100 %");
                    return Err(refuse(&warning.span(), &message));
                }
            },
        };
        let action = check_action(self.action, self.restart_after)?;
        Ok(MaximumPrefix { family, limit, warning, action })
    }
}

fn check_action(
    action: Option<Spanned<String>>,
    restart_after: Option<Spanned<u16>>,
) -> Result<LimitAction, Refusal> {
    let name = action.as_ref().map_or("teardown", |action| action.get_ref().as_str());
    match (name, restart_after, action.as_ref()) {
        ("restart", Some(minutes), _) if *minutes.get_ref() > 0 => {
            Ok(LimitAction::Restart(Duration::from_secs(60 * u64::from(*minutes.get_ref()))))
        }
        ("restart", Some(minutes), _) => {
            Err(refuse(&minutes.span(), "restart-after is 0 minutes; it must be at least 1"))
        }
        ("restart", None, Some(action)) => {
            Err(refuse(&action.span(), "action \"restart\" needs a time: restart-after = MINUTES"))
        }
        (_, Some(minutes), _) => Err(refuse(
            &minutes.span(),
            "restart-after belongs to action = \"restart\"; add that or remove this",
        )),
        ("teardown", ..) => Ok(LimitAction::Teardown),
        ("warning-only", ..) => Ok(LimitAction::WarningOnly),
        (other, _, Some(action)) => Err(refuse(
            &action.span(),
            &format!(
                "unknown action \"{other}\"; use \"teardown\", \"restart\" or \"warning-only\""
            ),
        )),
        (_, None, None) => Ok(LimitAction::Teardown),
    }
}

/// Only an external neighbour can take us for another AS, and for neither its own nor the one that we have anyway.
pub(super) fn check_local_as(
    value: Spanned<LocalAsValue>,
    ours: Asn,
    remote_as: RemoteAs,
) -> Result<LocalAs, Refusal> {
    let span = value.span();
    let LocalAsTable { asn, no_prepend, replace_as } = match value.into_inner() {
        LocalAsValue::Table(table) => table,
        LocalAsValue::Number(asn) => LocalAsTable { asn, no_prepend: false, replace_as: false },
    };
    let asn = check_asn(asn, &span)?;
    let wrong = match remote_as {
        _ if asn == ours => format!("local-as {asn} is our own AS number; take it out"),
        RemoteAs::Asn(theirs) if theirs == asn => {
            format!("local-as {asn} is the neighbor's AS number; give the one that it knows us by")
        }
        RemoteAs::Asn(theirs) if theirs == ours => {
            format!(
                "local-as is for external neighbors, and this one is in our AS {ours}; take it out"
            )
        }
        RemoteAs::Internal => {
            "local-as is for external neighbors, and this one is internal; take it out".to_owned()
        }
        RemoteAs::Asn(_) | RemoteAs::External => {
            return Ok(LocalAs { asn, no_prepend, replace_as });
        }
    };
    Err(refuse(&span, &wrong))
}

pub(super) fn check_allow_own_as(value: Spanned<AllowOwnAsValue>) -> Result<AllowOwnAs, Refusal> {
    let span = value.span();
    match value.into_inner() {
        AllowOwnAsValue::Times(times) if TIMES.contains(&times) => Ok(AllowOwnAs::Times(times)),
        AllowOwnAsValue::Word(word) if word == "origin" => Ok(AllowOwnAs::Origin),
        AllowOwnAsValue::Times(_) | AllowOwnAsValue::Word(_) => Err(refuse(
            &span,
            "allowas-in is how often our AS number may be in a path, 1 to 10, or \"origin\"",
        )),
    }
}

pub(super) fn check_role(name: Spanned<String>) -> Result<Role, Refusal> {
    name.get_ref()
        .parse()
        .map_err(|unknown: bgp::types::UnknownRole| refuse(&name.span(), &unknown.to_string()))
}

/// Without a role of ours there is nothing that the neighbour's could go with.
pub(super) fn check_role_strict(
    strict: Option<Spanned<bool>>,
    role: Option<Role>,
) -> Result<bool, Refusal> {
    match strict {
        Some(strict) if *strict.get_ref() && role.is_none() => Err(refuse(
            &strict.span(),
            "role-strict asks the neighbor for its role; say also ours: role = \"customer\", for example",
        )),
        strict => Ok(strict.is_some_and(Spanned::into_inner)),
    }
}
