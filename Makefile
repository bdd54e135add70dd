# Fleet Rollout: every daily command. `make demo` and `make test` set up whatever is missing.
.DEFAULT_GOAL := help
.PHONY: help demo test infra-check package up lint typecheck bench mutation format setup clean
.DELETE_ON_ERROR:

VENV   := .venv
PYTHON := $(VENV)/bin/python
# Each part of the set-up has a stamp file. $(PYTHON) is not one: it is a link to the interpreter of
# the machine, and touch follows links.
CREATED := $(VENV)/.created
LOCAL  := $(VENV)/.local-cloud-installed
TESTS  := $(VENV)/.tests-installed
PACKAGER := $(VENV)/.packager-installed
AZURITE_VERSION := 3.37.0
AZURITE := .local/azurite/.installed-$(AZURITE_VERSION)
NODE_SDKS := .local/node-sdks/.installed
PAGE_TOOLS := .local/page-tools/.installed
# Installed by the system's packages, because a browser needs its libraries.
FIND_BROWSER := command -v chromium || command -v chromium-browser || command -v google-chrome
CHROMIUM = $(if $(shell $(FIND_BROWSER)),,chromium)
# The oldest Node that Azurite supports, by its package.json. If PATH has an older one, npm installs
# this version in .local/node, and the simulator prefers it.
NODE_VERSION := 22
LOCAL_NODE := .local/node/.installed-$(NODE_VERSION)
NODE = $(if $(shell node --version 2>/dev/null | awk -F '[v.]' '$$2 < $(NODE_VERSION)'),$(LOCAL_NODE))
# The packages behind npm's package `node`, which fetches one of them by an install script. Such
# scripts may be switched off.
NODE_PACKAGE = $(shell node -p 'const {platform, arch} = process; \
	(platform + arch == "darwinarm64" ? "node-bin-" : "node-") + platform + "-" + arch')
# Bytecode is written at first import: compiling every package up front costs more than it saves.
# Container images often forbid it by a variable. The tests start hundreds of processes, and without
# bytecode each compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(PYTHON) -m pip install -qq --disable-pip-version-check --no-compile
NPM := npm install --no-save --no-package-lock --no-audit --no-fund --no-update-notifier --loglevel=error --engine-strict=false

# $(call set_up,PARTS,COST): say what the missing parts cost, then install them all at once.
define set_up
@$(MAKE) -q $(1) >/dev/null 2>&1 || { echo "setting up .venv and .local, once: $(2)"; \
	$(MAKE) -s --no-print-directory -j $(1); }
endef

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: setup  ## a rollout on a local cloud (DEVICES=3); STORY=bad: how a bad firmware is stopped
	@$(PYTHON) -m simulator demo $(if $(DEVICES),--devices "$(DEVICES)") $(if $(STORY),--story "$(STORY)")

infra-check: $(TESTS)  ## what azd deploys, checked without Azure; part of `make test`
	@$(PYTHON) -m pytest tests/infra

package: $(PACKAGER)  ## what Azure runs, in .local/package: the app with its dependencies
	@$(PYTHON) -m infra.package .local/package

up: setup  ## the local cloud, kept running until Ctrl-C (DEVICES=30 FAIL=20%)
	@$(PYTHON) -m simulator up $(if $(DEVICES),--devices "$(DEVICES)") $(if $(FAIL),--fail "$(FAIL)")

setup:
	$(call set_up,$(LOCAL) $(AZURITE) $(NODE),1 to 2 min and at most 650 MB of disk)

# The whole suite runs on all cores and measures coverage; with ARGS, pytest runs as it is.
WHOLE_SUITE := -n logical --dist loadfile --no-loadscope-reorder --cov --cov-fail-under=90

