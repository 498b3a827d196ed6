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

# --- the exercises ----------------------------------------------------------

every_message_came_back() { # every_message_came_back CLIENTS MESSAGES
  local i k
  for ((i = 1; i <= $1; i++)); do
    for ((k = 1; k <= $2; k++)); do
      says "client$i" "action: receive_message | result: success | client_id: $i | msg: [CLIENT $i] Message N°$k" || return
    done
    says "client$i" "action: receive_message" "$2" || return
    says "client$i" "action: loop_finished | result: success | client_id: $i" || return
  done
}

exercise_1_every_echo_client_hears_each_of_its_messages_back() {
  local clients messages heard
  for clients in 1 2 5; do
    heard=0
    for messages in 1 3 5; do
      configure amount="$messages"
      CLI_MODE="echo" up "$clients"
      # shellcheck disable=SC2046  # One argument for each client.
      check "clients $clients, messages $messages: the clients exit with 0" ended_well $(clients "$clients")
      check "clients $clients, messages $messages: every one is logged once" every_message_came_back "$clients" "$messages"
      heard=$((heard + clients * messages))
      check "clients $clients, messages $messages: the server logged them" says server "action: receive_message | result: success" "$heard"
      # The next messages come from new clients to the same server.
      # shellcheck disable=SC2046
      compose rm -f $(clients "$clients")
    done
    check "clients $clients: the server is still up" is_running server
    down
  done
}

exercise_2_a_changed_configuration_needs_no_new_image() {
  local images
  images=$(docker image inspect -f '{{.Id}}' server:latest client:latest)

  configure backlog=7 level=DEBUG client_level=DEBUG
  CLI_MODE="echo" up 1
  check "the client runs with the first configuration" ended_well client1
  check "server: listen_backlog and logging_level" has_said server "action: config | result: success | port: 12345 | listen_backlog: 7 | logging_level: DEBUG"
  check "client: loop.amount, loop.period and log.level" has_said client1 "loop_amount: 1 | loop_period: 50ms | log_level: DEBUG"

  configure backlog=19 level=DEBUG amount=3 period=70ms client_level=DEBUG
  compose stop
  CLI_MODE="echo" compose up -d
  check "the client runs with the second configuration" ended_well client1
  check "server: the changed values after another docker compose up" has_said server "action: config | result: success | port: 12345 | listen_backlog: 19 | logging_level: DEBUG"
  check "client: the changed values after another docker compose up" has_said client1 "loop_amount: 3 | loop_period: 70ms | log_level: DEBUG"

  configure level=ERROR
  down
  CLI_MODE="echo" up 1
  check "the client runs with the third configuration" ended_well client1
  check "the level ERROR silences the server" is "$(docker logs server 2>&1 | grep -cvF ' ERROR ')" 0
  check "the images are the same" is "$(docker image inspect -f '{{.Id}}' server:latest client:latest)" "$images"
  down
}

# asks_for_echo RESULT EXIT_CODE [REASON]: validar-echo-server.sh gives this, within ten seconds. The reason of a failure
# is one line on standard error.
asks_for_echo() {
  local started=$SECONDS said code
  said=$(sh validar-echo-server.sh 2>"$work/reason")
  code=$?
  is "$said, exit code $code" "action: test_echo_server | result: $1, exit code $2" || return
  is "$(grep -c . <"$work/reason") lines of reasons" "$(($2)) lines of reasons" || return
  grep -qF -- "${3-}" "$work/reason" || (($2 == 0)) || { cat "$work/reason"; return 1; }
  ((SECONDS - started < 10))
}

# stand_in COMMAND: a container with the name server on the network, which answers so.
stand_in() {
  docker run -d --rm --name stand-in --network tp0_testing_net --network-alias server \
    busybox:latest sh -c "$1" >/dev/null
}

no_stand_in() {
  docker kill stand-in >/dev/null
  eventually eval '! docker inspect stand-in'
}

