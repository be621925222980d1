//! How full the tables of the ASIC are, and which of them an operator should know of.

use std::collections::BTreeSet;

/// Percent of a table at which it is named in a condition, and below which it no longer is. Apart, so that a table that
/// breathes around the mark does not cry on every breath.
const WARN_AT: u64 = 90;
const CALM_BELOW: u64 = 80;

/// One table of the ASIC: a devlink resource that tells its occupancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// `IPv4/fib`.
    pub path: String,
    /// Entries that it has room for.
    pub size: u64,
    /// Entries that are in it.
    pub occupied: u64,
    /// What is counted.
    pub unit: String,
}

impl Fill {
    /// In percent, rounded down.
    pub fn percent(&self) -> u64 {
        self.occupied.saturating_mul(100).checked_div(self.size).unwrap_or(0)
    }
}

/// All tables, as last read.
#[derive(Debug, Default)]
pub struct Capacity {
    fills: Vec<Fill>,
    warned: BTreeSet<String>,
}

impl Capacity {
    /// The tables were read. Returns whether one of them has more room than before.
    pub fn handle_fills(&mut self, fills: Vec<Fill>) -> bool {
        let before = |fill: &Fill| self.fills.iter().find(|known| known.path == fill.path);
        let room = |fill: &Fill| fill.size.saturating_sub(fill.occupied);
        let freed = fills.iter().any(|fill| before(fill).is_some_and(|old| room(fill) > room(old)));
        self.warned = fills
            .iter()
            .filter(|fill| {
                fill.percent() >= WARN_AT
                    || (fill.percent() >= CALM_BELOW && self.warned.contains(&fill.path))
            })
            .map(|fill| fill.path.clone())
            .collect();
        self.fills = fills;
        freed
    }

    /// All tables.
    pub fn fills(&self) -> &[Fill] {
        &self.fills
    }

    /// Those that are nearly full.
    pub fn nearly_full(&self) -> impl Iterator<Item = &Fill> {
        self.fills.iter().filter(|fill| self.warned.contains(&fill.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(occupied: u64) -> Vec<Fill> {
        vec![Fill { path: "IPv4/fib".into(), size: 40, occupied, unit: "entry".into() }]
    }

    #[test]
    fn a_table_is_named_from_ninety_percent_on_and_until_it_falls_below_eighty() {
        let mut capacity = Capacity::default();
        let mut named = |occupied| {
            capacity.handle_fills(filled(occupied));
            capacity.nearly_full().count() == 1
        };
        assert_eq!(
            [35, 36, 40, 32, 31, 35].map(&mut named),
            [false, true, true, true, false, false]
        );
    }

    #[test]
    fn room_is_noticed_when_entries_leave_and_when_the_table_grows() {
        let mut capacity = Capacity::default();
        assert!(!capacity.handle_fills(filled(40)));
        assert!(!capacity.handle_fills(filled(40)));
        assert!(capacity.handle_fills(filled(39)));
        let larger = filled(39).into_iter().map(|fill| Fill { size: 80, ..fill }).collect();
        assert!(capacity.handle_fills(larger));
    }

    #[test]
    fn a_table_without_a_size_is_never_nearly_full() {
        let mut capacity = Capacity::default();
        capacity.handle_fills(vec![Fill {
            path: "x".into(),
            size: 0,
            occupied: 9,
            unit: String::new(),
        }]);
        assert_eq!(capacity.nearly_full().count(), 0);
    }
}
