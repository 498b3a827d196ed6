# Both programs of the lottery, as two images from one build:
#
#   docker build --target server -t server:latest .
#   docker build --target client -t client:latest .
#
# The programs are linked statically, so that an image is busybox (a shell for
# `docker exec -it server sh`, and netcat) and one file. Configuration and bets
# are mounted when a container is started; no image holds any.

# The crates of Cargo.lock, compiled against empty libraries. This layer is made
# again when a Cargo.toml or Cargo.lock changes, not when src does.
FROM rust:1-slim-bookworm AS dependencies
WORKDIR /build
# Static linking needs --target (below): without it the flag would also reach build
# scripts and procedural macros, which cannot be linked statically.
ENV RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo
COPY Cargo.toml Cargo.lock ./
COPY tools/Cargo.toml tools/
# `postgres` for a server whose round is in a database (deploy/cluster).
ARG FEATURES=
RUN mkdir -p src/bin && touch src/lib.rs && echo 'fn main() {}' >src/bin/server.rs \
 && cargo build --release --locked -p loteria --features "$FEATURES" --target "$(rustc --print host-tuple)" --lib \
 && rm -r src

FROM dependencies AS build
ARG FEATURES=
COPY src src
# Cargo compares times, and the sources may be older than the empty library.
RUN find src -name '*.rs' -exec touch {} + \
 && cargo build --release --locked -p loteria --features "$FEATURES" --target "$(rustc --print host-tuple)" \
      --bin server --bin client \
 && mv target/*/release/server target/*/release/client /usr/local/bin/

# The tool, for `make docker-certificates` alone: no other image waits for it.
FROM build AS tool
COPY tools/src tools/src
# Its tests of other implementations read the requirements there.
COPY protocol.md ./
RUN find tools/src -name '*.rs' -exec touch {} + \
 && cargo build --release --locked -p loteria-tools --target "$(rustc --print host-tuple)" --bin loteria \
 && mv target/*/release/loteria /usr/local/bin/

# The user is a number because busybox knows no other name than root, and 1000
# because that is the owner of the mounted files on most machines. The server
# writes bets.csv in its working directory.
FROM busybox:latest AS runtime
RUN mkdir /loteria && chown 1000:1000 /loteria
WORKDIR /loteria
USER 1000:1000

# The bets are in a volume, so that a container that Compose makes anew keeps them.
# `docker compose down -v` removes it. The exec form has docker stop's SIGTERM reach the
# program: as process 1, or from the init that the Compose file asks for.
FROM runtime AS server
COPY --from=build /usr/local/bin/server /usr/local/bin/
VOLUME /loteria
ENTRYPOINT ["/usr/local/bin/server"]

FROM runtime AS loteria
COPY --from=tool /usr/local/bin/loteria /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/loteria"]

FROM runtime AS client
COPY --from=build /usr/local/bin/client /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/client"]
