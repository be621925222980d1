//! Real sockets on loopback and in a temporary directory; the keeper runs in a thread. What needs hours or seconds
//! is asked of `holdings`, which gets its time as an argument.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::holdings::{Held, Holdings, IDLE};
use super::protocol::{MAX_STATE, Reply, Request};
use super::{Keeper, KeeperError, KeptSession, channel, server};

const HOLD: Duration = Duration::from_secs(9);

#[test]
fn a_session_survives_the_daemon_that_handed_it_over() {
    let keeper = RunningKeeper::start();
    let mut session = Session::open();
    let (mut daemon, _) = keeper.connect();
    daemon.keep(7, b"both opens", HOLD, session.ours.as_fd()).unwrap();
    session.kill_daemon(daemon);
    session.assert_open();

    let (_daemon, kept) = keeper.connect();
    let [kept] = <[KeptSession; 1]>::try_from(kept).unwrap();
    assert_eq!((kept.id, kept.state.as_slice(), kept.clean), (7, &b"both opens"[..], true));
    let mut resumed = TcpStream::from(kept.socket);
    resumed.write_all(b"keepalive").unwrap();
    session.assert_receives(b"keepalive");
}

#[test]
fn what_the_peer_sent_while_no_daemon_ran_is_there_for_the_next_one() {
    let keeper = RunningKeeper::start();
    let mut session = Session::open();
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, b"", HOLD, session.ours.as_fd()).unwrap();
    session.kill_daemon(daemon);
    session.peer.write_all(b"update").unwrap();

    let (_daemon, kept) = keeper.connect();
    let mut bytes = [0; 6];
    TcpStream::from(kept.into_iter().next().unwrap().socket).read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"update");
}

#[test]
fn a_daemon_that_dies_twice_gets_its_sessions_twice() {
    let keeper = RunningKeeper::start();
    let session = Session::open();
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, b"state", HOLD, session.ours.as_fd()).unwrap();
    drop(daemon);
    assert_eq!(keeper.connect().1.len(), 1);
    assert_eq!(keeper.connect().1.len(), 1);
}

#[test]
fn a_daemon_that_died_within_a_message_leaves_an_unclean_session() {
    let keeper = RunningKeeper::start();
    let (first, second) = (Session::open(), Session::open());
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, b"", HOLD, first.ours.as_fd()).unwrap();
    daemon.keep(2, b"", HOLD, second.ours.as_fd()).unwrap();
    daemon.set_clean(1, false).unwrap();
    daemon.set_clean(2, false).unwrap();
    daemon.set_clean(2, true).unwrap();
    drop(daemon);
    let clean: Vec<(u64, bool)> =
        keeper.connect().1.iter().map(|kept| (kept.id, kept.clean)).collect();
    assert_eq!(clean, [(1, false), (2, true)]);
}

#[test]
fn a_forgotten_session_closes_with_its_daemon() {
    let keeper = RunningKeeper::start();
    let mut session = Session::open();
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, b"", HOLD, session.ours.as_fd()).unwrap();
    daemon.forget(1).unwrap();
    session.kill_daemon(daemon);
    session.assert_closes();
    assert!(keeper.connect().1.is_empty());
}

#[test]
fn keeping_under_the_same_id_replaces_what_was_kept() {
    let keeper = RunningKeeper::start();
    let (mut old, new) = (Session::open(), Session::open());
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, b"old", HOLD, old.ours.as_fd()).unwrap();
    daemon.keep(1, b"new", HOLD, new.ours.as_fd()).unwrap();
    old.kill_daemon(daemon);
    old.assert_closes();
    assert_eq!(keeper.connect().1[0].state, b"new");
}

#[test]
fn a_session_that_the_peer_closes_while_no_daemon_runs_is_dropped() {
    let keeper = RunningKeeper::start();
    let (mut closing, staying) = (Session::open(), Session::open());
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, b"", HOLD, closing.ours.as_fd()).unwrap();
    daemon.keep(2, b"", HOLD, staying.ours.as_fd()).unwrap();
    closing.kill_daemon(daemon);
    closing.peer.shutdown(std::net::Shutdown::Write).unwrap();
    closing.assert_closes();
    let ids: Vec<u64> = keeper.connect().1.iter().map(|kept| kept.id).collect();
    assert_eq!(ids, [2]);
}

