# shellcheck shell=bash
# shellcheck disable=SC2154  # tests/docker.sh, which sources this file, sets work and ALL_BETS.
# The promises of tests/docker.sh about the images.

the_images_hold_a_program_and_nothing_to_configure() {
  local name
  for name in server client; do
    check "$name does not run as root" is "$(docker run --rm --entrypoint id "$name:latest" -u)" 1000
    check "$name holds no configuration and no data" is "$(docker run --rm --user 0 --entrypoint find "$name:latest" \
      / -xdev -type f '(' -name '*.csv' -o -name '*.ini' -o -name '*.y*ml' -o -name '*.rs' -o -name '*.zip' ')')" ""
    check "$name: its working directory is empty" is "$(docker run --rm --entrypoint find "$name:latest" .)" .
    echo "          $name:latest is $(docker image inspect -f '{{.Size}}' "$name:latest" | awk '{ printf "%.1f MB", $1 / 1e6 }')"
  done
}

# context_files: the build context without src, from an image that holds a copy of it.
context_files() {
  docker build -q -t loteria-context -f - . >/dev/null 2>&1 <<<$'FROM busybox:latest\nCOPY . /context'
  docker run --rm -w /context loteria-context find . -path "*/src" -prune -o -type f -print | sort
  docker rmi loteria-context >/dev/null
}

a_build_sees_sources_only() {
  check "the build context, without src" is "$(context_files | tr '\n' ' ')" "./Cargo.lock ./Cargo.toml ./protocol.md ./tools/Cargo.toml "
}

# dependency_steps_run_again: steps of the dependencies that a change of the sources runs again.
dependency_steps_run_again() {
  local copy=$work/changed
  mkdir -p "$copy/tools"
  cp tools/Cargo.toml "$copy/tools"
  cp -r Dockerfile .dockerignore Cargo.toml Cargo.lock src "$copy"
  echo "// changed" >>"$copy/src/lib.rs"
  docker build --progress plain --output type=cacheonly --target dependencies "$copy" 2>&1 |
    awk '/^#[0-9]+ \[dependencies / && !/ FROM / { step[$1] = $0 }
         /^#[0-9]+ CACHED/ && $1 in step { delete step[$1]; cached++ }
         END { for (s in step) print step[s]; if (!cached) print "no step was cached" }'
}

a_change_in_src_compiles_no_dependency_again() {
  check "the layers of the dependencies come from the cache" is "$(dependency_steps_run_again)" ""
}
