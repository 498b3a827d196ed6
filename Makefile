# The tasks of this project. `make` alone lists them.
SHELL := /bin/bash
CARGO ?= cargo

.DEFAULT_GOAL := help

help: ## List these tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-28s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
.PHONY: help

# --- on this machine -------------------------------------------------------------------------------------------------

run: ## Run a whole round on the files of .data, without Docker (DATA=folder FAST=1 SLOW=1 KILL=1 KEEP=folder LOGS=1)
	@echo "Building the programs. The first time takes a minute or two." >&2
	@$(CARGO) build --release
	@$(CARGO) run --release --quiet --bin loteria -- demo $(or $(DATA),.data) $(if $(FAST),--fast) $(if $(SLOW),--slow) \
		$(if $(KILL),--kill) $(if $(KEEP),--keep $(KEEP)) $(if $(LOGS),--logs)
.PHONY: run

test: ## Run every test that needs no Docker; the last line totals them
	@set -o pipefail; $(CARGO) test --workspace --no-fail-fast | { passed=0 failed=0; \
		while IFS= read -r line; do \
			echo "$$line"; \
			if [[ $$line =~ ^test\ result:.*\ ([0-9]+)\ passed\;\ ([0-9]+)\ failed ]]; then \
				((passed += BASH_REMATCH[1], failed += BASH_REMATCH[2])); \
			fi; \
		done; \
		echo "$$passed passed, $$failed failed, $$SECONDS s"; }
.PHONY: test

test-cluster: ## Run the tests of a round in PostgreSQL, which kill servers and databases (needs Debian's package postgresql)
	$(CARGO) build --features postgres
	$(CARGO) test -p loteria --features postgres --test cluster
.PHONY: test-cluster

simulate: ## Simulate rounds with crashes for SEEDS=100000 seeds; SEED=7 prints one of them step by step
	$(if $(SEED),SIMULATION_SEED=$(SEED)) SIMULATION_SEEDS=$(or $(SEEDS),100000) \
		$(CARGO) test --release -p loteria --test simulation whatever_crashes -- --nocapture
.PHONY: simulate

simulate-faults: ## Check that the simulator finds each deliberate fault
	$(CARGO) test -p loteria --features planted-faults --test simulation planted_fault -- --nocapture
.PHONY: simulate-faults

build: ## Build target/release/server, client and loteria
	$(CARGO) build --release
.PHONY: build

data: ## Write the files of .data: from .data/dataset.zip or datasets.zip if there is one, or made up (AGENCIES=5 BETS=78697 SEED=7574)
	@$(CARGO) run --release --quiet --bin loteria -- data --into .data \
		$(if $(AGENCIES),--agencies $(AGENCIES)) $(if $(BETS),--bets $(BETS)) $(if $(SEED),--seed $(SEED))
.PHONY: data

data-reset: ## Bring the files of .data back as the project has them; an archive stays, and so do other files
	@$(CARGO) run --release --quiet --bin loteria -- data --into .data --made-up
.PHONY: data-reset

# The benchmarks start the programs, which belong to another package, so they are built first.
BENCH = $(CARGO) build --release --quiet $(FEATURES) && $(if $(DATA),DATA=$(abspath $(DATA))) $(if $(BEFORE),BEFORE=$(abspath $(BEFORE))) \
	$(CARGO) bench --quiet -p loteria-tools $(FEATURES) --bench

bench: FEATURES = --features postgres
bench: ## Measure all: benches/results.md, pictures, figures of the documents; ONLY=crowd shows a part (BETS= LARGEST= AGENCIES= RUNS= DATA=)
	@$(BENCH) performance -- $(ONLY)
.PHONY: bench

callgrind: ## Count the instructions that a bet costs each program, and keep them in benches/instructions.txt
	@$(BENCH) instructions
.PHONY: callgrind

callgrind-check: ## Fail if a bet costs over 25 % more instructions than benches/instructions.txt says
	@$(BENCH) instructions -- --check
.PHONY: callgrind-check

fmt: ## Format the code
	$(CARGO) fmt --all
.PHONY: fmt

