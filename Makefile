# What a person does with this project. `make` alone lists it.
SHELL := /bin/bash
CARGO ?= cargo

.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
.PHONY: help

# --- on this machine -------------------------------------------------------------------------------------------------

run: ## a central and one agency for each file of .data, on this machine, without Docker (DATA=folder for other files)
	@$(CARGO) build --release --quiet
	@target/release/run $(or $(DATA),.data)
.PHONY: run

test: ## every test but those that need Docker
	$(CARGO) test
.PHONY: test

build: ## the release build: target/release/server and target/release/client
	$(CARGO) build --release
.PHONY: build

data: ## the files of .data: from .data/dataset.zip if it is there, or made up (AGENCIES=5 BETS=78697 SEED=2023)
	@$(CARGO) run --release --quiet --bin data -- --into .data \
		$(if $(AGENCIES),--agencies $(AGENCIES)) $(if $(BETS),--bets $(BETS)) $(if $(SEED),--seed $(SEED))
.PHONY: data

bench: ## how fast it is and how fast anything could be: benches/results.md and pictures (BETS=8000000 LARGEST=10000000 RUNS=3)
	$(CARGO) bench --quiet --bench performance
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

fmt: ## the code as rustfmt wants it
	$(CARGO) fmt
.PHONY: fmt

lint: ## what rustfmt, clippy, rustdoc and shellcheck have to say; anything is an error
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
.PHONY: lint

clean: ## removes what was built
	$(CARGO) clean
.PHONY: clean
