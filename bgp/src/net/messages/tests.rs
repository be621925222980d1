//! Over loopback: what is taken, what stays with the kernel, and when a reader wakes.

use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{MessageReader, PATIENCE, Whole, whole_messages};
use crate::net::keep::{SessionKeeper, SharedKeeper};
use crate::speaker::SavedSession;
use crate::wire::{HEADER_LEN, encode_keepalive};

#[tokio::test]
async fn a_partial_message_stays_with_the_kernel_until_it_is_whole() {
    let (mut peer, stream) = connection().await;
    let (mut reader, _) = reader();
    let message = update(100);
    peer.write_all(&[keepalive(), message[..60].to_vec()].concat()).await.unwrap();
    assert_eq!(reader.next(&stream).await.unwrap(), keepalive());
    assert!(is_asleep(&mut reader, &stream).await);
    let mut next_process = vec![0; 60];
    // Not tokio's peek: that one sleeps too.
    recv(&stream, next_process.as_mut_slice(), RecvFlags::PEEK).unwrap();
    assert_eq!(next_process, message[..60]);
    peer.write_all(&message[60..]).await.unwrap();
    assert_eq!(reader.next(&stream).await.unwrap(), message);
}

#[tokio::test]
async fn a_message_whose_end_does_not_come_is_taken_apart_and_the_session_unclean_until_it_is_whole()
 {
    for cut in [10, HEADER_LEN, 60] {
        let (mut peer, stream) = connection().await;
        let (mut reader, clean) = reader();
        let message = update(100);
        peer.write_all(&message[..cut]).await.unwrap();
        let late = tokio::spawn(async move {
            tokio::time::sleep(3 * PATIENCE).await;
            assert_eq!(*clean.lock().unwrap(), [false]);
            peer.write_all(&[&message[cut..], &keepalive()].concat()).await.unwrap();
            (peer, clean)
        });
        assert_eq!(reader.next(&stream).await.unwrap(), update(100));
        let (_peer, clean) = late.await.unwrap();
        assert_eq!(*clean.lock().unwrap(), [false, true]);
        assert_eq!(reader.next(&stream).await.unwrap(), keepalive());
        assert_eq!(clean.lock().unwrap().len(), 2);
    }
}

/// The beginning of a message holds the memory of all that came with it: with large segments and a small buffer, the
/// window closes and nothing more comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_is_too_small_for_its_segments_slows_the_stream_and_does_not_stop_it() {
    let (peer, stream) = connection().await;
    SockRef::from(&stream).set_recv_buffer_size(64 * 1024).unwrap();
    let writer = blast(peer, 120, 5_000_000);
    let (mut reader, _) = reader();
    let mut received = 0;
    while received < 4_999_920 {
        let next = tokio::time::timeout(Duration::from_secs(10), reader.next(&stream)).await;
        received += next.expect("stuck").unwrap().len();
    }
    drop(writer.join());
}

#[tokio::test]
async fn messages_that_come_octet_by_octet_are_read() {
    let (mut peer, stream) = connection().await;
    let (mut reader, _) = reader();
    let sent = [keepalive(), update(25), keepalive()].concat();
    let all = sent.clone();
    let writer = tokio::spawn(async move {
        for octet in all {
            peer.write_all(&[octet]).await.unwrap();
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        peer
    });
    let mut received = Vec::new();
    while received.len() < sent.len() {
        received.extend(reader.next(&stream).await.unwrap());
    }
    assert_eq!(received, sent);
    drop(writer.await);
}

#[tokio::test]
async fn the_longest_messages_get_through_one_after_the_other() {
    let (mut peer, stream) = connection().await;
    let (mut reader, _) = reader();
    let sent: Vec<u8> = (0..50).flat_map(|_| [update(65535), update(40_000)].concat()).collect();
    let all = sent.clone();
    let writer = tokio::spawn(async move {
        peer.write_all(&all).await.unwrap();
        peer
    });
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let next = tokio::time::timeout(Duration::from_secs(10), reader.next(&stream)).await;
        received.extend(next.expect("stuck").unwrap());
    }
    assert!(received == sent);
    drop(writer.await);
}

