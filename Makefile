PYTHON ?= python3
PORT ?= 3000
SPARK_PORT ?= 15002
SCALE ?= 1
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
TRAINING := build/training
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export DAGSTER_HOME := $(CURDIR)/.dagster

.PHONY: materialize test test-jvm test-training dev spark-server report screenshots sql sql-ddl generate replay pseudonyms \
	demo-s3 demo-s3-stop bench bench-rivals bench-events lint format lock audit clean

materialize: $(INSTALLED) $(DAGSTER_HOME)/dagster.yaml
	@$(BIN)/stedi materialize

# Some tests wait, for a daemon or a browser, so that it takes four processes to keep two cores busy.
# Each would compile the tests for itself if none may keep what it has compiled.
test: $(INSTALLED)
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses 4 --dist worksteal

# On a JVM Spark: the tests of engines, and those of what engines have been seen to differ on.
# They skip where there is no Java 17, or the jars cannot be fetched.
test-jvm: $(INSTALLED)
	STEDI_TEST_ENGINE=jvm $(BIN)/pytest -m '' -rs $(addprefix stedi_assets_tests/,test_engines.py \
		$(patsubst %,landing/test_%.py,reader reader_values reader_properties folder upload) \
		assets/test_trusted.py assets/test_curated.py checks/test_counts.py checks/test_quality.py)

# What needs PyTorch or mlcroissant, in an environment of its own. UV_TORCH_BACKEND=cpu installs
# PyTorch without CUDA, from its own index.
test-training: $(TRAINING)/installed
	$(TRAINING)/bin/pytest -m training stedi_assets_tests/training

dev: $(INSTALLED) $(DAGSTER_HOME)/dagster.yaml
	@$(BIN)/stedi dev --port $(PORT)

report: $(INSTALLED) $(DAGSTER_HOME)/dagster.yaml
	@$(BIN)/stedi report

# Needs Java 17, and the network at its first start.
spark-server: $(INSTALLED)
	@$(BIN)/stedi spark-server --port $(SPARK_PORT)

# Needs Debian's chromium.
screenshots: $(INSTALLED)
	$(BIN)/python -m docs.screenshots

# Q="select …" runs one query, F=file a file of them, neither opens a console; FORMAT=csv.
sql: $(INSTALLED)
	@$(BIN)/stedi sql $(if $(FORMAT),--format $(FORMAT)) \
		$(if $(Q),--query "$$Q") $(if $(F),--file "$$F")

sql-ddl: $(INSTALLED)
	$(BIN)/stedi ddl

# What follows from the declarations outside of the package: DDL, policies, the README's tables.
generate: $(INSTALLED)
	@$(BIN)/python -m docs.generate

# Reads e-mail addresses, one a line, until end of file.
pseudonyms: $(INSTALLED)
	@$(BIN)/stedi pseudonyms

# SOURCE=accelerometer prints the lines that its quarantine tells of, as they landed.
replay: $(INSTALLED)
	@$(BIN)/stedi replay $(SOURCE)

demo-s3: $(INSTALLED) $(DAGSTER_HOME)/dagster.yaml
	@$(BIN)/stedi demo-s3 start

demo-s3-stop: $(INSTALLED)
	@$(BIN)/stedi demo-s3 stop

# Writes into build/benchmarks; UPDATE=1 into benchmarks, whose results are committed.
bench: bench-rivals bench-events

# One of the rivals needs Java.
bench-rivals: $(INSTALLED)
	$(BIN)/python -m benchmarks.compare --scales $(SCALE) $(if $(UPDATE),--out benchmarks)

# BEFORE=../old/.venv/bin/python compares the first load with another version's.
bench-events: $(INSTALLED)
	$(BIN)/python -m benchmarks.events --scales $(SCALE) $(if $(UPDATE),--out benchmarks) \
		$(if $(BEFORE),--before $(BEFORE))

lint: $(INSTALLED) $(DAGSTER_HOME)/dagster.yaml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dagster definitions validate

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# After a change of setup.py: resolves every dependency anew, for each Python and platform.
lock: $(INSTALLED)
	$(BIN)/uv pip compile setup.py --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --output-file requirements.lock

# Known vulnerabilities of what is locked, from OSV or a snapshot of it, which RECORD=1 writes.
# In CI it fails where nothing can be looked up, unless OFFLINE=allowed.
audit: $(INSTALLED)
	@$(BIN)/python .ci/audit.py $(if $(RECORD),--record) $(if $(OFFLINE),--allow-offline)

clean:
	rm -rf $(VENV) $(DAGSTER_HOME) .demo-s3 lakehouse build dist *.egg-info \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The lock file names every dependency, so pip has nothing to resolve.
$(INSTALLED): requirements.lock setup.py
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --no-deps --requirement requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

$(TRAINING)/installed: $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(TRAINING)
	VIRTUAL_ENV=$(TRAINING) $(BIN)/uv pip install --quiet --require-hashes --no-deps \
		--requirement requirements.lock
	VIRTUAL_ENV=$(TRAINING) $(BIN)/uv pip install --quiet --constraint requirements.lock \
		--no-build-isolation --editable '.[training]'
	touch $@

$(DAGSTER_HOME)/dagster.yaml: stedi_assets/dagster.yaml
	mkdir -p -m 700 $(DAGSTER_HOME)
	cp $< $@.$$$$ && mv $@.$$$$ $@ # whole, also for another that starts at this moment
