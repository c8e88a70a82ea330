# Two commands set everything up: `make run` and `make test`.  Both create what they need once and reuse it.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt $(wildcard requirements/*.txt)

.PHONY: run up test quick lint page screenshots snapshots bench soak mutants audit wheels release format docs clean

run: $(VENV)/.installed node_modules/.installed ## the main job on the local Azure, from nothing to rows in tables
	@$(BIN)/python -m local run

up: $(VENV)/.installed node_modules/.installed ## the same tenant and data as `make run`, until Ctrl-C
	@$(BIN)/python -m local run --stay

test: lint ## all checks; RERUNS=1 tries what failed once more and names it
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -q $(if $(RERUNS),--reruns $(RERUNS) -rR)

quick: lint ## lint, types and unit tests, in under 90 seconds
	@$(BIN)/pytest tests/unit -n 2 --dist loadfile --no-loadscope-reorder -q -m 'not soak and not slow'

lint: $(VENV)/.installed node_modules/.installed
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit -q -r shared function_app.py

format: $(VENV)/.installed
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

page: $(VENV)/.installed node_modules/.installed ## build the operations page into its one file
	@$(BIN)/python -m tools.page

screenshots: page ## the operations page in light, dark and on a phone, into docs/images; or what STATES=folder names
	@$(BIN)/python -m tools.screenshots $(if $(STATES),--states $(STATES)) $(if $(SUBSCRIPTIONS),--subscriptions $(SUBSCRIPTIONS))

snapshots: $(VENV)/.installed ## what Azure will get, compiled and evaluated into infra/; needs the Bicep compiler
	@$(BIN)/python -m tools.infra
	@$(BIN)/python -m tools.snapshots
	@$(BIN)/python -m tools.roles
	@$(BIN)/python -m tools.deployment
	@$(BIN)/python -m tools.cost

bench: $(VENV)/.installed node_modules/.installed ## every budget, measured side by side
	@$(BIN)/python -m benchmarks

soak: $(VENV)/.installed node_modules/.installed ## the long runs: many seeds
	@$(BIN)/pytest -m soak --timeout 3600 -n 2 --dist loadfile --no-loadscope-reorder -q

mutants: $(VENV)/.installed ## does a test notice each small change of the pure core? all of them, or SAMPLE=50 a module
	@nice $(BIN)/python -m tools.mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

audit: $(VENV)/.installed ## requirements.txt against published advisories
	@$(BIN)/python -m tools.audit

wheels: $(VENV)/.installed ## does every pin have a wheel for each Python from 3.11 to 3.14? asks the package index
	@$(BIN)/python -m tools.wheels

release: $(VENV)/.installed ## a release in dist/: packages, the command line, templates, SBOM, digests
	@$(BIN)/python -m tools.release

clean: ## forget every environment
	rm -rf .venv .venv-* node_modules .local

$(VENV)/.installed: $(REQUIREMENTS) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12, 3.13 or 3.14 is needed, and none was found on PATH."; exit 1; }
	@echo "Installing Python packages into $(VENV) (the first time takes two to three minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements/dev.txt --editable .
	@touch $@

node_modules/.installed: package-lock.json
	@command -v npm >/dev/null || { echo "Node 20 or newer with npm is needed, and none was found on PATH."; exit 1; }
	@echo "Installing Node packages into node_modules"
	@npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@
