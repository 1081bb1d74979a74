# make train and make test need Python 3.11 to 3.13, make and a package registry, nothing else.
PYTHON ?= python3
BIN := .venv/bin
# One thread is as fast as two on these small batches, and leaves the other cores to other runs.
export OMP_NUM_THREADS ?= 1
DATA ?= null
# What the tests need. Chromium's driver (browser) and Kaggle's downloads (kaggle) are not among them.
EXTRAS := app,dashboard,heif,joblib,mlflow,onnx,optuna,slurm,tensorboard,umap
# yuface has no wheel for a later Python.
ifeq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info.minor)'),11)
EXTRAS := $(EXTRAS),detect
endif

NEXT := .cache/next/bin/python
SITE := 'import site; print(site.getsitepackages()[0])'

.DEFAULT_GOAL := help
.PHONY: help install train pretrained audit paper-tables figures test test-long test-next test-browser test-real test-kill test-slurm attack fuzz bench bench-gpu lint format clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(BIN)/.installed  ## Set up .venv at the exact versions of constraints.txt; TORCH=cpu without CUDA's libraries

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	$(BIN)/python -m pip install --quiet $$(sed -nE 's/^torch(vision)?==.*/&+cpu/p' constraints.txt) || { echo "error: no \
	index of pip has this CPU build: PIP_EXTRA_INDEX_URL=ADDRESS make install TORCH=cpu, with the address for CPU \
	that PyTorch's page on installation shows"; exit 1; }
endif
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,$(EXTRAS)]'
	touch $@

train: install  ## Train and test on synthetic faces, in two minutes
	$(BIN)/python train.py experiment=quickstart

pretrained: install  ## Make the package's own network from RUN=<folder of a run>, whose faces must be there
	$(BIN)/python -m fer_lightning stress $(RUN) limit=1500 $(OPTIONS)
	rm -rf build/pretrained
	$(BIN)/python -m fer_lightning export $(RUN) output=build/pretrained gallery=kmeans gallery.size=3500 half=true $(OPTIONS)
	rm -rf fer_lightning/pretrained
	mv build/pretrained fer_lightning/

audit: install  ## Look at the faces of DATA=<folder, zip or csv> before anything is trained
	$(BIN)/python -m fer_lightning audit data.root=$(DATA)

paper-tables: install  ## Run the paper's tables 4 and 6 on DATA, honest and leaky; hours on a CPU (OPTIONS="..." to shorten)
	$(BIN)/python train.py experiment=paper_table4 data.root=$(DATA) hydra.sweep.dir=logs/paper_tables/table4 $(OPTIONS)
	$(BIN)/python train.py experiment=paper_table6 data.root=$(DATA) hydra.sweep.dir=logs/paper_tables/table6 $(OPTIONS)
	$(BIN)/python -m fer_lightning tables logs/paper_tables

figures: install  ## Draw the figures of the documents from synthetic faces; needs Chromium, 5 minutes
	$(BIN)/python docs/figures/make.py

test: install  ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
		-m "not long and not real_faces and not browser and not kill and not slurm and not attack"

test-long: install  ## Run the tests that need a minute or processes of their own
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m long

test-next: install  ## Run the tests on Hydra 1.4, OmegaConf 2.4 and its launchers, in .cache/next on top of .venv
	$(PYTHON) -m venv .cache/next
	$(NEXT) -m pip install --quiet --pre 'hydra-core==1.4.*' 'omegaconf==2.4.*' 'hydra-joblib-launcher==1.4.*' \
		'hydra-submitit-launcher==1.4.*' || { echo "error: no index of pip has Hydra 1.4 and OmegaConf 2.4"; exit 1; }
	$(BIN)/python -c $(SITE) > $$($(NEXT) -c $(SITE))/z.pth
	$(NEXT) -m pytest -m "not long and not real_faces and not browser and not kill and not slurm and not attack"

test-browser: install  ## Open the pages in headless Chromium (Debian: apt install chromium)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[browser]'
	$(BIN)/python -m pytest -m browser

test-real: install  ## Run the tests that need the real faces (skipped where they are absent)
	$(BIN)/python -m pytest -m real_faces

test-kill: install  ## Kill a training at 50 random moments and go on each time; 6 minutes
	$(BIN)/python -m pytest -m kill

test-slurm: install  ## Run sweeps and preemptions on a Slurm that it sets up here (as root on Debian); 5 minutes
	tests/slurm/start > /dev/null
	SLURM_CONF=$$(tests/slurm/start | sed 's/.*=//') $(BIN)/python -m pytest -m slurm; code=$$?; tests/slurm/stop; exit $$code

attack: install  ## Attack values, models, media, remedies, signals, names, folders and resume; prints tried / right / wrong
	$(BIN)/python -m pytest -n 2 --dist loadfile -m attack tests/bad

fuzz: install  ## Try 2,000 random inputs on every reader and on the command line; minutes
	FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest -m fuzz

bench: install  ## Measure every claim about speed, by ratios, and write docs/results/speed.md; 17 to 20 minutes, FER_DATA=... for real faces
	$(BIN)/python benchmarks

bench-gpu: install  ## Measure what needs a GPU; without one, or with DEVICE=cpu, a dry run of a few steps
	$(BIN)/python benchmarks/gpu.py $(DEVICE)

lint: install  ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Delete .venv, caches and build files; logs/ stays
	rm -rf .venv .cache .pytest_cache .ruff_cache .mypy_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
