//! The keeper as a process of its own: found by its path, started by whoever needs it, gone when nobody does.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use switchd::keeper::Keeper;

#[test]
fn a_started_keeper_holds_the_session_when_its_starter_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switchd.sock.keeper");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();

    let (mut daemon, kept) = Keeper::connect_or_start(&path, program()).unwrap();
    assert!(kept.is_empty());
    daemon.keep(1, b"state", Duration::from_secs(3), ours.as_fd()).unwrap();
    drop((daemon, ours));

    let (daemon, kept) = Keeper::connect_or_start(&path, Path::new("/nonexistent")).unwrap();
    assert_eq!(kept.len(), 1);
    drop((daemon, kept));

    // Nobody comes back: two of the three seconds later the keeper closes the session and removes its path.
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    for _ in 0..100 {
        if !path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the keeper left {}", path.display());
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_switchd"))
}
