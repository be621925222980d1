//! AS path lists: regular expressions over the path as text, as FRR and Cisco have them.
//!
//! The text is what `show bgp` prints. `_` stands for the beginning, the end, or what separates AS numbers: `_65001_` is
//! any path through AS 65001, `^65001_` one from the neighbour 65001, `_65001$` one that began there, `^$` our own.

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};

use super::Action;
use crate::wire::AsPath;

/// A list of expressions; the first that matches decides.
#[derive(Debug, Clone)]
pub struct AsPathList {
    name: String,
    entries: Vec<(Action, String)>,
    compiled: Vec<Regex>,
}

/// An expression that cannot be read. `entry` is its place in what [`AsPathList::new`] was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{expression}\" is not a regular expression: {reason}")]
pub struct AsPathListError {
    /// Which entry.
    pub entry: usize,
    /// What it says.
    pub expression: String,
    /// What is wrong with it.
    pub reason: String,
}

impl AsPathList {
    /// A list of expressions, in order.
    ///
    /// # Errors
    /// One is no regular expression.
    pub fn new(name: String, entries: Vec<(Action, String)>) -> Result<Self, AsPathListError> {
        let compile = |(entry, (_, expression)): (usize, &(Action, String))| {
            compile(expression).map_err(|reason| AsPathListError {
                entry,
                expression: expression.clone(),
                reason,
            })
        };
        let compiled = entries.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { name, entries, compiled })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its expressions.
    pub fn entries(&self) -> &[(Action, String)] {
        &self.entries
    }

    /// Whether the list permits a path. What no expression matches is denied.
    pub fn permits(&self, path: AsPath<'_>) -> bool {
        let mut text = String::new();
        let _ = write!(text, "{path}");
        let place = self.compiled.iter().position(|regex| regex.is_match(text.as_bytes()));
        place
            .and_then(|place| self.entries.get(place))
            .is_some_and(|(action, _)| *action == Action::Permit)
    }
}

fn compile(expression: &str) -> Result<Regex, String> {
    let mut translated = String::with_capacity(expression.len() + 16);
    let mut in_class = false;
    let mut escaped = false;
    for character in expression.chars() {
        match character {
            '_' if !in_class && !escaped => translated.push_str("(?:^|[,{}()\\[\\] ]|$)"),
            _ => {
                in_class = match character {
                    '[' if !escaped => true,
                    ']' if !escaped => false,
                    _ => in_class,
                };
                translated.push(character);
            }
        }
        escaped = character == '\\' && !escaped;
    }
    // Paths are ASCII.
    RegexBuilder::new(&translated).unicode(false).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("it would need more than {limit} bytes"),
        // The last line says what is wrong; those before it point into the translated expression.
        error => error
            .to_string()
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    })
}

/// Equal expressions match the same paths.
impl PartialEq for AsPathList {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.entries == other.entries
    }
}

impl Eq for AsPathList {}
