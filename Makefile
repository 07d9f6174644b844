# make demo       train LeNet on real digits; results go to build/demo
# make test       the tests, without those marked slow
# make test-all   all tests
# make fuzz       read damaged files, FUZZ='--count 100000' of them; findings go to build/fuzz
# make check      the linter and the type checker
# make docs       write the reference of all operators, docs/operators, from their declarations
# make bench      time all networks side by side with others; a page of results goes to build/benchmarks.md
# make clean      remove what the others made
#
# PYTHON=python3.12 make demo   uses another Python for the virtual environment.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Touched when the environment is complete, so that it is made once, and again when the dependencies change.
READY := $(VENV)/.ready

.PHONY: demo test test-all fuzz check docs bench clean

demo: $(READY)
	$(BIN)/python examples/digits_lenet.py --out build/demo

test: $(READY)
	$(BIN)/python -m pytest -m "not slow"

test-all: $(READY)
	$(BIN)/python -m pytest

fuzz: $(READY)
	cd tests && $(abspath $(BIN))/python -m fuzz --out ../build/fuzz $(FUZZ)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m symbind.ops.reference docs/operators

bench: $(READY)
	$(BIN)/python -m benchmarks --out build/benchmarks.md

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
