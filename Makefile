# Two commands are enough: `make run` and `make test`. Both set up what they need first.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := $(wildcard constraints.txt)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	$(if $(CONSTRAINTS),-c $(CONSTRAINTS))
ARGS ?=

.PHONY: help run demo demo-remove test soak bench audit lint clean-data backup restore

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: $(VENV)/.installed  ## Start Stockroom with all it needs; Ctrl-C stops it
	@exec $(BIN)/python -m config.services run

demo: $(VENV)/.installed  ## The same with sample data, and generators so that all of it moves
	@exec $(BIN)/python -m config.demo run

demo-remove: $(VENV)/.installed  ## Remove what `make demo` has made, and nothing else; asks first
	@exec $(BIN)/python -m config.demo remove

test: $(VENV)/.installed-for-tests lint  ## Lint, then all tests but soak; ARGS="tests/products -k name" for some
	@$(BIN)/python -m config.services install-for-tests
	@$(BIN)/python -m pytest -m "not soak" $(ARGS)

soak: $(VENV)/.installed-for-tests  ## Full sizes and many faults, up to an hour
	@$(BIN)/python -m config.services install-for-tests
	@$(BIN)/python -m pytest -m soak -n 0 $(ARGS)

bench: $(VENV)/.installed-for-tests  ## Measure against bare baselines into docs/benchmarks.md; ARGS="prices --quick" for one
	@$(BIN)/python -m bench $(ARGS)

audit: $(VENV)/.installed-for-tests  ## Known vulnerabilities of what is pinned, where PyPI tells them
	@$(BIN)/python -m config.audit

lint: $(VENV)/.installed-for-tests  ## Style, types, missing migrations
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@DATABASE_URL=postgresql://lint@127.0.0.1:1/lint REDIS_URL=redis://127.0.0.1:1/0 SECURE=0 \
		SECRET_KEY=for-this-check-only-and-of-no-worth-whatsoever-0123456789 STOCKROOM_VAR=/nonexistent \
		$(BIN)/python -W "ignore:Got an error checking a consistent migration history" \
		manage.py makemigrations --check --dry-run

backup: $(VENV)/.installed  ## Write all data into one file in backups/, also while it runs; TO=folder for another
	@$(BIN)/python -m config.services backup --to "$(TO)"

restore: $(VENV)/.installed  ## Make the data anew from a backup: FILE=backups/…; FORCE=1 over present data
	@[ -n "$(FILE)" ] || { echo 'Which? make restore FILE=backups/stockroom-….tar'; exit 1; }
	@$(BIN)/python -m config.services restore "$(FILE)" $(if $(FORCE),--force)

clean-data:  ## Delete this folder's database, queues, logs and secrets; asks first
	@[ -d var ] || { echo "There is no var/ here."; exit 1; }
	@read -r -p 'Delete var/ with all products, accounts and secrets? Type yes: ' answer; \
		if [ "$$answer" = yes ]; then \
			flock --nonblock var/run.lock rm -rf var || { echo 'Stockroom is running: stop it first.'; exit 1; }; \
		else echo 'Nothing deleted.'; fi

# The stamps are younger than the requirements they were installed from.
$(VENV)/.installed: requirements.txt $(CONSTRAINTS) | $(VENV)/bin/pip
	@echo 'Installing requirements.txt into $(VENV)'
	@$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.installed-for-tests: requirements-dev.txt requirements.txt $(CONSTRAINTS) | $(VENV)/bin/pip
	@echo 'Installing requirements-dev.txt into $(VENV)'
	@$(INSTALL) -r requirements-dev.txt
	@touch $(VENV)/.installed $@

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo 'Stockroom needs Python 3.11 or newer, and $(PYTHON) is not: set PYTHON=/path/to/python3.11 (or 3.12 …).' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || \
		{ rm -rf $(VENV); echo 'No virtual environment could be made. On Debian or Ubuntu: sudo apt-get install python3-venv' >&2; exit 1; }
