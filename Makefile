# make reproduce   environment, then the default scale      make test   environment, then the tests
# make smoke       environment, then the smallest full run   make help   the rest

PYTHON ?= python3
VENV ?= .venv
# Which torch: a CPU build by default; for a GPU give e.g. TORCH_ARGS="torch==2.13.0 --index-url <your CUDA index>".
TORCH_ARGS ?= torch==2.13.0
CORES ?= all

BIN := $(VENV)/bin
# One run at a time per checkout: the lock ends with the process that holds it, however that ends, so a stale Snakemake
# lock found under it is from a dead run and may go.
RUN := flock --nonblock --conflict-exit-code 75 .run.lock env PATH="$(abspath $(BIN)):$$PATH" sh -c
SNAKEMAKE := snakemake --cores $(CORES)

.DEFAULT_GOAL := help
.PHONY: help env reproduce smoke test bench readme record pull lint

help:
	@sed -n '1,2p' Makefile
	@echo "# make record      dvc repro: run what changed and write dvc.lock     make pull    dvc pull, then mark files as up to date"
	@echo "# make bench       encoder benchmark to results/bench/                make lint    formatters, linters, import rules"

env: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_ARGS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

reproduce: env
	$(RUN) '$(SNAKEMAKE) --unlock --quiet all && $(SNAKEMAKE)'

smoke: env
	$(RUN) '$(SNAKEMAKE) --configfile workflow/scales/smoke.yaml --unlock --quiet all && \
	        $(SNAKEMAKE) --configfile workflow/scales/smoke.yaml'

test: env
	$(BIN)/python -m pytest

bench: env
	$(BIN)/uscl-med3d bench

readme: env
	$(BIN)/uscl-med3d readme

record: env
	$(RUN) 'dvc repro'

pull: env
	$(RUN) 'dvc pull && $(SNAKEMAKE) --touch --forceall --quiet all'

lint: env
	$(BIN)/ruff check src tests && $(BIN)/ruff format --check src tests && $(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/lint-imports
	# Advice only: it asks for a conda environment per rule, but all rules share the one that `make env` makes.
	-PATH="$(abspath $(BIN)):$$PATH" snakemake --lint
