//! FRR: zebra and bgpd in a node, asked through vtysh.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{Node, PATIENCE, Process, Result, ensure, eventually, node, require};

/// A running FRR.
#[derive(Debug)]
pub struct Frr {
    node: Node,
    dir: PathBuf,
    /// Of bgpd.
    options: &'static [&'static str],
    // Dropped in this order: bgpd first, so that it can still withdraw from zebra.
    bgpd: Process,
    bfdd: Option<Process>,
    zebra: Process,
}

impl Frr {
    /// Starts zebra and bgpd with this bgpd configuration.
    ///
    /// # Errors
    /// FRR is not installed, or did not come up.
    pub fn start(node: &Node, bgpd_config: &str) -> Result<Self> {
        Self::start_with(node, bgpd_config, &[])
    }

    /// The same, but no route goes to the kernel.
    ///
    /// # Errors
    /// FRR is not installed, or did not come up.
    pub fn start_without_kernel(node: &Node, bgpd_config: &str) -> Result<Self> {
        Self::start_with(node, bgpd_config, &["-n"])
    }

    fn start_with(
        node: &Node,
        bgpd_config: &str,
        options: &'static [&'static str],
    ) -> Result<Self> {
        require(&["zebra", "bgpd", "vtysh"])?;
        let dir = node.dir().join("frr");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("bgpd.conf"), format!("hostname {}\n{bgpd_config}", node.name()))?;
        fs::write(dir.join("zebra.conf"), format!("hostname {}\n", node.name()))?;
        let dir_text = dir.display();
        node.run(&format!("chown -R frr:frr {dir_text}"))?;
        let (zebra, bgpd) = spawn(node, &dir, options)?;
        Ok(Self { node: node.clone(), dir, options, bgpd, bfdd: None, zebra })
    }

    /// Starts bfdd as well. Its sessions are those that bgpd asks for.
    ///
    /// # Errors
    /// bfdd is not installed, or did not come up.
    pub fn start_bfdd(&mut self) -> Result {
        require(&["bfdd"])?;
        fs::write(self.dir.join("bfdd.conf"), format!("hostname {}\n", self.node.name()))?;
        let control = self.dir.join("bfdd.sock").display().to_string();
        let options = ["--bfdctl", &control];
        self.bfdd = Some(spawn_daemon(&self.node, &self.dir, "bfdd", "bfdd.vty", &options)?);
        Ok(())
    }

    /// Where it runs.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Runs one vtysh command.
    ///
    /// # Errors
    /// vtysh failed.
    pub fn vtysh(&self, command: &str) -> Result<String> {
        let socket = self.dir.display().to_string();
        self.node.run_words(&["vtysh", "--vty_socket", &socket, "-c", command])
    }

    /// Changes the configuration: `commands`, one after the other, below `configure terminal`.
    ///
    /// # Errors
    /// vtysh failed.
    pub fn configure(&self, commands: &[&str]) -> Result {
        let socket = self.dir.display().to_string();
        let mut words = vec!["vtysh", "--vty_socket", &socket, "-c", "configure terminal"];
        commands.iter().for_each(|command| words.extend(["-c", command]));
        self.node.run_words(&words).map(drop)
    }

    /// What `show WHAT json` prints.
    ///
    /// # Errors
    /// vtysh failed or printed no JSON.
    pub fn show(&self, what: &str) -> Result<Value> {
        node::parse(what, &self.vtysh(&format!("show {what} json"))?)
    }

    /// Waits until every configured neighbour of the IPv4 unicast and L2VPN EVPN families is established.
    ///
    /// # Errors
    /// One is not.
    pub fn wait_established(&self, neighbors: usize) -> Result {
        eventually(PATIENCE, || {
            for family in ["ipv4Unicast", "l2VpnEvpn"] {
                let summary = self.show("bgp summary")?;
                let peers = summary[family]["peers"].as_object().cloned().unwrap_or_default();
                let up = peers.values().filter(|peer| peer["state"] == "Established").count();
                ensure!(
                    up >= neighbors,
                    "{}: {up} of {neighbors} neighbours up in {family}",
                    self.node.name()
                );
            }
            Ok(())
        })
    }

    /// Everything that bgpd has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.bgpd.output()
    }

    /// Ends both daemons, as an upgrade of the package does, without waiting for anything else.
    ///
    /// # Errors
    /// They did not end.
    pub fn stop(&mut self) -> Result {
        self.bgpd.terminate()?;
        self.zebra.terminate()?;
        Ok(())
    }

    /// Starts both daemons again after [`Frr::stop`].
    ///
    /// # Errors
    /// They did not come up.
    pub fn start_again(&mut self) -> Result {
        (self.zebra, self.bgpd) = spawn(&self.node, &self.dir, self.options)?;
        Ok(())
    }

    /// Kills bgpd in the middle of whatever it does.
    ///
    /// # Errors
    /// It was gone already.
    pub fn kill9_bgpd(&mut self) -> Result {
        self.bgpd.kill9()
    }
}

fn spawn(node: &Node, dir: &std::path::Path, options: &[&str]) -> Result<(Process, Process)> {
    for leftover in ["zserv.api", "zebra.vty", "bgpd.vty"] {
        let _ = fs::remove_file(dir.join(leftover));
    }
    let zebra = spawn_daemon(node, dir, "zebra", "zserv.api", &[])?;
    let bgpd = spawn_daemon(node, dir, "bgpd", "bgpd.vty", options)?;
    Ok((zebra, bgpd))
}

/// Returns when the file `ready` is there.
fn spawn_daemon(
    node: &Node,
    dir: &std::path::Path,
    daemon: &str,
    ready: &str,
    options: &[&str],
) -> Result<Process> {
    let file = |name: String| dir.join(name).display().to_string();
    let program = format!("/usr/lib/frr/{daemon}");
    let (config, pid) = (file(format!("{daemon}.conf")), file(format!("{daemon}.pid")));
    let (zserv, vty) = (file("zserv.api".into()), dir.display().to_string());
    let words = [
        &program,
        "-f",
        &config,
        "-i",
        &pid,
        "-z",
        &zserv,
        "--vty_socket",
        &vty,
        "-P",
        "0",
        "--log",
        "stdout",
    ];
    let words = [&words[..], options].concat();
    let mut process = Process::start(node, daemon, &words)?;
    eventually(PATIENCE, || {
        process.ensure_running()?;
        ensure!(dir.join(ready).exists(), "{daemon} has not opened {ready}");
        Ok(())
    })?;
    Ok(process)
}
