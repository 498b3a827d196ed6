# What a person does with this project. `make` alone lists it.
SHELL := /bin/bash
CARGO ?= cargo

.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-28s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
.PHONY: help

# --- on this machine -------------------------------------------------------------------------------------------------

run: ## a central and one agency for each file of .data, on this machine, without Docker (DATA=folder, LOGS=1)
	@$(CARGO) build --release --quiet
	@target/release/loteria demo $(or $(DATA),.data) $(if $(LOGS),--logs)
.PHONY: run

test: ## every test but those that need Docker
	$(CARGO) test
.PHONY: test

simulate: ## a contest in a world of crashes for each of SEEDS=100000 seeds; SEED=7 tells one of them step by step
	$(if $(SEED),SIMULATION_SEED=$(SEED)) SIMULATION_SEEDS=$(or $(SEEDS),100000) \
		$(CARGO) test --release -p loteria --test simulation whatever_crashes -- --nocapture
.PHONY: simulate

simulate-faults: ## whether the simulator sees: switches mistakes on, one after the other, until a seed finds each
	$(CARGO) test -p loteria --features planted-faults --test simulation planted_fault -- --nocapture
.PHONY: simulate-faults

build: ## the release build: target/release/server and target/release/client
	$(CARGO) build --release
.PHONY: build

data: ## the files of .data: from .data/dataset.zip if it is there, or made up (AGENCIES=5 BETS=78697 SEED=2023)
	@$(CARGO) run --release --quiet --bin loteria -- data --into .data \
		$(if $(AGENCIES),--agencies $(AGENCIES)) $(if $(BETS),--bets $(BETS)) $(if $(SEED),--seed $(SEED))
.PHONY: data

bench: ## how fast it is and how fast anything could be: benches/results.md and pictures; then fairness and the crowd (BETS=8000000 LARGEST=10000000 RUNS=3)
	$(CARGO) bench --quiet --bench performance
	@echo
	@$(MAKE) --no-print-directory bench-fairness
	@echo
	@$(MAKE) --no-print-directory bench-crowd
.PHONY: bench

bench-peers: ## the same bets into Redis and PostgreSQL, where they are installed: benches/peers.md
	$(CARGO) bench --quiet --bench performance -- peers
.PHONY: bench-peers

callgrind: ## counts the instructions that a bet costs each program, and keeps them in benches/instructions.txt
	$(CARGO) bench --quiet --bench instructions
.PHONY: callgrind

callgrind-check: ## counts them and fails if there are over 5 % more than benches/instructions.txt says
	$(CARGO) bench --quiet --bench instructions -- --check
.PHONY: callgrind-check

bench-fairness: ## how long a small agency's batch takes while four others flood: benches/fairness.md
	@set -o pipefail; $(CARGO) bench --quiet --bench fairness | tee benches/fairness.md
.PHONY: bench-fairness

bench-crowd: ## ten thousand agencies that wait for the draw: time, memory and processor time: benches/crowd.md (AGENCIES=10000)
	@set -o pipefail; AGENCIES=$(or $(AGENCIES),10000) $(CARGO) bench --quiet --bench crowd | tee benches/crowd.md
.PHONY: bench-crowd

fmt: ## the code as rustfmt wants it
	$(CARGO) fmt
.PHONY: fmt

lint: ## what rustfmt, clippy, rustdoc and shellcheck have to say, and whether fuzz/Cargo.lock is up to date; anything is an error
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	shellcheck *.sh tests/*.sh .ci/*
	$(CARGO) metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
.PHONY: lint

audit: ## licences, sources, duplicates and known faults of what we build upon (cargo install cargo-deny cargo-audit)
	@.ci/audit
.PHONY: audit

fuzz: ## each fuzz target for MINUTES=20 (cargo install cargo-fuzz; a stable compiler will do)
	@for target in decoder central recovery server_configuration client_configuration; do \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --release --debug-assertions $$target -- \
			-max_total_time=$$((60 * $(or $(MINUTES),20))) -max_len=4096 || exit 1; \
	done
.PHONY: fuzz

clean: ## removes what was built
	$(CARGO) clean
.PHONY: clean

# --- under Docker Compose, where nothing but Docker and make is needed ---------------------------------------------------

COMPOSE = docker compose -f docker-compose-dev.yaml
# The netcat targets do the same with one more container, which sends the server a message.
docker-compose-netcat-up docker-compose-netcat-logs docker-compose-netcat-down: COMPOSE += --profile netcat

docker-image: ## the images server:latest and client:latest
	docker build --target server -t server:latest .
	docker build --target client -t client:latest .
.PHONY: docker-image

# What is running is stopped first and then goes on in its own container: so it reads a changed configuration and keeps
# the bets that it has.
docker-compose-up: ## a central and five agencies in containers; those that run already start again and go on
docker-compose-netcat-up: ## the same, and a container that asks the central to echo a message
docker-compose-up docker-compose-netcat-up: docker-image
	$(COMPOSE) stop -t 1
	$(COMPOSE) up -d
.PHONY: docker-compose-up docker-compose-netcat-up

docker-compose-logs: ## what the containers say, as it comes
docker-compose-netcat-logs: ## the same, and the answer to the message
docker-compose-logs docker-compose-netcat-logs:
	$(COMPOSE) logs -f
.PHONY: docker-compose-logs docker-compose-netcat-logs

docker-compose-down: ## stops the containers and removes them, with the bets that they stored
docker-compose-netcat-down: ## the same, and the container of the message
docker-compose-down docker-compose-netcat-down:
	$(COMPOSE) stop -t 1
	$(COMPOSE) down
.PHONY: docker-compose-down docker-compose-netcat-down

docker-test: ## the eight exercises, shown on this machine's Docker engine
	tests/docker.sh
.PHONY: docker-test
