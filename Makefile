PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --no-input

.PHONY: help demo test parts lint bench docs lock clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/demo.done  ## the whole loop on a year of real flights, into ./flights
	$(BIN)/assay demo flights flights

test: .venv/test.done lint  ## everything that must hold
	$(BIN)/python -m pytest -n auto --dist worksteal

parts: .venv/parts.done  ## Spark, dbt and more data, for the tests that say they miss them

lint: .venv/test.done  ## format, rules, types, import direction
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/basedpyright --level error
	PYTHONPATH=src $(BIN)/lint-imports --no-cache

bench: .venv/test.done  ## the claims of BENCHMARKS.md, measured again
	$(BIN)/python benchmarks/run.py

docs: .venv/demo.done  ## redraw the picture of the demo in the README
	$(BIN)/assay demo flights flights --fresh --svg docs/demo.svg

lock:  ## resolve the dependencies again (needs uv)
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --universal --python-version 3.11 --group build -o requirements/build.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --universal --python-version 3.11 pyproject.toml --extra demo --no-emit-package assay -c requirements/build.txt -o requirements/demo.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --universal --python-version 3.11 pyproject.toml --extra demo --extra dbt --extra postgres --extra sklearn --extra s3 --group test --no-emit-package assay -c requirements/build.txt -o requirements/test.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --universal --python-version 3.11 pyproject.toml --extra spark --no-emit-package assay -c requirements/test.txt -o requirements/spark.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --universal --python-version 3.11 --group dbt -o requirements/dbt.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --universal --python-version 3.11 --group mlflow3 -o requirements/mlflow3.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --universal --python-version 3.11 --group mlflow2 -o requirements/mlflow2.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --no-deps --universal --python-version 3.11 --group data -o requirements/data.txt

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

.venv/parts.done: .venv/test.done requirements/spark.txt requirements/dbt.txt requirements/data.txt requirements/mlflow3.txt requirements/mlflow2.txt
	$(PIP) install -q --no-build-isolation --require-hashes -r requirements/spark.txt
	$(PIP) install -q --no-deps --require-hashes -r requirements/data.txt
	$(PYTHON) -m venv .venv/dbt
	.venv/dbt/bin/pip --disable-pip-version-check --no-input install -q --no-deps --require-hashes -r requirements/dbt.txt
	for mlflow in mlflow3 mlflow2; do \
		$(PYTHON) -m venv .venv/$$mlflow && \
		.venv/$$mlflow/bin/pip --disable-pip-version-check --no-input install -q --no-deps --require-hashes -r requirements/$$mlflow.txt || exit 1; \
	done
	touch $@
