//! The first process of a lab machine: starts what the host asks for and reports how it ended.
//!
//! It runs in the guest, from the host's files. It never polls: it blocks on the serial port, on its children, and on the
//! kernel's log.

mod kernel_log;
mod namespace;

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use lab::machine::protocol::{Reply, Request};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

fn main() -> io::Result<()> {
    let port = open_port()?;
    let agent = Arc::new(Agent { port: Mutex::new(port.try_clone()?), pids: Mutex::default() });
    namespace::prepare()?;
    let watcher = Arc::clone(&agent);
    let log = log_file()?;
    thread::spawn(move || kernel_log::watch(&log, |text| watcher.say(&Reply::Complaint { text })));
    agent.say(&Reply::Ready { uptime: uptime()? });
    for line in BufReader::new(port).lines() {
        match serde_json::from_str(&line?) {
            Ok(request) => serve(&agent, request),
            Err(error) => eprintln!("lab agent: {error}"),
        }
    }
    // The first process must not end: the kernel would panic. The host kills the machine.
    loop {
        thread::park();
    }
}

struct Agent {
    port: Mutex<File>,
    /// Programs that run, by the host's number.
    pids: Mutex<HashMap<u64, Pid>>,
}

impl Agent {
    fn say(&self, reply: &Reply) {
        let mut line = serde_json::to_string(reply).unwrap_or_default();
        line.push('\n');
        // Without a host there is nobody to tell.
        let _ = lock(&self.port).write_all(line.as_bytes());
    }

    fn run(&self, id: u64, netns: Option<&str>, words: &[String], outputs: [&Path; 2]) {
        let child = netns.map_or(Ok(()), namespace::enter).and_then(|()| start(words, outputs));
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return self.say(&Reply::Refused { id, error: error.to_string() }),
        };
        let pid = child.id();
        lock(&self.pids).insert(id, Pid::from_raw(pid.cast_signed()));
        self.say(&Reply::Started { id, pid });
        let status = child.wait().map_or(-1, ExitStatusExt::into_raw);
        lock(&self.pids).remove(&id);
        self.say(&Reply::Ended { id, status });
    }

    fn signal(&self, id: u64, signal: i32) {
        if let (Some(pid), Ok(signal)) = (lock(&self.pids).get(&id), Signal::try_from(signal)) {
            // It may just have ended.
            let _ = kill(*pid, signal);
        }
    }
}

fn serve(agent: &Arc<Agent>, request: Request) {
    match request {
        Request::Run { id, netns, words, stdout, stderr } => {
            let agent = Arc::clone(agent);
            // A thread of its own: it may change its namespaces, and then only waits.
            thread::spawn(move || agent.run(id, netns.as_deref(), &words, [&stdout, &stderr]));
        }
        Request::Signal { id, signal } => agent.signal(id, signal),
    }
}

fn start(words: &[String], [stdout, stderr]: [&Path; 2]) -> io::Result<Child> {
    let append = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
    let (program, arguments) =
        words.split_first().ok_or_else(|| io::Error::other("no program given"))?;
    Command::new(program)
        .args(arguments)
        .env("PATH", PATH)
        .env("HOME", "/root")
        .stdin(Stdio::null())
        .stdout(append(stdout)?)
        .stderr(append(stderr)?)
        .spawn()
        .map_err(|error| io::Error::other(format!("{program}: {error}")))
}

/// The serial port named `agent`. There is no udev that would make a link of that name.
fn open_port() -> io::Result<File> {
    for port in fs::read_dir("/sys/class/virtio-ports")? {
        let port = port?;
        if fs::read_to_string(port.path().join("name"))?.trim() == "agent" {
            let device = Path::new("/dev").join(port.file_name());
            return OpenOptions::new().read(true).write(true).open(device);
        }
    }
    Err(io::Error::other("the machine has no serial port named `agent`"))
}

fn log_file() -> io::Result<PathBuf> {
    let line = fs::read_to_string("/proc/cmdline")?;
    line.split_whitespace()
        .find_map(|word| word.strip_prefix("lab.log="))
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other("the kernel's command line has no lab.log="))
}

fn uptime() -> io::Result<f32> {
    let text = fs::read_to_string("/proc/uptime")?;
    Ok(text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
