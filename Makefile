# Each target does its own set-up: `make parity` on a fresh machine with Python 3.11 or newer is enough.
PYTHON ?= python3
BIN := .venv/bin
# One stamp for each group of packages: `make parity` needs only the first, everything else the second.
PARITY := .venv/parity
READY := .venv/ready
# Without --no-compile, pip spends half of the time on bytecode of modules that are never imported.
INSTALL := PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/pip install --disable-pip-version-check --quiet --no-compile --editable

# Torch and NumPy in one process compete for the cores: for small cases one thread each is fastest.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help parity test train bench mutation sample torture fuzz oldest newest check docs format clean

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

parity: $(PARITY) ## set up what parity needs, then run the whole suite
	$(BIN)/python -m parity

test: $(READY) ## set up the rest, then run the tests
	$(BIN)/python -m pytest -n auto --dist worksteal

train: $(READY) ## train both backends on the embedded digits
	$(BIN)/python -m numpy_cnn
	$(BIN)/python -m torch_cnn

check: $(READY) ## formatter, linter and type checker
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

docs: $(READY) ## refresh the code that the derivations quote
	$(BIN)/python docs/build.py

bench: $(READY) ## measure the ops and the backends against PyTorch
	$(BIN)/python benchmarks/run.py

mutation: $(READY) ## plant mistakes in the ops, one at a time, and count those that parity finds
	$(BIN)/python benchmarks/mutation/run.py

sample: $(READY) ## plant 200 random mistakes elsewhere, and count those that the tests find
	$(BIN)/python benchmarks/mutation/sample.py

torture: $(READY) ## crash every command at every file operation, break its streams, and check that nothing is lost
	$(BIN)/python benchmarks/torture.py
	$(BIN)/python benchmarks/streams.py

fuzz: $(READY) ## feed 100,000 mutated inputs to every parser
	$(BIN)/python benchmarks/fuzz.py

oldest: $(READY) ## run the tests with the oldest releases that pyproject.toml allows
	$(PYTHON) -m venv .venv/oldest
	$(BIN)/python benchmarks/oldest.py > .venv/oldest/constraints.txt
	.venv/oldest/bin/pip install --quiet --constraint .venv/oldest/constraints.txt --editable '.[dev]'
	.venv/oldest/bin/python -m pytest -n auto --dist worksteal

newest: ## run the tests with the newest releases, ignoring constraints.txt
	$(PYTHON) -m venv .venv/newest
	.venv/newest/bin/pip install --quiet --upgrade --editable '.[dev]'
	.venv/newest/bin/python -m pytest -n auto --dist worksteal

format: $(READY) ## apply the formatter and the linter's fixes
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove the environment and everything built
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(PARITY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up .venv for parity: NumPy, PyTorch (CPU), Hypothesis and what they need, about 1 GB on disk."
	@echo "This takes about a minute on a fast connection; later runs skip it."
	$(PYTHON) -m venv .venv
	$(INSTALL) '.[parity]'
	@touch $@

$(READY): $(PARITY)
	@echo "Adding the tools for tests: pytest-xdist, mypy, ruff, mutmut, scikit-learn, selenium; about 0.5 GB more."
	$(INSTALL) '.[dev]'
	@touch $@
