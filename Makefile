# make demo        environment, then a first look in a minute: a simulated sweep, three clicks, a page
# make reproduce   environment, then the default scale      make test   environment, then the tests
# make smoke       environment, then the smallest full run   make help   the rest

PYTHON ?= python3
VENV ?= .venv
# Which torch: the CPU build of PyTorch's own index, or pip's own index where that cannot be reached. For a GPU give
# e.g. TORCH_ARGS="torch==2.13.0 --index-url <your CUDA index>".
TORCH_ARGS ?= torch==2.13.0 --extra-index-url https://download.pytorch.org/whl/cpu --timeout 30 --retries 1
CORES ?= all
# Dice points by which a table made on another machine may differ (make verify); on the same machine 0 holds.
TOLERANCE ?= 1.0

BIN := $(VENV)/bin
# One run at a time per checkout, so a Snakemake lock found under it is from a dead run and may go.
RUN := PATH="$(abspath $(BIN)):$$PATH" workflow/alone sh -c
SNAKEMAKE := snakemake --cores $(CORES)
# One line per stage; VERBOSE=1 for Snakemake's own output, which is in .snakemake/log in any case.
SHOWN := $(if $(VERBOSE),,--logger stages)

.DEFAULT_GOAL := help
.PHONY: help env demo pictures docs reproduce smoke test test-contract test-full test-clients test-napari bench readme record pull lock lint regenerate verify audit

help:
	@sed -n '1,3p' Makefile
	@echo "# make record      dvc repro: run what changed and write dvc.lock     make pull    dvc pull, then mark files as up to date"
	@echo "# make regenerate  tables and curves again from scores, byte for byte; make verify FOLDER=new  all of it again elsewhere"
	@echo "# make audit       do results, parameters and dvc.lock agree?         make test-contract  the attacks (docs/contract.md)"
	@echo "# make test-full   the scale paper at full size: 128^3, ViT-B, 20 minutes, 12 GB of memory, 10 GB of disk"
	@echo "# make test-clients, make test-napari: the server against clients    make pictures  those of README.md"
	@echo "# make bench       benchmarks to results/bench/                        make lint    style, import rules, types"

env: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_ARGS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

reproduce: env
	$(RUN) '$(SNAKEMAKE) --unlock --quiet all && $(SNAKEMAKE) $(SHOWN)'

smoke: env
	$(RUN) '$(SNAKEMAKE) --configfile workflow/scales/smoke.yaml --unlock --quiet all && \
	        $(SNAKEMAKE) --configfile workflow/scales/smoke.yaml $(SHOWN)'

# A first look in a minute, without training: demo/demo.html.
demo: env
	$(BIN)/uscl-med3d demo --out demo

# The pictures of README.md again, from the demo: with other shipped weights they change.
pictures: env
	$(BIN)/uscl-med3d demo --out demo --no-open --pictures docs/images

# One process per core, each with one thread for torch.
test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test-contract: env
	$(BIN)/python -m pytest -m contract tests/workflow/contract

# The scale `paper` with networks and crops of full size and official files of random weights (docs/official.md).
test-full: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m full tests/workflow/full

# The server against the oldest client that the documentation names and against the newest, each in a folder of its own.
test-clients: env
	for version in "==2.5.1" ">=2.6,<3"; do \
	    folder=".clients/$$(echo "$$version" | tr -dc '0-9.')" && rm -rf "$$folder" && \
	    $(BIN)/python -m pip install --quiet --no-deps --target "$$folder" "nninteractive-client$$version" && \
	    CLIENT_WANTED="$$version" PYTHONPATH="$$folder" $(BIN)/python -m pytest tests/unit/view/test_protocol.py || exit 1; \
	done

# napari and its plugin (1.3 GB) as a client, on a screen that is not there (needs xvfb-run).
test-napari: env
	test -x .clients/napari/bin/python || { $(PYTHON) -m venv .clients/napari && \
	    .clients/napari/bin/pip install --quiet "napari[pyqt6]" "napari-nninteractive>=2.5,<3"; }
	NAPARI_PYTHON="$(abspath .clients/napari/bin/python)" $(BIN)/python -m pytest -rs tests/unit/view/test_napari.py

# Tables and curves again from per-case scores, without torch: the same bytes?
regenerate: env
	$(BIN)/uscl-med3d regenerate
	@test ! -d results/usgra || $(BIN)/uscl-med3d regenerate --scale usgra

# Do the results, their parameters and dvc.lock belong together?
audit: env
	$(BIN)/uscl-med3d audit

# The default scale again, in a fresh clone in FOLDER; its tables against the committed ones.
verify: env
	@test -n "$(FOLDER)" || { echo "say where: make verify FOLDER=/path/to/a/new/folder [TOLERANCE=$(TOLERANCE)]"; exit 2; }
	git clone --quiet . "$(FOLDER)" && mkdir "$(FOLDER)/committed"
	git archive HEAD results/phantom/tables results/phantom/receipts | tar -x --strip-components 2 -C "$(FOLDER)/committed"
	cd "$(FOLDER)" && PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=src workflow/alone $(SNAKEMAKE) --forceall
	$(BIN)/uscl-med3d compare "$(FOLDER)/committed/tables" "$(FOLDER)/results/phantom/tables" --tolerance $(TOLERANCE)

bench: env
	$(BIN)/uscl-med3d bench
	$(BIN)/uscl-med3d bench --fastsam3d
	$(BIN)/uscl-med3d bench --ingest
	$(BIN)/uscl-med3d bench --view

readme: env
	$(BIN)/uscl-med3d readme

record: env
	$(RUN) '$(SNAKEMAKE) --unlock --quiet all && dvc repro'

pull: env
	$(RUN) 'dvc pull && $(SNAKEMAKE) --touch --forceall --quiet all'

# The documentation as a site, without network: site/index.html.
docs: env
	$(BIN)/mkdocs build --strict --quiet

# The lock again after a change of dependencies; versions already in it stay (lock.toml says how).
lock:
	uv pip compile pyproject.toml --config-file lock.toml --all-extras --quiet --output-file requirements.lock

lint: env
	$(BIN)/ruff check src tests && $(BIN)/ruff format --check src tests && $(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/lint-imports
	$(BIN)/mypy
	# Advice only: it asks for a conda environment per rule, but all rules share the one that `make env` makes.
	-PATH="$(abspath $(BIN)):$$PATH" snakemake --lint
