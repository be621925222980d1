//! `[[policy.route-map]]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bgp::policy::{Continue, Entry, RouteMap};
use serde::Deserialize;
use toml::Spanned;

use super::matching::MatchTable;
use super::setting::SetTable;
use super::{ActionValue, Lists, next_sequence, span_of, unknown};
use crate::config::RouteMaps;
use crate::config::file::Refusal;
use crate::config::file::value::refuse;

/// FRR's distance between entries.
const STEP: u32 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RouteMapTable {
    name: Spanned<String>,
    #[serde(default)]
    entry: Vec<Spanned<EntryTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EntryTable {
    sequence: Option<u32>,
    action: ActionValue,
    #[serde(default)]
    r#match: MatchTable,
    #[serde(default)]
    set: SetTable,
    call: Option<Spanned<String>>,
    r#continue: Option<Spanned<ContinueValue>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "\"next\" or the sequence number of a later entry")]
enum ContinueValue {
    Sequence(u32),
    Word(String),
}

/// All route maps. They may call each other in any order, but not in circles.
pub(super) fn check(tables: &[RouteMapTable], lists: &Lists) -> Result<RouteMaps, Refusal> {
    let mut by_name = BTreeMap::new();
    for table in tables {
        super::insert("route-map", table.name.clone(), table, &mut by_name)?;
    }
    let mut checker =
        Checker { tables: by_name, lists, done: RouteMaps::new(), callers: Vec::new() };
    for table in tables {
        checker.check(table)?;
    }
    Ok(checker.done)
}

struct Checker<'a> {
    tables: BTreeMap<String, &'a RouteMapTable>,
    lists: &'a Lists,
    done: RouteMaps,
    /// The maps on the way to the one that is looked at.
    callers: Vec<&'a str>,
}

impl<'a> Checker<'a> {
    fn check(&mut self, table: &'a RouteMapTable) -> Result<Arc<RouteMap>, Refusal> {
        let name = table.name.get_ref();
        if let Some(map) = self.done.get(name) {
            return Ok(Arc::clone(map));
        }
        self.callers.push(name);
        let mut before = 0;
        let mut entries = Vec::with_capacity(table.entry.len());
        for entry in &table.entry {
            let entry = entry.get_ref();
            let sequence = next_sequence(entry.sequence, &mut before, STEP);
            entries.push(self.check_entry(entry, sequence)?);
        }
        self.callers.pop();
        let map = RouteMap::new(name.clone(), entries)
            .map_err(|error| refuse(&span_of(&table.entry, error.entry()), &error.to_string()))?;
        let map = Arc::new(map);
        self.done.insert(name.clone(), Arc::clone(&map));
        Ok(map)
    }

    fn check_entry(&mut self, entry: &'a EntryTable, sequence: u32) -> Result<Entry, Refusal> {
        Ok(Entry {
            sequence,
            action: entry.action.into(),
            conditions: entry.r#match.check(self.lists)?,
            settings: entry.set.check(self.lists)?,
            call: entry.call.as_ref().map(|name| self.called(name)).transpose()?,
            then: entry.r#continue.as_ref().map_or(Ok(Continue::No), check_continue)?,
        })
    }

    fn called(&mut self, name: &Spanned<String>) -> Result<Arc<RouteMap>, Refusal> {
        if self.callers.contains(&name.get_ref().as_str()) {
            let way = self.callers.join("\", \"");
            return Err(refuse(
                &name.span(),
                &format!(
                    "route-map \"{}\" calls itself, by way of \"{way}\"; take out this call",
                    name.get_ref()
                ),
            ));
        }
        match self.tables.get(name.get_ref()) {
            Some(table) => self.check(table),
            None => Err(unknown("route-map", name, self.tables.keys())),
        }
    }
}

fn check_continue(value: &Spanned<ContinueValue>) -> Result<Continue, Refusal> {
    match value.get_ref() {
        ContinueValue::Sequence(sequence) => Ok(Continue::At(*sequence)),
        ContinueValue::Word(word) if word == "next" => Ok(Continue::Next),
        ContinueValue::Word(word) => Err(refuse(
            &value.span(),
            &format!(
                "continue = \"{word}\" is neither \"next\" nor the sequence number of a later entry"
            ),
        )),
    }
}
