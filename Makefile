# Everything a contributor does. `make demo` and `make test` need Python 3.11+ and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO_STORE := $(or $(SWEEPER_STORE),sqlite:///demo-out/sweeper.db)

.PHONY: help install demo test chaos check format clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

install: $(INSTALLED)  ## the virtual environment

demo: $(INSTALLED)  ## a real small sweep: six optimizers on generated images
	mkdir -p demo-out
	name=quickstart-$$(date +%Y%m%d-%H%M%S); $(BIN)/sweeper run experiments/quickstart.toml \
		--store '$(DEMO_STORE)' --name $$name --report demo-out/$$name.html \
		&& echo "The report: $$PWD/demo-out/$$name.html (open it in a browser)"

# One thread each, as workers have: several processes of several threads would wait for each other.
test: export OMP_NUM_THREADS = 1

ifdef PYTEST_ARGS
test: $(INSTALLED)  ## all tests; PYTEST_ARGS='-m "not slow"' for fewer
	$(BIN)/python -m pytest $(PYTEST_ARGS)
else
test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not ray"
	$(BIN)/python -m pytest -m ray  # Ray's workers take the processors themselves
endif

chaos: $(INSTALLED)  ## hundreds of kills on SQLite and PostgreSQL, about 40 minutes; CHAOS_ARGS='--inline 50' for fewer
	PYTHONPATH=tests $(BIN)/python -m chaos.long $(CHAOS_ARGS)

check: $(INSTALLED)  ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what the others made
	rm -rf $(VENV) demo-out .mypy_cache .ruff_cache .pytest_cache