test:  ## the whole test suite (ARGS=... for pytest)
	$(call set_up,$(TESTS) $(AZURITE) $(NODE) $(NODE_SDKS) $(PAGE_TOOLS) $(CHROMIUM),2 to 4 min and at most 1400 MB of disk)
	@{ $(FIND_BROWSER); } >/dev/null || \
		echo "CHROMIUM IS MISSING: THE PAGE IS NOT TESTED. Install it: apt-get install chromium" >&2
	@$(PYTHON) -m pytest $(or $(ARGS),$(WHOLE_SUITE))

lint: $(TESTS) $(PAGE_TOOLS)  ## ruff: rules and format; tsc: the types of the page
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@.local/page-tools/node_modules/.bin/tsc -p tests/page/node

format: $(TESTS)  ## let ruff rewrite what it can
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

typecheck: $(TESTS)  ## mypy, strict
	@$(VENV)/bin/mypy

bench: setup $(TESTS)  ## measured figures beside what they are compared to (BENCH=name runs one)
	@$(PYTHON) -m tests.bench $(BENCH)

mutation: $(TESTS)  ## change the rules on purpose; list what no test notices (ARGS=..., hours)
	@$(PYTHON) -m tests.mutation $(ARGS)

clean:  ## remove everything that was set up
	rm -rf $(VENV) .local mutants

# Created again if its interpreter is gone, for example after an upgrade of Python.
ifneq ($(shell test -x $(PYTHON) || echo gone),)
.PHONY: $(CREATED)
endif
$(CREATED): .python-version
	@python3.13 -c '' || { echo "Python 3.13 is needed: python3.13 on PATH, or pyenv with a 3.13 installed" >&2; exit 1; }
	@test -x $(PYTHON) || rm -f $(VENV)/bin/python*
	@python3.13 -m venv $(VENV)
	@touch $@

# The command `fleet` runs from this folder: --editable installs a link to it.
$(LOCAL): $(CREATED) requirements.txt simulator/requirements.txt pyproject.toml
	@echo "setting up: Python packages for the local cloud"
	@$(PIP) -r simulator/requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(PACKAGER): $(CREATED) infra/requirements.txt
	@$(PIP) -r infra/requirements.txt
	@touch $@

$(TESTS): $(LOCAL) tests/requirements.txt infra/requirements.txt
	@echo "setting up: Python packages for tests, lint and types"
	@$(PIP) -r tests/requirements.txt
	@touch $@

$(NODE_SDKS): tests/simulator/hub/node/package.json
	@echo "setting up: Microsoft's Node SDKs, for the local hub's tests"
	@mkdir -p $(@D)
	@cp $< $(@D)
	@$(NPM) --prefix $(@D) >/dev/null
	@touch $@

$(PAGE_TOOLS): tests/page/node/package.json
	@echo "setting up: TypeScript and axe-core, which check the page"
	@mkdir -p $(@D)
	@cp $< $(@D)
	@$(NPM) --prefix $(@D) >/dev/null
	@touch $@

# Where it cannot be installed, the tests of the page are skipped.
.PHONY: chromium
chromium:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "setting up: Chromium, for the page's tests"; \
		{ apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 || true; fi

$(AZURITE):
	@command -v npm >/dev/null || { echo "Node with npm is needed: Azurite, the storage emulator, comes from npm" >&2; exit 1; }
	@echo "setting up: Azurite $(AZURITE_VERSION)"
	@mkdir -p $(@D)
	@$(NPM) --prefix $(@D) azurite@$(AZURITE_VERSION) >/dev/null
	@touch $@

$(LOCAL_NODE):
	@echo "setting up: Node $(NODE_VERSION) for Azurite, because $$(command -v node) is $$(node --version)"
	@mkdir -p $(@D)
	@{ $(NPM) --prefix $(@D) $(NODE_PACKAGE)@$(NODE_VERSION) && $(@D)/node_modules/.bin/node --version; } >/dev/null || \
		{ echo "Azurite needs Node $(NODE_VERSION) or newer, and npm has none for this machine: install Node $(NODE_VERSION)" >&2; exit 1; }
	@touch $@