#[test]
fn when_the_hold_time_is_over_the_keeper_closes_everything_and_ends() {
    let keeper = RunningKeeper::start();
    let (mut short, mut long) = (Session::open(), Session::open());
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, b"", Duration::from_secs(2), short.ours.as_fd()).unwrap();
    daemon.keep(2, b"", Duration::from_secs(90), long.ours.as_fd()).unwrap();
    short.kill_daemon(daemon);
    long.ours = short.peer.try_clone().unwrap().into();
    short.assert_closes();
    long.assert_closes();
    keeper.thread.join().unwrap().unwrap();
}

#[test]
fn the_second_daemon_replaces_the_first_which_goes_on_without_a_keeper() {
    let keeper = RunningKeeper::start();
    let session = Session::open();
    let (mut first, _) = keeper.connect();
    let (mut second, _) = keeper.connect();
    let lost = first.keep(1, b"", HOLD, session.ours.as_fd());
    assert!(matches!(lost, Err(KeeperError::Lost(_))), "{lost:?}");
    assert!(!first.is_connected());
    first.forget(1).unwrap();
    second.keep(1, b"", HOLD, session.ours.as_fd()).unwrap();
}

#[test]
fn garbage_ends_the_connection_and_not_the_keeper() {
    let keeper = RunningKeeper::start();
    let session = Session::open();
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, b"state", HOLD, session.ours.as_fd()).unwrap();
    let valid = Request::Forget { id: 1 }.encode();
    let keep = Request::Keep { id: 2, hold: HOLD, state: Vec::new() }.encode();
    let with_socket = Some(session.ours.as_fd());
    let too_long = vec![1; 100_000];
    for (bytes, descriptor) in [
        (&b"\xffgarbage"[..], None),
        (&valid[..5], None),
        (&[valid.as_slice(), b"x"].concat(), None),
        (&too_long, with_socket),
        (&keep, None),                           // a session without its descriptor
        (&valid, with_socket),                   // a descriptor without a session
        (&[3, 0, 0, 0, 0, 0, 0, 0, 1, 2], None), // neither clean nor unclean
    ] {
        let raw = keeper.connect_raw();
        channel::send(&raw, bytes, descriptor, SendFlags::empty()).unwrap();
        let answer = channel::receive(&raw, RecvFlags::empty());
        assert!(matches!(answer, Ok(None)), "{bytes:?}: {answer:?}");
    }
    assert_eq!(keeper.connect().1[0].state, b"state");
}

#[test]
fn too_much_state_is_refused_before_it_is_sent() {
    let keeper = RunningKeeper::start();
    let session = Session::open();
    let (mut daemon, _) = keeper.connect();
    daemon.keep(1, &vec![1; MAX_STATE], HOLD, session.ours.as_fd()).unwrap();
    let refused = daemon.keep(2, &vec![1; MAX_STATE + 1], HOLD, session.ours.as_fd());
    assert!(matches!(refused, Err(KeeperError::Protocol(_))), "{refused:?}");
    assert_eq!(keeper.connect().1[0].state.len(), MAX_STATE);
}

