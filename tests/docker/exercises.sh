# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154  # tests/docker.sh, which sources this file, sets work, NAMES and ALL_BETS.
# The promises of tests/docker.sh about the eight exercises.

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

exercise_1_needs_no_bets_as_its_readme_row_is_typed() {
  configure
  "$work/generar-compose.sh" "$work/compose.yaml" 6 >/dev/null 2>&1
  CLI_MODE="echo" compose up -d
  check "six echo clients with the bets of five exit with 0" ended_well client1 client6
  down
}