exercise_3_the_echo_server_is_validated_from_inside_its_network() {
  configure
  check "no network: fail" asks_for_echo fail 1 "there is no network"
  up 0
  check "our server: success" asks_for_echo success 0
  compose stop
  check "our server stopped: fail" asks_for_echo fail 1 "nc: "
  stand_in "nc -ll -p 12345 -e cat"
  check "another server that echoes: success" asks_for_echo success 0
  no_stand_in
  stand_in "nc -ll -p 12345 -e sed s/e/a/"
  check "a server that answers something else: fail" asks_for_echo fail 1 "the server answered"
  no_stand_in
  stand_in "nc -ll -p 12345 -e sleep 1000"
  check "a server that never answers: fail" asks_for_echo fail 1 "sent nothing back within 3 seconds"
  no_stand_in
  down
}

# stopped_well CONTAINER: after docker stop -t 1 it has ended on its own (Docker kills it
# after the second, and the exit code would be 137) and has closed its resources.
stopped_well() {
  local last
  last=$(docker logs "$1" 2>&1 | tail -n 1)
  is "$1 $(state "$1")" "$1 exited 0" && has_said "$1" "action: close_" || return
  [[ $last == *"action: exit | result: success"* ]] || { echo "last line: $last"; return 1; }
}

# Reads the file, because the log is long when a batch is one bet.
has_stored() { (($(docker exec server sh -c "wc -l <bets.csv") >= $1)); }
all_are_sending() {
  docker exec server sh -c 'for agency in 1 2 3 4 5; do grep -q "^$agency," bets.csv || exit; done'
}

# in_mid_round: some bets are not stored yet.
in_mid_round() {
  local stored
  stored=$(bets_of_server | wc -l)
  ((stored < $(cat "${ALL_BETS[@]}" | wc -l))) || { echo "all $stored bets are stored"; return 1; }
}

exercise_4_sigterm_ends_every_program_within_a_second() {
  local name
  configure amount=2 period=1h client_level=DEBUG
  CLI_MODE="echo" up 1
  check "an echo client waits for its next message" eventually has_said client1 "action: receive_message"
  docker stop -t 1 client1 >/dev/null
  check "docker stop, a client that sleeps: exit code 0, closed" stopped_well client1
  docker stop -t 1 server >/dev/null
  check "docker stop, an idle server: exit code 0, closed" stopped_well server
  down

  configure batch=1 window=1
  up 5
  check "five agencies are sending" eventually all_are_sending
  docker stop -t 1 client1 >/dev/null
  check "docker stop, a client that sends: exit code 0, closed" stopped_well client1
  docker stop -t 1 server >/dev/null
  check "docker stop, a server that stores: exit code 0, closed" stopped_well server
  check "that was in mid-round" in_mid_round
  check "the agencies wait for the server to come back" is_running client2
  docker stop -t 1 client2 >/dev/null
  check "docker stop, a client without its server: exit code 0, closed" stopped_well client2
  down

  up 5
  check "five agencies are sending again" eventually all_are_sending
  compose stop -t 1
  for name in "${NAMES[@]}"; do
    check "docker compose stop, $name: exit code 0, closed" stopped_well "$name"
  done
  check "that was in mid-round, too" in_mid_round
  down
}

exercise_5_an_agency_sends_the_bet_of_its_environment() {
  configure
  NOMBRE="Santiago Lionel" APELLIDO="Núñez" DOCUMENTO=30904465 NACIMIENTO=1999-03-17 NUMERO=7574 up 1
  check "the client exits with 0" ended_well client1
  check "the client sent it" says client1 "action: apuesta_enviada | result: success | dni: 30904465 | numero: 7574"
  check "the server stored it" says server "action: apuesta_almacenada | result: success | dni: 30904465 | numero: 7574"
  check "bets.csv holds that bet and nothing else" is "$(bets_of_server)" $'1,Santiago Lionel,Núñez,30904465,1999-03-17,7574\r'
  down

  ONE_BET=1 up 5
  # shellcheck disable=SC2046
  check "five clients exit with 0" ended_well $(clients 5)
  check "each has sent a bet of its own" is "$(bets_of_server | cut -d , -f 1,4 | sort | tr '\n' ' ')" \
    "1,30000001 2,30000002 3,30000003 4,30000004 5,30000005 "
  down
}

