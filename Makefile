# What can be done with this repository; needs Python 3.11 or newer and make, nothing else.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that is new enough; `make PYTHON=/path/to/python3.12 run` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
WORKERS ?= 2
# Many processes are started here, and each would compile all its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check lint bench bench-scale browser attack soak lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Start everything on PORT (8080) with data in DATA_DIR (./var); Ctrl-C stops it
	@exec $(BIN)/fhir-server up --simulate 0.2

test: $(VENV)/.installed-dev ## Run the tests against a real PostgreSQL (ARGS="-k name" to choose)
	@$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)

check: $(VENV)/.installed-dev ## Check format, lint, types and the layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: $(VENV)/.installed-dev ## Repair format and what the linter can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev ## Measure each path beside its floor; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks $(ARGS)

bench-scale: $(VENV)/.installed-dev ## Measure searches on 500,000 and 5,000,000 resources (35 GB, half an hour)
	@$(BIN)/python -m benchmarks searches $(ARGS)

browser: $(VENV)/.installed-dev ## Have real SMART apps launched in Chromium (needs chromium, chromedriver and npm)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check fhirclient==4.4.0
	@$(BIN)/python -m pytest -q -m browser tests/browser $(ARGS)

attack: $(VENV)/.installed-dev ## Kill processes in a loop and throw hostile input at the server
	@$(BIN)/python -m pytest -q -m attack $(ARGS)

soak: $(VENV)/.installed-dev ## Kill the HL7 gateway and PostgreSQL a hundred times under load, and compare (half an hour)
	@$(BIN)/python -m pytest -q -m soak tests/soak $(ARGS)

lock: $(VENV)/.installed ## Resolve the dependencies anew into requirements.lock and requirements-dev.lock
	@$(BIN)/python -m pip install --quiet 'uv>=0.8'
	@set -e; compile="$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-header --no-emit-index-url --no-emit-find-links --no-annotate"; \
	$$compile --extra build --extra dev -o requirements-dev.lock pyproject.toml; \
	$$compile --extra build -c requirements-dev.lock -o requirements.lock pyproject.toml

clean: ## Remove the virtual environment and caches; data in var/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second `make run` start at once; a changed lock or pyproject.toml installs again.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "This needs Python 3.11 or newer; none was found on the PATH." >&2; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) could not create a virtual environment; on Debian and Ubuntu install python3-venv." >&2; exit 1; }

$(VENV)/.installed: $(VENV)/bin/python requirements.lock pyproject.toml
	@echo "Installing the packages of requirements.lock ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "Installing the packages of requirements-dev.lock ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
