//! Figures of all rounds, their medians, and what the bars say to them.

use std::{fmt, time::Duration};

use serde_json::{Value, json};

use crate::{device::Kind, scenario::Scenario};

/// One measurement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Which of the scenario's loads.
    pub(crate) load: &'static str,
    /// Paths that the device received.
    pub(crate) paths: usize,
    /// First byte sent until the last receiver had everything.
    pub(crate) wall: Duration,
    /// Until every route was in the kernel.
    pub(crate) fib: Option<Duration>,
    pub(crate) cpu: Duration,
    /// Kilobytes at most.
    pub(crate) peak: u64,
    /// Memory afterwards as a multiple of what it was at the start.
    pub(crate) growth: Option<f64>,
    /// CPU time as a part of one CPU's while nothing happened.
    pub(crate) idle: Option<f64>,
}

/// A demand, and what came of it.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) demand: String,
    pub(crate) value: f64,
    pub(crate) limit: f64,
}

/// All of one scenario.
#[derive(Debug)]
pub(crate) struct Report {
    scenario: &'static Scenario,
    rounds: Vec<(Kind, Figures)>,
    bars: Vec<Bar>,
}

impl Bar {
    /// `value` must be at most `limit`.
    pub(crate) fn at_most(demand: impl Into<String>, value: f64, limit: f64) -> Self {
        Self { demand: demand.into(), value, limit }
    }

    fn is_met(&self) -> bool {
        self.value <= self.limit
    }
}

impl Figures {
    /// CPU time per path.
    pub(crate) fn per_path(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / self.paths.max(1) as f64
    }
}

impl Report {
    pub(crate) fn new(scenario: &'static Scenario) -> Self {
        Self { scenario, rounds: Vec::new(), bars: Vec::new() }
    }

    pub(crate) fn add(&mut self, device: Kind, figures: Figures) {
        self.rounds.push((device, figures));
    }

    /// Once all rounds are there.
    pub(crate) fn judge(&mut self) {
        self.bars = (self.scenario.bars)(self);
    }

    pub(crate) fn is_met(&self) -> bool {
        self.bars.iter().all(Bar::is_met)
    }

    /// Whether a device was measured at all.
    pub(crate) fn has(&self, device: Kind) -> bool {
        self.rounds.iter().any(|(kind, _)| *kind == device)
    }

    /// Medians, one by one, over the rounds.
    pub(crate) fn median(&self, device: Kind, load: &str) -> Figures {
        let of = |(kind, figures): &(Kind, Figures)| {
            (*kind == device && figures.load == load).then(|| figures.clone())
        };
        let rounds: Vec<Figures> = self.rounds.iter().filter_map(of).collect();
        let Some(first) = rounds.first() else { return Figures::default() };
        Figures {
            load: first.load,
            paths: first.paths,
            wall: middle(rounds.iter().map(|round| round.wall)),
            fib: first.fib.map(|_| middle(rounds.iter().filter_map(|round| round.fib))),
            cpu: middle(rounds.iter().map(|round| round.cpu)),
            peak: middle(rounds.iter().map(|round| round.peak)),
            growth: first.growth.map(|_| middle(rounds.iter().filter_map(|round| round.growth))),
            idle: first.idle.map(|_| middle(rounds.iter().filter_map(|round| round.idle))),
        }
    }

    /// Ours as a multiple of another's, which must be at most `limit`.
    pub(crate) fn ratio(
        &self,
        load: &str,
        other: Kind,
        what: &str,
        figure: impl Fn(&Figures) -> f64,
        limit: f64,
    ) -> Bar {
        let (ours, theirs) = (self.median(Kind::Switchd, load), self.median(other, load));
        let demand = format!("{load}: {what} as a multiple of {other}'s");
        Bar::at_most(demand, figure(&ours) / figure(&theirs), limit)
    }

    fn rows(&self) -> Vec<(Kind, Figures)> {
        let mut rows: Vec<(Kind, Figures)> = Vec::new();
        for (device, figures) in &self.rounds {
            if !rows.iter().any(|(kind, row)| kind == device && row.load == figures.load) {
                rows.push((*device, self.median(*device, figures.load)));
            }
        }
        rows.sort_by_key(|(_, row)| self.rounds.iter().position(|(_, it)| it.load == row.load));
        rows
    }

    pub(crate) fn json(&self) -> Value {
        let figures = |(device, figures): &(Kind, Figures)| {
            json!({
                "device": device.to_string(),
                "load": figures.load,
                "paths": figures.paths,
                "wallSeconds": figures.wall.as_secs_f64(),
                "fibSeconds": figures.fib.map(|fib| fib.as_secs_f64()),
                "cpuSeconds": figures.cpu.as_secs_f64(),
                "cpuNanosecondsPerPath": figures.per_path(),
                "peakKilobytes": figures.peak,
                "growth": figures.growth,
                "idle": figures.idle,
            })
        };
        let bar = |bar: &Bar| json!({"demand": bar.demand, "value": bar.value, "limit": bar.limit, "met": bar.is_met()});
        json!({
            "scenario": self.scenario.name,
            "about": self.scenario.about,
            "rounds": self.rounds.iter().map(figures).collect::<Vec<_>>(),
            "medians": self.rows().iter().map(figures).collect::<Vec<_>>(),
            "bars": self.bars.iter().map(bar).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}", self.scenario.name, self.scenario.about)?;
        writeln!(
            f,
            "  {:<16}{:<10}{:>10}{:>10}{:>10}{:>12}{:>10}",
            "load", "device", "wall /s", "FIB /s", "CPU /s", "ns per path", "peak MB"
        )?;
        for (device, row) in self.rows() {
            let fib = row.fib.map_or_else(String::new, |fib| format!("{:.3}", fib.as_secs_f64()));
            write!(
                f,
                "  {:<16}{device:<10}{:>10.3}{fib:>10}{:>10.3}{:>12.0}{:>10.1}",
                row.load,
                row.wall.as_secs_f64(),
                row.cpu.as_secs_f64(),
                row.per_path(),
                row.peak as f64 / 1024.0,
            )?;
            row.growth.map_or(Ok(()), |growth| write!(f, "  memory afterwards {growth:.3}"))?;
            row.idle.map_or(Ok(()), |idle| write!(f, "  idle {:.3} %", idle * 100.0))?;
            writeln!(f)?;
        }
        for bar in &self.bars {
            let word = if bar.is_met() { "met" } else { "MISSED" };
            let Bar { demand, value, limit } = bar;
            writeln!(f, "  {word:<7}{demand}: {value:.3} (at most {limit:.3})")?;
        }
        Ok(())
    }
}

fn middle<T: PartialOrd + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|left, right| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}
