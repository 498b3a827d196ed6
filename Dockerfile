# Both programs of the lottery, as two images out of one build:
#
#   docker build --target server -t server:latest .
#   docker build --target client -t client:latest .
#
# The programs are linked statically, so that an image is busybox (a shell, for
# `docker exec -it server sh`, and netcat) and one file. Configuration and bets
# are mounted by whoever starts a container; none of them is in an image.

# The crates of Cargo.lock, compiled against an empty library: this layer is made
# again when Cargo.toml or Cargo.lock change, not when src does.
FROM rust:1-slim-bookworm AS dependencies
WORKDIR /build
# Static linking is asked for with --target (below), without which the flag would
# also reach build scripts and procedural macros, and those cannot be linked so.
ENV RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo
COPY Cargo.toml Cargo.lock ./
# Tests, benchmarks and other programs are no business of an image. Their files are
# not here, and Cargo insists on every file that Cargo.toml names in a [[table]].
RUN sed -i '/^\[\[/,/^$/d' Cargo.toml \
 && mkdir -p src/bin && touch src/lib.rs && echo 'fn main() {}' >src/bin/server.rs \
 && cargo build --release --locked --no-default-features --target "$(rustc --print host-tuple)" --lib \
 && rm -r src

FROM dependencies AS build
COPY src src
# Cargo goes by times, and the sources may well be older than the empty library.
RUN find src -name '*.rs' -exec touch {} + \
 && cargo build --release --locked --no-default-features --target "$(rustc --print host-tuple)" \
      --bin server --bin client \
 && mv target/*/release/server target/*/release/client /usr/local/bin/

# The user is a number because busybox knows no other name than root's, and 1000
# because that is who owns the mounted files on most machines, should they be
# readable by their owner only. The server writes bets.csv in its working directory.
FROM busybox:latest AS runtime
RUN mkdir /loteria && chown 1000:1000 /loteria
WORKDIR /loteria
USER 1000:1000

# The exec form makes the program process 1, which is the one that docker stop
# sends SIGTERM to.
FROM runtime AS server
COPY --from=build /usr/local/bin/server /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/server"]

FROM runtime AS client
COPY --from=build /usr/local/bin/client /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/client"]
