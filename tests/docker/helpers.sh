# shellcheck shell=bash
# shellcheck disable=SC2154  # tests/docker.sh, which sources this file, sets passed, failed and work.
# The checks of tests/docker.sh, and what they look at: a round and its containers.

# --- one way to check -------------------------------------------------------

# check SENTENCE COMMAND...: runs the command, and shows its output if it fails.
check() {
  local sentence=$1 seen
  shift
  if seen=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "  ok      $sentence"
  else
    failed=$((failed + 1))
    echo "  FAILED  $sentence"
    tail -n 12 <<<"${seen:-$* failed}" | while IFS= read -r line; do echo "          $line"; done
  fi
}

# is SEEN WANTED
is() {
  [[ $1 == "$2" ]] || { echo "seen:   $1"; echo "wanted: $2"; return 1; }
}

# eventually COMMAND...: succeeds as soon as the command does.
eventually() {
  local deadline=$((SECONDS + PATIENCE))
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || { echo "not in $PATIENCE s: $*"; return 1; }
    sleep 0.05
  done
}

# --- a round and its containers ---------------------------------------------

# configure [NAME=VALUE]...: writes both configuration files, with these values instead of the defaults.
configure() {
  local backlog=5 level=INFO amount=1 period=50ms client_level=INFO batch=100 window=16
  (($# == 0)) || local "$@"
  cat >"$work/config/server/config.ini" <<END
[DEFAULT]
SERVER_PORT = 12345
SERVER_LISTEN_BACKLOG = $backlog
LOGGING_LEVEL = $level
END
  cat >"$work/config/client/config.yaml" <<END
server:
  address: "server:12345"
loop:
  amount: $amount
  period: "$period"
log:
  level: "$client_level"
batch:
  maxAmount: $batch
  window: $window
END
}

compose() { docker compose --progress quiet -f "$work/compose.yaml" "$@" >/dev/null; }

# up N: starts the server and N agencies; variables set for it are passed on.
up() {
  "$work/generar-compose.sh" "$work/compose.yaml" "$1" >/dev/null && compose up -d || echo "compose up failed"
}

down() { compose --profile netcat down -v -t 1; }

state() { docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$1"; }
is_running() { is "$(state "$1")" "running 0"; }
has_ended() { [[ $(state "$1") == exited* ]]; }

# ended_well CONTAINER...: each ends on its own with exit code 0.
ended_well() {
  local name
  for name; do
    eventually has_ended "$name" && is "$name $(state "$name")" "$name exited 0" || return
  done
}

clients() { # clients N: client1 ... clientN
  local i
  for ((i = 1; i <= $1; i++)); do echo "client$i"; done
}

# count CONTAINER TEXT: the number of its log lines that contain the text.
count() { docker logs "$1" 2>&1 | grep -cF -- "$2"; }
says() { is "$(count "$1" "$2") lines with: $2" "${3:-1} lines with: $2"; }
has_said() { (($(count "$1" "$2") > 0)) || { echo "$1 did not say: $2"; docker logs "$1" 2>&1 | tail -n 5; return 1; }; }

bets_of_server() { docker cp server:/loteria/bets.csv - | tar -xO; }

# holds_exactly FILE...: bets.csv has each bet of the files of agency 1, 2, ... once, in
# the order of its file.
holds_exactly() {
  local agency=0 file stored
  stored=$(mktemp "$work/bets.XXXXXX")
  bets_of_server >"$stored"
  for file; do
    agency=$((agency + 1))
    cmp <(grep "^$agency," "$stored") <(sed "s/^/$agency,/" "$file") || return
  done
  is "$(wc -l <"$stored") rows" "$(cat "$@" | wc -l) rows"
}

# winners FILE: the documents of the bets on 7574.
winners() { awk -F, '{ sub(/\r$/, "") } $5 == 7574 { print $3 }' "$1"; }

# answer_to AGENCY: the server's reply, in hexadecimal, to Hello (type 8, version 1) of that
# agency without a credential, followed by RequestWinners (6).
answer_to() {
  printf '\0\10\0\1\0\0\0%b\0\0\0\6' "\\0$1" | docker exec -i server timeout 5 nc 127.0.0.1 12345 |
    od -An -v -tx1 | tr -d ' \n'
}

# answer_due FILE: Welcome (9; all bets are stored; 2, drawn) and InformWinners (7).
answer_due() {
  local documents
  documents=$(winners "$1")
  printf '0009%016x020007%016x' "$(wc -l <"$1")" "$(grep -c . <<<"$documents")"
  # shellcheck disable=SC2086  # One argument for each document.
  [[ -z $documents ]] || printf '%08x' $documents
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
