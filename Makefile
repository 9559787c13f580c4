# When Pruning Works. `make` lists the targets.
# Every target that needs the environment makes it first; repeated calls do nothing.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The interpreter that makes .venv: Python 3.11, else python3 (3.12 and 3.13 also do).
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
PROFILE ?= default
FILE ?= results-$(basename $(notdir $(PROFILE))).zip
PYTEST_ARGS ?=
# Where the runs run: local, slurm, …; the GPUs of each machine there; options of Snakemake's own.
EXECUTOR ?= local
GPUS ?= 0
SNAKEMAKE_ARGS ?=

VENV_PYTHON := .venv/bin/python
PYTEST := $(VENV_PYTHON) -m pytest
# One worker for each core; whoever is idle takes over what is left.
WORKERS ?= auto
# Two runs side by side with default threads are many times slower than with one each.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: help setup book pdf picture plan status smoke export import forget-imports tables test test-slow \
	test-slurm test-gpu test-browser test-colab bench course grade slides lint format lock \
	clean distclean

help: ## List the targets
	@echo "Usage: make TARGET [PROFILE=default|smoke|published|paper|PATH.yaml] [PYTHON=python3.11]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Make .venv from the lock, or bring it up to date
	@$(PYTHON) workflow/setup.py

book: setup ## Run the chapters and build the site in _build/html (PROFILE=default)
	@$(VENV_PYTHON) workflow/build.py --profile "$(PROFILE)" --from "$(PWD)" \
		--executor $(EXECUTOR) --gpus $(GPUS) -- $(SNAKEMAKE_ARGS)

pdf: setup ## Print the built site as one PDF, in its folder (Chromium; PROFILE=default)
	@cd "$(CURDIR)" && PYTHONPATH=src:workflow $(VENV_PYTHON) -m pages.pdf --profile "$(PROFILE)"

picture: ## Draw the README's picture anew
	@PYTHONPATH=src:workflow $(VENV_PYTHON) -m pages.picture

plan: setup ## Say what each run will take, before anything runs (MACHINE=a100: elsewhere)
	@PYTHONPATH=src $(VENV_PYTHON) -m runs plan $(PROFILE) $(if $(MACHINE),--machine $(MACHINE))

status: setup ## Say what became of each run (PROFILE=default)
	@PYTHONPATH=src $(VENV_PYTHON) -m runs status $(PROFILE)

smoke: setup ## Build the book with the smallest parameters
	@$(VENV_PYTHON) workflow/build.py --profile smoke

export: setup ## Pack the tables and manifests of a profile's runs (FILE=results-PROFILE.zip)
	@$(VENV_PYTHON) -m runs export "$(PROFILE)" "$(FILE)"

import: setup ## Take in results that somebody else has packed (FILE=…)
	@$(VENV_PYTHON) -m runs import "$(FILE)"

forget-imports: setup ## Remove all results that were imported
	@$(VENV_PYTHON) -m runs forget-imports

tables: setup ## Write all results as one data set, results/tables/*.parquet
	@$(VENV_PYTHON) -m runs tables

test: setup ## Run the tests, without the slow, GPU and browser ones
	@$(ONE_THREAD) $(PYTEST) -n $(WORKERS) --dist worksteal -m "not slow and not slurm and not gpu and not browser and not colab" $(PYTEST_ARGS)

test-slow: setup ## Run the slow tests
	@$(ONE_THREAD) $(PYTEST) -m "slow and not slurm and not gpu and not browser and not colab" $(PYTEST_ARGS)

test-slurm: setup ## Run the smoke book on a Slurm that starts here (root, slurm-wlm, munge)
	@$(ONE_THREAD) $(PYTEST) -m slurm tests/slurm $(PYTEST_ARGS)

test-gpu: setup ## Run the tests that need a GPU
	@$(PYTEST) -m gpu $(PYTEST_ARGS)

test-browser: setup ## Look at the built site in Chromium (build the book first)
	@$(ONE_THREAD) $(PYTEST) -m browser tests/ $(PYTEST_ARGS)

test-colab: setup ## Run a chapter as on Colab (Python 3.12; several GB; COLAB_PYTHON, COLAB_ENV)
	@$(ONE_THREAD) $(PYTEST) -m colab tests/test_colab.py --timeout 3600 $(PYTEST_ARGS)

course: setup ## Write the course's notebooks, students' and teachers', into build/course
	@$(VENV_PYTHON) -m course $(PAGES)

grade: setup ## Grade the notebooks in SUBMISSIONS=folder (LAB=lab1: all are of that lab)
	@test -d "$(SUBMISSIONS)" || { echo "say which folder: make grade SUBMISSIONS=folder" >&2; exit 2; }
	@$(VENV_PYTHON) -m course.grading "$(SUBMISSIONS)" $(if $(LAB),--lab $(LAB))

slides: setup ## Write the lesson's slides, build/slides/lesson.html
	@$(VENV_PYTHON) workflow/slides.py

bench: setup ## Run the benchmarks, write build/bench.json (SUITE=generation: one of them)
	@$(VENV_PYTHON) -m benchmarks $(SUITE)

lint: setup ## Check style, formatting and types
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy

format: setup ## Format the code and apply the safe fixes
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

# Frozen from a fresh environment; build tags (+cpu) and the packages that only a CUDA
# build of torch brings are left out, so that the lock serves every machine.
lock: ## Make requirements/lock.txt again from requirements/direct.txt
	@echo "Installing requirements/direct.txt into build/lock; details in build/lock.log"
	@rm -rf build/lock && mkdir -p build && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --no-input -r requirements/direct.txt \
		> build/lock.log 2>&1 || { tail -n 20 build/lock.log >&2; exit 1; }
	@build/lock/bin/python -m pip freeze --all --exclude pip 2>> build/lock.log > build/lock.raw
	@! grep -nE ' @ |^-e ' build/lock.raw || { echo "lock: a package has no plain version" >&2; exit 1; }
	@{ echo "# Made by \`make lock\` from direct.txt. Do not edit."; \
		sed -E -e 's/\+[^ ;]*$$//' -e '/^(nvidia|cuda|triton)[-_=]/d' build/lock.raw; } > build/lock.txt
	@mv build/lock.txt requirements/lock.txt && rm -rf build/lock build/lock.raw
	@echo "Wrote requirements/lock.txt; look at the difference before you commit it."

clean: ## Remove what runs made: _build, build and results (keeps .venv and the model cache)
	rm -rf _build build results

distclean: clean ## Also remove .venv and the tools' caches (keeps the model cache)
	rm -rf .venv .venv-setup.log .pytest_cache .ruff_cache .mypy_cache .hypothesis
