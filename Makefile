# Fleet Rollout: every daily command. `make demo` and `make test` set up whatever is missing.
.DEFAULT_GOAL := help
.PHONY: help demo test up lint typecheck bench format setup clean
.DELETE_ON_ERROR:

VENV   := .venv
PYTHON := $(VENV)/bin/python
AZURITE_VERSION := 3.37.0
AZURITE := .local/azurite/.installed-$(AZURITE_VERSION)
LOCAL  := $(VENV)/.local-cloud-installed
TESTS  := $(VENV)/.tests-installed
NODE_SDKS := .local/node-sdks/.installed
# Bytecode is written at first import: compiling every package up front costs more than it saves.
PIP    := $(PYTHON) -m pip install -qq --disable-pip-version-check --no-compile

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: setup  ## a rollout from POST to completed devices on a local cloud (DEVICES=3)
	@$(PYTHON) -m simulator demo --devices $(or $(DEVICES),3)

up: setup  ## the local cloud, kept running until Ctrl-C
	@$(PYTHON) -m simulator up

setup:  # both halves at once: one waits for Python packages, the other for npm's
	@$(MAKE) --no-print-directory -j2 $(LOCAL) $(AZURITE)

test: setup  ## the whole test suite (ARGS=... for pytest)
	@$(MAKE) --no-print-directory -j2 $(TESTS) $(NODE_SDKS)
	@$(PYTHON) -m pytest $(ARGS)

lint: $(TESTS)  ## ruff: rules and format
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

format: $(TESTS)  ## let ruff rewrite what it can
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

typecheck: $(TESTS)  ## mypy, strict
	@$(VENV)/bin/mypy

bench: setup $(TESTS)  ## measured figures beside what they are compared to (BENCH=name runs one)
	@$(PYTHON) -m tests.bench $(BENCH)

clean:  ## remove everything that was set up
	rm -rf $(VENV) .local

$(PYTHON): .python-version
	@command -v python3.13 >/dev/null || { echo "Python 3.13 is needed: python3.13 on PATH, or pyenv with a 3.13 installed" >&2; exit 1; }
	@python3.13 -m venv $(VENV)
	@touch $@

$(LOCAL): $(PYTHON) requirements.txt simulator/requirements.txt
	@echo "setting up: Python packages for the local cloud"
	@$(PIP) -r simulator/requirements.txt
	@touch $@

$(TESTS): $(LOCAL) tests/requirements.txt
	@echo "setting up: Python packages for tests, lint and types"
	@$(PIP) -r tests/requirements.txt
	@touch $@

$(NODE_SDKS): tests/simulator/hub/node/package.json
	@echo "setting up: Microsoft's Node SDKs, for the local hub's tests"
	@mkdir -p $(@D)
	@cp $< $(@D)
	@npm install --prefix $(@D) --no-package-lock --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

$(AZURITE):
	@command -v npm >/dev/null || { echo "Node with npm is needed: Azurite, the storage emulator, comes from npm" >&2; exit 1; }
	@echo "setting up: Azurite $(AZURITE_VERSION)"
	@mkdir -p .local/azurite
	@npm install --prefix .local/azurite --no-save --no-package-lock --no-audit --no-fund --loglevel=error azurite@$(AZURITE_VERSION) >/dev/null
	@touch $@
