//! The lists that route maps refer to.

use std::sync::Arc;

use bgp::policy::{
    AsPathList, CommunityEntry, CommunityList, CommunityPattern, PrefixList, PrefixRule,
};
use serde::Deserialize;
use toml::Spanned;

use super::{ActionValue, Lists, insert, next_sequence, span_of};
use crate::config::file::Refusal;
use crate::config::file::value::refuse;

/// FRR's distance between entries without a number.
const STEP: u32 = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PrefixListTable {
    name: Spanned<String>,
    entries: Vec<Spanned<PrefixEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PrefixEntry {
    sequence: Option<u32>,
    action: ActionValue,
    prefix: Spanned<String>,
    ge: Option<u8>,
    le: Option<u8>,
}

impl PrefixListTable {
    pub(super) fn check(self, lists: &mut Lists) -> Result<(), Refusal> {
        let mut before = 0;
        let mut rules = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let entry = entry.get_ref();
            let text = entry.prefix.get_ref();
            let prefix = match text.as_str() {
                "any" => None,
                text => Some(text.parse().map_err(|_| {
                    refuse(
                        &entry.prefix.span(),
                        &format!(
                            "\"{text}\" is not a prefix; write for example \"10.0.0.0/8\", \"2001:db8::/32\" or \"any\""
                        ),
                    )
                })?),
            };
            rules.push(PrefixRule {
                sequence: next_sequence(entry.sequence, &mut before, STEP),
                action: entry.action.into(),
                prefix,
                ge: entry.ge,
                le: entry.le,
            });
        }
        let list = PrefixList::new(self.name.get_ref().clone(), rules)
            .map_err(|error| refuse(&span_of(&self.entries, error.entry()), &error.to_string()))?;
        insert("prefix-list", self.name, Arc::new(list), &mut lists.prefix)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CommunityListTable {
    name: Spanned<String>,
    #[serde(default)]
    kind: Kind,
    entries: Vec<CommunityListEntry>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Standard,
    Extended,
    Large,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CommunityListEntry {
    action: ActionValue,
    communities: Vec<Spanned<String>>,
}

impl CommunityListTable {
    pub(super) fn check(self, lists: &mut Lists) -> Result<(), Refusal> {
        let (name, entries) = (self.name, &self.entries);
        let text = name.get_ref().clone();
        match self.kind {
            Kind::Standard => {
                insert("community-list", name, community_list(text, entries)?, &mut lists.standard)
            }
            Kind::Extended => {
                insert("community-list", name, community_list(text, entries)?, &mut lists.extended)
            }
            Kind::Large => {
                insert("community-list", name, community_list(text, entries)?, &mut lists.large)
            }
        }
    }
}

fn community_list<P: CommunityPattern>(
    name: String,
    entries: &[CommunityListEntry],
) -> Result<Arc<CommunityList<P>>, Refusal> {
    let mut checked = Vec::with_capacity(entries.len());
    for entry in entries {
        let patterns = entry.communities.iter().map(parse).collect::<Result<_, _>>()?;
        checked.push(CommunityEntry { action: entry.action.into(), patterns });
    }
    Ok(Arc::new(CommunityList { name, entries: checked }))
}

/// A value that is written as text.
pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: &Spanned<String>,
) -> Result<T, Refusal> {
    text.get_ref().parse().map_err(|error: T::Err| refuse(&text.span(), &error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AsPathListTable {
    name: Spanned<String>,
    entries: Vec<AsPathEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AsPathEntry {
    action: ActionValue,
    regex: Spanned<String>,
}

impl AsPathListTable {
    pub(super) fn check(self, lists: &mut Lists) -> Result<(), Refusal> {
        let entries = self.entries.iter();
        let entries =
            entries.map(|entry| (entry.action.into(), entry.regex.get_ref().clone())).collect();
        let list = AsPathList::new(self.name.get_ref().clone(), entries).map_err(|error| {
            let span = self.entries.get(error.entry).map_or(0..0, |entry| entry.regex.span());
            refuse(
                &span,
                &format!("{error}; _ stands for a border between AS numbers, as in \"_65001_\""),
            )
        })?;
        insert("as-path-list", self.name, Arc::new(list), &mut lists.as_path)
    }
}
