//! What the fuzz targets check. `bgp/tests/corpus.rs` runs the same checks over the corpus, with no fuzzer.

pub mod checks;
