# Everything a contributor does. `make demo` and `make test` need Python 3.11+ and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO_STORE := $(or $(SWEEPER_STORE),sqlite:///demo-out/sweeper.db)

.PHONY: help install demo test chaos bench check format secrets clean

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
# Ray's tests come one after the other and leave processors idle: tests without processes or clocks of their own
# run beside them, and give way.
BESIDE := tests/experiment tests/lab tests/optimizers tests/search tests/training

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not ray" $(addprefix --ignore=,$(BESIDE))
	said=$$(mktemp); nice -n 19 $(BIN)/python -m pytest -m "not ray" $(BESIDE) > $$said 2>&1 & beside=$$!; \
	$(BIN)/python -m pytest -m ray; ray=$$?; \
	wait $$beside; beside=$$?; cat $$said; rm $$said; test $$ray -eq 0 && test $$beside -eq 0
endif

chaos: $(INSTALLED)  ## hundreds of kills on SQLite and PostgreSQL, about 40 minutes; CHAOS_ARGS='--inline 50' for fewer
	PYTHONPATH=tests $(BIN)/python -m chaos.long $(CHAOS_ARGS)

# One after the other, on an otherwise idle machine: what they print is quoted in docs/performance.md.
BENCH := startup overhead training scale reading efficiency time_to_loss

bench: $(INSTALLED)  ## what Sweeper costs, beside Ray Tune and plain loops, in bench-out/; BENCH='startup' for one
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	mkdir -p bench-out
	for name in $(BENCH); do $(BIN)/python benchmarks/$$name.py --json bench-out/$$name.json || exit 1; done

check: $(INSTALLED)  ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Containers read them as other users, so the directory keeps everyone else of this machine out.
secrets:  ## the tokens and the passwords that docker-compose.yml wants, in secrets/; what is there stays
	mkdir -p secrets && chmod 700 secrets
	for name in ray_token pg_password grafana_password page_password page_token; do \
		test -s secrets/$$name || { \
			rm -f secrets/.$$name && head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > secrets/.$$name \
			&& chmod 444 secrets/.$$name && mv -f secrets/.$$name secrets/$$name; \
		} || exit 1; \
	done

clean:  ## remove what the others made
	rm -rf $(VENV) demo-out bench-out .mypy_cache .ruff_cache .pytest_cache
