# Set-up and everyday commands. Every target first makes the environment.
PYTHON ?= python3.11
VENV := .venv
NEWEST_DAGSTER := build/newest-dagster
INSTALLED := $(VENV)/.installed

# Each worker runs one file at a time. Tests also wait for other processes, so there are two workers per core. One
# thread per worker is fastest, because the models are tiny.
TEST_WORKERS ?= $(shell expr 2 '*' $$(nproc))
PYTEST = OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest \
	--numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-quick test-all test-newest-dagster ui lint licences screenshots

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[raw,jxl,test]'
	touch $@

demo: $(INSTALLED) ## run the whole lineage on a drawn photo library
	$(VENV)/bin/photolineage demo

test: $(INSTALLED) ## run all tests except the heavy ones, like continuous integration
	$(PYTEST) -m "not heavy"

test-quick: $(INSTALLED) ## run the fast tests (SLOW in tests/heavy_and_slow.py lists the others), in three minutes
	$(PYTEST) -m "not heavy and not slow"

test-all: $(INSTALLED) ## run all tests, as before a release
	$(PYTEST)

test-newest-dagster: ## run the tests of three folders with the newest Dagster, in a separate environment
	$(PYTHON) -m venv --clear $(NEWEST_DAGSTER)
	grep -v '^dagster' constraints.txt >$(NEWEST_DAGSTER)/constraints.txt
	$(NEWEST_DAGSTER)/bin/python -m pip install --quiet --upgrade pip
	$(NEWEST_DAGSTER)/bin/python -m pip install --quiet --constraint $(NEWEST_DAGSTER)/constraints.txt --editable '.[raw,jxl,test]'
	$(NEWEST_DAGSTER)/bin/python -m pip install --quiet --upgrade dagster dagster-webserver # also beyond pyproject.toml's bound
	$(NEWEST_DAGSTER)/bin/python -c 'import dagster; print("Dagster", dagster.__version__)'
	$(NEWEST_DAGSTER)/bin/python -m pytest tests/orchestration tests/assets tests/integration

ui: $(INSTALLED) ## start the Dagster UI
	$(VENV)/bin/photolineage ui

lint: $(INSTALLED) ## check format, lint, types and layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

licences: $(INSTALLED) ## list the licences of the installed packages in docs/licences.csv
	$(VENV)/bin/pip-licenses --from=mixed --with-urls --ignore-packages photolineage timezonefinder timezonefinder-data \
		--format=csv --output-file=docs/licences.csv

screenshots: $(INSTALLED) ## take the screenshots of the documentation again, with the browser tests
	PHOTOLINEAGE_SCREENSHOTS=docs/images $(VENV)/bin/python -m pytest tests/browser
