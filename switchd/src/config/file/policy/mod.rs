//! `[[policy.prefix-list]]`, `[[policy.community-list]]`, `[[policy.as-path-list]]`, `[[policy.route-map]]`.

mod lists;
mod matching;
mod route_map;
mod setting;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bgp::policy::{Action, AsPathList, CommunityList, ExtPattern, LargePattern, StandardPattern};
use serde::Deserialize;
use toml::Spanned;

use self::lists::{AsPathListTable, CommunityListTable, PrefixListTable};
use self::route_map::RouteMapTable;
use super::Refusal;
use super::value::refuse;
use crate::config::{Policies, PrefixLists};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct PolicyTable {
    prefix_list: Vec<PrefixListTable>,
    community_list: Vec<CommunityListTable>,
    as_path_list: Vec<AsPathListTable>,
    route_map: Vec<RouteMapTable>,
}

impl PolicyTable {
    pub(super) fn check(self) -> Result<Policies, Refusal> {
        let mut lists = Lists::default();
        for table in self.prefix_list {
            table.check(&mut lists)?;
        }
        for table in self.community_list {
            table.check(&mut lists)?;
        }
        for table in self.as_path_list {
            table.check(&mut lists)?;
        }
        let route_maps = route_map::check(&self.route_map, &lists)?;
        Ok(Policies { prefix_lists: lists.prefix, route_maps })
    }
}

/// All lists by their names, for the route maps that refer to them.
#[derive(Default)]
struct Lists {
    prefix: PrefixLists,
    standard: BTreeMap<String, Arc<CommunityList<StandardPattern>>>,
    extended: BTreeMap<String, Arc<CommunityList<ExtPattern>>>,
    large: BTreeMap<String, Arc<CommunityList<LargePattern>>>,
    as_path: BTreeMap<String, Arc<AsPathList>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ActionValue {
    Permit,
    Deny,
}

impl From<ActionValue> for Action {
    fn from(value: ActionValue) -> Self {
        match value {
            ActionValue::Permit => Self::Permit,
            ActionValue::Deny => Self::Deny,
        }
    }
}

/// What a name stands for.
fn look_up<T: Clone>(
    kind: &str,
    name: &Spanned<String>,
    known: &BTreeMap<String, T>,
) -> Result<T, Refusal> {
    known.get(name.get_ref()).cloned().ok_or_else(|| unknown(kind, name, known.keys()))
}

/// The refusal of a name that stands for nothing.
pub(super) fn unknown<'a>(
    kind: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'a String>,
) -> Refusal {
    let (span, name) = (name.span(), name.get_ref());
    let nearest = known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2))
        .min();
    let remedy = match nearest {
        Some((_, known)) => format!("did you mean \"{known}\"?"),
        None => format!("define it: [[policy.{kind}]] with this name"),
    };
    refuse(&span, &format!("there is no {kind} \"{name}\"; {remedy}"))
}

fn insert<T>(
    kind: &str,
    name: Spanned<String>,
    value: T,
    into: &mut BTreeMap<String, T>,
) -> Result<(), Refusal> {
    let span = name.span();
    let name = name.into_inner();
    if into.contains_key(&name) {
        return Err(refuse(
            &span,
            &format!("{kind} \"{name}\" is defined twice; rename one of the two"),
        ));
    }
    into.insert(name, value);
    Ok(())
}

/// Where the entry with this number stands.
fn span_of<T>(entries: &[Spanned<T>], entry: usize) -> Range<usize> {
    entries.get(entry).map_or(0..0, Spanned::span)
}

/// Sequence numbers as given; one that is not is so much above the one before.
fn next_sequence(given: Option<u32>, before: &mut u32, step: u32) -> u32 {
    *before = given.unwrap_or_else(|| before.saturating_add(step));
    *before
}

#[cfg(test)]
mod tests;
