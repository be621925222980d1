//! Arbitrary bytes as devlink messages of the kernel: none may panic, nor overflow the stack by nesting.

#![no_main]

use libfuzzer_sys::fuzz_target;
use platform::devlink::{Report, Resource};

fuzz_target!(|input: &[u8]| {
    for report in Report::decode_all(input) {
        if let Report::Resources(_, resources) = report {
            resources.iter().flat_map(Resource::walk).for_each(|resource| _ = resource.is_full());
        }
    }
});
