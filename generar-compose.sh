#!/usr/bin/env bash
# Writes a Docker Compose file with the server and N agencies, client1 to clientN.
#
#     ./generar-compose.sh FILE N
#
# It needs bash only, so that it runs wherever Docker does. The same arguments give
# the same bytes; docker-compose-dev.yaml is its output for 5 agencies. The
# configuration and the bets are mounted, and the variables listed without a value
# reach a container only if they are set where `docker compose up` is called: the
# file is the same for every round. With CLI_MODE=echo in the environment it writes
# a file whose clients echo unless CLI_MODE says otherwise, and get no bets. With
# ONE_BET=1 each client has one bet of its own, as in exercise 5. With TLS=1 all of them
# speak TLS, each with the folder of .tls that "loteria certificates" made for it.
set -euo pipefail

# 254 addresses, minus the gateway, the server, netcat and validar-echo-server.sh.
readonly SUBNET=172.25.125.0/24 SUBNET_ROOM=250

warn() { echo "generar-compose.sh: $1" >&2; }

fail() {
  warn "$1"
  echo "usage: ./generar-compose.sh FILE N    (N: number of agencies, 0 to 99999)" >&2
  exit 1
}

# A bind mount in the long form, because the short one (source:target:ro) makes
# Docker answer a missing file by creating a folder of that name. A folder is mounted
# where a file in it may be replaced (an editor does so, and the server reads its
# configuration again on SIGHUP) or missing (the bets of an echo client): the mount of
# a single file keeps the file that was there at the start.
mount() { # mount SOURCE TARGET
  echo "      - type: bind
        source: ./$1
        target: /loteria/$2
        read_only: true
        bind:
          create_host_path: false"
}

# The init is process 1, which the kernel shields from signals that it has no handler
# for: without it, a SIGTERM that comes before the program has its own is lost.
service() { # service NAME IMAGE
  echo "
  $1:
    container_name: $1
    image: $2:latest
    init: true
    logging: *bounded"
}

# The admin port is reached from the other containers only: it is not published.
server() { # server N
  service server server
  echo "    environment:
      - NUM_AGENCIES=$1
      - LOGGING_LEVEL
      - ADMIN_ADDRESS=0.0.0.0:8080"
  if [[ $tls == 1 ]]; then
    echo "      - TLS_CERTIFICATE_FILE=/loteria/tls/certificate.pem
      - TLS_KEY_FILE=/loteria/tls/key.pem
      - TLS_CLIENT_CA_FILE=/loteria/tls/ca.pem
      - TLS_REQUIRED=true"
  fi
  echo "    volumes:"
  mount config/server config
  if [[ $tls == 1 ]]; then mount .tls/server tls; fi
  echo "    networks:
      - testing_net"
}

# The bet of a client, made up. A variable that is set where `docker compose up` is
# called takes the place of its part.
bet() { # bet I
  local first=(Ana Leo Luz Juan Eva Beto) last=(Paz Sosa Ruiz Lorca Vega)
  echo "      - NOMBRE=\${NOMBRE:-${first[$1 % 6]}}
      - APELLIDO=\${APELLIDO:-${last[$1 % 5]}}
      - DOCUMENTO=\${DOCUMENTO:-$((30000000 + $1))}
      - NACIMIENTO=\${NACIMIENTO:-$((1950 + $1 % 50))-03-17}
      - NUMERO=\${NUMERO:-$(((7573 + $1) % 10000))}"
}

client() { # client I
  service "client$1" client
  echo "    environment:
      - CLI_ID=$1
      - $mode
      - CLI_LOG_LEVEL
      - CLI_BATCH_PERIOD"
  if [[ $one_bet == yes ]]; then bet "$1"; else echo "$any_bet"; fi
  if [[ $tls == 1 ]]; then
    echo "      - CLI_TLS_CA_FILE=/loteria/tls/ca.pem
      - CLI_TLS_CERTIFICATE_FILE=/loteria/tls/certificate.pem
      - CLI_TLS_KEY_FILE=/loteria/tls/key.pem"
  fi
  echo "    volumes:"
  mount config/client config
  if [[ $tls == 1 ]]; then mount ".tls/agency-$1" tls; fi
  if [[ $bets == mounted ]]; then mount .data .data; fi
  echo "    networks:
      - testing_net
    depends_on:
      - server"
}

# Sends one message to the echo server and prints the reply, with the profile netcat
# only. It retries until the server is up.
netcat() {
  echo "
  netcat:
    container_name: netcat
    image: busybox:latest
    profiles:
      - netcat
    command: [\"timeout\", \"5\", \"sh\", \"-c\", \"until echo Hello from netcat | nc server 12345; do sleep 1; done\"]
    networks:
      - testing_net
    depends_on:
      - server"
}

network() {
  echo "
networks:
  testing_net:
    ipam:
      driver: default
      config:
        - subnet: $SUBNET"
}

compose() { # compose N
  local i
  echo "# Written by ./generar-compose.sh, which explains it.
name: tp0

# At most 100 MB of log for each container.
x-logging: &bounded
  driver: json-file
  options:
    max-size: 20m
    max-file: \"5\"

services:"
  server "$1"
  for ((i = 1; i <= $1; i++)); do client "$i"; done
  netcat
  network
}

# Warns of what would fail later.
look_ahead() { # look_ahead N
  local i missing=() some
  if [[ $bets == mounted ]]; then
    for ((i = 1; i <= $1; i++)); do
      [[ -f $project/.data/agency-$i.csv ]] || missing+=("agency-$i.csv")
    done
  fi
  if ((${#missing[@]} > 0)); then
    some=${missing[*]:0:3}
    ((${#missing[@]} <= 3)) || some+=" ..."
    warn "warning: .data lacks the bets of ${#missing[@]} of $1 agencies ($some); \"make data AGENCIES=$1\" makes them, and echo clients need none"
  fi
  (($1 <= SUBNET_ROOM)) || warn "warning: the network $SUBNET has room for $SUBNET_ROOM agencies"
  [[ $folder == "$project" ]] ||
    warn "warning: its mounts are relative to $project; add --project-directory $project to docker compose"
}

# folder_of FILE: the absolute path of the folder of FILE.
folder_of() {
  local folder=.
  [[ $1 != */* ]] || folder=${1%/*}/
  (CDPATH='' cd -P "$folder" 2>/dev/null && pwd)
}

[[ $# -eq 2 ]] || fail "two arguments are needed, not $#"
file=$1 agencies=$2
[[ -n $file && ! -d $file ]] || fail "\"$file\" is not the name of a file"
[[ $agencies =~ ^(0|[1-9][0-9]{0,4})$ ]] || fail "\"$agencies\" is not a number of agencies"
folder=$(folder_of "$file") || fail "there is no folder for $file"
project=$(folder_of "${BASH_SOURCE[0]}")

mode=CLI_MODE bets=mounted one_bet=no tls=${TLS:-}
readonly any_bet="      - NOMBRE
      - APELLIDO
      - DOCUMENTO
      - NACIMIENTO
      - NUMERO"
if [[ ${CLI_MODE:-} == echo ]]; then
  # shellcheck disable=SC2016  # Compose expands it, not bash.
  mode='CLI_MODE=${CLI_MODE:-echo}' bets=none
fi
if [[ -n ${ONE_BET:-} ]]; then one_bet=yes bets=none; fi

# Complete before the file is touched.
text=$(compose "$agencies")
echo "$text" >"$file" || fail "$file could not be written"
echo "generar-compose.sh: wrote $file: the server and $agencies agencies"
look_ahead "$agencies"
