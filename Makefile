# Set-up and the everyday commands. Every target makes the environment first.
PYTHON ?= python3.11
VENV := .venv
INSTALLED := $(VENV)/.installed
NEWEST_DAGSTER := build/newest-dagster

.PHONY: demo test test-newest-dagster ui lint screenshots clean-data

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[raw,test]'
	touch $@

demo: $(INSTALLED) ## the whole lineage on a drawn photo library
	$(VENV)/bin/photolineage demo

test: $(INSTALLED) ## every test, a file at a time on each core
	$(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile

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

clean-data: ## forget everything under data/: the demo, and the catalog and embeddings of your own photos there
	rm -rf data
