//! Packets as the witness: one that must arrive, one that must not, and a stream whose losses are counted.

use std::{collections::BTreeSet, time::Duration};

use nix::sys::signal::Signal;

use crate::{Node, Process, Result, ensure, eventually};

/// Waits until `from` gets an answer from `to`.
///
/// # Errors
/// No answer within `timeout`.
pub fn reaches(from: &Node, to: &str, timeout: Duration) -> Result {
    eventually(timeout, || from.run(&format!("ping -n -c 1 -W 1 {to}")).map(drop))
}

/// As [`reaches`], with a source address: the way back is tested too.
///
/// # Errors
/// No answer within `timeout`.
pub fn reaches_as(from: &Node, source: &str, to: &str, timeout: Duration) -> Result {
    eventually(timeout, || from.run(&format!("ping -n -c 1 -W 1 -I {source} {to}")).map(drop))
}

/// Sends some packets and wants no answer to any.
///
/// # Errors
/// There was an answer.
pub fn never_reaches(from: &Node, to: &str) -> Result {
    let output = from.output(&["ping", "-n", "-c", "5", "-i", "0.1", "-W", "1", to])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!output.status.success(), "{} must not reach {to}, but: {text}", from.name());
    Ok(())
}

/// A ping every 20 ms until told to stop.
#[derive(Debug)]
pub struct Stream {
    ping: Process,
}

/// What became of a [`Stream`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent, without one that was still under way at the end.
    pub sent: u32,
    /// Requests answered.
    pub received: u32,
    /// Sequence numbers without an answer.
    pub lost: Vec<u32>,
}

impl Stream {
    /// Starts it and waits for the first answer, so that the flow is known everywhere.
    ///
    /// # Errors
    /// No answer came.
    pub fn start(from: &Node, to: &str) -> Result<Self> {
        let name = format!("ping-{to}");
        let mut stream =
            Self { ping: Process::start(from, &name, &["ping", "-n", "-O", "-i", INTERVAL, to])? };
        stream.wait_for_answers(5)?;
        Ok(stream)
    }

    /// Waits until so many more answers have arrived: proof that the flow is alive now.
    ///
    /// # Errors
    /// They did not arrive.
    pub fn wait_for_answers(&mut self, more: usize) -> Result {
        let before = answered(&self.ping.output()?).len();
        eventually(Duration::from_secs(10), || {
            self.ping.ensure_running()?;
            let now = answered(&self.ping.output()?).len();
            ensure!(now >= before + more, "{} of {more} more answers", now - before);
            Ok(())
        })
    }

    /// Stops it and counts.
    ///
    /// # Errors
    /// ping did not print its statistics.
    pub fn stop(mut self) -> Result<Tally> {
        self.ping.signal(Signal::SIGINT)?;
        self.ping.wait(Duration::from_secs(5))?;
        tally(&self.ping.output()?)
    }
}

fn tally(text: &str) -> Result<Tally> {
    let statistics =
        text.lines().find(|line| line.contains("packets transmitted")).unwrap_or_default();
    let sent = statistics.split_whitespace().next().and_then(|word| word.parse::<u32>().ok());
    ensure!(sent.is_some(), "ping printed no statistics: {text}");
    let answered = answered(text);
    let mut sent = sent.unwrap_or_default();
    if !answered.contains(&sent) {
        sent = sent.saturating_sub(1);
    }
    let lost: Vec<_> = (1..=sent).filter(|sequence| !answered.contains(sequence)).collect();
    let received = u32::try_from(answered.range(1..=sent).count()).unwrap_or(u32::MAX);
    Ok(Tally { sent, received, lost })
}

/// Sequence numbers of the answers ("64 bytes from 10.0.0.1: icmp_seq=3 ttl=64 time=0.1 ms").
fn answered(text: &str) -> BTreeSet<u32> {
    let answers = text.lines().filter(|line| line.contains(" bytes from "));
    let sequence =
        |line: &str| line.split_once("icmp_seq=")?.1.split_whitespace().next()?.parse().ok();
    answers.filter_map(sequence).collect()
}

const INTERVAL: &str = "0.02";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_under_way_at_the_end_is_not_counted_as_lost() {
        let text = "64 bytes from 1.1.1.1: icmp_seq=1 ttl=64 time=0.1 ms\n\
                    no answer yet for icmp_seq=2\n\
                    64 bytes from 1.1.1.1: icmp_seq=3 ttl=64 time=0.1 ms\n\n\
                    4 packets transmitted, 2 received, 50% packet loss, time 60ms\n";
        assert_eq!(tally(text).unwrap(), Tally { sent: 3, received: 2, lost: vec![2] });
    }
}
