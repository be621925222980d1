//! `set` of a route map's entry.

use std::net::IpAddr;

use bgp::policy::{Community, NextHopSetting, Setting, parse_ext_community};
use bgp::types::Asn;
use bgp::wire::ExtCommunity;
use serde::Deserialize;
use toml::Spanned;

use super::lists::parse;
use super::matching::OriginValue;
use super::{Lists, look_up};
use crate::config::file::Refusal;
use crate::config::file::value::{check_asn, refuse};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct SetTable {
    local_preference: Option<u32>,
    med: Option<Spanned<MedValue>>,
    origin: Option<OriginValue>,
    weight: Option<u32>,
    tag: Option<u32>,
    atomic_aggregate: Option<Spanned<bool>>,
    communities: Option<Vec<Spanned<String>>>,
    delete_communities: Option<Spanned<String>>,
    add_communities: Option<Vec<Spanned<String>>>,
    large_communities: Option<Vec<Spanned<String>>>,
    delete_large_communities: Option<Spanned<String>>,
    add_large_communities: Option<Vec<Spanned<String>>>,
    ext_communities: Option<Vec<Spanned<String>>>,
    delete_ext_communities: Option<Spanned<String>>,
    add_ext_communities: Option<Vec<Spanned<String>>>,
    bandwidth: Option<u32>,
    bandwidth_non_transitive: bool,
    exclude_as: Option<Vec<Spanned<u32>>>,
    replace_as: Option<Spanned<ReplaceValue>>,
    prepend: Option<Vec<Spanned<u32>>>,
    prepend_last: Option<u8>,
    next_hop: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or a change such as \"+10\" or \"-10\"")]
enum MedValue {
    Number(u32),
    Change(String),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "AS numbers, or \"any\"")]
enum ReplaceValue {
    Numbers(Vec<u32>),
    Word(String),
}

impl SetTable {
    /// The order in which they are made: communities are replaced, then deleted, then added; the path loses AS numbers
    /// before it gets others.
    pub(super) fn check(&self, lists: &Lists) -> Result<Vec<Setting>, Refusal> {
        let mut settings = Vec::new();
        settings.extend(self.local_preference.map(Setting::LocalPref));
        settings.extend(self.med.as_ref().map(check_med).transpose()?);
        settings.extend(self.origin.map(|origin| Setting::Origin(origin.into())));
        settings.extend(self.weight.map(Setting::Weight));
        settings.extend(self.tag.map(Setting::Tag));
        if let Some(value) = &self.atomic_aggregate {
            if !value.get_ref() {
                return Err(refuse(
                    &value.span(),
                    "ATOMIC_AGGREGATE cannot be taken out (RFC 4271 §5.1.6); leave the key away",
                ));
            }
            settings.push(Setting::AtomicAggregate);
        }
        self.check_communities(lists, &mut settings)?;
        self.check_ext_communities(lists, &mut settings)?;
        if let Some(asns) = &self.exclude_as {
            settings.push(Setting::Exclude(check_asns(asns)?));
        }
        if let Some(value) = &self.replace_as {
            settings.push(Setting::Replace(check_replace(value)?));
        }
        if let Some(asns) = &self.prepend {
            settings.push(Setting::Prepend(check_asns(asns)?));
        }
        settings.extend(self.prepend_last.map(Setting::PrependLast));
        if let Some(next_hop) = &self.next_hop {
            settings.push(Setting::NextHop(check_next_hop(next_hop)?));
        }
        Ok(settings)
    }

