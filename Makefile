# `make up` and `make test` install everything that is missing. Every other recipe is one command.
# Commands on a running stack are `python -m ops <command>`.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup engine browser up down test check vet unit integration doctor import rollback psql logs lock sbom pin fix forget bench soak pictures
STACK ?= dev
PYTHON := .venv/bin/python

help: ## print this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 18

setup: ## install Docker, Pulumi, base images and the virtualenv, if they are missing
	@python3 -m toolchain
	@$(MAKE) --silent --no-print-directory .venv/runtime

engine: ## install and start Docker, if no engine runs
	@python3 -m toolchain engine

browser:
	@python3 -m toolchain browser

up: setup ## bring the stack up, and print MLflow's address
	@bin/pulumi stack select --create $(STACK) >/dev/null
	@bin/pulumi up --yes --skip-preview --stack $(STACK) || { $(PYTHON) -m ops explain --stack $(STACK); exit 1; }
	@$(PYTHON) -m ops explain --stack $(STACK)
	@bin/pulumi stack output tracking_url --stack $(STACK)

down: ## take the stack down, and list what is kept
	@bin/pulumi destroy --yes --skip-preview --stack $(STACK)
	@$(PYTHON) -m ops kept --stack $(STACK)

test: setup browser check vet unit integration ## run all tests: style, types, unit tests, integration tests on the real engine

check: .venv/tests ## check style and types only
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .
	@.venv/bin/mypy && .venv/bin/mypy examples/consumer/__main__.py examples/consumer/log_a_run.py && .venv/bin/mypy examples/component/__main__.py
	@.venv/bin/shellcheck bin/pulumi .ci/run toolchain/images/postgres/docker-entrypoint.sh \
	  $$(grep -lE '^\#!(/bin/sh|/usr/bin/env bash)' images/*/bin/* images/mlflow/collect-postgresql)
	@$(PYTHON) docs/settings_table.py --check README.md
	@! git grep -q '^encryptionsalt' HEAD -- 'Pulumi.*.yaml' || { echo 'a Pulumi.*.yaml was committed with its encryptionsalt: remove that line, it works with one passphrase only' >&2; exit 1; }

unit: .venv/tests ## run the tests that need no engine
	@$(PYTHON) -m pytest

vet:
	@python3 -m toolchain vet

integration: setup browser .venv/tests ## tests on a real engine; TESTS=--keep-failed leaves the stacks of failed ones
	@$(PYTHON) -m pytest tests/integration --numprocesses 2 --dist loadgroup --no-loadscope-reorder $(TESTS)

bench: setup .venv/bench ## measure against the alternatives and draw the plot; BENCH=--quick takes five minutes
	@$(PYTHON) -m bench $(BENCH)

soak: setup .venv/bench ## use a stack of its own for an hour, and fail on errors, lost runs or growing memory; SOAK='--minutes 5'
	@$(PYTHON) -m bench.soak $(SOAK)

doctor: ## check the stack line by line; fails if something is not healthy
	@$(PYTHON) -m ops doctor --stack $(STACK)

import: ## import the runs of SOURCE=mlflow.db or SOURCE=mlruns; IMPORT=--dry-run only lists them
	@$(PYTHON) -m ops import --stack $(STACK) $(IMPORT) "$(SOURCE)"

rollback: ## after an upgrade: restore the database and MLflow's version from before; DUMP=name chooses a dump
	@$(PYTHON) -m ops rollback --stack $(STACK) $(if $(DUMP),--dump $(DUMP))

psql: ## open a shell in the database
	@$(PYTHON) -m ops psql --stack $(STACK)

logs: ## print the services' logs
	@$(PYTHON) -m ops logs --stack $(STACK)

forget: ## after the state or its passphrase is lost: remove the containers, keep the data
	@$(PYTHON) -m ops forget --stack $(STACK)

pin: setup ## write the present digests of the base images into the stack's configuration
	@bin/pulumi stack select --create $(STACK) >/dev/null
	@$(PYTHON) -m ops pin --stack $(STACK)

lock: ## write the lock files of all Python packages again; with MLFLOW=3.17.2 also those of that version's image
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	@$(PYTHON) -m uv pip compile --quiet --generate-hashes --universal --python-version 3.11 requirements.in -o requirements.txt
	@$(PYTHON) -m uv pip compile --quiet --generate-hashes --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt
	@$(PYTHON) -m uv pip compile --quiet --generate-hashes --universal --python-version 3.11 requirements-bench.in -o requirements-bench.txt
	@cd bench/images/fasttrackml && $(abspath $(PYTHON)) -m uv pip compile --quiet --generate-hashes --universal --no-deps \
	  --python-version 3.13 --no-header requirements.in -o requirements.txt
	@$(PYTHON) -m uv pip compile --quiet --generate-hashes --python-version 3.13 server/build.in -o server/build.txt
ifdef MLFLOW
	@printf 'mlflow==%s\n' '$(MLFLOW)' | cat images/mlflow/requirements.in - | $(PYTHON) -m uv pip compile --quiet \
	  --generate-hashes --python-version 3.13 --no-header - -o images/mlflow/locks/$(MLFLOW).txt
endif

sbom: .venv/tests ## write the SBOM of each version of MLflow's image into dist/, in CycloneDX
	@$(PYTHON) docs/sbom.py dist images/mlflow/locks/*.txt

pictures: browser .venv/tests ## take the screenshots of docs/pictures from a throw-away stack with sign-in and Adminer
	@$(PYTHON) -m docs.pictures --stack $(STACK)

fix: .venv/tests ## repair the formatting and the generated parts
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

# `make check` checks bench/ too, so it needs the packages that bench/ imports.
check: .venv/bench
