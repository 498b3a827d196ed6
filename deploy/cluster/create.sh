#!/usr/bin/env bash
# The user and the database of the round. Patroni calls it once, on the first primary, with an address.
set -euo pipefail

# No standby is there yet to wait for.
export PGOPTIONS='-c synchronous_commit=local'
psql -d "$1" -c 'CREATE USER loteria' -c 'CREATE DATABASE loteria OWNER loteria'
