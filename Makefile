# cmhkit: `make lab` opens the course, `make test` proves that it still says what it said. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help lab test check mutants portable notebooks measure report bench bench-full browser clean setup-lab setup-test setup-browser setup-bench

# PYTHON=python3.12 names another Python, VENV=folder another environment, LAB_ARGS=... goes to JupyterLab, TORCH_INDEX: see tools/setup_venv.py
# MUTANTS="data rest:3" names lists of tests/mutants, or entries of them; PORTABLE="01 avx2" names lessons and machines
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$name; break; fi; done)
endif
VENV ?= .venv
LAB_ARGS ?=
MUTANTS ?=
PORTABLE ?=
export VENV
BIN := $(VENV)/bin
START := notebooks/00_start_here.ipynb

# Two BLAS threads on a busy two-core machine can be ten times slower than one.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
SETUP = @test -n "$(PYTHON)" || { echo "set-up: no Python 3.11 or newer was found (python3, python3.11 to python3.14). Install one, or name it: make lab PYTHON=/path/to/python3" >&2; exit 1; }; "$(PYTHON)" tools/setup_venv.py

STYLE = echo "== style"; "$(BIN)/ruff" check . && "$(BIN)/ruff" format --check .
# A worker a core; each runs at most one notebook at a time, of up to 900 MB.
WORKERS = -n auto --maxprocesses 4 --dist worksteal

help: ## this list
	@echo "cmhkit, a teaching kit for deep cross-modal hashing"; echo
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

lab: setup-lab ## set up, check the machine and open JupyterLab on the first notebook (headless: LAB_ARGS=--no-browser)
	@checked="$(VENV)/.checked"; \
	if [ -z "$$(find "$$checked" -newer "$(VENV)/.installed.json" -mtime -7 2>/dev/null)" ]; then \
	  "$(BIN)/cmhkit" doctor; touch "$$checked"; \
	else echo "This machine was checked not long ago; $(BIN)/cmhkit doctor looks again."; fi
	@options=(); \
	if [ "$$(id -u)" = 0 ]; then options+=(--allow-root); fi; \
	if [ "$$(uname)" = Linux ] && [ -z "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}$${BROWSER:-}" ]; then options+=(--no-browser); fi; \
	grep -qs apputils-extension:announcements "$(VENV)/etc/jupyter/labconfig/page_config.json" || "$(BIN)/jupyter" labextension disable --level=sys_prefix "@jupyterlab/apputils-extension:announcements" >/dev/null 2>&1 || true; \
	trusted="$(VENV)/.trusted"; \
	if [ ! -f "$$trusted" ] || [ -n "$$(find notebooks/[0-9]*.ipynb -newer "$$trusted" 2>/dev/null)" ]; then \
	  "$(BIN)/jupyter" trust notebooks/[0-9]*.ipynb >/dev/null 2>&1 && touch "$$trusted" || true; fi; \
	page=/lab; if [ -f $(START) ]; then page=/lab/tree/$(START); fi; \
	echo "JupyterLab starts; open the address it prints below. Stop it with Ctrl-C."; \
	exec "$(BIN)/jupyter" lab "$${options[@]}" --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url="$$page" \
	  --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate $(LAB_ARGS)

test: setup-test ## set up, then style, unit tests and every notebook (nbval and papermill); twelve to thirteen minutes
	@$(STYLE)
	@echo "== unit tests and notebooks"; "$(BIN)/python" -m pytest $(WORKERS) tests/notebooks tests/unit

check: setup-test ## style and the quick tests, under a minute
	@$(STYLE)
	@echo "== quick tests"; "$(BIN)/python" -m pytest $(WORKERS) -m "not slow" tests/unit

mutants: setup-test ## break the kit in small ways, one at a time, and see that the tests notice each (half an hour)
	@$(ONE_THREAD) "$(BIN)/python" tools/mutants.py $(MUTANTS)

notebooks: setup-test ## build and execute the notebooks from notebooks/src
	@$(ONE_THREAD) "$(BIN)/python" tools/notebooks.py build

measure: setup-test ## time and memory of each notebook, written into README.md
	@$(ONE_THREAD) "$(BIN)/python" tools/notebooks.py measure

report: setup-test ## the built notebooks as pages to read without running: out/report/index.html
	@$(ONE_THREAD) "$(BIN)/python" tools/report.py

bench: setup-bench ## speed and memory beside what a user would run instead, written to bench/RESULTS.md (minutes)
	@$(ONE_THREAD) "$(BIN)/python" -m bench.speed
	@$(ONE_THREAD) "$(BIN)/python" -m bench.growth
	@$(ONE_THREAD) "$(BIN)/python" -m bench.fits

bench-full: setup-bench ## the same at every size, then what the methods retrieve (an hour or more)
	@$(ONE_THREAD) "$(BIN)/python" -m bench.speed --full
	@$(ONE_THREAD) "$(BIN)/python" -m bench.growth --full
	@$(ONE_THREAD) "$(BIN)/python" -m bench.fits --seeds 5
	@$(ONE_THREAD) "$(BIN)/python" -m bench

browser: setup-browser ## the tests that move widgets in a real browser (needs chromium)
	@"$(BIN)/python" -m pytest tests/browser

portable: setup-test ## every lesson strictly as other machines run it: no AVX-512, two threads, the newest packages (half an hour)
	@"$(BIN)/python" tools/portable.py $(PORTABLE)

clean: ## remove the environment and what the tools left behind
	rm -rf "$(VENV)" .venv-newest .pytest_cache .ruff_cache .hypothesis build dist out notebooks/runs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-lab:
	$(SETUP) lab database

setup-test:
	$(SETUP) lab test faiss photos database words

setup-bench:
	$(SETUP) lab test faiss bench database

setup-browser:
	$(SETUP) lab test browser faiss photos database words
