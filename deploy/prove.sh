#!/usr/bin/env bash
# Runs the steps of the Dockerfile where there is no container engine, and tells whether the image would work:
#
#   deploy/prove.sh [PROFILE]     as root, as chroot needs it; PROFILE is `dev` unless given, `release` takes minutes more
#   deploy/prove.sh configs       the third part alone
#
# 1. build: an empty folder gets what the Dockerfile copies and .dockerignore lets through, and nothing else; its own RUN
#    lines are run there, in order. The dependencies must be built before there are sources, and not again because of them.
# 2. run: an empty root gets what the final image holds: binary, certificates, the C library, /data. As the image's user and
#    as process 1 it must refuse to run without keys, serve, say that it is well, make a mesh, and stop in time.
# 3. configs: compose.yaml against its schema, and without and with its variables; deploy/prometheus.yml with
#    docs/alerts.yml by promtool; deploy/haproxy.cfg by haproxy. A tool that is missing is told of, and fails under CI=true,
#    but for the engine's own: without it compose.yaml is checked against its schema alone.
#
# What it cannot show: that the base images are there under their tags, and that they hold what is taken for granted here.
# Needs: bash, cargo, python3, curl, unshare and chroot, binutils.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PROFILE=${1:-dev}
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
readonly PORT
readonly VALUE=0123456789abcdef0123456789abcdef
readonly PICTURE=$PWD/testdata/corpus/limbs-octopus-512.png
# The libraries that gcr.io/distroless/cc holds.
readonly LIBRARIES='linux-vdso|ld-linux|libc|libm|libgcc_s|libstdc\+\+|libdl|libpthread|librt'

WORK=$(mktemp -d)
readonly WORK
service=
# What was started ends with this, however it ends. The service by itself, as a change of user loosens --kill-child.
trap '[ -z "$service" ] || pkill -KILL -P "$service" || true; rm -rf "$WORK"' EXIT

say() { printf '\n==> %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
missing() {
    printf 'NOT CHECKED: %s is missing here; %s\n' "$1" "$2" >&2
    [ "${CI:-}" != true ] || exit 1
}

# instructions STAGE: the Dockerfile's lines from its STAGE-th FROM on, each instruction in one line.
instructions() {
    awk -v stage="$1" '
        /^[[:space:]]*#/ || /^[[:space:]]*$/ { next }
        { line = line $0 }
        /\\$/ { sub(/\\$/, " ", line); next }
        { if (line ~ /^FROM /) at++; if (at == stage) print line; line = "" }
    ' Dockerfile
}

# What the engine would be sent: the files of git that .dockerignore takes back from its `*`.
context() {
    grep -qx '\*' .dockerignore || fail '.dockerignore does not begin with nothing'
    sed -n 's/^!//p' .dockerignore | xargs git ls-files -z -- | tar --null -T - -c | tar -x -C "$1"
}

build() {
    local context=$WORK/context folder=$WORK/build log=$WORK/log verb rest sources=0
    mkdir "$context" "$folder"
    context "$context"
    # Older than anything that is built here, as a checkout may be.
    find "$context" -type f -exec touch -d 2001-01-01 {} +
    while read -r verb rest; do
        case $verb in
            FROM | ARG | WORKDIR) ;;
            COPY)
                # shellcheck disable=SC2086
                set -- $rest
                case $rest in *src*) sources=1 ;; esac
                local target=${!#}
                while [ $# -gt 1 ]; do
                    # Of a folder, the content is copied.
                    if [ -d "$context/$1" ]; then
                        mkdir -p "$folder/$target" && cp -a "$context/$1/." "$folder/$target/"
                    else
                        cp -a "$context/$1" "$folder/$target"
                    fi
                    shift
                done
                ;;
            RUN) step "$folder" "$log" "$sources" "$rest" ;;
            *) fail "build: $verb is not known here" ;;
        esac
    done < <(instructions 1)
    say 'build: a source changes'
    touch "$folder/src/lib.rs"
    echo '// changed' >> "$folder/src/job.rs"
    step "$folder" "$log" 1 "$(instructions 1 | sed -n 's/^RUN //p' | tail -1)"
    ls -l "$folder/image/spinelift"
}

# step FOLDER LOG SOURCES COMMAND: runs one RUN line. Once there are sources, nothing but the package may be compiled.
step() {
    say "build: $4"
    (cd "$1" && env -u CARGO_TARGET_DIR PROFILE="$PROFILE" sh -c "$4") >"$2" 2>&1 || fail "$(tail -30 "$2")"
    grep Finished "$2"
    printf '    packages compiled: %s\n' "$(grep -c Compiling "$2")"
    if [ "$3" = 1 ]; then
        [ "$(grep Compiling "$2" | grep -vc 'Compiling spinelift ')" = 0 ] || fail 'dependencies were built again'
        grep -q 'Compiling spinelift ' "$2" || fail 'the sources were not built'
    fi
}

