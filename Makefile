# Everything this project needs, in one-line targets.  `make run` and `make test` install first.
.DEFAULT_GOAL := run
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup run test lint types unit lock

setup: .venv/.installed  ## install what the worker needs into .venv

.venv/.installed: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.txt
	@touch $@

run: setup  ## start the worker on 127.0.0.1:8000, with the bundled demo model unless MODEL_SIZE is set
	@$(BIN)/python -m app serve --demo

test: .venv/.installed-dev  ## lint, types and every test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONASYNCIODEBUG=1 $(BIN)/pytest

lock:  ## write both lock files anew from pyproject.toml
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes pyproject.toml -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
