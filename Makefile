PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --no-input
RESOLVE := uv pip compile -q --no-emit-index-url --no-annotate --universal --python-version 3.11
LOCK := $(RESOLVE) --generate-hashes
# Many tests wait for a server or a time-out: twice as many at once as there are cores.
TESTS := -m pytest -n $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN)) --dist worksteal
EXTRAS := --extra demo --extra dbt --extra postgres --extra s3 --extra sklearn

.PHONY: help demo test fuzz parts oldest pythons mutants lint bench docs lock clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/demo.done  ## the whole loop on a year of real flights, into ./flights
	$(BIN)/assay demo flights flights

test: .venv/test.done lint  ## everything that must hold; names what it left out
	$(BIN)/python $(TESTS)

parts: .venv/parts.done  ## Spark, Delta, Iceberg, dbt, MLflow, Jupyter and more, for the tests that are left out without them

oldest: .venv/oldest.done  ## the tests on the lowest versions that pyproject.toml allows
	.venv/oldest/bin/python $(TESTS)

pythons:  ## the tests on each of Python 3.11 to 3.14 that is installed
	tests/pythons.sh

fuzz: .venv/test.done  ## random tables in every form against an oracle: make fuzz SECONDS=300 SEED=1
	$(BIN)/python tests/differential/fuzz.py --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))

lint: .venv/test.done  ## format, rules, types, import direction
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/basedpyright --level error
	PYTHONPATH=src $(BIN)/lint-imports --no-cache

bench: .venv/parts.done  ## the claims of BENCHMARKS.md, measured again
	$(BIN)/python benchmarks/run.py

mutants: .venv/mutants.done  ## break the modules that must not lie line by line, and count what the tests notice
	$(BIN)/python benchmarks/mutants.py

docs: .venv/test.done  ## redraw the picture of the demo and write the tables of docs/configuration.md
	$(BIN)/assay demo flights flights --fresh --svg docs/demo.svg
	$(BIN)/python tests/docs/configuration.py

lock:  ## resolve the dependencies again (needs uv)
	$(LOCK) --group build -o requirements/build.txt
	$(LOCK) pyproject.toml --extra demo --no-emit-package assay -c requirements/build.txt -o requirements/demo.txt
	$(LOCK) pyproject.toml $(EXTRAS) --group test --no-emit-package assay -c requirements/build.txt -o requirements/test.txt
	$(RESOLVE) --resolution lowest-direct --no-header pyproject.toml $(EXTRAS) --extra onnx --no-emit-package assay -c requirements/build.txt -c requirements/oldest.in -o .venv/oldest.txt
	$(LOCK) pyproject.toml $(EXTRAS) --extra onnx --group test --no-emit-package assay -c requirements/build.txt -c .venv/oldest.txt -o requirements/oldest.txt
	$(LOCK) pyproject.toml --extra spark --no-emit-package assay -c requirements/test.txt -o requirements/spark.txt
	$(LOCK) pyproject.toml --extra delta --extra iceberg --no-emit-package assay -c requirements/test.txt -o requirements/lake.txt
	$(LOCK) --group mutants -c requirements/test.txt -o requirements/mutants.txt
	for group in dbt mlflow3 mlflow2 wandb; do $(LOCK) --group $$group -o requirements/$$group.txt || exit 1; done
	$(LOCK) --no-deps --group data -o requirements/data.txt
	$(LOCK) --group jupyter -c requirements/test.txt -o requirements/jupyter.txt

clean:  ## remove what was made
	rm -rf .venv flights build dist

.venv/build.done: requirements/build.txt
	$(PYTHON) -m venv .venv
	$(PIP) install -q --require-hashes -r requirements/build.txt
	touch $@

.venv/demo.done: .venv/build.done requirements/demo.txt pyproject.toml
	$(PIP) install -q --no-build-isolation --require-hashes -r requirements/demo.txt
	$(PIP) install -q --no-build-isolation --no-deps -e .
	touch $@

.venv/test.done: .venv/demo.done requirements/test.txt
	$(PIP) install -q --no-build-isolation --require-hashes -r requirements/test.txt
	touch $@

.venv/oldest.done: .venv/build.done requirements/oldest.txt
	$(PYTHON) -m venv .venv/oldest
	.venv/oldest/bin/pip --disable-pip-version-check --no-input install -q --require-hashes -r requirements/build.txt
	.venv/oldest/bin/pip --disable-pip-version-check --no-input install -q --no-build-isolation --require-hashes -r requirements/oldest.txt
	.venv/oldest/bin/pip --disable-pip-version-check --no-input install -q --no-build-isolation --no-deps -e .
	touch $@

.venv/mutants.done: .venv/test.done requirements/mutants.txt
	$(PIP) install -q --no-deps --require-hashes -r requirements/mutants.txt
	touch $@

.venv/parts.done: .venv/test.done requirements/spark.txt requirements/lake.txt requirements/dbt.txt requirements/data.txt requirements/jupyter.txt requirements/mlflow3.txt requirements/mlflow2.txt requirements/wandb.txt
	$(PIP) install -q --no-build-isolation --require-hashes -r requirements/spark.txt
	$(PIP) install -q --no-build-isolation --require-hashes -r requirements/lake.txt
	$(PIP) install -q --no-deps --require-hashes -r requirements/data.txt
	$(PIP) install -q --require-hashes -r requirements/jupyter.txt
	$(PYTHON) -m venv .venv/dbt
	.venv/dbt/bin/pip --disable-pip-version-check --no-input install -q --no-deps --require-hashes -r requirements/dbt.txt
	for tracker in mlflow3 mlflow2 wandb; do \
		$(PYTHON) -m venv .venv/$$tracker && \
		.venv/$$tracker/bin/pip --disable-pip-version-check --no-input install -q --no-deps --require-hashes -r requirements/$$tracker.txt || exit 1; \
	done
	touch $@
