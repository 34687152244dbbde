# Two commands do everything: `make run` and `make test`. Both set up `.venv` first where needed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STORE  ?= .ced
PORT   ?= 5000
SEED   ?= 0
SHARE  ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup run test test-faults check audit ui lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## make .venv with the exact versions of constraints.txt

run: $(VENV)/.installed ## train every method on real photographs and show what they restore (minutes)
	@$(BIN)/ced run quickstart --store $(STORE)

test: $(VENV)/.tested ## all checks and tests
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-faults: $(VENV)/.tested ## hostile files, kills, failing disks, altered bytes, open ports, long load: about an hour
	@$(BIN)/python -m tests.faults $(SEED) $(SHARE)

check: $(VENV)/.tested ## style, types and layers only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: $(VENV)/.installed ## a bill of materials (bom.json), and known weaknesses of the pinned packages (asks PyPI)
	@test -x .audit/bin/pip-audit || { $(PYTHON) -m venv .audit && .audit/bin/pip install -q pip-audit cyclonedx-bom; }
	@.audit/bin/cyclonedx-py environment --output-file bom.json $(BIN)/python
	@.audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

ui: $(VENV)/.installed ## MLflow's page on the store, on this machine alone
	@cd $(STORE) && DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true \
	  $(abspath $(BIN))/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(PORT)

lock: $(VENV)/.tested ## write the versions installed now into constraints.txt
	@{ head -1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable --exclude ced \
	  | sed 's/+cpu//'; } > constraints.new && mv constraints.new constraints.txt

clean: ## remove .venv and caches; the store stays
	@rm -rf $(VENV) .audit bom.json .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

# torch first and alone: an unpinned torch elsewhere in the graph would bring gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'ced needs Python 3.11 or newer; name one with make PYTHON=python3.11' >&2; exit 2; }
	@echo 'setting up $(VENV) (a few minutes the first time) ...'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[pipeline]'
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@
