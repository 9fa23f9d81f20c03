# Everything a user or a developer runs. Each target sets up what it needs; nothing is needed before but
# Python 3.11+ and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
GROUPS_FILE := .build/test-groups.jsonl
PYTEST := $(BIN)/python -m pytest -p tests.groups --groups-file $(GROUPS_FILE)

export HF_HUB_OFFLINE := 1

.DEFAULT_GOAL := help
.PHONY: help setup check format test test-fast test-long bench
help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make .venv with everything a developer needs

$(STAMP): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

include $(wildcard make/*.mk)

check: $(STAMP) ## Format, lint, strict types, import contracts, docker files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/*.Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml

format: $(STAMP) ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-fast: $(STAMP) ## Unit tests only: no database, no models, no network
	$(BIN)/python -m pytest -q -n 2 -m "not (postgres or encoder or faiss or vllm or browser or cli or long)"

test: $(STAMP) models browser vllm-env ## Everything a change could break
	rm -f $(GROUPS_FILE)
	$(PYTEST) -q -n 2 -m "not long" --ignore tests/vllm
	$(MAKE) --no-print-directory test-vllm
	$(BIN)/python tests/groups.py $(GROUPS_FILE) unit postgres encoder faiss vllm browser cli

test-long: $(STAMP) models browser vllm-env ## The heavy tests, one group at a time; resumable (GROUPS="long_x …")
	$(BIN)/python -m benchmarks.groups test $(GROUPS)

bench: $(STAMP) models vllm-env ## The benchmarks, one group at a time; resumable (GROUPS="bench_x …")
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-bench.lock
	$(BIN)/python -m benchmarks.groups bench $(GROUPS)
