//! Arbitrary bytes as answers of ethtool: none may panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use platform::ethtool::Report;

fuzz_target!(|input: &[u8]| {
    for report in Report::decode_all(input) {
        if let Report::LinkState(_, state) = report {
            state.down_reason.map(|reason| reason.to_string());
        }
    }
});
