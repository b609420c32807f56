# Set-up and the everyday commands. Every target makes the environment first.
PYTHON ?= python3.11
VENV := .venv
NEWEST_DAGSTER := build/newest-dagster
INSTALLED := $(VENV)/.installed

# A file at a time on each worker. Tests also wait for other processes, so there are more workers than cores. One
# thread each is fastest: the models are tiny.
TEST_WORKERS ?= $(shell expr 2 '*' $$(nproc))
PYTEST = OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest \
	--numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-quick test-all test-newest-dagster ui lint screenshots

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[raw,test]'
	touch $@

demo: $(INSTALLED) ## the whole lineage on a drawn photo library
	$(VENV)/bin/photolineage demo

test: $(INSTALLED) ## every test but the heavy ones
	$(PYTEST) -m "not heavy"

test-quick: $(INSTALLED) ## the tests that take three minutes together: after each change
	$(PYTEST) -m "not heavy and not slow"

test-all: $(INSTALLED) ## every test, as continuous integration runs them
	$(PYTEST)

test-newest-dagster: ## the tests that go through Dagster, with its newest release, in an environment of their own
	$(PYTHON) -m venv --clear $(NEWEST_DAGSTER)
	grep -v '^dagster' constraints.txt >$(NEWEST_DAGSTER)/constraints.txt
	$(NEWEST_DAGSTER)/bin/python -m pip install --quiet --upgrade pip
	$(NEWEST_DAGSTER)/bin/python -m pip install --quiet --constraint $(NEWEST_DAGSTER)/constraints.txt --editable '.[raw,test]'
	$(NEWEST_DAGSTER)/bin/python -m pip install --quiet --upgrade dagster dagster-webserver # whatever pyproject.toml allows
	$(NEWEST_DAGSTER)/bin/python -c 'import dagster; print("Dagster", dagster.__version__)'
	$(NEWEST_DAGSTER)/bin/python -m pytest tests/orchestration tests/assets tests/integration

ui: $(INSTALLED) ## the Dagster UI on the demo's instance
	$(VENV)/bin/photolineage ui

lint: $(INSTALLED) ## format, lint, types, layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

screenshots: $(INSTALLED) ## the pictures of the documentation, as the browser tests see them now
	PHOTOLINEAGE_SCREENSHOTS=docs/images $(VENV)/bin/python -m pytest tests/browser
