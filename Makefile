# Each target does its own set-up: `make parity` on a fresh machine with Python 3.11 or newer is enough.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

# Torch and NumPy in one process would fight over the cores: the cases are small, one thread each is fastest.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help parity test train bench mutation check docs format clean

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

parity: $(READY) ## run the whole parity suite
	$(BIN)/python -m parity

test: $(READY) ## run the tests
	$(BIN)/python -m pytest -n auto

train: $(READY) ## train both backends on the embedded digits
	$(BIN)/python -m numpy_cnn
	$(BIN)/python -m torch_cnn

check: $(READY) ## formatter, linter and type checker
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

docs: $(READY) ## fill the code that the derivations quote in anew
	$(BIN)/python docs/build.py

bench: $(READY) ## measure the ops and the backends beside PyTorch
	$(BIN)/python benchmarks/run.py

mutation: $(READY) ## plant mistakes in the ops, one at a time, and see whether parity finds them
	$(BIN)/python benchmarks/mutation/run.py

format: $(READY) ## let the formatter and the linter mend what they can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove the environment and everything built
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another by PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/pip install --quiet --editable '.[dev]'
	touch $@
