#!/usr/bin/env bash
# The long forms of what docs/reliability.md tells of several nodes on one PostgreSQL database: nodes of an older version
# beside new ones, 500 kills over 10,000 jobs, one node every second and a half and then as fast as they start again, and a
# worker that is stopped for twice its lease. The short forms are in `cargo test`. Three quarters of an hour on two cores,
# building included.
#
# TEST_POSTGRES_URL names the server, if it is not on this machine. OLD names the commit of the older version; without
# it that is the first one with the tables that every later one began with. Needs what `.ci/run` needs. Honours
# CARGO_TARGET_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
export CI=true # what cannot be run fails

# fleet NAME WHICH ARGUMENTS...: says what runs, runs the tests of that name, and shows what they print.
fleet() {
    printf '\n==> %s\n' "$1"
    cargo test --locked --quiet --test fleet "$2" -- --nocapture "${@:3}"
}

OLD="${OLD:-$(git log -1 --format=%H -- migrations/postgres/0001_jobs.sql)}"
folder="$(mktemp -d)"
trap 'git worktree remove --force "$folder/tree"; rm -rf "$folder"' EXIT
git worktree add --quiet --detach "$folder/tree" "$OLD"
printf '\n==> the older version: %s\n' "$(git log -1 --format='%h %s' "$OLD")"
# Not in the same folder: cargo would take the one version for the other.
older="$CARGO_TARGET_DIR/older"
(cd "$folder/tree" && CARGO_TARGET_DIR="$older" cargo build --locked --quiet)

FLEET_OLD_PROGRAM="$(realpath "$older")/debug/spinelift" fleet "nodes of two versions" upgrade --include-ignored
export FLEET_KILLS=500 FLEET_JOBS=10000 FLEET_STOP_SECONDS=60
fleet "a worker stopped for twice its lease" stopped
FLEET_PAUSE_MS=2000 fleet "500 kills, 10,000 jobs" random_kills
fleet "500 kills as fast as nodes start again" random_kills
