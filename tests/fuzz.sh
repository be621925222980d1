#!/bin/sh
# Builds a fuzz target with coverage, on stable Rust, and runs it from its corpus: fuzz.sh CRATE TARGET [libFuzzer options]
set -eu
cd "$(dirname "$0")/../$1/fuzz"
target=$2
shift 2
host=$(rustc -vV | sed -n 's/^host: //p')
# With --target the flags do not reach build scripts, which could not run with them.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
  cargo build --quiet --release --target "$host" --bin "$target"
mkdir -p "target/corpus/$target" artifacts
exec "target/$host/release/$target" "target/corpus/$target" "corpus/$target" -artifact_prefix="artifacts/$target-" "$@"
