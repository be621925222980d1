//! Every input of the fuzz corpus, without a fuzzer.

use std::path::Path;

use platform::kernel::{Model, Notification};

#[test]
fn every_input_of_the_corpus_is_read_without_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/notification");
    let mut notifications = 0;
    for file in std::fs::read_dir(folder).expect("corpus") {
        let input = std::fs::read(file.expect("file").path()).expect("input");
        let mut model = Model::default();
        for notification in Notification::decode_all(&input) {
            model.apply(notification);
            notifications += 1;
        }
    }
    assert!(notifications > 20, "the captures among them have something to say");
}
