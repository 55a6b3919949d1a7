PYTHON ?= python3
PORT ?= 3000
SPARK_PORT ?= 15002
SCALE ?= 1
VENV := .venv
BIN := $(VENV)/bin
export DAGSTER_HOME := $(CURDIR)/.dagster

# What is installed: the packages of requirements/run.txt and this one, and those of test.txt.
RUN := $(VENV)/run.installed
TEST := $(VENV)/test.installed
CONTRACT_TOOLS := build/contract-tools
TRAINING := build/training

.PHONY: materialize test test-slow test-docs test-contracts test-jvm test-cluster test-training dev doctor export spark-server report screenshots sql sql-ddl generate replay pseudonyms \
	demo-s3 demo-s3-stop bench bench-rivals bench-events bench-check lint format lock locked requirements sbom audit reset clean \
	help history anew

materialize: $(RUN) history ## make of every table what has changed, and check it
	@$(BIN)/stedi materialize

dev: $(RUN) history ## serve the Dagster UI and its daemon; PORT=3001
	@$(BIN)/stedi dev --port $(PORT)

sql: $(RUN) ## open a SQL console; Q="select …" or F=file runs a query, FORMAT=csv
	@$(BIN)/stedi sql $(if $(FORMAT),--format $(FORMAT)) \
		$(if $(Q),--query "$$Q") $(if $(F),--file "$$F")

report: $(RUN) history ## write build/report.html
	@$(BIN)/stedi report

doctor: $(RUN) ## examine settings, storage, engine and more; SEND_TEST=1 sends a test message
	@$(BIN)/stedi doctor $(if $(SEND_TEST),--send-test)

export: $(RUN) ## write TABLE=machine_learning_curated as one file; FORMAT=csv OUT=file
	@[ -n "$(TABLE)" ] || { echo "Name a table: make export TABLE=machine_learning_curated"; exit 1; }
	@$(BIN)/stedi export $(TABLE) $(if $(FORMAT),--format $(FORMAT)) $(if $(OUT),--out "$(OUT)")

replay: $(RUN) ## print the quarantined lines of SOURCE=accelerometer as they landed
	@[ -n "$(SOURCE)" ] || { echo "Name a source: make replay SOURCE=accelerometer"; exit 1; }
	@$(BIN)/stedi replay $(SOURCE)

pseudonyms: $(RUN) ## print the pseudonyms of e-mail addresses, one a line until end of file
	@$(BIN)/stedi pseudonyms

demo-s3: $(TEST) history ## make every table on an S3 server on this machine
	@$(BIN)/stedi demo-s3 start

demo-s3-stop: $(TEST) ## stop that server; its data stays in .demo-s3
	@$(BIN)/stedi demo-s3 stop

spark-server: $(RUN) ## serve a JVM Spark (needs Java 17); SPARK_PORT=15002
	@$(BIN)/stedi spark-server --port $(SPARK_PORT)

# Some tests wait, for a daemon or a browser, so that it takes four processes to keep two cores busy.
# Each would compile the tests for itself if none may keep what it has compiled.
PARALLEL := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses 4 --dist worksteal
test: $(TEST) ## run the tests
	$(PARALLEL)

test-slow: $(TEST) ## run those that make whole lakehouses many times, kill them or serve them
	$(PARALLEL) -m slow

# Those of AWS need its CLI.
test-docs: $(TEST) ## run the commands of the documents, each as it stands
	$(BIN)/pytest -m commands -rs stedi_assets_tests/test_commands.py

# On a JVM Spark: the tests of engines, and those of what engines have been seen to differ on.
# They skip where there is no Java 17, or the jars cannot be fetched.
test-jvm: $(TEST) ## run the tests of engines on a JVM Spark
	STEDI_TEST_ENGINE=jvm $(BIN)/pytest -m '' -rs $(addprefix stedi_assets_tests/,test_engines.py \
		$(patsubst %,landing/test_%.py,reader reader_values reader_properties folder upload) \
		assets/test_trusted.py assets/test_curated.py checks/test_counts.py checks/test_quality.py)

# With the lakehouse on an S3 server. The tests of Spark skip as those of test-jvm do.
test-cluster: $(TEST) ## run the whole command on Spark's standalone cluster and on Sail's
	$(BIN)/pytest -m '' -rs stedi_assets_tests/test_cluster.py

# In an environment of its own. UV_TORCH_BACKEND=cpu installs PyTorch without CUDA, from its own index.
test-training: $(TRAINING)/installed ## run the tests that need PyTorch or mlcroissant
	$(TRAINING)/bin/pytest -m training stedi_assets_tests/training

