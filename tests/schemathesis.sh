#!/usr/bin/env bash
# Asks a running service everything that its own OpenAPI document allows, and much that it forbids.
#
#     tests/schemathesis.sh [EXAMPLES]     examples per operation, 30 unless given
#
# Installs schemathesis into a virtual environment under target/, starts the debug build of `spinelift serve --dev` in a
# folder of its own, and fails on any answer that the document does not describe, any 5xx but those described, and any
# answer that is not what it claims to be. Needs cargo, python3 with venv, and PyPI on the first run.
set -euo pipefail
cd "$(dirname "$0")/.."

examples=${1:-30}
target=${CARGO_TARGET_DIR:-$PWD/target}
tools=$target/schemathesis
version=4.32.5
rules=$PWD/tests/schemathesis.toml

[ -x "$tools/bin/schemathesis" ] || {
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
}

cargo build --locked --quiet
folder=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
binary=$(realpath "$target")/debug/spinelift
# Its name server knows no name, so that no stranger is asked for the images of the examples.
names=$(mktemp -u)
python3 - "$names" <<'PYTHON' &
import pathlib, socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
pathlib.Path(sys.argv[1]).write_text(str(server.getsockname()[1]))
while True:
    question, who = server.recvfrom(4096)
    # The question as it came, as an answer: there is no such name.
    server.sendto(question[:2] + b"\x81\x83" + question[4:6] + bytes(6) + question[12:].split(b"\0", 1)[0]
                  + b"\0" + question[12:].split(b"\0", 1)[1][:4], who)
PYTHON
name_server=$!
until [ -s "$names" ]; do sleep 0.05; done
(cd "$folder" && PORT=$port DNS_SERVERS="127.0.0.1:$(cat "$names")" exec "$binary" serve --dev) >"$folder/log" 2>&1 &
service=$!
trap 'kill "$service" "$name_server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder" "$names"' EXIT
for _ in $(seq 200); do
    curl --silent --fail --output /dev/null "http://127.0.0.1:$port/health" && break
    sleep 0.05
done

# The seed is fixed, so that a fault found once is found again; a long run should choose others.
(cd "$folder" && "$tools/bin/schemathesis" --config-file "$rules" run "http://127.0.0.1:$port/openapi.json" \
    --max-examples "$examples" --seed "${SEED:-1}" --request-timeout 20 --no-color) || {
    printf '\nthe service said at the end:\n'
    tail -20 "$folder/log"
    exit 1
}