# The root of the image, from what the Dockerfile's last stage says.
root() {
    local root=$1 library
    mkdir -p "$root"/{usr/local/bin,etc/ssl/certs,tmp,data}
    cp "$WORK/build/image/spinelift" "$root/usr/local/bin/"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    cp -L /etc/resolv.conf "$root/etc/"
    echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' > "$root/etc/passwd"
    chmod 1777 "$root/tmp"
    chmod 700 "$root/data"
    chown 10001:10001 "$root/data"
    ldd "$root/usr/local/bin/spinelift"
    ldd "$root/usr/local/bin/spinelift" | grep -vqE "($LIBRARIES)[-.]" && fail 'it needs libraries that the image has not'
    for library in $(ldd "$root/usr/local/bin/spinelift" | grep -o '/[^ ]*'); do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
}

# inside ARGUMENTS...: takes the place of this shell with the entry point, as the image's user and in its environment.
inside() {
    local variables user
    variables=$(instructions 2 | sed -n 's/^ENV //p')
    user=$(instructions 2 | sed -n 's/^USER //p')
    # shellcheck disable=SC2086
    exec env -i PATH=/usr/local/bin:/usr/bin:/bin $variables PORT=$PORT \
        "$(command -v unshare)" --pid --fork "$(command -v chroot)" --userspec="$user" "$WORK/root" spinelift "$@"
}

run() {
    local status process begin secret
    root "$WORK/root"

    say 'run: without keys'
    status=0
    (inside serve) 2>"$WORK/said" || status=$?
    cat "$WORK/said"
    [ "$status" = 2 ] && grep -q 'keys add NAME' "$WORK/said" || fail "status $status"

    say 'run: a key is added'
    secret=$( (inside keys add prove) 2>"$WORK/said") || fail "$(cat "$WORK/said")"
    [ "${#secret}" -ge 32 ] || fail 'no secret'

    say 'run: serve'
    (inside serve) 2>"$WORK/said" &
    service=$!
    status=1
    for _ in $(seq 100); do
        (inside health) >"$WORK/health" 2>&1 && status=0 && break
        sleep 0.1
    done
    cat "$WORK/said" "$WORK/health"
    [ "$status" = 0 ] || fail 'it is not well'
    (inside health --ready)
    grep -q 'certificates were found' "$WORK/said" && fail 'it finds no certificates'
    process=$(pgrep -P "$service")
    [ "$(stat -c %u "/proc/$process")" = 10001 ] || fail 'it runs as another user'
    grep -q '^NSpid:.*[[:space:]]1$' "/proc/$process/status" || fail 'it is not process 1'

    say 'run: a mesh'
    curl -sS --fail-with-body -H "Authorization: Bearer $secret" "http://127.0.0.1:$PORT/api/v1/mesh/generate" \
        -H 'Prefer: wait=30' -F job_id=octopus -F file=@"$PICTURE"
    echo
    curl -sS --fail-with-body -H "Authorization: Bearer $secret" "http://127.0.0.1:$PORT/api/v1/mesh/octopus/result" |
        tee "$WORK/mesh" | cut -c 1-100
    python3 -c 'import json, sys; mesh = json.load(open(sys.argv[1])); assert mesh["triangles"] and mesh["uvs"], mesh' "$WORK/mesh"
    curl -s -o "$WORK/refused" -w '%{http_code}' "http://127.0.0.1:$PORT/api/v1/mesh/octopus/result" | grep -qx 401 ||
        fail 'strangers are let in'
    find "$WORK/root/data" -printf '%M %U %P\n' | head

    say 'run: SIGTERM'
    begin=$(date +%s%N)
    kill -TERM "$process"
    status=0
    wait "$service" || status=$?
    service=
    tail -1 "$WORK/said"
    printf '    stopped after %d ms with status %d\n' $((($(date +%s%N) - begin) / 1000000)) "$status"
    [ "$status" = 0 ] || fail 'it did not stop in order'
    [ $((($(date +%s%N) - begin) / 1000000)) -lt 10000 ] || fail 'an engine would have killed it after 10 s'
}

configs() {
    local folder=$WORK/configs variables
    mkdir "$folder"
    cp compose.yaml deploy/prometheus.yml docs/alerts.yml "$folder"
    variables=$(grep -o '\${[A-Z0-9_]*:?' compose.yaml | tr -d '${:?' | sort -u)

    say 'configs: compose.yaml'
    if docker compose version >/dev/null 2>&1; then
        (cd "$folder" && docker compose config -q 2>/dev/null) && fail 'secrets have defaults'
        (cd "$folder" && for name in $variables; do echo "$name=$VALUE"; done > .env && docker compose config -q)
    elif check-jsonschema --version >/dev/null 2>&1; then
        echo 'docker compose is missing here: the schema alone is checked'
        check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
    else
        missing 'docker compose' 'so is what checks its schema: pip install check-jsonschema'
    fi

    say 'configs: deploy/prometheus.yml, docs/alerts.yml'
    touch "$folder/metrics.key"
    if promtool --version >/dev/null 2>&1; then
        promtool check config "$folder/prometheus.yml"
    else
        missing promtool 'it comes with Prometheus'
    fi

    say 'configs: deploy/haproxy.cfg'
    if haproxy -v >/dev/null 2>&1; then
        haproxy -c -f deploy/haproxy.cfg
    else
        missing haproxy 'it comes with HAProxy'
    fi
}

configs
[ "$PROFILE" != configs ] || exit 0
build
run
say 'the image would work'