# The linter of data contracts has an environment of its own, since few need it.
test-contracts: $(CONTRACT_TOOLS)/installed ## lint the data contracts
	for each in contracts/*.yaml; do $(CONTRACT_TOOLS)/bin/datacontract lint $$each || exit 1; done

lint: $(TEST) history ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dg check defs --no-check-yaml

format: $(TEST) ## put the code into style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

sql-ddl: $(RUN) ## write sql/ddl anew
	$(BIN)/stedi ddl

# What follows from the declarations outside of the package: DDL, policies, tables of the documents,
# data contracts. It fails where one breaks those who rely on it and has no higher major version.
generate: $(TEST) ## write anew what follows from the declarations
	@$(BIN)/python -m docs.generate
	@$(BIN)/stedi contract diff

# Needs Debian's chromium.
screenshots: $(TEST) ## take the pictures of the documents anew
	$(BIN)/python -m docs.screenshots

# Writes into build/benchmarks; UPDATE=1 into benchmarks, whose results are committed.
bench: bench-rivals bench-events ## measure beside Spark, DuckDB and Polars, and after an event

# One of the rivals needs Java.
bench-rivals: $(TEST) ## only beside those
	$(BIN)/python -m benchmarks.compare --scales $(SCALE) $(if $(UPDATE),--out benchmarks)

# BEFORE=../old/.venv/bin/python compares the first load with another version's.
bench-events: $(TEST) ## only after an event
	$(BIN)/python -m benchmarks.events --scales $(SCALE) $(if $(UPDATE),--out benchmarks) \
		$(if $(BEFORE),--before $(BEFORE))

# WHEEL=path compares with that one.
bench-check: $(TEST) ## compare a first load at scale 1 and 30 with the last release's
	$(BIN)/python -m benchmarks.check $(if $(WHEEL),--wheel $(WHEEL))

# What uv.lock has for those who run it, and with setuptools for the editable install.
SERVES := --no-default-groups --extra postgres --extra slack --extra sql --extra dg
EXPORT := $(BIN)/uv export --quiet --frozen
INTO := requirements

lock: $(RUN) ## after a change of setup.py: write uv.lock and requirements anew
	$(BIN)/uv lock
	@$(MAKE) --no-print-directory requirements
	echo 'datacontract-cli>=1.2.8,<2' | $(BIN)/uv pip compile - --universal \
		--python-version 3.11 --generate-hashes --no-header --output-file .ci/contracts.lock

# Each file is a group of packages, which a target has by its stamp: $(VENV)/NAME.installed.
requirements: $(RUN)
	@mkdir -p $(INTO)
	$(EXPORT) --no-header --no-emit-project --only-group uv --output-file $(INTO)/uv.txt
	$(EXPORT) --no-header --no-emit-project $(SERVES) --group build --output-file $(INTO)/run.txt
	$(EXPORT) --no-header --no-emit-project --all-extras --no-extra training --all-groups --output-file $(INTO)/test.txt

locked: $(RUN) ## fail if uv.lock and requirements are not what setup.py asks for
	$(BIN)/uv lock --check
	@$(MAKE) --no-print-directory requirements INTO=build/requirements
	diff --recursive requirements build/requirements

sbom: $(RUN) ## write build/sbom.json: CycloneDX of what runs, from uv.lock
	@mkdir -p build
	$(EXPORT) $(SERVES) --format cyclonedx1.5 --preview-features sbom-export --output-file build/sbom.json

# Known vulnerabilities of what is locked, from OSV or a snapshot of it, which RECORD=1 writes.
# In CI it fails where nothing can be looked up, unless OFFLINE=allowed.
audit: $(TEST) ## look every locked dependency up in OSV
	@$(BIN)/python .ci/audit.py $(if $(RECORD),--record) $(if $(OFFLINE),--allow-offline)

# The default lakehouse is elsewhere if the engine cannot write to this folder's path.
reset: ## remove the lakehouse and the history, not the environment
	@[ ! -x $(BIN)/stedi ] || $(BIN)/stedi reset
	rm -rf .dagster lakehouse
	@[ -z "$$STEDI_LAKEHOUSE_URI" ] || echo "The lakehouse that STEDI_LAKEHOUSE_URI names is left alone."

clean: reset ## remove the environment too, and all that is made
	rm -rf $(VENV) .demo-s3 build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## print this
	@sed -nE 's/^([a-z0-9-]+):.* ## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

$(CONTRACT_TOOLS)/installed: .ci/contracts.lock | $(RUN)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(CONTRACT_TOOLS)
	$(BIN)/uv pip install --quiet --python $(CONTRACT_TOOLS)/bin/python --require-hashes --no-deps --requirement $<
	touch $@

$(TRAINING)/installed: $(TEST)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(TRAINING)
	$(BIN)/uv pip install --quiet --python $(TRAINING)/bin/python --require-hashes --no-deps \
		--requirement requirements/test.txt
	$(BIN)/uv pip install --quiet --python $(TRAINING)/bin/python --constraint requirements/test.txt \
		--no-build-isolation --editable '.[training]'
	touch $@

# Why .venv cannot be used, which is then made anew: another Python, or this folder has moved.
WANTED := $(if $(filter file,$(origin PYTHON)),,$(PYTHON))
UNUSABLE := $(shell { [ ! -e $(VENV) ] || $(VENV)/bin/python -I .ci/environment.py check "$(WANTED)" || \
	echo its Python is gone; } 2> /dev/null)
$(VENV)/place: requirements/uv.txt $(if $(UNUSABLE),anew)
	@command -v "$(PYTHON)" > /dev/null || { echo "There is no $(PYTHON). Name a Python: make PYTHON=…"; exit 1; }
	@"$(PYTHON)" .ci/environment.py make "$(UNUSABLE)"

# By its path, since another environment may be active.
INSTALL := $(BIN)/uv pip install --python $(BIN)/python --no-deps
$(VENV)/%.installed: requirements/%.txt setup.py pyproject.toml $(VENV)/place
	$(INSTALL) --require-hashes --build-constraint $< --requirement $<
	$(INSTALL) --quiet --no-build-isolation --editable .
	@touch $@

history: stedi_assets/dagster.yaml
	@mkdir -p -m 700 "$(DAGSTER_HOME)"
	@cmp -s $< "$(DAGSTER_HOME)/dagster.yaml" || { cp $< "$(DAGSTER_HOME)/new.$$$$" && \
		mv "$(DAGSTER_HOME)/new.$$$$" "$(DAGSTER_HOME)/dagster.yaml"; } # whole, also for another that starts now
