#!/usr/bin/env bash
# Runs etcd and Patroni. A node is of no use without either, so the container ends with the first that ends.
set -euo pipefail

members=db1=http://db1:2380,db2=http://db2:2380,db3=http://db3:2380
etcd --name "$NODE" --data-dir /data/etcd --log-level error \
  --listen-peer-urls http://0.0.0.0:2380 --initial-advertise-peer-urls "http://$NODE:2380" \
  --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls "http://$NODE:2379" \
  --initial-cluster "$members" --initial-cluster-state new &

export PATRONI_NAME=$NODE
export PATRONI_RESTAPI_CONNECT_ADDRESS=$NODE:8008
export PATRONI_POSTGRESQL_CONNECT_ADDRESS=$NODE:5432
PATRONI_POSTGRESQL_BIN_DIR=$(echo /usr/lib/postgresql/*/bin)
export PATRONI_POSTGRESQL_BIN_DIR
/opt/patroni/bin/patroni /cluster/patroni.yml &

trap 'kill $(jobs -p)' TERM INT
wait -n
