# `make up` and `make test` do all the set-up; every other recipe is one command.
# Everything but Pulumi itself is `python -m ops <command>`.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup engine browser up down test check vet unit integration doctor import rollback psql logs lock sbom pin fix forget bench pictures
STACK ?= dev
PYTHON := .venv/bin/python

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 18

setup: ## engine, Pulumi, base images and virtualenv, as far as they are missing
	@python3 -m toolchain
	@$(MAKE) --silent --no-print-directory .venv/runtime

engine: ## a running Docker engine, if there is none
	@python3 -m toolchain engine

browser:
	@python3 -m toolchain browser

up: setup ## bring the stack up; ends by printing the tracking URL
	@bin/pulumi stack select --create $(STACK) >/dev/null
	@bin/pulumi up --yes --skip-preview --stack $(STACK) || { $(PYTHON) -m ops explain --stack $(STACK); exit 1; }
	@$(PYTHON) -m ops explain --stack $(STACK)
	@bin/pulumi stack output tracking_url --stack $(STACK)

down: ## take the stack down; what is kept is named at the end
	@bin/pulumi destroy --yes --skip-preview --stack $(STACK)
	@$(PYTHON) -m ops kept --stack $(STACK)

test: setup browser check vet unit integration ## everything: style, types, unit tests on mocks, integration tests on a real engine

check: .venv/tests ## style and types only
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .
	@.venv/bin/mypy && .venv/bin/mypy examples/consumer/__main__.py examples/consumer/log_a_run.py
	@.venv/bin/shellcheck bin/pulumi .ci/run toolchain/images/postgres/docker-entrypoint.sh \
	  $$(grep -lE '^\#!(/bin/sh|/usr/bin/env bash)' images/*/bin/* images/mlflow/collect-postgresql)
	@$(PYTHON) docs/settings_table.py --check README.md
	@! git grep -q '^encryptionsalt' HEAD -- 'Pulumi.*.yaml' || { echo 'a Pulumi.*.yaml was committed with its encryptionsalt: take that line out, it fits one passphrase only' >&2; exit 1; }

unit: .venv/tests
	@$(PYTHON) -m pytest tests/unit

vet:
	@python3 -m toolchain vet

integration: setup browser .venv/tests
	@$(PYTHON) -m pytest tests/integration --numprocesses 2 --dist loadfile

bench: setup .venv/bench ## measure against the alternatives, draw the plot; BENCH=--quick for three minutes of it
	@$(PYTHON) -m bench $(BENCH)

doctor: ## what is healthy and what is not, line by line; fails when something is not
	@$(PYTHON) -m ops doctor --stack $(STACK)

import: ## bring the runs of SOURCE=mlflow.db or SOURCE=mlruns along; IMPORT=--dry-run only says what would come
	@$(PYTHON) -m ops import --stack $(STACK) $(IMPORT) "$(SOURCE)"

rollback: ## after an upgrade: back to the database and the MLflow of before it; DUMP=name for another one
	@$(PYTHON) -m ops rollback --stack $(STACK) $(if $(DUMP),--dump $(DUMP))

psql: ## a shell in the database
	@$(PYTHON) -m ops psql --stack $(STACK)

logs: ## the services' logs
	@$(PYTHON) -m ops logs --stack $(STACK)

forget: ## after a lost state or passphrase: remove what runs, keep the data
	@$(PYTHON) -m ops forget --stack $(STACK)

pin: setup ## write the digests that the base images have now into the stack's configuration
	@bin/pulumi stack select --create $(STACK) >/dev/null
	@$(PYTHON) -m ops pin --stack $(STACK)

lock: ## pin every Python package anew; with MLFLOW=3.17.2 also those of that version's image
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	@$(PYTHON) -m uv pip compile --quiet --generate-hashes --universal --python-version 3.11 requirements.in -o requirements.txt
	@$(PYTHON) -m uv pip compile --quiet --generate-hashes --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt
	@$(PYTHON) -m uv pip compile --quiet --generate-hashes --universal --python-version 3.11 requirements-bench.in -o requirements-bench.txt
ifdef MLFLOW
	@printf 'mlflow==%s\n' '$(MLFLOW)' | cat images/mlflow/requirements.in - | $(PYTHON) -m uv pip compile --quiet \
	  --generate-hashes --python-version 3.13 --no-header - -o images/mlflow/locks/$(MLFLOW).txt
endif

sbom: .venv/tests ## write the SBOM of each version of MLflow's image into dist/, in CycloneDX
	@$(PYTHON) docs/sbom.py dist images/mlflow/locks/*.txt

pictures: browser .venv/tests ## take the pictures of the docs anew, of a stack with sign-in and Adminer that nobody needs
	@$(PYTHON) -m docs.pictures --stack $(STACK)

fix: .venv/tests ## put the style and the generated parts right
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .
	@$(PYTHON) docs/settings_table.py README.md

.venv/runtime: requirements.txt
	@echo "installing Python packages into .venv …" >&2
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || python3 -m venv --clear .venv
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/tests: requirements-dev.txt .venv/runtime
	@echo "installing what the tests need into .venv …" >&2
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@

.venv/bench: requirements-bench.txt .venv/runtime
	@echo "installing what the benchmark needs into .venv …" >&2
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-bench.txt
	@touch $@

# The types of what the benchmark imports are checked with everything else.
check: .venv/bench
