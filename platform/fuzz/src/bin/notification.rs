//! Arbitrary bytes as datagrams of the kernel: none may panic, and the model takes in whatever was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use platform::kernel::{Model, Notification};

fuzz_target!(|input: &[u8]| {
    let mut model = Model::default();
    for notification in Notification::decode_all(input) {
        model.apply(notification.clone());
        model.apply(notification);
    }
});
