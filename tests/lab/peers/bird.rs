//! BIRD, asked through birdc.

use std::fs;

use crate::{Node, PATIENCE, Process, Result, ensure, eventually, require};

/// A running BIRD.
#[derive(Debug)]
pub struct Bird {
    node: Node,
    process: Process,
}

impl Bird {
    /// Starts BIRD with this configuration and waits until birdc gets an answer.
    ///
    /// # Errors
    /// BIRD is not installed, or did not come up.
    pub fn start(node: &Node, config: &str) -> Result<Self> {
        require(&["bird", "birdc"])?;
        fs::write(node.dir().join("bird.conf"), config)?;
        let mut bird = Self { node: node.clone(), process: spawn(node, &[])? };
        bird.wait_until_ready()?;
        Ok(bird)
    }

    /// Runs one birdc command.
    ///
    /// # Errors
    /// birdc failed.
    pub fn birdc(&self, command: &str) -> Result<String> {
        let socket = self.node.dir().join("bird.ctl").display().to_string();
        let mut words = vec!["birdc", "-s", &socket];
        words.extend(command.split_whitespace());
        self.node.run_words(&words)
    }

    /// Gives it another configuration; it changes what differs, and sessions stay.
    ///
    /// # Errors
    /// BIRD does not understand it.
    pub fn reconfigure(&self, config: &str) -> Result {
        fs::write(self.node.dir().join("bird.conf"), config)?;
        let answer = self.birdc("configure")?;
        ensure!(answer.contains("Reconfigur"), "BIRD: {answer}");
        Ok(())
    }

    /// Waits until a BGP protocol is established.
    ///
    /// # Errors
    /// It is not.
    pub fn wait_established(&self, protocol: &str) -> Result {
        eventually(PATIENCE, || {
            let state = self.birdc(&format!("show protocols {protocol}"))?;
            ensure!(state.contains("Established"), "BIRD: {state}");
            Ok(())
        })
    }

    /// Waits until `prefix` is in the table.
    ///
    /// # Errors
    /// It is not there.
    pub fn wait_for_route(&self, prefix: &str) -> Result {
        eventually(PATIENCE, || {
            ensure!(self.has_route(prefix), "BIRD has no {prefix}");
            Ok(())
        })
    }

    /// Waits until `prefix` is not in the table.
    ///
    /// # Errors
    /// It is still there.
    pub fn wait_for_no_route(&self, prefix: &str) -> Result {
        eventually(PATIENCE, || {
            ensure!(!self.has_route(prefix), "BIRD still has {prefix}");
            Ok(())
        })
    }

    /// Ends it; BIRD tells its neighbours and takes its routes out of the kernel.
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

    /// Starts it again, as the one that has restarted gracefully: its kernel routes are still in place.
    ///
    /// # Errors
    /// It did not come up.
    pub fn start_again(&mut self) -> Result {
        self.process = spawn(&self.node, &["-R"])?;
        self.wait_until_ready()
    }

    /// Whether `prefix` is in the table.
    pub fn has_route(&self, prefix: &str) -> bool {
        // birdc exits with 0 and says "Network not found" on its standard output.
        self.birdc(&format!("show route for {prefix}")).is_ok_and(|text| text.contains(prefix))
    }

    fn wait_until_ready(&mut self) -> Result {
        eventually(PATIENCE, || {
            self.process.ensure_running()?;
            self.birdc("show status").map(drop)
        })
    }
}

fn spawn(node: &Node, options: &[&str]) -> Result<Process> {
    let file = |name: &str| node.dir().join(name).display().to_string();
    let (config, socket, pid) = (file("bird.conf"), file("bird.ctl"), file("bird.pid"));
    let mut words = vec!["bird", "-f", "-c", &config, "-s", &socket, "-P", &pid];
    words.extend_from_slice(options);
    Process::start(node, "bird", &words)
}
