# One command per task. `make` alone lists them.

VENV ?= .venv
BIN := $(VENV)/bin
CHROME ?= chromium
PORT ?= 8501
# Pinned, so that the same pyproject.toml gives the same lock file.
LOCK_TOOL := uv==0.13.9

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo app test lint browser verify bench drawn picture pictures lock python clean

help:  ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 20

# The first interpreter that can build the environment: your PYTHON=..., else python3, else
# a newer one by name. A name on PATH may be a launcher of nothing, so each is really started.
find_python = for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14); do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	    2>/dev/null; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Forge1 Sim needs Python 3.11 to 3.14 with its venv module; install one, or name it: make PYTHON=/path/to/python3" >&2; \
	  exit 2; \
	fi

python:  ## Name the Python that would be used
	@$(find_python); echo "$$python"

setup: $(VENV)/.installed  ## Build .venv from the lock file and install the project into it

# The stamps are the last thing each step writes: an interrupted step starts afresh next time.
$(VENV)/.locked: requirements.lock
	@$(find_python); echo "Building $(VENV) with $$python from requirements.lock"; \
	"$$python" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --only-binary :all: --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## Run the quick start and write its report
	@rm -rf demo_run; status=0; $(BIN)/forge1sim run scenarios/quickstart.yaml --out demo_run || status=$$?; \
	if [ $$status -gt 1 ] || [ ! -f demo_run/report.html ]; then \
	  echo "The quick start failed (exit status $$status)." >&2; exit 2; \
	fi; \
	echo; \
	if [ $$status -eq 0 ]; then echo "Every SLO held (exit status 0)."; \
	else echo "At least one SLO was missed, as the table above says (exit status 1)."; fi; \
	echo "Report: demo_run/report.html"

app: setup  ## Serve the workbench on this machine; PORT=... chooses the port
	@$(BIN)/python -m streamlit run app.py --server.port $(PORT)

lint: setup  ## Check style, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# Tests in a browser need Chromium. Who may not install it skips them, and pytest says so at the end.
install_chromium = timeout 600 apt-get install --yes --no-install-recommends chromium

browser:
	@if ! command -v $(CHROME) && [ "$$(id -u)" = 0 ] && command -v apt-get; then \
	  echo "Installing Chromium for the tests in a browser" >&2; export DEBIAN_FRONTEND=noninteractive; \
	  $(install_chromium) || { timeout 300 apt-get update && $(install_chromium); } \
	    || echo "Chromium cannot be installed: tests in a browser will be skipped" >&2; \
	fi >/dev/null

# One file's tests stay on one worker, which compiles what they share once.
test: lint browser  ## Run the checks and the default tests, and say what was skipped
	@$(BIN)/python -m pytest -n 2 --dist loadfile

verify: setup browser  ## Run the long checks, which `make test` leaves out
	@HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -m slow

bench: setup  ## Measure speed and memory; ONLY=name measures one
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

picture: demo  ## Draw the README's picture anew from the demo's report; CHROME=... names Chromium
	@$(CHROME) --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1100,1640 \
	  --virtual-time-budget=8000 --screenshot=docs/pictures/quickstart.png "file://$(CURDIR)/demo_run/report.html"

drawn: setup  ## Check every comparison on five scenarios drawn by chance, failures included; SEED=... repeats a report
	@$(BIN)/python -m benchmarks.drawn $(if $(SEED),--seed $(SEED))

pictures: setup  ## Take pictures of every page of the workbench, light and dark, and renew those of the README
	@$(BIN)/python -m benchmarks.pictures pictures
	@for page in results what_if; do cp "pictures/$$page-light.png" "docs/pictures/$$page.png"; done

# One resolution for every supported Python; the file holds names, versions and hashes only.
lock:  ## Resolve pyproject.toml anew into requirements.lock
	@$(find_python); tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	"$$python" -m venv "$$tools" && "$$tools/bin/pip" install --quiet "$(LOCK_TOOL)" && \
	"$$tools/bin/uv" pip compile pyproject.toml --group dev --upgrade --quiet \
	  --universal --fork-strategy fewest --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --output-file requirements.lock

clean:  ## Remove the environment, caches and the demo's results
	@rm -rf $(VENV) demo_run pictures *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