variables_of() { docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$1"; }

# With the project's own files and through make.
exercises_6_to_8_five_agencies_are_each_told_their_own_winners() {
  local agency names=("${NAMES[@]:1}")
  check "make docker-compose-up" make docker-compose-up
  check "the five agencies exit with 0" ended_well "${names[@]}"
  check "the draw happened once" says server "action: sorteo | result: success"
  for agency in 1 2 3 4 5; do
    check "client$agency was told its number of winners, once" says "client$agency" \
      "action: consulta_ganadores | result: success | cant_ganadores: $(winners ".data/agency-$agency.csv" | wc -l)"
    check "agency $agency is sent its own winners and no others" \
      is "$(answer_to "$agency")" "$(answer_due ".data/agency-$agency.csv")"
  done
  check "bets.csv holds the five files to the byte" holds_exactly "${ALL_BETS[@]}"
  check "the server counted every bet" is "$(docker logs server 2>&1 |
    sed -n 's/.*action: apuesta_recibida | result: success | cantidad: \([0-9]*\).*/\1/p' |
    awk '{ sum += $1 } END { print sum }')" "$(cat "${ALL_BETS[@]}" | wc -l)"
  check "variables that are not set here are not set there" \
    is "$(variables_of client1 | grep -cE '^(CLI_MODE|CLI_LOG_LEVEL|CLI_BATCH_PERIOD|NOMBRE|APELLIDO|DOCUMENTO|NACIMIENTO|NUMERO)=')" 0

  check "make docker-compose-netcat-up" make docker-compose-netcat-up
  check "the netcat container is answered" ended_well netcat
  check "with the message that it sent" is "$(docker logs netcat 2>/dev/null)" "Hello from netcat"
  check "the agencies, up again, exit with 0" ended_well "${names[@]}"
  check "and have added nothing" holds_exactly "${ALL_BETS[@]}"

  make docker-compose-netcat-logs >"$work/logs" 2>&1 &
  check "make docker-compose-netcat-logs shows every container" eventually grep -q "netcat .*Hello from netcat" "$work/logs"
  check "make docker-compose-netcat-down" make docker-compose-netcat-down
  check "leaves no container" is "$(docker ps -aq --filter label=com.docker.compose.project=tp0)" ""
  check "leaves no network" is "$(docker network ls -q --filter name=tp0_testing_net)" ""
  wait
}

exercises_7_and_8_can_be_followed() {
  check "make docker-compose-up SLOW=1 ADMIN=18080" make docker-compose-up SLOW=1 ADMIN=18080
  check "an agency that is done waits for the others" eventually has_said client5 "action: esperando_sorteo | result: in_progress"
  check "while another is sending" eval "! docker logs client1 2>&1 | grep -q esperando_sorteo"
  check "the server names the agency of each batch" has_said server "apuesta_recibida | result: success | cantidad: 100 | agencia: 1"
  check "this machine alone reaches the admin port" is "$(docker port server)" "8080/tcp -> 127.0.0.1:18080"
  check "the server is told of it" is "$(variables_of server | grep ADMIN_ADDRESS)" "ADMIN_ADDRESS=0.0.0.0:8080"
  check "make docker-compose-down" make docker-compose-down
}