#[test]
fn only_its_user_can_open_the_socket() {
    let keeper = RunningKeeper::start();
    let mode = std::fs::metadata(&keeper.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_socket_file_left_by_a_dead_keeper_is_taken_over_and_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keeper");
    drop(server::listen(&path).unwrap());
    let _living = server::listen(&path).unwrap();
    assert!(matches!(server::listen(&path), Err(KeeperError::Running(_))));
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    assert!(matches!(server::listen(&path), Err(KeeperError::Listen { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
}

#[test]
fn a_keeper_that_cannot_start_is_an_error_and_not_a_wait() {
    let directory = tempfile::tempdir().unwrap();
    for program in ["/nonexistent", "/bin/false"] {
        let path = directory.path().join("keeper");
        let started = Instant::now();
        let result = Keeper::connect_or_start(&path, Path::new(program));
        assert!(matches!(result, Err(KeeperError::Start { .. })), "{result:?}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn nothing_is_closed_while_a_daemon_is_connected() {
    let mut holdings = holding([9]);
    holdings.handle_daemon_connected();
    assert_eq!(holdings.deadline(), None);
    assert!(!holdings.is_over(Instant::now() + Duration::from_secs(1_000_000)));
}

#[test]
fn without_a_daemon_the_shortest_hold_time_decides_for_all() {
    let gone = Instant::now();
    let mut holdings = holding([180, 9, 90]);
    holdings.handle_daemon_gone(gone);
    assert_eq!(holdings.deadline(), Some(gone + Duration::from_secs(8)));
    assert!(!holdings.is_over(gone + Duration::from_millis(7_999)));
    assert!(holdings.is_over(gone + Duration::from_secs(8)));
}

#[test]
fn a_daemon_that_returns_starts_the_wait_anew() {
    let gone = Instant::now();
    let mut holdings = holding([9]);
    holdings.handle_daemon_gone(gone);
    holdings.handle_daemon_connected();
    let again = gone + Duration::from_secs(100);
    holdings.handle_daemon_gone(again);
    assert_eq!(holdings.deadline(), Some(again + Duration::from_secs(8)));
}

#[test]
fn a_session_without_hold_time_is_not_held_for_ever() {
    let gone = Instant::now();
    let mut holdings = holding([0]);
    holdings.handle_daemon_gone(gone);
    assert_eq!(holdings.deadline(), Some(gone + Duration::from_secs(179)));
}

#[test]
fn a_keeper_that_holds_nothing_waits_ten_seconds_for_a_daemon() {
    let gone = Instant::now();
    let mut holdings = holding([9]);
    holdings.handle_daemon_gone(gone);
    holdings.forget(0);
    assert_eq!(holdings.deadline(), Some(gone + IDLE));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes.clone());
        }
        if let Ok(reply) = Reply::decode(&bytes) {
            prop_assert_eq!(reply.encode(), bytes);
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same(
        id: u64, seconds: u16, flag: bool, state in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let hold = Duration::from_secs(seconds.into());
        for request in [
            Request::Keep { id, hold, state: state.clone() },
            Request::Forget { id },
            Request::Clean { id, clean: flag },
            Request::Take,
        ] {
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        for reply in [Reply::Kept { id, clean: flag, state }, Reply::End] {
            prop_assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
    }
}

/// A keeper in a thread, on a path of its own.
struct RunningKeeper {
    path: PathBuf,
    thread: JoinHandle<Result<(), KeeperError>>,
    _directory: tempfile::TempDir,
}

impl RunningKeeper {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper");
        let listener = server::listen(&path).unwrap();
        let thread = thread::spawn(move || server::serve(&listener));
        Self { path, thread, _directory: directory }
    }

    fn connect(&self) -> (Keeper, Vec<KeptSession>) {
        Keeper::connect_or_start(&self.path, Path::new("/nonexistent")).unwrap()
    }

    fn connect_raw(&self) -> OwnedFd {
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
                .unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(&self.path).unwrap()).unwrap();
        socket
    }
}

/// A TCP connection over loopback: our end, as the daemon holds it, and the peer's.
struct Session {
    ours: OwnedFd,
    peer: TcpStream,
}

impl Session {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (ours, _) = listener.accept().unwrap();
        Self { ours: ours.into(), peer }
    }

    /// What the kernel does when a daemon dies: its connection to the keeper and its sockets close.
    fn kill_daemon(&mut self, daemon: Keeper) {
        drop(daemon);
        self.ours = self.peer.try_clone().unwrap().into();
    }

    fn assert_open(&mut self) {
        self.peer.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let error = self.peer.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        self.peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }

    fn assert_receives(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        self.peer.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, expected);
    }

    fn assert_closes(&mut self) {
        assert_eq!(self.peer.read(&mut [0; 1]).unwrap(), 0);
    }
}

/// Sessions 0, 1, .. with these hold times, in seconds.
fn holding<const N: usize>(seconds: [u64; N]) -> Holdings<()> {
    let mut holdings = Holdings::new(Instant::now());
    for (id, seconds) in (0..).zip(seconds) {
        let hold = Duration::from_secs(seconds);
        holdings.keep(id, Held { hold, clean: true, state: Vec::new(), socket: () });
    }
    holdings
}
