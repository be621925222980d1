//! Every input of the fuzz corpora, without a fuzzer.

#![expect(clippy::expect_used, reason = "the helpers of a test fail as tests do")]

use std::path::Path;

use platform::kernel::{Model, Notification};
use platform::{devlink, ethtool};

/// Reads every input of a corpus; returns how many things were read in them.
fn read_all(corpus: &str, read: impl Fn(&[u8]) -> usize) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(corpus);
    let files = std::fs::read_dir(folder).expect("corpus");
    files.map(|file| read(&std::fs::read(file.expect("file").path()).expect("input"))).sum()
}

#[test]
fn every_notification_is_read_without_panic() {
    let notifications = read_all("notification", |input| {
        let mut model = Model::default();
        let notifications = Notification::decode_all(input);
        let count = notifications.len();
        notifications.into_iter().for_each(|notification| drop(model.apply(notification)));
        count
    });
    assert!(notifications > 20, "the captures among them have something to say");
}

#[test]
fn every_devlink_report_is_read_without_panic() {
    let reports = read_all("devlink", |input| devlink::Report::decode_all(input).len());
    assert!(reports > 20, "the captures among them have something to say");
}

#[test]
fn every_ethtool_report_is_read_without_panic() {
    let reports = read_all("ethtool", |input| ethtool::Report::decode_all(input).len());
    assert!(reports > 5, "the captures among them have something to say");
}
