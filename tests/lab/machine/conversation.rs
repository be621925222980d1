//! The host's side of the talk with a machine: one thread listens, everyone else waits for what it hears.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::protocol::{Reply, Request};
use crate::{LabError, Result};

/// Cheap to clone; all clones are of the same talk.
#[derive(Clone)]
pub(super) struct Conversation {
    shared: Arc<Shared>,
}

struct Shared {
    machine: String,
    to_machine: Mutex<Box<dyn Write + Send>>,
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Default)]
struct Heard {
    ready: Option<f32>,
    next_id: u64,
    programs: HashMap<u64, Progress>,
    /// What makes every further wait useless: the machine's end, or its kernel's complaint.
    trouble: Option<String>,
}

#[derive(Clone)]
enum Progress {
    Asked,
    Running(u32),
    Refused(String),
    Ended(ExitStatus),
}

impl Conversation {
    /// Talks through these two ends of a machine's serial port.
    pub(super) fn start(
        machine: &str,
        to_machine: impl Write + Send + 'static,
        from_machine: impl Read + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            machine: machine.into(),
            to_machine: Mutex::new(Box::new(to_machine)),
            heard: Mutex::default(),
            changed: Condvar::new(),
        });
        let listener = Self { shared };
        let conversation = listener.clone();
        thread::spawn(move || {
            for line in BufReader::new(from_machine).lines().map_while(std::io::Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(reply) => listener.hear(reply),
                    Err(error) => listener.trouble(&format!("said {line:?}: {error}")),
                }
            }
            listener.trouble("QEMU has ended");
        });
        conversation
    }

    /// Waits until the machine is up; returns the seconds that its kernel took.
    pub(super) fn wait_until_ready(&self, timeout: Duration) -> Result<f32> {
        self.wait("does not come up", timeout, |heard| heard.ready)
    }

    /// Asks for a program and waits until it runs; `request` gets its number and returns the whole request.
    pub(super) fn start_program(
        &self,
        request: impl FnOnce(u64) -> Request,
    ) -> Result<RemoteProgram> {
        let id = {
            let mut heard = self.heard();
            heard.next_id += 1;
            let id = heard.next_id;
            heard.programs.insert(id, Progress::Asked);
            id
        };
        self.send(&request(id))?;
        let progress = self.wait("does not start a program", START_TIMEOUT, |heard| {
            heard.programs.get(&id).filter(|progress| !matches!(progress, Progress::Asked)).cloned()
        })?;
        let pid = match progress {
            Progress::Refused(error) => {
                return Err(LabError::Unexpected(format!("{}: {error}", self.shared.machine)));
            }
            Progress::Running(pid) => pid,
            // Its end was heard together with its start.
            Progress::Asked | Progress::Ended(_) => 0,
        };
        Ok(RemoteProgram { conversation: self.clone(), id, pid })
    }

    /// Says that nothing more is to be expected, and why. The first reason stays.
    pub(super) fn trouble(&self, why: &str) {
        self.heard().trouble.get_or_insert_with(|| why.into());
        self.shared.changed.notify_all();
    }

    /// What is wrong with the machine, if anything is.
    pub(super) fn troubled(&self) -> Option<String> {
        self.heard().trouble.clone()
    }

    fn hear(&self, reply: Reply) {
        let mut heard = self.heard();
        match reply {
            Reply::Ready { uptime } => heard.ready = Some(uptime),
            Reply::Started { id, pid } => {
                heard.programs.insert(id, Progress::Running(pid));
            }
            Reply::Refused { id, error } => {
                heard.programs.insert(id, Progress::Refused(error));
            }
            Reply::Ended { id, status } => {
                let status = ExitStatus::from_raw(status);
                heard.programs.insert(id, Progress::Ended(status));
            }
            Reply::Complaint { text } => {
                heard.trouble.get_or_insert_with(|| format!("its kernel says\n{text}"));
            }
        }
        drop(heard);
        self.shared.changed.notify_all();
    }

    fn send(&self, request: &Request) -> Result {
        let mut line = serde_json::to_string(request)
            .map_err(|error| LabError::Unexpected(error.to_string()))?;
        line.push('\n');
        let mut port = self.shared.to_machine.lock().unwrap_or_else(PoisonError::into_inner);
        port.write_all(line.as_bytes())?;
        Ok(port.flush()?)
    }

    fn wait<T>(
        &self,
        what_not: &str,
        timeout: Duration,
        mut look: impl FnMut(&Heard) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        let mut heard = self.heard();
        loop {
            if let Some(found) = look(&heard) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let problem = match &heard.trouble {
                Some(trouble) => trouble.clone(),
                None if left.is_zero() => {
                    format!("{what_not} within {} s", timeout.as_secs_f32())
                }
                None => {
                    heard = self
                        .shared
                        .changed
                        .wait_timeout(heard, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                    continue;
                }
            };
            return Err(LabError::Machine { name: self.shared.machine.clone(), problem });
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("machine", &self.shared.machine).finish()
    }
}

/// A program that was started in a machine.
#[derive(Debug)]
pub struct RemoteProgram {
    conversation: Conversation,
    id: u64,
    pid: u32,
}

impl RemoteProgram {
    /// Its process id in the machine.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The machine is broken.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        let heard = self.conversation.heard();
        match (heard.programs.get(&self.id), &heard.trouble) {
            (Some(Progress::Ended(status)), _) => Ok(Some(*status)),
            (_, Some(trouble)) => Err(LabError::Machine {
                name: self.conversation.shared.machine.clone(),
                problem: trouble.clone(),
            }),
            _ => Ok(None),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end in time, or the machine is broken.
    pub fn wait(&self, timeout: Duration) -> Result<ExitStatus> {
        self.conversation.wait("does not end a program", timeout, |heard| {
            match heard.programs.get(&self.id) {
                Some(Progress::Ended(status)) => Some(*status),
                _ => None,
            }
        })
    }

    /// Sends a signal; a program that has ended does not mind.
    ///
    /// # Errors
    /// The machine is gone.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> Result {
        self.conversation.send(&Request::Signal { id: self.id, signal: signal as i32 })
    }
}

/// A program starts in some 30 ms; a machine that swaps or shares a core needs longer.
const START_TIMEOUT: Duration = Duration::from_secs(20);
