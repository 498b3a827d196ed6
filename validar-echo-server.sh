#!/bin/sh
# Sends a message to the server that runs under Docker Compose and checks the echo:
# exit code 0, or 1 if the reply is another one or there is no server. The reason of
# a failure goes to standard error.
#
# The netcat of a temporary container on the server's own network is used, so that
# netcat is not needed here and no port of the server is published. Every message is
# new, so that no reply is right by accident. The wait is bounded: netcat is stopped
# after 3 seconds, and at most a kilobyte is read from the server.

network=tp0_testing_net
message="echo $$ $(date +%s)"

fail() {
  echo "action: test_echo_server | result: fail"
  # What a server answers is not for the terminal to interpret.
  echo "validar-echo-server.sh: $1" | tr -cd '[:print:]\n' >&2
  exit 1
}

docker version >/dev/null 2>&1 || fail "no Docker engine answers; docker version says why"
# Without the network there is no server, and no image has to be fetched.
docker network inspect "$network" >/dev/null 2>&1 ||
  fail "there is no network $network, so no server is up; make docker-compose-up starts one"

# shellcheck disable=SC2016  # The container's shell expands this.
reason=$(docker run --rm --network "$network" busybox:latest sh -c '
  exec 2>/dev/null
  answer=$(echo "$1" | timeout 3 nc server 12345 2>/tmp/error | head -c 1024)
  [ "$answer" = "$1" ] && exit
  if [ -s /tmp/error ]; then cat /tmp/error
  elif [ -z "$answer" ]; then echo "the server accepted \"$1\" and sent nothing back within 3 seconds"
  else echo "the server answered \"$1\" with \"$answer\""
  fi
  exit 1
' sh "$message" 2>&1) || fail "$reason"

echo "action: test_echo_server | result: success"
