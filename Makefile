# The one door: `make help` lists what it opens. Each target prepares $(VENV) by itself.
SHELL := bash
VENV ?= .venv
FILES ?= .
PY := $(VENV)/bin/python
export PYTHON PINS

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check docs bench model format coverage pins audit clean check-pins \
        check-style check-mypy check-pyright check-layers check-budgets check-weight check-spelling check-snippets

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
	  awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'
	@echo "Variables: PYTHON=/path/to/python3  VENV=folder  PINS=no  MODEL=135m|0.5b|1.5b  ARGS='-k name'"

demo: $(VENV)/.stamp-local ## Train three things with a local model (MODEL=135m|0.5b|1.5b)
	@$(PY) examples/demo.py $(if $(MODEL),--model $(MODEL)) $(ARGS)

test: $(VENV)/.stamp-test ## Run the tests (ARGS are handed to pytest)
	@$(PY) -m pytest -q $(ARGS)

test-all: ## Run the tests on each Python from 3.10 to 3.13 that is here (in .venv-3.x)
	@failed=; for version in 3.10 3.11 3.12 3.13; do \
	  found=; for python in python$$version ~/.pyenv/versions/$$version.*/bin/python; do \
	    if "$$python" -c '' 2>/dev/null; then found=$$python; break; fi; done; \
	  if [ -z "$$found" ]; then echo "== Python $$version: not here"; continue; fi; \
	  echo "== Python $$version"; \
	  $(MAKE) --no-print-directory test PYTHON="$$found" VENV=.venv-$$version || failed="$$failed $$version"; done; \
	if [ -n "$$failed" ]; then echo "Failed on Python$$failed"; exit 1; fi

check: check-style check-mypy check-pyright check-layers check-budgets check-weight check-spelling check-pins check-snippets ## All checks but the tests

docs: $(VENV)/.stamp-docs ## Build the documentation into site/
	@$(VENV)/bin/zensical build --strict --clean && echo "Built site/index.html"

bench: $(VENV)/.stamp-test ## Run the benchmarks
	@$(PY) benchmarks/run.py $(ARGS)

model: $(VENV)/.stamp-local ## Fetch the weights of a local model (MODEL=135m|0.5b|1.5b)
	@$(VENV)/bin/opto model fetch $(MODEL)

format: $(VENV)/.stamp-dev ## Format the code and mend what can be mended (FILES='src tests')
	@$(PY) -m ruff format -q $(FILES) && $(PY) -m ruff check -q --fix $(FILES)

coverage: $(VENV)/.stamp-test ## Run the tests and report branch coverage
	@$(PY) -m pytest -q --cov --cov-report=term-missing:skip-covered $(ARGS)

pins: $(VENV)/.stamp-dev ## Pin the environments in requirements/ (UPGRADE=yes takes newer releases)
	@$(PY) tools/pins.py renew $(if $(UPGRADE),--upgrade)

audit: $(VENV)/.stamp-test ## Ask a database of vulnerabilities about what is pinned
	@$(PY) -m tools.audit

clean: ## Remove the environment, caches and what was built
	rm -rf $(VENV) site dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

check-style: $(VENV)/.stamp-dev
	@echo "== style" && $(PY) -m ruff format --check -q . && $(PY) -m ruff check -q .

check-mypy: $(VENV)/.stamp-dev
	@echo "== types (mypy)" && $(PY) -m mypy

check-pyright: $(VENV)/.stamp-dev
	@echo "== types (pyright)" && $(PY) -m pyright --pythonpath $(PY)

check-layers: $(VENV)/.stamp-dev
	@echo "== layers" && $(VENV)/bin/lint-imports --no-logo --no-cache

check-budgets: $(VENV)/.stamp-dev
	@echo "== budgets" && $(PY) tools/budgets.py

check-weight: $(VENV)/.stamp-test
	@echo "== weight of the base install" && $(PY) tools/weight.py

check-spelling: $(VENV)/.stamp-dev
	@echo "== spelling" && $(VENV)/bin/codespell

check-pins: $(VENV)/.stamp-test
	@echo "== pins" && $(PY) tools/pins.py check

check-snippets: $(VENV)/.stamp-test
	@echo "== snippets of README and docs" && $(PY) -m pytest -q tests/test_readme.py tests/test_docs.py

# An environment is stale when what it was made from is newer than its stamp.
$(VENV)/.stamp-%: pyproject.toml tools/venv.sh requirements/%.txt
	@tools/venv.sh $(VENV) $* && touch $@