#[tokio::test]
async fn a_connection_that_ends_within_a_message_ends() {
    for rest in [0, 10, 19, 30] {
        let (mut peer, stream) = connection().await;
        let (mut reader, _) = reader();
        peer.write_all(&[keepalive(), update(50)[..rest].to_vec()].concat()).await.unwrap();
        assert_eq!(reader.next(&stream).await.unwrap(), keepalive());
        let late = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            drop(peer);
        });
        let end = tokio::time::timeout(Duration::from_secs(5), reader.next(&stream)).await;
        assert_eq!(end.expect("never noticed").unwrap(), Vec::<u8>::new());
        late.await.unwrap();
    }
}

#[tokio::test]
async fn what_a_peer_says_before_it_closes_is_read() {
    let (mut peer, stream) = connection().await;
    let (mut reader, _) = reader();
    peer.write_all(&update(30)).await.unwrap();
    drop(peer);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(reader.next(&stream).await.unwrap(), update(30));
    assert_eq!(reader.next(&stream).await.unwrap(), Vec::<u8>::new());
}

#[tokio::test]
async fn what_is_no_message_is_handed_over_for_the_session_to_refuse() {
    let (mut peer, stream) = connection().await;
    let (mut reader, _) = reader();
    peer.write_all(b"GET / HTTP/1.1\r\nHost: router\r\n\r\n").await.unwrap();
    assert_eq!(reader.next(&stream).await.unwrap(), b"GET / HTTP/1.1\r\nHost: router\r\n\r\n");
}

#[test]
fn whole_messages_are_counted_and_the_first_partial_one_tells_its_length() {
    let two = [keepalive(), update(100)].concat();
    assert_eq!(whole_messages(&two), Whole { len: 119, wanted: 0 });
    assert_eq!(whole_messages(&two[..118]), Whole { len: HEADER_LEN, wanted: 0 });
    assert_eq!(whole_messages(&update(100)[..50]), Whole { len: 0, wanted: 100 });
    assert_eq!(whole_messages(&update(100)[..18]), Whole { len: 0, wanted: HEADER_LEN });
    assert_eq!(whole_messages(&update(100)[..5]), Whole { len: 0, wanted: HEADER_LEN });
    assert_eq!(whole_messages(&[]), Whole { len: 0, wanted: HEADER_LEN });
}

async fn is_asleep(reader: &mut MessageReader, stream: &TcpStream) -> bool {
    tokio::time::timeout(PATIENCE / 2, reader.next(stream)).await.is_err()
}

/// A reader, and what its keeper was told of cleanness.
fn reader() -> (MessageReader, Arc<Mutex<Vec<bool>>>) {
    let clean = Arc::default();
    let keeper = SharedKeeper::new(Box::new(Listener(Arc::clone(&clean))));
    (MessageReader::new(keeper.entry(1)), clean)
}

#[derive(Debug)]
struct Listener(Arc<Mutex<Vec<bool>>>);

impl SessionKeeper for Listener {
    fn keep(&mut self, _: u64, _: &SavedSession, _: BorrowedFd<'_>) {}

    fn set_clean(&mut self, _: u64, clean: bool) {
        self.0.lock().unwrap().push(clean);
    }

    fn forget(&mut self, _: u64) {}
}

/// Messages of this length, as fast as they go, about so many octets.
#[expect(clippy::disallowed_methods, reason = "a peer of its own")]
fn blast(peer: TcpStream, len: u16, octets: usize) -> std::thread::JoinHandle<()> {
    let mut peer = peer.into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    std::thread::spawn(move || {
        let chunk: Vec<u8> = (0..60_000 / len).flat_map(|_| update(len)).collect();
        let mut left = octets / usize::from(len) * usize::from(len);
        while left > 0 {
            let next = left.min(chunk.len());
            peer.write_all(&chunk[..next]).unwrap();
            left -= next;
        }
    })
}

async fn connection() -> (TcpStream, TcpStream) {
    let listener = crate::net::socket::listen(([127, 0, 0, 1], 0).into(), &[]).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    peer.set_nodelay(true).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    (peer, stream)
}

fn keepalive() -> Vec<u8> {
    let mut message = Vec::new();
    encode_keepalive(&mut message);
    message
}

fn update(len: u16) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend(len.to_be_bytes());
    message.push(2);
    message.resize(usize::from(len), 7);
    message
}
