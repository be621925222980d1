//! Network namespaces that live as long as the demo: each is held by a thread and its netlink socket, by nothing else.
//! When the process ends, however it ends, the kernel takes them away with all that is in them.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use platform::kernel::{KernelError, Socket};

/// Why a namespace could not be had or used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NamespaceError {
    #[error(
        "cannot create a network namespace: {0}; the demo needs root (sudo) and a kernel with CONFIG_NET_NS"
    )]
    Create(io::Error),
    #[error("cannot open netlink in a new namespace: {0}")]
    Netlink(#[from] KernelError),
    #[error("the thread of namespace {0} is gone")]
    Gone(String),
}

type Job = Box<dyn FnOnce(&mut Socket) + Send>;

/// A network namespace, with a thread in it that runs what it is given.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
    jobs: mpsc::Sender<Job>,
    file: OwnedFd,
}

impl Namespace {
    pub(super) fn new(name: &str) -> Result<Self, NamespaceError> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (ready, opened) = mpsc::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut socket = match enter() {
                    Ok((file, socket)) => {
                        let _ = ready.send(Ok(file));
                        socket
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                todo.into_iter().for_each(|job| job(&mut socket));
            })
            .map_err(NamespaceError::Create)?;
        let file = opened.recv().map_err(|_| NamespaceError::Gone(name.to_owned()))??;
        Ok(Self { name: name.to_owned(), jobs, file })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `job` in the namespace, with a netlink socket of it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Socket) -> T + Send + 'static,
    ) -> Result<T, NamespaceError> {
        let (reply, result) = mpsc::channel();
        let gone = || NamespaceError::Gone(self.name.clone());
        self.jobs
            .send(Box::new(move |socket| {
                let _ = reply.send(job(socket));
            }))
            .map_err(|_| gone())?;
        result.recv().map_err(|_| gone())
    }

    /// Sets a sysctl of the namespace, by its path under `/proc/sys`.
    pub(super) fn sysctl(
        &self,
        path: &str,
        value: &'static str,
    ) -> Result<io::Result<()>, NamespaceError> {
        let path = format!("/proc/sys/{path}");
        self.run(move |_| fs::write(path, value))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Moves the calling thread into a new namespace.
fn enter() -> Result<(OwnedFd, Socket), NamespaceError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| NamespaceError::Create(errno.into()))?;
    let file = fs::File::open("/proc/thread-self/ns/net").map_err(NamespaceError::Create)?;
    Ok((file.into(), Socket::open()?))
}
