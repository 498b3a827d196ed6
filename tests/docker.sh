#!/usr/bin/env bash
# The eight exercises on a Docker engine: builds both images, runs whole rounds under
# Docker Compose, and checks the logs, exit codes and files of the containers.
#
# Each function is a promise. Each check prints a line, the last line counts them, and
# the exit code is 0 if all of them held. Arguments are names of functions to run; without
# any, all of them run. Every wait polls, up to PATIENCE seconds, so that a slow machine
# passes too.
#
# Most rounds use a temporary folder with a configuration of their own. The containers
# have the names of the project: the script refuses to run while a round is up.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

readonly PATIENCE=120
readonly NAMES=(server client1 client2 client3 client4 client5)
readonly ALL_BETS=(.data/agency-{1..5}.csv)
passed=0 failed=0

# shellcheck source=tests/docker/helpers.sh
source tests/docker/helpers.sh
# shellcheck source=tests/docker/images.sh
source tests/docker/images.sh
# shellcheck source=tests/docker/exercises.sh
source tests/docker/exercises.sh
# shellcheck source=tests/docker/rounds.sh
source tests/docker/rounds.sh

# --- all of it --------------------------------------------------------------

stop_here() { echo "tests/docker.sh: $1" >&2; exit 1; }

# image_of NAME: the id of an image; empty if there is none.
image_of() { docker image inspect -f '{{.Id}}' "$1:latest" 2>/dev/null; }

# Leaves the images that were there before, and none of this script's own.
restore_images() {
  local name id
  for name in server client; do
    built+=("$(image_of "$name")")
    if [[ -n ${images_before[$name]} ]]; then docker tag "${images_before[$name]}" "$name:latest"; else docker rmi "$name:latest"; fi
  done
  for id in "${built[@]}"; do
    [[ " ${images_before[*]} " == *" $id "* ]] || docker rmi "$id"
  done
}

clean_up() {
  down
  docker compose --progress quiet -f docker-compose-dev.yaml --profile netcat down -t 1
  docker kill stand-in
  restore_images
  [[ -n $had_certificates ]] || rm -rf .tls docker-compose-tls.yaml
  rm -rf "$work"
} >/dev/null 2>&1

docker info >/dev/null 2>&1 || stop_here "no Docker engine answers; start one (docker info says what is wrong)"
docker compose version >/dev/null 2>&1 || stop_here "docker compose (version 2) is not installed"
[[ -z $(docker ps -aq --filter label=com.docker.compose.project=tp0) ]] ||
  stop_here "a round is up; make docker-compose-netcat-down takes it down"
[[ -f ${ALL_BETS[4]} ]] || stop_here "the agencies' bets are missing; make data makes them"

unset ADMIN_ADDRESS ADMIN SLOW TLS ONE_BET CLI_BATCH_PERIOD CLI_MODE CLI_LOG_LEVEL LOGGING_LEVEL NOMBRE APELLIDO DOCUMENTO NACIMIENTO NUMERO
declare -A images_before=([server]=$(image_of server) [client]=$(image_of client))
built=()
had_certificates=$([[ ! -d .tls ]] || echo yes)
work=$(mktemp -d) || exit 1
trap clean_up EXIT
mkdir -p "$work/config/server" "$work/config/client" "$work/.data"
cp generar-compose.sh "$work"
cp "${ALL_BETS[@]}" "$work/.data"

make docker-image >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log"; stop_here "the images could not be built"; }
built=("$(image_of server)" "$(image_of client)")

(($# > 0)) || set -- \
  the_images_hold_a_program_and_nothing_to_configure \
  a_build_sees_sources_only \
  a_change_in_src_compiles_no_dependency_again \
  exercise_1_every_echo_client_hears_each_of_its_messages_back \
  exercise_2_a_changed_configuration_needs_no_new_image \
  exercise_3_the_echo_server_is_validated_from_inside_its_network \
  exercise_4_sigterm_ends_every_program_within_a_second \
  exercise_5_an_agency_sends_the_bet_of_its_environment \
  exercises_6_to_8_five_agencies_are_each_told_their_own_winners \
  exercises_7_and_8_can_be_followed \
  a_round_over_tls_needs_one_word_more \
  a_killed_and_restarted_program_loses_and_repeats_no_bet \
  a_replaced_container_keeps_its_bets_and_down_begins_a_new_round \
  sighup_reads_a_configuration_that_an_editor_replaced \
  exercise_1_needs_no_bets_as_its_readme_row_is_typed
for promise; do
  echo "$promise"
  "$promise"
done

echo "$passed passed, $failed failed"
((failed == 0))
