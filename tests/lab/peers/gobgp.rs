//! GoBGP, asked through its own client.

use std::fs;

use serde_json::Value;

use crate::{Node, PATIENCE, Process, Result, ensure, eventually, require};

/// A running gobgpd.
#[derive(Debug)]
pub struct Gobgp {
    node: Node,
    process: Process,
}

impl Gobgp {
    /// The head of its configuration, to be followed by neighbours.
    pub fn config(asn: u32, router_id: &str) -> String {
        format!("[global.config]\n  as = {asn}\n  router-id = \"{router_id}\"\n")
    }

    /// A neighbour in its configuration: `place` is `neighbor-address = "ADDRESS"` or `neighbor-interface = "NAME"`. It dials
    /// every second. More of the neighbour, or of the last family, may follow.
    pub fn neighbor(place: &str, asn: u32, families: &[&str]) -> String {
        let mut text = format!(
            "[[neighbors]]
  [neighbors.config]
    {place}
    peer-as = {asn}
  [neighbors.timers.config]
    hold-time = 9
    keepalive-interval = 3
    connect-retry = 1
    idle-hold-time-after-reset = 1
"
        );
        for family in families {
            text += &format!(
                "  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = \"{family}\"
"
            );
        }
        text
    }

    /// Starts gobgpd with this TOML configuration and waits until its API answers.
    ///
    /// # Errors
    /// GoBGP is not installed, or did not come up.
    pub fn start(node: &Node, config: &str) -> Result<Self> {
        require(&["gobgpd", "gobgp"])?;
        let file = node.dir().join("gobgpd.toml");
        fs::write(&file, config)?;
        let file = file.display().to_string();
        let words = ["gobgpd", "-f", &file, "-p", "--api-hosts", "127.0.0.1:50051"];
        let process = Process::start(node, "gobgpd", &words)?;
        let mut daemon = Self { node: node.clone(), process };
        eventually(PATIENCE, || {
            daemon.process.ensure_running()?;
            daemon.gobgp("neighbor").map(drop)
        })?;
        Ok(daemon)
    }

    /// Runs one client command.
    ///
    /// # Errors
    /// gobgp failed.
    pub fn gobgp(&self, command: &str) -> Result<String> {
        self.node.run(&format!("gobgp {command}"))
    }

    /// Originates a prefix; `family` is `ipv4` or `ipv6`.
    ///
    /// # Errors
    /// gobgp failed.
    pub fn announce(&self, family: &str, prefix: &str) -> Result {
        self.gobgp(&format!("global rib add {prefix} -a {family}")).map(drop)
    }

    /// Withdraws an originated prefix.
    ///
    /// # Errors
    /// gobgp failed.
    pub fn withdraw(&self, family: &str, prefix: &str) -> Result {
        self.gobgp(&format!("global rib del {prefix} -a {family}")).map(drop)
    }

    /// Waits until `prefix` is in the table, received from a neighbour.
    ///
    /// # Errors
    /// It is not there.
    pub fn wait_for_route(&self, family: &str, prefix: &str) -> Result {
        eventually(PATIENCE, || {
            let table = self.table(family)?;
            ensure!(table.get(prefix).is_some(), "GoBGP has no {prefix} in {table}");
            Ok(())
        })
    }

    /// Waits until `prefix` is not in the table.
    ///
    /// # Errors
    /// It is still there.
    pub fn wait_for_no_route(&self, family: &str, prefix: &str) -> Result {
        eventually(PATIENCE, || {
            ensure!(self.table(family)?.get(prefix).is_none(), "GoBGP still has {prefix}");
            Ok(())
        })
    }

    /// Everything that it has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.process.output()
    }

    /// Ends it with a NOTIFICATION to its neighbours.
    ///
    /// # Errors
    /// It did not end.
    pub fn stop(&mut self) -> Result {
        self.process.terminate().map(drop)
    }

    /// Kills it in the middle of whatever it does.
    ///
    /// # Errors
    /// It was gone already.
    pub fn kill9(&mut self) -> Result {
        self.process.kill9()
    }

    fn table(&self, family: &str) -> Result<Value> {
        self.node.json(&format!("gobgp global rib -a {family} -j"))
    }
}
