//! Builder of the ONIE installer and upgrade images. It has no features yet: it says so and fails, so that no
//! script takes an empty image for a real one.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!(
        "images: building ONIE images is not implemented yet; see CHANGELOG.md for what this release contains"
    );
    ExitCode::FAILURE
}
