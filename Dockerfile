# The service as a container image: `docker build -t spinelift .`; docs/deployment.md has the rest.
#
# Dependencies take most of the time and change seldom: they are built before any source is copied, for a package of empty
# files. That takes no further tool, where cargo-chef would be one more to build, pin and
# trust for a single package. tests/container.rs holds this file against Cargo.toml and the settings; deploy/prove.sh runs
# its steps where there is no container engine.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# `dev` builds sooner what runs slower, for trying out.
ARG PROFILE=release

COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/fleet benches/load \
    && touch src/lib.rs benches/decode.rs benches/enqueue.rs benches/fleet/main.rs benches/load/main.rs benches/stages.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --locked --profile "$PROFILE" --bin spinelift

COPY migrations migrations
COPY src src
# Cargo goes by time, and files keep the time of their last change: older than what was built of the empty ones.
RUN touch src/lib.rs src/main.rs \
    && cargo build --locked --profile "$PROFILE" --bin spinelift \
    && mkdir -p image/data \
    && cp target/*/spinelift image/spinelift \
    && strip --strip-debug image/spinelift

# Only the C library that the binary was linked with, the certificates of public authorities, and no shell. A static
# binary on an empty image would be smaller still; musl's allocator, shared by all threads of the engine, is why not.
# Names are looked up by the service itself, from the /etc/resolv.conf that the engine writes.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG REVISION=""
LABEL org.opencontainers.image.title="SpineLift" \
      org.opencontainers.image.description="Turns images into 2D triangle meshes for skeletal animation" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION"

COPY --from=build /build/image/spinelift /usr/local/bin/spinelift
# Named volumes begin as this folder is: its user's alone.
COPY --from=build --chown=10001:10001 --chmod=700 /build/image/data /data

# What a container must differ in. Beyond loopback the service wants API keys, or --insecure.
ENV HOST=0.0.0.0 \
    PORT=8000 \
    DATABASE_URL=sqlite:/data/spinelift.db \
    STORAGE_PATH=/data/blobs

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# That it lives. Who kills what is unhealthy must not do so because the queue is full or the database away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["spinelift", "health"]
ENTRYPOINT ["spinelift"]
CMD ["serve"]
