# The commands of the project. `make demo` and `make test` do all of their own set-up.
#
#   make demo     builds the program and runs the main job on sample data, three times
#   make test     checks everything: format, lints, tests, docs, layering, tests of the SQL, the functions deployed to an emulator of AWS, and the tables against DuckDB
#   make chain-release  the functions as `sam build` makes them, deployed to the emulator; an hour
#   make audit    licences, sources and duplicate versions of dependencies; unused dependencies
#   make mutants  changes the code that decides about commits, and sees whether a test notices; hours
#   make build    the release build
#   make steps    benches of the inner steps of a run: reading, gathering, encoding
#   make bench    compares with DuckDB, Polars and Spark; BENCH="…" passes flags, see docs/bench.md; needs Java 17 and hours

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
UNGLUE := $(TARGET_DIR)/debug/unglue
LANDING := $(TARGET_DIR)/debug/landing
PYTHON := .venv/bin/python
DEMO := demo/data

heading = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

.PHONY: help demo test lint unit docs layering sql s3 sql s3 aws-servers template chain chain-release steps oracle audit mutants build bench debug

help:
	@sed -n 's/^#   //p' Makefile

## The demo ----------------------------------------------------------------------------------------------------------

demo: debug
	@rm -rf $(DEMO)
	$(call heading,Thirteen days of a shop's files land in $(DEMO)/raw)
	$(LANDING) --out $(DEMO) --days 13
	$(call heading,What lies there becomes tables)
	$(UNGLUE) catalog --data $(DEMO)
	$(call heading,The SQL files are checked against the tables)
	$(UNGLUE) check --data $(DEMO)
	$(call heading,First run: all files are new)
	$(UNGLUE) run --data $(DEMO)
	$(call heading,Day 14 lands: one file of orders and one of order lines)
	$(LANDING) --out $(DEMO) --only-day 14
	$(call heading,Second run: only the new files are read by the tables that append)
	$(UNGLUE) run --data $(DEMO)
	$(call heading,Third run: nothing is due)
	$(UNGLUE) run --data $(DEMO)
	$(call heading,Done)
	@echo "The SQL is in sql/, the tables are in $(DEMO)/sales and $(DEMO)/marts, as Parquet."
	@echo "Try: $(UNGLUE) catalog show --data $(DEMO)"

debug:
	cargo build --workspace --bins --locked

## The tests ---------------------------------------------------------------------------------------------------------

# A snapshot that differs is a failure, never an update.
test: export INSTA_UPDATE := no
test: lint unit docs layering sql s3 aws-servers template chain oracle
	$(call heading,All passed)
	@echo "format and lints · unit and integration tests · docs · layering and file lengths · tests of the SQL · S3 server · AWS servers · template · the deployed chain · tables against DuckDB"

lint:
	$(call heading,Format and lints)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

# Tests that need the S3 server, DuckDB or the Glue catalog start them with these Pythons.
unit: export UNGLUE_TEST_PYTHON := $(CURDIR)/$(PYTHON)
unit: export UNGLUE_TEST_MOTO := $(CURDIR)/.venv-moto/bin/python
unit: .venv/installed .venv-moto/installed
	$(call heading,Unit and integration tests)
	@if cargo nextest --version >/dev/null 2>&1; then \
		set -x; cargo nextest run --workspace --locked; \
	else \
		echo "cargo-nextest is not installed: using cargo test, which is slower"; \
		set -x; cargo test --workspace --locked; \
	fi

docs: export RUSTDOCFLAGS := -D warnings
docs:
	$(call heading,Docs)
	cargo doc --workspace --no-deps --locked

layering:
	$(call heading,Layering and file lengths)
	tests/layering.sh

sql: debug
	$(call heading,Tests of the SQL)
	$(UNGLUE) test

s3: .venv/installed
	$(call heading,S3 server of the tests)
	$(PYTHON) tests/s3/selftest.py

# The emulators themselves: what the tests of the AWS side build on.
aws-servers: .venv-moto/installed .venv-ministack/installed
	$(call heading,AWS servers of the tests)
	.venv-moto/bin/python tests/aws/selftest.py --ministack .venv-ministack/bin/python

# The region is only for checks of names: nothing is requested.
template: export AWS_DEFAULT_REGION := us-east-1
template: export SAM_CLI_TELEMETRY := 0
template: .venv-sam/installed
	$(call heading,The template)
	.venv-sam/bin/cfn-lint template.yaml
	.venv-sam/bin/sam validate --lint

# The functions as `make debug` builds them: a release build of all three takes an hour. CHAIN="…" passes flags.
chain: debug .venv/installed .venv-moto/installed .venv-ministack/installed .venv-sam/installed
	$(call heading,The deployed chain)
	.venv-moto/bin/python tests/aws/deployed.py --ministack .venv-ministack/bin/python --sam .venv-sam/bin/python \
		--duckdb $(PYTHON) --binaries $(TARGET_DIR)/debug --unglue $(UNGLUE) $(CHAIN)

# The same with what `sam build` makes of the template, as users deploy it.
chain-release: export SAM_CLI_TELEMETRY := 0
chain-release: debug .venv/installed .venv-moto/installed .venv-ministack/installed .venv-sam/installed
	$(call heading,The deployed chain by sam build)
	PATH="$(CURDIR)/.venv-sam/bin:$$PATH" sam build
	ls -l .aws-sam/build/*/bootstrap
	.venv-moto/bin/python tests/aws/deployed.py --ministack .venv-ministack/bin/python --sam .venv-sam/bin/python \
		--duckdb $(PYTHON) --built .aws-sam/build --unglue $(UNGLUE) $(CHAIN)

oracle: debug .venv/installed .venv/examples
	$(call heading,Tables against DuckDB)
	tests/oracle/run.sh $(UNGLUE) $(LANDING) $(PYTHON) .venv/examples

.venv/installed: tests/requirements.txt
	$(call heading,Python packages of the tests)
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# What the source of fastavro has of Avro's own examples; its wheel has none.
.venv/examples: .venv/installed
	$(call heading,Examples of Avro)
	rm -rf $@.new && mkdir -p $@.new
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --no-binary fastavro --dest $@.new "$$(grep '^fastavro' tests/requirements.txt)"
	tar -xzf $@.new/fastavro-*.tar.gz -C $@.new --strip-components=3 --wildcards '*/tests/avro-files/*.avro'
	mv $@.new $@

.venv-ministack/installed: tests/aws/requirements-ministack.txt
	$(call heading,The emulator of AWS)
	python3 -m venv .venv-ministack
	.venv-ministack/bin/python -m pip install --quiet --disable-pip-version-check -r tests/aws/requirements-ministack.txt
	@touch $@

.venv-moto/installed: tests/aws/requirements-moto.txt
	$(call heading,The Glue catalog of the tests)
	python3 -m venv .venv-moto
	.venv-moto/bin/python -m pip install --quiet --disable-pip-version-check -r tests/aws/requirements-moto.txt
	@touch $@

.venv-sam/installed: tests/aws/requirements-sam.txt
	$(call heading,The tools for template.yaml)
	python3 -m venv .venv-sam
	.venv-sam/bin/python -m pip install --quiet --disable-pip-version-check -r tests/aws/requirements-sam.txt
	@touch $@

## The rest ----------------------------------------------------------------------------------------------------------

audit:
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@command -v cargo-machete >/dev/null || cargo install --locked cargo-machete
	$(call heading,Licences$(comma) sources$(comma) duplicate versions)
	cargo deny --locked check bans licenses sources
	$(call heading,Unused dependencies)
	cargo machete
	$(call heading,Audit passed)
	@echo "Known vulnerabilities are a separate check, because it downloads a list: cargo deny check advisories"

comma := ,

# In place, because a copy of the tree would build DataFusion once more. Line tables would have to be made for every mutant.
mutants: export CARGO_PROFILE_DEV_DEBUG := 0
mutants: export UNGLUE_SEEDS := 15
mutants:
	@command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants --version 27.1.0
	@git diff --quiet || { echo "the sources are changed while this runs: commit what you have first"; exit 1; }
	cargo mutants --in-place $(MUTANTS)

build:
	cargo build --release --locked --bin unglue
	@ls -l $(TARGET_DIR)/release/unglue

## The comparison with other engines ---------------------------------------------------------------------------------

BENCH ?=
BENCH_PYTHON := .venv-bench/bin/python

bench: build .venv-bench/installed
	$(call heading,Comparison with other engines)
	$(BENCH_PYTHON) bench/compare/main.py --unglue $(TARGET_DIR)/release/unglue $(BENCH)

steps:
	cargo bench --workspace --bench steps

.venv-bench/installed: bench/requirements.txt
	$(call heading,Python packages of the comparison)
	python3 -m venv .venv-bench
	$(BENCH_PYTHON) -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@