a_round_over_tls_needs_one_word_more() {
  local names=("${NAMES[@]:1}")
  check "TLS=1 make docker-compose-up" make docker-compose-up TLS=1
  check "the five agencies exit with 0" ended_well "${names[@]}"
  check "the draw happened once" says server "action: sorteo | result: success"
  check "bets.csv holds the five files to the byte" holds_exactly "${ALL_BETS[@]}"
  check "an agency in plain is refused with code 13" is "$(answer_to 1)" 0003000d
  check "make docker-compose-down" make docker-compose-down
}

a_killed_and_restarted_program_loses_and_repeats_no_bet() {
  local bets agencies=("${NAMES[@]:1}")
  configure batch=1 window=1
  up 5
  check "five agencies are sending" eventually all_are_sending
  for bets in 2000 4000 6000; do
    check "the server has stored $bets bets" eventually has_stored "$bets"
    docker kill -s KILL server >/dev/null
    check "it is killed in mid-round" in_mid_round
    docker start server >/dev/null
  done
  check "the server has stored 8000 bets" eventually has_stored 8000
  docker kill -s KILL "${agencies[@]}" >/dev/null
  check "the agencies are killed in mid-round" in_mid_round
  configure
  docker start "${agencies[@]}" >/dev/null
  check "the agencies finish" ended_well "${agencies[@]}"
  check "bets.csv holds the five files to the byte" holds_exactly "${ALL_BETS[@]}"
  check "the draw happened once" says server "action: sorteo | result: success"
  down
}

volume_of_server() { docker inspect -f '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}}{{end}}{{end}}' server; }

a_replaced_container_keeps_its_bets_and_down_begins_a_new_round() {
  local names=("${NAMES[@]:1}") container volume
  configure
  up 5
  check "the agencies finish" ended_well "${names[@]}"
  container=$(docker inspect -f '{{.Id}}' server) volume=$(volume_of_server)
  LOGGING_LEVEL="DEBUG" compose up -d
  check "another environment replaces the server" eventually has_said server "logging_level: DEBUG"
  check "the container is another one" eval "! docker inspect $container"
  check "the agencies, up again, exit with 0" ended_well "${names[@]}"
  check "bets.csv holds the five files to the byte" holds_exactly "${ALL_BETS[@]}"
  check "make docker-compose-down" make docker-compose-down
  check "leaves no volume" eval "! docker volume inspect $volume"
  up 1
  check "the next up is a new round" eventually has_said server "action: recover | result: success | bets: 0 "
  down
  up 5
  check "the agencies finish again" ended_well "${names[@]}"
  volume=$(volume_of_server)
  # As somebody types it who does not know of -v. The volume stays, without a container that would get it.
  compose --profile netcat down -t 1
  up 1
  check "after a plain docker compose down, the next up is a new round" \
    eventually has_said server "action: recover | result: success | bets: 0 "
  check "in a volume of its own" eval "[[ $(volume_of_server) != $volume ]]"
  down
  docker volume rm "$volume" >/dev/null
}

sighup_reads_a_configuration_that_an_editor_replaced() {
  configure
  up 0
  check "the server is up" eventually has_said server "action: accept_connections | result: in_progress"
  check "an init is process 1" is "$(docker exec server cat /proc/1/comm)" docker-init
  # As an editor saves: a new file takes the place of the old one.
  sed 's/INFO/DEBUG/' "$work/config/server/config.ini" >"$work/new" && mv "$work/new" "$work/config/server/config.ini"
  docker kill -s HUP server >/dev/null
  check "the server reads the new file" eventually has_said server "action: config | result: success | logging_level: DEBUG"
  down
}

exercise_1_needs_no_bets_as_its_readme_row_is_typed() {
  configure
  "$work/generar-compose.sh" "$work/compose.yaml" 6 >/dev/null 2>&1
  CLI_MODE="echo" compose up -d
  check "six echo clients with the bets of five exit with 0" ended_well client1 client6
  down
}

# --- the images -------------------------------------------------------------

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
  check "the build context, without src" is "$(context_files | tr '\n' ' ')" "./Cargo.lock ./Cargo.toml ./tools/Cargo.toml "
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