lint: ## Run rustfmt, clippy (also without TLS), rustdoc and shellcheck, and check that fuzz/Cargo.lock is up to date
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy --workspace --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --workspace --features postgres
	shellcheck -x *.sh tests/*.sh tests/docker/*.sh deploy/cluster/*.sh .ci/*
	$(CARGO) metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
.PHONY: lint

audit: ## Check licences, sources, duplicates and known vulnerabilities of the crates (needs cargo-deny)
	@.ci/audit
.PHONY: audit

fuzz: ## Run each fuzz target for MINUTES=20 (needs cargo-fuzz; a stable compiler will do)
	@for target in decoder central transport recovery server_configuration client_configuration; do \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --release --debug-assertions $$target -- \
			-max_total_time=$$((60 * $(or $(MINUTES),20))) -max_len=4096 || exit 1; \
	done
.PHONY: fuzz

clean: ## Remove what was built
	$(CARGO) clean
.PHONY: clean

# --- under Docker Compose, which needs Docker and make only ------------------------------------------------------------

COMPOSE = docker compose -f $(if $(TLS),docker-compose-tls.yaml,docker-compose-dev.yaml)
COMPOSED = $(shell grep -c "image: client:latest" docker-compose-dev.yaml)
# The netcat targets have one more container, which sends the server a message.
docker-compose-netcat-up docker-compose-netcat-logs docker-compose-netcat-down: COMPOSE += --profile netcat

docker-image: ## Build the images server:latest and client:latest
	docker build --target server -t server:latest .
	docker build --target client -t client:latest .
.PHONY: docker-image

# The tool runs in a container too, so that this needs nothing but Docker. User 1000, as which the programs run, owns its
# certificates; those that are there are kept.
docker-certificates: ## Make the certificates of TLS=1 in .tls, and docker-compose-tls.yaml
	docker build --target loteria -t loteria:latest .
	mkdir -p .tls
	docker run --rm --user 0 --entrypoint sh -v "$(CURDIR)/.tls:/tls" loteria:latest -c \
		'loteria certificates /tls --agencies $(COMPOSED) && chown -R 1000:1000 /tls/server /tls/agency-*'
	TLS=1 ./generar-compose.sh docker-compose-tls.yaml $(COMPOSED)
.PHONY: docker-certificates

# Running containers are stopped and started again, and read a changed configuration. One whose environment or image has
# changed is replaced. Either way the server keeps its bets, which are in a volume of its own.
# SLOW paces the agencies, so that exercises 7 and 8 can be followed, and ADMIN publishes the admin port on this machine.
docker-compose-up: ## Start a server and five agencies in containers; running ones are restarted with their bets (SLOW=1 ADMIN=8080 TLS=1)
docker-compose-netcat-up: ## The same, with a container that asks the server to echo a message
docker-compose-up docker-compose-netcat-up: docker-image $(if $(TLS),docker-certificates)
	$(COMPOSE) stop -t 1
	$(if $(SLOW),CLI_BATCH_PERIOD=100ms )$(COMPOSE) $(if $(ADMIN),-f deploy/docker-compose-admin.yaml )up -d
.PHONY: docker-compose-up docker-compose-netcat-up

docker-compose-logs: ## Follow the logs of the containers
docker-compose-netcat-logs: ## The same, with the reply to the message
docker-compose-logs docker-compose-netcat-logs:
	$(COMPOSE) logs -f
.PHONY: docker-compose-logs docker-compose-netcat-logs

# Compose removes the volume of a container, but not if it gave that to a container which replaced the first.
docker-compose-down: ## Stop and remove the containers and the bets that they stored
docker-compose-netcat-down: ## The same, with the container of the message
docker-compose-down docker-compose-netcat-down:
	$(COMPOSE) stop -t 1
	@volume=$$(docker inspect -f '{{range .Mounts}}{{.Name}}{{end}}' server 2>/dev/null); set -x; \
		$(COMPOSE) down -v --remove-orphans; $${volume:+docker volume rm -f $$volume}
.PHONY: docker-compose-down docker-compose-netcat-down

# The cluster has a Compose project of its own, beside the containers of the exercises.
CLUSTER = docker compose -f deploy/cluster/compose.yaml

cluster-up: ## Start three database nodes, two servers and five agencies: a round that survives the loss of any machine
	$(CLUSTER) build
	$(CLUSTER) up -d
.PHONY: cluster-up

cluster-logs: ## Follow the logs of its servers and agencies
	$(CLUSTER) logs -f server1 server2 client1 client2 client3 client4 client5
.PHONY: cluster-logs

cluster-down: ## Stop and remove it with its bets
	$(CLUSTER) down -v --remove-orphans -t 3
.PHONY: cluster-down

cluster-test: ## Kill, freeze and cut off its machines in mid-round, and check every bet at the end
	tests/cluster.sh
.PHONY: cluster-test

docker-test: ## Run the eight exercises on this machine's Docker engine
	tests/docker.sh
.PHONY: docker-test

course-tests: ## Run the course's own black-box suite, which removes every container (TESTS=folder with its clone)
	@tests/course.sh $(TESTS)
.PHONY: course-tests
