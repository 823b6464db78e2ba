# The work is in scripts/, which say what they do. `make help` lists the targets.

PREFIX ?= /usr/local
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help bootstrap demo build test install bench judges matrix fuzz format lint clean

help: ## This list.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' \
	  | while IFS=$$'\t' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

bootstrap: ## Install the libraries and data that are missing.
	@scripts/bootstrap.sh

demo: ## Build, then show the whole of it on real data (about a minute after the build).
	@scripts/bootstrap.sh
	@scripts/build-release.sh
	@.build/release/headwater demo

build: ## A debug build.
	@scripts/bootstrap.sh
	@swift build

test: ## Format check, build, and all tests. CI=true turns warnings into errors.
	@scripts/bootstrap.sh test
	@scripts/test.sh

install: ## A release binary in PREFIX/bin (default /usr/local); DESTDIR is honoured.
	@scripts/bootstrap.sh
	@scripts/build-release.sh
	@scripts/install.sh "$(DESTDIR)$(PREFIX)"

bench: ## The benchmarks.
	@scripts/bootstrap.sh
	@scripts/bench.sh

judges: ## Let other programs judge a mirror in PostgreSQL (DuckDB, pgTAP, SQLAlchemy, Django).
	@scripts/bootstrap.sh test
	@scripts/judges.sh

matrix: ## The tests of the PostgreSQL mirror on PostgreSQL 16 and 18 (from PyPI).
	@scripts/bootstrap.sh test
	@scripts/postgres-matrix.sh

fuzz: ## Fuzz every decoder of bytes from a peer, twenty seconds each (SECONDS=…).
	@scripts/bootstrap.sh
	@scripts/fuzz.sh $(or $(SECONDS),20)

format: ## Rewrite the sources in the one format.
	@scripts/format.sh write

lint: ## Check the format of the sources and the scripts.
	@scripts/format.sh check

clean: ## Remove what was built.
	@rm -rf .build Benchmarks/.build
