# Each target does its own set-up: a fresh machine needs python3 (with venv) and make, nothing before.
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: demo test machine peers unit check sync docs bench fuzz clean

demo: $(VENV)/.installed
	@$(VENV)/bin/bacalhau demo

# The machine's packages come while Python's do, and other people's programs during the checks; three tests at a time,
# for most of them wait most of the time.
test: | $(VENV)/bin/python
	@$(MAKE) --no-print-directory -j 2 machine $(VENV)/.tools
	@$(MAKE) --no-print-directory -j 2 peers check docs
	@$(PY) -m pytest -n 3 -p tests.support.workers tests --ignore=tests/house

machine: | $(VENV)/bin/python
	@$(PY) -m tests.support.machine

peers: $(VENV)/.tools
	@$(PY) -m tests.support.peers

unit: $(VENV)/.tools
	@$(PY) -m pytest tests/unit

check: $(VENV)/.tools
	@$(VENV)/bin/ruff check src tests benchmarks docs
	@$(VENV)/bin/ruff format --check -q src tests benchmarks docs
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(PY) -m pytest tests/house

# The verbs of the client without `await`, from those of the asynchronous one.
sync: $(VENV)/.tools
	@$(PY) -m tests.support.sync_verbs

# The site stands in build/site; open build/site/index.html. Warnings are errors.
docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --clean

# ONLY=placement,polling measures these parts alone; a name that is not known lists those that are.
bench: $(VENV)/.tools
	@$(PY) -m benchmarks $(ONLY)

# Goes on for SECONDS; DOOR=nodes SEED=7 begins at that door with that seed, to see again what was found.
SECONDS := 600
fuzz: $(VENV)/.tools
	@$(PY) -m tests.fuzz $(SECONDS) $(if $(DOOR),--door $(DOOR)) $(if $(SEED),--seed $(SEED))

clean:
	rm -rf $(VENV) .cache build

$(VENV)/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bacalhau needs Python 3.11 or newer; python3 is $$(python3 --version)"; exit 1; }
	@python3 -m venv $(VENV) || { rm -rf $(VENV); echo "python3 cannot make virtual environments: apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing bacalhau into $(VENV) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.tools: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the tools of tests and checks ..."
	@$(PY) -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/.docs: requirements-docs.txt $(VENV)/.tools
	@echo "Installing the tools of the documentation ..."
	@$(PY) -m pip install -q --disable-pip-version-check -r requirements-docs.txt
	@touch $@