    fn check_communities(&self, lists: &Lists, settings: &mut Vec<Setting>) -> Result<(), Refusal> {
        let parse_all = |texts: &Vec<Spanned<String>>| {
            let communities = texts.iter().map(parse::<Community>);
            communities.map(|one| one.map(|Community(one)| one)).collect::<Result<Vec<_>, _>>()
        };
        if let Some(texts) = &self.communities {
            settings.push(Setting::Communities(parse_all(texts)?));
        }
        if let Some(name) = &self.delete_communities {
            let list = look_up("community-list", name, &lists.standard)?;
            settings.push(Setting::DeleteCommunities(list));
        }
        if let Some(texts) = &self.add_communities {
            settings.push(Setting::AddCommunities(parse_all(texts)?));
        }
        let parse_large =
            |texts: &Vec<Spanned<String>>| texts.iter().map(parse).collect::<Result<_, _>>();
        if let Some(texts) = &self.large_communities {
            settings.push(Setting::LargeCommunities(parse_large(texts)?));
        }
        if let Some(name) = &self.delete_large_communities {
            let list = look_up("community-list", name, &lists.large)?;
            settings.push(Setting::DeleteLargeCommunities(list));
        }
        if let Some(texts) = &self.add_large_communities {
            settings.push(Setting::AddLargeCommunities(parse_large(texts)?));
        }
        Ok(())
    }

    fn check_ext_communities(
        &self,
        lists: &Lists,
        settings: &mut Vec<Setting>,
    ) -> Result<(), Refusal> {
        let parse_all = |texts: &Vec<Spanned<String>>| {
            let parse = |text: &Spanned<String>| {
                parse_ext_community(text.get_ref())
                    .map_err(|error| refuse(&text.span(), &error.to_string()))
            };
            texts.iter().map(parse).collect::<Result<Vec<ExtCommunity>, _>>()
        };
        if let Some(texts) = &self.ext_communities {
            settings.push(Setting::ExtCommunities(parse_all(texts)?));
        }
        if let Some(name) = &self.delete_ext_communities {
            let list = look_up("community-list", name, &lists.extended)?;
            settings.push(Setting::DeleteExtCommunities(list));
        }
        if let Some(texts) = &self.add_ext_communities {
            settings.push(Setting::AddExtCommunities(parse_all(texts)?));
        }
        let transitive = !self.bandwidth_non_transitive;
        settings.extend(self.bandwidth.map(|megabits| Setting::Bandwidth { megabits, transitive }));
        Ok(())
    }
}

fn check_med(value: &Spanned<MedValue>) -> Result<Setting, Refusal> {
    let setting = match value.get_ref() {
        MedValue::Number(med) => Some(Setting::Med(*med)),
        MedValue::Change(text) => match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(more), _) => more.parse().ok().map(Setting::MedPlus),
            (_, Some(less)) => less.parse().ok().map(Setting::MedMinus),
            (None, None) => None,
        },
    };
    setting.ok_or_else(|| {
        refuse(&value.span(), "med must be a number, or a change such as \"+10\" or \"-10\"")
    })
}

fn check_asns(asns: &[Spanned<u32>]) -> Result<Vec<Asn>, Refusal> {
    asns.iter().map(|asn| check_asn(*asn.get_ref(), &asn.span())).collect()
}

fn check_replace(value: &Spanned<ReplaceValue>) -> Result<Vec<Asn>, Refusal> {
    match value.get_ref() {
        ReplaceValue::Word(word) if word == "any" => Ok(Vec::new()),
        ReplaceValue::Numbers(asns) if !asns.is_empty() => {
            asns.iter().map(|asn| check_asn(*asn, &value.span())).collect()
        }
        _ => Err(refuse(
            &value.span(),
            "replace-as needs the AS numbers to replace by our own, [65001], or \"any\"",
        )),
    }
}

fn check_next_hop(text: &Spanned<String>) -> Result<NextHopSetting, Refusal> {
    match text.get_ref().as_str() {
        "self" => Ok(NextHopSetting::Own),
        "peer-address" => Ok(NextHopSetting::PeerAddress),
        "unchanged" => Ok(NextHopSetting::Unchanged),
        address => address.parse::<IpAddr>().map(NextHopSetting::Address).map_err(|_| {
            refuse(
                &text.span(),
                &format!(
                    "next-hop \"{address}\" is neither an address nor \"self\", \"peer-address\" or \"unchanged\""
                ),
            )
        }),
    }
}
