#!/bin/sh
# Asks the server that runs under Docker Compose to echo a message, and says
# whether it did: exit code 0, or 1 when it did not or was not there.
#
# It asks with the netcat of a throw-away container on the lottery's own network,
# so that neither is netcat needed here nor a port of the server published. The
# message is a new one every time: no answer is right by accident. Nothing here
# waits for ever: netcat is stopped after 3 seconds, and no more than a kilobyte
# is read from a server that says more than it should.

network=tp0_testing_net
message="echo $$ $(date +%s)"

server_echoes() {
  # Without the network there is nothing to ask, nor an image to fetch for it.
  docker network inspect "$network" || return
  # shellcheck disable=SC2016  # It is the container's shell that expands this.
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
