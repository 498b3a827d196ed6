#!/usr/bin/env bash
# The cluster of deploy/cluster on a Docker engine: a round in which servers and database nodes are killed, frozen and cut
# off, one after the other. At its end every agency is told its winners and every bet is stored once and in order.
#
# Each wait polls. The times without progress are printed: they are those of docs/cluster.md.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PATIENCE=180
readonly HOSTS=172.30.75.11:5432,172.30.75.12:5432,172.30.75.13:5432
# Small batches, so that the round lasts longer than the failures.
export CLI_BATCH_MAXAMOUNT=${CLI_BATCH_MAXAMOUNT:-2} CLI_BATCH_WINDOW=${CLI_BATCH_WINDOW:-1}

compose() { docker compose -f deploy/cluster/compose.yaml --progress quiet "$@"; }
say() { echo "cluster-test: $*"; }
fail() { say "FAILED: $*"; compose logs --tail 15 server1 server2 client1 || true; exit 1; }

wait_until() { # wait_until WORDS COMMAND...
  local words=$1 end=$((SECONDS + PATIENCE))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "$words, after $PATIENCE s"
    sleep 0.2
  done
}

container() { compose ps -q "$1"; }

sql() { # sql NODE SQL: the answer of a node, nothing if it is none
  timeout 5 docker exec "$(container "$1")" psql -X -A -t -h 127.0.0.1 -U postgres -c "$2" loteria 2>/dev/null
}

primary() { # the node that takes writes, by its own account
  local node
  for node in db1 db2 db3; do
    if [ "$(sql $node 'SELECT pg_is_in_recovery()' || true)" = f ]; then
      echo $node
      return
    fi
  done
  return 1
}

active() { # the server that listens
  local server
  for server in server1 server2; do
    if timeout 2 docker exec "$(container $server)" sh -c 'echo x | nc -w 1 127.0.0.1 12345' >/dev/null 2>&1; then
      echo $server
      return
    fi
  done
  return 1
}

stored() { # bets and epochs: grows with each replicated transaction of the round, also when every bet is stored
  local node most=0 found
  for node in db1 db2 db3; do
    found=$(sql $node 'SELECT sum(bets) + 1000 * (SELECT epoch FROM loteria_round) FROM loteria_agency' || true)
    if [ "${found:-0}" -gt "$most" ]; then most=$found; fi
  done
  echo "$most"
}

has_stored() { [ "$(stored)" -ge "$1" ]; }

progress_after() { # progress_after WORDS: waits until more is stored than now, and prints the time
  local words=$1 began before
  began=$(date +%s%N) before=$(stored)
  wait_until "no progress after $words" has_stored $((before + 50))
  say "$words: $((($(date +%s%N) - began) / 1000000)) ms until the round goes on"
}

is_whole() { # both other nodes follow the primary, one of them synchronously
  local node
  node=$(primary) &&
    [ "$(sql "$node" "SELECT count(*), bool_or(sync_state = 'sync') FROM pg_stat_replication WHERE state = 'streaming'")" = '2|t' ]
}

ended() { [ "$(docker inspect -f '{{.State.Status}}' "$(compose ps -aq "$1")")" = exited ]; }

trap 'compose down -v --remove-orphans -t 1 >/dev/null 2>&1' EXIT
compose build
compose down -v --remove-orphans -t 1
compose up -d db1 db2 db3 server1 server2
wait_until "no server is active" active >/dev/null
wait_until "the database is not whole" is_whole
compose up -d client1 client2 client3 client4 client5
wait_until "nothing is stored" has_stored 1500

server=$(active)
docker kill "$(container "$server")" >/dev/null
progress_after "active server killed"
compose up -d "$server"

server=$(active)
docker pause "$(container "$server")" >/dev/null
progress_after "active server frozen"
docker unpause "$(container "$server")" >/dev/null

wait_until "the database is not whole" is_whole
node=$(primary)
docker kill "$(container "$node")" >/dev/null
progress_after "primary killed"
compose up -d "$node"

wait_until "the database is not whole" is_whole
node=$(primary)
network=$(docker network ls -q -f name=loteria-cluster_cluster)
docker network disconnect "$network" "$(container "$node")"
progress_after "primary cut off"
docker network connect --ip "172.30.75.1${node#db}" "$network" "$(container "$node")"

for client in client1 client2 client3 client4 client5; do
  wait_until "$client goes on" ended $client
  [ "$(docker inspect -f '{{.State.ExitCode}}' "$(compose ps -aq $client)")" = 0 ] || fail "$client failed"
  compose logs --no-log-prefix $client | grep -q 'action: consulta_ganadores | result: success' ||
    fail "$client was not told its winners"
done

bets=$(mktemp -d)/bets.csv
STORAGE_URL=postgresql://loteria@$HOSTS/loteria \
  cargo run --quiet --features postgres --bin loteria -- export --into "$bets"
for agency in 1 2 3 4 5; do
  tr -d '\r' <".data/agency-$agency.csv" | sed "s/^/$agency,/"
done | cmp - <(tr -d '\r' <"$bets") || fail "the bets of the database are not those of the agencies"
say "passed: every agency is told its winners, and every bet is stored once and in order"
