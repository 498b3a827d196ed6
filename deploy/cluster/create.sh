#!/usr/bin/env bash
# The user and the database of the round. Patroni calls it once, on the first primary, with an address.
set -euo pipefail

"$PATRONI_POSTGRESQL_BIN_DIR/psql" -d "$1" -c 'CREATE USER loteria' -c 'CREATE DATABASE loteria OWNER loteria'
