# `make` alone lists what there is. The work itself is in scripts/ and xtask/.

# Where `make run` keeps its database; ARGS is handed on to the program.
DATA ?= .local/demo
ARGS ?=
# How often the long crash test kills the server.
CYCLES ?= 200
# How many inputs each parser is fuzzed with.
INPUTS ?= 1000000
# How many canaries are simulated through the API.
RUNS ?= 20
# One profile for the tests and the checks, so that they share what they compile.
PROFILE := --profile ci

.DEFAULT_GOAL := help
.PHONY: help run test check fmt bench calibration canary crash fuzz poisoning postgres clean-local

help:
	@printf '\nUpswing\n\n'
	@if [ -t 1 ]; then bold=$$(printf '\033[1m') plain=$$(printf '\033[0m'); fi; \
	awk -F ':.*## ' -v bold="$$bold" -v plain="$$plain" \
	  '/^[a-z-]+:.*## / { printf "  %smake %-12s%s %s\n", bold, $$1, plain, $$2 }' $(MAKEFILE_LIST)
	@printf '\nHow to change things: CONTRIBUTING.md. How it is built: ARCHITECTURE.md.\n\n'

run: ## Build it and start a demonstration: embedded database, simulated traffic, a page at /
	cargo run --release --package upswing-cli -- demo --data $(DATA) $(ARGS)

test: ## Run every test this machine can run; name each one skipped, and why
	@scripts/test

check: ## Formatting, lints, the project's own rules, licences of dependencies
	cargo fmt --all --check
	cargo clippy $(PROFILE) --workspace --all-targets -- -D warnings
	cargo xtask tidy
	cargo xtask licences

fmt: ## Format the code
	cargo fmt --all

bench: ## Measure the server against its baseline, on SQLite and PostgreSQL (some minutes)
	@scripts/bench $(ARGS)

crash: ## The long crash test: kill -9 under load, CYCLES=200 times on each database
	@UPSWING_CRASH_CYCLES=$(CYCLES) scripts/test --release --package upswing-cli --test crash -- --nocapture

fuzz: ## A million almost-right inputs for each parser of OTLP, feedback and what belongs to it (INPUTS=n)
	cargo run --release --package upswing-server --example fuzz_collect -- $(INPUTS)
	cargo run --release --package upswing-otlp --example fuzz -- $(INPUTS)

calibration: ## Whether experiments keep what they promise, simulated: the table of docs/experiments.md (long; ARGS="400 5000 speed" is quick)
	cargo run --release --package upswing-learn --example calibration -- $(ARGS)

canary: ## Canaries under a driven clock: false rollbacks, and how fast failing versions are caught (RUNS=20 a line)
	@scripts/canary $(RUNS)

poisoning: ## Accounts that lie in concert, simulated: the table of docs/trust.md (long; ARGS="--seeds 2 clear" is quick)
	cargo run --release --package upswing-trust --example poisoning -- $(ARGS)

postgres: ## Start the private PostgreSQL and print its URL (scripts/postgres stop ends it)
	@scripts/postgres start

clean-local: ## Remove what runs leave in .local: private PostgreSQL, demonstration, benchmark data
	@scripts/postgres delete || true
	rm -rf .local
