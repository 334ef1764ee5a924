# Two commands do everything: `make run` and `make test`. Everything else is for developers.

PYTHON ?= python3
BIN := .venv/bin
FRESH := $(PYTHON) requirements/install.py

.DEFAULT_GOAL := help
.PHONY: help run test test-long check format bench golden docs lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

run:  ## set up, start the embedded platform with the reference company, print its address
	@$(FRESH) run
	@exec $(BIN)/isthmus demo

test:  ## set up and run every test (under 15 minutes)
	@$(FRESH) test
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -m "not long" -n 3 --dist loadfile --no-loadscope-reorder

test-long:  ## the long forms: 50 kills, a day of soak
	@$(FRESH) test
	$(BIN)/python -m pytest -m long

check:  ## format, lint, types, import contracts; under a minute
	@$(FRESH) test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format:  ## let ruff format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench:  ## measure the budgets of DESIGN §14; results in bench/results/
	@$(FRESH) test
	$(BIN)/python -m bench

golden:  ## rewrite golden files and generated reference pages; review the diff
	@$(FRESH) test
	ISTHMUS_GOLDEN=write $(BIN)/python -m pytest -q tests/model tests/docs

docs:  ## build the documentation site into site/
	@$(FRESH) docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lock:  ## renew requirements/*.txt
	@$(FRESH) lock

clean:  ## remove what `make` made (not ./data)
	rm -rf .venv .venv-peers .setup node_modules src/isthmus/web/static/vendor site build dist
