# Everything a contributor does. `make demo` and `make test` need Python 3.11+ and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STORE ?= $(or $(SWEEPER_STORE),sqlite:///demo-out/sweeper.db)

.PHONY: demo test check format clean

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(STAMP)  ## a real small sweep over six optimizers, on generated images
	mkdir -p demo-out
	$(BIN)/sweeper run experiments/quickstart.toml --store '$(STORE)' --name quickstart-$$(date +%Y%m%d-%H%M%S)

test: $(STAMP)  ## all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(STAMP)  ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo-out .mypy_cache .ruff_cache .pytest_cache
