//! What is measured, on what, and which bars it has to clear.

mod churn;
mod fib;
mod idle;
mod load;
mod relay;

use std::time::{Duration, Instant};

use lab::{Lab, Result};

use crate::{
    device::{Device, Kind, Usage},
    report::{Bar, Figures, Report},
    session::Session,
};

/// One scenario. `run` is called once for each device and round.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) devices: &'static [Kind],
    pub(crate) run: fn(Kind, Size) -> Result<Vec<Figures>>,
    pub(crate) bars: fn(&Report) -> Vec<Bar>,
}

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Full,
    /// A thousandth: shows that the suite works, and nothing of speed.
    Smoke,
}

/// In the order in which they run.
pub(crate) const SCENARIOS: [Scenario; 8] = [
    load::LOAD,
    relay::TABLE,
    relay::EVPN,
    relay::FAN_OUT,
    relay::LINEAR,
    churn::CHURN,
    fib::FIB,
    idle::IDLE,
];

const ALL: &[Kind] = &[Kind::Switchd, Kind::Bird, Kind::Frr];

impl Size {
    fn of(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Smoke => (full / 1000).max(8),
        }
    }
}

/// A measurement in a lab of its own.
fn in_lab(measure: impl FnOnce(&Lab) -> Result<Figures>) -> Result<Figures> {
    let mut figures = Figures::default();
    Lab::run(|lab| {
        figures = measure(lab)?;
        Ok(())
    })?;
    Ok(figures)
}

/// Has each sender send its bytes, and waits until each receiver has so many routes.
fn relay(
    senders: &[Session],
    feeds: &[Vec<u8>],
    receivers: &[Session],
    routes: usize,
) -> Result<Duration> {
    let start = Instant::now();
    let end = std::thread::scope(|scope| {
        let sending: Vec<_> = senders
            .iter()
            .zip(feeds)
            .map(|(sender, bytes)| scope.spawn(move || sender.send(bytes)))
            .collect();
        let mut end = start;
        for receiver in receivers {
            end = end.max(receiver.wait_for(routes)?);
        }
        sending.into_iter().try_for_each(|sent| sent.join().unwrap_or(Ok(())))?;
        Ok::<_, lab::LabError>(end)
    })?;
    Ok(end - start)
}

/// What a device has used since `before`, once it is at rest.
fn used(device: &Device, before: Usage) -> Result<(Duration, u64)> {
    let after = device.usage_at_rest()?;
    Ok((after.cpu.saturating_sub(before.cpu), after.peak))
}

fn wall(figures: &Figures) -> f64 {
    figures.wall.as_secs_f64()
}

fn cpu(figures: &Figures) -> f64 {
    figures.cpu.as_secs_f64()
}

fn peak(figures: &Figures) -> f64 {
    figures.peak as f64
}
