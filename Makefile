# `make up` and `make test` do all the set-up; every other recipe is one command.
# Everything but Pulumi itself is `python -m ops <command>`.
.DEFAULT_GOAL := help
.PHONY: help setup engine up down test check unit integration psql logs lock fix forget
STACK ?= dev
PYTHON := .venv/bin/python

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 18

setup: ## engine, Pulumi, base images and virtualenv, as far as they are missing
	@python3 -m toolchain
	@$(MAKE) --no-print-directory .venv/runtime

engine: ## a running Docker engine, if there is none
	@python3 -m toolchain engine

up: setup ## bring the stack up; ends by printing the tracking URL
	@bin/pulumi stack select --create $(STACK) >/dev/null
	@bin/pulumi up --yes --skip-preview --stack $(STACK)
	@bin/pulumi stack output tracking_url --stack $(STACK)

down: ## take the stack down; what is kept is named at the end
	@bin/pulumi destroy --yes --skip-preview --stack $(STACK)
	@$(PYTHON) -m ops kept --stack $(STACK)

test: check unit integration ## everything: style, types, unit tests on mocks, integration tests on a real engine

check: .venv/tests ## style and types only
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/shellcheck bin/pulumi .ci/run images/*/bin/serve images/postgres/bin/prepare-database images/postgres/initdb.d/*.sh
	@$(PYTHON) -m docs.settings --check README.md

unit: .venv/tests
	@$(PYTHON) -m pytest tests/unit

integration: setup .venv/tests
	@$(PYTHON) -m pytest tests/integration

psql: ## a shell in the database
	@$(PYTHON) -m ops psql --stack $(STACK)

logs: ## the services' logs
	@$(PYTHON) -m ops logs --stack $(STACK)

fix: .venv/tests ## put the style right
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

.venv/runtime: requirements.txt
	@test -x $(PYTHON) || python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/tests: requirements-dev.txt .venv/runtime
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@
