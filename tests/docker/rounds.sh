# shellcheck shell=bash
# shellcheck disable=SC2154  # tests/docker.sh, which sources this file, sets work and ALL_BETS.
# The promises of tests/docker.sh about rounds that something happens to.

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
