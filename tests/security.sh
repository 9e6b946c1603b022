#!/usr/bin/env bash
# The long forms of what docs/security.md tells, in a release build, with the figures: a million random addresses, a
# thousand receivers that hang, two thousand slow callers, bombs by the clock, fuzzing for a while. The short forms are in
# `cargo test`. Half an hour on two cores, building included; FUZZ_SECONDS (60) is the time of each fuzz target.
#
# Needs what `.ci/run` needs. Honours CARGO_TARGET_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
# Two thousand connections at both ends, and sockets of a thousand receivers.
ulimit -n "$(ulimit -H -n)"

# long NAME COMMAND...: says what runs, and shows what it prints.
long() {
    local name=$1
    shift
    printf '\n==> %s\n    %s\n' "$name" "$*"
    "$@"
}

release() { cargo test --release --locked --quiet "$@"; }

long "a million addresses in 16 spellings" env PROPTEST_CASES=1000000 cargo test --release --locked --quiet --test addresses
long "canaries" release --test canaries
long "bombs" release --lib net::body -- --nocapture
long "a gzip bomb over the wire" release --test net a_gzip_bomb -- --nocapture
long "hostile images" release --test hostile_images -- --nocapture --test-threads=1
long "1,000 receivers that hang" env HANGING_RECEIVERS=1000 cargo test --release --locked --quiet --test worker many_that_hang -- --nocapture
long "2,000 slow callers" cargo bench --locked --quiet --bench load -- --parts slow --seconds 10
