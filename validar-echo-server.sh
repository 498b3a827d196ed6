#!/bin/sh
# Sends a message to the server that runs under Docker Compose and checks the echo:
# exit code 0, or 1 if the reply is another one or there is no server.
#
# The netcat of a temporary container on the server's own network is used, so that
# netcat is not needed here and no port of the server is published. Every message is
# new, so that no reply is right by accident. The wait is bounded: netcat is stopped
# after 3 seconds, and at most a kilobyte is read from the server.

network=tp0_testing_net
message="echo $$ $(date +%s)"

server_echoes() {
  # Without the network there is no server, and no image has to be fetched.
  docker network inspect "$network" || return
  # shellcheck disable=SC2016  # The container's shell expands this.
  docker run --rm --network "$network" busybox:latest sh -c '
    answer=$(echo "$1" | timeout 3 nc server 12345 | head -c 1024)
    [ "$answer" = "$1" ]
  ' sh "$message"
}

if server_echoes >/dev/null 2>&1; then
  echo "action: test_echo_server | result: success"
else
  echo "action: test_echo_server | result: fail"
  exit 1
fi
